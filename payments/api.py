"""/api/v1/orders/{number}/payments/ and what Chapa calls"""

from __future__ import annotations

import re
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import edge, outbox
from core.idempotency import Answer
from core.problems import only
from core.transactions import durable
from orders import access
from orders.api import IDEMPOTENCY_KEY, ORDER_TOKEN, Endpoint, principal_of, user_of
from payments import checkout, providers, webhooks
from payments.checkout import Started
from payments.flow import SETTLED, PaymentStatus
from payments.models import Payment
from payments.serializers import PaymentIn, PaymentOut, represent

_TX_REF = re.compile(r"[A-Za-z0-9-]{1,50}", re.ASCII)


def _render(started: Started) -> Answer:
    payment = started.payment
    if payment.state in {PaymentStatus.UNKNOWN, PaymentStatus.CREATED}:
        status = HTTPStatus.ACCEPTED
    elif started.is_new:
        status = HTTPStatus.CREATED
    else:
        status = HTTPStatus.OK
    return Answer(status, edge.to_json(represent(payment)))


class OrderPayments(Endpoint):
    @extend_schema(responses={200: PaymentOut(many=True)}, parameters=[ORDER_TOKEN], summary="Every attempt to pay")
    def get(self, request: Request, number: str) -> Response:
        order = access.find(number=number, principal=principal_of(request), at=now())
        found = Payment.objects.filter(order=order).order_by("-created_at")
        return Response({"next": None, "previous": None, "results": [represent(payment) for payment in found]})

    @extend_schema(
        request=PaymentIn,
        responses={200: PaymentOut, 201: PaymentOut, 202: PaymentOut},
        parameters=[IDEMPOTENCY_KEY, ORDER_TOKEN],
        summary="Start paying through Chapa",
    )
    def post(self, request: Request, number: str) -> HttpResponse:
        at = now()
        edge.idempotency_key(request)
        principal = principal_of(request)
        order = access.find(number=number, principal=principal, at=at)
        given = edge.read(PaymentIn(data=request.data))
        once = edge.once(
            request=request,
            owner=access.caller_of(user=user_of(request), email=order.email, phone_number=order.phone_number),
            render=_render,
        )

        def act() -> Answer:
            return _render(
                checkout.start(
                    number=number,
                    return_url=given.get("return_url", ""),
                    once=once,
                    gateway=providers.chapa_for_web(),
                    at=at,
                )
            )

        return edge.answer_once(once=once, act=act)


@only("POST")
def chapa_webhook(request: HttpRequest) -> HttpResponse:
    """Chapa tells us that something happened. Stored, then 200; the worker does the rest."""
    receipt = webhooks.receive(body=request.body, signature_header=request.headers.get("X-Chapa-Signature"))
    return JsonResponse({"status": receipt.value})


@only("GET", "HEAD")
def chapa_callback(request: HttpRequest) -> HttpResponse:
    """Chapa, or anybody, calls this with a `trx_ref`: a hint to go and ask. The answer says nothing, whatever came."""
    tx_ref = request.GET.get("trx_ref") or request.GET.get("tx_ref") or ""
    if _TX_REF.fullmatch(tx_ref) and Payment.objects.filter(tx_ref=tx_ref).exclude(status__in=SETTLED).exists():
        with durable("callback"):
            outbox.record(topic="payment.hinted", tx_ref=tx_ref)
    return JsonResponse({"status": "ok"})
