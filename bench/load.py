"""A small load: so many connections, so many seconds, one kind of request. On loopback only."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Call:
    path: str
    body: bytes
    headers: dict[str, str]
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Result:
    """`per_second` of answers with the expected status, and the 50th and 99th percentile in milliseconds."""

    per_second: float
    p50: float
    p99: float
    failed: int


def run(*, port: int, seconds: float, connections: int, expect: int, make: Callable[[], Call]) -> Result:
    """Call from `connections` threads for `seconds`; each keeps its connection."""
    durations: list[float] = []
    failed = 0
    lock = threading.Lock()
    ends = time.perf_counter() + seconds

    def one() -> None:
        nonlocal failed
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        mine: list[float] = []
        bad = 0
        while time.perf_counter() < ends:
            call = make()
            begun = time.perf_counter()
            connection.request(call.method, call.path, call.body, call.headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status == expect:
                mine.append(time.perf_counter() - begun)
            else:
                bad += 1
        connection.close()
        with lock:
            durations.extend(mine)
            failed += bad

    threads = [threading.Thread(target=one) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    durations.sort()
    if not durations:
        return Result(0.0, 0.0, 0.0, failed)
    return Result(
        per_second=len(durations) / seconds,
        p50=durations[len(durations) // 2] * 1000,
        p99=durations[int(len(durations) * 0.99)] * 1000,
        failed=failed,
    )
