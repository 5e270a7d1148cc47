from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from tests.core import recorded_log
from tests.core.recorded_log import RecordedLog


@pytest.fixture
def recorded() -> Iterator[RecordedLog]:
    with recorded_log.recording() as log:
        yield log


@pytest.fixture
def direct_url(settings) -> str:
    """The address of the test's own database, also for what connects past Django."""
    server = settings.DATABASE_DIRECT_URL.rpartition("/")[0]
    settings.DATABASE_DIRECT_URL = f"{server}/{connection.settings_dict['NAME']}"
    return settings.DATABASE_DIRECT_URL
