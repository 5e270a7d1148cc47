"""Which tasks hear of which event. The relay publishes exactly what stands here; nothing else links the two."""

from __future__ import annotations

from typing import Final

TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "user.registered": ("notifications.dispatch",),
    "order.placed": (),
    "order.paid": ("notifications.dispatch", "payments.close_attempts"),
    "order.expired": ("notifications.dispatch", "payments.close_attempts"),
    "order.cancelled": ("payments.close_attempts",),
    "order.fulfilled": (),
    "order.refunded": (),
    "payment.opened": (),
    "payment.unknown": (),
    "payment.succeeded": (),
    "payment.failed": ("notifications.dispatch",),
    "payment.cancelled": (),
    "payment.mismatched": (),
    "refund.requested": ("payments.advance_refund",),
    "refund.submitted": (),
    "refund.unknown": (),
    "refund.succeeded": ("notifications.dispatch",),
    "refund.failed": (),
    "refund.rejected": (),
    "refund.reversed": (),
    "statement.imported": (),
    "day.closed": ("notifications.dispatch",),
    "discrepancy.opened": (),
    "discrepancy.resolved": (),
    "reconciliation.requested": ("payments.reconcile",),
    "payment.lost": ("payments.reopen",),
    "payment.hinted": ("payments.settle",),
    "webhook.received": ("payments.process_webhook",),
    "notification.queued": ("notifications.deliver",),
}
"""Topic → names of the tasks that get the event's payload. An empty row: nobody needs to hear of it yet."""
