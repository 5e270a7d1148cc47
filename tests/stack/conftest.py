"""What the tests of the stack share: a folder that servers can use, and a supervisor with nothing in it."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import servers
from stack.supervisor import RestartPolicy, Supervisor
from stack.terminal import Terminal


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the servers' user can search, wherever the system keeps temporary things."""
    with servers.throw_away_folder(prefix="nexus-stack-") as made:
        yield made


@pytest.fixture
def screen() -> io.StringIO:
    """What the terminal shows."""
    return io.StringIO()


@pytest.fixture
def supervisor(folder: Path, screen: io.StringIO) -> Iterator[Supervisor]:
    """A supervisor that loses patience early. No child is steady here: to start one may take a loaded machine long."""
    policy = RestartPolicy(steady_seconds=3600, first_delay=0.01, longest_delay=0.05, give_up_after=4)
    with Supervisor(logs=folder / "log", terminal=Terminal(out=screen), policy=policy) as made:
        yield made
