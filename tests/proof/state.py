"""What is proved already: a line for each unit, so that a run goes on where the last one stopped."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from tests.proof.parts import ROOT, Result, Unit

DOCUMENT = "docs/proof.md"


class State:
    """The results for one state of the tree. A failure stays one until the tree is another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "results.jsonl"
        self._lock = threading.Lock()
        self._results: dict[str, Result] = {}
        for result in self._read():
            self._results[result.unit.key] = result

    def _read(self) -> Iterator[Result]:
        if not self._file.exists():
            return
        for line in self._file.read_text(encoding="utf-8").splitlines():
            try:
                kept = json.loads(line)
            except ValueError:
                continue  # the last line of a run that was killed while it wrote
            yield Result(**(kept | {"unit": Unit(**kept["unit"])}))

    def __contains__(self, unit: Unit) -> bool:
        return unit.key in self._results

    def __iter__(self) -> Iterator[Result]:
        return iter(list(self._results.values()))

    def add(self, result: Result) -> None:
        """Keep a result for good."""
        with self._lock:
            self._results[result.unit.key] = result
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(asdict(result)) + "\n")

    def of(self, part: str) -> list[Result]:
        return [result for result in self if result.unit.part == part]


def tree() -> str:
    """The commit, and a few letters of what was changed since; the proof's own document is not counted."""
    commit = _git("rev-parse", "HEAD").strip()
    changes = _git("diff", "HEAD", "--", ".", f":!{DOCUMENT}")
    new = [name for name in _git("ls-files", "--others", "--exclude-standard").splitlines() if name != DOCUMENT]
    changes += "".join(name + (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in new)
    return f"{commit}+{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else commit


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
