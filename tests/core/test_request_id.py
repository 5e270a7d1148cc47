from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.request_id import sane_or_new

OURS = re.compile(r"[0-9a-f]{32}", re.ASCII)


@pytest.mark.parametrize("given_id", ["a" * 8, "a" * 64, "0191e2a4-8f7e-7c3b.A_b"])
def test_a_sane_id_of_the_caller_is_kept(given_id):
    assert sane_or_new(given_id) == given_id


@pytest.mark.parametrize(
    "given_id",
    [
        None, "", "short", "a" * 65, "with space", "line\nbreak1", "trailing1\n", "colour\x1b[31m", "quote'quote",
        "<script>1", "ሰላምሰላምሰላም", "1234567８", "a,b,c,d,e", "name@gmail.com",
    ],
)  # fmt: skip
def test_any_other_is_replaced(given_id):
    assert OURS.fullmatch(sane_or_new(given_id))


@given(st.text())
def test_what_comes_out_is_always_short_and_plain(given_id):
    assert re.fullmatch(r"[A-Za-z0-9._-]{8,64}", sane_or_new(given_id), re.ASCII)


def test_two_requests_without_an_id_get_two():
    assert sane_or_new(None) != sane_or_new(None)


def test_the_id_is_in_the_answer_and_in_the_problem(api, problem):
    answer = api.get("/nowhere/", x_request_id="my-request-0001")

    assert answer.headers["X-Request-ID"] == "my-request-0001"
    assert problem(answer, status=404, code="not_found")["request_id"] == "my-request-0001"


def test_an_id_that_would_break_the_log_is_not_echoed(api, recorded):
    answer = api.get("/nowhere/", x_request_id="<b>'; DROP TABLE")

    assert OURS.fullmatch(answer.headers["X-Request-ID"])
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert recorded.of("request_finished")
    assert "DROP" not in recorded.text


@pytest.mark.parametrize("host", ["evil.example", "bad host", "a_b", "[::1"])
def test_even_a_request_refused_for_its_host_has_an_id_and_a_problem(client, problem, host):
    answer = client.get("/api/v1/products/", headers={"host": host, "x-request-id": "my-request-0002"})

    assert answer.headers["X-Request-ID"] == "my-request-0002"
    problem(answer, status=400, code="bad_request")
