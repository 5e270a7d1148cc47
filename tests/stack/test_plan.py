"""Which processes run, and what they are told, for each environment."""

import json
import os
import stat
from pathlib import Path

import pytest

from stack import development_secrets, plan
from stack.errors import DataUnusable, StackError
from stack.ports import Ports

PORTS = Ports(front=9000, sandbox=9001, postgres=9002, valkey=9003, web=9004, live=9005)
MINIMAL = {"PATH": os.defpath}


def make(folder: Path, **env: str) -> plan.Plan:
    return plan.make(root=folder, var=folder / "var", env=MINIMAL | env, chosen=PORTS)


def test_with_nothing_given_everything_is_started_here(folder: Path) -> None:
    made = make(folder)
    assert made.names == ["postgres", "valkey", "sandbox", "web", "live", "front", "relay", "worker", "beat"]
    assert {who: port for port, who, _ in made.ports} == {
        "front": 9000,
        "web": 9004,
        "live": 9005,
        "sandbox": 9001,
        "postgres": 9002,
        "valkey": 9003,
    }
    env = made.services[1].env
    assert env["DATABASE_URL"] == "postgres://nexus@127.0.0.1:9002/nexus"
    assert env["BROKER_URL"] == "redis://127.0.0.1:9003/0"
    assert env["REDIS_URL"] == "redis://127.0.0.1:9003/1"
    assert env["CHAPA_BASE_URL"] == "http://127.0.0.1:9001/v1"
    assert env["CHAPA_CHECKOUT_HOSTS"] == "127.0.0.1:9001"
    assert env["PUBLIC_BASE_URL"] == "http://localhost:9000"
    assert env["ALLOWED_HOSTS"] == "localhost,127.0.0.1,[::1]"
    assert env["DJANGO_SETTINGS_MODULE"] == "config.settings.dev"
    assert env["MAIL_DIR"] == str(folder / "var" / "mail")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "finance@demo.nexus.example"),
        ({"FINANCE_EMAILS": "books@shop.example"}, "books@shop.example"),
        ({"DJANGO_SETTINGS_MODULE": "config.settings.production"}, None),
    ],
)
def test_a_demo_user_hears_how_a_day_was_closed_unless_somebody_else_is_named(
    folder: Path, given: dict[str, str], told: str | None
) -> None:
    assert make(folder, **given).env.get("FINANCE_EMAILS") == told


@pytest.mark.parametrize(
    ("given", "started"),
    [
        (["DATABASE_URL"], ["valkey"]),
        (["BROKER_URL"], ["postgres", "valkey"]),
        (["REDIS_URL"], ["postgres", "valkey"]),
        (["BROKER_URL", "REDIS_URL"], ["postgres"]),
        (["DATABASE_URL", "BROKER_URL", "REDIS_URL"], []),
    ],
)
def test_what_is_given_by_its_url_is_not_started(folder: Path, given: list[str], started: list[str]) -> None:
    made = make(folder, **{name: f"given-{name}" for name in given})
    assert [server.name for server in made.servers] == started
    for name in given:
        assert made.env[name] == f"given-{name}"
    assert [who for _, who, _ in made.ports] == ["front", "web", "live", "sandbox", *started]


def test_an_empty_url_is_not_given(folder: Path) -> None:
    made = make(folder, DATABASE_URL=" ", REDIS_URL="")
    assert made.env["DATABASE_URL"] == "postgres://nexus@127.0.0.1:9002/nexus"
    assert "postgres" in made.names


def test_given_a_chapa_no_sandbox_runs_and_its_addresses_are_left_alone(folder: Path) -> None:
    keys = {"CHAPA_SECRET_KEY": "k", "CHAPA_WEBHOOK_SECRET": "w"}
    made = make(folder, CHAPA_BASE_URL="https://chapa.example/v1", **keys)
    assert made.sandbox_url is None
    assert "sandbox" not in made.names
    assert made.env["CHAPA_BASE_URL"] == "https://chapa.example/v1"
    assert made.env["CHAPA_SECRET_KEY"] == "k"
    assert "CHAPA_CHECKOUT_HOSTS" not in made.env


