"""`python -m tests.crash --point settle.locked --how kill --seed 7`: play one case again, or many.

Without a point: every point. Without `how`: kill, term, raise and stall. Exit code 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys

from stack import servers
from tests.crash import points
from tests.crash.bench import HOW, Bench, Case, NotPassed, Verdict


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--point", action="append", help="a crash point, or a part of its name; may be given again")
    parser.add_argument("--how", action="append", choices=HOW)
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--journey", default="", help="play this journey; without a point, and without a crash")
    parser.add_argument("--choose", action="store_true", help="by lot among the journeys that pass the point")
    parser.add_argument("--log", action="store_true", help="show what the processes wrote, also where all was well")
    given = parser.parse_args()
    wanted = [name for name in points.discovered() if any(part in name for part in given.point or [""])]
    cases = [
        Case(point=point, how=how, seed=seed, journey=given.journey)
        for seed in given.seed or [1]
        for point in ([""] if given.journey and not given.point else wanted)
        for how in (given.how or HOW if point else [""])
    ]
    wrong = 0
    with servers.throw_away_folder(prefix="nexus-crash-") as folder, contextlib.ExitStack() as stack:
        os.environ |= stack.enter_context(servers.running(folder=folder, env=os.environ, durable=False))
        bench = stack.enter_context(Bench())
        for case in cases:
            try:
                verdict = bench.play(case, choose=given.choose)
            except NotPassed as problem:
                verdict = Verdict(case=case, problems=[str(problem)])
            wrong += bool(verdict.problems)
            print(f"{'✗' if verdict.problems else '✓'} {verdict.seconds:5.1f} s  {verdict.case}", flush=True)
            if verdict.problems or given.log:
                print(verdict.log)
            for problem in verdict.problems:
                print(f"    {problem}", flush=True)
    print(f"\n{len(cases)} cases, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
