"""The control API under /control: who may ask, every route, and the short answers. JSON throughout."""

import hmac
import inspect
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox import control_merchant, control_messages, control_outcomes, oracle
from sandbox import control_views as views
from sandbox.books import BooksRefusal
from sandbox.command import BadCommand, Body, Command, NoSuchThing, duration
from sandbox.faults import BadRule
from sandbox.merchant import BadKey
from sandbox.samples import BadSample
from sandbox.switches import UnknownSwitch
from sandbox.transaction import RefundStatus
from sandbox.world import World

Handler = Callable[[Command], Any]

_REFUSALS: tuple[tuple[type[Exception], int], ...] = (
    (NoSuchThing, 404),
    (BooksRefusal, 409),
    (BadCommand, 422),
    (BadRule, 422),
    (BadKey, 422),
    (BadSample, 422),
    (UnknownSwitch, 422),
)
_READABLE = tuple(kind for kind, _ in _REFUSALS)


def _clock(command: Command) -> Body:
    clock, body = command.world.clock, command.body
    by = duration(value=body["advance"]) if "advance" in body else None
    if "skew" in body:
        clock.set_skew(skew=duration(value=body["skew"]))
    if by is not None:
        try:
            clock.advance(by=by)
        except ValueError as problem:
            raise BadCommand(str(problem)) from problem
        command.world.outcomes.catch_up()
    return {
        "now": clock.now(),
        "advanced_seconds": clock.advanced.total_seconds(),
        "skew_seconds": clock.skew.total_seconds(),
    }


def _switches(command: Command) -> Body:
    switches = command.world.switches
    changes = {name: value for name, value in command.body.items() if name != "profile"}
    if "profile" in command.body:
        switches.choose(profile=command.body["profile"])
    switches.change(changes=changes)
    return {"profile": switches.profile, "switches": switches.listing()}


async def _unreachable(command: Command) -> Body:
    world = command.world
    mode = command.choice("mode", options=("no", "reset", "refuse"), default="reset")
    if mode == "refuse" and world.door is None:
        raise BadCommand("refuse shuts this address too: start with --control-port, and ask there")
    world.unreachable = mode
    if world.door is not None:
        await (world.door.shut() if mode == "refuse" else world.door.open())
    return {"unreachable": mode}


def _requests(command: Command) -> Body:
    since = command.query("since") or "0"
    rows = command.world.requests.select(
        route=command.query("route"),
        tx_ref=command.query("tx_ref"),
        since=int(since) if since.isdecimal() else 0,
    )
    if command.query("count") == "only":
        return {"count": len(rows)}
    return {"count": len(rows), "requests": [dict(vars(seen)) for seen in rows]}


def _forget_requests(command: Command) -> Body:
    command.world.requests.clear()
    return {"count": 0}


def _books(command: Command) -> Body:
    command.world.outcomes.catch_up()
    return oracle.summary(books=command.world.books)


async def _reset(command: Command) -> Body:
    command.world.reset()
    if command.world.door is not None:
        await command.world.door.open()
    return {"status": "ok"}


def _health(command: Command) -> Body:
    world = command.world
    return {
        "status": "ok",
        "profile": world.switches.profile,
        "now": world.clock.now(),
        "transactions": len(world.books),
        "faults": len(list(world.faults)),
        "unreachable": world.unreachable,
        "webhook_url": world.merchant.webhook_url,
        "public_url": world.public_url,
    }


async def _body_of(request: Request) -> Body:
    raw = await request.body()
    if not raw:
        return {}
    try:
        body = json.loads(raw, parse_float=Decimal)
    except (ValueError, RecursionError) as problem:
        raise BadCommand(f"the body is not JSON: {problem}") from problem
    if not isinstance(body, dict):
        raise BadCommand("the body is a JSON object")
    return body


def _endpoint(world: World, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        token = request.headers.get("x-control-token", "")
        if world.control_token and not hmac.compare_digest(token.encode(), world.control_token.encode()):
            return JSONResponse({"error": "X-Control-Token is missing or wrong"}, status_code=401)
        try:
            result = handler(Command(world=world, request=request, body=await _body_of(request)))
            if inspect.isawaitable(result):
                result = await result
        except _READABLE as problem:
            code = next(code for kind, code in _REFUSALS if isinstance(problem, kind))
            return JSONResponse({"error": str(problem.args[0])}, status_code=code)
        return JSONResponse(views.plain(value=result))

    return serve


def routes(*, world: World) -> list[BaseRoute]:
    """Every route of the control API."""
    outcomes, messages = control_outcomes, control_messages
    one = "/transactions/{tx_ref:path}"
    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/health", _health),
        ("GET", "/books", _books),
        ("POST", "/reset", _reset),
        ("GET", "/clock", _clock),
        ("POST", "/clock", _clock),
        ("GET", "/switches", _switches),
        ("POST", "/switches", _switches),
        ("GET", "/merchant", control_merchant.settings),
        ("POST", "/merchant", control_merchant.settings),
        ("GET", "/faults", messages.faults),
        ("POST", "/faults", messages.add_fault),
        ("DELETE", "/faults", messages.clear_faults),
        ("DELETE", "/faults/{rule_id:int}", messages.clear_faults),
        ("POST", "/unreachable", _unreachable),
        ("GET", "/requests", _requests),
        ("DELETE", "/requests", _forget_requests),
        ("GET", "/deliveries", messages.deliveries),
        ("POST", "/deliveries/release", messages.release),
        ("POST", "/deliveries/{delivery_id:int}/replay", messages.replay),
        ("POST", "/webhooks/trigger", messages.trigger),
        *(
            ("POST", f"/refunds/{{ref_id:path}}/{status}", outcomes.moving_refund(to=status))
            for status in (RefundStatus.PROCESSING, RefundStatus.REFUNDED, RefundStatus.REVERSED)
        ),
        ("GET", "/transactions", outcomes.listing),
        ("POST", f"{one}/pay", outcomes.pay),
        ("POST", f"{one}/fail", outcomes.fail),
        ("POST", f"{one}/cancel", outcomes.cancel),
        ("POST", f"{one}/expire", outcomes.expire),
        ("POST", f"{one}/refund", outcomes.refund),
        ("POST", f"{one}/reverse", outcomes.reverse),
        ("POST", f"{one}/replay", messages.replay),
        ("GET", one, outcomes.details),
    )
    return [Route(path, _endpoint(world, handler), methods=[method]) for method, path, handler in table]
