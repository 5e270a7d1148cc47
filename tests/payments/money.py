"""Money that came and goes back, made by the use cases that make it so."""

from __future__ import annotations

from decimal import Decimal

from django.utils.timezone import now

from core.money import Currency, Money
from payments import ledger, reconciliation, refunds, settlement
from payments.gateway import RefundVerdict
from payments.models import Account, Payment, Refund
from tests import factories
from tests.gateways import FakeGateway

ADMIN, SECOND = "staff:1", "staff:2"


def birr(amount: str) -> Money:
    return Money(Decimal(amount), Currency.ETB)


def paid(gateway: FakeGateway, *, total: str = "900.00", amount: str | None = None, currency: str = "ETB") -> Payment:
    """A payment of an order over `total`, for which `amount` came."""
    product = factories.product(price=total, currency=currency)
    payment = factories.pending_payment(order=factories.order(items=[(product, 1)]), gateway=gateway)
    gateway.pay(payment, amount=amount)
    return settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())


def ask(payment: Payment, amount: str | None = None, *, actor: str = ADMIN) -> Refund:
    return refunds.request(
        payment_id=payment.pk,
        amount=None if amount is None else birr(amount),
        reason="came broken",
        actor=actor,
        once=None,
        at=now(),
    )


def advance(refund: Refund, gateway: FakeGateway) -> Refund:
    """Whatever its time is, the worker takes the refund the next step."""
    Refund.objects.filter(pk=refund.pk).update(next_check_at=now())
    refunds.advance(refund_id=refund.pk, gateway=gateway, at=now())
    refund.refresh_from_db()
    return refund


def arrives(refund: Refund, gateway: FakeGateway) -> Refund:
    """It is sent, and has arrived."""
    if not refund.sends:
        advance(refund, gateway)
    gateway.refund_is(refund.reference, RefundVerdict.REFUNDED)
    return advance(refund, gateway)


def recheck(payment: Payment, gateway: FakeGateway) -> Payment:
    payment.refresh_from_db()
    return reconciliation.recheck(payment=payment, gateway=gateway, at=now())


def on(account: Account, *, currency: Currency = Currency.ETB) -> str:
    """What stands on an account; debits are positive."""
    return f"{ledger.balances().get((account, currency), Money.zero(currency)).amount:.2f}"


def books() -> dict[str, str]:
    """Account → what stands on it, where that is something."""
    return {account.value: f"{money.amount:.2f}" for (account, _), money in ledger.balances().items() if money}
