from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from django.conf import settings
from django.db import IntegrityError, transaction

from core import idempotency
from core.idempotency import (
    AlreadyAnswered,
    AlreadyBegun,
    Answer,
    IdempotencyKeyReused,
    RequestInProgress,
)
from core.models import IdempotencyKey
from core.transactions import durable
from tests.factories import once
from tests.threads import Gate, await_the_farewell_of

pytestmark = pytest.mark.django_db(transaction=True)

BYTES = '{"name":"አበበች","total":"900.00"}\n'


def answer(request, result=BYTES):
    with durable("test"):
        request.begin()
        request.finish(result)


def begin(request):
    with durable("test"):
        request.begin()


def test_a_repeat_gets_the_first_answer_byte_for_byte():
    request = once(key="k")
    answer(request)

    with pytest.raises(AlreadyAnswered) as again:
        begin(request)

    assert again.value.answer == Answer(201, BYTES.encode())


def test_what_the_edge_needs_to_complete_the_answer_comes_back_with_it():
    request = once(key="k")
    with durable("test"):
        request.begin()
    request.refuse(Answer(409, b"{}", link="K7M2-9QXD/1/2026"))

    with pytest.raises(AlreadyAnswered) as again:
        begin(request)

    assert again.value.answer.link == "K7M2-9QXD/1/2026"


def test_the_same_key_for_another_request_is_refused_and_the_first_answer_stands():
    answer(once(key="k", fingerprint="one"))

    with pytest.raises(IdempotencyKeyReused):
        begin(once(key="k", fingerprint="other"))
    with pytest.raises(AlreadyAnswered):
        begin(once(key="k", fingerprint="one"))


def test_the_key_of_another_caller_means_nothing():
    answer(once(key="k", owner="abebech"))

    begin(once(key="k", owner="almaz"))


def test_while_the_first_is_still_running_a_repeat_is_told_so(in_threads):
    request, gate = once(key="k"), Gate()

    def first():
        with durable("test"):
            request.begin()
            gate.arrive()
            request.finish("first")

    def second():
        gate.wait_for_arrival()
        try:
            begin(once(key="other"))  # another key is not held up
            begin(request)
        finally:
            gate.open()

    outcome = in_threads([first, second])

    assert outcome[0] is None
    assert isinstance(outcome[1], RequestInProgress)
    assert outcome[1].retry_after == 1
    with pytest.raises(AlreadyAnswered):
        begin(request)


def test_of_many_at_once_one_acts_and_nobody_else_does(in_threads):
    request = once(key="k")

    outcomes = in_threads([lambda: answer(request)] * 8)

    assert outcomes.count(None) == 1
    assert all(isinstance(each, RequestInProgress | AlreadyAnswered) for each in outcomes if each is not None)
    assert IdempotencyKey.objects.count() == 1


