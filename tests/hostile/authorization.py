"""Who may do what: the table of docs/roles.md, and everybody who stands in its head."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.http import HttpResponse
from django.utils.timezone import now
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.tokens import AccessToken

from core.errors import DomainError
from orders import access
from orders.models import Order
from payments import settlement
from payments.live import admission
from payments.live.admission import Shown
from payments.models import Discrepancy, DiscrepancyKind, Payment
from tests import factories, graphql_client, staff
from tests.hostile import judging, routes
from tests.hostile.routes import CALLS, Call, Sender
from tests.hostile.scene import Scene
from users.models import User
from users.roles import Role

DOCUMENT: Final = Path(settings.BASE_DIR) / "docs" / "roles.md"
YES, WITHOUT_IT = "yes", "none"
CELLS: Final = {YES, WITHOUT_IT, "401", "403", "404"}


@dataclass(slots=True)
class Cast:
    """A customer's order and its money, and everybody who asks for them."""

    scene: Scene
    order: Order = field(init=False)
    shipped: Order = field(init=False)
    """Paid, and nothing of it is on its way back."""
    surplus: Discrepancy = field(init=False)
    """More came than was asked for."""
    headers: dict[str, Mapping[str, str]] = field(init=False)

    def __post_init__(self) -> None:
        scene = self.scene
        owner = scene.customer
        self.order = factories.order(items=[(scene.product, 2)], customer=owner, email=owner.email)
        factories.pending_payment(order=self.order, gateway=scene.gateway)
        self.shipped = self._paid("900.00").order
        more = self._paid("1000.00")
        self.surplus = Discrepancy.objects.get(kind=DiscrepancyKind.SURPLUS, payment=more)
        former = factories.order(items=[(scene.product, 1)])
        token_of_former = access.current_token(self.order)
        Order.objects.filter(pk=self.order.pk).update(token_version=self.order.token_version + 1)
        self.order.refresh_from_db()
        admin = staff.person(Role.ADMIN)
        self.headers = {
            "nobody": {},
            "expired": _bearer(_expired(owner)),
            "revoked": _bearer(_of_an_old_password()),
            "guest": {"X-Order-Token": access.current_token(self.order)},
            "other guest": {"X-Order-Token": access.current_token(former)},
            "former guest": {"X-Order-Token": token_of_former},
            "owner": {"Authorization": staff.bearer(owner)},
            "other": {"Authorization": staff.bearer(factories.user())},
            "plain staff": {"Authorization": staff.bearer(factories.user(is_staff=True))},
            **{role.value: {"Authorization": staff.bearer(staff.person(role))} for role in Role},
            "admin, long in": {"Authorization": staff.stale_bearer(admin)},
            "superuser": {"Authorization": staff.bearer(factories.user(is_staff=True, is_superuser=True))},
            "former staff": {"Authorization": staff.bearer(_without_a_seat())},
        }

    def _paid(self, amount: str) -> Payment:
        order = factories.order(items=[(self.scene.product, 2)])
        payment = factories.pending_payment(order=order, gateway=self.scene.gateway)
        self.scene.gateway.pay(payment, amount=amount)
        return settlement.settle(tx_ref=payment.tx_ref, gateway=self.scene.gateway, at=now())


def _bearer(token: AccessToken) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _expired(user: User) -> AccessToken:
    token = AccessToken.for_user(user)
    token.set_exp(from_time=now() - timedelta(days=1))
    return token


def _of_an_old_password() -> AccessToken:
    user = factories.user()
    token = AccessToken.for_user(user)
    user.set_password("another-long-enough-phrase-8")
    user.save()
    return token


def _without_a_seat() -> User:
    """Somebody who left: the account has its groups yet, and is no staff's."""
    user = staff.person(Role.ADMIN)
    User.objects.filter(pk=user.pk).update(is_staff=False)
    return user


