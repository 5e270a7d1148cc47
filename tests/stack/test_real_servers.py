"""Borrowing servers that run here already, and leaving no trace on them."""

import os
import sys

import psycopg2
import pytest
import redis

from stack import __main__ as commands
from stack import real_servers
from stack.errors import NotReady

# They borrow from the same servers and look at what is left there, so under xdist they run in one worker.
pytestmark = pytest.mark.xdist_group("real-servers")

ABSENT = real_servers.absent(env=os.environ)
needs_real_servers = pytest.mark.skipif(
    bool(ABSENT) or os.geteuid() != 0, reason=f"needs root and servers on the usual ports; silent: {ABSENT}"
)


@needs_real_servers
def test_what_is_borrowed_works_and_is_gone_afterwards() -> None:
    with real_servers.borrowed(env=os.environ) as urls:
        psycopg2.connect(urls["DATABASE_URL"]).close()
        assert urls["DATABASE_URL"].endswith(f"/nexus_borrowed_{os.getpid()}")
        assert urls["BROKER_URL"].endswith(f"/nexus_borrowed_{os.getpid()}")
        redis.Redis.from_url(urls["REDIS_URL"]).set("mine", 1)
    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        psycopg2.connect(urls["DATABASE_URL"])
    assert not redis.Redis.from_url(urls["REDIS_URL"]).exists("mine")


@needs_real_servers
def test_a_redis_database_in_use_is_never_borrowed() -> None:
    with real_servers._empty_redis("redis://127.0.0.1:6379") as first:
        theirs = redis.Redis.from_url(first)
        theirs.set("a-key-of-somebody-else", "value")
        theirs.delete("nexus-borrowed")  # last, so that nobody who borrows at this moment finds it empty
        with real_servers._empty_redis("redis://127.0.0.1:6379") as second:
            assert second != first
        assert theirs.keys() == [b"a-key-of-somebody-else"]


@needs_real_servers
def test_a_command_runs_on_the_real_ones() -> None:
    code = "import os, sys; sys.exit(not os.environ['BROKER_URL'].startswith('amqp://'))"
    assert commands.main(arguments=["services", "--real", "--", sys.executable, "-c", code]) == 0


def test_where_nobody_listens_there_is_nothing_to_borrow(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REAL_REDIS_URL", "redis://127.0.0.1:9")
    assert commands.main(arguments=["services", "--real", "--", "true"]) == 1
    assert "127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "url", "said"),
    [
        ("REAL_DATABASE_URL", "postgres://nobody@127.0.0.1:9/x", "PostgreSQL gives us no database"),
        ("REAL_REDIS_URL", "redis://127.0.0.1:9", "Redis gives us no database"),
    ],
)
@needs_real_servers
def test_a_refusal_is_told_and_what_was_borrowed_before_is_given_back(variable: str, url: str, said: str) -> None:
    with pytest.raises(NotReady, match=said), real_servers.borrowed(env={variable: url}):
        raise AssertionError("borrowed from nobody")
    with real_servers.borrowed(env={}):
        pass  # the names are free again


@needs_real_servers
def test_a_virtual_host_that_cannot_be_used_is_removed_again() -> None:
    refused = pytest.raises(NotReady, match="RabbitMQ refuses")
    unknown_user = {"REAL_BROKER_URL": "amqp://nobody-of-that-name@127.0.0.1:5672/"}
    with refused, real_servers.borrowed(env=unknown_user):
        raise AssertionError("borrowed for a user that does not exist")
    with real_servers.borrowed(env={}):
        pass  # and the virtual host is gone
