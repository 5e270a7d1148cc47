"""The bytes of a webhook and its signatures, against the contract's vectors."""

import hashlib
from decimal import Decimal

import pytest

from sandbox import signing

SECRET = "whsec-emulator-0001"
EVENT = {
    "event": "charge.failed/cancelled", "first_name": "Bilen", "last_name": "Gizachew", "email": None,
    "mobile": "251900123456", "currency": "ETB", "amount": "400.00", "charge": "12.00",
    "status": "failed/cancelled", "mode": "test", "reference": "AP634JFwEbxd",
    "created_at": "2023-08-27T19:21:18.000000Z", "updated_at": "2023-08-27T19:21:27.000000Z", "type": "API",
    "tx_ref": "4FGFF4FFGD3", "payment_method": "telebirr",
    "customization": {"title": None, "description": None, "logo": None}, "meta": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("style", "length", "signature"),
    [
        ("js", 461, "de6f47d7ef2d50fee64d8676ce112a4b41c30176352ee486a656c3ce2774aedf"),
        ("php", 463, "bbdb2ecb34ee46acb931c40699b0f13331190bfdca50304c772b627e0805f269"),
    ],
)
def test_the_contracts_vectors_hold_byte_for_byte(style: str, length: int, signature: str) -> None:
    body = signing.serialise(EVENT, style=style)
    assert len(body) == length
    assert signing.standard_headers(secret=SECRET, body=body) == {
        "chapa-signature": "8c0392937cd99546ab2d471d34d2cc78bcd69e6faccd08ab20d37a6e88347c8a",
        "x-chapa-signature": signature,
    }


def test_php_escapes_slashes_and_amharic_and_javascript_does_not() -> None:
    payload = {"name": "አበበ", "url": "a/b"}
    assert signing.serialise(payload, style="php") == b'{"name":"\\u12a0\\u1260\\u1260","url":"a\\/b"}'
    assert signing.serialise(payload, style="js") == '{"name":"አበበ","url":"a/b"}'.encode()
    assert signing.serialise(payload, style="pretty").startswith(b'{\n  "name"')


def test_amounts_become_the_shortest_json_number() -> None:
    assert signing.serialise({"a": Decimal("100.00"), "b": Decimal("3.50")}) == b'{"a":100,"b":3.5}'


def test_an_unknown_style_or_value_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown style"):
        signing.serialise({}, style="yaml")
    with pytest.raises(TypeError, match="no JSON form"):
        signing.serialise({"a": object()})


def test_a_signature_is_hex_sha256() -> None:
    assert len(signing.sign(secret="s", message=b"m")) == hashlib.sha256().digest_size * 2
