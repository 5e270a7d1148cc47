"""`make teeth`: take each guard out, in a copy of the tree, and see its test turn red.

A guard that nobody misses is idle, or its test is. Exit code 0 only if every guard is missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

from stack import servers

ROOT = Path(__file__).resolve().parent.parent
GUARDS = Path(__file__).with_name("guards.toml")
RED = 1
"""pytest's exit code where tests ran and failed; any other says nothing about the guard."""


def guards(*, only: str = "") -> list[dict[str, str]]:
    """The listed guards whose name or file contains `only`."""
    listed = tomllib.loads(GUARDS.read_text(encoding="utf-8"))["guard"]
    return [guard for guard in listed if only in guard["name"] or only in guard["file"]]


def misplaced() -> Iterator[str]:
    """Guards that no longer stand where the list says: the list must follow the code."""
    for guard in guards():
        text = (ROOT / guard["file"]).read_text(encoding="utf-8")
        if text.count(guard["old"]) != 1:
            yield f"{guard['name']}: its text stands {text.count(guard['old'])} times in {guard['file']}"
        if not (ROOT / guard["test"].split("::")[0]).is_file():
            yield f"{guard['name']}: there is no {guard['test']}"


def take_out(*, guard: dict[str, str], copy: Path, env: dict[str, str]) -> int:
    """pytest's exit code for the guard's test, with the guard gone."""
    file = copy / guard["file"]
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole.replace(guard["old"], guard["new"]), encoding="utf-8")
    try:
        # Making the database is most of the time, and the same for every guard that does not stand in a migration.
        database = "--create-db" if "/migrations/" in guard["file"] else "--reuse-db"
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", database, guard["test"]]
        return subprocess.run(command, cwd=copy, env=env, capture_output=True, timeout=300, check=False).returncode
    finally:
        file.write_text(whole, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.teeth", description=__doc__)
    parser.add_argument("--only", default="", help="guards whose name or file contains this")
    parser.add_argument("--part", default="1/1", help="of so many equal parts this one: 1/2 and 2/2 on two cores")
    given = parser.parse_args()
    part, parts = (int(number) for number in given.part.split("/"))
    for problem in misplaced():
        print(f"✗ {problem}")
        return 2
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    idle = 0
    with tempfile.TemporaryDirectory(prefix="nexus-teeth-") as folder:
        Path(folder).chmod(0o711)
        copy = Path(folder) / "tree"
        for name in tracked.stdout.splitlines():
            if (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        with servers.running(folder=Path(folder) / "servers", env=os.environ, durable=False) as urls:
            env = {**os.environ, **urls, "PYTHONDONTWRITEBYTECODE": "1"}
            for guard in guards(only=given.only)[part - 1 :: parts]:
                begun = time.monotonic()
                code = take_out(guard=guard, copy=copy, env=env)
                idle += code != RED
                mark = "✓ missed" if code == RED else f"✗ not missed (pytest {code})"
                print(f"{mark:<24} {time.monotonic() - begun:>5.1f} s  {guard['name']}", flush=True)
    print(f"\n{idle} idle" if idle else "\nEvery guard is missed by its test.")
    return 1 if idle else 0


if __name__ == "__main__":
    sys.exit(main())
