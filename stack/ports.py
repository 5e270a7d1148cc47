"""Which port each process listens on: one number to choose, the others are its neighbours."""

import dataclasses
import errno
import random
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stack.errors import PortBusy, StackError

DEFAULT_PORT = 8000
_HIGHEST = 65535
_BLOCK = 6
# Below the range from which the system hands out ports to outgoing connections (Linux 32768, macOS 49152): one of
# those could take a neighbour between our look and the server's start.
_FREE_FROM, _FREE_TO = 20000, 32000
_claims: list[socket.socket] = []
"""Of the blocks that this process was given; the system ends them with it."""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports of one system, all on loopback."""

    front: int  # what people are told: one address, behind which web and live are
    sandbox: int
    postgres: int
    valkey: int
    web: int
    live: int


def from_environment(*, env: Mapping[str, str]) -> Ports:
    """``PORT`` (default 8000) and its neighbours, each of which can be set by a variable of its own.

    :raises StackError: a variable is no port number, or two processes would share one.
    """
    front = whole_number(env, "PORT", DEFAULT_PORT, most=_HIGHEST)
    ports = Ports(
        front=front,
        sandbox=whole_number(env, "SANDBOX_PORT", front + 1, most=_HIGHEST),
        postgres=whole_number(env, "POSTGRES_PORT", front + 2, most=_HIGHEST),
        valkey=whole_number(env, "VALKEY_PORT", front + 3, most=_HIGHEST),
        web=whole_number(env, "WEB_PORT", front + 4, most=_HIGHEST),
        live=whole_number(env, "LIVE_PORT", front + 5, most=_HIGHEST),
    )
    if len(set(dataclasses.astuple(ports))) < _BLOCK:
        raise StackError(f"Two processes would share a port: {ports}.")
    return ports


def whole_number(env: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    """The whole number from 1 to ``most`` that variable ``name`` gives. :raises StackError: it gives another thing."""
    text = env.get(name, "").strip() or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise StackError(f"{name} is {text!r}, but must be a whole number from 1 to {most}.")
    return int(text)


def is_free(port: int) -> bool:
    """Whether a server could listen on ``port`` of the loopback now. :raises StackError: we may not use it at all."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still fading away is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                return False
            raise StackError(f"Port {port} cannot be used: {problem.strerror}.") from problem
    return True


def refuse_busy(*, wanted: Iterable[tuple[int, str, str]]) -> None:
    """Check each (port, process of ours, variable that changes it).

    :raises PortBusy: naming every busy one, who wanted it, and how to change it.
    """
    busy = [(port, who, variable) for port, who, variable in wanted if not is_free(port)]
    if not busy:
        return
    lines = [f"Port {port} is taken, and {who} needs it (change it by {variable}=…)." for port, who, variable in busy]
    elsewhere = free_block()
    lines.append(f"Another program listens there, or another copy of this stack. Try: make run PORT={elsewhere.front}")
    raise PortBusy("\n".join(lines))


def free_block() -> Ports:
    """Six neighbouring free ports, for a system beside the one that a person runs. Nobody else gets the same six
    while this process lives, so they are still free when its servers start, and start again.

    :raises PortBusy: after many tries there were none.
    """
    draw = random.SystemRandom()  # not the shared one, which may be seeded, so that two processes draw alike
    for _ in range(200):
        first = draw.randrange(_FREE_FROM, _FREE_TO, _BLOCK)
        # The claim comes first: even a look at a port takes it, for a moment, from the server that begins to listen.
        if _claim(first) and all(is_free(first + step) for step in range(_BLOCK)):
            return Ports(
                front=first, sandbox=first + 1, postgres=first + 2, valkey=first + 3, web=first + 4, live=first + 5
            )
    raise PortBusy(f"There are no {_BLOCK} free neighbouring ports between {_FREE_FROM} and {_FREE_TO}.")


def _claim(first: int) -> bool:
    """Say to every other process that draws that the block is taken: by the UDP port of its number, which no server of
    ours uses, and which is free again however this process ends.
    """
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind(("127.0.0.1", first))
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True
