"""A pytest plugin (``-p tests.services``): the servers that the tests need, started before Django's settings are read.

What ``DATABASE_URL``, ``BROKER_URL`` and ``REDIS_URL`` name is used; for what they do not, a throw-away PostgreSQL and
Valkey are started on free ports, and stopped at the end. Under xdist the controller starts them and the workers
inherit the addresses.
"""

import contextlib
import os
from collections.abc import Generator

import pytest

from stack import servers
from stack.errors import StackError

STARTED = "NEXUS_TESTS_STARTED"
"""Names the variables that were set here and not by the user."""
_ASKS_NOTHING_OF_A_SERVER = {"-h", "--help", "--version", "-V"}


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> Generator[None, object, object]:
    """Start what is missing. A wrapper runs before pytest-django reads the settings, however early that wants to be."""
    needed = "PYTEST_XDIST_WORKER" not in os.environ and _ASKS_NOTHING_OF_A_SERVER.isdisjoint(args)
    if needed:
        stack = contextlib.ExitStack()
        early_config.add_cleanup(stack.close)
        folder = stack.enter_context(servers.throw_away_folder(prefix="nexus-tests-"))
        try:
            started = stack.enter_context(servers.running(folder=folder, env=os.environ, durable=False))
        except StackError as problem:
            raise pytest.UsageError(f"the tests' servers did not start: {problem}") from None
        # Tests that start a whole system of their own give it servers of its own, unless the user has named some.
        os.environ |= started | {STARTED: ",".join(started)}
    return (yield)
