"""``stack/install.sh`` on machines that lack something, played by programs that say so."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs: the usual small ones, and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("awk", "sed", "cut", "mktemp", "rm", "sh", "dirname", "cat"):
        for place in ("/usr/bin", "/bin"):
            if (Path(place) / name).exists():
                (folder / name).symlink_to(Path(place) / name)
                break
    return folder


def install(programs: Path, venv: Path, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["/bin/sh", str(ROOT / "stack" / "install.sh"), str(venv), str(ROOT / "requirements" / "dev.txt")],
        env={"PATH": str(programs)} | env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def say(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)


def test_without_a_python_the_message_says_what_to_install(programs: Path, tmp_path: Path) -> None:
    done = install(programs, tmp_path / "venv")
    assert done.returncode == 1
    assert "No Python 3.11 or later was found." in done.stderr
    assert "apt install python3 python3-venv" in done.stderr


def test_a_python_that_is_too_old_is_not_taken(programs: Path, tmp_path: Path) -> None:
    say(programs / "python3", "exit 1")  # whatever it is asked, it is not 3.11
    assert "No Python 3.11" in install(programs, tmp_path / "venv").stderr
    assert "found as python9" in install(programs, tmp_path / "venv", PYTHON="python9").stderr


def test_without_venv_the_message_names_the_package_for_this_very_version(programs: Path, tmp_path: Path) -> None:
    say(
        programs / "python3",
        'case "$*" in *ensurepip*|*virtualenv*) exit 1;; *print*) echo 3.12;; *) exit 0;; esac',
    )
    done = install(programs, tmp_path / "venv")
    assert done.returncode == 1
    assert "apt install python3.12-venv" in done.stderr


def test_virtualenv_is_used_where_venv_is_missing(programs: Path, tmp_path: Path) -> None:
    say(
        programs / "python3",
        'case "$*" in *ensurepip*) exit 1;; *"virtualenv --version"*) exit 1;; *print*) echo 3.12;; *) exit 0;; esac',
    )
    say(programs / "virtualenv", f'echo "$@" > "{tmp_path}/asked"')
    install(programs, tmp_path / "venv")
    assert str(tmp_path / "venv") in (tmp_path / "asked").read_text(encoding="utf-8")


def test_where_uv_cannot_be_had_pip_installs_the_same_hashes(programs: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    say(
        venv / "bin" / "python",
        f'echo "$@" >> "{tmp_path}/asked"; case "$*" in *--only-binary*) exit 1;; *) exit 0;; esac',
    )
    assert install(programs, venv).returncode == 0
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert asked[-1].endswith(f"--require-hashes -r {ROOT / 'requirements' / 'dev.txt'}")
    assert all("--require-hashes" in line for line in asked if " install " in f" {line} ")


def test_uv_itself_is_installed_in_the_locked_version_with_its_hashes(programs: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    keep = f'for last; do :; done; case "$*" in *--only-binary*) cat "$last" > "{tmp_path}/wanted";; esac; exit 0'
    say(venv / "bin" / "python", keep)
    install(programs, venv)
    wanted = (tmp_path / "wanted").read_text(encoding="utf-8")
    assert wanted.startswith("uv==")
    assert "--hash=sha256:" in wanted
    assert wanted.count("==") == 1


@pytest.mark.skipif(not os.access("/usr/bin/make", os.X_OK), reason="make is not installed")
def test_make_alone_lists_the_targets_and_runs_nothing() -> None:
    done = subprocess.run(["/usr/bin/make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    for target in ("setup", "run", "demo", "test", "check", "fmt", "lock"):
        assert f"make {target} " in done.stdout
