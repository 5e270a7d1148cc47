"""A queue of things that go wrong: which call or delivery they hit, how often, and how.

A rule is only matched here; `misbehaviour` acts it out for API calls, `deliveries` for webhooks and callbacks.
"""

import itertools
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

BEFORE_OR_AFTER = frozenset({"latency", "hang", "reset", "status"})

API_KINDS: Mapping[str, str] = {
    "latency": "Answer `seconds` (1) late. `when`: before or after the call was processed.",
    "hang": "Hold the connection for `seconds` (30), then close it without an answer. `when` as above.",
    "reset": "Reset the connection (RST). `when`: before or after the call was processed.",
    "status": "Answer `code` (500) with HTML, or with JSON if `body` is given; `retry_after` adds the header. "
    "`when` as above.",
    "drip": "Answer byte by byte, `interval` (1) seconds apart; `part`: body or headers.",
    "truncated": "Promise the whole body and send `share` (0.5) of it.",
    "close_after": "Answer, then close the kept-alive connection without saying so.",
    "empty": "200 with an empty body.",
    "html": "200 with an HTML page.",
    "array": "The answer inside a JSON array.",
    "bom": "The answer after a byte order mark.",
    "huge": "A valid JSON object of `size` (50000000) bytes.",
    "gzip_bomb": "A small gzip body that becomes `size` (100000000) bytes.",
    "wrong_content_type": "The answer labelled `content_type` (text/html).",
    "message_object": "`message` is an object of field errors.",
    "tab_in_message": "`message` ends in a TAB.",
    "missing_data": "Without the `data` key.",
    "upper_status": "`status` and `data.status` in capitals.",
    "unknown_status": "`data.status` is `value` (on_hold).",
    "string_amount": "`data.amount` and `data.charge` as strings.",
    "comma_amount": "The same with thousands commas.",
    "wrong_amount": "`data.amount` is `value`, or `difference` (-0.01) off.",
    "wrong_currency": "`data.currency` is `value` (USD for ETB, else ETB).",
    "wrong_mode": "`data.mode` is `value` (the other one).",
    "wrong_tx_ref": "`data.tx_ref` is `value` (somebody else's).",
    "stale": "Verify answers as if nobody had paid yet.",
    "override": 'Sets `fields`, by dotted path, such as {"data.checkout_url": "javascript:alert(1)"}.',
}
DELIVERY_KINDS: Mapping[str, str] = {
    "duplicate": "Send `copies` (2) of it.",
    "drop": "Never send it.",
    "delay": "Send it `seconds` (5) later, on the virtual clock.",
    "hold": "Keep it until POST /control/deliveries/release.",
    "reorder": "Hold the next `count` (2) that match and send them last first.",
    "wrong_signature": "Sign with another secret.",
    "static_only": "Only the constant chapa-signature, no x-chapa-signature.",
    "unsigned": "No signature headers.",
    "override": "Change `fields` (by dotted path) before signing: a genuine message that lies.",
    "tamper": "Change `fields` after signing: a forged message.",
    "raw": "Send `body` (text) instead, correctly signed.",
}
REDIRECT_KINDS: Mapping[str, str] = {"drop": "The browser is not sent back after success."}
ROUTES = (
    "initialize", "mobile_initialize", "verify", "cancel", "events", "transactions", "refund", "refund_verify",
    "banks", "currency_supported", "balances", "unknown",
)  # fmt: skip
TARGETS = (*ROUTES, "webhook", "callback", "redirect")


_RULE_FIELDS = frozenset({"match", "times", "skip", "kind", "when", "params"})
_NUMBERS = frozenset({"seconds", "interval", "size", "share", "code", "copies", "count"})


class BadRule(ValueError):
    """A fault rule that cannot be understood."""


