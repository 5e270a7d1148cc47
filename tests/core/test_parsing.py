from __future__ import annotations

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.parsing import MAX_DEPTH, MAX_NUMBER_LENGTH, Malformed, loads

# What strangers have sent to somebody, and what each of it must be called.
REFUSED = {
    "nothing": b"",
    "blanks only": b" \n\t ",
    "two texts": b"{} {}",
    "cut off": b'{"a": ',
    "a comma too many": b"[1,]",
    "single quotes": b"{'a': 1}",
    "a comment": b"{/* */}",
    "a bare word": b"undefined",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "latin-1": b'{"a": "\xe9"}',
    "an overlong encoding": b'"\xc0\xaf"',
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "a surrogate in utf-8": b'"\xed\xa0\x80"',
    "half a pair, escaped": rb'{"a": "\ud800"}',
    "the other half": rb'"\udc00"',
    "a pair turned round": rb'"\udc00\ud800"',
    "half a pair as a name": rb'{"\ud800": 1}',
    "NUL, escaped": rb'{"a": "x\u0000y"}',
    "NUL as a name": rb'{"\u0000": 1}',
    "NUL, raw": b'{"a": "\x00"}',
    "NUL beside Amharic": '{"a": "ሰላም\\u0000"}'.encode(),
    "a raw newline in a text": b'"a\nb"',
    "NaN": b'{"amount": NaN}',
    "Infinity": b'{"amount": Infinity}',
    "minus Infinity": b"[-Infinity]",
    "a name twice": b'{"amount": 1, "amount": 100}',
    "a name twice, deep": b'[{"a": {"b": 1, "b": 1}}]',
    "a name twice, one of them escaped": rb'{"a": 1, "\u0061": 2}',
    "a long whole number": b"1" * (MAX_NUMBER_LENGTH + 1),
    "a very long whole number": b"9" * 10_000,
    "a long fraction": b"0." + b"1" * MAX_NUMBER_LENGTH,
    "a leading zero": b"01",
    "a plus sign": b"+1",
    "hexadecimal": b"0x10",
    "too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "objects too deep": b'{"a":' * MAX_DEPTH + b"{}" + b"}" * MAX_DEPTH,
    "a million levels": b"[" * 1_000_000,
    "a million levels, closed": b"[" * 1_000_000 + b"]" * 1_000_000,
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
def test_what_is_not_honest_json_is_malformed(raw):
    with pytest.raises(Malformed) as refused:
        loads(raw)

    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"null", None),
        (b"[]", []),
        (b'{"a": 1.10}', {"a": Decimal("1.10")}),
        (b"1e999", Decimal("1e999")),
        (b"-0.0", Decimal("-0.0")),
        (b"7", 7),
        (rb'"\ud83d\ude00"', "😀"),
        ('"ሰላም"'.encode(), "ሰላም"),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
        (b"1" * MAX_NUMBER_LENGTH, int("1" * MAX_NUMBER_LENGTH)),
    ],
)
def test_what_is_honest_is_read_exactly(raw, value):
    assert loads(raw) == value


def test_a_number_with_a_point_keeps_its_digits():
    assert str(loads(b"0.10")) == "0.10"
    assert type(loads(b"1.0")) is Decimal
    assert type(loads(b"1e2")) is Decimal


def test_the_reason_holds_nothing_of_what_was_sent():
    with pytest.raises(Malformed) as refused:
        loads(b'{"password": "correct horse" "x"}')

    assert "horse" not in str(refused.value)


plain = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=4),
    max_leaves=15,
)


@given(documents, st.booleans())
def test_whatever_an_honest_client_writes_is_read_as_it_was_meant(document, ascii_only):
    assert loads(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


almost_json = st.text('[]{}":,0123456789.eE-+truefalsn\\\ud800\x00 ', max_size=60)


@given(st.binary(max_size=200) | almost_json.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_at_all_raise_anything_but_malformed(raw):
    with contextlib.suppress(Malformed):
        loads(raw)


def test_the_api_answers_each_of_them_with_the_same_problem(api, problem):
    for name, raw in REFUSED.items():
        if 0 < len(raw) < 200_000:  # an empty body is no body; a huge one is refused for its size
            answer = api.post("/auth/token/", raw)
            assert problem(answer, status=400, code="malformed_body")["detail"], name
