"""/api/v1/orders/…"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from django.http import HttpResponse
from django.utils.timezone import now
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.exceptions import NotAuthenticated, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import edge, problems
from core.idempotency import Answer
from core.money import Currency
from core.openapi import IDEMPOTENCY_KEY, ORDER_TOKEN, leads_to, refuses
from core.paging import NewestFirst
from core.permissions import Anyone
from orders import access, delivery, lifecycle, placement, tickets
from orders.access import OrderNotFound, Principal
from orders.filters import DeliveryOptionFilter, OrderFilter
from orders.models import STATUSES, Order
from orders.serializers import (
    CANCELLED,
    FULFILLED,
    CancelIn,
    DeliveryOptionOut,
    FulfilIn,
    NewOrderOut,
    OrderIn,
    OrderOut,
    QuoteOut,
    basket,
    contact,
    represent,
)
from products.api import ShownList
from products.stock import OutOfStock
from users import regions
from users.address_book import AddressNotFound
from users.models import User

PATH: Final = "/api/v1/orders/"
"""Part of what makes two requests the same, so it is the same through every door."""


def user_of(request: Request) -> User | None:
    return request.user if isinstance(request.user, User) else None


def token_of(request: Request) -> str:
    """The order's token, from the header or from `?token=`; empty where there is none."""
    return request.headers.get("X-Order-Token") or request.query_params.get("token") or ""


def principal_of(request: Request) -> Principal:
    """Who asks: by bearer token, by `X-Order-Token`, or by `?token=`."""
    return Principal(user=user_of(request), token=token_of(request))


_PRICING = (
    placement.UnknownProduct,
    placement.CurrencyMismatch,
    placement.AmountOutOfRange,
    placement.TooManyPieces,
    placement.PriceChanged,
    delivery.UnknownDeliveryOption,
    delivery.DeliveryNotAvailable,
    delivery.DeliveryAddressRequired,
    delivery.DeliveryAddressNotWanted,
    AddressNotFound,
)


class Endpoint(APIView):
    """Open to anyone; the use case decides by owner or token. Nothing on the way may keep the answer."""

    permission_classes = [Anyone]
    limits: str | Mapping[str, str] = MappingProxyType({"GET": "read", "POST": "place"})

    def limit_callers(self, request: Request) -> dict[str, str]:
        """The order's token: behind it stands one customer, wherever they are."""
        return {"token": token_of(request)}

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "no-store")
        return response


def shown(order: Order, *, principal: Principal, at: datetime) -> dict[str, Any]:
    """The order as this reader sees it: with an address to watch it at."""
    return represent(order, at=at) | {"stream_url": tickets.stream_url(order=order, principal=principal, at=at)}


def _with_token(answer: Answer, *, customer: User | None) -> bytes:
    """Put the address to watch the order at, and a guest's token, into the answer's body. Both open the order: they are
    derived each time, alike for a first answer and for its replay, and never stored.
    """
    if not answer.link:
        return answer.body
    number, version, expires_at, *placed = answer.link.split("/")
    order = Order(
        number=number,
        token_version=int(version),
        token_expires_at=datetime.fromisoformat(expires_at),
        customer=customer,
    )
    added: dict[str, str | None] = {}
    if placed:  # an answer that was kept before there were streams has no such time
        at = datetime.fromtimestamp(int(placed[0]), tz=UTC)
        added["stream_url"] = tickets.stream_url(order=order, principal=Principal(user=customer), at=at)
    if customer is None:
        added["access_token"] = access.current_token(order)
    return answer.body[:-1] + b"," + edge.to_json(added)[1:]


def place_once(*, body: Any, key: str, customer: User | None, at: datetime) -> edge.Given:
    """Place the order that `body` (REST's) asks for, or give again what this key was answered."""
    given = edge.read(OrderIn(data=body, context={"customer": customer}))
    whom = contact(given)
    answers: list[Answer] = []

    def render(order: Order) -> Answer:
        until = order.token_expires_at.isoformat()
        link = f"{order.number}/{order.token_version}/{until}/{int(at.timestamp())}"
        answers.append(Answer(HTTPStatus.CREATED, edge.to_json(represent(order, at=at)), link))
        return answers[-1]

    once = edge.once_posted(
        key=key,
        path=PATH,
        body=body,
        owner=access.caller_of(user=customer, email=whom.email, phone_number=whom.phone_number),
        render=render,
    )

    def act() -> Answer:
        placement.place(**basket(given), contact=whom, customer=customer, once=once, at=at)
        return answers[-1]

    return edge.give_once(once=once, act=act, complete=lambda answer: _with_token(answer, customer=customer))


