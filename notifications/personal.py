"""What is kept of whom we wrote to, and of what other systems were told about them, and how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db.models import Exists, OuterRef, QuerySet

from core import personal
from core.personal import Counts, Fate, Mentions, Table
from notifications.models import Notification, WebhookAttempt, WebhookMessage
from orders.models import Order
from users.models import User

MESSAGE_DUE: Final = "message_due"
"""Somebody has paid and nothing is written that tells them so: after an outage it comes late, but it comes."""


def due(*, orders: QuerySet[Order]) -> list[str]:
    """Which messages these orders' customers still have to get before they are forgotten."""
    told = Notification.objects.filter(order=OuterRef("pk"), template="order_paid")
    untold = orders.filter(paid_at__isnull=False).exclude(Exists(told))
    return [MESSAGE_DUE] if untold.exists() else []


def erase_order(*, order: Order, pseudonym: str, mentions: Mentions) -> Counts:  # noqa: ARG001 - as in every app
    """Messages about the order, sent and unsent, go to nobody any more; what other systems were told names nobody.

    What waits is withdrawn when its turn comes (`notifications.rules.moot`). Call it under the order's lock, in
    `core.personal.erasing`.
    """
    told = Notification.objects.filter(order=order).exclude(recipient=pseudonym).update(recipient=pseudonym)
    messages = list(WebhookMessage.objects.filter(order=order).order_by("pk").values_list("pk", "body"))
    for message_id, body in messages:
        WebhookMessage.objects.filter(pk=message_id).update(body=personal.rewrite(body=body, pseudonym=pseudonym))
    answers = WebhookAttempt.objects.filter(message__order=order).exclude(answer="").update(answer="")
    return {
        "notifications.Notification": told,
        "notifications.WebhookMessage": len(messages),
        "notifications.WebhookAttempt": answers,
    }


def erase_account(*, user: User, pseudonym: str) -> Counts:
    """Messages to the account go to nobody any more. Call it under the account's lock."""
    told = Notification.objects.filter(user=user).exclude(recipient=pseudonym).update(recipient=pseudonym)
    return {"notifications.Notification": told}


HOLDS: Final[Mapping[str, Table]] = {
    "notifications.Notification": Table(
        kept="always; ids, no words",
        personal={"recipient": Fate.PSEUDONYM},
        plain=("topic", "template", "language", "last_error", "message_id", "request_id"),
    ),
    "notifications.WebhookMessage": Table(
        kept="`OUTBOUND_KEEP_DAYS`",
        personal={"body": Fate.REWRITTEN},
        plain=("topic", "last_error", "request_id"),
    ),
    "notifications.WebhookAttempt": Table(
        kept="`OUTBOUND_KEEP_DAYS`", personal={"answer": Fate.EMPTIED}, plain=("error",)
    ),
    "notifications.WebhookEndpoint": Table(kept="always", plain=("url", "description", "created_by")),
    "notifications.WebhookSubscription": Table(kept="always", plain=("topic",)),
}
