"""The sandbox's own time: it runs with real time and can be pushed forward."""

import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?P<sign>-?)(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h|d)?")
_LONGEST = 10 * 366 * 86400


def parse_duration(*, text: str | int | float) -> timedelta:
    """Read `90`, `"90s"`, `"10m"`, `"2h"`, `"1.5d"` or `"250ms"`; a bare number is seconds.

    :raises ValueError: if it is none of these, or longer than ten years.
    """
    found = _DURATION.fullmatch(str(text).strip())
    if found is None:
        raise ValueError(f"{text!r} is no duration: write 90, 90s, 10m, 2h, 3d or 250ms")
    seconds = float(found["number"]) * _UNITS[found["unit"] or "s"]
    if seconds > _LONGEST:
        raise ValueError(f"{text!r} is longer than ten years")
    return timedelta(seconds=-seconds if found["sign"] else seconds)


class Clock:
    """Virtual time in UTC: real time plus everything that was advanced so far.

    Readings never go backwards, whatever happens to the machine's own clock.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._skew = timedelta(0)
        self._start()

    def _start(self) -> None:
        self._began_at = datetime.now(tz=UTC)
        self._began_on = time.monotonic()
        self._advanced = timedelta(0)

    @property
    def advanced(self) -> timedelta:
        """How far virtual time is ahead of real time."""
        return self._advanced

    @property
    def skew(self) -> timedelta:
        """By how much the time stamps shown to the merchant are wrong; the sandbox itself is not fooled."""
        return self._skew

    def now(self) -> datetime:
        """The virtual time."""
        with self._lock:
            return self._began_at + timedelta(seconds=time.monotonic() - self._began_on) + self._advanced

    def advance(self, *, by: timedelta) -> datetime:
        """Push the clock forward and return the new time.

        :raises ValueError: for a negative step; deadlines that have passed cannot be taken back.
        """
        if by < timedelta(0):
            raise ValueError("the clock only goes forward")
        with self._lock:
            self._advanced += by
        for listener in self._listeners:
            listener()
        return self.now()

    def set_skew(self, *, skew: timedelta) -> None:
        """Make every time stamp shown to the merchant wrong by `skew`."""
        self._skew = skew

    def on_advance(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each advance, in the thread that advanced the clock."""
        self._listeners.append(listener)

    def reset(self) -> None:
        """Back to real time."""
        with self._lock:
            self._start()
            self._skew = timedelta(0)

    def stamp(self, at: datetime) -> str:
        """A time as Chapa writes it: `2023-02-02T07:05:23.000000Z`, whole seconds."""
        return (at + self._skew).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
