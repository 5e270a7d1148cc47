"""Ctrl-C, and the other ways to ask for an end: the first asks, every further one presses."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_SECONDS = 0.05


class Interruption:
    """Whether somebody wants the end. ``on_impatience`` is called when they ask again."""

    def __init__(self) -> None:
        self.on_impatience: Callable[[], None] = lambda: None
        # A plain flag, because signals set it: an Event has a lock, which the line that a signal interrupts may hold.
        self._wanted = False

    def is_wanted(self) -> bool:
        """Whether the end was asked for."""
        return self._wanted

    def wait(self, *, seconds: float) -> bool:
        """Wait until the end is asked for, for ``seconds`` at most; returns whether it was."""
        give_up_at = time.monotonic() + seconds
        while not self._wanted and (left := give_up_at - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_SECONDS))
        return self._wanted

    def ask(self) -> None:
        """Ask for the end; asking again makes it a hurry."""
        if self._wanted:
            self.on_impatience()
        self._wanted = True

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take SIGINT, SIGTERM and SIGHUP as the question, instead of an exception at any odd place. Main thread."""

        def heard(_signum: int, _frame: FrameType | None) -> None:
            self.ask()

        before = {signum: signal.signal(signum, heard) for signum in _SIGNALS}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)
