"""Which ports are taken, and what is said when they are not free."""

import dataclasses
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stack import ports
from stack.errors import PortBusy, StackError

ROOT = Path(__file__).resolve().parents[2]


def test_one_number_is_chosen_and_the_others_are_its_neighbours() -> None:
    assert ports.from_environment(env={}) == ports.Ports(
        front=8000, sandbox=8001, postgres=8002, valkey=8003, web=8004, live=8005
    )
    chosen = ports.from_environment(env={"PORT": "9000", "POSTGRES_PORT": "6000", "VALKEY_PORT": " "})
    assert chosen == ports.Ports(front=9000, sandbox=9001, postgres=6000, valkey=9003, web=9004, live=9005)


@pytest.mark.parametrize("nonsense", ["http", "0", "65536", "-1", "80.0", "٨٠٠٠", "9" * 5000])
def test_a_port_that_is_none_is_refused_by_the_name_of_its_variable(nonsense: str) -> None:
    with pytest.raises(StackError, match="SANDBOX_PORT is"):
        ports.from_environment(env={"SANDBOX_PORT": nonsense})


def test_two_processes_on_one_port_are_refused() -> None:
    with pytest.raises(StackError, match="share a port"):
        ports.from_environment(env={"PORT": "9000", "VALKEY_PORT": "9000"})


def test_the_neighbours_of_the_last_port_do_not_exist() -> None:
    with pytest.raises(StackError, match="SANDBOX_PORT is '65536'"):
        ports.from_environment(env={"PORT": "65535"})


def test_a_busy_port_is_named_with_who_wanted_it_and_how_to_change_it() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        busy = other.getsockname()[1]
        with pytest.raises(PortBusy) as told:
            ports.refuse_busy(wanted=[(busy, "sandbox", "SANDBOX_PORT")])
    message = str(told.value)
    assert f"Port {busy} is taken, and sandbox needs it" in message
    assert "SANDBOX_PORT=" in message
    assert "make run PORT=" in message
    ports.refuse_busy(wanted=[(busy, "sandbox", "SANDBOX_PORT")])


def test_a_block_of_free_ports_is_one_that_servers_can_listen_on() -> None:
    block = ports.free_block()
    assert dataclasses.astuple(block) == tuple(block.front + step for step in range(6))
    for port in dataclasses.astuple(block):
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", port))
            server.listen()


def test_a_block_belongs_to_one_process_while_it_lives() -> None:
    """Also before its servers listen, and between their end and their next start."""
    block = ports.free_block()
    draw_from_it = "import sys; from stack import ports; ports._FREE_FROM, ports._FREE_TO = map(int, sys.argv[1:]);"
    command = [sys.executable, "-c", f"{draw_from_it} ports.free_block()", str(block.front), str(block.front + 6)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "PortBusy" in done.stderr, done


def test_the_number_of_workers_must_make_sense() -> None:
    with pytest.raises(StackError, match="WEB_WORKERS is '0', but must be a whole number from 1 to 64"):
        ports.whole_number({"WEB_WORKERS": "0"}, "WEB_WORKERS", 2, most=64)