@dataclass(kw_only=True)
class Rule:
    """One fault. `times` None means for ever; the first `skip` matches go unharmed."""

    id: int
    kind: str
    route: str | None = None
    tx_ref: str | None = None
    event: str | None = None
    times: int | None = 1
    skip: int = 0
    when: str = "after"
    params: dict[str, Any] = field(default_factory=dict)
    used: int = 0

    def matches(self, *, route: str, tx_ref: str | None, event: str | None) -> bool:
        """Whether this rule is about the call or delivery."""
        # A rule without a route is about API calls: `override` exists for both, and must not hit a webhook.
        if route not in (ROUTES if self.route is None else {self.route}):
            return False
        return self.tx_ref in {None, tx_ref} and self.event in {None, event}

    def as_json(self) -> dict[str, Any]:
        """For the control API."""
        return {
            "id": self.id,
            "kind": self.kind,
            "match": {"route": self.route, "tx_ref": self.tx_ref, "event": self.event},
            "times": "forever" if self.times is None else self.times,
            "skip": self.skip,
            "when": self.when,
            "params": self.params,
            "used": self.used,
        }


def kinds_for(*, route: str | None) -> Mapping[str, str]:
    """The kinds that can hit a route, a delivery, or (None) any API call."""
    if route in {"webhook", "callback"}:
        return DELIVERY_KINDS
    return REDIRECT_KINDS if route == "redirect" else API_KINDS


def _whole_number(value: Any, *, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadRule(f"{name} must be a whole number of at least {least}")
    return value


def _params(body: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters stand in `params` or beside `kind`; numbers and objects are checked here, not when it strikes."""
    given = body.get("params") or {}
    if not isinstance(given, Mapping):
        raise BadRule("params is an object")
    params = {**given, **{name: value for name, value in body.items() if name not in _RULE_FIELDS}}
    for name in params.keys() & _NUMBERS:
        value = params[name]
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or value < 0:
            raise BadRule(f"{name} is a number that is not negative")
    if not isinstance(params.get("fields", {}), Mapping):
        raise BadRule('fields is an object such as {"data.amount": 1}')
    return params


def read_rule(*, body: Mapping[str, Any], rule_id: int) -> Rule:
    """Read one rule as it comes over the control API.

    :raises BadRule: with a sentence that says what is wrong.
    """
    match = body.get("match") or {}
    if not isinstance(match, Mapping) or set(match) - {"route", "tx_ref", "event"}:
        raise BadRule("match is an object with route, tx_ref and event, all optional")
    route = match.get("route")
    if route is not None and route not in TARGETS:
        raise BadRule(f"unknown route {route!r}: one of {', '.join(TARGETS)}")
    kinds = kinds_for(route=route)
    if body.get("kind") not in kinds:
        raise BadRule(f"unknown kind {body.get('kind')!r} for this route: one of {', '.join(kinds)}")
    params = _params(body)
    times = body.get("times", 1)
    when = body.get("when", "after")
    if when not in {"before", "after"}:
        raise BadRule("when is before or after")
    if when == "before" and body["kind"] not in BEFORE_OR_AFTER:
        raise BadRule(f"only {', '.join(sorted(BEFORE_OR_AFTER))} can happen before")
    return Rule(
        id=rule_id,
        kind=body["kind"],
        route=route,
        tx_ref=match.get("tx_ref"),
        event=match.get("event"),
        times=None if times == "forever" else _whole_number(times, name="times", least=1),
        skip=_whole_number(body.get("skip", 0), name="skip", least=0),
        when=when,
        params=params,
    )


class Faults:
    """The rules that are waiting, in the order in which they were given. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._rules: list[Rule] = []

    def __iter__(self) -> Iterator[Rule]:
        with self._lock:
            return iter(list(self._rules))

    def add(self, *, body: Mapping[str, Any]) -> Rule:
        """Queue a rule.

        :raises BadRule: if it cannot be understood.
        """
        with self._lock:
            rule = read_rule(body=body, rule_id=next(self._ids))
            self._rules.append(rule)
            return rule

    def take(self, *, route: str, tx_ref: str | None, event: str | None = None) -> Rule | None:
        """The first rule that hits this call or delivery, used up by one."""
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules:
                if not rule.matches(route=route, tx_ref=tx_ref, event=event):
                    continue
                if rule.skip:
                    rule.skip -= 1
                    continue
                rule.used += 1
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times == 0:
                        self._rules.remove(rule)
                return rule
        return None

    def clear(self, *, rule_id: int | None = None) -> int:
        """Remove one rule or all; returns how many went."""
        with self._lock:
            kept = [] if rule_id is None else [rule for rule in self._rules if rule.id != rule_id]
            removed = len(self._rules) - len(kept)
            self._rules = kept
            return removed
