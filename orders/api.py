"""/api/v1/orders/…"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from django.utils.timezone import now
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotAuthenticated, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import edge
from core.idempotency import Answer
from core.paging import NewestFirst
from core.permissions import Anyone
from orders import access, lifecycle, placement
from orders.access import Principal
from orders.filters import OrderFilter
from orders.models import Order
from orders.serializers import (
    CancelIn,
    FulfilIn,
    NewOrderOut,
    OrderIn,
    OrderOut,
    QuoteOut,
    basket,
    contact,
    represent,
)
from users.models import User

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER, required=True, description="1 to 255 printable characters."
)
ORDER_TOKEN = OpenApiParameter(
    "X-Order-Token", str, OpenApiParameter.HEADER, description="A guest's proof; `?token=` is taken too."
)


def user_of(request: Request) -> User | None:
    return request.user if isinstance(request.user, User) else None


def principal_of(request: Request) -> Principal:
    """Who asks: by bearer token, by `X-Order-Token`, or by `?token=`."""
    token = request.headers.get("X-Order-Token") or request.query_params.get("token") or ""
    return Principal(user=user_of(request), token=token)


class Endpoint(APIView):
    """Open to anyone; the use case decides by owner or token. Nothing on the way may keep the answer."""

    permission_classes = [Anyone]

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def _with_token(answer: Answer) -> bytes:
    """Put the guest's token into the answer's body. It is derived each time and never stored."""
    if not answer.link:
        return answer.body
    number, version, expires_at = answer.link.split("/")
    token = access.token_for(number=number, version=int(version), expires_at=datetime.fromisoformat(expires_at))
    return answer.body[:-1] + b',"access_token":"' + token.encode() + b'"}'


class _Pages(NewestFirst):
    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:  # noqa: ARG002
        wanted = request.query_params.get("ordering", "-created_at")
        if wanted not in {"created_at", "-created_at"}:
            raise ValidationError({"ordering": ["Choose created_at or -created_at."]})
        return (wanted, "-id" if wanted.startswith("-") else "id")


class Orders(Endpoint):
    @extend_schema(responses={200: OrderOut(many=True)}, summary="One's own orders; for staff all")
    def get(self, request: Request) -> Response:
        principal = principal_of(request)
        if principal.user is None:
            raise NotAuthenticated
        wanted = OrderFilter(request.GET, queryset=access.visible(principal=principal).prefetch_related("lines"))
        if not wanted.is_valid():
            raise ValidationError(dict(wanted.errors))
        pages = _Pages()
        found: list[Order] = pages.paginate_queryset(wanted.qs, request, view=self) or []
        at = now()
        return pages.get_paginated_response([represent(order, at=at) for order in found])

    @extend_schema(
        request=OrderIn, responses={201: NewOrderOut}, parameters=[IDEMPOTENCY_KEY], summary="Place an order"
    )
    def post(self, request: Request) -> HttpResponse:
        at = now()
        edge.idempotency_key(request)  # before the body: a missing key is the first thing to say
        customer = user_of(request)
        given = edge.read(OrderIn(data=request.data, context={"customer": customer}))
        whom = contact(given)
        answers: list[Answer] = []

        def render(order: Order) -> Answer:
            link = "" if customer else f"{order.number}/{order.token_version}/{order.token_expires_at.isoformat()}"
            answers.append(Answer(HTTPStatus.CREATED, edge.to_json(represent(order, at=at)), link))
            return answers[-1]

        once = edge.once(
            request=request,
            owner=access.caller_of(user=customer, email=whom.email, phone_number=whom.phone_number),
            render=render,
        )

        def act() -> Answer:
            placement.place(**basket(given), contact=whom, customer=customer, once=once, at=at)
            return answers[-1]

        return edge.answer_once(once=once, act=act, complete=_with_token)


class OrderQuote(Endpoint):
    @extend_schema(request=OrderIn, responses={200: QuoteOut}, summary="Price a basket; changes nothing")
    def post(self, request: Request) -> Response:
        given = edge.read(OrderIn(data=request.data, context={"customer": user_of(request), "quote": True}))
        return Response(QuoteOut(placement.quote(**basket(given))).data)


class OrderDetail(Endpoint):
    @extend_schema(responses={200: OrderOut}, parameters=[ORDER_TOKEN], summary="One order")
    def get(self, request: Request, number: str) -> Response:
        at = now()
        order = access.find(number=number, principal=principal_of(request), at=at)
        return Response(represent(order, at=at))


class OrderCancel(Endpoint):
    @extend_schema(
        request=CancelIn, responses={200: OrderOut}, parameters=[ORDER_TOKEN], summary="Cancel an unpaid order"
    )
    def post(self, request: Request, number: str) -> Response:
        at = now()
        principal = principal_of(request)
        given = edge.read(CancelIn(data=request.data))
        access.find(number=number, principal=principal, at=at)
        order = lifecycle.cancel(number=number, actor=principal.actor, at=at, reason=given.get("reason", ""))
        return Response(represent(order, at=at))


class OrderFulfil(Endpoint):
    @extend_schema(request=None, responses={200: OrderOut}, summary="The goods have left (support)")
    def post(self, request: Request, number: str) -> Response:
        at = now()
        principal = principal_of(request)
        if principal.user is None:
            raise NotAuthenticated
        if not principal.user.is_staff or not principal.user.has_perm("orders.change_order"):
            raise PermissionDenied
        edge.read(FulfilIn(data=request.data))
        access.find(number=number, principal=principal, at=at)
        order = lifecycle.fulfil(number=number, actor=principal.actor, at=at)
        return Response(represent(order, at=at))
