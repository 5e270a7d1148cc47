from __future__ import annotations

import pytest
from django.test import RequestFactory

from core.client_address import of


def request(**headers):
    return RequestFactory().get("/", **headers)


@pytest.mark.parametrize(
    ("forwarded", "trusted", "expected"),
    [
        ("", 0, "192.0.2.7"),
        ("198.51.100.1", 0, "192.0.2.7"),  # nobody of ours wrote it
        ("198.51.100.1", 1, "198.51.100.1"),
        ("203.0.113.9, 198.51.100.1", 1, "198.51.100.1"),  # what stands before it, the caller wrote
        ("203.0.113.9, 198.51.100.1, 10.0.0.1", 2, "198.51.100.1"),
        ("198.51.100.1", 2, "192.0.2.7"),
        ("", 1, "192.0.2.7"),
        ("rubbish", 1, "192.0.2.7"),
        ("198.51.100.1, ", 1, "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", 1, "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", 1, "2001:db8:1:2::"),
        ("::ffff:198.51.100.1", 1, "198.51.100.1"),
    ],
)
def test_what_our_own_proxies_wrote_is_believed_and_nothing_else(settings, forwarded, trusted, expected):
    settings.TRUSTED_PROXIES = trusted

    assert of(request(REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_FOR=forwarded)) == expected


@pytest.mark.parametrize("remote", ["", "not an address", "\x00"])
def test_a_request_from_nowhere_counts_with_all_others_from_there(settings, remote):
    settings.TRUSTED_PROXIES = 0

    assert of(request(REMOTE_ADDR=remote)) == "unknown"
