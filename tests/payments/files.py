"""Statements as Chapa and a bank would write them, and what has to have happened for them to be true."""

from __future__ import annotations

import io
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.utils.timezone import now

from payments import refunds, settlement, statements
from payments.gateway import RefundReceipt, RefundVerdict
from payments.models import Payment, Refund, StatementFormat
from payments.payouts import EAST_AFRICA
from payments.statements import Imported
from tests import factories
from tests.gateways import FakeGateway

BANK_COLUMNS = {
    "date": "Date", "debit": "Debit", "credit": "Credit", "reference": "Reference", "description": "Description",
}  # fmt: skip
CHAPA_COLUMNS = {
    "date": "Date", "reference": "Reference", "gross": "Amount", "fee": "Charge", "net": "Net",
    "payout_reference": "Payout", "currency": "Currency",
}  # fmt: skip
BANK_HEADER = "Date,Reference,Description,Debit,Credit\n"
CHAPA_HEADER = "Date,Reference,Amount,Charge,Net,Payout,Currency\n"


def bank_format(**fields: Any) -> StatementFormat:
    defaults = {
        "source": "bank", "account": "1000", "columns": BANK_COLUMNS, "date_format": "%d/%m/%Y", "currency": "ETB",
        "totals_words": ["Total", "ድምር"],
    }  # fmt: skip
    return StatementFormat.objects.get_or_create(name=fields.pop("name", "bank"), defaults={**defaults, **fields})[0]


def chapa_format(**fields: Any) -> StatementFormat:
    defaults = {"source": "chapa", "account": "chapa", "columns": CHAPA_COLUMNS}
    return StatementFormat.objects.get_or_create(name=fields.pop("name", "chapa"), defaults={**defaults, **fields})[0]


def take_in(content: str, *, format_name: str) -> Imported:
    return statements.import_file(
        file=io.BytesIO(content.encode()), file_name=f"{format_name}.csv", format_name=format_name,
        actor="staff:7", at=now(),
    )  # fmt: skip


def today() -> date:
    return now().astimezone(EAST_AFRICA).date()


def chapa(*rows: str) -> Imported:
    """Rows without their date, which is today, unless they begin with one."""
    chapa_format()
    dated = [row if row[:2] == "20" else f"{today():%Y-%m-%d},{row}" for row in rows]
    return take_in(CHAPA_HEADER + "\n".join(dated) + "\n", format_name="chapa")


def bank(*rows: str, day: date | None = None) -> Imported:
    """Rows without their date, which is today unless another is given: `reference,description,debit,credit`."""
    bank_format()
    return take_in(BANK_HEADER + "".join(f"{day or today():%d/%m/%Y},{row}\n" for row in rows), format_name="bank")


def settled_payment(*, at: datetime | None = None, **changes: Any) -> Payment:
    """Nine hundred birr that arrived, of which Chapa keeps one."""
    gateway = FakeGateway()
    payment = factories.pending_payment(order=factories.order(at=at), gateway=gateway, at=at)
    gateway.pay(payment, **changes)
    return settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=at or now())


class Refunding(FakeGateway):
    """Gives back at once whatever is asked."""

    def refund(self, *, reference: str, amount: Any, **_: Any) -> RefundReceipt:  # type: ignore[override]
        return RefundReceipt(
            verdict=RefundVerdict.REFUNDED, reference=f"RF{reference[-10:]}", amount=amount, said="refunded"
        )

    def verify_refund(self, *, reference: str, currency: str) -> RefundReceipt:
        return RefundReceipt(verdict=RefundVerdict.NOT_FOUND)


def refunded(payment: Payment, *, amount: Any = None, at: datetime | None = None) -> Refund:
    refund = refunds.request(
        payment_id=payment.pk, amount=amount, reason="broken", actor="staff:7", once=None, at=at or now()
    )
    refunds.advance(refund_id=refund.pk, gateway=Refunding(), at=at or now())
    refund.refresh_from_db()
    return refund


def patiently() -> None:
    """On a busy machine a gate may take its time; what is tested is the order, not the haste. For this connection."""
    with connection.cursor() as cursor:
        for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute(f"SET {name} = '120s'")
