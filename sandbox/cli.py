"""The command line: serve a sandbox, or tell a running one what to do."""

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from sandbox import server
from sandbox.clock import parse_duration
from sandbox.deliveries import RetryPolicy
from sandbox.merchant import DEFAULT_SECRET_KEY, DEFAULT_WEBHOOK_SECRET, BadKey, Merchant, mode_of
from sandbox.remote import Control, NotRunning, Refused
from sandbox.samples import EVENTS
from sandbox.statefile import BrokenState
from sandbox.switches import ALL as SWITCHES
from sandbox.switches import PROFILES, UnknownSwitch, parse_assignments
from sandbox.world import Options, World

DEFAULT_URL = "http://127.0.0.1:8001"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Refusal(Exception):
    """The command cannot be carried out; the text says why."""


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise argparse.ArgumentTypeError(f"{text!r} is not a decimal number")
    return value


def _duration(text: str) -> Any:
    try:
        return parse_duration(text=text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def build_parser(*, environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """All commands; defaults come from `environ` where that is natural."""
    parser = argparse.ArgumentParser(
        prog="python -m sandbox",
        description="A local stand-in for Chapa: API, checkout page, webhooks, refunds, faults, a virtual clock.",
        epilog="Start with: python -m sandbox serve --webhook-url http://127.0.0.1:8000/your/webhook/",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_serve(commands, environ)
    asking = argparse.ArgumentParser(add_help=False)
    asking.add_argument(
        "--url",
        default=environ.get("SANDBOX_URL", DEFAULT_URL),
        help="the running sandbox (SANDBOX_URL; %(default)s)",
    )
    asking.add_argument(
        "--control-token",
        default=environ.get("SANDBOX_CONTROL_TOKEN", ""),
        help="the token it was started with (SANDBOX_CONTROL_TOKEN)",
    )
    _add_outcomes(commands, asking)
    _add_messages(commands, asking)
    _add_looking(commands, asking)
    return parser


def _add_serve(commands: Any, environ: Mapping[str, str]) -> None:
    serve = commands.add_parser("serve", help="run a sandbox", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = serve.add_argument
    add("--host", default=environ.get("SANDBOX_HOST", "127.0.0.1"), help="address to listen on (SANDBOX_HOST)")
    add("--port", type=int, default=int(environ.get("SANDBOX_PORT", "8001")), help="port (SANDBOX_PORT)")
    add("--control-port", type=int, help="also serve on this port, which stays open when the main one is shut")
    add(
        "--public-url",
        default=environ.get("SANDBOX_PUBLIC_URL", ""),
        help="what checkout links begin with, if not the address (SANDBOX_PUBLIC_URL)",
    )
    add(
        "--secret-key",
        default=environ.get("SANDBOX_SECRET_KEY", DEFAULT_SECRET_KEY),
        help="the API key to accept; its prefix decides the mode (SANDBOX_SECRET_KEY)",
    )
    add("--also-accept", action="append", default=[], metavar="KEY", help="another key; may be repeated")
    add("--mode", choices=("test", "live"), default="test", help="live also admits keys that look live")
    add(
        "--webhook-url",
        default=environ.get("SANDBOX_WEBHOOK_URL", ""),
        help="where webhooks go (SANDBOX_WEBHOOK_URL)",
    )
    add(
        "--webhook-secret",
        default=environ.get("SANDBOX_WEBHOOK_SECRET", DEFAULT_WEBHOOK_SECRET),
        help="what webhooks are signed with (SANDBOX_WEBHOOK_SECRET)",
    )
    add("--webhook-attempts", type=int, default=10, help="tries per webhook")
    add("--webhook-interval", type=_duration, default="10m", help="virtual time between tries")
    add("--webhook-timeout", type=float, default=10.0, help="real seconds that a receiver has")
    add("--webhook-workers", type=int, default=8, help="deliveries at the same time")
    add(
        "--profile",
        choices=PROFILES,
        default=environ.get("SANDBOX_PROFILE", "live2026"),
        help="which of Chapa's two behaviours to start from (SANDBOX_PROFILE)",
    )
    add(
        "--switch",
        action="append",
        default=environ.get("SANDBOX_SWITCHES", "").split(),
        metavar="NAME=VALUE",
        help="change one behaviour; see `switches` (SANDBOX_SWITCHES, separated by spaces)",
    )
    add("--merchant-name", default="Sandbox Merchant", help="shown on the checkout page")
    add(
        "--fee-percent",
        type=_decimal,
        default=environ.get("SANDBOX_FEE_PERCENT", "3.5"),
        help="Chapa's fee (SANDBOX_FEE_PERCENT)",
    )
    add("--retry-window", type=_duration, default="60m", help="how long a customer may try")
    add("--max-attempts", type=int, default=10, help="how often a customer may try")
    add("--refund-processing-after", type=_duration, default="1h", help="virtual time until processing")
    add("--refund-done-after", type=_duration, default="24h", help="virtual time until refunded")
    add(
        "--state",
        type=Path,
        default=environ.get("SANDBOX_STATE"),
        metavar="FILE",
        help="keep the books in this file across restarts (SANDBOX_STATE)",
    )
    add(
        "--control-token",
        default=environ.get("SANDBOX_CONTROL_TOKEN", ""),
        help="ask for this in X-Control-Token (SANDBOX_CONTROL_TOKEN)",
    )


def _add_outcomes(commands: Any, asking: argparse.ArgumentParser) -> None:
    helps = {
        "pay": "let the customer pay",
        "fail": "let the payment fail for good",
        "cancel": "let the customer cancel",
        "expire": "let the retry window pass",
        "reverse": "take a captured payment back",
        "refund": "refund it as from the dashboard",
    }
    for name, text in helps.items():
        command = commands.add_parser(name, help=text, parents=[asking])
        command.add_argument("tx_ref", metavar="TX_REF")
        command.add_argument("--no-webhook", action="store_true", help="do not tell the merchant")
        if name in {"pay", "refund"}:
            command.add_argument("--amount", type=_decimal, help="another amount than the whole")
        if name == "pay":
            command.add_argument("--method", default="telebirr", help="payment method (%(default)s)")
            command.add_argument("--currency", help="another currency than asked")
            command.add_argument("--no-callback", action="store_true", help="do not call callback_url")
            command.add_argument("--force", action="store_true", help="even if it is closed already")
        if name == "fail":
            command.add_argument("--attempt-only", action="store_true", help="the customer may try again")
        if name == "refund":
            command.add_argument("--status", default="refunded", help="where it ends (%(default)s)")


def _add_messages(commands: Any, asking: argparse.ArgumentParser) -> None:
    replay = commands.add_parser("replay", help="send a webhook again, byte for byte", parents=[asking])
    replay.add_argument("tx_ref", metavar="TX_REF")
    replay.add_argument("--copies", type=int, default=1, help="how many, all at once (%(default)s)")
    trigger = commands.add_parser("trigger", help="send a signed sample event", parents=[asking])
    trigger.add_argument("event", metavar="EVENT", help=", ".join(EVENTS))
    trigger.add_argument("--tx-ref", help="about this transaction")


def _add_looking(commands: Any, asking: argparse.ArgumentParser) -> None:
    clock = commands.add_parser("clock", help="show or advance the virtual clock", parents=[asking])
    clock.add_argument("--advance", metavar="DURATION", help="such as 90s, 10m, 2h, 3d")
    commands.add_parser("books", help="what really happened to the money", parents=[asking])
    seen = commands.add_parser("requests", help="API calls that came in", parents=[asking])
    seen.add_argument("--tx-ref", help="only about this transaction")
    sent = commands.add_parser("deliveries", help="webhooks and callbacks that went out", parents=[asking])
    sent.add_argument("--tx-ref", help="only about this transaction")
    commands.add_parser("switches", help="every disputed behaviour and its explanation")


def options_from(*, args: argparse.Namespace) -> Options:
    """What `serve` was asked for.

    :raises Refusal: for a key that looks live without `--mode live`, or a bad number.
    :raises UnknownSwitch: for an unknown switch.
    """
    keys = (args.secret_key, *args.also_accept)
    for key in keys:
        try:
            mode = mode_of(secret_key=key)
        except BadKey as problem:
            raise Refusal(str(problem)) from problem
        if mode == "live" and args.mode != "live":
            raise Refusal(
                "that key looks like a live one. A sandbox needs no real key: take it out of this machine's "
                "configuration. If it is made up and a test needs live mode, add --mode live."
            )
    if not args.webhook_secret:
        raise Refusal("the webhook secret is empty: leave it out for the default")
    if min(args.webhook_attempts, args.webhook_workers, args.max_attempts) < 1:
        raise Refusal("attempts and workers are at least 1")
    changes = parse_assignments(texts=args.switch)
    return Options(
        merchant=Merchant(
            name=args.merchant_name,
            secret_keys=keys,
            webhook_url=args.webhook_url,
            webhook_secret=args.webhook_secret,
            fee_percent=args.fee_percent,
            retry_window=args.retry_window,
            max_attempts=args.max_attempts,
            refund_processing_after=args.refund_processing_after,
            refund_done_after=args.refund_done_after,
        ),
        profile=args.profile,
        switches=changes,
        public_url=args.public_url,
        control_token=args.control_token,
        state=args.state,
        retry=dataclasses.replace(
            RetryPolicy(),
            attempts=args.webhook_attempts,
            interval=args.webhook_interval,
            timeout=args.webhook_timeout,
        ),
        workers=args.webhook_workers,
    )


def _announce(world: World, url: str, control_url: str) -> None:
    merchant = world.merchant
    default_key = merchant.secret_keys[0] == DEFAULT_SECRET_KEY
    print(f"Chapa sandbox on {url}")
    print(f"  API          {url}/v1")
    print(f"  control      {control_url}/control/health")
    print(f"  secret key   {DEFAULT_SECRET_KEY if default_key else 'as given'}")
    print(f"  webhooks to  {merchant.webhook_url or 'nowhere (give --webhook-url)'}")
    print(f"  profile      {world.switches.profile}", flush=True)


def _serve(args: argparse.Namespace) -> int:
    if args.host not in _LOOPBACK and not args.control_token:
        print(
            f"warning: {args.host} may be reachable by others, and whoever reaches /control can do anything; "
            "think of --control-token",
            file=sys.stderr,
        )
    server.serve(
        options=options_from(args=args),
        host=args.host,
        port=args.port,
        control_port=args.control_port,
        announce=_announce,
    )
    return 0


def _tell(args: argparse.Namespace) -> Any:
    control = Control(url=args.url, token=args.control_token)
    webhook = not getattr(args, "no_webhook", False)
    commands: dict[str, Callable[[], Any]] = {
        "pay": lambda: control.pay(
            tx_ref=args.tx_ref, amount=args.amount, currency=args.currency, method=args.method, webhook=webhook,
            callback=not args.no_callback, force=args.force,
        ),
        "fail": lambda: control.fail(tx_ref=args.tx_ref, attempt_only=args.attempt_only, webhook=webhook),
        "cancel": lambda: control.cancel(tx_ref=args.tx_ref, webhook=webhook),
        "expire": lambda: control.expire(tx_ref=args.tx_ref, webhook=webhook),
        "reverse": lambda: control.reverse(tx_ref=args.tx_ref, webhook=webhook),
        "refund": lambda: control.refund(
            tx_ref=args.tx_ref, amount=args.amount, status=args.status, webhook=webhook
        ),
        "replay": lambda: control.replay(tx_ref=args.tx_ref, copies=args.copies),
        "trigger": lambda: control.trigger(event=args.event, tx_ref=args.tx_ref),
        "clock": lambda: control.advance(by=args.advance) if args.advance else control.clock(),
        "books": control.books,
        "requests": lambda: control.requests(tx_ref=args.tx_ref),
        "deliveries": lambda: control.deliveries(tx_ref=args.tx_ref),
    }  # fmt: skip
    return commands[args.command]()


def _print_switches() -> None:
    for switch in SWITCHES.values():
        print(f"{switch.name} = {' | '.join(switch.values)}")
        print(f"    live2026: {switch.live2026}   docs: {switch.docs}")
        print(f"    {switch.explanation}")


def main(*, argv: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done, 1 refused, 2 wrongly called."""
    parser = build_parser(environ=os.environ if environ is None else environ)
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help()
        return 0
    try:
        if args.command == "serve":
            return _serve(args)
        if args.command == "switches":
            _print_switches()
        else:
            print(json.dumps(_tell(args), indent=2, ensure_ascii=False))
        sys.stdout.flush()  # here, where a reader that has gone is understood, and not while the interpreter ends
    except (Refusal, Refused, NotRunning, UnknownSwitch, BrokenState, server.AddressInUse) as problem:
        print(f"sandbox: {problem}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `| head` has read enough; the interpreter must not complain while it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
