from __future__ import annotations

import socket
import threading

import pytest

from notifications.webhooks import addresses
from notifications.webhooks.addresses import UrlRefused


@pytest.fixture(autouse=True)
def _as_in_production(settings):
    settings.OUTBOUND_PORTS = [443]
    settings.OUTBOUND_PRIVATE_NETWORKS = []
    settings.OUTBOUND_ALLOW_HTTP = False


def dns(*found: str):
    """A resolver that knows these addresses, whatever it is asked."""

    def resolve(host, port, **_):
        if not found:
            raise socket.gaierror("no such name")
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in found
        ]

    return resolve


PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "2002:808:808::1"]
NOT_PUBLIC = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "169.254.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "203.0.113.7", "224.0.0.1",
    "239.255.255.250", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
    "64:ff9b:1::a00:1", "3fff::1", "5f00::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",  # IPv4 in IPv6's clothes
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::", "2001:0:7f00:1::",  # by a gateway
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_spoken_with(address):
    assert addresses.may_be_spoken_with(address)
    addresses.check(url="https://erp.merchant.et/hook", resolve=dns(address))


@pytest.mark.parametrize("address", [*NOT_PUBLIC, "no address"])
def test_no_other_is(address):
    assert not addresses.may_be_spoken_with(address)
    with pytest.raises(UrlRefused, match="not public"):
        addresses.check(url="https://erp.merchant.et/hook", resolve=dns(address))


def test_one_private_address_among_public_ones_is_enough():
    with pytest.raises(UrlRefused, match="not public"):
        addresses.check(url="https://erp.merchant.et/hook", resolve=dns("93.184.216.34", "127.0.0.1"))


def test_what_is_refused_does_not_tell_the_address():
    with pytest.raises(UrlRefused) as refused:
        addresses.check(url="https://erp.merchant.et/hook", resolve=dns("10.1.2.3"))

    assert "10.1" not in refused.value.detail


def test_a_network_of_ones_own_may_be_named(settings):
    settings.OUTBOUND_PRIVATE_NETWORKS = ["10.1.2.0/24", "fd12::/16"]

    for address in ("10.1.2.9", "::ffff:10.1.2.9", "fd12::9"):
        assert addresses.may_be_spoken_with(address)
    for address in ("10.1.3.9", "127.0.0.1", "fd13::9", "169.254.169.254"):
        assert not addresses.may_be_spoken_with(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://erp.merchant.et/", "ftp://erp.merchant.et/", "erp.merchant.et", "//erp.merchant.et/", "", "https://",
        "https:///hook", "https://user@erp.merchant.et/", "https://user:word@erp.merchant.et/",
        "https://public.et@127.0.0.1/", "https://erp.merchant.et/#there", "https://erp.merchant.et#", "javascript:1",
        "https://erp.merchant.et:80/", "https://erp.merchant.et:22/", "https://erp.merchant.et:0/",
        "https://erp.merchant.et:99999/", "https://erp.merchant.et:x/", "https://erp.merchant.et /",
        "https://erp.merchant.et/\r\nX-Evil: 1", "https://erp.merchant.et\\@127.0.0.1/", "https://erp.merchant.et/\x00",
        "https://ርፕ.et/", "https://[::1/", "https://[fe80::1%25eth0]/", "https://erp.merchant.et/" + "a" * 500,
        "file:///etc/passwd", "gopher://erp.merchant.et/", "https://erp%2emerchant.et/", "https://a*b.et/",
    ],
)  # fmt: skip
def test_a_url_that_is_none_or_leads_elsewhere_is_refused_before_anybody_is_asked(url):
    def nobody(*_, **__):
        raise AssertionError("the DNS was asked")

    with pytest.raises(UrlRefused):
        addresses.check(url=url, resolve=nobody)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:7f00:1]", "[::1]"])
def test_an_odd_way_to_write_loopback_leads_nowhere(host):
    with pytest.raises(UrlRefused, match=r"not public|no address"):
        addresses.check(url=f"https://{host}/hook")


def test_a_name_without_an_address_is_refused():
    with pytest.raises(UrlRefused, match="has no address"):
        addresses.check(url="https://erp.merchant.et/hook", resolve=dns())


def test_a_dns_that_does_not_answer_is_not_waited_for():
    over = threading.Event()
    target = addresses.parse("https://erp.merchant.et/hook")
    try:
        with pytest.raises(UrlRefused, match="has no address"):
            addresses.looked_up(target=target, seconds=0.05, resolve=lambda *_, **__: over.wait(60))
    finally:
        over.set()


@pytest.mark.parametrize(
    ("url", "taken_apart"),
    [
        ("https://erp.merchant.et", (True, "erp.merchant.et", 443, "/")),
        ("https://ERP.merchant.et:443/a/b?c=d&e", (True, "erp.merchant.et", 443, "/a/b?c=d&e")),
        ("https://[2606:4700:4700::1111]/x", (True, "2606:4700:4700::1111", 443, "/x")),
    ],
)
def test_a_url_is_taken_apart(url, taken_apart):
    target = addresses.parse(url)

    assert (target.is_tls, target.host, target.port, target.path) == taken_apart


def test_http_and_other_ports_are_for_those_who_say_so(settings):
    settings.OUTBOUND_ALLOW_HTTP = True
    settings.OUTBOUND_PORTS = [8443, 80]

    assert addresses.parse("http://erp.merchant.et/").port == 80
    assert addresses.parse("https://erp.merchant.et:8443/").port == 8443
    with pytest.raises(UrlRefused, match="Port 443"):
        addresses.parse("https://erp.merchant.et/")
