"""A process ends at each point there is; the next one goes on, and in the end nothing is lost and nothing is twice.

Here each point once, in one of four ways. `make proof` has each of them in every way, many times.
"""

from __future__ import annotations

from zlib import crc32

import pytest

from tests.crash import points
from tests.crash.bench import HOW, Bench, Case, Verdict
from tests.crash.journeys import JOURNEYS

pytestmark = pytest.mark.timeout(600)

SEED = 1
EACH_POINT_ONCE = [(point, HOW[crc32(point.encode()) % len(HOW)]) for point in points.discovered()]


def what_went_wrong(verdict: Verdict) -> str:
    """For whoever reads the failure: what is wrong, what the processes wrote, and how to play it again."""
    if not verdict.problems:
        return ""
    return "\n".join([f"{verdict.case}", *verdict.problems, verdict.log[-12_000:], f"Again: {verdict.case.command}"])


@pytest.mark.parametrize("journey", JOURNEYS)
def test_all_is_well_when_nothing_goes_wrong(bench: Bench, journey: str):
    assert not what_went_wrong(bench.play(Case(journey=journey, seed=SEED)))


@pytest.mark.parametrize(("point", "how"), EACH_POINT_ONCE)
def test_a_process_that_ends_here_costs_nothing(bench: Bench, point: str, how: str):
    assert not what_went_wrong(bench.play(Case(point=point, how=how, seed=SEED)))
