from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.chapa.checkout_url import is_allowed

HOSTS = frozenset({"checkout.chapa.co", "pay.chapa.et:8443", "127.0.0.1:8001", "localhost:8001", "[::1]:8001"})


@pytest.mark.parametrize(
    "url",
    [
        "https://checkout.chapa.co/checkout/payment/V38JyhpTygC9Qim",
        "https://checkout.chapa.co:443/checkout/payment/V38",
        "HTTPS://Checkout.Chapa.Co/x",
        "https://pay.chapa.et:8443/x",
        "http://127.0.0.1:8001/checkout/payment/x",
        "https://127.0.0.1:8001/checkout/payment/x",
        "http://localhost:8001/x?y=1#z",
        "http://[::1]:8001/x",
    ],
)
def test_the_pages_of_the_list_are_allowed(url: str) -> None:
    assert is_allowed(url, hosts=HOSTS)


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        7,
        [],
        {},
        b"https://checkout.chapa.co/x",
        "javascript:alert(1)",
        "data:text/html,x",
        "//checkout.chapa.co/x",
        "/checkout",
        "checkout.chapa.co/x",
        "https:",
        "https://",
        "https:checkout.chapa.co/x",
        "https:/checkout.chapa.co/x",
        "https:///checkout.chapa.co/x",
        "http://checkout.chapa.co/x",
        "ftp://checkout.chapa.co/x",
        "http://checkout.chapa.co:443/x",
        "https://checkout.chapa.co.evil.et/x",
        "https://evil.et/checkout.chapa.co",
        "https://sub.checkout.chapa.co/x",
        "https://checkout.chapa.co./x",
        "https://checkout.chapa.co:8443/x",
        "https://checkout.chapa.co:/x",
        "https://checkout.chapa.co:80/x",
        "https://checkout.chapa.co:99999/x",
        "https://checkout.chapa.co:4a3/x",
        "https://pay.chapa.et/x",
        "https://pay.chapa.et:443/x",
        "http://pay.chapa.et:8443/x",
        "https://user@checkout.chapa.co/x",
        "https://checkout.chapa.co@evil.et/x",
        "https://a:b@checkout.chapa.co/x",
        "https://@checkout.chapa.co/x",
        "https://evil.et\\@checkout.chapa.co/x",
        "https://checkout.chapa.co\\.evil.et/x",
        "https:\\\\checkout.chapa.co/x",
        " https://checkout.chapa.co/x",
        "https://checkout.chapa.co/x ",
        "https://checkout.chapa.co/\nSet-Cookie: x",
        "https://check\tout.chapa.co/x",
        "https://checkout.chapa.co/\x00",
        "https://checkout.chapа.co/x",
        "https://checkout。chapa.co/x",
        "https://checkout.chapa.co%2eevil.et/x",
        "https://[checkout.chapa.co/x",
        "https://[::1/x",
        "https://[v1.x]/x",
        "https://[]/x",
        "http://127.0.0.1/x",
        "http://127.0.0.1:8002/x",
        "http://127.1:8001/x",
        "http://localhost/x",
        "https://checkout.chapa.co/" + "a" * 3000,
    ],
)
def test_every_other_address_is_refused(url: object) -> None:
    assert not is_allowed(url, hosts=HOSTS)


@given(st.one_of(st.text(), st.text().map("https://".__add__), st.text().map("https://checkout.chapa.co".__add__)))
def test_no_text_breaks_it_or_leads_elsewhere(url: str) -> None:
    if is_allowed(url, hosts=["checkout.chapa.co"]):
        # Read as a browser would: everything up to the first slash, question mark or hash is the authority.
        authority = url.lower().removeprefix("https://").split("/")[0].split("?")[0].split("#")[0]
        assert authority in {"checkout.chapa.co", "checkout.chapa.co:443"}
