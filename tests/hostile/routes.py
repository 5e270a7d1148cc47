"""Every route of the URLconf, and for each method that it takes a request that is in order."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import URLResolver, get_resolver

from payments.chapa import signature
from tests import graphql_client
from tests.factories import PASSWORD
from tests.hostile.scene import Scene

JSON: Final = "application/json"
HTML: Final = "text/html"
ADMIN: Final = "admin/"
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_GROUP = re.compile(r"\(\?P<(\w+)>[^()]*\)")


def _nothing(_scene: Scene) -> dict[str, str]:
    return {}


def _as_guest(scene: Scene) -> dict[str, str]:
    return {"X-Order-Token": scene.order_token}


def _as_customer(scene: Scene) -> dict[str, str]:
    return scene.bearer(scene.customer)


def _as_customer_anew(scene: Scene) -> dict[str, str]:
    """Also after a request that changed the password."""
    return scene.new_bearer(scene.customer)


def _as_staff(scene: Scene) -> dict[str, str]:
    return scene.bearer(scene.staff)


def _as_boss(scene: Scene) -> dict[str, str]:
    return scene.bearer(scene.boss)


def _as_finance(scene: Scene) -> dict[str, str]:
    return scene.bearer(scene.finance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One method of one route. `body` is complete: every field that the endpoint knows stands in it."""

    method: str
    template: str
    who: Callable[[Scene], dict[str, str]] = _nothing
    body: Callable[[Scene], dict[str, Any]] | None = None
    answers: str = JSON
    is_costly: bool = False
    """Making the answer takes so long that only a part of the corpus is sent."""
    takes_no_fields: bool = False
    instead: tuple[str, ...] = ()
    """Fields that it knows too, and that exclude one of the body's."""
    is_signed: bool = False
    is_elsewhere: bool = False
    """It is here for the documents; another process answers."""

    @property
    def name(self) -> str:
        return f"{self.method} /{self.template}"

    def path(self, scene: Scene, **changes: str) -> str:
        return concrete(self.template, scene, **changes)

    def headers(self, scene: Scene) -> dict[str, str]:
        keyed = {"Idempotency-Key": uuid.uuid4().hex} if self.method == "POST" else {}
        return keyed | self.who(scene)

    def fields(self, scene: Scene) -> list[tuple[str | int, ...]]:
        """Where a value can stand in the body: `("items", 0, "quantity")`."""
        return list(_places(self.body(scene), ())) if self.body else []


