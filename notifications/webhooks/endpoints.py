"""Which other systems hear of what: named, changed, given another secret, switched off and on by people."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Now

from core import audit
from core.errors import DomainError
from core.transactions import durable
from notifications.webhooks import addresses, signature
from notifications.webhooks.models import DisabledBecause, WebhookEndpoint, WebhookSubscription

log = structlog.get_logger(__name__)

MOST: Final = 20
"""Each event is written down once for each endpoint that hears of it."""
_LOCK: Final = int.from_bytes(b"hooks", "big")
"""Of the advisory lock under which endpoints are counted."""


class EndpointNotFound(DomainError):
    code, status, title = "endpoint_not_found", 404, "There is no such endpoint."
    storable = False


class TooManyEndpoints(DomainError):
    code, status, title = "too_many_endpoints", 409, "There are as many endpoints as there may be."
    storable = False


class EndpointDisabled(DomainError):
    code, status, title = "endpoint_disabled", 409, "The endpoint is switched off: switch it on first."
    storable = False


def known() -> QuerySet[WebhookEndpoint]:
    """All endpoints that were not removed."""
    return WebhookEndpoint.objects.filter(removed_at=None).prefetch_related("subscriptions")


def find(*, endpoint_id: UUID) -> WebhookEndpoint:
    """:raises EndpointNotFound:"""
    endpoint = known().filter(pk=endpoint_id).first()
    if endpoint is None:
        raise EndpointNotFound
    return endpoint


def register(*, url: str, topics: Collection[str], description: str = "", actor: str) -> WebhookEndpoint:
    """Name another system and what it is to hear of, from now on. `secret_of` gives what it verifies by.

    :raises UrlRefused: nothing would ever be sent there.
    :raises TooManyEndpoints: beyond twenty.
    """
    addresses.check(url=url)
    with durable("endpoint.register"):
        with connection.cursor() as cursor:
            # Whoever counts at the same time waits here; there is no row that all of them could lock.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        if known().count() >= MOST:
            raise TooManyEndpoints(f"There may be {MOST} endpoints.")
        endpoint = WebhookEndpoint.objects.create(url=url, description=description, created_by=actor)
        _subscribe(endpoint, topics)
        _note("endpoint.register", endpoint, actor=actor, before={}, after=_said(endpoint))
    log.info("endpoint.registered", endpoint=str(endpoint.pk), host=endpoint.host, actor=actor)
    return find(endpoint_id=endpoint.pk)


def change(
    *,
    endpoint_id: UUID,
    url: str | None = None,
    topics: Collection[str] | None = None,
    description: str | None = None,
    is_enabled: bool | None = None,
    actor: str,
    at: datetime,
) -> WebhookEndpoint:
    """Set what is given. Switched on again it hears of what happens from now on; what it missed can be sent again.

    :raises EndpointNotFound: · UrlRefused:
    """
    if url is not None:
        addresses.check(url=url)
    with durable("endpoint.change"):
        endpoint = _lock(endpoint_id)
        before = _said(endpoint)
        fields: dict[str, Any] = {}
        if description is not None:
            fields["description"] = description
        if url is not None and url != endpoint.url:
            fields |= {"url": url, "failing_since": None, "rests_until": None}
        if is_enabled is True and not endpoint.is_enabled:
            fields |= {"is_enabled": True, "disabled_at": None, "disabled_because": ""}
            fields |= {"failing_since": None, "rests_until": None}
            endpoint.subscriptions.update(since=Now())
        if is_enabled is False and endpoint.is_enabled:
            fields |= {"is_enabled": False, "disabled_at": at, "disabled_because": DisabledBecause.PERSON}
        if topics is not None:
            endpoint.subscriptions.exclude(topic__in=topics).delete()
            _subscribe(endpoint, set(topics) - set(endpoint.subscriptions.values_list("topic", flat=True)))
        _save(endpoint, fields)
        _note("endpoint.change", endpoint, actor=actor, before=before, after=_said(endpoint))
    log.info("endpoint.changed", endpoint=str(endpoint.pk), changed=sorted(fields), actor=actor)
    return find(endpoint_id=endpoint_id)


def rotate(*, endpoint_id: UUID, overlap: timedelta | None = None, actor: str, at: datetime) -> WebhookEndpoint:
    """Give it another secret. The old one signs too for `overlap` (OUTBOUND_ROTATION_HOURS unless given; none at all
    where it has leaked).

    :raises EndpointNotFound:
    """
    if overlap is None:
        overlap = timedelta(hours=settings.OUTBOUND_ROTATION_HOURS)
    with durable("endpoint.rotate"):
        endpoint = _lock(endpoint_id)
        until = at + overlap if overlap else None
        version = endpoint.secret_version
        _save(endpoint, {"secret_version": version + 1, "previous_secret_until": until})
        _note(
            "endpoint.rotate",
            endpoint,
            actor=actor,
            before={"secret_version": version},
            after={"secret_version": version + 1, "previous_secret_until": until},
        )
    log.info("endpoint.secret_rotated", endpoint=str(endpoint.pk), actor=actor)
    return find(endpoint_id=endpoint_id)


def remove(*, endpoint_id: UUID, actor: str, at: datetime) -> None:
    """Tell it nothing more. The row stays, with the log of what it was told; what still waits fails.

    :raises EndpointNotFound:
    """
    with durable("endpoint.remove"):
        endpoint = _lock(endpoint_id)
        fields: dict[str, Any] = {"removed_at": at}
        if endpoint.is_enabled:
            fields |= {"is_enabled": False, "disabled_at": at, "disabled_because": DisabledBecause.PERSON}
        before = {"is_enabled": endpoint.is_enabled}
        _save(endpoint, fields)
        _note("endpoint.remove", endpoint, actor=actor, before=before, after={"is_enabled": False, "removed": True})
    log.info("endpoint.removed", endpoint=str(endpoint.pk), actor=actor)


def secret_of(endpoint: WebhookEndpoint) -> str:
    """The current secret. It is shown when it is new, and never again."""
    return signature.secret_of(endpoint_id=endpoint.pk, version=endpoint.secret_version)


def _said(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Not the path of its address: some put a secret there."""
    topics = sorted(endpoint.subscriptions.values_list("topic", flat=True))
    return {"host": endpoint.host, "is_enabled": endpoint.is_enabled, "topics": topics}


def _note(verb: str, endpoint: WebhookEndpoint, *, actor: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    audit.record(verb=verb, actor=actor, subject=endpoint, label=endpoint.host, before=before, after=after)


def _subscribe(endpoint: WebhookEndpoint, topics: Collection[str]) -> None:
    WebhookSubscription.objects.bulk_create(
        [WebhookSubscription(endpoint=endpoint, topic=topic) for topic in sorted(set(topics))]
    )


def _lock(endpoint_id: UUID) -> WebhookEndpoint:
    """:raises EndpointNotFound:"""
    endpoint = WebhookEndpoint.objects.select_for_update(no_key=True).filter(pk=endpoint_id, removed_at=None).first()
    if endpoint is None:
        raise EndpointNotFound
    return endpoint


def _save(endpoint: WebhookEndpoint, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        setattr(endpoint, name, value)
    if fields:
        endpoint.save(update_fields=list(fields))
