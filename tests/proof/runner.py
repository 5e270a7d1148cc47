"""Runs units until the time is up: first all that is needed, then more of everything in turn."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from tests.proof.parts import Part, Result, Unit
from tests.proof.state import State

MORE_AT_A_TIME = 40
"""How many units beyond what is needed one part has before it is the next part's turn."""

Heard = Callable[[Result], None]


def run(
    *,
    parts: Iterable[Part],
    state: State,
    budget_seconds: float,
    heard: Heard,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Run what is not known yet, for about `budget_seconds`; True if everything that is needed is known then.

    No unit is begun after the time is up, and one that was begun is waited for. `heard` is told each result.
    """
    ends = clock() + budget_seconds
    parts = list(parts)

    def in_time() -> bool:
        return clock() < ends

    for part in parts:
        _run(part, _needed(part), state=state, heard=heard, in_time=in_time)
    more = {part.name: _beyond(part) for part in parts}
    while in_time() and more:
        for part in parts:
            if part.name in more:
                units = list(itertools.islice((unit for unit in more[part.name] if unit not in state), MORE_AT_A_TIME))
                _run(part, units, state=state, heard=heard, in_time=in_time)
                if not units:
                    del more[part.name]
    return all(unit in state for part in parts for unit in _needed(part))


def _needed(part: Part) -> Iterator[Unit]:
    return itertools.takewhile(lambda unit: unit.is_needed, part.units())


def _beyond(part: Part) -> Iterator[Unit]:
    return itertools.dropwhile(lambda unit: unit.is_needed, part.units())


def _run(part: Part, units: Iterable[Unit], *, state: State, heard: Heard, in_time: Callable[[], bool]) -> None:
    todo = [unit for unit in units if unit not in state]
    if not todo or not in_time():
        return

    def done(futures: Iterable[Future[Result]]) -> None:
        for future in futures:
            result = future.result()
            state.add(result)
            heard(result)

    with part, ThreadPoolExecutor(part.at_once) as pool:
        running: set[Future[Result]] = set()
        for unit in todo:
            if not in_time():
                break
            running.add(pool.submit(part.run, unit))
            if len(running) >= part.at_once:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                done(finished)
        done(running)
