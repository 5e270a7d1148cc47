"""Whatever stands in an answer: a value, `Refused`, `Unavailable`; nothing else ever comes out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import Money
from payments.chapa import webhook_hint, wire
from payments.chapa.checkout_url import is_allowed
from payments.chapa.envelope import Answer, Envelope, open_envelope
from payments.gateway import CheckoutSession, Refused, Unavailable, Verdict, Verification
from tests.payments.chapa.samples import SAMPLES

HOSTS = ["checkout.chapa.co"]
READERS: dict[str, Callable[[Envelope], object]] = {
    "open_checkout": lambda envelope: wire.checkout_session(envelope, hosts=HOSTS),
    "verify": wire.verification,
    "cancel": wire.cancellation,
    "refund": wire.refund_receipt,
    "verify_refund": lambda envelope: wire.refund_verification(envelope, currency="ETB"),
    "list_transactions": lambda envelope: wire.transaction_page(envelope, page=1),
    "events": wire.transaction_events,
    "banks": wire.bank_list,
}

texts = st.text(st.characters(exclude_categories=[])) | st.sampled_from(
    [
        "success",
        "failed",
        "pending",
        "null",
        "1,000.00",
        "12.000",
        "1e999",
        "ETB",
        "https://checkout.chapa.co/x",
        "used reference",
    ]
)
numbers = st.integers() | st.floats(allow_nan=True, allow_infinity=True)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
statuses = st.sampled_from([200, 201, 204, 302, 400, 401, 404, 409, 422, 429, 500, 503])


def paths(value: object, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        found += paths(below, (*here, key))
    return found


def replaced(value: Any, path: tuple[Any, ...], by: object) -> object:
    if not path:
        return by
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


def read(call: str, answer: Answer) -> object:
    try:
        return READERS[call](open_envelope(answer))
    except (Refused, Unavailable) as outcome:
        str(outcome).encode()
        return outcome


@pytest.mark.parametrize("call", READERS)
@given(data=st.data())
def test_any_value_at_any_place_has_one_of_three_outcomes(call: str, data: st.DataObject) -> None:
    sample = SAMPLES[call]()
    path = data.draw(st.sampled_from(paths(sample)))
    spoilt = replaced(sample, path, data.draw(values))
    body = json.dumps(spoilt).encode()
    outcome = read(call, Answer(status=data.draw(statuses), content_type="application/json", body=body))
    if isinstance(outcome, CheckoutSession):
        assert is_allowed(outcome.checkout_url, hosts=HOSTS)
    if isinstance(outcome, Verification):
        assert outcome.paid is None or isinstance(outcome.paid, Money)
        assert isinstance(spoilt, dict)
        if outcome.verdict is Verdict.SUCCESS:
            assert spoilt["data"]["status"].strip().casefold() == "success"


@pytest.mark.parametrize("call", READERS)
@given(body=st.binary(), status=statuses)
def test_any_bytes_have_one_of_three_outcomes(call: str, body: bytes, status: int) -> None:
    read(call, Answer(status=status, content_type="application/json", body=body))


@given(cut=st.integers(min_value=0, max_value=600))
def test_a_payment_cut_short_is_never_a_verdict(cut: int) -> None:
    whole = json.dumps(SAMPLES["verify"]()).encode()
    outcome = read("verify", Answer(status=200, content_type="application/json", body=whole[:cut]))
    assert isinstance(outcome, Verification if cut >= len(whole) else Unavailable)


@given(body=st.binary() | values.map(lambda value: json.dumps(value).encode()))
def test_a_webhook_hint_can_be_sought_in_anything(body: bytes) -> None:
    hint = webhook_hint.read(body=body)
    if hint is not None:
        for text in (hint.event, hint.tx_ref, hint.reference, hint.status):
            text.encode()
            assert "\0" not in text
