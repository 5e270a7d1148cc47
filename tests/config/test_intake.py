from __future__ import annotations

import io

import pytest

from config.intake import Intake


def taken_in(**environ):
    seen = {}

    def application(environ, start_response):
        seen.update(environ)
        return [environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))]

    body = environ.pop("body", b"")
    answer = Intake(application, limit=10)({"wsgi.input": io.BytesIO(body), **environ}, lambda *_: None)
    return b"".join(answer), seen


def test_a_body_in_chunks_is_measured():
    body, seen = taken_in(body=b"12345", HTTP_TRANSFER_ENCODING="chunked")

    assert (body, seen["CONTENT_LENGTH"]) == (b"12345", "5")


def test_of_a_body_in_chunks_no_more_is_read_than_shows_that_it_is_too_much():
    body, seen = taken_in(body=b"x" * 1000, HTTP_TRANSFER_ENCODING="chunked")

    assert (len(body), seen["CONTENT_LENGTH"]) == (11, "11")


def test_a_named_length_is_left_alone():
    _, seen = taken_in(body=b"12345", CONTENT_LENGTH="3", HTTP_TRANSFER_ENCODING="chunked")

    assert seen["CONTENT_LENGTH"] == "3"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("application/json", "application/json"),
        ("application/json; charset=utf-8", "application/json"),
        ("application/json; charset*=utf-8''%00", "application/json"),
        ("application/x-www-form-urlencoded; charset=latin-1", "application/x-www-form-urlencoded"),
        ("multipart/form-data; boundary=----abc123; charset=x", "multipart/form-data; boundary=----abc123"),
        ("multipart/form-data; charset*=utf-8''%00", "multipart/form-data"),
        ("; charset=x", ""),
        ("", ""),
    ],
)
def test_of_a_media_type_only_a_forms_boundary_is_kept(given, taken):
    _, seen = taken_in(CONTENT_TYPE=given)

    assert seen["CONTENT_TYPE"] == taken
