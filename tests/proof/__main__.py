"""`make proof BUDGET=60m`: run everything that proves something, many times, and write down what came of it.

Goes on where the last run stopped (`var/proof/`), as long as the tree is the same. Exit code 1 if anything failed, 2 if
the time was too short for what is needed at least.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.proof import document, parts, runner, state
from tests.proof.parts import ROOT, Part, Result

_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """`90s`, `60m`, `8h`. :raises argparse.ArgumentTypeError:"""
    found = re.fullmatch(r"(\d+)([smh])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 60m or 8h")
    return float(found[1]) * _UNITS[found[2]]


def prove(*, wanted: Sequence[Part], budget: str, folder: Path, written_to: Path, tree: str) -> int:
    """Run, tell, write; the exit code."""
    known = state.State(folder / tree)
    before = len(list(known))
    if before:
        print(f"{before} results of this tree are known from before.")

    def heard(result: Result) -> None:
        mark = "✗" if result.failures else "✓"
        print(f"{mark} {result.seconds:6.1f} s  {result.unit.key}", flush=True)
        if result.failures:
            log = folder / tree / (re.sub(r"[^\w.-]+", "_", result.unit.key)[:150] + ".txt")
            log.write_text(result.why, encoding="utf-8")
            print(f"  {result.why[:2_000]}\n  All of it: {log}\n  Again: {result.unit.again}", flush=True)

    is_complete = runner.run(parts=wanted, state=known, budget_seconds=seconds(budget), heard=heard)
    text = document.write(parts=wanted, state=known, tree=tree, budget=budget, is_complete=is_complete)
    written_to.write_text(text, encoding="utf-8")
    print(f"\n{text.split(document.FOOT)[0]}\nWritten to {written_to.name}.")
    if any(result.failures for result in known):
        return 1
    return 0 if is_complete else 2


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--budget", default="60m", help="90s, 60m, 8h; a run may take a little longer than that")
    parser.add_argument("--only", default="", help="parts whose name contains this; the document is not written then")
    given = parser.parse_args(arguments)
    wanted = [part for part in parts.everything() if given.only in part.name]
    folder = ROOT / "var" / "proof"
    folder.mkdir(parents=True, exist_ok=True)
    written_to = folder / "part.md" if given.only else ROOT / state.DOCUMENT
    return prove(wanted=wanted, budget=given.budget, folder=folder, written_to=written_to, tree=state.tree())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
