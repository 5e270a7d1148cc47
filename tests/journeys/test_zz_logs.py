"""After all journeys: what was logged on the way holds nothing that must not be logged (INV19)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import requests

from stack.playground import Playground
from stack.shop import SECONDS, TELEBIRR_TEST_NUMBER, Shopper

# One system for all journeys, so under xdist one worker.
pytestmark = [pytest.mark.xdist_group("journeys"), pytest.mark.timeout(900)]
OURS = ("web", "relay", "worker", "beat")


def log_of(name: str, *, var: Path) -> str:
    """Of one process so far, but for a line that is still being written."""
    text = (var / "log" / f"{name}.log").read_text(encoding="utf-8")
    return text[: text.rfind("\n") + 1]


@pytest.fixture(scope="module")
def shopper(playground: Playground) -> Shopper:
    """Who ordered and paid, so that there is something to log also where no other journey went before."""
    shopper = Shopper(playground, email="canary.person@gmail.com")
    shopper.places_an_order()
    shopper.starts_to_pay()
    shopper.pays_on_chapas_page()
    shopper.waits_until("paid")
    playground.eventually(lambda: shopper.mails() == 1, what="the mail")
    # A link as mails carry it: the token stands in the address, and with it in the request's own log line.
    shopper._get(f"/orders/{shopper.order['number']}/?token={shopper.order['access_token']}")
    return shopper


def test_no_secret_token_address_or_number_is_in_any_log(playground: Playground, shopper: Shopper, var):
    opened = f"/orders/{shopper.order['number']}/?token="
    playground.eventually(lambda: opened in log_of("web", var=var), what="the request's own line")
    secrets = json.loads((var / "secrets.json").read_text())
    people = json.loads((var / "demo_users.json").read_text())
    canaries = {
        **secrets,
        "token": shopper.order["access_token"],
        "email": "canary.person@gmail.com",
        "phone": TELEBIRR_TEST_NUMBER,
        "checkout token": shopper.payment["checkout_url"].rsplit("/", 1)[1],
        **{person["role"]: person["password"] for person in people},
    }
    for name in OURS:
        text = log_of(name, var=var)
        assert text, f"{name} logged nothing: this test would prove nothing"
        found = {what for what, value in canaries.items() if value in text}
        assert not found, f"{name}'s log holds {found}"
        assert not re.search(r"[a-z0-9.-]+@gmail\.com", text), f"{name}'s log holds an address"


def test_every_line_of_ours_is_one_json_document(playground: Playground, shopper: Shopper, var):
    for _ in range(20):
        requests.get(f"{playground.base_url}/api/v1/products/", timeout=SECONDS)

    def lines() -> list[str]:
        return [line for line in log_of("web", var=var).splitlines() if '"event"' in line]

    for line in playground.eventually(lambda: lines() if len(lines()) > 20 else [], what="a line for each request"):
        assert {"event", "level", "timestamp"} <= set(json.loads(line[line.index("{") :]))


def test_every_call_to_chapa_is_logged_with_what_finance_asks_for(shopper: Shopper, var):
    calls = [
        json.loads(line[line.index("{") :])
        for name in ("web", "worker")
        for line in log_of(name, var=var).splitlines()
        if '"chapa.call"' in line
    ]

    assert calls
    for call in calls:
        about = set() if call["path"] == "/transactions" else {"tx_ref"}  # Chapa's list is about no one payment
        assert {"method", "path", "outcome", "status", "duration_ms", "attempt"} | about <= set(call), call
        assert call["outcome"] in {"done", "refused", "unknown"}
