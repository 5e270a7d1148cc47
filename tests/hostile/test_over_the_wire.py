"""The real server, spoken to byte by byte: it answers or hangs up, and is there for the next request."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import uuid

import pytest
from django.conf import settings

from orders.models import Order
from payments.chapa import signature
from payments.models import WebhookEvent
from tests.hostile import addresses, routes, wire
from tests.hostile import scene as scenes
from tests.stack.eventually import eventually

pytestmark = pytest.mark.django_db(transaction=True)

CODES_OF_THE_SERVER = {400, 408, 411, 413, 414, 417, 431, 501, 505}
"""What the server says by itself, with no body, where bytes are no request that it could hand to us."""
LIVE = b"GET /healthz/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

NO_REQUESTS = {
    "nonsense": b"nonsense\r\n\r\n",
    "line breaks": b"\r\n" * 50,
    "bytes": bytes(range(256)) * 4,
    "NUL": b"\x00" * 1000 + b"\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a version of the future": b"GET /healthz/live HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
    "a version of two lines": b"GET /healthz/live HTTP/1.1\nHost: 127.0.0.1\n\n",
    "the greeting of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "the greeting of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
    "the greeting of SSH": b"SSH-2.0-OpenSSH_9.0\r\n",
    "a path with a space": b"GET /a b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a path with bytes": b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a star": b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "another host's address": b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a method of bytes": b"G\xffT / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a long method": b"X" * 70_000 + b" / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a long path": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "a header of a megabyte": b"GET /healthz/live HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"a" * 2**20 + b"\r\n\r\n",
    "ten thousand headers": LIVE[:-2] + b"".join(b"X-%d: a\r\n" % n for n in range(10_000)) + b"\r\n",
    "no host": b"GET /api/v1/products/ HTTP/1.1\r\n\r\n",
    "two hosts": LIVE[:-2] + b"Host: evil.example\r\n\r\n",
    "a header without a colon": LIVE[:-2] + b"nonsense\r\n\r\n",
    "a header with a space before its colon": LIVE[:-2] + b"X-A : b\r\n\r\n",
    "a header on two lines": LIVE[:-2] + b"X-A: b\r\n c\r\n\r\n",
    "a header with NUL": LIVE[:-2] + b"X-A: a\x00b\r\n\r\n",
    "a header with a bare return": LIVE[:-2] + b"X-A: a\rX-B: b\r\n\r\n",
    "a header without a name": LIVE[:-2] + b": b\r\n\r\n",
    "a length of letters": LIVE[:-2] + b"Content-Length: abc\r\n\r\n",
    "an order with a length of letters": b"POST /api/v1/orders/ HTTP/1.1\r\nHost: a\r\nContent-Length: :\r\n\r\n{}",
    "a negative length": LIVE[:-2] + b"Content-Length: -1\r\n\r\n",
    "a length with a sign": LIVE[:-2] + b"Content-Length: +1\r\n\r\na",
    "a length in hexadecimal": LIVE[:-2] + b"Content-Length: 0x1\r\n\r\na",
    "a length beyond numbers": LIVE[:-2] + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "two lengths": LIVE[:-2] + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "an unknown transfer encoding": LIVE[:-2] + b"Transfer-Encoding: nonsense\r\n\r\n",
    "a chunk of no size": LIVE[:-2] + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a chunk larger than numbers": LIVE[:-2] + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "an upgrade": LIVE[:-2] + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: a\r\n\r\n",
    "an upgrade to HTTP/2": LIVE[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n",
}


@pytest.fixture
def shop(server, scene):
    """The server, which must answer after the test as before, and have said nothing of a bug."""
    spoken = len(server.said())
    yield server
    assert server.ask("GET", "/api/v1/products/").status == 200
    assert server.process.poll() is None
    new = server.said()[spoken:]
    assert "Traceback" not in new, new
    assert "panicked" not in new, new
    for line in new.splitlines():
        assert line.startswith("[") or json.loads(line)["event"], line


def is_ours(answer) -> bool:
    """Does the answer come from the application, and if it refuses, as a problem document?"""
    assert answer.headers.get("x-request-id"), answer
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json", answer
        assert answer.json()["status"] == answer.status
    return True


def is_proper(answer) -> bool:
    """An answer of the application, or one that the server gives by itself: without a body, without HTML."""
    if answer.status in CODES_OF_THE_SERVER and not answer.body:
        return True
    return answer.status < 500 and is_ours(answer)


def order_bytes(*, key: str = "", close: bool = True, **headers: str) -> bytes:
    body = json.dumps(routes.order_body()).encode()
    given = {"Idempotency-Key": key or uuid.uuid4().hex} | headers
    return wire.request("POST", "/api/v1/orders/", body=body, headers=given, close=close)


def test_what_is_no_request_is_refused_or_hung_up_on(shop):
    before = scenes.contents()

    improper = {}
    for name, raw in NO_REQUESTS.items():
        answers = until_the_end(shop.port, raw)
        if not all(is_proper(answer) for answer in answers):
            improper[name] = answers

    assert improper == {}
    assert scenes.changed(before, scenes.contents()) == set()


def until_the_end(port: int, raw: bytes) -> list[wire.Answer]:
    """What comes back for bytes after which nothing more will come. What never becomes a request is not waited for."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), wire.PATIENCE_SECONDS) as connection:
        connection.settimeout(wire.PATIENCE_SECONDS)
        # The server may hang up at any byte.
        with contextlib.suppress(ConnectionError):
            connection.sendall(raw)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(65536):
                said += chunk
    return wire.parse(said)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:abc", "127.0.0.1@evil.example", "..", "a" * 300])
