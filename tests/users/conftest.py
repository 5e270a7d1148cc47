from __future__ import annotations

import pytest

from tests import factories
from users.models import User


@pytest.fixture
def person(db) -> User:
    return factories.user(email="abebech@gmail.com", first_name="Abebech")
