"""Where the processes of a case begin. Imports nothing of Django: whoever starts them need not know it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from multiprocessing.connection import Connection

from tests.crash.place import Life, Place

LIMIT_SECONDS = 300
"""A process that nobody waits for any more ends itself."""


def prepare(place: Place, parent: Connection) -> None:
    """Make the database that each case gets a copy of; the parent gets the names of the journeys."""
    signal.alarm(LIMIT_SECONDS)
    _follow_the_log(place)
    from tests.crash import journeys, shop

    shop.build(place)
    parent.send(tuple(journeys.JOURNEYS))


def live(life: Life, parent: Connection) -> None:
    """Be one process of a case. `parent` hears what happens: `fired`, `stalled`, `passed`, `judged`, `broke`."""
    signal.alarm(LIMIT_SECONDS)
    _follow_the_log(life.place)
    from tests.crash import lives, warm

    if os.getpid() == warm.PID:
        raise RuntimeError("this process was not forked from the warm one")
    try:
        lives.run(life, tell=lambda *what: parent.send(what), held=parent.recv)
    except Exception:  # noqa: BLE001 - whatever it is, the parent shall hear of it
        traceback.print_exc()
        parent.send(("broke", traceback.format_exc()))


def _follow_the_log(place: Place) -> None:
    log = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
