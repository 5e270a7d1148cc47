"""What the merchant is told: builds webhooks and callbacks, signs them, and applies delivery faults."""

import base64
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sandbox import signing, wire
from sandbox.clock import Clock
from sandbox.deliveries import Deliveries, Delivery, State
from sandbox.faults import Faults, Rule
from sandbox.merchant import Merchant
from sandbox.switches import Switches
from sandbox.transaction import Transaction

WRONG_SECRET = "not-the-secret-of-this-merchant"  # noqa: S105 - signs what must be refused


@dataclass(frozen=True, kw_only=True)
class Message:
    """A delivery before it is queued."""

    kind: str
    url: str
    tx_ref: str | None
    event: str
    body: bytes
    headers: Mapping[str, str]


def set_path(*, target: dict[str, Any], path: str, value: Any) -> None:
    """Set `a.b.c` in nested dicts; what is missing or no dict on the way is replaced by one."""
    *parents, last = path.split(".")
    for name in parents:
        inner = target.get(name)
        if not isinstance(inner, dict):
            inner = target[name] = {}
        target = inner
    target[last] = value


def with_query(*, url: str, params: Mapping[str, str]) -> str:
    """The URL with parameters added to those that it already has."""
    parts = urlsplit(url)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *params.items()])
    return urlunsplit(parts._replace(query=query))


class Notices:
    """Tells the merchant what happened."""

    def __init__(
        self,
        *,
        merchant: Merchant,
        switches: Switches,
        clock: Clock,
        deliveries: Deliveries,
        faults: Faults,
    ) -> None:
        self._merchant = merchant
        self._switches = switches
        self._clock = clock
        self._deliveries = deliveries
        self._faults = faults

    def charge(self, *, transaction: Transaction, event: str, status: str) -> list[Delivery]:
        """Queue a webhook about a transaction, if webhooks are on and there is an address."""
        if self._switches["webhooks"] == "off":
            return []
        payload = wire.charge_event(
            event=event, status=status, transaction=transaction, switches=self._switches, clock=self._clock
        )
        return self.webhook(payload=payload, event=event, tx_ref=transaction.tx_ref)

    def webhook(
        self, *, payload: dict[str, Any], event: str, tx_ref: str | None, url: str | None = None
    ) -> list[Delivery]:
        """Sign and queue any payload; nothing happens without an address to send it to."""
        address = url or self._merchant.webhook_url
        if not address:
            return []
        rule = self._faults.take(route="webhook", tx_ref=tx_ref, event=event)
        body, headers = self._written(payload, rule=rule)
        message = Message(kind="webhook", url=address, tx_ref=tx_ref, event=event, body=body, headers=headers)
        return self._queue(message, rule=rule)

    def callback(self, *, transaction: Transaction, status: str) -> list[Delivery]:
        """Queue the callback GET, if the transaction has an address for it and callbacks are on."""
        if not transaction.callback_url or self._switches["callbacks"] == "off":
            return []
        values = {
            self._switches["callback_fields"]: transaction.tx_ref,
            "ref_id": transaction.reference,
            "status": status,
        }
        url, body, headers = transaction.callback_url, b"", {"User-Agent": "Chapa-Sandbox"}
        if self._switches["callback_form"] == "query":
            url = with_query(url=url, params=values)
        else:
            body = signing.serialise(values)
            headers["Content-Type"] = "application/json"
        rule = self._faults.take(route="callback", tx_ref=transaction.tx_ref, event=None)
        message = Message(
            kind="callback", url=url, tx_ref=transaction.tx_ref, event="callback", body=body, headers=headers
        )
        return self._queue(message, rule=rule)

    # ---- inside ----

    def _written(self, payload: dict[str, Any], *, rule: Rule | None) -> tuple[bytes, dict[str, str]]:
        style = self._switches["webhook_style"]
        kind = rule.kind if rule else None
        params = rule.params if rule else {}
        if kind == "override":
            payload = _changed(payload, fields=params.get("fields", {}))
        body = signing.serialise(payload, style=style)
        if kind == "raw":
            body = str(params.get("body", "")).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Chapa-Sandbox",
            **self._signatures(body, kind=kind),
        }
        if kind == "tamper":
            body = signing.serialise(_changed(payload, fields=params.get("fields", {})), style=style)
        return body, headers

    def _signatures(self, body: bytes, *, kind: str | None) -> dict[str, str]:
        own_key = self._switches["webhook_key"] == "secret_key"
        secret = self._merchant.secret_keys[0] if own_key else self._merchant.webhook_secret
        if kind == "unsigned":
            return {}
        if kind == "wrong_signature":
            secret = WRONG_SECRET
        flavour = self._switches["webhook_kind"]
        if flavour == "custom_basic":
            return {"Authorization": "Basic " + base64.b64encode(f"chapa:{secret}".encode()).decode()}
        if flavour == "custom_signature":
            return {"chapa-signature": signing.sign(secret=secret, message=body)}
        headers = dict(signing.standard_headers(secret=secret, body=body))
        if kind == "static_only":
            del headers["x-chapa-signature"]
        return headers

    def _queue(self, message: Message, *, rule: Rule | None) -> list[Delivery]:
        kind = rule.kind if rule else None
        params = rule.params if rule else {}
        copies = int(params.get("copies", 2)) if kind == "duplicate" else 1
        delay = timedelta(seconds=float(params.get("seconds", 5))) if kind == "delay" else timedelta(0)
        state = State.WAITING
        if kind == "drop":
            state = State.DROPPED
        elif kind in {"hold", "reorder"}:
            state = State.HELD
        queued = [
            self._deliveries.queue(
                kind=message.kind,
                url=message.url,
                body=message.body,
                headers=message.headers,
                tx_ref=message.tx_ref,
                event=message.event,
                delay=delay,
                state=state,
                fault=kind,
            )
            for _ in range(copies)
        ]
        if rule is not None and kind == "reorder":
            self._release_reordered(rule, queued[0])
        return queued

    def _release_reordered(self, rule: Rule, newest: Delivery) -> None:
        """The rule keeps the ids that it holds back; the last of them sends all, newest first."""
        waiting = rule.params.setdefault("waiting", [])
        waiting.append(newest.id)
        if len(waiting) >= int(rule.params.get("count", 2)):
            held = {delivery.id: delivery for delivery in self._deliveries.held()}
            self._deliveries.release(deliveries=[held[i] for i in reversed(waiting) if i in held])
            waiting.clear()


def _changed(payload: dict[str, Any], *, fields: Mapping[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(payload)
    for path, value in fields.items():
        set_path(target=changed, path=path, value=value)
    return changed
