"""The embedded servers alone, without a supervisor: for tests, and for ``python -m stack services``."""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from stack import places, ports
from stack.child import Child
from stack.errors import NotReady
from stack.postgres import Postgres
from stack.valkey import Valkey

Server = Postgres | Valkey


def is_given(env: Mapping[str, str], name: str) -> bool:
    """Whether variable ``name`` points at a server of the user's own; an empty one does not."""
    return bool(env.get(name, "").strip())


def start(*, server: Server, log: Path, seconds: float = 60) -> Child:
    """Prepare ``server``, start it and wait until it answers. Call it from a thread that outlives the server.

    :raises NotReady: it ended or did not answer within ``seconds``; the message shows the end of its log.
    :raises DataUnusable: its data folder cannot be used.
    """
    server.prepare()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = Child(spec=server.spec, output=output)
    try:
        _wait_until_ready(server=server, child=child, log=log, seconds=seconds)
    except BaseException:
        child.kill()
        raise
    return child


def _wait_until_ready(*, server: Server, child: Child, log: Path, seconds: float) -> None:
    give_up_at = time.monotonic() + seconds
    while not server.is_ready():
        if child.exit_code is not None:
            raise NotReady(f"{server.name} ended with code {child.exit_code}:\n{tail(log)}")
        if time.monotonic() > give_up_at:
            raise NotReady(f"{server.name} does not answer after {seconds:g} s:\n{tail(log)}")
        time.sleep(0.01)


def tail(log: Path, *, lines: int = 20) -> str:
    """The last ``lines`` of a log file, indented; a note if there is nothing."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = ""
    return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (it printed nothing)"


@contextlib.contextmanager
def running(*, folder: Path, env: Mapping[str, str], durable: bool) -> Iterator[dict[str, str]]:
    """Start what ``env`` does not give; yields the URLs of what was started, by the names that the settings read.

    Ports are free ones. On leaving, the servers are stopped; the data stay in ``folder``.
    """
    block = ports.free_block()
    started: list[Child] = []
    urls: dict[str, str] = {}
    try:
        if not is_given(env, "DATABASE_URL"):
            postgres = Postgres(home=folder / "postgres", port=block.postgres, durable=durable)
            started.append(start(server=postgres, log=folder / "log" / "postgres.log"))
            urls["DATABASE_URL"] = postgres.url
        if not (is_given(env, "BROKER_URL") and is_given(env, "REDIS_URL")):
            valkey = Valkey(home=folder / "valkey", port=block.valkey, durable=durable)
            started.append(start(server=valkey, log=folder / "log" / "valkey.log"))
            if not is_given(env, "BROKER_URL"):
                urls["BROKER_URL"] = valkey.broker_url
            if not is_given(env, "REDIS_URL"):
                urls["REDIS_URL"] = valkey.cache_url
        yield urls
    finally:
        for child in reversed(started):
            if durable:
                child.stop()
            else:
                child.send(child.spec.hurry_signal)
                child.wait_or_kill(seconds=5)


@contextlib.contextmanager
def throw_away_folder(*, prefix: str) -> Iterator[Path]:
    """A temporary folder that the servers' user may search; it and whatever they put elsewhere are removed."""
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        try:
            yield folder
        finally:
            for server in ("postgres", "valkey"):
                places.forget(wanted=folder / server)
