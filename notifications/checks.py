"""Wrong settings are named when a process starts, not when the first message is due."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from notifications.channels import SMS_CHANNELS


def networks_are_networks(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    for network in settings.OUTBOUND_PRIVATE_NETWORKS:
        try:
            ip_network(network)
        except ValueError:
            found.append(Error(f"OUTBOUND_PRIVATE_NETWORKS has {network!r}: no network.", id="notifications.E002"))
    return found


def channels_are_known(**_: Any) -> list[CheckMessage]:
    if settings.SMS_CHANNEL in SMS_CHANNELS:
        return []
    known = ", ".join(sorted(SMS_CHANNELS))
    return [Error(f"SMS_CHANNEL is {settings.SMS_CHANNEL!r}, which is none of: {known}.", id="notifications.E001")]
