"""What surrounds the code: the hooks before a commit, the workflow after it, and what must be in no file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
WORKFLOW: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
OURS = [
    *(ROOT / "docker").iterdir(),
    *(ROOT / "docs").rglob("*.md"),
    ROOT / ".env.example",
    ROOT / ".github" / "workflows" / "ci.yml",
    ROOT / "SECURITY.md",
]
# Put together here, so that this file does not hold what it looks for.
LOOKS_SECRET = {
    "a live key of Chapa's": "key = '" + "CHASECK-" + "qW3eR5tY7uI9oP1aS2dF4gH6'",
    "a private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "a token of GitHub's": "gh" + "p_" + "aB3dE5fG7h" * 4,
    "a key of AWS's": "AKI" + "A" + "Q7W3E5R9T1Y2U4I6",
    "a token of Slack's": "xox" + "b-" + "827364519283-abcdef",
    "a signed token": ".".join(
        ["eyJ" + "hbGciOiJIUzI1NiJ9ab", "eyJ" + "zdWIiOiJhYmNkZWZnaCJ9", "sflKxwRJSMeKKF2QT4fw"]
    ),
    "a value for a secret of ours": "SECRET_KEY=" + "qW3eR5tY7uI9oP1aS2dF4gH6",
    "a password in an address": "postgres://" + "nexus:hG7kD3sLq9@db.shop:5432/nexus",
}


def scan(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / ".pre-commit" / "refuse_secrets.py"), str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(("what", "line"), LOOKS_SECRET.items(), ids=LOOKS_SECRET)
def test_a_secret_is_refused_and_not_repeated(tmp_path: Path, what: str, line: str) -> None:
    path = tmp_path / "some.txt"
    path.write_text(f"first line\n{line}\n")
    done = scan(path)
    assert done.returncode == 1
    assert done.stderr == f"{path}:2: looks like {what}\n"


@pytest.mark.parametrize(
    "line",
    [
        "SECRET_KEY=",
        "SECRET_KEY=dev-only-secret-key-0123456789-0123456789",
        "DATABASE_URL: postgres://nexus:${POSTGRES_PASSWORD}@postgres:5432/nexus",
        "postgres://postgres@127.0.0.1:5432/nexus",
        LOOKS_SECRET["a value for a secret of ours"] + "  # not a secret: the manual's own",
    ],
)
def test_what_is_plainly_no_secret_passes(tmp_path: Path, line: str) -> None:
    path = tmp_path / "some.txt"
    path.write_text(line + "\n")
    assert scan(path).returncode == 0


def test_a_file_that_is_no_text_is_no_reason_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "some.bin"
    path.write_bytes(b"\xff\xfe\x00")
    assert scan(path).returncode == 0
    assert scan(tmp_path / "gone").returncode == 0


@pytest.mark.parametrize(("size", "code"), [(500 * 1024, 0), (500 * 1024 + 1, 1)])
def test_a_large_file_is_refused(tmp_path: Path, size: int, code: int) -> None:
    path = tmp_path / "some.bin"
    path.write_bytes(bytes(size))
    words = [sys.executable, str(ROOT / ".pre-commit" / "refuse_large_files.py"), str(path)]
    assert subprocess.run(words, check=False, capture_output=True, timeout=120).returncode == code


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_what_is_published_holds_no_secret_and_no_path_of_somebodys_machine(path: Path) -> None:
    if path.is_dir():
        return
    done = scan(path)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"/(?:root|home|tmp|Users)/\w", path.read_text(encoding="utf-8")), path.name


def test_hooks_need_no_network_and_use_the_projects_own_tools() -> None:
    assert [repo["repo"] for repo in HOOKS] == ["local"]
    hooks = {hook["id"]: hook for hook in HOOKS[0]["hooks"]}
    assert set(hooks) == {"ruff-check", "ruff-format", "missing-migrations", "secrets", "large-files"}
    for hook in hooks.values():
        assert hook["language"] == "system"
        assert ".venv/bin/" in hook["entry"]
        for word in hook["entry"].split():
            if word.endswith(".py"):
                assert (ROOT / word).is_file()


def test_the_workflow_runs_what_a_developer_runs() -> None:
    steps = {job: [step.get("run", "") for step in described["steps"]] for job, described in WORKFLOW["jobs"].items()}
    assert "make check" in steps["check"]
    assert ".ci/run" in steps["everything"]
    assert set(WORKFLOW["jobs"]["everything"]["services"]) == {"postgres", "rabbitmq", "redis"}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("setup", "check"):
        assert f"\n{target}:" in makefile


def test_the_workflow_may_only_read_and_every_action_has_a_version() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for job in WORKFLOW["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", step["uses"])
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


def test_no_text_of_a_pull_request_becomes_part_of_a_script() -> None:
    for job in WORKFLOW["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")


def test_the_servers_of_the_workflow_are_those_of_compose() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    for name, service in WORKFLOW["jobs"]["everything"]["services"].items():
        assert service["image"] == compose[name]["image"]
    assert WORKFLOW["jobs"]["check"]["strategy"]["matrix"]["postgres"][-1] == compose["postgres"]["image"].split(":")[1]