# --- What is asked --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A row: one call, perhaps with another body or proof than it has in `routes`."""

    call: Call
    variant: str = ""
    body: Callable[[Cast], dict[str, Any]] | None = None
    is_unsigned: bool = False
    shows: Callable[[Cast], str] | None = None
    """Of a list: what stands in it for whoever may see it."""

    @property
    def name(self) -> str:
        template = routes.plain(self.call.template)
        return f"{self.call.method} {template}" + (f" ({self.variant})" if self.variant else "")

    def ask(self, *, cast: Cast, sender: Sender, who: str) -> str:
        """The cell that the answer amounts to, or what was odd about it."""
        headers = dict(cast.headers[who])
        if self.call.is_elsewhere:
            return _at_the_door_of_live(cast.order.number, headers)
        if self.is_unsigned:
            headers["X-Chapa-Signature"] = "0" * 64
        order = cast.shipped if self.call.takes_no_fields else cast.order
        discrepancy = cast.surplus if self.variant == "refund" else cast.scene.discrepancy
        answer = sender.send(
            replace(self.call, who=lambda _: {}),
            path=self.call.path(cast.scene, number=order.number, discrepancy_id=str(discrepancy.pk)),
            raw=json.dumps(self.body(cast)).encode() if self.body else None,
            headers=headers,
        )
        return self._cell(answer, cast)

    def _cell(self, answer: HttpResponse, cast: Cast) -> str:
        (refused,) = judging.refusals_in(answer)[:1] or [{}]
        status = refused.get("status", answer.status_code)
        if status >= 400:
            return str(status) if str(status) in CELLS else f"{status} {refused.get('code')}"
        if self.shows is not None:
            return YES if self.shows(cast) in answer.content.decode() else WITHOUT_IT
        return YES


def _at_the_door_of_live(number: str, headers: Mapping[str, str]) -> str:
    """Streams are served by another process; this is the function that lets people in there."""
    shown = Shown.by(headers={name.lower(): value for name, value in headers.items()}, query={})
    try:
        admission.admit(number=number, shown=shown, at=now())
    except AuthenticationFailed:
        return "401"
    except DomainError as refusal:
        return str(int(refusal.status))
    return YES


def _graphql(query: str, **variables: Callable[[Cast], Any]) -> Callable[[Cast], dict[str, Any]]:
    return lambda cast: {"query": query, "variables": {name: value(cast) for name, value in variables.items()}}


def _number(cast: Cast) -> str:
    return cast.order.number


def _input(_cast: Cast) -> Any:
    return graphql_client.camel(routes.order_body())


def _key(_cast: Cast) -> str:
    return "a-key-of-its-own"


def _call(method: str, template: str) -> Call:
    return next(call for call in CALLS if (call.method, call.template) == (method, template))


_LISTS: Final[dict[str, Callable[[Cast], str]]] = {
    "api/v1/orders/": _number,
    "api/v1/auth/me/addresses/": lambda cast: str(cast.scene.address.pk),
    "api/v1/auth/identities/": lambda cast: str(cast.scene.identity.pk),
}
_GRAPHQL: Final = _call("POST", "graphql/")
_RESOLVE: Final = _call("POST", "api/v1/reconciliation/discrepancies/<int:discrepancy_id>/resolve/")
_WEBHOOK: Final = _call("POST", "api/v1/payments/chapa/webhook/")
VARIANTS: Final = (
    Question(call=_WEBHOOK, variant="unsigned", is_unsigned=True),
    Question(
        call=_RESOLVE,
        variant="refund",
        body=lambda _: {"resolution": "refund", "reason": "it is not ours"},
    ),
    Question(call=_GRAPHQL, variant="quoteOrder", body=_graphql(graphql_client.QUOTE, input=_input)),
    Question(call=_GRAPHQL, variant="me", body=_graphql("{ me { email } }")),
    Question(call=_GRAPHQL, variant="orders", body=_graphql("{ orders { edges { node { number } } } }"), shows=_number),
    Question(call=_GRAPHQL, variant="order", body=_graphql(graphql_client.READ, number=_number)),
    Question(call=_GRAPHQL, variant="startPayment", body=_graphql(graphql_client.PAY, number=_number, key=_key)),
    Question(call=_GRAPHQL, variant="cancelOrder", body=_graphql(graphql_client.CANCEL, number=_number)),
)
QUESTIONS: Final = (
    *(Question(call=call, shows=_LISTS.get(call.template) if call.method == "GET" else None) for call in CALLS),
    *VARIANTS,
)


# --- The table ------------------------------------------------------------------------------------------------------


def tables() -> list[tuple[list[str], list[list[str]]]]:
    """Every table of the document: its head, and its rows."""
    found: list[tuple[list[str], list[list[str]]]] = []
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if set(line) <= set("|-: ") and line.startswith("|"):
            rows = []
            for row in lines[number + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append(_cells(row))
            found.append((_cells(lines[number - 1]), rows))
    return found


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def expected() -> dict[str, dict[str, str]]:
    """Row → who → cell."""
    head, rows = tables()[-1]
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}
