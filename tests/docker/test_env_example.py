""".env.example names what is read, all of it, and nothing else."""

from __future__ import annotations

import pytest

from tests.docker import reading
from tests.docker.reading import Entry, Variable

EXAMPLE = reading.env_file(reading.ROOT / ".env.example")
SETTINGS = reading.settings_variables()
# What decides about processes before any settings are read: stack/ and docker/entrypoint.sh.
OF_THE_START = {
    "DJANGO_SETTINGS_MODULE", "PORT", "SANDBOX_PORT", "POSTGRES_PORT", "VALKEY_PORT", "WEB_PORT", "LIVE_PORT",
    "WEB_WORKERS", "WEB_THREADS", "WORKER_PROCESSES",
}  # fmt: skip
OF_COMPOSE = {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD", "NEXUS_ENV_FILE"}


def entry_id(entry: Entry | Variable) -> str:
    return entry.name


def test_every_variable_stands_once() -> None:
    names = [entry.name for entry in EXAMPLE]
    assert sorted(names) == sorted(set(names))


def test_every_variable_that_the_settings_read_is_listed_and_nothing_that_nobody_reads() -> None:
    read = {variable.name for variable in SETTINGS}
    assert len(read) > 40
    assert {entry.name for entry in EXAMPLE} == read | OF_THE_START | OF_COMPOSE


@pytest.mark.parametrize("name", sorted(OF_THE_START - {"DJANGO_SETTINGS_MODULE"}))
def test_what_is_said_to_steer_the_start_is_read_there(name: str) -> None:
    stack = "".join(path.read_text(encoding="utf-8") for path in (reading.ROOT / "stack").glob("*.py"))
    assert f'"{name}"' in stack


@pytest.mark.parametrize("entry", EXAMPLE, ids=entry_id)
def test_every_variable_is_explained(entry: Entry) -> None:
    assert entry.is_explained, f"nothing stands above {entry.name}"


@pytest.mark.parametrize("entry", EXAMPLE, ids=entry_id)
def test_what_is_needed_in_production_is_to_be_filled_in_and_the_rest_is_not(entry: Entry) -> None:
    needed = reading.required_in_production() | {"POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"}
    assert entry.is_active == (entry.name in needed)
    if entry.is_active:
        assert entry.value == "", f"{entry.name} must not come with a value that somebody forgets to change"


@pytest.mark.parametrize("variable", [v for v in SETTINGS if v.default and v.module == "base"], ids=entry_id)
def test_a_default_that_is_shown_is_the_one_that_applies(variable: Variable) -> None:
    entry = next(entry for entry in EXAMPLE if entry.name == variable.name)
    if not entry.is_active:
        assert entry.value == variable.default
