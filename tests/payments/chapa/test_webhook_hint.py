from __future__ import annotations

import json

import pytest

from payments.chapa.webhook_hint import WebhookHint, read
from tests.payments.chapa.test_signature import COMPACT, PHP


@pytest.mark.parametrize("body", [COMPACT, PHP])
def test_the_documented_event_says_which_payment_is_meant(body: bytes) -> None:
    assert read(body=body) == WebhookHint(
        event="charge.failed/cancelled", tx_ref="4FGFF4FFGD3", reference="AP634JFwEbxd", status="failed/cancelled"
    )


def test_a_payout_is_told_apart() -> None:
    body = {"event": "payout.success", "type": "Payout", "reference": "MYMER3434989", "status": "success"}
    assert read(body=json.dumps(body).encode()) == WebhookHint(
        event="payout.success", reference="MYMER3434989", status="success", is_payout=True
    )
    assert read(body=b'{"type": "Payout"}') == WebhookHint(is_payout=True)


def test_the_older_shape_is_read_too() -> None:
    body = b'{"event": "Charge.Success", "data": {"tx_ref": "nx-1", "reference": "AP1", "status": "SUCCESS"}}'
    assert read(body=body) == WebhookHint(event="charge.success", tx_ref="nx-1", reference="AP1", status="success")


def test_the_other_spelling_of_our_reference_is_read_too() -> None:
    assert read(body=b'{"trx_ref": "nx-1"}') == WebhookHint(tx_ref="nx-1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"7",
        b"x",
        b"[" * 1_000_000,
        b'{"a": "\\u0000"}',
        b'{"a": "\\ud800"}',
        b'{"a": 1, "a": 2}',
        b"\xff",
    ],
)
def test_junk_says_nothing(body: bytes) -> None:
    assert read(body=body) is None


@pytest.mark.parametrize("body", [b"{}", b'{"tx_ref": 7, "event": [], "amount": 1e999, "data": "x"}'])
def test_an_object_that_says_nothing_is_an_empty_hint(body: bytes) -> None:
    assert read(body=body) == WebhookHint()
