"""Standard Webhooks: how a message is signed, and the secrets that do it (https://www.standardwebhooks.com).

A secret is derived from OUTBOUND_SIGNING_KEY, the endpoint and a version. None is stored, so none can be read out of a
backup; a new version is a new secret. The spec asks for 24 to 64 bytes. While OUTBOUND_SIGNING_KEY_PREVIOUS is set,
secrets of both sign, so that the other systems can change over one by one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from uuid import UUID

from django.conf import settings

from notifications.webhooks.models import WebhookEndpoint, WebhookMessage, is_overlapping

PREFIX = "whsec_"


def secret_of(*, endpoint_id: UUID, version: int) -> str:
    """What the other system verifies by, as its library takes it: `whsec_` and 32 bytes in base64."""
    return PREFIX + base64.b64encode(_key(endpoint_id=endpoint_id, version=version)).decode()


def headers(*, message: WebhookMessage, endpoint: WebhookEndpoint, at: datetime) -> dict[str, str]:
    """The three headers of a message that leaves at `at`. While a secret is being changed, both sign."""
    seconds = str(int(at.timestamp()))
    signed = f"{message.webhook_id}.{seconds}.{message.body}".encode()
    versions = [endpoint.secret_version]
    if is_overlapping(endpoint, at=at):
        versions.append(endpoint.secret_version - 1)
    keys = [_key(endpoint_id=endpoint.pk, version=version) for version in versions]
    if settings.OUTBOUND_SIGNING_KEY_PREVIOUS:
        before = settings.OUTBOUND_SIGNING_KEY_PREVIOUS
        keys += [_key(endpoint_id=endpoint.pk, version=version, derived_from=before) for version in versions]
    return {
        "webhook-id": message.webhook_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(_sign(signed, key) for key in keys),
    }


def _sign(signed: bytes, key: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _key(*, endpoint_id: UUID, version: int, derived_from: str = "") -> bytes:
    what = f"outbound-webhook\n{endpoint_id}\n{version}".encode()
    return hmac.new((derived_from or settings.OUTBOUND_SIGNING_KEY).encode(), what, hashlib.sha256).digest()
