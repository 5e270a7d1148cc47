"""Bulkhead, retry budget, deadline."""

from __future__ import annotations

import pytest

from payments.chapa.budget import RetryBudget
from payments.chapa.bulkhead import Bulkhead, BulkheadFull
from payments.chapa.deadline import SHORTEST_WAIT, Clock, Deadline
from tests.payments.chapa.loopback import ObedientClock


def test_one_more_than_there_are_places_is_turned_away_at_once() -> None:
    bulkhead = Bulkhead(places=2)
    with bulkhead.place(), bulkhead.place(), pytest.raises(BulkheadFull), bulkhead.place():
        pytest.fail("there was a third place")
    with bulkhead.place(), bulkhead.place():
        pass


def test_a_place_is_given_back_whatever_happens_in_it() -> None:
    bulkhead = Bulkhead(places=1)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt), bulkhead.place():
            raise KeyboardInterrupt


def test_a_bulkhead_without_places_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one place"):
        Bulkhead(places=0)


def test_ten_calls_earn_one_retry() -> None:
    budget = RetryBudget(saved_at_start=0)
    for _ in range(9):
        budget.earn()
    assert not budget.spend()
    budget.earn()
    assert budget.spend()
    assert not budget.spend()


def test_in_the_long_run_a_tenth_of_the_calls_may_be_repeated() -> None:
    budget = RetryBudget()
    retries = 0
    for _ in range(5000):
        budget.earn()
        retries += budget.spend()
    assert 500 <= retries <= 505


def test_no_more_than_ten_retries_can_be_saved_up() -> None:
    budget = RetryBudget()
    for _ in range(1000):
        budget.earn()
    assert sum(budget.spend() for _ in range(100)) == 10


def test_a_wait_is_cut_to_what_is_left_and_never_becomes_nothing(clock: ObedientClock) -> None:
    deadline = Deadline(seconds=10, clock=Clock(monotonic=clock.monotonic))
    assert deadline.at_most(8) == 8
    clock.pass_(7)
    assert deadline.at_most(8) == pytest.approx(3)
    assert not deadline.passed()
    clock.pass_(3)
    assert deadline.passed()
    assert deadline.at_most(8) == SHORTEST_WAIT
