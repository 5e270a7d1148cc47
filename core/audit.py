"""What people on the staff did: who, when, what, to what, and why (docs/decisions/0032).

Written in the transaction in which it was done, so that neither is ever there without the other. What customers, guests
and the system itself do stands in the histories of what they did it to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import connection, models

from core import outbox
from core.models import AuditEntry

_NOBODY: Final = frozenset({"", "system", "guest"})
_LONGEST_LABEL: Final = 120
_LONGEST_REASON: Final = 300


def record(
    *,
    verb: str,
    actor: str,
    subject: models.Model | type[models.Model],
    label: str = "",
    order: str = "",
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> AuditEntry | None:
    """Add an entry, in the caller's transaction; None, and no statement, where no person on the staff acted.

    `label` is what people call the subject (an order's number, a reference); `order` the number of the order that it
    belongs to, if any, which is how a customer who is erased is found. `before` and `after` say in a few words what
    changed: ids, states and amounts, never a person, a secret or a whole payload. A subject that is many rows, or none
    yet, is named by its model.

    :raises RuntimeError: outside a transaction, where an act could be true without its entry, or the reverse.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(f"{verb} must be recorded in the transaction that makes it true")
    if not is_by_staff(actor):
        return None
    entry = AuditEntry(
        actor=actor[:80],
        verb=verb,
        subject_kind=subject._meta.label,  # noqa: SLF001 - public by use
        subject_id="" if isinstance(subject, type) else str(subject.pk),
        subject_label=label[:_LONGEST_LABEL],
        order_number=order,
        reason=reason[:_LONGEST_REASON],
        before=dict(before or {}),
        after=dict(after or {}),
        request_id=outbox.current_request_id(),
    )
    entry.save(force_insert=True)
    return entry


def is_by_staff(actor: str) -> bool:
    """Whether a person on the staff acts: at the desk, over the API (`staff:7`), or by a command, under any name."""
    return actor not in _NOBODY and not actor.startswith("customer:")
