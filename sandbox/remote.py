"""Talks to the control API of a running sandbox. Used by the command line and by tests."""

from decimal import Decimal
from typing import Any
from urllib.parse import quote

import requests

Answer = dict[str, Any]


class Refused(Exception):
    """The sandbox answered that it will not, or cannot; the text says why."""


class NotRunning(Exception):
    """Nobody answers at the sandbox's address."""


class Control:
    """The control API, one method for each command. Amounts are decimals in major units."""

    def __init__(self, *, url: str, token: str = "", timeout: float = 90.0) -> None:
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False
        if token:
            self._session.headers["X-Control-Token"] = token

    def call(
        self, *, method: str, path: str, body: Answer | None = None, query: dict[str, Any] | None = None
    ) -> Answer:
        """One call below /control.

        :raises Refused: for an answer above 399.
        :raises NotRunning: if there is no connection.
        """
        try:
            response = self._session.request(
                method, f"{self.url}/control{path}", json=body, params=query, timeout=self._timeout
            )
        except requests.ConnectionError as problem:
            raise NotRunning(f"no sandbox answers at {self.url}") from problem
        try:
            answer: Answer = response.json()
        except ValueError as problem:
            raise Refused(f"{self.url} answered {response.status_code} and no JSON") from problem
        if response.status_code >= 400:
            raise Refused(str(answer.get("error") or answer.get("message")))
        return answer

    def _on(self, tx_ref: str, command: str, **body: Any) -> Answer:
        sent = {name: str(v) if isinstance(v, Decimal) else v for name, v in body.items() if v is not None}
        return self.call(method="POST", path=f"/transactions/{quote(tx_ref, safe='')}/{command}", body=sent)

    # ---- outcomes ----

    def pay(
        self,
        *,
        tx_ref: str,
        amount: Decimal | None = None,
        currency: str | None = None,
        mode: str | None = None,
        method: str = "telebirr",
        webhook: bool = True,
        callback: bool = True,
        force: bool = False,
    ) -> Answer:
        """Let the customer pay; amount, currency and mode may differ from what was asked.

        :raises Refused: if it cannot be paid (any more); `force` pays also a closed one.
        """
        return self._on(
            tx_ref, "pay", amount=amount, currency=currency, mode=mode, method=method, webhook=webhook,
            callback=callback, force=force,
        )  # fmt: skip

    def fail(self, *, tx_ref: str, attempt_only: bool = False, webhook: bool = True) -> Answer:
        """Let the payment fail, for good or only this attempt.

        :raises Refused: if it is not pending.
        """
        return self._on(tx_ref, "fail", attempt_only=attempt_only, webhook=webhook)

    def cancel(self, *, tx_ref: str, webhook: bool = True) -> Answer:
        """Let the customer cancel.

        :raises Refused: if it is not pending.
        """
        return self._on(tx_ref, "cancel", webhook=webhook)

    def expire(self, *, tx_ref: str, webhook: bool = True) -> Answer:
        """Let the retry window pass.

        :raises Refused: if it is not pending.
        """
        return self._on(tx_ref, "expire", webhook=webhook)

    def reverse(self, *, tx_ref: str, webhook: bool = True) -> Answer:
        """Take a captured payment back.

        :raises Refused: if it is not successful.
        """
        return self._on(tx_ref, "reverse", webhook=webhook)

    def refund(
        self, *, tx_ref: str, amount: Decimal | None = None, status: str = "refunded", webhook: bool = True
    ) -> Answer:
        """Refund as from the dashboard, ending at once in `status`.

        :raises Refused: if it cannot be refunded.
        """
        return self._on(tx_ref, "refund", amount=amount, status=status, webhook=webhook)

    def move_refund(self, *, ref_id: str, to: str, webhook: bool = True, force: bool = False) -> Answer:
        """Move a refund, by Chapa's or the merchant's reference, to processing, refunded or reversed.

        :raises Refused: if it cannot go there; `force` lets also a finished one be reversed.
        """
        path = f"/refunds/{quote(ref_id, safe='')}/{to}"
        return self.call(method="POST", path=path, body={"webhook": webhook, "force": force})

    # ---- time, switches, faults ----

    def advance(self, *, by: str | int) -> Answer:
        """Push the virtual clock forward: `"10m"`, `"2h"`, seconds."""
        return self.call(method="POST", path="/clock", body={"advance": by})

    def clock(self, *, skew: str | None = None) -> Answer:
        """The virtual time; `skew` makes the time stamps that merchants see wrong."""
        if skew is None:
            return self.call(method="GET", path="/clock")
        return self.call(method="POST", path="/clock", body={"skew": skew})

    def switch(self, **changes: str) -> Answer:
        """Set switches by name; `profile` sets them all. Without changes: the list."""
        return self.call(method="POST", path="/switches", body=changes)

    def merchant(self, **changes: Any) -> Answer:
        """Change the merchant's settings: secret_keys, webhook_url, fee_percent, business_state …"""
        return self.call(method="POST", path="/merchant", body=changes)

    def fault(
        self,
        *,
        kind: str,
        route: str | None = None,
        tx_ref: str | None = None,
        event: str | None = None,
        times: int | str = 1,
        skip: int = 0,
        when: str = "after",
        **params: Any,
    ) -> Answer:
        """Order a fault; `params` are those of the kind. `times` may be `"forever"`.

        :raises Refused: if there is no such kind for the route.
        """
        match = {"route": route, "tx_ref": tx_ref, "event": event}
        body = {"kind": kind, "match": match, "times": times, "skip": skip, "when": when, "params": params}
        return self.call(method="POST", path="/faults", body=body)

    def clear_faults(self) -> Answer:
        """Withdraw every fault."""
        return self.call(method="DELETE", path="/faults")

    def unreachable(self, *, mode: str) -> Answer:
        """`reset` every API connection, `refuse` connections altogether, or be reachable again: `no`."""
        return self.call(method="POST", path="/unreachable", body={"mode": mode})

    def reset(self) -> Answer:
        """Start from nothing."""
        return self.call(method="POST", path="/reset")

    # ---- looking ----

    def health(self) -> Answer:
        """Whether it runs, and how."""
        return self.call(method="GET", path="/health")

    def books(self) -> Answer:
        """What really happened to the money."""
        return self.call(method="GET", path="/books")

    def transaction(self, *, tx_ref: str) -> Answer:
        """One transaction with its history and deliveries.

        :raises Refused: if there is none.
        """
        return self.call(method="GET", path=f"/transactions/{quote(tx_ref, safe='')}")

    def requests(self, *, route: str | None = None, tx_ref: str | None = None) -> list[Answer]:
        """API calls that came in, oldest first."""
        answer = self.call(method="GET", path="/requests", query={"route": route, "tx_ref": tx_ref})
        return list(answer["requests"])

    def deliveries(
        self, *, tx_ref: str | None = None, kind: str | None = None, wait: str | None = None
    ) -> list[Answer]:
        """Webhooks and callbacks; with `wait` only when nothing is due or on the wire any more.

        :raises Refused: if it did not come to rest within `wait`.
        """
        query = {"tx_ref": tx_ref, "kind": kind, "wait": wait}
        answer = self.call(method="GET", path="/deliveries", query=query)
        if not answer["idle"]:
            raise Refused(f"deliveries did not come to rest within {wait}")
        return list(answer["deliveries"])

    def release(self, *, order: str = "fifo", ids: list[int] | None = None) -> Answer:
        """Send held deliveries one after the other: `fifo`, `reverse`, or as `ids` says."""
        body: Answer = {"order": order} if ids is None else {"ids": ids}
        return self.call(method="POST", path="/deliveries/release", body=body)

    def replay(self, *, tx_ref: str, copies: int = 1, parallel: bool = True, event: str | None = None) -> Answer:
        """Repeat the last webhook about a transaction, byte for byte; returns what was answered.

        :raises Refused: if there was none.
        """
        return self._on(tx_ref, "replay", copies=copies, parallel=parallel, event=event)

    def trigger(self, *, event: str, tx_ref: str | None = None, **fields: Any) -> Answer:
        """Send a signed sample event.

        :raises Refused: for an unknown event, or without a webhook address.
        """
        body = {"event": event, "tx_ref": tx_ref, "fields": fields}
        return self.call(method="POST", path="/webhooks/trigger", body=body)
