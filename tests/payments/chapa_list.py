"""A gateway whose list of transactions can be bent: newest first, ten a page, no `tx_ref`, as Chapa's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from core.money import Money
from payments import discrepancies, settlement
from payments.gateway import ListedTransaction, TransactionPage, Verdict
from payments.models import Discrepancy, DiscrepancyKind, Payment
from tests import factories
from tests.gateways import FakeGateway

PER_PAGE = 10
EARLIER = timedelta(hours=5)
"""Longer ago than the grace, and within what a run looks at."""


def money(amount: str, currency: str = "ETB") -> Money:
    return Money.parse(amount, currency)


def listed(reference: str, *, at: datetime | None = None, **changes: Any) -> ListedTransaction:
    row = ListedTransaction(
        reference=reference, verdict=Verdict.SUCCESS, amount=money("900.00"), fee=money("1.00"), method="telebirr",
        kind="API", created_at=at or now() - EARLIER,
    )  # fmt: skip
    return replace(row, **changes)


def disagree(kind: DiscrepancyKind, subject: str, *, ours: str = "", theirs: str = "", **fields: Any) -> Discrepancy:
    """Somebody finds that two books disagree."""
    with transaction.atomic():
        assert discrepancies.found(
            kind=kind, subject=subject, ours=ours, theirs=theirs, at=fields.pop("at", None) or now(), **fields
        )
    return Discrepancy.objects.latest("id")


class ListingGateway(FakeGateway):
    def __init__(self) -> None:
        super().__init__()
        self.rows: list[ListedTransaction] = []
        self.on_page: Callable[[int], None] = lambda page: None
        """Runs before a page is given; raise from it to be silent."""

    def paid(self, *, at: datetime | None = None, **order: Any) -> Payment:
        """A payment that arrived, here and in the list."""
        at = at or now() - EARLIER
        payment = factories.pending_payment(order=factories.order(at=at, **order), gateway=self, at=at)
        self.pay(payment)
        payment = settlement.settle(tx_ref=payment.tx_ref, gateway=self, at=at)
        assert payment.gateway_reference
        fee = Money(payment.fee or Decimal(0), payment.total.currency)
        self.show(listed(payment.gateway_reference, at=at, amount=payment.captured, fee=fee))
        return payment

    def show(self, row: ListedTransaction) -> None:
        """On top of the list: the newest."""
        self.rows.insert(0, row)

    def change(self, payment: Payment, **changes: Any) -> None:
        self.rows = [
            replace(row, **changes) if row.reference == payment.gateway_reference else row for row in self.rows
        ]

    def hide(self, payment: Payment) -> None:
        self.rows = [row for row in self.rows if row.reference != payment.gateway_reference]

    def list_transactions(self, *, page: int = 1) -> TransactionPage:
        self.calls.append(("list", str(page)))
        self.on_page(page)
        start = (page - 1) * PER_PAGE
        return TransactionPage(
            transactions=tuple(self.rows[start : start + PER_PAGE]),
            page=page,
            has_next=len(self.rows) > start + PER_PAGE,
        )
