"""The network at its worst, over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from payments.chapa.connections import LONGEST_IDLE
from payments.chapa.deadline import Clock
from payments.chapa.resilience import Resilience
from payments.gateway import Unavailable, Verdict
from tests.payments.chapa import samples
from tests.payments.chapa.calls import CALLS, REPEATABLE, SENT_ONCE, MakeClient, Serve
from tests.payments.chapa.loopback import (
    ObedientClock,
    answering,
    dripping,
    json_answer,
    nobody,
    raw,
    reset,
    resetting,
    silent,
)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set when the test is over, so that servers that would go on for ever stop."""
    event = threading.Event()
    yield event
    event.set()


def resilience(clock: ObedientClock) -> Resilience:
    return Resilience(clock=Clock(monotonic=clock.monotonic, sleep=clock.sleep))


def failure(call: str, client: object) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        CALLS[call](client)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize("call", ["open_checkout", "verify"])
@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD, b" "),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["status line", "a header", "headers", "continue", "body", "chunks"],
)
def test_a_server_that_drips_is_left_at_the_deadline(
    *,
    serve: Serve,
    make_client: MakeClient,
    over: threading.Event,
    clock: ObedientClock,
    call: str,
    head: bytes,
    drop: bytes,
) -> None:
    server = serve(dripping(head, drop, over, clock))
    # Without a deadline over everything this would never come back at all.
    client = make_client(server.url, shared=resilience(clock), total_timeout=60.0, read_timeout=50.0)
    assert failure(call, client).may_have_happened
    assert server.connections == 1


def test_silence_in_the_middle_is_not_waited_for_beyond_the_deadline(
    serve: Serve, make_client: MakeClient, over: threading.Event, clock: ObedientClock
) -> None:
    def silent_in_the_middle(connection: socket.socket) -> None:
        server.read_request(connection)
        clock.pass_(59.5)
        connection.sendall(HEAD)
        over.wait(60)

    server = serve(silent_in_the_middle)
    # What is left after the head is half a second. Whoever goes by the read time-out alone sees the server hang up.
    client = make_client(server.url, shared=resilience(clock), total_timeout=60.0, read_timeout=290.0)
    assert failure("verify", client).reason == "timeout"


def test_nothing_more_is_read_once_the_deadline_has_passed(
    serve: Serve, make_client: MakeClient, over: threading.Event, clock: ObedientClock
) -> None:
    def late(connection: socket.socket) -> None:
        server.read_request(connection)
        clock.pass_(60)
        # More than one read takes in, so that there is a second one, and it would find the rest waiting.
        connection.sendall(json_answer(samples.initialized(), headers=[("X-Long", "x" * 20_000)]))
        over.wait(300)

    server = serve(late)
    client = make_client(server.url, shared=resilience(clock), read_timeout=50.0, total_timeout=60.0)
    unavailable = failure("open_checkout", client)
    assert (unavailable.reason, unavailable.may_have_happened) == ("timeout", True)


@pytest.mark.parametrize("call", CALLS)
def test_silence_after_the_request_may_have_done_what_was_asked(
    serve: Serve, make_client: MakeClient, over: threading.Event, call: str
) -> None:
    server = serve(silent(over))
    unavailable = failure(call, make_client(server.url, total_timeout=40.0, read_timeout=0.1))
    assert (unavailable.reason, unavailable.may_have_happened) == ("timeout", True)
    assert server.connections_in_all() == (1 if call in SENT_ONCE else 3)


@pytest.mark.parametrize("call", CALLS)
def test_where_nobody_listens_nothing_happened_and_every_call_is_tried_again(
    make_client: MakeClient, call: str
) -> None:
    attempts: list[int] = []
    with nobody() as url:
        unavailable = failure(call, make_client(url, before_call=lambda: attempts.append(1)))
    assert (unavailable.reason, unavailable.may_have_happened) == ("connect", False)
    assert len(attempts) == 3


def test_a_name_that_does_not_exist_is_never_sent_anything(make_client: MakeClient) -> None:
    unavailable = failure("open_checkout", make_client("https://nowhere.invalid/v1"))
    assert (unavailable.reason, unavailable.may_have_happened) == ("connect", False)


def test_a_connection_that_nobody_accepts_is_given_up(make_client: MakeClient, serve: Serve) -> None:
    # A full backlog drops further connections, so that connecting takes for ever.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        client = make_client(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", total_timeout=0.6, connect_timeout=0.2)
        unavailable = failure("open_checkout", client)
        for one in crowd:
            one.close()
    assert (unavailable.reason, unavailable.may_have_happened) == ("connect", False)


@pytest.mark.parametrize("call", SENT_ONCE)
def test_what_must_not_happen_twice_is_not_sent_again_after_a_reset(
    serve: Serve, make_client: MakeClient, call: str
) -> None:
    server = serve(resetting(), answering(json_answer(samples.SAMPLES[call]())))
    unavailable = failure(call, make_client(server.url))
    assert (unavailable.reason, unavailable.may_have_happened) == ("reset", True)
    assert server.connections == 1


@pytest.mark.parametrize("call", REPEATABLE)
def test_a_question_is_asked_again_after_a_reset(serve: Serve, make_client: MakeClient, call: str) -> None:
    server = serve(resetting(), answering(json_answer(samples.SAMPLES[call]())))
    assert CALLS[call](make_client(server.url))
    assert server.connections == 2


