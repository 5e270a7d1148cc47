"""Lets asynchronous code use Django's ORM: in a few threads, each of which keeps its own connection."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import close_old_connections, connections

P = ParamSpec("P")
R = TypeVar("R")


class Database:
    """At most `threads` questions at once; the others wait for their turn."""

    def __init__(self, *, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="live-database")

    async def run(self, question: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The answer of a function that uses the ORM."""
        context = contextvars.copy_context()
        call = functools.partial(context.run, _asked, functools.partial(question, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._pool, call)

    def close(self) -> None:
        """Close the connections, each in its own thread, and let the threads go."""
        for _ in range(self._threads):
            self._pool.submit(connections.close_all)
        self._pool.shutdown(wait=True)


def _asked(question: Callable[[], R]) -> R:
    close_old_connections()  # what is broken or old goes, as before a request
    return question()
