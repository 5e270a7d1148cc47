from __future__ import annotations

import pytest
from django.db import OperationalError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from core import edge
from core.errors import DomainError
from core.idempotency import Answer, IdempotencyKeyRequired, IdempotencyKeyReused
from core.models import IdempotencyKey
from core.parsing import StrictJSONParser
from core.transactions import durable

pytestmark = pytest.mark.django_db(transaction=True)


class SoldOutInTests(DomainError):
    code, status, title = "sold_out_in_tests", 409, "Sold out."


class TryLaterInTests(DomainError):
    code, status, title, storable = "try_later_in_tests", 409, "Try later.", False


class DownInTests(DomainError):
    code, status, title = "down_in_tests", 503, "Down."


def request(body=None, *, key="k"):
    headers = {} if key is None else {"HTTP_IDEMPOTENCY_KEY": key}
    made = APIRequestFactory().post("/orders/", body or {"a": 1}, format="json", **headers)
    return Request(made, parsers=[StrictJSONParser()])


def once(body=None, *, key="k", owner="abebech"):
    return edge.once(
        request=request(body, key=key), owner=owner, render=lambda result: Answer(201, edge.to_json(result), "link")
    )


class UseCase:
    """Acts once under its key, and counts how often it did."""

    def __init__(self, *, fails: Exception | None = None) -> None:
        self.acted = 0
        self.fails = fails

    def answer(self, of, **options):
        def act() -> Answer:
            with durable("test"):
                of.begin()
                self.acted += 1
                if self.fails is not None:
                    raise self.fails
                result = {"total": "900.00", "name": "አበበች"}
                of.finish(result)
            return of.render(result)

        return edge.answer_once(once=of, act=act, **options)


@pytest.mark.parametrize("key", ["k", "a b", "~", "!" * 255, "7f1e4b"])
def test_a_printable_key_is_taken(key):
    assert edge.idempotency_key(request(key=key)) == key


@pytest.mark.parametrize("key", [None, "", "   ", "k" * 256, "ክ", "a\x00b", "a\nb", "a\x7f"])
def test_any_other_key_is_none(key):
    with pytest.raises(IdempotencyKeyRequired):
        edge.idempotency_key(request(key=key))


def test_a_repeat_gets_the_same_bytes_and_is_told_so():
    case = UseCase()

    first, again = case.answer(once()), case.answer(once())

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content == '{"total":"900.00","name":"አበበች"}'.encode()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "no-store"
    assert case.acted == 1


def test_what_completes_an_answer_is_added_each_time_and_never_stored():
    case = UseCase()

    def complete(answer: Answer) -> bytes:
        return answer.body + f"+token-of-{answer.link}".encode()

    first, again = case.answer(once(), complete=complete), case.answer(once(), complete=complete)

    assert first.content == again.content
    assert first.content.endswith(b"+token-of-link")
    assert b"token" not in bytes(IdempotencyKey.objects.get().body)


def test_a_refusal_that_a_repeat_would_meet_again_is_kept():
    case = UseCase(fails=SoldOutInTests("None left.", available=0))
    first = case.answer(once())
    case.fails = None

    again = case.answer(once())

    assert first.status_code == again.status_code == 409
    assert first.content == again.content
    assert again.headers["Content-Type"] == "application/problem+json"
    assert again.headers["Idempotent-Replayed"] == "true"
    assert case.acted == 1


@pytest.mark.parametrize("failure", [TryLaterInTests(), DownInTests(), OperationalError("gone"), KeyError("a bug")])
def test_what_another_moment_may_answer_otherwise_is_never_kept(failure):
    case = UseCase(fails=failure)
    with pytest.raises(type(failure)):
        case.answer(once())
    case.fails = None

    assert case.answer(once()).status_code == 201
    assert case.acted == 2


def test_the_same_key_with_another_body_is_refused_and_changes_nothing():
    case = UseCase()
    case.answer(once({"a": 1}))

    for body in ({"a": 2}, {"a": "1"}, {"a": 1, "b": None}, {"a": [1]}):
        with pytest.raises(IdempotencyKeyReused):
            case.answer(once(body))

    assert case.acted == 1
    assert case.answer(once({"a": 1})).headers["Idempotent-Replayed"] == "true"


def test_another_callers_key_is_another_key():
    case = UseCase()
    case.answer(once(owner="abebech"))
    case.answer(once(owner="almaz"))

    assert case.acted == 2
