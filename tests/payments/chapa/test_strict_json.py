from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.chapa.strict_json import DEEPEST, NotStrictJson, Number, parse


def test_numbers_stay_as_they_were_written() -> None:
    value = parse(b'{"a": 0.10, "b": 100, "c": 1e999, "d": -3.5, "e": ' + b"9" * 5000 + b"}")
    assert value == {"a": "0.10", "b": "100", "c": "1e999", "d": "-3.5", "e": "9" * 5000}
    assert isinstance(value, dict)
    assert all(isinstance(number, Number) for number in value.values())


def test_everything_else_is_what_it_is() -> None:
    body = '{"መልእክት": ["ቡና", null, true, false, {"a\\/b": "\\u12a0"}]}'.encode()
    assert parse(body) == {"መልእክት": ["ቡና", None, True, False, {"a/b": "አ"}]}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not JSON"),
        (b" ", "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"a": 1', "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b'{"a": "\xed\xa0\x80"}', "not UTF-8"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "Infinity"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"x": {"a": 1, "\\u0061": 2}}', "twice"),
        (b'{"a": "\\ud800"}', "no text"),
        (b'{"\\udfff": 1}', "no text"),
        (b'["\\u0000"]', "no text"),
        (b"[" * 1_000_000, "deep"),
        (b'{"a":' * 100_000, "deep"),
        (b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), "deep"),
        (b'{"a": "tab\there"}', "not JSON"),
    ],
)
def test_what_could_surprise_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(NotStrictJson, match=why):
        parse(body)


def test_the_deepest_that_is_allowed_is_allowed() -> None:
    assert parse(b"[" * DEEPEST + b"]" * DEEPEST)


@given(st.binary())
def test_no_bytes_break_it(body: bytes) -> None:
    with suppress(NotStrictJson):
        parse(body)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_what_json_writes_is_read_back_or_refused(value: object) -> None:
    with suppress(NotStrictJson):
        assert parse(json.dumps(value).encode()) == value
