"""Whatever is sent, the log is one JSON object a line, and holds nobody's address, number, token or key."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings

from tests.hostile import routes
from tests.hostile.routes import CALLS, JSON, Call

pytestmark = pytest.mark.django_db(transaction=True)

FORGED = '{"event":"order.paid","level":"info"}'
BREAKS = {
    "line breaks": f"x\r\n{FORGED}\r\n{FORGED}\n{FORGED}\r{FORGED}",
    "breaks of Unicode": f"x\u2028{FORGED}\u2029{FORGED}\u0085{FORGED}\x0b{FORGED}\x0c{FORGED}",
    "a terminal's commands": "\x1b[2K\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b31m\x08\x08\x08\u202egnp.exe",
    "ends of strings and directives": f'x"}}\n{FORGED}%s %(a)s {{0}} {{a.__class__}}',
}
CANARY = "canary7f3a9c"
EMAIL = f"{CANARY}@gmail.com"
TOKEN = f"eyJ{CANARY}.{CANARY}.{CANARY}"
PHONES = ("0911234567", "+251 911 23 45 67", "251911234567")


STEP = 1 if os.environ.get("NEXUS_PROOF_ROUNDS") else 4
"""Each text goes to every fourth call, in turn: all of them write by the same few hands. To all in `make proof`."""

# Each of these decides the answer before the others are looked at, so each travels alone.
ALONE = ("Host", "Authorization", "Accept", "Idempotency-Key")
REQUEST_ID = "X-Request-ID"
TOGETHER = ("X-Order-Token", "User-Agent", "X-Chapa-Signature", "X-Forwarded-For", "Cookie", "Referer")


def everywhere(sender, text: str, *besides: str, calls: Sequence[Call] = CALLS) -> int:
    """Send `text` in every field, header, query parameter and path that somebody outside can fill. How often?"""
    escaped = quote(text, safe="")
    requests: list[tuple[Call, dict[str, Any]]] = []
    for call in calls:
        if call.is_costly or call.answers != JSON:
            continue
        body = call.body(sender.scene) if call.body else {}
        leaves = [place for place in call.fields(sender.scene) if place[-1] not in {"items", 0}]
        requests += [(call, {"raw": routes.raw_with(body, place, json.dumps(text))}) for place in leaves]
        requests += [(call, {"headers": {name: text}}) for name in ALONE]
        requests += [
            (call, {"headers": dict.fromkeys((*TOGETHER, *besides), text)}),
            (call, {"query": f"token={escaped}&trx_ref={escaped}&ordering={escaped}"}),
            (call, {"path": f"{call.path(sender.scene).rstrip('/')}/{escaped}/"}),
            (call, {"raw": text.encode("utf-8", "surrogatepass")}),
        ]
    for call, request in requests:
        sender.send(call, **request)
    return len(requests)


@pytest.mark.parametrize("number", range(len(BREAKS)), ids=list(BREAKS))
def test_no_text_from_outside_breaks_a_line_or_moves_a_cursor(sender, recorded, number):
    sent = everywhere(sender, list(BREAKS.values())[number], REQUEST_ID, calls=CALLS[number % STEP :: STEP])

    written = recorded.text
    assert written.isascii()
    assert all(character.isprintable() for character in written.replace("\n", ""))
    # Cut wherever any reader might cut: there is one object on each line, and none that was smuggled in.
    lines = [json.loads(line) for line in written.splitlines()]
    assert sum(line["event"] == "request_finished" for line in lines) == sent
    assert not any(line["event"] == "order.paid" for line in lines)


def test_nobodys_address_number_token_or_key_is_logged(sender, recorded):
    # Not as a request's id: that is the caller's own word for it, and we promise to write it down.
    for number, secret in enumerate((EMAIL, *PHONES, settings.CHAPA_SECRET_KEY)):
        everywhere(sender, secret, calls=CALLS[number % STEP :: STEP])
    # What Chapa signs is no stranger's; and the name of its event is folded to lower case, in which a token is none.
    everywhere(sender, TOKEN, calls=[call for call in CALLS if not call.is_signed][::STEP])
    for call in CALLS:
        sender.send(call, query=f"token={sender.scene.order_token}&a=b")

    written = recorded.text
    for secret in (
        CANARY, *PHONES, "911234567", "abebech@gmail.com", "customer@gmail.com", sender.scene.order_token,
        str(sender.scene.refresh), *sender.scene.bearer(sender.scene.customer).values(), settings.CHAPA_SECRET_KEY,
        settings.CHAPA_WEBHOOK_SECRET, settings.SECRET_KEY, settings.ORDER_TOKEN_KEY,
        settings.OUTBOUND_SIGNING_KEY,
        settings.SIMPLE_JWT["SIGNING_KEY"],
    ):  # fmt: skip
        assert secret not in written, [line for line in written.splitlines() if secret in line][:3]
