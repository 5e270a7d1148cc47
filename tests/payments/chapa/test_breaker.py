from __future__ import annotations

import threading

import pytest

from payments.chapa.breaker import Breaker
from payments.chapa.deadline import Clock
from tests.payments.chapa.loopback import ObedientClock


@pytest.fixture
def breaker(clock: ObedientClock) -> Breaker:
    return Breaker(clock=Clock(monotonic=clock.monotonic, sleep=clock.sleep))


def call(breaker: Breaker, *, answered: bool | None) -> bool:
    permit = breaker.admit()
    if permit is None:
        return False
    with permit:
        if answered is True:
            permit.answered()
        elif answered is False:
            permit.failed()
    return True


def trip(breaker: Breaker) -> None:
    for _ in range(10):
        assert call(breaker, answered=False)


def test_nine_failures_are_too_few_to_judge_by(breaker: Breaker) -> None:
    for _ in range(9):
        call(breaker, answered=False)
    assert not breaker.is_open
    call(breaker, answered=False)
    assert breaker.is_open


def test_half_of_the_calls_failing_opens_it_and_less_than_half_does_not(breaker: Breaker) -> None:
    for _ in range(11):
        call(breaker, answered=True)
    for _ in range(10):
        call(breaker, answered=False)
    assert not breaker.is_open
    call(breaker, answered=False)
    assert breaker.is_open


def test_what_is_older_than_the_window_is_forgotten(breaker: Breaker, clock: ObedientClock) -> None:
    for _ in range(9):
        call(breaker, answered=False)
    clock.pass_(30)
    call(breaker, answered=False)
    assert not breaker.is_open


def test_while_open_nobody_gets_through(breaker: Breaker, clock: ObedientClock) -> None:
    trip(breaker)
    clock.pass_(14.9)
    assert not call(breaker, answered=True)


def test_after_a_while_exactly_one_is_let_through_to_see(breaker: Breaker, clock: ObedientClock) -> None:
    trip(breaker)
    clock.pass_(15)
    probe = breaker.admit()
    assert probe is not None
    assert breaker.admit() is None
    with probe:
        probe.answered()
    assert not breaker.is_open
    assert call(breaker, answered=True)


def test_a_failed_probe_opens_it_for_another_while(breaker: Breaker, clock: ObedientClock) -> None:
    trip(breaker)
    clock.pass_(15)
    assert call(breaker, answered=False)
    clock.pass_(14.9)
    assert not call(breaker, answered=True)
    clock.pass_(0.1)
    assert call(breaker, answered=True)
    assert not breaker.is_open


def test_a_probe_that_was_killed_lets_the_next_one_try(breaker: Breaker, clock: ObedientClock) -> None:
    trip(breaker)
    clock.pass_(15)
    with pytest.raises(KeyboardInterrupt), breaker.admit() or pytest.fail("no probe"):
        raise KeyboardInterrupt
    assert breaker.is_open
    assert call(breaker, answered=True)
    assert not breaker.is_open


def test_once_closed_it_starts_to_count_anew(breaker: Breaker, clock: ObedientClock) -> None:
    trip(breaker)
    clock.pass_(15)
    call(breaker, answered=True)
    for _ in range(8):
        call(breaker, answered=False)
    assert not breaker.is_open


def test_a_call_from_before_it_opened_has_no_say_any_more(breaker: Breaker, clock: ObedientClock) -> None:
    late = breaker.admit()
    assert late is not None
    trip(breaker)
    with late:
        late.answered()
    assert breaker.is_open
    later = breaker.admit()
    assert later is None


def test_a_call_without_a_report_counts_neither_way(breaker: Breaker) -> None:
    for _ in range(9):
        call(breaker, answered=False)
    call(breaker, answered=None)
    assert not breaker.is_open


def test_of_many_threads_that_come_at_once_one_is_the_probe(breaker: Breaker, clock: ObedientClock) -> None:
    trip(breaker)
    clock.pass_(15)
    gate = threading.Barrier(16)
    admitted: list[object] = []

    def knock() -> None:
        gate.wait(60)
        if permit := breaker.admit():
            admitted.append(permit)

    threads = [threading.Thread(target=knock) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(admitted) == 1
