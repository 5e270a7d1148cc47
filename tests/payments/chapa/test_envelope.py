from __future__ import annotations

import json

import pytest

from payments.chapa.envelope import Answer, Envelope, body_matters, for_people, open_envelope
from payments.chapa.strict_json import Number
from payments.gateway import Unavailable


def answer(value: object, status: int = 200) -> Answer:
    return Answer(status=status, content_type="application/json", body=json.dumps(value).encode())


def unavailable(an_answer: Answer) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        open_envelope(an_answer)
    return caught.value


def test_a_success_is_opened() -> None:
    assert open_envelope(answer({"message": "Hosted Link", "status": "SUCCESS", "data": {"a": "b"}})) == Envelope(
        failed=False, word="success", message="Hosted Link", data={"a": "b"}
    )


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", " application/json ", "application/json;"]
)
def test_json_is_json_with_or_without_a_charset(content_type: str) -> None:
    assert not open_envelope(Answer(status=200, content_type=content_type, body=b"{}")).failed


@pytest.mark.parametrize(
    "content_type",
    ["", "text/html", "text/json", "application/jsonp", "application/json-seq", "text/html; application/json"],
)
def test_json_under_another_name_is_not_read(content_type: str) -> None:
    assert unavailable(Answer(status=200, content_type=content_type, body=b"{}")).reason == "unreadable"


def test_a_refusal_is_a_4xx_with_a_sentence() -> None:
    opened = open_envelope(answer({"message": "Authorization\trequired\t", "status": "failed", "data": None}, 400))
    assert opened.failed
    assert opened.message == "Authorization required"
    assert opened.fields == {}


def test_a_failed_envelope_under_200_is_a_refusal_too() -> None:
    opened = open_envelope(answer({"message": "Payment link already expired", "status": "failed", "data": None}))
    assert opened.failed


def test_a_payment_that_failed_is_no_refusal() -> None:
    assert not open_envelope(answer({"message": "ok", "status": "failed", "data": {"status": "failed"}})).failed


def test_complaints_by_field_are_kept_and_made_into_a_sentence() -> None:
    message = {"email": ["validation.email\t"], "tx_ref": "validation.required", "x": [None, 7], "y": {}, "z": []}
    opened = open_envelope(answer({"message": message, "status": "failed"}, 400))
    assert opened.fields == {"email": ["validation.email"], "tx_ref": ["validation.required"]}
    assert opened.message == "email: validation.email; tx_ref: validation.required"


@pytest.mark.parametrize("status", ["null", None, "error", "failed", "-", 7])
def test_the_word_at_the_top_does_not_matter_for_a_refusal(status: object) -> None:
    assert open_envelope(answer({"message": "Payment not paid yet", "status": status, "data": None}, 404)).failed


@pytest.mark.parametrize(
    "value",
    [
        {"status": "failed"},
        {"message": "", "status": "failed"},
        {"message": {}, "status": "failed"},
        {"message": None},
        {"message": ["x"]},
        {"message": 7},
        {"message": "Fine", "status": "success"},
        {},
        [],
        None,
        "no",
        7,
        True,
    ],
)
def test_a_4xx_without_a_refusal_in_it_is_not_understood(value: object) -> None:
    failure = unavailable(answer(value, 400))
    assert (failure.reason, failure.may_have_happened) == ("unreadable", True)


@pytest.mark.parametrize("value", [[], None, "yes", 7, True, [{"status": "success"}]])
def test_a_success_that_is_no_object_is_not_understood(value: object) -> None:
    assert unavailable(answer(value)).reason == "unreadable"


def test_a_failed_200_without_a_sentence_is_not_understood() -> None:
    assert unavailable(answer({"status": "failed", "data": None})).reason == "unreadable"


def test_a_rejected_key_proves_that_nothing_happened() -> None:
    failure = unavailable(Answer(status=401, content_type="text/html"))
    assert (failure.reason, failure.may_have_happened) == ("unauthorised", False)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 599])
def test_a_server_that_fails_or_is_busy_proves_nothing(status: int) -> None:
    failure = unavailable(Answer(status=status, content_type="application/json", body=b"{}", retry_after=9))
    assert (failure.reason, failure.may_have_happened, failure.retry_after) == (f"http_{status}", True, 9)
    assert not body_matters(status)


@pytest.mark.parametrize("status", [100, 199, 300, 301, 302, 304, 307, 308, 399])
def test_a_redirect_is_not_understood(status: int) -> None:
    assert unavailable(Answer(status=status, content_type="application/json", body=b"{}")).reason == "unreadable"
    assert not body_matters(status)


def test_an_address_that_chapa_does_not_know_is_a_mistake_of_ours() -> None:
    message = (
        "The Endpoint you are looking for is not found. Please refer to our documentation for more. developer.chapa.co"
    )
    failure = unavailable(answer({"status": "failed", "message": message}, 404))
    assert (failure.reason, failure.may_have_happened) == ("no_such_endpoint", False)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a\t\r\n b\x1b[31m\x00\u2028c", "a b [31m c"),
        ("  ", ""),
        (None, ""),
        (7, ""),
        (Number("7"), ""),
        ([], ""),
        ("ቡና", "ቡና"),
        ("x" * 9999, "x" * 500),
    ],
)
def test_text_for_people_is_one_short_line(said: object, shown: str) -> None:
    assert for_people(said) == shown
