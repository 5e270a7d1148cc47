from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from django.conf import settings as ours
from django.test import override_settings
from drf_spectacular.generators import SchemaGenerator
from structlog.testing import capture_logs

from config import deprecations
from config.deprecations import Deprecated
from tests.hostile import routes

pytestmark = pytest.mark.django_db(transaction=True)

OLD = Deprecated(
    route="api/v1/categories/",
    method="GET",
    since=date(2026, 12, 1),
    sunset=date(2027, 6, 1),
    successor="/api/v2/categories/",
)


@pytest.fixture
def deprecated(settings):
    settings.DEPRECATED_ROUTES = (OLD,)


def test_a_deprecated_route_says_since_when_until_when_and_what_takes_its_place(deprecated, api):
    with capture_logs() as lines:
        answer = api.get("/categories/")

    assert answer.status_code == 200
    assert answer.headers["Deprecation"] == "@1796083200"
    assert answer.headers["Sunset"] == "Tue, 01 Jun 2027 00:00:00 GMT"
    assert answer.headers["Link"] == (
        '<http://testserver/api/docs/>; rel="deprecation"; type="text/html", '
        '<http://testserver/api/v2/categories/>; rel="successor-version"'
    )
    assert {"event": "api.deprecated", "route": OLD.route, "method": "GET", "log_level": "info"} in lines


def test_its_refusals_say_so_too_and_so_does_head(deprecated, api):
    assert api.get("/categories/?cursor=x").headers["Sunset"]
    assert api.client.head("/api/v1/categories/").headers["Sunset"]


def test_other_routes_and_methods_say_nothing(deprecated, api):
    for answer in (api.get("/products/"), api.post("/categories/"), api.client.get("/nowhere/")):
        assert not {"Deprecation", "Sunset", "Link"} & set(answer.headers)


def test_the_document_marks_it_and_nothing_else(deprecated):
    made = SchemaGenerator().get_schema(request=None, public=True)
    marked = {
        (path, method)
        for path, operations in made["paths"].items()
        for method, operation in operations.items()
        if operation.get("deprecated")
    }

    assert marked == {("/api/v1/categories/", "get")}


def test_a_route_with_a_parameter_is_found_in_the_document():
    old = Deprecated(route="api/v1/orders/<order_number:number>/", method="GET", since=date(2026, 12, 1))
    paths = {"/api/v1/orders/{number}/": {"get": {}, "post": {}}, "/api/v1/orders/": {"get": {}}}

    with override_settings(DEPRECATED_ROUTES=(old,)):
        marked = deprecations.mark({"paths": paths})

    assert marked["paths"] == {
        "/api/v1/orders/{number}/": {"get": {"deprecated": True}, "post": {}},
        "/api/v1/orders/": {"get": {}},
    }


def test_without_a_last_day_there_is_no_sunset():
    undecided = Deprecated(route="api/v1/categories/", method="GET", since=date(2026, 12, 1))

    assert set(undecided.headers()) == {"Deprecation", "Link"}


def test_nobody_is_given_less_than_half_a_year():
    with pytest.raises(ValueError, match="less than 180 days' notice"):
        Deprecated(route="x", method="GET", since=date(2026, 12, 1), sunset=date(2027, 5, 29))


def test_what_the_table_names_exists_and_is_in_the_document():
    document = (Path(ours.BASE_DIR) / "docs" / "versioning.md").read_text(encoding="utf-8")
    now = document.partition("## Deprecated now")[2]
    existing = routes.templates()
    assert OLD.route in existing, "the table is compared with what the URLconf really writes"

    for each in deprecations.ROUTES:
        assert each.route in existing
        assert f"{each.method} /{each.route}" in now
    assert ("Nothing." in now) == (not deprecations.ROUTES)
