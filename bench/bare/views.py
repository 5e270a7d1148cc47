"""The same rows as ours, written by the ORM in one transaction, without validation, logging or problem handling."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse
from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.models import Event, IdempotencyKey
from orders import numbers
from orders.models import Order, OrderHistory, OrderLine
from payments.models import WebhookEvent
from products.models import Product


class Orders(APIView):
    """A bare DRF view that places an order."""

    def post(self, request: Request) -> Response:
        body: dict[str, Any] = dict(request.data)
        key = request.headers["Idempotency-Key"]
        at = now()
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [hash(key) % 2**31])
            IdempotencyKey.objects.filter(owner="bare", key=key).first()
            wanted = {item["sku"]: item["quantity"] for item in body["items"]}
            products = list(Product.objects.filter(sku__in=wanted, is_active=True))
            total = sum((product.price * wanted[product.sku] for product in products), Decimal(0))
            order = Order.objects.create(
                number=numbers.new(),
                currency="ETB",
                total_amount=total,
                email=body["email"],
                token_expires_at=at + timedelta(days=90),
                created_at=at,
                expires_at=at + timedelta(minutes=30),
            )
            lines = OrderLine.objects.bulk_create(
                OrderLine(
                    order=order,
                    position=position,
                    product=product,
                    sku=product.sku,
                    name=product.name,
                    unit_price=product.price,
                    quantity=wanted[product.sku],
                    line_total=product.price * wanted[product.sku],
                )
                for position, product in enumerate(products)
            )
            OrderHistory.objects.create(order=order, to_status="awaiting_payment", at=at, actor="guest")
            Event.objects.create(topic="order.placed", payload={"order_id": order.pk, "number": order.number})
            for product in products:
                Product.objects.filter(pk=product.pk, on_hand__gte=F("held") + wanted[product.sku]).update(
                    held=F("held") + wanted[product.sku]
                )
            answer = {
                "number": order.number,
                "status": order.status,
                "total": str(total),
                "items": [{"sku": line.sku, "name": line.name, "quantity": line.quantity} for line in lines],
                "created_at": order.created_at.isoformat(),
            }
            IdempotencyKey.objects.create(
                owner="bare", key=key, fingerprint="f", status=201, body=json.dumps(answer).encode()
            )
        return Response(answer, status=201)


class OneOrder(APIView):
    """A bare DRF view that shows an order with its lines."""

    def get(self, request: Request, number: str) -> Response:  # noqa: ARG002 - DRF's signature
        order = Order.objects.get(number=number)
        return Response(
            {
                "number": order.number,
                "status": order.status,
                "currency": order.currency,
                "total": str(order.total_amount),
                "refunded_total": str(order.refunded_amount),
                "items": [
                    {
                        "sku": line.sku,
                        "name": line.name,
                        "unit_price": str(line.unit_price),
                        "quantity": line.quantity,
                        "line_total": str(line.line_total),
                    }
                    for line in order.lines.all()
                ],
                "email": order.email,
                "phone_number": order.phone_number,
                "first_name": order.first_name,
                "last_name": order.last_name,
                "language": order.language,
                "created_at": order.created_at.isoformat(),
                "expires_at": order.expires_at.isoformat(),
            }
        )


def webhook(request: HttpRequest) -> HttpResponse:
    """A bare Django view that checks the HMAC and inserts one row."""
    body = request.body
    expected = hmac.new(settings.CHAPA_WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("x-chapa-signature", "")):
        return HttpResponse(status=401)
    WebhookEvent.objects.create(body=body, body_sha256=hashlib.sha256(body).digest())
    return HttpResponse(b'{"status":"stored"}', content_type="application/json")
