"""Which tasks hear of which event. The relay publishes exactly what stands here; nothing else links the two."""

from __future__ import annotations

from typing import Final

TOPICS: Final[dict[str, tuple[str, ...]]] = {
    "user.registered": ("notifications.dispatch",),
    "catalogue.changed": ("products.forget_shelf",),
    "user.password_changed": ("notifications.dispatch",),
    "identity.linked": ("notifications.dispatch",),
    "second_factor.reset": ("notifications.dispatch",),
    "user.reset_asked": ("notifications.dispatch",),
    # Written so that an unknown address costs as much as a known one; there is nobody to tell.
    "user.reset_asked_in_vain": (),
    "erasure.requested": ("notifications.dispatch",),
    "erasure.withdrawn": ("notifications.dispatch",),
    # An erasure that staff entered for somebody without an account, and its end: there is nobody to write to.
    "erasure.entered": (),
    "erasure.cancelled": (),
    "erasure.done": (),
    "export.requested": ("desk.make_export",),
    "order.placed": ("notifications.write_webhooks",),
    "order.paid": ("notifications.dispatch", "payments.close_attempts", "notifications.write_webhooks"),
    "order.expired": ("notifications.dispatch", "payments.close_attempts", "notifications.write_webhooks"),
    "order.cancelled": ("payments.close_attempts", "notifications.write_webhooks"),
    "order.fulfilled": ("notifications.write_webhooks",),
    "order.refunded": ("notifications.write_webhooks",),
    "payment.opened": (),
    "payment.unknown": (),
    "payment.noted": (),
    "payment.succeeded": ("notifications.write_webhooks",),
    "payment.applied": ("notifications.write_webhooks",),
    "payment.failed": ("notifications.dispatch", "notifications.write_webhooks"),
    "payment.cancelled": ("notifications.write_webhooks",),
    "payment.mismatched": ("notifications.write_webhooks",),
    "refund.requested": ("payments.advance_refund", "notifications.write_webhooks"),
    "refund.submitted": (),
    "refund.unknown": (),
    "refund.succeeded": ("notifications.dispatch", "notifications.write_webhooks"),
    "refund.failed": ("notifications.write_webhooks",),
    "refund.rejected": ("notifications.write_webhooks",),
    "refund.reversed": ("notifications.write_webhooks",),
    "statement.imported": (),
    "day.closed": ("notifications.dispatch",),
    "discrepancy.opened": (),
    "discrepancy.resolved": (),
    "reconciliation.requested": ("payments.reconcile",),
    "payment.lost": ("payments.reopen",),
    "payment.hinted": ("payments.settle",),
    "webhook.received": ("payments.process_webhook",),
    "webhook.replay_wanted": ("payments.replay_webhook",),
    "notification.queued": ("notifications.deliver",),
    "outbound.queued": ("notifications.deliver_webhook",),
    "endpoint.disabled": ("notifications.dispatch",),
}
"""Topic → names of the tasks that get the event's payload. An empty row: nobody needs to hear of it yet."""
