"""Which columns a list has when it is exported: what the list shows, in full, as a program reads it.

Nothing of a person stands here that the list itself does not show. Headings are never translated: programs read them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from core.listing import EAST_AFRICA
from core.spreadsheet import Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading, where its values are read, and, where it is made of several of them, how."""

    heading: str
    paths: tuple[str, ...]
    value: Callable[..., Any] | None = None

    def of(self, values: Sequence[Any]) -> Cell:
        """The cell, of the values of `paths`."""
        return cell(self.value(*values) if self.value is not None else values[0])


def cell(value: Any) -> Cell:
    """As it is written: moments in East Africa Time with their offset, amounts as numbers, bytes as hexadecimal."""
    if value is None or isinstance(value, Decimal):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return value
    if isinstance(value, datetime):
        return value.astimezone(EAST_AFRICA).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return str(value)


def _column(heading: str, *paths: str, value: Callable[..., Any] | None = None) -> Column:
    return Column(heading=heading, paths=paths or (heading,), value=value)


def _first(*values: Any) -> Any:
    """The first that says something, as the lists show it."""
    return next((value for value in values if value not in {None, ""}), None)


def _name(first: str, last: str) -> str:
    return f"{first} {last}".strip()


_C = _column
COLUMNS: Final[Mapping[str, tuple[Column, ...]]] = {
    "orders.order": (
        _C("id"), _C("number"), _C("status"), _C("payment_status"), _C("total", "total_amount"), _C("currency"),
        _C("customer", "first_name", "last_name", value=_name),
        _C("contact", "email", "phone_number", value=_first), _C("placed", "created_at"),
    ),
    "payments.payment": (
        _C("id"), _C("tx_ref"), _C("chapa_reference", "gateway_reference"), _C("order", "order__number"), _C("status"),
        _C("amount", "captured_amount", "amount", value=_first),
        _C("currency", "captured_currency", "currency", value=_first), _C("method"), _C("begun", "created_at"),
        _C("next_look", "next_check_at"),
    ),
    "payments.refund": (
        _C("id"), _C("reference"), _C("order", "payment__order__number"), _C("payment", "payment__tx_ref"),
        _C("status"), _C("amount"), _C("currency"), _C("reason"), _C("asked_for_by", "requested_by"),
        _C("asked_for", "created_at"), _C("decided_by"),
    ),
    "payments.discrepancy": (
        _C("id"), _C("subject"), _C("status"), _C("kind"), _C("ours"), _C("theirs"), _C("order", "order__number"),
        _C("opened", "opened_at"), _C("resolved_by"),
    ),
    "payments.webhookevent": (
        _C("id"), _C("event"), _C("tx_ref"), _C("status", "disposition"), _C("reason"), _C("attempts"),
        _C("received", "received_at"),
    ),
    "payments.journalentry": (
        _C("id"), _C("booked_on"), _C("kind"), _C("reference"), _C("order", "order__number"),
        _C("payment", "payment__tx_ref"), _C("refund", "refund__reference"), _C("actor"), _C("reason"),
    ),
    "payments.statementline": (
        _C("id"), _C("reference"), _C("description"), _C("status", "state"), _C("why"), _C("source"), _C("booked_on"),
        _C("amount"), _C("net"), _C("currency"), _C("payment", "payment__tx_ref"), _C("refund", "refund__reference"),
        _C("payout", "payout__reference"),
    ),
    "payments.payout": (
        _C("id"), _C("reference"), _C("net"), _C("received"), _C("currency"), _C("bank_line", "bank_line__reference"),
        _C("booked", "booked_at"),
    ),
    "notifications.notification": (
        _C("id"), _C("message", "template"), _C("recipient"), _C("status"), _C("order", "order__number"),
        _C("made", "created_at"), _C("sent", "sent_at"), _C("last_error"),
    ),
}  # fmt: skip
"""Model → the columns of its export. A list that is not named here has none."""


def paths_of(columns: Sequence[Column]) -> list[str]:
    """Everything that is read for these columns."""
    return [path for column in columns for path in column.paths]


def cells(columns: Sequence[Column], *, values: Sequence[Any]) -> list[Cell]:
    """A row as it is written, of the values of `paths_of` these columns."""
    row, at = [], 0
    for column in columns:
        row.append(column.of(values[at : at + len(column.paths)]))
        at += len(column.paths)
    return row
