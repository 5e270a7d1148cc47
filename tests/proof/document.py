"""The one table: what was run, how often, what failed, how long it took."""

from __future__ import annotations

import itertools
import os
import platform
from collections.abc import Iterable

from tests.proof.parts import Part, Result
from tests.proof.state import State

HEAD = """\
# Proof

Written by `make proof BUDGET={budget}`: what was run, how often, what failed. Nobody edits it; whoever doubts it runs
it again. A run that is interrupted goes on where it stopped, as long as the tree is the same.

- Commit `{tree}`
- {machine}
"""
FOOT = """\

What the rows mean:

- **Crash points.** A journey (an order placed, paid, cancelled, refunded; an account opened; staff at work) is played
  over HTTP against the real application, a PostgreSQL, a mail server and the Chapa sandbox. At one named point the
  process is killed (`SIGKILL`), told to end (`SIGTERM`), hit by an exception, or held while a second one comes. The
  broker's messages are kept, lost, or delivered again. What is started next goes on; when nothing is left to do, every
  invariant must hold in our database, and our books must say what the sandbox's own books say. A seed decides about the
  journey, the passing, what else goes wrong at Chapa, and about the broker; with every third seed what is started next
  meets the same crash again.
- **Seeds** of the other rows count rounds: the same tests again, with new random values or another order of threads.
- The processes of a journey are one process here, so a crash takes web, relay and worker together. That each of
  them can die alone is for the faults with real servers.
"""


def write(*, parts: Iterable[Part], state: State, tree: str, budget: str, is_complete: bool) -> str:
    """The document, truthful about what was left out."""
    lines = [HEAD.format(budget=budget, tree=tree, machine=_machine())]
    lines += ["| what | runs | failures | seconds | seeds |", "|---|---:|---:|---:|---|"]
    left_out = []
    for part in parts:
        results = state.of(part.name)
        if not results and next(part.units(), None) is None:
            left_out.append(f"{part.name}: there are none")
            continue
        needed = [unit for unit in itertools.takewhile(lambda unit: unit.is_needed, part.units()) if unit not in state]
        if needed:
            left_out.append(f"{part.name}: {len(needed)} of what is needed at least, from `{needed[0].key}` on")
        if results:
            lines.append(_row(part.name, results))
    everything = list(state)
    if everything:
        lines.append(_row("**together**", everything, seeds=""))
    if not is_complete or left_out:
        lines += ["", "Not run:", "", *(f"- {what}" for what in left_out)]
    failed = [result for result in everything if result.failures]
    if failed:
        lines += ["", "Failed, and how to see it again:", ""]
        lines += [f"- {result.unit.key}: `{result.unit.again}`" for result in failed]
    return "\n".join(lines) + "\n" + FOOT


def _row(name: str, results: list[Result], *, seeds: str | None = None) -> str:
    runs, failures = sum(each.runs for each in results), sum(each.failures for each in results)
    seconds = sum(each.seconds for each in results)
    told = seeds if seeds is not None else _range([each.unit.seed for each in results])
    return f"| {name} | {runs:,} | {failures} | {seconds:,.0f} | {told} |"


def _range(seeds: list[int]) -> str:
    least, most = min(seeds), max(seeds)
    return str(least) if least == most else f"{least}–{most}"


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