def test_given_a_chapa_its_secrets_are_asked_for_by_name(folder: Path) -> None:
    with pytest.raises(StackError, match="so CHAPA_WEBHOOK_SECRET must be given"):
        make(folder, CHAPA_BASE_URL="https://chapa.example/v1", CHAPA_SECRET_KEY="k")


def test_sandbox_and_shop_share_their_secrets_and_the_webhook_goes_to_our_port(folder: Path) -> None:
    made = make(folder)
    sandbox = made.services[0]
    assert sandbox.env["SANDBOX_SECRET_KEY"] == made.env["CHAPA_SECRET_KEY"]
    assert sandbox.env["SANDBOX_WEBHOOK_SECRET"] == made.env["CHAPA_WEBHOOK_SECRET"]
    assert sandbox.env["SANDBOX_WEBHOOK_URL"] == "http://127.0.0.1:9004/api/v1/payments/chapa/webhook/"


def test_a_public_address_of_ones_own_is_allowed_as_a_host(folder: Path) -> None:
    assert make(folder, PUBLIC_BASE_URL="https://shop.example").env["ALLOWED_HOSTS"].endswith(",shop.example")


def test_the_file_beside_manage_py_counts_and_the_environment_wins(folder: Path) -> None:
    (folder / ".env").write_text("DATABASE_URL=postgres://from-file/x\nPORT='9100'\nREDIS_URL=file\n", encoding="utf-8")
    env = plan.environment(root=folder, env={"REDIS_URL": "environment"})
    assert env == {"DATABASE_URL": "postgres://from-file/x", "PORT": "9100", "REDIS_URL": "environment"}
    assert "DATABASE_URL" not in os.environ or os.environ["DATABASE_URL"] != "postgres://from-file/x"
    assert plan.environment(root=folder / "elsewhere", env={"A": "b"}) == {"A": "b"}


def test_every_process_is_told_the_ports_that_were_chosen(folder: Path) -> None:
    for service in make(folder, PORT="1", SANDBOX_PORT="").services:
        assert (service.env["PORT"], service.env["SANDBOX_PORT"]) == ("9000", "9001")


def test_the_number_of_processes_can_be_chosen(folder: Path) -> None:
    made = make(folder, WEB_WORKERS="3", WORKER_PROCESSES="5")
    web, worker = made.services[1].command, made.services[5].command
    assert web[web.index("--workers") + 1] == "3"
    assert worker[worker.index("--concurrency") + 1] == "5"


def test_secrets_are_made_once_and_only_their_owner_can_read_them(folder: Path) -> None:
    first = make(folder).env
    again = make(folder).env
    path = folder / "var" / "secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for name, value in json.loads(path.read_text(encoding="utf-8")).items():
        assert first[name] == again[name] == value
        assert len(value) >= 40
    assert first["CHAPA_SECRET_KEY"].startswith("CHASECK_TEST-")
    key = first["CHAPA_SECRET_KEY"].removeprefix("CHASECK_TEST-")
    assert len(key) == 32
    assert key.isalnum()


def test_a_missing_secret_is_added_and_the_others_stay(folder: Path) -> None:
    path = folder / "secrets.json"
    path.write_text('{"SECRET_KEY": "mine", "ORDER_TOKEN_KEY": ""}', encoding="utf-8")
    made = development_secrets.load_or_make(path=path)
    assert made["SECRET_KEY"] == "mine"
    assert made["ORDER_TOKEN_KEY"] != ""
    assert development_secrets.load_or_make(path=path) == made


@pytest.mark.parametrize("content", ["{", "[]", '{"SECRET_KEY": 1}', '"text"'])
def test_a_damaged_file_of_secrets_is_named_and_not_overwritten(folder: Path, content: str) -> None:
    path = folder / "secrets.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataUnusable, match=r"secrets\.json .* Remove it"):
        development_secrets.load_or_make(path=path)
    assert path.read_text(encoding="utf-8") == content


def test_a_value_given_in_the_environment_wins_over_a_made_secret(folder: Path) -> None:
    assert make(folder, SECRET_KEY="mine").env["SECRET_KEY"] == "mine"