def test_a_foreign_host_is_a_problem_document(shop, host):
    answer = shop.ask("GET", "/api/v1/products/", headers={"Host": host})

    assert is_ours(answer)
    assert (answer.status, answer.json()["code"]) == (400, "bad_request")


def test_odd_headers_are_harmless_over_the_wire_too(shop):
    improper = {}
    for name, headers in addresses.HEADERS.items():
        answers = wire.exchange(shop.port, order_bytes(**headers))
        if not all(is_proper(answer) and "x-injected" not in answer.headers for answer in answers):
            improper[name] = answers

    assert improper == {}


def test_a_body_that_never_comes_holds_nobody_up(shop):
    before = Order.objects.count()
    whole = order_bytes()

    held = [socket.create_connection(("127.0.0.1", shop.port)) for _ in range(3)]
    try:
        for connection in held:
            connection.sendall(whole[:-10])
        assert shop.ask("GET", "/api/v1/products/").status == 200
    finally:
        for connection in held:
            connection.close()

    assert Order.objects.count() == before


def test_a_body_that_comes_slowly_is_read_to_its_end(shop):
    whole = order_bytes()

    [answer] = wire.exchange(shop.port, *(whole[at : at + 16] for at in range(0, len(whole), 16)))

    assert answer.status == 201


def test_a_body_cut_short_places_nothing(shop):
    before = Order.objects.count()
    whole = order_bytes()

    for missing in (1, 10, 100):
        answers = until_the_end(shop.port, whole[:-missing])
        assert all(is_proper(answer) and answer.status != 201 for answer in answers), answers

    assert Order.objects.count() == before


def test_a_length_that_promises_too_little_reads_no_further(shop):
    before = Order.objects.count()

    answers = wire.exchange(shop.port, order_bytes(**{"Content-Length": "10"}), answers=2)

    assert is_ours(answers[0])
    assert (answers[0].status, answers[0].json()["code"]) == (400, "malformed_body")
    assert all(is_proper(answer) for answer in answers)
    assert Order.objects.count() == before


