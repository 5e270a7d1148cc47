from __future__ import annotations

import pytest

from payments.chapa import attempts
from payments.chapa.attempts import Repeat
from payments.chapa.budget import RetryBudget
from payments.chapa.deadline import Clock, Deadline
from payments.gateway import Refused, Unavailable
from tests.payments.chapa.loopback import ObedientClock

CONNECT = Unavailable("connect", may_have_happened=False)


class Script:
    """Fails as told, one after the other, and then answers "yes"."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.numbers: list[int] = []

    def __call__(self, number: int) -> str:
        self.numbers.append(number)
        if self._failures:
            raise self._failures.pop(0)
        return "yes"


def make(
    script: Script,
    clock: ObedientClock,
    *,
    repeat: Repeat = Repeat.IF_NOT_ANSWERED,
    seconds: float = 40,
    budget: RetryBudget | None = None,
) -> str:
    ours = Clock(monotonic=clock.monotonic, sleep=clock.sleep)
    return attempts.make(
        attempt=script,
        repeat=repeat,
        deadline=Deadline(seconds=seconds, clock=ours),
        clock=ours,
        budget=budget or RetryBudget(),
    )


def failure(reason: str, *, retry_after: int | None = None, happened: bool = True) -> Unavailable:
    return Unavailable(reason, may_have_happened=happened, retry_after=retry_after)


@pytest.mark.parametrize(
    "reason", ["connect", "timeout", "reset", "truncated", "http_429", "http_502", "http_503", "http_504"]
)
def test_a_question_is_asked_again_when_it_was_not_answered(clock: ObedientClock, reason: str) -> None:
    script = Script(failure(reason), failure(reason))
    assert make(script, clock) == "yes"
    assert script.numbers == [1, 2, 3]


@pytest.mark.parametrize(
    "reason",
    [
        "tls", "unauthorised", "unreadable", "http_500", "bad_checkout_url", "breaker_open", "bulkhead_full",
        "no_such_endpoint",
    ],
)  # fmt: skip
def test_what_asking_again_cannot_mend_is_not_asked_again(clock: ObedientClock, reason: str) -> None:
    script = Script(failure(reason))
    with pytest.raises(Unavailable, match=reason):
        make(script, clock)
    assert script.numbers == [1]


@pytest.mark.parametrize("reason", ["timeout", "reset", "truncated", "http_429", "http_502", "http_503", "http_504"])
def test_what_must_not_happen_twice_is_repeated_only_if_nothing_was_sent(clock: ObedientClock, reason: str) -> None:
    script = Script(failure(reason))
    with pytest.raises(Unavailable, match=reason):
        make(script, clock, repeat=Repeat.IF_NOTHING_WAS_SENT)
    assert script.numbers == [1]
    assert make(Script(CONNECT, CONNECT), clock, repeat=Repeat.IF_NOTHING_WAS_SENT) == "yes"


def test_a_refusal_is_an_answer(clock: ObedientClock) -> None:
    script = Script(Refused("no"))
    with pytest.raises(Refused):
        make(script, clock)
    assert script.numbers == [1]


def test_three_attempts_are_enough(clock: ObedientClock) -> None:
    script = Script(*[failure("http_503")] * 5)
    with pytest.raises(Unavailable, match="http_503"):
        make(script, clock)
    assert script.numbers == [1, 2, 3]


def test_pauses_are_random_and_between_a_third_of_a_second_and_five(clock: ObedientClock) -> None:
    for _ in range(200):
        make(Script(CONNECT, CONNECT), clock, budget=RetryBudget(saved_at_start=10))
    assert all(0.3 <= pause <= 5 for pause in clock.slept)
    assert len(set(clock.slept)) > 350


def test_a_short_wish_of_the_gateway_is_honoured(clock: ObedientClock) -> None:
    make(Script(failure("http_429", retry_after=5)), clock)
    assert clock.slept == [5]


def test_a_long_wish_is_left_to_the_caller(clock: ObedientClock) -> None:
    script = Script(failure("http_429", retry_after=6))
    with pytest.raises(Unavailable) as caught:
        make(script, clock)
    assert caught.value.retry_after == 6
    assert clock.slept == []


def test_nobody_sleeps_beyond_the_deadline(clock: ObedientClock) -> None:
    script = Script(failure("http_503", retry_after=4))
    with pytest.raises(Unavailable):
        make(script, clock, seconds=4)
    assert clock.slept == []
    assert script.numbers == [1]


def test_without_budget_there_is_no_retry_and_a_retry_not_made_costs_nothing(clock: ObedientClock) -> None:
    budget = RetryBudget(saved_at_start=0)
    script = Script(CONNECT)
    with pytest.raises(Unavailable):
        make(script, clock, budget=budget)
    assert script.numbers == [1]
    for _ in range(9):
        with pytest.raises(Unavailable):
            make(Script(failure("http_500")), clock, budget=budget)
    assert make(Script(CONNECT), clock, budget=budget) == "yes"


def test_if_any_attempt_may_have_happened_it_may_have_happened(clock: ObedientClock) -> None:
    script = Script(failure("timeout"), failure("breaker_open", happened=False))
    with pytest.raises(Unavailable, match="breaker_open") as caught:
        make(script, clock)
    assert caught.value.may_have_happened
