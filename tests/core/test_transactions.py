from __future__ import annotations

import pytest
from django.db import connection, transaction

from core.models import Heartbeat
from core.transactions import assert_none_open, durable

committed = pytest.mark.django_db(transaction=True)


@committed
def test_what_a_durable_block_wrote_is_there_for_everybody_when_it_ends(in_threads):
    with durable("test"):
        Heartbeat.objects.create(name="written")
        assert in_threads([Heartbeat.objects.count]) == [0]

    assert in_threads([Heartbeat.objects.count]) == [1]


@committed
def test_a_block_that_raises_leaves_nothing():
    def fail() -> None:
        with durable("test"):
            Heartbeat.objects.create(name="written")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert not Heartbeat.objects.exists()


@committed
def test_a_durable_block_refuses_to_run_inside_anothers_transaction():
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"), durable("test"):
        Heartbeat.objects.create(name="written")


@committed
def test_no_outside_call_is_made_inside_a_transaction():
    assert_none_open()

    with durable("test"), pytest.raises(RuntimeError, match="outside call"):
        assert_none_open()
    with transaction.atomic(), transaction.atomic(), pytest.raises(RuntimeError, match="outside call"):
        assert_none_open()


@pytest.mark.django_db
def test_the_transaction_of_a_test_case_does_not_count():
    assert connection.in_atomic_block
    assert_none_open()
