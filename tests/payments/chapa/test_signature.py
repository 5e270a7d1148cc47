from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.chapa.signature import SignedWith, sign, signed_with

SECRET = "whsec-emulator-0001"
COMPACT = (
    b'{"event":"charge.failed/cancelled","first_name":"Bilen","last_name":"Gizachew","email":null,'
    b'"mobile":"251900123456","currency":"ETB","amount":"400.00","charge":"12.00","status":"failed/cancelled",'
    b'"mode":"test","reference":"AP634JFwEbxd","created_at":"2023-08-27T19:21:18.000000Z",'
    b'"updated_at":"2023-08-27T19:21:27.000000Z","type":"API","tx_ref":"4FGFF4FFGD3","payment_method":"telebirr",'
    b'"customization":{"title":null,"description":null,"logo":null},"meta":null}'
)
PHP = COMPACT.replace(b"/", b"\\/")
COMPACT_SIGNATURE = "de6f47d7ef2d50fee64d8676ce112a4b41c30176352ee486a656c3ce2774aedf"
PHP_SIGNATURE = "bbdb2ecb34ee46acb931c40699b0f13331190bfdca50304c772b627e0805f269"
CONSTANT_SIGNATURE = "8c0392937cd99546ab2d471d34d2cc78bcd69e6faccd08ab20d37a6e88347c8a"


@pytest.mark.parametrize(("body", "size", "signature"), [(COMPACT, 461, COMPACT_SIGNATURE), (PHP, 463, PHP_SIGNATURE)])
def test_the_vectors_of_the_contract_are_genuine_as_they_came(body: bytes, size: int, signature: str) -> None:
    assert len(body) == size
    assert sign(body=body, secret=SECRET) == signature
    assert signed_with(body=body, signature=signature, current=SECRET) is SignedWith.CURRENT


def test_the_same_event_written_otherwise_is_not_what_was_signed() -> None:
    assert signed_with(body=PHP, signature=COMPACT_SIGNATURE, current=SECRET) is None
    assert signed_with(body=COMPACT + b"\n", signature=COMPACT_SIGNATURE, current=SECRET) is None


def test_amharic_is_signed_as_bytes() -> None:
    for body in ('{"first_name":"አበበ"}'.encode(), b'{"first_name":"\\u12a0\\u1260\\u1260"}', b"\xff\x00\xfe"):
        assert signed_with(body=body, signature=sign(body=body, secret=SECRET), current=SECRET)


def test_the_constant_header_signs_no_body() -> None:
    constant = hmac.new(SECRET.encode(), SECRET.encode(), hashlib.sha256).hexdigest()
    assert constant == CONSTANT_SIGNATURE
    assert signed_with(body=COMPACT, signature=constant, current=SECRET) is None


def test_the_previous_secret_is_accepted_and_told_apart() -> None:
    assert signed_with(body=COMPACT, signature=COMPACT_SIGNATURE, current="new", previous=SECRET) is SignedWith.PREVIOUS
    assert signed_with(body=COMPACT, signature=COMPACT_SIGNATURE, current=SECRET, previous="old") is SignedWith.CURRENT
    assert signed_with(body=COMPACT, signature=COMPACT_SIGNATURE, current=SECRET, previous=SECRET) is SignedWith.CURRENT


def test_an_empty_secret_signs_nothing() -> None:
    forged = hmac.new(b"", COMPACT, hashlib.sha256).hexdigest()
    assert signed_with(body=COMPACT, signature=forged, current="", previous="") is None
    assert signed_with(body=COMPACT, signature=forged, current=SECRET, previous="") is None


@pytest.mark.parametrize(
    "signature",
    [
        None, "", " ", b"", "0", "x" * 64, COMPACT_SIGNATURE[:-1], COMPACT_SIGNATURE + "0", "é" * 64, "\ud800" * 64,
        "0" * 1_000_000, COMPACT_SIGNATURE.upper(), f"sha256={COMPACT_SIGNATURE}", COMPACT_SIGNATURE + "\n",
        f" {COMPACT_SIGNATURE}", f"{COMPACT_SIGNATURE},{COMPACT_SIGNATURE}", b"\xff" * 64, 7, 7.5, [], {}, object(),
        True, COMPACT_SIGNATURE.replace("d", "é"),
    ],
)  # fmt: skip
def test_anything_but_the_signature_itself_is_refused_and_never_raises(signature: Any) -> None:
    assert signed_with(body=COMPACT, signature=signature, current=SECRET, previous="old") is None


def test_a_header_that_arrives_as_bytes_is_read_too() -> None:
    assert signed_with(body=COMPACT, signature=COMPACT_SIGNATURE.encode(), current=SECRET) is SignedWith.CURRENT


@given(
    st.binary(),
    st.one_of(st.none(), st.text(), st.binary(), st.text(alphabet="0123456789abcdef", min_size=64, max_size=64)),
)
def test_no_header_is_right_by_accident(body: bytes, signature: object) -> None:
    assert signed_with(body=body, signature=signature, current=SECRET, previous="old") is None


@given(st.binary(), st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_what_was_signed_is_accepted_whatever_the_bytes_and_the_secret(body: bytes, secret: str) -> None:
    assert signed_with(body=body, signature=sign(body=body, secret=secret), current=secret) is SignedWith.CURRENT
