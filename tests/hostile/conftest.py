"""The shop that hostile requests are sent to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from tests import openid_provider
from tests.core import recorded_log
from tests.core.recorded_log import RecordedLog
from tests.hostile import scene as scenes
from tests.hostile import wire
from tests.hostile.routes import Sender
from tests.hostile.scene import Scene
from users.openid import metadata


@pytest.fixture(autouse=True)
def _by_whom_people_may_sign_in(settings: Any) -> None:
    provider = openid_provider.shared()
    provider.reset()
    metadata.forget()
    settings.SIGN_IN_PROVIDERS = {"local": provider.registration}


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return scenes.fresh()


@pytest.fixture
def sender(scene: Scene) -> Sender:
    return Sender(scene)


@pytest.fixture
def recorded() -> Iterator[RecordedLog]:
    with recorded_log.recording() as log:
        yield log


@pytest.fixture(scope="session")
def server(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[wire.Server]:
    """A server process on the tests' database, for as long as that exists."""
    database = f"{settings.DATABASE_DIRECT_URL.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "DATABASE_URL": database,
        "DATABASE_DIRECT_URL": database,
        "PYTHONUNBUFFERED": "1",
    }
    log = tmp_path_factory.mktemp("server") / "output"
    with wire.serving(root=Path(settings.BASE_DIR), env=env, log=log) as running:
        yield running