def test_two_ways_to_say_the_length_never_make_two_requests(shop):
    """Smuggling: what one server takes for a body, the next would take for a request."""
    smuggled = order_bytes(key="smuggled")
    before = Order.objects.count()
    for hidden in (
        # By length one request with a body; by chunks one without a body, and another.
        wire.request("POST", "/api/v1/orders/quote/", body=b"0\r\n\r\n" + smuggled, close=False,
                     headers={"Transfer-Encoding": "chunked"}),
        # By chunks one request; by length another begins inside it.
        wire.request("POST", "/api/v1/orders/quote/", close=False,
                     body=b"%x\r\n" % len(smuggled) + smuggled + b"\r\n0\r\n\r\n",
                     headers={"Transfer-Encoding": "chunked", "Content-Length": "4"}),
        wire.request("POST", "/api/v1/orders/quote/", body=b"0\r\n\r\n" + smuggled, close=False,
                     headers={"Transfer-Encoding": "xchunked"}),
        wire.request("POST", "/api/v1/orders/quote/", body=b"0\r\n\r\n" + smuggled, close=False,
                     headers={"Transfer-Encoding ": "chunked"}),
    ):  # fmt: skip
        answers = wire.exchange(shop.port, hidden, answers=2)

        assert all(is_proper(answer) for answer in answers), answers
        assert all(answer.status != 201 for answer in answers), answers
    assert Order.objects.count() == before


def test_requests_sent_together_are_answered_in_their_order(shop):
    keys = [uuid.uuid4().hex for _ in range(5)]
    ids = [f"pipelined-{number}" for number in range(5)]

    answers = wire.exchange(
        shop.port,
        b"".join(
            order_bytes(key=key, close=key is keys[-1], **{"X-Request-ID": given})
            for key, given in zip(keys, ids, strict=True)
        ),
        answers=5,
    )

    assert [(answer.status, answer.headers["x-request-id"]) for answer in answers] == [(201, each) for each in ids]


@pytest.mark.parametrize("at", [5, 40, 200, -1, None])
def test_whoever_hangs_up_early_leaves_a_whole_order_or_none(shop, at):
    before = set(Order.objects.values_list("number", flat=True))
    key, request_id = uuid.uuid4().hex, uuid.uuid4().hex
    whole = order_bytes(key=key, **{"X-Request-ID": request_id})
    with socket.create_connection(("127.0.0.1", shop.port)) as connection:
        connection.sendall(whole[:at])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    # Whatever became of it, the same key gives one order.
    again = eventually(
        lambda: next((each for each in wire.exchange(shop.port, order_bytes(key=key)) if each.status == 201), None),
        what="the repeat is answered",
    )
    assert set(Order.objects.values_list("number", flat=True)) - before == {again.json()["number"]}


def test_a_delivery_in_chunks_is_kept_or_its_length_is_asked_for(shop):
    """A sender that streams names no length. What must not be is that a genuine delivery is refused as forged."""
    body = json.dumps({"event": "charge.success", "tx_ref": "nx-1"}).encode()
    proof = signature.sign(body=body, secret=settings.CHAPA_WEBHOOK_SECRET)
    head = (
        b"POST /api/v1/payments/chapa/webhook/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nX-Chapa-Signature: " + proof.encode()
    )

    [answer] = wire.exchange(shop.port, head + b"\r\n\r\n" + b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")

    assert answer.status in {200, 411}, answer
    assert WebhookEvent.objects.count() == (answer.status == 200)


def test_a_charset_that_is_no_name_is_no_bug(server):
    """RFC 2231 lets a parameter hold any character, and Python's codecs refuse one with NUL by another exception."""
    [answer] = wire.exchange(server.port, order_bytes(**{"Content-Type": "application/json; charset*=utf-8''%00"}))

    assert is_proper(answer), answer


def test_nothing_that_was_sent_stands_in_the_servers_output(shop):
    canary = "canary-7f3a"
    spoken = len(shop.said())
    body = json.dumps(routes.order_body() | {"email": f"{canary}@gmail.com", "first_name": f"{canary}-name"}).encode()
    secret = {
        "Idempotency-Key": f"{canary}-key", "X-Order-Token": f"{canary}-token", "Cookie": f"sessionid={canary}",
        "X-Chapa-Signature": f"{canary}-proof",
    }  # fmt: skip
    for path in (f"/api/v1/orders/?token={canary}", "/api/v1/payments/chapa/webhook/", "/api/v1/auth/token/"):
        shop.ask("POST", path, body=body, headers=secret)
        shop.ask("GET", path, headers=secret | {"Authorization": f"Bearer {canary}"})

    # A request's line is written when its answer has gone out.
    def logged() -> str:
        new = shop.said()[spoken:]
        return new if new.count("request_finished") >= 6 else ""

    assert canary not in eventually(logged, what="six requests are logged")