@pytest.mark.parametrize(("call", "connections"), [("verify", 2), ("open_checkout", 1)])
def test_a_kept_connection_that_is_reset_on_reuse_is_only_replaced_for_a_question(
    serve: Serve, make_client: MakeClient, call: str, connections: int
) -> None:
    def once_then_reset(connection: socket.socket) -> None:
        answering_once(connection)
        server.read_request(connection)
        reset(connection)

    def answering_once(connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(json_answer(samples.banked()))

    server = serve(once_then_reset, answering(json_answer(samples.SAMPLES[call]())))
    client = make_client(server.url)
    client.banks()
    if call == "verify":
        assert client.verify(tx_ref="nx-1").verdict is Verdict.SUCCESS
    else:
        unavailable = failure(call, client)
        assert (unavailable.reason, unavailable.may_have_happened) == ("reset", True)
    assert server.connections == connections
    assert len(server.requests) == 2


@pytest.mark.parametrize("call", CALLS)
def test_a_kept_connection_that_was_closed_is_noticed_before_anything_is_sent(
    serve: Serve, make_client: MakeClient, call: str
) -> None:
    closed = threading.Event()

    def once_then_close(connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(json_answer(samples.banked()))
        connection.close()
        closed.set()

    server = serve(once_then_close, answering(json_answer(samples.SAMPLES[call]())))
    client = make_client(server.url)
    client.banks()
    assert closed.wait(60)
    assert CALLS[call](client)
    assert server.connections == 2


def test_connections_are_kept_and_used_again(serve: Serve, make_client: MakeClient) -> None:
    server = serve(answering(json_answer(samples.banked())))
    client = make_client(server.url)
    for _ in range(5):
        client.banks()
    assert server.connections == 1


def test_two_clients_of_one_process_share_their_connections(serve: Serve, make_client: MakeClient) -> None:
    server = serve(answering(json_answer(samples.banked())))
    shared = Resilience()
    for _ in range(2):
        make_client(server.url, shared=shared, total_timeout=15).banks()
        make_client(server.url, shared=shared, total_timeout=40).banks()
    assert server.connections == 1


def test_a_connection_that_was_idle_for_long_is_not_trusted(serve: Serve, make_client: MakeClient) -> None:
    server = serve(answering(json_answer(samples.banked())))
    shared = Resilience()
    client = make_client(server.url, shared=shared)
    client.banks()
    pools = shared.session.get_adapter(server.url).poolmanager.pools  # type: ignore[attr-defined]
    kept = [connection for key in pools.keys() for connection in pools[key].pool.queue if connection]  # noqa: SIM118
    assert len(kept) == 1
    kept[0]._last_used -= LONGEST_IDLE
    client.banks()
    assert server.connections == 2


@pytest.mark.parametrize("call", ["open_checkout", "verify"])
def test_an_answer_cut_short_is_no_answer(serve: Serve, make_client: MakeClient, call: str) -> None:
    whole = json_answer(samples.SAMPLES[call]())

    def cut(connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(whole[:-5])

    server = serve(cut)
    unavailable = failure(call, make_client(server.url))
    assert (unavailable.reason, unavailable.may_have_happened) == ("truncated", True)
    assert len(server.requests) == (3 if call == "verify" else 1)


def test_a_redirect_is_neither_followed_nor_read(serve: Serve, make_client: MakeClient) -> None:
    elsewhere = serve(answering(json_answer(samples.verified())))
    sent: list[int] = []

    def endless(connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(raw(302, b"", headers=[("Location", elsewhere.url)], length=10**9))
        while True:
            sent.append(connection.send(b" " * 65536))

    server = serve(endless)
    unavailable = failure("verify", make_client(server.url))
    assert (unavailable.reason, unavailable.may_have_happened) == ("unreadable", True)
    assert elsewhere.connections == 0
    # What the buffers of the two sockets hold, far from the gigabyte that was announced.
    assert sum(sent) < 50_000_000


def test_a_huge_answer_is_not_swallowed(serve: Serve, make_client: MakeClient) -> None:
    sent: list[int] = []

    def endless(connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(HEAD.replace(b"100000", b"1000000000"))
        while True:
            sent.append(connection.send(b" " * 65536))

    server = serve(endless)
    assert failure("verify", make_client(server.url)).reason == "unreadable"
    assert sum(sent) < 50_000_000


@pytest.mark.parametrize("call", CALLS)
def test_a_question_never_carries_a_body(serve: Serve, make_client: MakeClient, call: str) -> None:
    seen: list[bytes] = []
    server = serve(answering(json_answer(samples.SAMPLES[call]()), seen=seen))
    CALLS[call](make_client(server.url))
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert (body != b"") == (call in SENT_ONCE)
    if head.startswith(b"GET"):
        assert b"content-length" not in head.lower()
        assert b"content-type" not in head.lower()
    assert b"cookie" not in head.lower()


def test_nothing_of_the_surroundings_is_used(
    serve: Serve, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[bytes] = []
    server = serve(
        answering(raw(200, b'{"message": "x", "data": []}', headers=[("Set-Cookie", "a=b; Path=/")]), seen=seen)
    )
    proxy = serve(answering(json_answer(samples.banked())))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    for name, value in {
        "HTTP_PROXY": proxy.url,
        "http_proxy": proxy.url,
        "ALL_PROXY": proxy.url,
        "NO_PROXY": "",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    client = make_client(server.url)
    client.banks()
    client.banks()
    assert proxy.connections == 0
    assert all(b"Authorization: Bearer CHASECK_TEST-" in request and b"ookie" not in request for request in seen)


def test_the_pool_is_as_large_as_the_bulkhead() -> None:
    shared = Resilience(concurrent_calls=3, clock=Clock())
    assert shared.bulkhead.places == 3
    assert shared.session.get_adapter("https://api.chapa.co")._pool_maxsize == 3  # type: ignore[attr-defined]
    shared.close()
