"""What the person at the terminal sees: each line with the name of the process that said it."""

import os
import sys
import threading
from collections.abc import Sequence
from typing import TextIO

_COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")
_OURS = "stack"


class Terminal:
    """Prints whole lines, one at a time, from any thread; colours only on a terminal that wants them."""

    def __init__(self, *, out: TextIO | None = None, quiet: bool = False, names: Sequence[str] = ()) -> None:
        """``quiet`` keeps the children's lines back (they are in the log files). ``names`` sets the column's width."""
        self._out = sys.stdout if out is None else out
        self._quiet = quiet
        self._lock = threading.Lock()
        self._width = max(map(len, [*names, _OURS]))
        self._colours = dict(zip([*names], _COLOURS * (len(names) // len(_COLOURS) + 1), strict=False))
        self._coloured = self._out.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def child_says(self, *, name: str, line: str) -> None:
        """One line of a child's output."""
        if not self._quiet:
            self._print(f"{self.paint(f'{name:<{self._width}}', self._colours.get(name, '37'))} | {line}")

    def say(self, text: str) -> None:
        """What the stack itself has to say; several lines are printed together."""
        self._print(text)

    def paint(self, text: str, colour: str) -> str:
        """``text`` in an ANSI colour (``"32"`` is green), or unchanged where there are no colours."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured else text

    def _print(self, text: str) -> None:
        with self._lock:
            try:
                self._out.write(text + "\n")
                self._out.flush()
            except (OSError, ValueError):
                # The terminal is gone (a closed window, `| head`). The system must still be stopped in order.
                return