def _places(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _places(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _places(inner, (*path, index))


def order_body(_scene: Scene | None = None) -> dict[str, Any]:
    return {
        "items": [{"sku": "SKU", "quantity": 2}],
        "email": "abebech@gmail.com",
        "phone_number": "0911234567",
        "first_name": "Abebech",
        "last_name": "Bekele",
        "currency": "ETB",
        "language": "am",
        "expected_total": "900.00",
    }


def delivered_order_body(scene: Scene | None = None) -> dict[str, Any]:
    """The same, sent to an address, which costs 150 more."""
    address = {name: value for name, value in _address(scene).items() if name != "is_default"}
    return {
        **order_body(scene), "expected_total": "1050.00", "delivery": {"option": "courier", "address": address},
    }  # fmt: skip


def _registration(_scene: Scene) -> dict[str, Any]:
    return {
        "email": f"{uuid.uuid4().hex}@gmail.com",
        "password": PASSWORD,
        "first_name": "Kebede",
        "last_name": "Alemu",
        "phone_number": "0911234567",
        "language": "am",
    }


def _profile(_scene: Scene) -> dict[str, Any]:
    return {"first_name": "Kebede", "last_name": "Alemu", "phone_number": "0911234567", "language": "am"}


def _address(_scene: Scene | None = None) -> dict[str, Any]:
    return {
        "recipient_name": "Kebede Alemu", "phone_number": "0911234567", "region": "addis_ababa", "city": "Addis Ababa",
        "sub_city": "Bole", "woreda": "03", "kebele": "12", "house_number": "101", "landmark": "Edna Mall",
        "is_default": True,
    }  # fmt: skip


def _endpoint(_scene: Scene | None = None) -> dict[str, Any]:
    return {"url": "http://127.0.0.1:9/hook", "topics": ["order.paid", "order.placed"], "description": "the ERP"}


def _endpoint_change(_scene: Scene | None = None) -> dict[str, Any]:
    return _endpoint() | {"is_enabled": True}


def _delivery(scene: Scene) -> dict[str, Any]:
    return {
        "event": "charge.success", "tx_ref": scene.payment.tx_ref, "reference": "AP1", "status": "success",
        "amount": "1.00", "currency": "ETB", "nonce": uuid.uuid4().hex,
    }  # fmt: skip


def _graphql(scene: Scene) -> dict[str, Any]:
    """The mutation that takes most."""
    return {
        "query": graphql_client.PLACE,
        "variables": {"input": graphql_client.camel(delivered_order_body(scene)), "key": uuid.uuid4().hex},
    }


CALLS: Final = (
    Call(method="POST", template="api/v1/auth/register/", body=_registration),
    Call(
        method="POST",
        template="api/v1/auth/token/",
        body=lambda scene: {"email": scene.customer.email, "password": PASSWORD},
    ),
    Call(
        method="POST",
        template="api/v1/auth/token/refresh/",
        body=lambda scene: {"refresh": str(scene.refresh)},
    ),
    Call(
        method="POST",
        template="api/v1/auth/token/revoke/",
        body=lambda scene: {"refresh": str(scene.refresh)},
    ),
    Call(
        method="POST",
        template="api/v1/auth/password/change/",
        who=_as_customer_anew,
        body=lambda _: {"current_password": PASSWORD, "new_password": f"{PASSWORD} and more"},
    ),
    Call(
        method="POST",
        template="api/v1/auth/password/reset/",
        body=lambda scene: {"email": scene.customer.email},
    ),
    Call(
        method="POST",
        template="api/v1/auth/password/reset/confirm/",
        body=lambda scene: {"token": scene.reset_token, "password": f"{PASSWORD} and more"},
    ),
    Call(method="GET", template="api/v1/auth/me/", who=_as_customer),
    Call(method="PATCH", template="api/v1/auth/me/", who=_as_customer, body=_profile),
    Call(method="POST", template="api/v1/auth/me/deletion/", who=_as_customer, body=lambda _: {}),
    Call(method="GET", template="api/v1/auth/me/deletion/", who=_as_customer),
    Call(method="DELETE", template="api/v1/auth/me/deletion/", who=_as_customer),
    Call(method="GET", template="api/v1/auth/me/addresses/", who=_as_customer),
    Call(method="POST", template="api/v1/auth/me/addresses/", who=_as_customer, body=_address),
    Call(method="GET", template="api/v1/auth/me/addresses/<uuid:address_id>/", who=_as_customer),
    Call(method="PATCH", template="api/v1/auth/me/addresses/<uuid:address_id>/", who=_as_customer, body=_address),
    Call(method="DELETE", template="api/v1/auth/me/addresses/<uuid:address_id>/", who=_as_customer),
    Call(method="GET", template="api/v1/auth/providers/"),
    Call(
        method="POST",
        template="api/v1/auth/providers/<slug:provider>/start/",
        body=lambda _: {"return_url": settings.SIGN_IN_RETURN_URLS[0], "fresh": True},
    ),
    Call(
        method="POST",
        template="api/v1/auth/providers/<slug:provider>/finish/",
        body=lambda scene: scene.back_from_the_provider(),
        instead=("error",),
    ),
    Call(method="GET", template="api/v1/auth/identities/", who=_as_customer),
    Call(
        method="POST",
        template="api/v1/auth/identities/",
        who=_as_customer,
        body=lambda scene: scene.back_from_the_provider(),
        instead=("error",),
    ),
    Call(method="DELETE", template="api/v1/auth/identities/<uuid:identity_id>/", who=_as_customer),
    Call(method="GET", template="api/v1/categories/"),
    Call(method="GET", template="api/v1/products/"),
    Call(method="GET", template="api/v1/products/<slug:slug>/"),
    Call(method="GET", template="api/v1/orders/", who=_as_customer),
    Call(method="GET", template="api/v1/delivery-options/"),
    Call(method="POST", template="api/v1/orders/", body=delivered_order_body),
    Call(method="POST", template="api/v1/orders/quote/", body=delivered_order_body),
    Call(method="GET", template="api/v1/orders/<order_number:number>/", who=_as_guest),
    Call(
        method="POST",
        template="api/v1/orders/<order_number:number>/cancel/",
        who=_as_guest,
        body=lambda _: {"reason": "too slow"},
    ),
    Call(
        method="POST",
        template="api/v1/orders/<order_number:number>/fulfil/",
        who=_as_staff,
        body=lambda _: {},
        takes_no_fields=True,
    ),
    Call(method="GET", template="api/v1/orders/<order_number:number>/payments/", who=_as_guest),
    Call(
        method="POST",
        template="api/v1/orders/<order_number:number>/payments/",
        who=_as_guest,
        body=lambda _: {"return_url": f"{settings.PUBLIC_BASE_URL}/thanks"},
    ),
    Call(method="GET", template="api/v1/orders/<order_number:number>/timeline/", who=_as_guest),
    Call(method="GET", template="api/v1/orders/<order_number:number>/stream/", who=_as_guest, is_elsewhere=True),
    Call(
        method="POST",
        template="api/v1/payments/<uuid:payment_id>/refunds/",
        who=_as_finance,
        body=lambda _: {"amount": "1.00", "reason": "a broken cup"},
    ),
    Call(method="GET", template="api/v1/refunds/<uuid:refund_id>/", who=_as_finance),
    Call(method="POST", template="api/v1/refunds/<uuid:refund_id>/approve/", who=_as_finance, body=lambda _: {}),
    Call(
        method="POST",
        template="api/v1/refunds/<uuid:refund_id>/reject/",
        who=_as_finance,
        body=lambda _: {"reason": "not ours to give"},
    ),
    Call(method="GET", template="api/v1/reconciliation/runs/", who=_as_finance),
    Call(
        method="POST",
        template="api/v1/reconciliation/runs/",
        who=_as_finance,
        body=lambda _: {"since": "2026-11-01T00:00:00Z", "until": "2026-11-02T00:00:00Z"},
    ),
    Call(method="GET", template="api/v1/reconciliation/discrepancies/", who=_as_finance),
    Call(
        method="POST",
        template="api/v1/reconciliation/discrepancies/<int:discrepancy_id>/resolve/",
        who=_as_finance,
        body=lambda _: {
            "resolution": "explained",
            "reason": "Chapa says so too",
            "tx_ref": "",
            "order": "",
            "another_customer": False,
        },
    ),
    Call(method="GET", template="api/v1/webhooks/endpoints/", who=_as_boss),
    Call(method="POST", template="api/v1/webhooks/endpoints/", who=_as_boss, body=_endpoint),
    Call(method="GET", template="api/v1/webhooks/endpoints/<uuid:endpoint_id>/", who=_as_boss),
    Call(method="PATCH", template="api/v1/webhooks/endpoints/<uuid:endpoint_id>/", who=_as_boss, body=_endpoint_change),
    Call(method="DELETE", template="api/v1/webhooks/endpoints/<uuid:endpoint_id>/", who=_as_boss),
    Call(
        method="POST",
        template="api/v1/webhooks/endpoints/<uuid:endpoint_id>/rotate-secret/",
        who=_as_boss,
        body=lambda _: {"overlap_hours": 24},
    ),
    Call(
        method="POST",
        template="api/v1/webhooks/endpoints/<uuid:endpoint_id>/test/",
        who=_as_boss,
        body=lambda _: {},
    ),
    Call(method="GET", template="api/v1/webhooks/messages/", who=_as_boss),
    Call(method="GET", template="api/v1/webhooks/messages/<uuid:message_id>/", who=_as_boss),
    Call(
        method="POST",
        template="api/v1/webhooks/messages/<uuid:message_id>/resend/",
        who=_as_boss,
        body=lambda _: {},
    ),
    Call(method="POST", template="api/v1/payments/chapa/webhook/", body=_delivery, is_signed=True),
    Call(method="GET", template="api/v1/payments/chapa/callback/"),
    Call(method="POST", template="graphql/", body=_graphql),
    Call(method="GET", template="api/schema/", answers="application/vnd.oai.openapi", is_costly=True),
    Call(method="GET", template="api/docs/", answers=HTML),
    Call(method="GET", template="api/redoc/", answers=HTML),
    Call(method="GET", template="problems/<slug:code>/"),
    Call(method="GET", template="order/<order_number:number>/", answers=HTML),
    Call(method="GET", template="account/password/", answers=HTML),
    Call(method="GET", template="order/assets/<str:release>/<str:name>", answers="text/css"),
    Call(method="GET", template="healthz/live"),
    Call(method="GET", template="healthz/ready"),
)


def templates() -> list[str]:
    """What the URLconf has, as it writes it."""

    def walk(resolver: Any, prefix: str) -> Iterator[str]:
        for pattern in resolver.url_patterns:
            template = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern, template)
            else:
                yield template

    return list(dict.fromkeys(walk(get_resolver(), "")))


def plain(template: str) -> str:
    """As a reader writes it: `/api/v1/orders/{number}/`."""
    return "/" + _PARAMETER.sub(r"{\1}", template)


def parameters(template: str) -> list[str]:
    return _PARAMETER.findall(template) + _GROUP.findall(template)


def concrete(template: str, scene: Scene, **changes: str) -> str:
    """An address of this route. A parameter that nobody has thought of fails here."""
    values = {
        "slug": scene.product.slug,
        "number": scene.order.number,
        "code": "not_found",
        "release": "r",
        "name": "order.css",
        "payment_id": str(scene.paid.pk),
        "refund_id": str(scene.refund.pk),
        "address_id": str(scene.address.pk),
        "provider": "local",
        "identity_id": str(scene.identity.pk),
        "discrepancy_id": str(scene.discrepancy.pk),
        "endpoint_id": str(scene.endpoint.pk),
        "message_id": str(scene.webhook.pk),
        # The staff site's
        "object_id": "1",
        "verb": "resolve",
        "export_id": str(scene.refund.pk),
        "kind": "orders.order",
        "content_type_id": "1",
        "app_label": "orders",
        "id": "1",
        "url": "nothing",
    } | changes
    plain = template.replace("^", "").replace("$", "").replace("\\", "")
    return "/" + _PARAMETER.sub(lambda found: values[found[1]], _GROUP.sub(lambda found: values[found[1]], plain))


def raw_with(body: Any, place: tuple[str | int, ...], fragment: str) -> bytes:
    """`body` as JSON, with `fragment` as it stands at one place."""
    marker = uuid.uuid4().hex
    copy: Any = json.loads(json.dumps(body))
    inner = copy
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = marker
    return json.dumps(copy).replace(f'"{marker}"', fragment).encode("utf-8", "surrogatepass")


@dataclass(slots=True)
class Sender:
    """Sends requests as a WSGI server would hand them over: header values and paths are bytes seen as Latin-1."""

    scene: Scene
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def send(
        self,
        call: Call,
        *,
        method: str = "",
        path: str = "",
        query: str = "",
        raw: bytes | None = None,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> HttpResponse:
        """A request in order, but for what is given. It is signed where Chapa would sign it."""
        if raw is None and call.body is not None:
            raw = json.dumps(call.body(self.scene)).encode()
        raw = raw or b""
        signed = (
            {"X-Chapa-Signature": signature.sign(body=raw, secret=settings.CHAPA_WEBHOOK_SECRET)}
            if call.is_signed
            else {}
        )
        all_headers = {**call.headers(self.scene), **signed, **(headers or {})}
        # A scheme and host before it keep the client from reading two slashes at the beginning as a host.
        target = f"http://testserver{quote(path or call.path(self.scene), safe='/%;*:@!$&()+,=~.-_')}"
        self.client.cookies.clear()
        response = self.client.generic(
            method or call.method,
            f"{target}?{query}" if query else target,
            raw,
            content_type=content_type,
            headers={name: _as_latin_1(value) for name, value in all_headers.items()},
        )
        assert isinstance(response, HttpResponse)
        return response


def _as_latin_1(value: str) -> str:
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    return value
