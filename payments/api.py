"""/api/v1/orders/{number}/payments/ and what Chapa calls"""

from __future__ import annotations

import re
from datetime import datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.timezone import now
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from core import edge, outbox
from core.errors import DomainError
from core.idempotency import Answer
from core.openapi import IDEMPOTENCY_KEY, ORDER_TOKEN, refuses
from core.problems import NotAllowed, only
from core.transactions import durable
from orders import access
from orders.access import OrderNotFound, Principal
from orders.api import PATH, Endpoint, principal_of
from orders.models import Order
from orders.tickets import InvalidTicket
from payments import checkout, providers, webhooks
from payments.checkout import Started
from payments.flow import SETTLED, PaymentStatus
from payments.live.admission import StreamsFull, TooManyStreams
from payments.models import Payment
from payments.serializers import NOT_ANSWERED, PaymentIn, PaymentOut, represent

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


def start_once(*, order: Order, body: Any, key: str, principal: Principal, at: datetime) -> edge.Given:
    """Start to pay an order that its caller may see, as `body` (REST's) wants it, or give again what this key was
    answered.
    """
    given = edge.read(PaymentIn(data=body))
    once = edge.once_posted(
        key=key,
        path=f"{PATH}{order.number}/payments/",
        body=body,
        owner=access.caller_of(user=principal.user, email=order.email, phone_number=order.phone_number),
        render=_render,
    )

    def act() -> Answer:
        return _render(
            checkout.start(
                number=order.number,
                return_url=given.get("return_url", ""),
                actor=principal.actor,
                once=once,
                gateway=providers.chapa_for_web(),
                at=at,
            )
        )

    return edge.give_once(once=once, act=act)


class OrderPayments(Endpoint):
    limits = MappingProxyType({"GET": "read", "POST": "pay"})

    @extend_schema(responses={200: PaymentOut(many=True)}, parameters=[ORDER_TOKEN], summary="Every attempt to pay")
    @refuses(OrderNotFound)
    def get(self, request: Request, number: str) -> Response:
        order = access.find(number=number, principal=principal_of(request), at=now())
        found = Payment.objects.told_of(order).order_by("-created_at")
        results = [represent(payment, order_id=order.pk) for payment in found]
        return Response({"next": None, "previous": None, "results": results})

    @extend_schema(
        request=PaymentIn,
        responses={
            200: PaymentOut,
            201: PaymentOut,
            202: OpenApiResponse(PaymentOut, examples=[NOT_ANSWERED]),
        },
        parameters=[IDEMPOTENCY_KEY, ORDER_TOKEN],
        summary="Start paying through Chapa",
    )
    @refuses(
        OrderNotFound,
        NotAllowed,
        checkout.OrderNotPayable,
        checkout.PaymentRefused,
        checkout.ReturnUrlNotAllowed,
        checkout.TooManyAttempts,
        checkout.GatewayUnavailable,
    )
    def post(self, request: Request, number: str) -> HttpResponse:
        """Open `checkout_url` in the shopper's browser.

        201: a new session at Chapa. 200: the attempt that is still open, again. 202: Chapa has not answered in time, so
        the attempt is `unknown`. Let the shopper wait, and watch the order or read its attempts: within a minute or so
        this one has its `checkout_url`, or another one that took its place has. Never are two open. Whoever asks again
        uses a new key: this one gives this 202 again.
        """
        at = now()
        key = edge.idempotency_key(request)
        principal = principal_of(request)
        order = access.find_to_act(number=number, principal=principal, at=at)
        return edge.http_of(start_once(order=order, body=request.data, key=key, principal=principal, at=at))


_CANCELLED: Final = (
    'event: order\nid: 3.1\ndata: {"number": "K7M2-9QXD", "status": "cancelled", …}\n\n'
    'event: end\ndata: {"reason": "final"}\n\n'
)


class StreamElsewhere(DomainError):
    code, status, title = "stream_elsewhere", 421, "Streams are served by another process; see the detail."
    storable = False


class OrderStream(Endpoint):
    @extend_schema(
        responses={(200, "text/event-stream"): str, 204: None},
        parameters=[
            ORDER_TOKEN,
            OpenApiParameter("ticket", str, description="As in `stream_url`; in place of every other proof."),
            OpenApiParameter("Last-Event-ID", str, OpenApiParameter.HEADER, description="Or `?last_event_id=`."),
        ],
        examples=[OpenApiExample("Cancelled", value=_CANCELLED, media_type="text/event-stream")],
        summary="Watch one order",
        description=(
            "Server-sent events. It begins with how things stand: an `event: payment` for each attempt, an "
            "`event: order`, with the JSON of the reads; then whatever changes. Each `id` can be shown as "
            "`Last-Event-ID`: what was seen is not sent again, what was missed is. A comment every 15 s says that "
            "it lives. A `stream_url` is good for five minutes; one may hold ten streams at a time. `event: end` with "
            '`{"reason": "final"}` or `{"reason": "expired"}` is the last: nothing more can happen (the order is '
            "cancelled, or refunded; a paid one goes on), or the order has to be read for a new `stream_url`. Close an "
            "EventSource then: it would ask again. 204: nothing is new, and nothing more can happen."
        ),
    )
    @refuses(StreamElsewhere, OrderNotFound, InvalidTicket, TooManyStreams, StreamsFull)
    def get(self, request: Request, number: str) -> Response:  # noqa: ARG002 - a view
        """Here for the documents, and to say what is wrong where a request for a stream gets here."""
        raise StreamElsewhere("The proxy in front has to send this address to the live process.")


@only("POST")
def chapa_webhook(request: HttpRequest) -> HttpResponse:
    """Chapa tells us that something happened. Stored, then 200; the worker does the rest."""
    receipt = webhooks.receive(body=request.body, signature_header=request.headers.get("X-Chapa-Signature"))
    return JsonResponse({"status": receipt.value}, headers={"Cache-Control": "no-store"})


@only("GET", "HEAD")
def chapa_callback(request: HttpRequest) -> HttpResponse:
    """Chapa, or anybody, calls this with a `trx_ref`: a hint to go and ask. The answer says nothing, whatever came."""
    tx_ref = request.GET.get("trx_ref") or request.GET.get("tx_ref") or ""
    if _TX_REF.fullmatch(tx_ref) and Payment.objects.filter(tx_ref=tx_ref).exclude(status__in=SETTLED).exists():
        with durable("callback"):
            outbox.record(topic="payment.hinted", tx_ref=tx_ref)
    # Told twice, Chapa means it twice: nobody on the way may answer in our place.
    return JsonResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})
