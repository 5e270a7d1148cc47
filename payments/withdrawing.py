"""Closes an open attempt at Chapa because a person of the shop wants it, and writes down what became of it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import structlog

from core import audit
from core.errors import DomainError
from core.transactions import durable
from payments import inquiry, settlement
from payments.checkout import GatewayUnavailable
from payments.flow import OPEN
from payments.gateway import PaymentGateway
from payments.models import Payment

log = structlog.get_logger(__name__)


class AttemptNotOpen(DomainError):
    """`payment_status` says how the attempt stands."""

    code, status, title = "attempt_not_open", 409, "This attempt to pay is not open any more."
    storable = False


def withdraw(
    *,
    payment_id: UUID,
    actor: str,
    reason: str,
    gateway: PaymentGateway,
    at: datetime,
) -> Payment:
    """Close Chapa's page of an attempt, so that nobody pays on it any more. Money that came before is taken as always.

    Returns the attempt as it is then: `cancelled`, or `succeeded` where it had been paid.

    :raises AttemptNotOpen: · GatewayUnavailable: Chapa did not answer; nothing is known to have changed.
    """
    payment = Payment.objects.select_related("order").filter(pk=payment_id).first()
    if payment is None or payment.state not in OPEN:
        status = payment.status if payment is not None else "unknown"
        raise AttemptNotOpen(f"The attempt is {status}.", payment_status=status)
    with durable("payment.withdraw"):  # that it was wanted is true whatever Chapa answers
        audit.record(
            verb="payment.withdraw",
            actor=actor,
            subject=payment,
            label=payment.tx_ref,
            order=payment.order.number,
            reason=reason,
            before={"status": payment.status},
        )
    finding = inquiry.close(payment=payment, gateway=gateway)
    if finding.unavailable:
        raise GatewayUnavailable(f"Chapa did not answer ({finding.unavailable}); ask again in a moment.")
    payment = settlement.record(payment=payment, finding=finding, at=at)
    log.info("payment.withdrawn", tx_ref=payment.tx_ref, status=payment.status, actor=actor)
    return payment
