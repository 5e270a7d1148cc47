"""TLS, and hosts with several addresses."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from payments.chapa.connections import Exchange, PunctualAdapter, under
from payments.chapa.deadline import Clock, Deadline
from payments.gateway import Unavailable
from tests.payments.chapa import samples
from tests.payments.chapa.calls import CALLS, MakeClient, Serve
from tests.payments.chapa.loopback import ObedientClock, answering, dripping, json_answer, silent


@pytest.fixture
def over() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def failure(call: str, client: object) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        CALLS[call](client)  # type: ignore[arg-type]
    return caught.value


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key in one file, which nobody vouches for."""
    together = tmp_path_factory.mktemp("tls") / "certificate.pem"
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(together),
            "-out", str(together) + ".part",
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    together.write_text(together.read_text() + Path(f"{together}.part").read_text())
    return together


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_that_nobody_vouches_for_gets_nothing_to_read(
    serve: Serve, make_client: MakeClient, tls: ssl.SSLContext
) -> None:
    server = serve(answering(json_answer(samples.initialized())), tls=tls)
    unavailable = failure("open_checkout", make_client(server.url))
    assert (unavailable.reason, unavailable.may_have_happened) == ("tls", False)
    assert server.requests == []
    assert server.connections == 1


def test_a_handshake_that_never_ends_is_given_up_with_nothing_sent(
    serve: Serve, make_client: MakeClient, over: threading.Event
) -> None:
    server = serve(silent(over))
    client = make_client(server.url.replace("http:", "https:"), connect_timeout=0.2, total_timeout=0.3)
    unavailable = failure("open_checkout", client)
    assert (unavailable.reason, unavailable.may_have_happened) == ("connect", False)


def over_tls(
    url: str, certificate: Path, *, seconds: float, requests_: int = 1, clock: Clock | None = None
) -> list[bytes]:
    """Ask `url` with our connections, trusting `certificate`, and read each answer to its end."""
    adapter = PunctualAdapter(connections=1)
    exchange = Exchange(
        deadline=Deadline(seconds=seconds, clock=clock or Clock()), connect_timeout=seconds, read_timeout=seconds
    )
    try:
        with under(exchange):
            return [
                adapter.send(requests.Request("GET", url).prepare(), timeout=(60, 60), verify=str(certificate)).content
                for _ in range(requests_)
            ]
    finally:
        assert exchange.connecting
        assert exchange.sent
        adapter.close()


def test_a_certificate_that_somebody_vouches_for_is_read_and_its_connection_kept(
    serve: Serve, certificate: Path, tls: ssl.SSLContext
) -> None:
    body = json_answer(samples.banked())
    server = serve(answering(body), tls=tls)
    assert over_tls(server.url, certificate, seconds=60, requests_=3) == [body.partition(b"\r\n\r\n")[2]] * 3
    assert server.connections == 1


def test_a_drip_over_tls_ends_at_the_deadline_too(
    serve: Serve, certificate: Path, tls: ssl.SSLContext, over: threading.Event, clock: ObedientClock
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    server = serve(dripping(head, b" ", over, clock), tls=tls)
    with pytest.raises((requests.RequestException, TimeoutError)):
        over_tls(server.url, certificate, seconds=60, clock=Clock(monotonic=clock.monotonic, sleep=clock.sleep))


def test_a_host_with_several_addresses_is_reached_at_the_one_that_answers(
    serve: Serve, make_client: MakeClient
) -> None:
    server = serve(answering(json_answer(samples.banked())))
    assert make_client(server.url.replace("127.0.0.1", "localhost")).banks()
