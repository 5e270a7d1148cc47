"""Chapa as a `PaymentGateway`. One method per question; how a question is asked stands in `_ask`, once."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import structlog

from core.money import Money
from payments.gateway import (
    Bank,
    Call,
    Cancellation,
    CheckoutSession,
    Customer,
    Mode,
    Outcome,
    Question,
    RefundReceipt,
    Refused,
    TransactionEvent,
    TransactionPage,
    Unavailable,
    Verification,
)

from . import attempts, outgoing, wire
from .attempts import Repeat
from .breaker import Permit
from .bulkhead import BulkheadFull
from .checkout_url import is_loopback
from .deadline import Deadline
from .envelope import Envelope, open_envelope
from .resilience import Resilience
from .transport import Query, Transport

T = TypeVar("T")

CONNECT_SECONDS: Final = 3.05
READ_SECONDS: Final = 8.0
TEST_KEY_PREFIX: Final = "CHASECK_TEST-"

_KEY = re.compile(r"[!-~]{8,200}", re.ASCII)
# Refusals to talk to us at all: no payment is at fault, somebody has to look at the settings.
_MISCONFIGURED: Final = frozenset({"unauthorised", "no_such_endpoint", "tls"})

log = structlog.stdlib.get_logger("payments.chapa")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """`path` is a template, so that log lines of one kind look alike; `subject` fills it in. `name` has what is asked
    about one payment or refund: those are for the record."""

    method: str
    path: str
    repeat: Repeat
    subject: dict[str, str]
    json_body: dict[str, object] | None = None
    form: dict[str, str] | None = None
    query: str = ""
    name: Question | None = None


class ChapaClient:
    """Implements `payments.gateway.PaymentGateway`. Threads may share it.

    `base_url` with the version, `https://api.chapa.co/v1`. `total_timeout` in seconds bounds a whole call with
    its retries: 15 where a person waits, 40 in a worker. `checkout_hosts`: see `checkout_url.is_allowed`. `before_call`
    runs before each network attempt and may object by raising (no transaction may be open then); `after_call` is told
    how each one ended, and must not raise.

    :raises ValueError: on a base URL that is not https (loopback excepted), or a key that cannot be one.
    """

    def __init__(
        self,
        *,
        base_url: str,
        secret_key: str,
        checkout_hosts: Collection[str],
        total_timeout: float,
        shared: Resilience,
        connect_timeout: float = CONNECT_SECONDS,
        read_timeout: float = READ_SECONDS,
        before_call: Callable[[], None] | None = None,
        after_call: Callable[[Call], None] | None = None,
    ) -> None:
        if not _KEY.fullmatch(secret_key):
            raise ValueError("the Chapa secret key is empty, too short, or not plain text")
        if min(total_timeout, connect_timeout, read_timeout) <= 0:
            raise ValueError("time-outs are above zero")
        self.mode = Mode.TEST if secret_key.startswith(TEST_KEY_PREFIX) else Mode.LIVE
        self._base_url = _checked_base_url(base_url)
        self._checkout_hosts = frozenset(host.lower() for host in checkout_hosts)
        self._total_timeout = total_timeout
        self._shared = shared
        self._before_call = before_call
        self._after_call = after_call
        self._transport = Transport(
            session=shared.session,
            secret_key=secret_key,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
            clock=shared.clock,
        )

    def open_checkout(
        self,
        *,
        tx_ref: str,
        amount: Money,
        customer: Customer,
        title: str,
        description: str,
        callback_url: str,
        return_url: str,
    ) -> CheckoutSession:
        """Open a page on which `amount` can be paid.

        What Chapa would stumble over is left out or mended (`outgoing`); the amount never is.

        :raises Refused: with `reference_used` if an earlier request with this `tx_ref` got through.
        :raises Unavailable: see `PaymentGateway`.
        :raises ValueError: on a `tx_ref` or an amount that Chapa cannot take.
        """
        body = outgoing.checkout_body(
            tx_ref=tx_ref,
            amount=amount,
            customer=customer,
            title=title,
            description=description,
            callback_url=callback_url,
            return_url=return_url,
        )
        question = _Question(
            method="POST",
            path="/transaction/initialize",
            repeat=Repeat.IF_NOTHING_WAS_SENT,
            subject={"tx_ref": tx_ref},
            json_body=body,
            name=Question.OPEN_CHECKOUT,
        )
        return self._ask(question, lambda envelope: wire.checkout_session(envelope, hosts=self._checkout_hosts))

    def verify(self, *, tx_ref: str) -> Verification:
        """Ask what became of a payment."""
        return self._ask(
            _about_payment("GET", "/transaction/verify/{tx_ref}", tx_ref, Question.VERIFY), wire.verification
        )

    def cancel(self, *, tx_ref: str) -> Cancellation:
        """Close the page for good.

        Repeated like a question although it changes something: the second of two cancels changes nothing more, it is
        told "already expired". So `already_closed` may be the doing of our own first try, whose answer was lost; it
        never says whether the page was paid before. Only `verify` does.
        """
        return self._ask(
            _about_payment("PUT", "/transaction/cancel/{tx_ref}", tx_ref, Question.CANCEL), wire.cancellation
        )

    def refund(self, *, gateway_reference: str, amount: Money, reference: str, reason: str) -> RefundReceipt:
        """Give money back, out of the payment that Chapa calls `gateway_reference`; `reference` is ours.

        Sent as a form, which is how Chapa documents this one call.

        :raises ValueError: on a reference or an amount that Chapa cannot take.
        """
        question = _Question(
            method="POST",
            path="/refund/{gateway_reference}",
            repeat=Repeat.IF_NOTHING_WAS_SENT,
            subject={"gateway_reference": outgoing.checked_reference(gateway_reference), "reference": reference},
            form=outgoing.refund_form(amount=amount, reference=reference, reason=reason),
            name=Question.REFUND,
        )
        return self._ask(question, wire.refund_receipt)

    def verify_refund(self, *, reference: str, currency: str) -> RefundReceipt:
        """Ask what became of a refund, by the reference under which Chapa keeps it."""
        question = _Question(
            method="GET",
            path="/refund/{reference}/verify",
            repeat=Repeat.IF_NOT_ANSWERED,
            subject={"reference": outgoing.checked_reference(reference)},
            name=Question.VERIFY_REFUND,
        )
        return self._ask(question, lambda envelope: wire.refund_verification(envelope, currency=currency))

    def list_transactions(self, *, page: int = 1) -> TransactionPage:
        """One page of ten of Chapa's own list, newest first. :raises ValueError: on a page below 1."""
        if page < 1:
            raise ValueError("pages are counted from 1")
        question = _Question(
            method="GET",
            path="/transactions",
            repeat=Repeat.IF_NOT_ANSWERED,
            subject={},
            query=f"?page={page}",
        )
        return self._ask(question, lambda envelope: wire.transaction_page(envelope, page=page))

    def events(self, *, tx_ref: str) -> tuple[TransactionEvent, ...]:
        """Chapa's log of one payment; empty where it knows none."""
        return self._ask(_about_payment("GET", "/transaction/events/{tx_ref}", tx_ref), wire.transaction_events)

    def banks(self) -> tuple[Bank, ...]:
        """Banks and wallets that Chapa pays out to."""
        question = _Question(method="GET", path="/banks", repeat=Repeat.IF_NOT_ANSWERED, subject={})
        return self._ask(question, wire.bank_list)

    def _ask(self, question: _Question, read: Callable[[Envelope], T]) -> T:
        """Ask, again where that is harmless, until the deadline."""
        clock = self._shared.clock
        deadline = Deadline(seconds=self._total_timeout, clock=clock)
        return attempts.make(
            attempt=lambda number: self._attempt(question, read, deadline, number),
            repeat=question.repeat,
            deadline=deadline,
            clock=clock,
            budget=self._shared.budget,
        )

    def _attempt(self, question: _Question, read: Callable[[Envelope], T], deadline: Deadline, number: int) -> T:
        """One attempt and its one log line, which never holds the key, a body, a person or a checkout address."""
        if self._before_call is not None:
            self._before_call()
        clock = self._shared.clock
        line = log.bind(method=question.method, path=question.path, attempt=number, **question.subject)
        facts: dict[str, object] = {"status": None, "outcome": "unknown"}
        answer = "interrupted"
        started = clock.monotonic()
        try:
            value = read(self._exchange(question, deadline, facts))
            facts["outcome"] = "done"
            answer = _told(value)
        except Refused as refusal:
            # Its sentence may repeat a customer's phone number; the names of the fields cannot.
            facts.update(outcome="refused", fields=sorted(refusal.fields))
            answer = ", ".join(sorted(refusal.fields)) or ("reference used" if refusal.reference_used else "refused")
            raise
        except Unavailable as error:
            facts.update(outcome="unknown", reason=error.reason, misconfigured=error.reason in _MISCONFIGURED)
            answer = error.reason
            raise
        finally:
            facts["duration_ms"] = round((clock.monotonic() - started) * 1000)
            line.log(_level(facts), "chapa.call", **facts)
            self._note(question, number, facts, answer)
        return value

    def _note(self, question: _Question, number: int, facts: dict[str, Any], answer: str) -> None:
        if self._after_call is None or question.name is None:
            return
        self._after_call(
            Call(
                question=question.name,
                subject=question.subject.get("reference") or question.subject["tx_ref"],
                number=number,
                outcome=Outcome(facts["outcome"]),
                answer=answer,
                status=facts["status"],
                duration_ms=facts["duration_ms"],
            )
        )

    def _exchange(self, question: _Question, deadline: Deadline, facts: dict[str, object]) -> Envelope:
        """Through the bulkhead and the breaker, then over the wire.

        The breaker learns whether somebody is there who makes sense. A refusal does, a rejected key too: a hundred
        used references do not mean that Chapa is down.
        """
        query = self._query(question)
        try:
            with self._shared.bulkhead.place(), self._admitted() as permit:
                permit.failed()  # until it has answered, also where we are interrupted while waiting
                answer = self._transport.exchange(query, deadline=deadline)
                facts["status"] = answer.status
                try:
                    envelope = open_envelope(answer)
                except Unavailable as error:
                    if error.reason in _MISCONFIGURED:
                        permit.answered()
                    raise
                permit.answered()
                return envelope
        except BulkheadFull:
            raise Unavailable("bulkhead_full", may_have_happened=False) from None

    def _admitted(self) -> Permit:
        permit = self._shared.breaker.admit()
        if permit is None:
            raise Unavailable("breaker_open", may_have_happened=False)
        return permit

    def _query(self, question: _Question) -> Query:
        filled = question.path.format(**{key: quote(value, safe="") for key, value in question.subject.items()})
        return Query(
            method=question.method,
            url=self._base_url + filled + question.query,
            json_body=question.json_body,
            form=question.form,
        )


def _level(facts: dict[str, object]) -> int:
    if facts.get("misconfigured"):
        return logging.ERROR
    return logging.INFO if facts.get("outcome") in {"done", "refused"} else logging.WARNING


def _told(value: object) -> str:
    """An answer in a few words."""
    if isinstance(value, Verification):
        return f"{value.said or value.verdict} {value.paid or ''}".strip()
    if isinstance(value, RefundReceipt):
        return f"{value.said or value.verdict} {value.amount or ''}".strip()
    if isinstance(value, Cancellation):
        return "closed before" if value.already_closed else "closed"
    return "opened" if isinstance(value, CheckoutSession) else ""


def _about_payment(method: str, path: str, tx_ref: str, name: Question | None = None) -> _Question:
    return _Question(
        method=method,
        path=path,
        repeat=Repeat.IF_NOT_ANSWERED,
        subject={"tx_ref": outgoing.checked_tx_ref(tx_ref)},
        name=name,
    )


def _checked_base_url(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("the Chapa base URL is scheme, host and path, nothing more")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError("the Chapa base URL is https, except on this machine")
    return url.rstrip("/")
