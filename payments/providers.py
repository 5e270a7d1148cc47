"""Builds the gateway from settings: the only place that knows both."""

from __future__ import annotations

import threading

from django.conf import settings

from core.transactions import assert_none_open
from payments import calls
from payments.chapa import signature, webhook_hint
from payments.chapa.client import ChapaClient
from payments.chapa.resilience import Resilience
from payments.chapa.signature import SignedWith
from payments.chapa.webhook_hint import WebhookHint
from payments.gateway import PaymentGateway

_shared: Resilience | None = None
_lock = threading.Lock()


def _resilience() -> Resilience:
    """One breaker, bulkhead, budget and connection pool for the whole process, made at its first use after a fork."""
    global _shared  # noqa: PLW0603 - one per process
    with _lock:
        if _shared is None:
            _shared = Resilience()
        return _shared


def forget_shared() -> None:
    """Start afresh with a closed breaker: after a fork, and between tests."""
    global _shared  # noqa: PLW0603 - one per process
    with _lock:
        if _shared is not None:
            _shared.close()
        _shared = None


def _chapa(total_timeout: int) -> PaymentGateway:
    return ChapaClient(
        base_url=settings.CHAPA_BASE_URL,
        secret_key=settings.CHAPA_SECRET_KEY,
        checkout_hosts=settings.CHAPA_CHECKOUT_HOSTS,
        total_timeout=total_timeout,
        read_timeout=settings.CHAPA_READ_TIMEOUT_SECONDS,
        shared=_resilience(),
        before_call=assert_none_open,
        after_call=calls.note,
    )


def chapa_for_web() -> PaymentGateway:
    """Chapa, for somebody who waits at a screen."""
    return _chapa(settings.CHAPA_WEB_DEADLINE_SECONDS)


def chapa() -> PaymentGateway:
    """Chapa, for the worker, which has more time."""
    return _chapa(settings.CHAPA_WORKER_DEADLINE_SECONDS)


def webhook_signed_with(*, body: bytes, signature_header: str | None) -> SignedWith | None:
    """Which of our webhook secrets signed these bytes; None where neither did."""
    return signature.signed_with(
        body=body,
        signature=signature_header,
        current=settings.CHAPA_WEBHOOK_SECRET,
        previous=settings.CHAPA_WEBHOOK_SECRET_PREVIOUS,
    )


def webhook_hint_in(*, body: bytes) -> WebhookHint | None:
    """Which payment a webhook speaks of; None where its body is no JSON object."""
    return webhook_hint.read(body=body)
