"""Servers that run on this machine already, borrowed so that nobody notices: PostgreSQL, RabbitMQ and Redis.

Each borrower gets a database, a virtual host and two empty Redis databases of its own, and all of them are removed
afterwards. Nothing else on the servers is touched.
"""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

import psycopg2
import psycopg2.extensions
import redis
from psycopg2 import sql

from stack.errors import NotReady

DEFAULTS = {
    "REAL_DATABASE_URL": "postgres://postgres@127.0.0.1:5432/postgres",
    "REAL_BROKER_URL": "amqp://guest:guest@127.0.0.1:5672/",
    "REAL_REDIS_URL": "redis://127.0.0.1:6379",
}
"""Where they are looked for, by the variable that says otherwise. The first must name a role that makes databases."""


def addresses(*, env: Mapping[str, str]) -> dict[str, str]:
    """Where each server is looked for."""
    return {name: env.get(name, "").strip() or default for name, default in DEFAULTS.items()}


def absent(*, env: Mapping[str, str]) -> list[str]:
    """The addresses (host and port) at which nobody listens."""
    silent = []
    for url in addresses(env=env).values():
        parts = urlsplit(url)
        try:
            socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 0), timeout=2).close()
        except OSError:
            silent.append(f"{parts.hostname}:{parts.port}")
    return silent


@contextlib.contextmanager
def borrowed(*, env: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yields ``DATABASE_URL``, ``BROKER_URL`` and ``REDIS_URL`` of places that are ours alone while the block runs.

    :raises NotReady: a server refuses us such a place.
    """
    where = addresses(env=env)
    name = f"nexus_borrowed_{os.getpid()}"
    with contextlib.ExitStack() as stack:
        yield {
            "DATABASE_URL": stack.enter_context(_database(where["REAL_DATABASE_URL"], name)),
            "BROKER_URL": stack.enter_context(_virtual_host(where["REAL_BROKER_URL"], name)),
            "REDIS_URL": stack.enter_context(_empty_redis(where["REAL_REDIS_URL"])),
        }


@contextlib.contextmanager
def _database(url: str, name: str) -> Iterator[str]:
    try:
        connection = psycopg2.connect(url, connect_timeout=5)
        connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
        with connection.cursor() as cursor:
            cursor.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name))
            )
    except psycopg2.Error as problem:
        raise NotReady(f"PostgreSQL gives us no database (REAL_DATABASE_URL says where): {problem}") from problem
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.close()


@contextlib.contextmanager
def _virtual_host(url: str, name: str) -> Iterator[str]:
    user = urlsplit(url).username or "guest"
    _rabbitmqctl("add_vhost", name)
    try:
        _rabbitmqctl("set_permissions", "-p", name, user, ".*", ".*", ".*")
        yield urlsplit(url)._replace(path=f"/{quote(name, safe='')}").geturl()
    finally:
        _rabbitmqctl("delete_vhost", name)


def _rabbitmqctl(*words: str) -> None:
    """RabbitMQ's own tool, which works for root and for the server's user."""
    program = shutil.which("rabbitmqctl", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if program is None:
        raise NotReady("rabbitmqctl is not installed here, so RabbitMQ gives us no virtual host.")
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise NotReady(f"RabbitMQ refuses (rabbitmqctl {' '.join(words)}): {said}")


@contextlib.contextmanager
def _empty_redis(url: str) -> Iterator[str]:
    """The highest database that holds nothing but our claim; emptied again afterwards."""
    for number in range(15, 0, -1):
        ours = urlsplit(url)._replace(path=f"/{number}").geturl()
        client = redis.Redis.from_url(ours, socket_timeout=5, socket_connect_timeout=5)
        try:
            if not client.set("nexus-borrowed", os.getpid(), nx=True):
                continue
            if client.dbsize() != 1:
                client.delete("nexus-borrowed")
                continue
        except redis.RedisError as problem:
            raise NotReady(f"Redis gives us no database (REAL_REDIS_URL says where): {problem}") from problem
        try:
            yield ours
        finally:
            client.flushdb()
            client.close()
        return
    raise NotReady("Redis has no empty database for us among 1 to 15.")
