"""One bench for all cases of a worker."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.crash.bench import Bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    own = tmp_path_factory.getbasetemp()
    share = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with Bench(share=share) as made:
        yield made
