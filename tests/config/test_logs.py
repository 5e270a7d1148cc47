from __future__ import annotations

import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from config.logs import logging_config, redact, redact_text

log = structlog.get_logger("nexus.tests")

PERSON = "abebech.bekele+shop@mail.example.et"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoiMSJ9.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("key CHASECK-Xyz123 used", "key [key] used"),
        ("key CHASECK_TEST-Xyz123", "key [key]"),
        ("CHAPUBK_TEST-abc", "[key]"),
        ("Authorization: Bearer abc.def-ghi_jkl", "Authorization: [bearer]"),
        ("BEARER   abc", "[bearer]"),
        (f"got {TOKEN} from", "got [jwt] from"),
        ("GET /orders/K7M2/?token=abc123&x=1", "GET /orders/K7M2/?token=[hidden]&x=1"),
        ("GET /stream/?ticket=abc", "GET /stream/?ticket=[hidden]"),
        ("password=hunter2", "password=[hidden]"),
        ("secret=hunter2 and more", "secret=[hidden] and more"),
        ("postgres://nexus:hunter2@db/nexus", "postgres://[hidden]@db/nexus"),
        ("redis://:hunter2@127.0.0.1:1/0", "redis://[hidden]@127.0.0.1:1/0"),
        ("amqp://nexus:p@ss@broker//", "amqp://[hidden]@broker//"),
        (f"no account for {PERSON}.", "no account for [e-mail]"),
        (f"<{PERSON}>,{PERSON}", "<[e-mail]>,[e-mail]"),
        ("email=a@b.et;x", "email=[e-mail];x"),
        ("አበበች@ቡና.ኢት", "[e-mail]"),
        ("?search=abebech%40gmail.com&page=2", "?search=[e-mail]&page=2"),
    ],
)
def test_secrets_and_addresses_are_taken_out_of_a_text(text, left):
    assert redact_text(text) == left


@pytest.mark.parametrize(
    "number",
    [
        "0911234567", "0711234567", "251911234567", "+251911234567", "00251911234567", "+2510911234567",
        "+251 911 23 45 67", "0911-23-45-67", "0911 234 567", "(0911) 234567", "+251-911-234567", "%2B251911234567",
        "+251 (911) 234567", "+251 / 911 / 234567",
    ],
)  # fmt: skip
@pytest.mark.parametrize("around", ["{}", "call {} now", "phone={}&x=1", '{{"to": "{}"}}', "tel:{}", "{},{}"])
def test_a_phone_number_is_taken_out_however_it_is_written(number, around):
    cleaned = redact_text(around.format(number, number))

    assert "[phone]" in cleaned
    assert not any(digits in cleaned for digits in ("911", "711", "234567"))