def test_a_use_case_that_fails_leaves_the_key_free():
    request = once(key="k")

    def fail() -> None:
        with durable("test"):
            request.begin()
            request.finish("half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    answer(request)


def test_a_process_killed_in_between_leaves_nothing_in_progress(environment):
    program = (
        "import django; django.setup()\n"
        "from core.idempotency import Once, Answer\n"
        "from core.transactions import durable\n"
        "request = Once(key='k', owner='test', fingerprint='f', render=lambda result: Answer(201, b'x'))\n"
        "with durable('test'):\n    request.begin()\n    request.finish(None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"CRASH_AT": "test.before_commit:1:kill", "PGAPPNAME": "killed-in-between"},
        cwd=settings.BASE_DIR,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    await_the_farewell_of("killed-in-between")

    assert not IdempotencyKey.objects.exists()
    answer(once(key="k"))


def test_a_refusal_is_kept_and_given_again():
    request = once(key="k")

    assert request.refuse(Answer(409, b"no")) == Answer(409, b"no")

    with pytest.raises(AlreadyAnswered) as again:
        begin(request)
    assert again.value.answer == Answer(409, b"no")


def test_of_two_refusals_the_first_stands():
    request = once(key="k")
    request.refuse(Answer(409, b"first"))

    assert request.refuse(Answer(422, b"second")) == Answer(409, b"first")


def test_a_refusal_never_covers_what_succeeded_meanwhile():
    request = once(key="k")
    answer(request, "done")

    assert request.refuse(Answer(409, b"no")) == Answer(201, b"done")


def test_a_refusal_while_another_holds_the_key_is_given_but_not_kept(in_threads):
    request, gate = once(key="k"), Gate()

    def first():
        with durable("test"):
            request.begin()
            gate.arrive()
            request.finish("first")

    def second():
        gate.wait_for_arrival()
        try:
            return request.refuse(Answer(409, b"no"))
        finally:
            gate.open()

    assert in_threads([first, second]) == [None, Answer(409, b"no")]
    assert bytes(IdempotencyKey.objects.get().body) == b"first"


def linked(request, to="payment-1"):
    with durable("test"):
        request.begin()
        request.link(to=to)


def test_a_linked_key_says_what_the_request_is_about():
    request = once(key="k")
    linked(request)

    with pytest.raises(AlreadyBegun) as begun:
        begin(request)

    assert begun.value.link == "payment-1"
    with pytest.raises(IdempotencyKeyReused):
        begin(once(key="k", fingerprint="other"))


def test_a_linked_key_gets_its_answer_later_and_only_once():
    request = once(key="k")
    linked(request)
    with durable("test"):
        request.finish_linked("done")
        request.finish_linked("done again")
        request.forget()

    with pytest.raises(AlreadyAnswered) as again:
        begin(request)
    assert again.value.answer.body == b"done"


def test_a_linked_key_can_be_refused():
    request = once(key="k")
    linked(request)
    request.refuse(Answer(422, b"no"))

    with pytest.raises(AlreadyAnswered) as again:
        begin(request)
    assert again.value.answer == Answer(422, b"no", link="payment-1")


def test_a_linked_key_let_go_is_free_again():
    request = once(key="k")
    linked(request)
    with durable("test"):
        request.forget()

    begin(request)


def test_the_database_refuses_a_second_answer_and_half_an_answer():
    row = {"owner": "o", "key": "k", "fingerprint": "f"}
    IdempotencyKey.objects.create(**row, status=201, body=b"x")

    for wrong, constraint in [
        (row | {"status": 200, "body": b"y"}, "idempotency_key_belongs_to_one_request"),
        (row | {"key": "l", "status": 200, "body": None}, "idempotency_answer_whole_or_absent"),
        (row | {"key": "l", "status": None, "body": b"y"}, "idempotency_answer_whole_or_absent"),
    ]:
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            IdempotencyKey.objects.create(**wrong)


def test_a_fingerprint_is_of_the_content_and_not_of_its_spelling():
    first = idempotency.fingerprint(method="POST", path="/orders/", body={"a": 1, "b": [1, 2]})

    assert idempotency.fingerprint(method="POST", path="/orders/", body={"b": [1, 2], "a": 1}) == first
    others = [
        idempotency.fingerprint(method="PUT", path="/orders/", body={"a": 1, "b": [1, 2]}),
        idempotency.fingerprint(method="POST", path="/orders/x/", body={"a": 1, "b": [1, 2]}),
        idempotency.fingerprint(method="POST", path="/orders/", body={"a": 1, "b": [2, 1]}),
        idempotency.fingerprint(method="POST", path="/orders/", body={"a": "1", "b": [1, 2]}),
        idempotency.fingerprint(method="POST", path="/orders/", body={"a": True, "b": [1, 2]}),
        idempotency.fingerprint(method="POST", path="/orders/", body={"a": 1, "b": [1, 2], "c": None}),
    ]
    assert len({first, *others}) == len(others) + 1
