"""Which tasks hear of which event. The relay publishes exactly what stands here; nothing else links the two."""

from __future__ import annotations

from typing import Final

TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "user.registered": ("notifications.dispatch",),
    "catalogue.changed": ("products.forget_shelf",),
    "user.password_changed": ("notifications.dispatch",),
    "user.reset_asked": ("notifications.dispatch",),
    # Written so that an unknown address costs as much as a known one; there is nobody to tell.
    "user.reset_asked_in_vain": (),
    "order.placed": (),
    "order.paid": ("notifications.dispatch", "payments.close_attempts"),
    "order.expired": ("notifications.dispatch", "payments.close_attempts"),
    "order.cancelled": ("payments.close_attempts",),
    "order.fulfilled": (),
    "order.refunded": (),
    "payment.opened": (),
    "payment.unknown": (),
    "payment.noted": (),
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
