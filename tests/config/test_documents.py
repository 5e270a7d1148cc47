"""The API's documents: complete enough to be generated without a warning, and served from here alone."""

from __future__ import annotations

import io
import re

import pytest
import yaml
from django.conf import settings
from django.core.management import call_command

from config import documents
from tests import threads

ROOT = settings.BASE_DIR
pytestmark = pytest.mark.django_db


def test_the_schema_is_valid_and_made_without_a_warning():
    out = io.StringIO()

    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)

    assert "openapi: 3.1" in out.getvalue()


def test_the_document_is_told_as_json_and_as_yaml_and_is_the_one_that_is_kept(api):
    as_json, as_yaml = (
        api.client.get("/api/schema/", headers={"Accept": f"application/{kind}"}) for kind in ("json", "yaml")
    )

    kept = yaml.safe_load((ROOT / "docs/openapi.yaml").read_bytes())
    assert as_json.headers["Content-Type"] == "application/json"
    assert as_yaml.headers["Content-Type"] == "application/yaml; charset=utf-8"
    assert yaml.safe_load(as_yaml.content) == as_json.json() == kept


def test_the_document_is_made_once_however_often_and_in_whatever_language_it_is_asked_for(api):
    first = api.client.get("/api/schema/?lang=am").content
    made = documents._made_once.cache_info().misses

    assert api.client.get("/api/schema/", headers={"Accept-Language": "am"}).content == first
    assert api.client.get("/api/schema/", headers={"Accept": "application/json"}).status_code == 200
    assert (documents._made_once.cache_info().misses, made) == (1, 1)


def test_two_who_ask_at_once_for_the_first_time_wait_for_the_same_document():
    documents._made_once.cache_clear()

    first, second = threads.run([documents._made, documents._made])

    assert first is second
    assert documents._made_once.cache_info().misses == 1


@pytest.mark.parametrize("path", ["docs", "redoc"])
def test_the_pages_load_nothing_from_outside(api, path):
    page = api.client.get(f"/api/{path}/")

    assert page.status_code == 200
    outside = re.findall(r"""(?:src|href)=["']((?:https?:)?//[^"']+)""", page.content.decode())
    assert outside == []
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "https:" not in page.headers["Content-Security-Policy"]
