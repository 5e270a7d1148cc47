"""Whatever happens in a shop, in whatever order, and whoever dies over it: the books are right after each step.

And when everything is well again, everything comes to an end. Hypothesis makes the stories, and shortens the one that
ends badly. `HYPOTHESIS_PROFILE=proof` makes it look for long; otherwise it is always the same.
"""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.properties.shop import Shop

IS_PROOF: Final = os.environ.get("HYPOTHESIS_PROFILE") == "proof"
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(0 if IS_PROOF else 600)]


def test_whatever_happens_the_books_are_right_and_everything_comes_to_an_end():
    run_state_machine_as_test(
        Shop,
        settings=settings(
            max_examples=int(os.environ.get("NEXUS_PROOF_EXAMPLES", "2000")) // 10 if IS_PROOF else 6,
            stateful_step_count=50 if IS_PROOF else 15,
            derandomize=not IS_PROOF,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
