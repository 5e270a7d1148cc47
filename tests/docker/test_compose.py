"""compose.yaml says the same as settings, entrypoint, Dockerfile and stack do."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from config.celery import app
from orders import tickets
from payments.live.server import GRACE_SECONDS
from stack import ports
from tests.docker import reading

SERVICES: dict[str, Any] = reading.compose()["services"]
EXAMPLE = reading.ROOT / ".env.example"
DEV = reading.DOCKER / "dev.env"
SERVERS = {"postgres", "rabbitmq", "redis"}
GATEWAY = "gateway"
FOR_DEVELOPMENT = {"mail", "catalogue", "delivery-options", "sandbox", "sandbox-for-web", "sandbox-for-worker"}


def made_up(name: str) -> str:
    """A value that is nobody's secret, as long and mixed as one."""
    return hashlib.sha256(name.encode()).hexdigest()


KEYS = ("SECRET_KEY", "JWT_SIGNING_KEY", "ORDER_TOKEN_KEY", "OUTBOUND_SIGNING_KEY", "CHAPA_WEBHOOK_SECRET")
LIVE = {
    **{name: made_up(name) for name in (*KEYS, "POSTGRES_PASSWORD", "RABBITMQ_PASSWORD")},
    "CHAPA_SECRET_KEY": "CHASECK-" + made_up("CHAPA_SECRET_KEY"),
    "ALLOWED_HOSTS": "shop.test",
    "PUBLIC_BASE_URL": "https://shop.test",
    "EMAIL_URL": "smtp://mail.shop.test:25",
    "DEFAULT_FROM_EMAIL": "Shop <orders@shop.test>",
}
"""What somebody fills into .env.example, made up."""


