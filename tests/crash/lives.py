"""What one process does: plays a journey until it dies, comes in between, or finishes what others have left."""

from __future__ import annotations

import logging
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import FrameType
from typing import Any

from core import crashpoints
from core.crashpoints import Crash, CrashPointReached
from tests.crash import judge
from tests.crash.journeys import JOURNEYS, Journey
from tests.crash.place import Life, Role
from tests.crash.play import GaveUp, Play
from tests.crash.sabotage import SABOTAGE
from tests.crash.system import Ended, System, configure

log = logging.getLogger(__name__)

COLD = 143
"""Exit code of a process that SIGTERM has interrupted where it was."""
STEPS = (0, 3, 3, 11, 40, 75, 130, 300, 1500, 4400, 4400, 1500)
"""Minutes that pass until everything has come to its end: leases, pauses, holds, windows, days."""
AT_LEAST = 2
"""Steps before all can be said to be quiet: what was lost with the broker is looked for when it is two minutes old."""

Tell = Callable[..., None]


@dataclass(kw_only=True)
class Told(Crash):
    """A crash of which the parent hears before it happens."""

    tell: Tell

    def strike(self) -> None:
        self.tell("fired")
        super().strike()


def run(life: Life, *, tell: Tell, held: Callable[[], object]) -> None:
    """Be the process that `life` describes. `held` returns when a stall is over."""
    log.warning("=== %s life of %s, seed %s, crash %s ===", life.role, life.journey, life.seed, life.crash)
    configure(life)
    system = System(life)
    play = Play(life, system=system)
    passed: Counter[str] = Counter()
    crash = _crash(life, tell=tell, held=held)

    def listener(name: str) -> None:
        passed[name] += 1
        if crash is not None:
            crash(name)

    journey = (JOURNEYS | SABOTAGE)[life.journey]
    _obey_sigterm(life, system)
    crashpoints.listen(listener)
    system.open()
    if life.role is Role.LAST:
        tell("judged", _finish(life, play, journey), judge.mails(), judge.webhooks())
    else:
        _go_as_far_as_possible(life, play, journey)
        tell("passed", dict(passed))


def _crash(life: Life, *, tell: Tell, held: Callable[[], object]) -> Told | None:
    if life.crash is None:
        return None
    point, nth, how = life.crash

    def stall() -> None:
        tell("stalled")
        held()

    return Told(point=point, nth=nth, how=how, stall=stall, tell=tell)


def _go_as_far_as_possible(life: Life, play: Play, journey: Journey) -> None:
    is_second = life.role is Role.SECOND
    try:
        if is_second:
            play.passes(2)  # the lease of whoever is held runs out
        journey(play.from_the_beginning())
        if is_second:
            play.sweeps()
    except (GaveUp, CrashPointReached) as stop:
        log.warning("the journey ends here for now: %r", stop)
        if is_second:
            play.sweeps()
    except Ended:
        log.warning("ended in order")
    except Exception:
        if not is_second:
            raise
        log.exception("among the locks that others hold nothing more can be done")


def _finish(life: Life, play: Play, journey: Journey) -> list[str]:
    """Go on, with Chapa in order and hours passing, until nothing is left to do; what is wrong then."""
    play.chapa.clear_faults()
    unfinished = "it never ended"
    # Half of them start again at once, while leases still run; the others later.
    for step, minutes in enumerate(STEPS[life.seed % 2 :], 1):
        play.passes(minutes)
        try:
            play.hear()
            journey(play.from_the_beginning())
            unfinished = ""
        except GaveUp as stop:
            unfinished = str(stop)
        play.hear()
        play.sweeps()
        if step >= AT_LEAST and not unfinished and not list(judge.waiting()):
            break
    found = judge.problems(play)
    return [*found, f"the journey was never finished: {unfinished}"] if unfinished else found


def _obey_sigterm(life: Life, system: System) -> None:
    """Half of them finish what they are at, as a warm shutdown lets them; the others are interrupted where they are."""
    is_warm = Random(f"{life.seed} {life.crash}").random() < 0.5

    def end(number: int, frame: FrameType | None) -> Any:
        if not is_warm:
            raise SystemExit(COLD)
        system.stopping = True

    signal.signal(signal.SIGTERM, end)
