"""Forty answers that no gateway should give, to each call: never anything but "we do not know"."""

from __future__ import annotations

import gzip
import json
import socket
import zlib

import pytest

from payments.gateway import Unavailable
from tests.payments.chapa import samples
from tests.payments.chapa.calls import CALLS, MakeClient, Serve
from tests.payments.chapa.loopback import answering, json_answer, raw

HTML = b"<!doctype html><title>502 Bad Gateway</title>"
WHOLE = json.dumps(samples.verified()).encode()
BOMB = gzip.compress(b"[" + b" " * 50_000_000 + b"]", 9)
GZIP = [("Content-Encoding", "gzip")]
EMPTY_CHUNKS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)

BAD: dict[str, bytes] = {
    "html with 200": raw(200, HTML, content_type="text/html"),
    "html called json": raw(200, HTML),
    "json called html": raw(200, WHOLE, content_type="text/html"),
    "json called nothing": raw(200, WHOLE, content_type=None),
    "json called text": raw(200, WHOLE, content_type="text/plain"),
    "nothing": raw(200),
    "no content": raw(204),
    "spaces": raw(200, b"   "),
    "half of it": raw(200, WHOLE[: len(WHOLE) // 2]),
    "all but the last brace": raw(200, WHOLE[:-1]),
    "twice": raw(200, WHOLE + WHOLE),
    "in an array": raw(200, b"[" + WHOLE + b"]"),
    "an empty array": raw(200, b"[]"),
    "null": raw(200, b"null"),
    "true": raw(200, b"true"),
    "a number": raw(200, b"200"),
    "a text": raw(200, b'"success"'),
    "an empty object": raw(200, b"{}"),
    "only a status": raw(200, b'{"status": "success"}'),
    "data null": json_answer({"message": "ok", "status": "success", "data": None}),
    "data a text": json_answer({"message": "ok", "status": "success", "data": "queued"}),
    "data a number": json_answer({"message": "ok", "status": "success", "data": 7}),
    "a byte order mark": raw(200, b"\xef\xbb\xbf" + WHOLE),
    "utf-16": raw(200, WHOLE.decode().encode("utf-16")),
    "not utf-8": raw(200, WHOLE.replace(b"Bilen", b"\xff\xfe")),
    "a lone surrogate": raw(200, WHOLE.replace(b"Bilen", b"\\ud800")),
    "a nul": raw(200, WHOLE.replace(b"Bilen", b"\\u0000")),
    "a field twice": raw(200, WHOLE.replace(b'"amount": 100', b'"amount": 1, "amount": 100')),
    "nan": raw(200, WHOLE.replace(b"100", b"NaN")),
    "infinity": raw(200, WHOLE.replace(b"100", b"-Infinity")),
    "a million deep": raw(200, b"[" * 200_000),
    "huge": raw(200, b'{"message": "' + b"x" * 300_000 + b'"}'),
    "a bomb": raw(200, BOMB, headers=GZIP),
    "gzip that is none": raw(200, WHOLE, headers=GZIP),
    "gzip cut short": raw(200, gzip.compress(WHOLE)[:-12], headers=GZIP),
    "deflate in gzip in gzip": raw(
        200,
        gzip.compress(zlib.compress(b"x")),
        headers=[("Content-Encoding", "deflate, gzip, gzip, gzip, gzip, gzip, gzip")],
    ),
    "a redirect": raw(302, HTML, headers=[("Location", "http://127.0.0.1:1/")]),
    "a redirect nowhere": raw(301, b"", headers=[("Location", "http://[::")]),
    "not modified": raw(304),
    "400 in html": raw(400, HTML, content_type="text/html"),
    "400 without a sentence": json_answer({"status": "failed", "data": None}, 400),
    "400 that says success": json_answer({"message": "ok", "status": "success", "data": {}}, 400),
    "403 of some proxy": raw(403, HTML, content_type="text/html; charset=utf-8"),
    "500 in html": raw(500, HTML, content_type="text/html"),
    "500 that refuses": json_answer({"message": "Server Error", "status": "failed", "data": None}, 500),
    "500 that succeeds": json_answer(samples.verified(), 500),
    "520": raw(520, HTML, content_type="text/html"),
    "a status of 999": raw(999, WHOLE),
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "a status line that is none": b"HTTP/1.1 OK\r\n\r\n",
    "two hundred headers": raw(200, WHOLE, headers=[(f"X-{n}", "y") for n in range(200)]),
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "a chunk that is none": EMPTY_CHUNKS + b"zz\r\n\r\n",
    "no chunks": EMPTY_CHUNKS + b"0\r\n\r\n",
}


def test_there_are_at_least_forty_of_them() -> None:
    assert len(BAD) >= 40


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", BAD)
def test_a_bad_answer_means_that_we_do_not_know(serve: Serve, make_client: MakeClient, answer: str, call: str) -> None:
    def once(connection: socket.socket) -> None:
        server.read_request(connection)
        connection.sendall(BAD[answer])

    server = serve(once)
    with pytest.raises(Unavailable) as caught:
        CALLS[call](make_client(server.url))
    assert caught.value.may_have_happened
    assert len(server.requests) <= 3


def test_a_packed_answer_is_unpacked(serve: Serve, make_client: MakeClient) -> None:
    server = serve(answering(raw(200, gzip.compress(WHOLE), headers=GZIP)))
    assert make_client(server.url).verify(tx_ref="nx-1").tx_ref == "chewatatest-6669"
