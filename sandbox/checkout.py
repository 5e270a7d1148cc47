"""The hosted checkout page: what the customer sees and does. Server-rendered, works without JavaScript."""

import contextlib
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import jinja2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox import methods
from sandbox.books import NotAllowed
from sandbox.methods import Method
from sandbox.notices import with_query
from sandbox.transaction import CAPTURED, Status, Transaction
from sandbox.world import World

# Nothing is loaded from anywhere; the one style sheet is in the page.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_SECONDS_UNTIL_REDIRECT = 3
_LONGEST_FIELD = 100
_CLOSED_TITLES = {
    Status.FAILED: "Payment failed",
    Status.CANCELLED: "Payment cancelled",
    Status.EXPIRED: "This link has expired",
}

_templates = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What was wrong with the last step, and which method to open again."""

    text: str
    method: str = ""


def _money(value: Decimal) -> str:
    return format(value, ",.2f")


def _render(name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    page = _templates.get_template(name).render(money=_money, **values)
    return HTMLResponse(page, status_code=status, headers=_HEADERS)


def _find(world: World, request: Request) -> Transaction:
    world.outcomes.catch_up()
    transaction = world.books.by_token(request.path_params["token"])
    if transaction is None:
        raise HTTPException(status_code=404)
    return transaction


def _here(transaction: Transaction) -> Response:
    """Post, then look: a reload of the page repeats nothing."""
    return RedirectResponse(f"/checkout/payment/{transaction.token}", status_code=303)


def _page(world: World, transaction: Transaction, *, problem: Problem | None = None, status: int = 200) -> Response:
    common: dict[str, Any] = {
        "transaction": transaction,
        "merchant": world.merchant.name,
        "action": f"/checkout/payment/{transaction.token}",
        "problem": problem,
    }
    if transaction.status in CAPTURED:
        return _success(world, transaction, common)
    if transaction.status is not Status.PENDING:
        return _render(
            "closed.html",
            heading=_CLOSED_TITLES[transaction.status],
            **common,
        )
    if transaction.waiting_for_otp:
        return _render(
            "otp.html", status=status, method=methods.ALL[transaction.waiting_for_otp], otp=methods.TEST_OTP, **common
        )
    seconds_left = (transaction.expires_at - world.clock.now()).total_seconds()
    choices = [
        (method, method.refusal(amount=transaction.amount, currency=transaction.currency))
        for method in methods.ALL.values()
    ]
    open_now = (problem.method if problem else "") or transaction.method or ""
    return _render(
        "choose.html",
        status=status,
        choices=choices,
        open_now=open_now,
        cards=methods.TEST_CARDS,
        expiry=methods.TEST_EXPIRY,
        attempts_left=world.merchant.max_attempts - transaction.attempts,
        minutes_left=max(math.ceil(seconds_left / 60), 1),
        **common,
    )


def _success(world: World, transaction: Transaction, common: Mapping[str, Any]) -> Response:
    way = world.switches["return_redirect"]
    back = transaction.return_url or ""
    if back and world.switches["return_params"] == "append":
        back = with_query(url=back, params={"trx_ref": transaction.tx_ref, "status": "success"})
    if back and way != "none" and world.faults.take(route="redirect", tx_ref=transaction.tx_ref):
        way = "none"
    if back and way == "303":
        return RedirectResponse(back, status_code=303, headers=_HEADERS)
    seconds = _SECONDS_UNTIL_REDIRECT if back and way == "page" else None
    known = methods.ALL.get(transaction.method or "")
    paid_with = known.name if known else transaction.method
    return _render("paid.html", back=back, seconds=seconds, paid_with=paid_with, **common)


async def _show(world: World, request: Request) -> Response:
    return _page(world, _find(world, request))


async def _fields(request: Request) -> dict[str, str]:
    form = await request.form(max_files=0, max_fields=20)
    return {name: value.strip()[:_LONGEST_FIELD] for name, value in form.items() if isinstance(value, str)}


async def _try_to_pay(world: World, request: Request) -> Response:
    fields = await _fields(request)
    transaction = _find(world, request)
    if transaction.status is not Status.PENDING:
        return _here(transaction)
    method = methods.ALL.get(fields.get("method", ""))
    if method is None:
        return _page(world, transaction, problem=Problem(text="Please choose how to pay."), status=422)
    refusal = method.refusal(amount=transaction.amount, currency=transaction.currency)
    if refusal:
        return _page(world, transaction, problem=Problem(text=f"{method.name}: {refusal}"), status=422)
    if method.kind == "card":
        return _pay_by_card(world, transaction, method, fields)
    return _pay_by_phone(world, transaction, method, fields)


def _pay_by_card(world: World, transaction: Transaction, method: Method, fields: dict[str, str]) -> Response:
    card = fields.get("card", "").replace(" ", "").replace("-", "")
    expiry, cvv = fields.get("expiry", ""), fields.get("cvv", "")
    if not (card.isdigit() and 12 <= len(card) <= 19 and expiry and cvv.isdigit()):
        text = "Please fill in the card number, the expiry date and the security code."
        return _page(world, transaction, problem=Problem(text=text, method=method.slug), status=422)
    if methods.card_accepted(card=card, expiry=expiry, cvv=cvv):
        world.outcomes.pay(transaction=transaction, method=method.slug)
    else:
        world.outcomes.fail_attempt(transaction=transaction, method=method.slug, reason="The card was declined.")
    return _here(transaction)


def _pay_by_phone(world: World, transaction: Transaction, method: Method, fields: dict[str, str]) -> Response:
    phone = fields.get("phone", "").replace(" ", "").replace("-", "")
    text = methods.phone_problem(phone=phone)
    if text:
        return _page(world, transaction, problem=Problem(text=text, method=method.slug), status=422)
    if phone not in method.test_numbers:
        world.outcomes.fail_attempt(
            transaction=transaction,
            method=method.slug,
            reason=f"{method.name} could not charge {phone}.",
        )
    elif method.otp:
        world.books.ask_for_otp(transaction, method=method.slug, phone=phone, at=world.clock.now())
    else:
        world.outcomes.pay(transaction=transaction, method=method.slug, phone=phone)
    return _here(transaction)


async def _enter_otp(world: World, request: Request) -> Response:
    fields = await _fields(request)
    transaction = _find(world, request)
    method = transaction.waiting_for_otp
    if transaction.status is not Status.PENDING or method is None:
        return _here(transaction)
    if "another" in fields:
        world.outcomes.fail_attempt(transaction=transaction, method=method, reason="No one-time password was entered.")
    elif not fields.get("otp"):
        problem = Problem(text="Please enter the one-time password.")
        return _page(world, transaction, problem=problem, status=422)
    elif fields["otp"] == methods.TEST_OTP:
        world.outcomes.pay(transaction=transaction, method=method, phone=transaction.payer_phone)
    else:
        world.outcomes.fail_attempt(transaction=transaction, method=method, reason="The one-time password was wrong.")
    return _here(transaction)


async def _cancel(world: World, request: Request) -> Response:
    transaction = _find(world, request)
    with contextlib.suppress(NotAllowed):  # it may have ended meanwhile; the page shows how
        world.outcomes.close(transaction=transaction, status=Status.CANCELLED)
    return _here(transaction)


async def _start(world: World, _request: Request) -> Response:
    """A page to land on: what this is, and the latest transactions unless control is locked."""
    world.outcomes.catch_up()
    latest = [] if world.control_token else world.books.latest(mode=None, skip=0, limit=20)
    return _render("start.html", world=world, latest=latest, now=world.clock.now())


def _endpoint(
    world: World, serve: Callable[[World, Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            return await serve(world, request)
        except HTTPException as problem:
            if problem.status_code == 404:
                return _render("missing.html", status=404)
            raise

    return endpoint


def routes(*, world: World) -> list[BaseRoute]:
    """The pages' routes."""
    page = "/checkout/payment/{token}"
    return [
        Route("/", _endpoint(world, _start), methods=["GET"]),
        Route(page, _endpoint(world, _show), methods=["GET"]),
        Route(page, _endpoint(world, _try_to_pay), methods=["POST"]),
        Route(f"{page}/otp", _endpoint(world, _enter_otp), methods=["POST"]),
        Route(f"{page}/cancel", _endpoint(world, _cancel), methods=["POST"]),
    ]
