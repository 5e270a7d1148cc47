"""`GET /webhooks/messages/?endpoint=&status=&topic=`"""

from __future__ import annotations

import django_filters

from notifications.webhooks.models import STATUSES, WebhookMessage
from notifications.webhooks.topics import TEST, TOPICS


class MessageFilter(django_filters.FilterSet):
    endpoint = django_filters.UUIDFilter(field_name="endpoint_id")
    status = django_filters.ChoiceFilter(choices=STATUSES)
    topic = django_filters.ChoiceFilter(choices=[(topic, topic) for topic in (*TOPICS, TEST)])

    class Meta:
        model = WebhookMessage
        fields: list[str] = []
