"""The GraphQL schema, merged from the apps."""

from __future__ import annotations

from typing import Final

from strawberry.tools import merge_types

from core.graphql import types
from core.graphql.endpoint import AsWasRead, Schema
from orders import graphql as orders
from payments import graphql as payments
from payments.live.subscription import Subscription
from products import graphql as products
from users import graphql as users

schema: Final = Schema(
    query=merge_types("Query", (orders.Query, payments.Query, products.Query, users.Query)),
    mutation=merge_types("Mutation", (orders.Mutation, payments.Mutation)),
    subscription=Subscription,
    extensions=[AsWasRead],
    config=types.config(),
)

LIMITS: Final = {
    "products": "catalogue",
    "product": "catalogue",
    "categories": "catalogue",
    "deliveryOptions": "catalogue",
    "me": "account",
    "order": "read",
    "orders": "read",
    "quoteOrder": "place",
    "placeOrder": "place",
    "cancelOrder": "place",
    "startPayment": "pay",
}
"""Each question under the limit that REST has for it: whoever has used it up there has used it up here."""
