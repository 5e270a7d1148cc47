"""The API's documents: complete enough to be generated without a warning, and served from here alone."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import call_command

pytestmark = pytest.mark.django_db


def test_the_schema_is_valid_and_made_without_a_warning():
    out = io.StringIO()

    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)

    assert "openapi: 3.1" in out.getvalue()


@pytest.mark.parametrize("path", ["docs", "redoc"])
def test_the_pages_load_nothing_from_outside(api, path):
    page = api.client.get(f"/api/{path}/")

    assert page.status_code == 200
    outside = re.findall(r"""(?:src|href)=["']((?:https?:)?//[^"']+)""", page.content.decode())
    assert outside == []
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "https:" not in page.headers["Content-Security-Policy"]
