"""Chapa's API under /v1: who is asking, which route, what it answers."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sandbox import banks, initialize_rules, wire
from sandbox.books import BooksRefusal, InsufficientBalance, NotAllowed, TooMuch, UsedBefore, random_id
from sandbox.initialize_rules import read_amount
from sandbox.merchant import CURRENCIES
from sandbox.signing import number
from sandbox.transaction import Status, Transaction
from sandbox.world import World

PER_PAGE = 10
_HEADER_SETTINGS = "Incorrect header settings Please check if content-type is present and set to application/json"
_NO_PAYMENTS = (
    "Invalid API Key or  the business can't accept payments at the moment. Please verify your API key and "
    "ensure the account is active and able to process payments."
)
EDGE_PAGE = (
    "<!DOCTYPE html><html><head><title>400 Bad Request</title></head><body><center><h1>400 Bad Request</h1>"
    "</center><hr><center>edge</center></body></html>"
)


@dataclass(kw_only=True)
class Call:
    """One call, read. `fields` are those of its body, whatever form that had."""

    method: str
    path: str
    query: dict[str, str]
    authorization: str
    media_type: str
    body: bytes
    fields: dict[str, Any] = field(default_factory=dict)
    reference: str = ""
    mode: str | None = None


@dataclass(kw_only=True)
class Answer:
    """What is sent back: a JSON body, or text that is not JSON."""

    status: int
    body: Any = None
    html: str | None = None


def refuse(status: int, message: Any) -> Answer:
    """The usual failure."""
    return Answer(status=status, body=wire.failed(message=message))


@dataclass(frozen=True, kw_only=True)
class Route:
    """A method, a path and what serves it; `wrong_key` is what a wrong key is told there."""

    name: str
    method: str
    pattern: re.Pattern[str]
    serve: Callable[[World, Call], Answer]
    wrong_key: str = "Invalid API Key or User doesn't exist"


def _initialize(world: World, call: Call) -> Answer:
    is_form = call.media_type in {"application/x-www-form-urlencoded", "multipart/form-data"}
    form_ok = is_form and world.switches["form_bodies"] == "accept"
    if call.media_type != "application/json" and not form_ok:
        return refuse(400, _HEADER_SETTINGS)
    fields = call.fields
    errors = initialize_rules.field_errors(fields=fields, switches=world.switches)
    if errors:
        return refuse(400, errors)
    currency = fields.get("currency") or "ETB"
    if currency not in CURRENCIES:
        return refuse(400, f"Invalid currency, {currency} is not supported")
    if world.merchant.business_state == "api_disabled":
        return refuse(404, "Payments through API is disabled, please contact us")
    if world.merchant.business_state == "cannot_receive":
        return refuse(400, "User can't receive payments")
    amount = read_amount(value=fields["amount"]) or Decimal(0)  # never 0: it was validated
    refusal = initialize_rules.subaccount_refusal(
        given=fields.get("subaccounts"), amount=amount, merchant=world.merchant
    )
    if refusal:
        return refuse(400, refusal)
    return _create(world, call, amount=amount, currency=currency)


def _create(world: World, call: Call, *, amount: Decimal, currency: str) -> Answer:
    fields = call.fields
    customization = fields.get("customization") or {}
    try:
        transaction = world.books.create(
            tx_ref=fields.get("tx_ref") or random_id(length=12, prefix="TX"),
            amount=amount,
            currency=currency,
            mode=call.mode,
            at=world.clock.now(),
            title=customization.get("title"),
            description=customization.get("description"),
            logo=customization.get("logo"),
            meta=fields.get("meta"),
            **{name: fields.get(name) or None for name in (
                "first_name", "last_name", "email", "phone_number", "callback_url", "return_url",
            )},
        )  # fmt: skip
    except UsedBefore:
        return refuse(400, "Transaction reference has been used before")
    checkout_url = f"{world.public_url}/checkout/payment/{transaction.token}"
    return Answer(status=200, body=wire.success(message="Hosted Link", data={"checkout_url": checkout_url}))


def _unknown_transaction(world: World) -> Answer:
    if world.switches["verify_unknown"] == "404":
        return refuse(404, "Invalid transaction or Transaction not found")
    return refuse(400, "Invalid transaction reference")


def _verify(world: World, call: Call) -> Answer:
    transaction = world.books.by_tx_ref(call.reference)
    if transaction is None:
        return _unknown_transaction(world)
    if transaction.mode != call.mode:
        asked, is_ = ("Live", "test") if call.mode == "live" else ("Test", "live")
        return refuse(401, f"{asked} secret keys can't be used to verify a {is_} transaction")
    return verify_answer(world=world, transaction=transaction)


def verify_answer(*, world: World, transaction: Transaction) -> Answer:
    """What verify says about a transaction, under the switches."""
    form = world.switches["verify_unpaid"]
    untouched = not transaction.attempts and not transaction.waiting_for_otp
    not_found = form in {"404_null", "404_text_null"} or (form == "404_until_attempt" and untouched)
    if transaction.status is Status.PENDING and not_found:
        status = "null" if form == "404_text_null" else None
        return Answer(status=404, body={"message": "Payment not paid yet", "status": status, "data": None})
    data = wire.verify_data(transaction=transaction, switches=world.switches, clock=world.clock)
    details = world.switches["verify_message"] == "details"
    body = {
        "message": "Payment details" if details else "Payment details fetched successfully",
        "status": data["status"] if world.switches["verify_top_status"] == "mirror" else "success",
        "data": data,
    }
    return Answer(status=200, body=body)


def _cancel(world: World, call: Call) -> Answer:
    transaction = world.books.by_tx_ref(call.reference)
    if transaction is None or transaction.mode != call.mode:
        return _unknown_transaction(world)
    try:
        world.outcomes.cancel_by_merchant(transaction=transaction)
    except NotAllowed:
        return refuse(int(world.switches["cancel_refused"]), "Payment link already expired")
    data = wire.cancel_data(transaction=transaction, clock=world.clock)
    return Answer(status=200, body=wire.success(message="Checkout link expired successfully", data=data))


def _events(world: World, call: Call) -> Answer:
    accepted = world.switches["events_reference"]
    found = None
    if accepted in {"both", "tx_ref"}:
        found = world.books.by_tx_ref(call.reference)
    if found is None and accepted in {"both", "reference"}:
        found = world.books.by_reference(call.reference)
    if found is None or found.mode != call.mode:
        return refuse(404, "Transaction not found")
    rows = wire.log_rows(transaction=found, clock=world.clock)
    return Answer(status=200, body=wire.success(message="Transaction events fetched", data=rows))


def _transactions(world: World, call: Call) -> Answer:
    asked = call.query.get("page", "1")
    page = max(int(asked), 1) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 1
    found = world.books.latest(mode=call.mode, skip=(page - 1) * PER_PAGE, limit=PER_PAGE + 1)
    address = f"{world.public_url}/v1/transactions?page="
    data = {
        "transactions": [
            wire.list_row(transaction=t, switches=world.switches, clock=world.clock) for t in found[:PER_PAGE]
        ],
        "pagination": {
            "per_page": PER_PAGE,
            "current_page": page,
            "first_page_url": f"{address}1",
            "next_page_url": f"{address}{page + 1}" if len(found) > PER_PAGE else None,
            "prev_page_url": f"{address}{page - 1}" if page > 1 else None,
        },
    }
    return Answer(status=200, body=wire.success(message="Transactions retrieved successfully", data=data))


_REFUND_REFUSALS: dict[type[BooksRefusal], str] = {
    NotAllowed: "Transaction is not successful",
    UsedBefore: "The reference number has been used before",
    TooMuch: "Refund amount is greater than the remaining amount of the transaction",
    InsufficientBalance: "Insufficient Balance",
}


def _refund_errors(world: World, fields: dict[str, Any]) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if not initialize_rules.is_missing(fields.get("amount")):
        problem = initialize_rules.amount_error(value=fields["amount"], switches=world.switches)
        if problem:
            errors["amount"] = [problem]
    if world.switches["refund_amount"] == "full_only" and initialize_rules.is_missing(fields.get("reason")):
        errors["reason"] = ["validation.required"]
    for name in ("reason", "reference"):
        if fields.get(name) is not None and not isinstance(fields[name], str):
            errors[name] = ["validation.string"]
    return errors


def _refund(world: World, call: Call) -> Answer:
    transaction = world.books.by_reference(call.reference)
    if transaction is None and world.switches["refund_path"] == "both":
        transaction = world.books.by_tx_ref(call.reference)
    if transaction is None or transaction.mode != call.mode:
        return refuse(404, "Transaction not found")
    errors = _refund_errors(world, call.fields)
    if errors:
        return refuse(400, errors)
    given = call.fields.get("amount")
    amount = None if initialize_rules.is_missing(given) else read_amount(value=given)
    if world.switches["refund_amount"] == "full_only" and amount not in {None, transaction.captured}:
        return refuse(400, "Partial refund is not supported")
    try:
        refund = world.outcomes.refund(
            transaction=transaction,
            amount=amount,
            merchant_reference=call.fields.get("reference") or None,
            reason=call.fields.get("reason"),
            meta=call.fields.get("meta"),
        )
    except BooksRefusal as refusal:
        return refuse(400, _REFUND_REFUSALS[type(refusal)])
    data = wire.refund_data(refund=refund, transaction=transaction, switches=world.switches, clock=world.clock)
    message = "Refund initiated successfully. Processing time: 1-3 business days"
    return Answer(status=200, body=wire.success(message=message, data=data))


def _refund_verify(world: World, call: Call) -> Answer:
    refund = world.books.refund(call.reference)
    if refund is None and world.switches["refund_verify_path"] == "both":
        refund = world.books.refund_by_merchant_reference(call.reference)
    transaction = world.books.by_tx_ref(refund.tx_ref) if refund else None
    if refund is None or transaction is None or transaction.mode != call.mode:
        return refuse(404, "Transaction not found")
    data = wire.refund_verify_data(refund=refund, transaction=transaction, clock=world.clock)
    return Answer(status=200, body=wire.success(message="Refund verified successfully", data=data))


def _banks(world: World, _call: Call) -> Answer:
    body: dict[str, Any] = {"message": "Banks retrieved", "data": banks.listing()}
    if world.switches["banks_status"] == "success":
        body["status"] = "success"
    return Answer(status=200, body=body)


def _currencies(world: World, _call: Call) -> Answer:
    if world.switches["currency_shape"] == "names":
        body: dict[str, Any] = {
            "message": "Supported countries retrieved successfully",
            "status": "success",
            "currency_code": ["ETB", "USD"],
            "currency_name": ["Ethiopian Birr", "US Dollar"],
        }
    else:
        body = {"status": "success", "currency_code": [1, 2], "currency_name": ["ETB", "USD"]}
    return Answer(status=200, body=body)


def _balances(world: World, call: Call) -> Answer:
    if call.reference and call.reference.upper() not in CURRENCIES:
        return refuse(400, f"Invalid currency, {call.reference} is not supported")
    wanted = [call.reference.upper()] if call.reference else CURRENCIES
    rows = [
        {
            "currency": currency,
            "available_balance": number(world.books.available(currency=currency)),
            "ledger_balance": 0,
        }
        for currency in wanted
    ]
    return Answer(status=200, body=wire.success(message="Balance fetched successfully", data=rows))


_SHORT = "Invalid API Key"


def _route(name: str, method: str, path: str, serve: Callable[[World, Call], Answer], **more: str) -> Route:
    return Route(name=name, method=method, pattern=re.compile(path, re.DOTALL), serve=serve, **more)


ROUTES = (
    _route("initialize", "POST", "transaction/initialize", _initialize),
    _route("mobile_initialize", "POST", "transaction/mobile-initialize", _initialize),
    _route("verify", "GET", "transaction/verify/(.+)", _verify, wrong_key=_SHORT),
    _route("cancel", "PUT", "transaction/cancel/(.+)", _cancel),
    _route("events", "GET", "transaction/events/(.+)", _events),
    _route("transactions", "GET", "transactions", _transactions, wrong_key=_NO_PAYMENTS),
    _route("refund_verify", "GET", "refund/(.+)/verify", _refund_verify),
    _route("refund", "POST", "refund/(.+)", _refund),
    _route("banks", "GET", "banks", _banks, wrong_key=_SHORT),
    _route("currency_supported", "GET", "currency_supported", _currencies),
    _route("balances", "GET", "balances(?:/([^/]+))?", _balances, wrong_key=_SHORT),
)


def find_route(*, call: Call) -> Route | None:
    """The route of a call; the reference in its path is put into the call."""
    path = call.path.removesuffix("/") or call.path
    for route in ROUTES:
        if route.method == call.method and (found := route.pattern.fullmatch(path)):
            call.reference = (found.groups() or ("",))[0] or ""
            return route
    return None


def answer(*, world: World, route: Route | None, call: Call) -> Answer:
    """Serve one call. Who is asking is checked before anything else, the route before that."""
    if route is None:
        return Answer(status=404, body=wire.NOT_FOUND_ROUTE)
    if call.method == "GET" and call.body and world.switches["get_with_body"] == "html":
        return Answer(status=400, html=EDGE_PAGE)
    scheme, _, key = call.authorization.partition(" ")
    if not key.strip() or scheme.lower() != "bearer":
        return refuse(401, "Authorization required")
    call.mode = world.merchant.key_mode(presented=key.strip())
    if call.mode is None:
        return refuse(401, route.wrong_key)
    world.outcomes.catch_up()
    return route.serve(world, call)
