"""What a story of `make demo` gets to play with, and how it tells what happened."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from stack.system import System

_Seen = TypeVar("_Seen")


class StoryBroken(AssertionError):
    """The system did something else than the story says."""


@dataclass(kw_only=True)
class Playground:
    """A running system of our own, to use over HTTP and to break on purpose."""

    system: System
    base_url: str  # of the API, without a slash at the end
    sandbox_url: str
    mail_dir: Path
    said: list[str] = field(default_factory=list)

    def tell(self, what: str) -> None:
        """Add a line to the story: something that just happened, in words for a visitor."""
        self.said.append(what)

    def expect(self, held: bool, *, otherwise: str) -> None:
        """Go on if ``held``. :raises StoryBroken: it did not hold; ``otherwise`` says what was seen instead."""
        if not held:
            raise StoryBroken(otherwise)

    def eventually(self, look: Callable[[], _Seen], *, what: str, seconds: float = 90.0) -> _Seen:
        """Look until something true is seen, and return it. :raises StoryBroken: ``what`` was not seen in time."""
        give_up_at = time.monotonic() + seconds
        while not (seen := look()):
            if self.system.is_interrupted():
                raise StoryBroken("it was interrupted")
            if time.monotonic() > give_up_at:
                raise StoryBroken(f"not seen within {seconds:g} s: {what}; the last look gave {seen!r}")
            time.sleep(0.1)
        return seen


@dataclass(frozen=True, kw_only=True)
class Story:
    """One story: a number to pick it by, a title that says what is shown, and the function that plays it.

    The function raises if the story did not hold. ``breaks`` names the processes that it stops or kills; where one of
    them is not ours (a server given by its URL) the story is left out, and that is said.
    """

    number: int
    title: str
    play: Callable[[Playground], None]
    breaks: tuple[str, ...] = ()