class _Pages(NewestFirst):
    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:  # noqa: ARG002
        wanted = request.query_params.get("ordering", "-created_at")
        if wanted not in {"created_at", "-created_at"}:
            raise ValidationError({"ordering": ["Choose created_at or -created_at."]})
        return (wanted, "-id" if wanted.startswith("-") else "id")


class Orders(Endpoint):
    @extend_schema(
        responses={200: OrderOut(many=True)},
        parameters=[
            OpenApiParameter("status", str, enum=[value for value, _ in STATUSES]),
            OpenApiParameter("created_after", OpenApiTypes.DATETIME),
            OpenApiParameter("ordering", str, enum=["created_at", "-created_at"], default="-created_at"),
        ],
        summary="One's own orders; for staff all",
    )
    @refuses(problems.NotAuthenticated)
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
        return pages.get_paginated_response([shown(order, principal=principal, at=at) for order in found])

    @extend_schema(
        request=OrderIn, responses={201: NewOrderOut}, parameters=[IDEMPOTENCY_KEY], summary="Place an order"
    )
    @leads_to(
        "orders_retrieve", "orders_cancel_create", "orders_payments_create", "orders_payments_list",
        "orders_timeline_list", status=201,
        by={"number": "$response.body#/number", "header.X-Order-Token": "$response.body#/access_token"},
    )  # fmt: skip
    @refuses(*_PRICING, OutOfStock)
    def post(self, request: Request) -> HttpResponse:
        at = now()
        key = edge.idempotency_key(request)  # before the body: a missing key is the first thing to say
        return edge.http_of(place_once(body=request.data, key=key, customer=user_of(request), at=at))


class OrderQuote(Endpoint):
    @extend_schema(request=OrderIn, responses={200: QuoteOut}, summary="Price a basket; changes nothing")
    @refuses(*_PRICING, OutOfStock)
    def post(self, request: Request) -> Response:
        customer = user_of(request)
        given = edge.read(OrderIn(data=request.data, context={"customer": customer, "quote": True}))
        return Response(QuoteOut(placement.quote(**basket(given), customer=customer)).data)


class _OptionPages(NewestFirst):
    ordering = ("position", "id")


@extend_schema_view(
    get=extend_schema(
        summary="How an order can be delivered",
        parameters=[
            OpenApiParameter(
                "region", str, enum=list(regions.REGIONS), description="Leaves out what does not reach it."
            ),
            OpenApiParameter("currency", str, enum=[currency.value for currency in Currency]),
        ],
    )
)
class DeliveryOptions(ShownList):
    serializer_class = DeliveryOptionOut
    pagination_class = _OptionPages
    query = ("cursor", "page_size", *DeliveryOptionFilter.base_filters)

    def get_queryset(self) -> Any:
        wanted = DeliveryOptionFilter(self.request.GET, queryset=delivery.options())
        if not wanted.is_valid():
            raise ValidationError(dict(wanted.errors))
        return wanted.qs


class OrderDetail(Endpoint):
    @extend_schema(responses={200: OrderOut}, parameters=[ORDER_TOKEN], summary="One order")
    @refuses(OrderNotFound)
    def get(self, request: Request, number: str) -> Response:
        at = now()
        principal = principal_of(request)
        order = access.find(number=number, principal=principal, at=at)
        return Response(shown(order, principal=principal, at=at))


class OrderCancel(Endpoint):
    @extend_schema(
        request=CancelIn,
        responses={200: OrderOut},
        parameters=[ORDER_TOKEN],
        summary="Cancel an unpaid order",
        examples=CANCELLED,
    )
    @refuses(OrderNotFound, problems.NotAllowed, lifecycle.OrderNotCancellable)
    def post(self, request: Request, number: str) -> Response:
        at = now()
        principal = principal_of(request)
        given = edge.read(CancelIn(data=request.data))
        access.find_to_act(number=number, principal=principal, at=at, staff_with=access.CHANGES_ORDERS)
        order = lifecycle.cancel(number=number, actor=principal.actor, at=at, reason=given.get("reason", ""))
        return Response(shown(order, principal=principal, at=at))


class OrderFulfil(Endpoint):
    @extend_schema(request=None, responses={200: OrderOut}, summary="The goods have left (support)", examples=FULFILLED)
    @refuses(problems.NotAuthenticated, problems.NotAllowed, OrderNotFound, lifecycle.OrderNotFulfillable)
    def post(self, request: Request, number: str) -> Response:
        at = now()
        principal = principal_of(request)
        if principal.user is None:
            raise NotAuthenticated
        if not principal.is_staff_with(access.CHANGES_ORDERS):
            raise PermissionDenied
        edge.read(FulfilIn(data=request.data))
        access.find(number=number, principal=principal, at=at)
        order = lifecycle.fulfil(number=number, actor=principal.actor, at=at)
        return Response(shown(order, principal=principal, at=at))
