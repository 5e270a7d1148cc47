"""GraphQL as a client speaks it, and its answers in REST's words."""

from __future__ import annotations

import json
import re
from typing import Any

from django.test import Client

LINE = "sku name unitPrice quantity lineTotal vatRate vatAmount"
PLACE_OF = "recipientName phoneNumber region city subCity woreda kebele houseNumber landmark"
DELIVERY = f"delivery {{ option kind name {{ en am }} price vatRate vatAmount address {{ {PLACE_OF} }} }}"
ORDER = (
    f"number status currency total vatTotal refundedTotal items {{ {LINE} }} {DELIVERY} "
    "email phoneNumber firstName lastName language createdAt expiresAt paidAt paymentStatus canPay canCancel"
)
PAYMENT = (
    "id txRef status amount currency capturedAmount checkoutUrl gatewayReference method fee settlesOrder "
    "appliedElsewhere failureReason "
    "createdAt completedAt nextCheckAt"
)
PRODUCT = "sku slug name description category { slug name } price currency available"
PROFILE = "email firstName lastName phoneNumber language createdAt"
PAGE = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
PLACE = (
    "mutation ($input: OrderInput!, $key: String!) "
    f"{{ placeOrder(input: $input, idempotencyKey: $key) {{ replayed accessToken order {{ {ORDER} }} }} }}"
)
PAY = (
    "mutation ($number: String!, $key: String!, $token: String, $returnUrl: String) "
    "{ startPayment(number: $number, idempotencyKey: $key, token: $token, returnUrl: $returnUrl) "
    f"{{ replayed payment {{ {PAYMENT} }} }} }}"
)
CANCEL = (
    "mutation ($number: String!, $token: String, $reason: String) "
    f"{{ cancelOrder(number: $number, token: $token, reason: $reason) {{ {ORDER} }} }}"
)
QUOTED = f"currency total vatTotal items {{ {LINE} }} {DELIVERY}"
QUOTE = f"mutation ($input: OrderInput!) {{ quoteOrder(input: $input) {{ {QUOTED} }} }}"
READ = (
    "query ($number: String!, $token: String) "
    f"{{ order(number: $number, token: $token) {{ {ORDER} payments {{ {PAYMENT} }} }} }}"
)


class GraphQL:
    """`/graphql/`, one query at a time."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)

    def send(self, raw: bytes, *, content_type: str = "application/json", **headers: str) -> Any:
        """These bytes; the HTTP answer."""
        dashed = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post("/graphql/", raw, content_type=content_type, headers=dashed)

    def ask(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """The document that was answered: `data`, `errors` or both."""
        said = self.send(json.dumps({"query": query, "variables": variables or {}}).encode(), **headers)
        return dict(said.json())

    def data(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> Any:
        """What the only field of a query gave. Errors fail the test."""
        said = self.ask(query, variables, **headers)
        assert "errors" not in said, said["errors"]
        (value,) = said["data"].values()
        return value

    def refusal(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        """The problem document of the only error."""
        said = self.ask(query, variables, **headers)
        (error,) = said["errors"]
        assert error["message"] == error["extensions"]["detail"]
        assert set((said.get("data") or {"": None}).values()) == {None}
        return dict(error["extensions"])


def lasting(said: Any) -> Any:
    """What REST says, but for the ticket to watch an order with, which is another one with each answer."""
    if isinstance(said, list):
        return [lasting(each) for each in said]
    if isinstance(said, dict):
        return {name: lasting(value) for name, value in said.items() if name != "stream_url"}
    return said


def snake(value: Any) -> Any:
    """GraphQL's names as REST's: `unitPrice` → `unit_price`, wherever they stand."""
    if isinstance(value, list):
        return [snake(each) for each in value]
    if isinstance(value, dict):
        return {
            re.sub(r"[A-Z]", lambda found: f"_{found[0].lower()}", name): snake(inner) for name, inner in value.items()
        }
    return value


def camel(value: Any) -> Any:
    """REST's names as GraphQL's."""
    if isinstance(value, list):
        return [camel(each) for each in value]
    if isinstance(value, dict):
        return {
            re.sub(r"_([a-z])", lambda found: found[1].upper(), name): camel(inner) for name, inner in value.items()
        }
    return value
