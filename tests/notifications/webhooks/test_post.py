"""One POST over real sockets, to systems that answer in every way there is."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from notifications.failures import Undelivered, Verdict
from notifications.webhooks import post
from notifications.webhooks.post import Stranger
from tests.notifications import receiver
from tests.notifications.mail_server import nobody_there

BODY = '{"type":"order.paid","data":{"name":"አበበች"}}'.encode()


def send(url: str, stranger: Stranger | None = None) -> post.Answer:
    return (stranger or Stranger()).post(url=url, body=BODY, headers={"webhook-id": "msg_1"})


def at_loopback(host, port, **_):
    """The DNS says that every name is here."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


@pytest.fixture
def hurried(settings):
    """Whoever is waited for is given up after a second."""
    settings.OUTBOUND_DEADLINE_SECONDS = 1


def test_the_body_arrives_byte_for_byte_and_the_answer_is_told(system):
    system.status, system.said, system.headers = 202, "እሺ".encode(), {"Retry-After": "5"}

    assert send(system.url) == post.Answer(status=202, excerpt="እሺ", retry_after=5)

    (got,) = system.posts
    assert got.body == BODY
    assert got.headers["content-length"] == str(len(BODY))
    assert got.headers["host"] == system.url.split("/")[2]
    assert "cookie" not in got.headers
    assert "authorization" not in got.headers


@pytest.mark.parametrize("said", ["", "soon", "Fri, 31 Dec 1999 23:59:59 GMT", "-1", "٣", "9" * 40, "1.5"])
def test_a_pause_that_is_no_number_is_none(system, said):
    system.headers = {"Retry-After": said} if said.isascii() else {}

    assert send(system.url).retry_after == 0


def test_a_pause_has_a_limit(system):
    system.headers = {"Retry-After": "999999999"}

    assert send(system.url).retry_after == 86_400


def test_a_redirect_is_not_followed(system):
    system.status, system.headers = 302, {"Location": system.url}

    assert send(system.url).status == 302
    assert (len(system.posts), system.others) == (1, [])


def test_of_an_endless_answer_only_the_beginning_is_read(system):
    system.script = receiver.endless

    answer = send(system.url)

    assert answer.status == 200
    assert answer.excerpt == "x" * 500
    assert system.is_done.wait(60)
    assert not system.was_swallowed


@pytest.mark.parametrize("begins", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 "], ids=["in a header", "in the status"])
@pytest.mark.usefixtures("hurried")
def test_an_answer_that_drips_in_is_not_waited_for(system, begins):
    system.script = receiver.dripping(begins)

    with pytest.raises(Undelivered, match="answering: TimeoutError") as failed:
        send(system.url)

    assert failed.value.outage


@pytest.mark.parametrize(
    "begins",
    [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"],
    ids=["plain", "in a chunk's length"],
)
@pytest.mark.usefixtures("hurried")
def test_a_body_that_drips_in_costs_no_more_than_the_deadline_and_is_a_success(system, begins):
    system.script = receiver.dripping(begins)

    assert send(system.url).status == 200


@pytest.mark.usefixtures("hurried")
def test_silence_ends_with_the_deadline(system):
    system.script = receiver.silent

    with pytest.raises(Undelivered, match="answering: ") as failed:
        send(system.url)

    assert (failed.value.verdict, failed.value.outage) == (Verdict.TEMPORARY, True)


@pytest.mark.parametrize("script", [receiver.hanging_up, receiver.gibberish])
def test_what_is_no_answer_is_none(system, script):
    system.script = script

    with pytest.raises(Undelivered, match="answering: "):
        send(system.url)


def test_nobody_there():
    with nobody_there() as port, pytest.raises(Undelivered, match="connecting: ConnectionRefused") as failed:
        send(f"http://127.0.0.1:{port}/")

    assert failed.value.outage


def test_a_proxy_of_the_surroundings_is_not_asked(system, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert send(system.url).status == 204


# --- Where it leads ---


def test_the_address_is_looked_at_for_every_connection_whatever_it_was_when_the_endpoint_was_saved(system, settings):
    settings.OUTBOUND_PRIVATE_NETWORKS = []

    with pytest.raises(Undelivered, match=r"not sent: .* not public") as refused:
        send(system.url.replace("127.0.0.1", "erp.merchant.et"), Stranger(resolve=at_loopback))

    assert refused.value.verdict is Verdict.CONFIGURATION
    assert system.posts == []


def test_the_connection_is_made_to_the_very_address_that_was_looked_at(system):
    asked = []

    def rebinding(host, port, **_):
        """Here at first, and at the metadata service a moment later."""
        asked.append(host)
        here = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (here, port))]

    assert send(system.url.replace("127.0.0.1", "erp.merchant.et"), Stranger(resolve=rebinding)).status == 204
    assert asked == ["erp.merchant.et"], "the name is resolved once"
    assert system.posts[0].headers["host"].startswith("erp.merchant.et:")


def test_a_dead_address_is_passed_over_for_the_next(system):
    def two(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 9 if each.endswith("2") else port))
                for each in ("127.0.0.2", "127.0.0.1")]  # fmt: skip

    assert send(system.url, Stranger(resolve=two)).status == 204


# --- TLS ---


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate for erp.merchant.et, and the file by which it is trusted."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "erp.merchant.et")])
    day = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(day - dt.timedelta(days=1))
        .not_valid_after(day + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("erp.merchant.et"), x509.IPAddress(ipaddress.ip_address("127.0.0.9"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "public.pem", folder / "private.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


@pytest.fixture
def secure(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority)
    with receiver.listening(tls=context) as listening:
        yield listening


def test_over_tls_the_name_of_the_certificate_is_the_urls(secure, authority):
    stranger = Stranger(resolve=at_loopback, trust=str(authority[0]))

    assert send(secure.url.replace("127.0.0.1", "erp.merchant.et"), stranger).status == 204
    with pytest.raises(Undelivered, match="CertVerif") as failed:
        send(secure.url.replace("127.0.0.1", "other.merchant.et"), stranger)
    assert failed.value.verdict is Verdict.CONFIGURATION


def test_a_certificate_that_nobody_vouches_for_is_not_taken(secure):
    with pytest.raises(Undelivered, match="CertVerif"):
        send(secure.url.replace("127.0.0.1", "erp.merchant.et"), Stranger(resolve=at_loopback))

    assert secure.posts == []


@pytest.mark.usefixtures("hurried")
def test_a_handshake_that_never_ends_is_not_waited_for(authority):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"https://erp.merchant.et:{mute.getsockname()[1]}/"
        with pytest.raises(Undelivered, match="connecting: "):
            send(url, Stranger(resolve=at_loopback, trust=str(authority[0])))
