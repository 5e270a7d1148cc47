"""The wrapper that every durable transaction goes through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from core.crashpoints import crashpoint


@contextmanager
def durable(name: str) -> Iterator[None]:
    """A transaction that is committed for good when the block ends. `name` says which, in words such as `order.place`.

    :raises RuntimeError: inside another transaction, whose rollback would undo what we told the world.
    """
    with transaction.atomic(durable=True):
        yield
        crashpoint(f"{name}.before_commit")
    crashpoint(f"{name}.after_commit")


def assert_none_open() -> None:
    """Nothing is open while we wait for the world: a lock held during a network call stops everybody else.

    :raises RuntimeError: inside a transaction.
    """
    if not connection.in_atomic_block:
        return
    innermost: Any = connection.atomic_blocks[-1]
    if not innermost._from_testcase:  # noqa: SLF001 - as `durable` does
        raise RuntimeError("an outside call must not be made inside a transaction")
