"""One bench for all cases of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crash.bench import Bench


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    with Bench() as made:
        yield made