def load_settings(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Import the settings with this environment alone, and print what they say about the database and the broker."""
    program = (
        "from django.conf import settings as s; import json; "
        "d = s.DATABASES['default']; "
        "print(json.dumps([d['HOST'], d['PORT'], s.BROKER_URL, s.REDIS_URL, s.DEBUG, s.CHAPA_BASE_URL]))"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], **environment},
        cwd=reading.ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def published(service: str) -> list[str]:
    return [reading.interpolate(text, {}) for text in SERVICES[service].get("ports", [])]


def test_the_system_is_all_there() -> None:
    assert set(SERVICES) == {*reading.PROCESSES, *SERVERS, GATEWAY, *FOR_DEVELOPMENT}
    assert {name for name, service in SERVICES.items() if service.get("profiles") == ["dev"]} == FOR_DEVELOPMENT


def test_every_variable_is_explained_in_the_example() -> None:
    assert reading.compose_variables() <= {entry.name for entry in reading.env_file(EXAMPLE)}


@pytest.mark.parametrize("service", reading.PROCESSES)
def test_a_process_is_given_only_what_somebody_reads(service: str) -> None:
    assert set(SERVICES[service]["environment"]) <= {entry.name for entry in reading.env_file(EXAMPLE)}


@pytest.mark.parametrize("service", reading.PROCESSES)
def test_every_process_runs_the_image_by_a_command_that_exists(service: str) -> None:
    described = SERVICES[service]
    assert described["command"] == [service]
    assert "entrypoint" not in described
    assert described["image"] == "nexus:local"
    build = described["build"]
    assert (reading.DOCKER / build["context"] / build["dockerfile"]).is_file()
    assert build["target"] in reading.dockerfile()


@pytest.mark.parametrize("service", reading.PROCESSES)
def test_every_process_gets_the_env_file_that_it_is_started_with(service: str) -> None:
    (name,) = SERVICES[service]["env_file"]
    assert (reading.DOCKER / reading.interpolate(name, {})).resolve() == reading.ROOT / ".env"
    chosen = reading.interpolate(name, reading.env_values(DEV))
    assert (reading.DOCKER / chosen).resolve() == DEV


@pytest.mark.parametrize("service", reading.PROCESSES)
def test_production_starts_with_the_example_filled_in(service: str) -> None:
    environment = reading.environment_of(service, file=EXAMPLE, overrides=LIVE)
    assert environment["DJANGO_SETTINGS_MODULE"] == "config.settings.production"
    done = load_settings(environment)
    assert done.returncode == 0, done.stderr
    host, port, broker, redis, debug, chapa = json.loads(done.stdout)
    assert (host, str(port)) == ("postgres", "5432")
    assert urlsplit(broker).hostname == "rabbitmq"
    assert urlsplit(redis).hostname == "redis"
    assert debug is False
    assert chapa == "https://api.chapa.co/v1"


@pytest.mark.parametrize("name", sorted(reading.required_in_production()))
def test_no_process_starts_without_what_is_required(name: str) -> None:
    environment = reading.environment_of("worker", file=EXAMPLE, overrides=LIVE)
    assert environment.pop(name)
    done = load_settings(environment)
    assert done.returncode != 0
    assert f"- {name} is not set" in done.stderr


def test_compose_itself_refuses_to_start_without_the_servers_passwords() -> None:
    for name in ("POSTGRES_PASSWORD", "RABBITMQ_PASSWORD"):
        with pytest.raises(KeyError, match=name):
            reading.environment_of("web", file=EXAMPLE, overrides={**LIVE, name: ""})


@pytest.mark.parametrize("service", [*reading.PROCESSES, "catalogue"])
def test_development_starts_as_it_is(service: str) -> None:
    done = load_settings(reading.environment_of(service, file=DEV))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0] == "postgres"


def test_production_refuses_the_values_of_development() -> None:
    environment = reading.environment_of("web", file=DEV) | {"DJANGO_SETTINGS_MODULE": "config.settings.production"}
    done = load_settings(environment)
    assert done.returncode != 0
    assert "a value made for development" in done.stderr
    assert "CHAPA_BASE_URL points at a sandbox" in done.stderr


def test_addresses_carry_what_the_servers_are_started_with() -> None:
    values = reading.env_values(EXAMPLE) | LIVE
    environment = reading.environment_of("web", file=EXAMPLE, overrides=LIVE)
    database, broker = urlsplit(environment["DATABASE_URL"]), urlsplit(environment["BROKER_URL"])
    postgres, rabbitmq = SERVICES["postgres"]["environment"], SERVICES["rabbitmq"]["environment"]
    assert database.username == postgres["POSTGRES_USER"]
    assert database.password == reading.interpolate(postgres["POSTGRES_PASSWORD"], values)
    assert database.path == f"/{postgres['POSTGRES_DB']}"
    assert broker.scheme == "amqp"
    assert broker.username == rabbitmq["RABBITMQ_DEFAULT_USER"]
    assert broker.password == reading.interpolate(rabbitmq["RABBITMQ_DEFAULT_PASS"], values)
    assert broker.path == f"/{rabbitmq['RABBITMQ_DEFAULT_VHOST']}"


def test_the_servers_default_ports_are_the_ones_asked_for() -> None:
    environment = reading.environment_of("web", file=EXAMPLE, overrides=LIVE)
    asked = {urlsplit(environment[name]).port for name in ("DATABASE_URL", "BROKER_URL", "REDIS_URL")}
    assert asked == {5432, 5672, 6379}


def test_the_ports_are_those_of_make_run_and_on_the_loopback_alone() -> None:
    usual = ports.from_environment(env={})
    assert published(GATEWAY) == [f"127.0.0.1:{usual.front}:8000"]
    for behind in ("web", "live"):
        assert published(behind) == [], f"{behind} is reached through the gateway"
    assert published("sandbox") == [f"127.0.0.1:{usual.sandbox}:8001"]
    for service in SERVICES:
        assert all(text.startswith("127.0.0.1:") for text in published(service)), service
    for server in SERVERS:
        assert published(server) == [], f"{server} needs no port outside"
    exposed = {int(port) for stage in ("app", "sandbox") for port in reading.arguments(stage, "EXPOSE")}
    assert exposed == {8000, 8001}
    assert SERVICES["web"]["environment"]["PORT"] == "8000", "a PORT of the env file must not move the web inside"


def test_nothing_starts_before_the_database_is_migrated() -> None:
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert SERVICES["migrate"]["restart"] == "no"
    for service in set(reading.PROCESSES) - {"migrate"}:
        assert SERVICES[service]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert SERVICES[service]["restart"] == "unless-stopped"


def test_the_shop_does_not_wait_for_the_broker_or_the_cache() -> None:
    """Orders are taken while RabbitMQ is away, so a container of it that does not come up must not stop the others."""
    for service in reading.PROCESSES:
        assert set(SERVICES[service]["depends_on"]) <= {"postgres", "migrate"}


def test_every_server_has_a_health_check() -> None:
    for server in SERVERS:
        assert SERVICES[server]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES["web"]["healthcheck"]["test"][1:] == ["python", "/app/docker/healthcheck.py"]
    port = SERVICES["live"]["environment"]["LIVE_PORT"]
    assert SERVICES["live"]["healthcheck"]["test"][1:] == ["python", "/app/docker/healthcheck.py", port]


def test_the_gateway_hands_streams_to_live_and_the_rest_to_the_web() -> None:
    text = (reading.DOCKER / "gateway.conf").read_text(encoding="utf-8")
    pattern = re.search(r"location ~ (\S+) \{\s+set \$live http://live:(\d+);", text)
    assert pattern is not None
    assert re.search(r"location / \{\s+set \$web http://web:(\d+);", text)[1] == SERVICES["web"]["environment"]["PORT"]  # type: ignore[index]
    assert pattern[2] == SERVICES["live"]["environment"]["LIVE_PORT"]
    assert re.search(pattern[1], tickets.STREAM_PATH.format(number="K7M2-9QXD"))
    for other in ("/api/v1/orders/", "/api/v1/orders/K7M2-9QXD/", "/api/v1/orders/K7M2-9QXD/payments/", "/order/x/"):
        assert not re.search(pattern[1], other)
    graphql = re.search(
        r"map \$http_upgrade \$graphql \{\s+default http://web:(\d+);\s+websocket http://live:(\d+);", text
    )
    assert graphql is not None
    assert (graphql[1], graphql[2]) == (SERVICES["web"]["environment"]["PORT"], pattern[2])
    mounted, _, _ = SERVICES[GATEWAY]["volumes"][0].partition(":")
    assert (reading.DOCKER / mounted).is_file()


def test_streams_are_given_the_time_to_end() -> None:
    grace = reading.seconds(SERVICES["live"]["stop_grace_period"])
    assert grace > GRACE_SECONDS


def test_a_task_is_given_the_time_that_it_may_take_before_its_worker_is_killed() -> None:
    grace = reading.seconds(SERVICES["worker"]["stop_grace_period"])
    assert grace > app.conf.task_time_limit > app.conf.worker_soft_shutdown_timeout


def test_the_relay_is_given_longer_than_its_watchdog_takes() -> None:
    from core.relay import WATCHDOG_SECONDS

    assert reading.seconds(SERVICES["relay"]["stop_grace_period"]) > WATCHDOG_SECONDS


def test_no_process_may_write_or_gain_rights() -> None:
    for service in reading.PROCESSES:
        described = SERVICES[service]
        assert described["read_only"] is True
        assert described["cap_drop"] == ["ALL"]
        assert described["security_opt"] == ["no-new-privileges:true"]
        assert described.get("volumes", []) == (["exports:/exports"] if service in {"web", "worker"} else [])
        assert "user" not in described, "the image's own user is meant"


def test_only_who_speaks_to_the_world_has_a_way_out() -> None:
    assert reading.compose()["networks"]["inside"] == {"internal": True}
    for service in {*reading.PROCESSES, *SERVERS, GATEWAY}:
        wanted = ["inside", "outside"] if service in {"web", "worker", GATEWAY} else ["inside"]
        assert SERVICES[service]["networks"] == wanted, service


def test_the_database_is_durable_and_its_data_have_a_volume() -> None:
    words = SERVICES["postgres"]["command"]
    for setting in ("fsync=on", "full_page_writes=on", "synchronous_commit=on"):
        assert words[words.index(setting) - 1] == "-c"
    assert SERVICES["postgres"]["image"] == "postgres:18"
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert SERVICES["rabbitmq"]["volumes"] == ["rabbitmq:/var/lib/rabbitmq"]
    assert set(reading.compose()["volumes"]) == {"postgres", "rabbitmq", "exports"}


def test_all_processes_together_leave_connections_free() -> None:
    """The sum of docs/operations.md, twice over for a web that is being replaced."""
    words = " ".join(SERVICES["postgres"]["command"])
    limit = int(re.search(r"max_connections=(\d+)", words)[1])  # type: ignore[index]
    web = SERVICES["web"]["environment"]
    threads = int(reading.interpolate(web["WEB_WORKERS"], {})) * int(reading.interpolate(web["WEB_THREADS"], {}))
    children = int(reading.interpolate(SERVICES["worker"]["environment"]["WORKER_PROCESSES"], {}))
    live = next(int(str(v.default)) for v in reading.settings_variables() if v.name == "LIVE_DATABASE_THREADS")
    relay, beat, migrate = 2, 2, 1
    assert 2 * (threads + live + children + 1 + relay + beat) + migrate <= limit - 10


def test_the_sandbox_and_its_callers_share_their_secrets_and_their_address() -> None:
    values = reading.env_values(DEV)
    sandbox = {name: reading.interpolate(text, values) for name, text in SERVICES["sandbox"]["environment"].items()}
    assert sandbox["SANDBOX_SECRET_KEY"] == values["CHAPA_SECRET_KEY"] != ""
    assert sandbox["SANDBOX_WEBHOOK_SECRET"] == values["CHAPA_WEBHOOK_SECRET"] != ""
    assert sandbox["SANDBOX_PUBLIC_URL"] == values["CHAPA_BASE_URL"].removesuffix("/v1")
    assert urlsplit(sandbox["SANDBOX_PUBLIC_URL"]).netloc == values["CHAPA_CHECKOUT_HOSTS"]
    told = urlsplit(sandbox["SANDBOX_WEBHOOK_URL"])
    assert told.hostname in values["ALLOWED_HOSTS"].split(",")
    assert (told.hostname, told.port) == ("web", 8000)


def test_the_address_to_which_the_sandbox_delivers_is_the_webhooks() -> None:
    from django.urls import resolve

    told = urlsplit(SERVICES["sandbox"]["environment"]["SANDBOX_WEBHOOK_URL"])
    assert resolve(told.path).func.__name__ in {"chapa_webhook", "limited"}


@pytest.mark.parametrize("caller", ["web", "worker"])
def test_each_caller_of_chapa_finds_the_sandbox_on_its_own_loopback(caller: str) -> None:
    door = SERVICES[f"sandbox-for-{caller}"]
    assert door["network_mode"] == f"service:{caller}"
    listen, target = door["command"]
    asked = urlsplit(reading.env_values(DEV)["CHAPA_BASE_URL"])
    assert listen.startswith(f"TCP-LISTEN:{asked.port},bind={asked.hostname},")
    assert target == "TCP:sandbox:8001"


def test_the_sandboxs_command_line_is_one_that_it_understands() -> None:
    from sandbox.cli import build_parser

    (command,) = reading.arguments("sandbox", "CMD")
    words = json.loads(command)
    assert words[:3] == ["python", "-m", "sandbox"]
    given = build_parser(environ=SERVICES["sandbox"]["environment"]).parse_args(words[3:])
    assert (given.host, given.port) == ("0.0.0.0", 8001)


def test_no_image_comes_from_an_address_of_somebodys_own_and_none_floats() -> None:
    for name, service in SERVICES.items():
        image, _, tag = service["image"].partition(":")
        assert "." not in image.split("/")[0], name
        assert tag not in {"", "latest"}, name


def test_dev_env_sets_only_what_is_read() -> None:
    assert set(reading.env_values(DEV)) <= {entry.name for entry in reading.env_file(EXAMPLE)}
    assert Path(DEV).name == reading.env_values(DEV)["NEXUS_ENV_FILE"]
