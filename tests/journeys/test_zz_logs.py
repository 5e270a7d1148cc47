"""After all journeys: what was logged on the way holds nothing that must not be logged (INV19)."""

from __future__ import annotations

import json
import re

import pytest

from stack.playground import Playground
from stack.shop import TELEBIRR_TEST_NUMBER, Shopper

# One system for all journeys, so under xdist one worker.
pytestmark = [pytest.mark.xdist_group("journeys"), pytest.mark.timeout(300)]
OURS = ("web", "relay", "worker", "beat")


def test_no_secret_token_address_or_number_is_in_any_log(playground: Playground, var):
    shopper = Shopper(playground, email="canary.person@gmail.com")
    shopper.places_an_order()
    shopper.starts_to_pay()
    shopper.pays_on_chapas_page()
    shopper.waits_until("paid")
    playground.eventually(lambda: shopper.mails() == 1, what="the mail")
    # A link as mails carry it: the token stands in the address, and with it in the request's own log line.
    shopper._get(f"/orders/{shopper.order['number']}/?token={shopper.order['access_token']}")

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
        text = (var / "log" / f"{name}.log").read_text()
        assert text, f"{name} logged nothing: this test would prove nothing"
        found = {what for what, value in canaries.items() if value in text}
        assert not found, f"{name}'s log holds {found}"
        assert not re.search(r"[a-z0-9.-]+@gmail\.com", text), f"{name}'s log holds an address"


def test_every_line_of_ours_is_one_json_document(playground: Playground, var):
    text = (var / "log" / "web.log").read_text()
    lines = [line for line in text.splitlines() if '"event"' in line]

    assert len(lines) > 20
    for line in lines:
        assert {"event", "level", "timestamp"} <= set(json.loads(line[line.index("{") :]))


def test_every_call_to_chapa_is_logged_with_what_finance_asks_for(playground: Playground, var):
    calls = [
        json.loads(line[line.index("{") :])
        for name in ("web", "worker")
        for line in (var / "log" / f"{name}.log").read_text().splitlines()
        if '"chapa.call"' in line
    ]

    assert calls
    for call in calls:
        assert {"method", "path", "outcome", "status", "duration_ms", "attempt", "tx_ref"} <= set(call), call
        assert call["outcome"] in {"done", "refused", "unknown"}
