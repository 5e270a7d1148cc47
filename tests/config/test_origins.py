"""Front ends that are served from other sites: what their browsers are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings as ours
from django.test import Client

pytestmark = pytest.mark.django_db

SHOP = "https://www.merchant.et"


@pytest.fixture(autouse=True)
def _known(settings):
    settings.CORS_ALLOWED_ORIGINS = [SHOP]


def asked(path: str, origin: str, *, method: str = "POST", headers: str = "authorization,idempotency-key"):
    """A browser's question before its question."""
    return Client().options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": headers,
        },
    )


def test_a_known_front_end_may_ask_with_every_header_that_the_api_takes():
    answer = asked("/api/v1/orders/", SHOP)

    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    allowed = set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    document = (Path(ours.BASE_DIR) / "docs" / "openapi.yaml").read_text(encoding="utf-8")
    taken = {
        name.lower() for name in re.findall(r"- in: header\n +name: (\S+)", document) if not name.startswith("x-chapa")
    }
    assert {"idempotency-key", "x-order-token"} <= taken
    assert taken | {"authorization", "content-type"} <= allowed
    assert {"GET", "POST", "PATCH", "DELETE"} == set(answer.headers["Access-Control-Allow-Methods"].split(", "))


@pytest.mark.parametrize("path", ["/api/v1/categories/", "/api/v1/nowhere/", "/api/v1/orders/", "/graphql/"])
def test_it_reads_answers_and_refusals_alike(path):
    answer = Client().get(path, headers={"Origin": SHOP})

    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    assert "origin" in answer.headers["Vary"].lower()
    assert {"Retry-After", "X-Request-ID", "Idempotent-Replayed"} <= set(
        answer.headers["Access-Control-Expose-Headers"].split(", ")
    )


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "http://www.merchant.et", "https://www.merchant.et:8443", "https://merchant.et", "null",
        "https://www.merchant.et.evil.example", "http://localhost:3000", "",
    ],
)  # fmt: skip
def test_other_pages_may_read_nothing(origin):
    for answer in (asked("/api/v1/orders/", origin), Client().get("/api/v1/categories/", headers={"Origin": origin})):
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("path", ["/admin/login/", "/healthz/ready", "/order/K7M2-9QXD/"])
def test_what_is_no_api_is_for_no_other_page(path):
    assert "Access-Control-Allow-Origin" not in Client().get(path, headers={"Origin": SHOP}).headers


def test_nobody_may_send_cookies():
    assert "Access-Control-Allow-Credentials" not in asked("/api/v1/orders/", SHOP).headers
