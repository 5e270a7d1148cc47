"""`python -m tests.proof.player`: plays the cases that come in, a line each, and answers what was wrong."""

from __future__ import annotations

import json
import os
import sys
import traceback

from tests.crash.bench import Bench, Case, NotPassed


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed is no answer
    with Bench() as bench:
        for line in sys.stdin:
            case = Case(**json.loads(line))
            try:
                verdict = bench.play(case, choose=True)
                found = [*verdict.problems, verdict.log[-20_000:]] if verdict.problems else []
            except NotPassed as problem:
                found = [str(problem)]
            except Exception:  # noqa: BLE001 - the next case is played all the same
                found = [f"{case}: the harness broke", traceback.format_exc()]
            answers.write(json.dumps(found) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
