"""docs/operations.md keeps up with the code: events in the log, and what the settings are called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from tests.docker import reading

ROOT = Path(settings.BASE_DIR)
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PACKAGES = ("config", "core", "users", "products", "orders", "payments", "notifications", "desk")
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
# Passed to a function that logs: `_back_off("relay.broker_away", …)`.
_EVENT = re.compile(r"[a-z]+(\.[a-z_]+)+")


def logged() -> Iterator[str]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                    continue
                if call.func.attr not in LEVELS | {"_back_off"}:
                    continue
                for word in call.args[:2]:
                    if isinstance(word, ast.Constant) and isinstance(word.value, str) and _EVENT.fullmatch(word.value):
                        yield word.value


def test_every_event_of_the_log_is_explained() -> None:
    catalogue = TEXT.split("\n## Log events\n")[1]
    events = set(logged())
    assert {"payment.mismatched", "relay.broker_away", "chapa.call"} <= events
    assert sorted(event for event in events if f"`{event}`" not in catalogue) == []


def test_every_variable_that_is_named_exists() -> None:
    known = {entry.name for entry in reading.env_file(ROOT / ".env.example")}
    named = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`", TEXT))
    assert sorted(named - known) == []


def test_the_sum_of_connections_is_the_one_that_compose_is_held_to() -> None:
    limit = next(word for word in reading.compose()["services"]["postgres"]["command"] if "max_connections" in word)
    assert f"`{limit}`" in TEXT
