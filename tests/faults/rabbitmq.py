"""A RabbitMQ of our own: a real broker on spare ports, with its own name, cookie and folders, to be killed and wiped.

The programs are those that the machine has; nothing of a broker that runs here already is read or touched. The
Erlang port mapper is ours too: the usual one daemonises, and would outlive us.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import socket
from functools import cached_property
from pathlib import Path

import amqp

from stack import places, ports
from stack.child import ChildSpec, run_to_end

# Debian's rabbitmq-server on the path only starts the one of the machine, as its own user; the script behind it will
# run for anybody.
_SERVER_PLACES = ("/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin", *os.environ.get("PATH", os.defpath).split(":"))
_TOOL_PLACES = (*os.environ.get("PATH", os.defpath).split(":"), "/usr/local/bin", "/usr/bin")


PLENTY = "1GB"
"""Memory that is not used up here."""


def absent() -> list[str]:
    """What is missing here for a broker of our own."""
    wanted = {"rabbitmq-server": _SERVER_PLACES, "erl": _TOOL_PLACES, "epmd": _TOOL_PLACES}
    return [name for name, folders in wanted.items() if _find(name, folders) is None]


def _find(name: str, folders: tuple[str, ...]) -> str | None:
    return shutil.which(name, path=":".join(folders))


class PortMapper:
    """epmd in the foreground. The broker registers with it, and would start one of its own where there is none."""

    name = "epmd"

    def __init__(self, *, port: int) -> None:
        self.port = port

    def prepare(self) -> bool:
        return True

    @property
    def spec(self) -> ChildSpec:
        program = _find("epmd", _TOOL_PLACES) or "epmd"
        return ChildSpec(
            name=self.name,
            command=[program, "-port", str(self.port), "-address", "127.0.0.1"],
            env={"PATH": os.defpath},
            account=places.service_account(),
        )

    def is_ready(self) -> bool:
        return _listens(self.port)


class RabbitMQ:
    """One broker: prepare it, start what `spec` says, wait for `is_ready`, connect to `url`."""

    name = "rabbitmq"

    def __init__(self, *, home: Path, chosen: ports.Ports) -> None:
        self.home = home
        self.port, self._between_nodes = chosen.web, chosen.sandbox
        self.mapper = PortMapper(port=chosen.postgres)
        self._account = places.service_account()

    @property
    def url(self) -> str:
        """What `BROKER_URL` says."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    @cached_property
    def _folder(self) -> Path:
        return places.data_folder(wanted=self.home, account=self._account)

    def prepare(self) -> bool:
        """Write its configuration. True if it knows of no queue."""
        lines = {
            "listeners.tcp.default": f"127.0.0.1:{self.port}",
            "log.file": "false",
            "log.console": "true",
            "log.console.level": "warning",
            "vm_memory_high_watermark.absolute": PLENTY,
            "disk_free_limit.absolute": "1MB",
        }
        self._write("rabbitmq.conf", "".join(f"{name} = {value}\n" for name, value in lines.items()))
        self._write("rabbitmq-env.conf", "")
        self._write("enabled_plugins", "[].\n")
        return not self._data.exists()

    def _write(self, name: str, text: str) -> None:
        file = self._folder / name
        file.write_text(text, encoding="ascii")
        file.chmod(0o644)

    @property
    def _data(self) -> Path:
        return self._folder / "mnesia"

    def wipe(self) -> None:
        """Its disk is gone. Call it while the broker does not run."""
        shutil.rmtree(self._data)

    def limit_memory(self, watermark: str) -> None:
        """Above it nobody may publish; a few bytes are always exceeded."""
        words = ["set_vm_memory_high_watermark", "absolute", watermark]
        program = _find("rabbitmqctl", _SERVER_PLACES) or "rabbitmqctl"
        code, said = run_to_end(spec=dataclasses.replace(self.spec, command=[program, *words]), seconds=60)
        assert code == 0, said

    @property
    def spec(self) -> ChildSpec:
        folder = self._folder
        quiet = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"  # it shall not spin while it waits: others work here
        env = {
            "PATH": f"{os.defpath}:{Path(_find('erl', _TOOL_PLACES) or '/usr/bin/erl').parent}",
            "HOME": str(folder),  # where its cookie lies
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.mapper.port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RUNNING_UNDER_SYSTEMD": "true",  # no shell stays between us and it
            "RABBITMQ_NODENAME": f"nexus{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._between_nodes),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self._data),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} {quiet}",
        }
        return ChildSpec(
            name=self.name,
            command=[_find("rabbitmq-server", _SERVER_PLACES) or "rabbitmq-server"],
            env=env,
            account=self._account,
            stop_signal=signal.SIGKILL,  # to stop it is to kill it, unless it is asked by its own tool
        )

    def is_ready(self) -> bool:
        """Whether it lets us in; it listens before it does."""
        if not _listens(self.port):
            return False
        try:
            self.connect().close()
        except (OSError, amqp.AMQPError):
            return False
        return True

    def connect(self) -> amqp.Connection:
        """A connection of the test's own."""
        connection = amqp.Connection(host=f"127.0.0.1:{self.port}", connect_timeout=5, read_timeout=20)
        connection.connect()
        return connection


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True