@pytest.mark.parametrize(
    "text",
    [
        "", "order K7M2-9QXD paid", "nx-0191e2a4-8f7e-7c3b", "total 900.00 ETB", "2026-11-21T04:36:39.215018Z",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "1795236937", "ETB 10911234567", "0911234567890", "0811234567",
        "took 0.7912345678 s", "127.0.0.1:8001", "https://api.chapa.co/v1", "@", "user@", "@host", "ሰላም",
        "sha256 07911234567890abcdef07911234567890abcdef",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text):
    assert redact_text(text) == text


@pytest.mark.parametrize(
    "key",
    [
        "authorization", "Authorization", "HTTP_COOKIE", "password", "new_password", "passwd", "secret",
        "client_secret", "signature", "x-chapa-signature", "token", "access_token", "refreshToken", "api_key",
        "APIKEY", "body",
        "payload", "request_headers", "email", "customer_email", "e_mail", "phone", "phone_number", "mobile", "otp",
    ],
)  # fmt: skip
def test_a_value_under_a_secret_name_is_hidden_whatever_it_is(key):
    for value in ("plain", 7, ["x"], {"a": 1}, b"bytes"):
        assert redact(None, "info", {"event": "e", key: value})[key] == "[hidden]"


def test_names_that_only_sound_secret_are_shown():
    shown = {"event": "e", "token_version": 2, "body_bytes": 512, "body_sha256": "ab", "payload_keys": ["a"]}

    assert redact(None, "info", dict(shown)) == shown


def test_what_is_nested_is_cleaned_too():
    event = {
        "event": "e",
        "data": {"a": [{"password": "hunter2", "b": (PERSON, {"c": {PERSON}})}], PERSON: 1},
        "raw": b"0911234567",
        "error": ValueError(f"no mailbox {PERSON}"),
        "deep": {"1": {"2": {"3": {"4": {"5": {"6": {"7": PERSON}}}}}}},
    }

    cleaned = json.dumps(redact(None, "info", event), default=repr)

    assert "hunter2" not in cleaned
    assert "mail.example" not in cleaned
    assert "0911234567" not in cleaned
    assert "[10 bytes]" in cleaned


def test_numbers_and_nothing_stay_what_they_are():
    event = {"event": "e", "a": 1, "b": True, "c": None, "d": 1.5}

    assert redact(None, "info", dict(event)) == event


# --- One event, one line ------------------------------------------------------------------------------------------

BREAKING = {
    "CR LF": "a\r\nb",
    "LF": "a\nb",
    "CR": "a\rb",
    "vertical tab": "a\x0bb",
    "form feed": "a\x0cb",
    "file separator": "a\x1cb",
    "next line": "a\x85b",
    "line separator": "a\u2028b",
    "paragraph separator": "a\u2029b",
    "colour": "\x1b[31mred\x1b[0m",
    "cursor": "\x1b[2J\x1b[1;1H",
    "NUL": "a\x00b",
    "backspace": "a\x08b",
    "right to left": "a\u202eb",
    "a forged line": 'x"}\n{"level": "info", "event": "payment.succeeded"}',
}


@pytest.mark.parametrize("text", BREAKING.values(), ids=BREAKING)
@pytest.mark.parametrize("where", ["event", "value", "key", "list", "standard", "arguments", "exception"])
def test_an_event_is_one_line_of_json_whatever_is_in_it(recorded, text, where):
    plain = logging.getLogger("nexus.tests")
    match where:
        case "event":
            log.info(text)
        case "value":
            log.info("event", name=text)
        case "key":
            log.info("event", **{text: 1})
        case "list":
            log.info("event", names=[{"name": text}])
        case "standard":
            plain.info(text)
        case "arguments":
            plain.info("said %s", text)
        case "exception":
            log.error("event", exc_info=ValueError(text))

    assert len(recorded.text.splitlines()) == 1  # splitlines knows every separator there is
    assert recorded.text.isascii()
    assert "\x1b" not in recorded.text
    assert len(recorded.lines) == 1
    assert recorded.lines[0]["level"] in {"info", "error"}


@given(st.text(st.characters(exclude_categories=[])))  # half surrogate pairs too
def test_the_renderers_never_break_a_line(text):
    config = logging_config(format="json", level="INFO")
    options = config["formatters"]["structured"]
    formatter = options["()"](**{name: value for name, value in options.items() if name != "()"})

    line = formatter.format(logging.LogRecord("n", logging.INFO, __file__, 1, text, None, None))

    assert len(line.splitlines()) == 1
    assert json.loads(line)["level"] == "info"


def test_a_terminal_is_not_moved_by_the_name_of_an_event():
    options = logging_config(format="console", level="INFO")["formatters"]["structured"]
    formatter = options["()"](**{name: value for name, value in options.items() if name != "()"})

    line = formatter.format(logging.LogRecord("n", logging.INFO, __file__, 1, "a\x1b[2J\nb", None, None))

    assert "\x1b" not in line
    assert "\n" not in line


def test_an_exception_tells_where_and_never_what_was_in_the_variables(recorded):
    def fail(password: str) -> None:
        note = f"note about {password}"
        raise ValueError(f"no mailbox {PERSON} for {len(note)}")

    try:
        fail("hunter2")
    except ValueError:
        log.exception("mail.failed", tx_ref="nx-1")

    (line,) = recorded.lines
    assert line["tx_ref"] == "nx-1"
    assert "fail" in json.dumps(line["exception"])
    assert "ValueError" in json.dumps(line["exception"])
    assert "hunter2" not in recorded.text
    assert PERSON not in recorded.text


def test_the_causes_of_an_exception_are_cleaned_too(recorded):
    def look_up() -> None:
        raise KeyError(PERSON)

    def fail() -> None:
        try:
            look_up()
        except KeyError as error:
            raise RuntimeError("0911 23 45 67") from error

    try:
        fail()
    except RuntimeError:
        log.exception("failed")

    assert PERSON not in recorded.text
    assert "23 45 67" not in recorded.text
    assert "KeyError" in recorded.text


def test_the_standard_librarys_own_lines_are_cleaned_as_well(recorded):
    logging.getLogger("kombu").warning("connected to amqp://nexus:hunter2@broker//")
    logging.getLogger("django").info("mail to %s", PERSON)

    assert "hunter2" not in recorded.text
    assert PERSON not in recorded.text
    assert len(recorded.lines) == 2


def test_what_is_bound_to_the_request_stands_on_every_line(recorded):
    with structlog.contextvars.bound_contextvars(request_id="r-1", order="K7M2-9QXD"):
        log.info("a")
        logging.getLogger("django").info("b")

    assert [(line["request_id"], line["order"]) for line in recorded.lines] == [("r-1", "K7M2-9QXD")] * 2
    assert all(line["timestamp"].endswith("Z") for line in recorded.lines)


def test_a_request_is_logged_without_what_it_carried(api, db, recorded):
    api.post("/auth/token/", {"email": PERSON, "password": "hunter2-hunter2"}, key=None)
    api.get(f"/products/?search={PERSON.replace('@', '%40')}", authorization=f"Bearer {TOKEN}")
    api.get("/orders/K7M2-9QXD/?token=the-order-token", x_order_token="the-order-token")

    assert len(recorded.of("request_finished")) == 3
    for secret in ("hunter2", "mail.example", TOKEN, "the-order-token"):
        assert secret not in recorded.text
