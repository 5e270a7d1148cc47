"""What may be asked again, how soon, and when to stop."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import Enum
from typing import Final, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception

from payments.gateway import Unavailable

from .budget import RetryBudget
from .deadline import Clock, Deadline

T = TypeVar("T")

MOST_ATTEMPTS: Final = 3
SHORTEST_PAUSE: Final = 0.3
LONGEST_PAUSE: Final = 5.0


class Repeat(Enum):
    """Which failures may be answered by asking the same again."""

    IF_NOTHING_WAS_SENT = frozenset({"connect"})
    """For what must not happen twice, opening a checkout and paying back: there never was a connection."""

    IF_NOT_ANSWERED = frozenset(
        {"connect", "timeout", "reset", "truncated", "http_429", "http_502", "http_503", "http_504"}
    )
    """For what is the same however often it is asked."""


def make(*, attempt: Callable[[int], T], repeat: Repeat, deadline: Deadline, clock: Clock, budget: RetryBudget) -> T:
    """Call `attempt(number)`, from 1, until it answers or asking again is not allowed, not affordable or too late.

    Between two attempts lie 0.3 to 5 s, at random, so that callers who failed together do not return together; or what
    the gateway asked for in `Retry-After`, if that is no more than 5 s. Longer wishes are left to the caller, who
    has a database to remember them in.

    :raises Unavailable: the last one; it may have happened if any of the attempts may have.
    """
    may_have_happened = False

    def once() -> T:
        nonlocal may_have_happened
        try:
            return attempt(retrying.statistics["attempt_number"])
        except Unavailable as error:
            may_have_happened = may_have_happened or error.may_have_happened
            error.may_have_happened = may_have_happened
            raise

    def worth_repeating(error: BaseException) -> bool:
        return (
            isinstance(error, Unavailable)
            and error.reason in repeat.value
            and (error.retry_after or 0) <= LONGEST_PAUSE
        )

    def over(state: RetryCallState) -> bool:
        """Asked last and in this order: only a retry that will be made may be taken from the budget."""
        return state.attempt_number >= MOST_ATTEMPTS or state.upcoming_sleep >= deadline.left() or not budget.spend()

    retrying = Retrying(
        retry=retry_if_exception(worth_repeating), wait=_pause, stop=over, sleep=clock.sleep, reraise=True
    )
    budget.earn()
    return retrying(once)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    wished = error.retry_after if isinstance(error, Unavailable) else None
    # Spreading load is no secret, so an ordinary generator does.
    return max(random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE), wished or 0)  # noqa: S311
