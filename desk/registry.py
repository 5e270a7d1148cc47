"""Who holds what of people: every app in one table, from which docs/privacy.md is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from core import personal as core_personal
from core.personal import Counts, Fate, Mentions, Table
from notifications import personal as notifications_personal
from orders import personal as orders_personal
from orders.models import Order
from payments import personal as payments_personal
from products import personal as products_personal
from users import personal as users_personal
from users.models import User


class EraseOrder(Protocol):
    def __call__(self, *, order: Order, pseudonym: str, mentions: Mentions) -> Counts: ...


class EraseAccount(Protocol):
    def __call__(self, *, user: User, pseudonym: str) -> Counts: ...


ERASE_ORDER: Final[tuple[EraseOrder, ...]] = (
    notifications_personal.erase_order,
    payments_personal.erase_order,
    orders_personal.erase_order,
)
"""What is done to each order of a person, from the top down: the last of them takes the name away."""

ERASE_ACCOUNT: Final[tuple[EraseAccount, ...]] = (
    notifications_personal.erase_account,
    users_personal.erase_account,
)

HOLDS: Final[Mapping[str, Table]] = {
    **core_personal.HOLDS,
    **users_personal.HOLDS,
    **products_personal.HOLDS,
    **orders_personal.HOLDS,
    **payments_personal.HOLDS,
    **notifications_personal.HOLDS,
    "desk.DayFigures": Table(kept="always", plain=("figures",)),
    "desk.Export": Table(
        kept="a day after it came to its end, as its file",
        # What somebody on the staff searched for may be an address.
        personal={"query": Fate.EXPIRES, "words": Fate.EXPIRES},
        plain=(
            "kind",
            "format",
            "totals",
            "position",
            "file_name",
            "claim",
            "failure",
            "request_id",
        ),
    ),
    "desk.Erasure": Table(
        kept="always; after its end it names nobody",
        personal={"email": Fate.EMPTIED, "reason": Fate.BLACKENED},
        plain=("pseudonym", "requested_by", "waits_for", "counts", "request_id"),
    ),
    "desk.ErasureHistory": Table(
        kept="always",
        personal={"reason": Fate.BLACKENED},
        plain=("from_status", "to_status", "actor", "request_id"),
    ),
}
"""Model → what it holds."""


def written() -> str:
    """The table of docs/privacy.md."""
    rows = [("table", "of people", "when they are erased", "kept")]
    for label, table in sorted(HOLDS.items()):
        by_fate: dict[Fate, list[str]] = {}
        for column, fate in table.personal.items():
            by_fate.setdefault(fate, []).append(f"`{column}`")
        rows.append(
            (
                f"`{label}`",
                ", ".join(f"`{column}`" for column in table.personal) or "–",
                "; ".join(f"{', '.join(columns)}: {fate}" for fate, columns in by_fate.items()) or "–",
                table.kept,
            )
        )
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "| --- | --- | --- | --- |", *body, ""])
