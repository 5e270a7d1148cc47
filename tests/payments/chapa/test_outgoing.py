from __future__ import annotations

import json
import re
import unicodedata
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import Currency, Money
from payments.chapa import outgoing
from payments.gateway import Customer

ETB_10 = Money(Decimal(10), Currency.ETB)
anything = st.text(st.characters(exclude_categories=[]))


def body(**changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "tx_ref": "nx-1", "amount": ETB_10, "customer": Customer(), "title": "", "description": "", "callback_url": "",
        "return_url": "",
    }  # fmt: skip
    return outgoing.checkout_body(**{**usual, **changes})


def test_the_least_that_is_sent_is_what_chapa_requires() -> None:
    assert body() == {"amount": "10.00", "currency": "ETB", "tx_ref": "nx-1"}


def test_all_that_is_known_and_usable_is_sent() -> None:
    assert body(
        amount=Money(Decimal("1234567.5"), Currency.USD),
        customer=Customer(
            email=" abebech_bekele@gmail.com ", first_name="አበበች", last_name="በቀለ", phone_number="+251 911 22-33-44"
        ),
        title="Order #7: Café (2 kg) & more",
        description="Thanks!",
        callback_url="https://shop.et/c",
        return_url="https://shop.et/r",
    ) == {
        "amount": "1234567.50",
        "currency": "USD",
        "tx_ref": "nx-1",
        "email": "abebech_bekele@gmail.com",
        "first_name": "አበበች",
        "last_name": "በቀለ",
        "phone_number": "0911223344",
        "callback_url": "https://shop.et/c",
        "return_url": "https://shop.et/r",
        "customization": {"title": "Order 7 Cafe 2 k", "description": "Thanks"},
    }


@pytest.mark.parametrize("tx_ref", ["", "a" * 51, "a b", "a_b", "a/b", "..", "ቡና", "a\n", "a.b"])
def test_a_tx_ref_that_chapa_does_not_take_is_a_bug_of_ours(tx_ref: str) -> None:
    with pytest.raises(ValueError, match="tx_ref"):
        body(tx_ref=tx_ref)


@pytest.mark.parametrize("amount", ["0", "-0.01", "-5"])
def test_an_amount_that_does_not_change_hands_is_a_bug_of_ours(amount: str) -> None:
    with pytest.raises(ValueError, match="above zero"):
        body(amount=Money(Decimal(amount), Currency.ETB))


@pytest.mark.parametrize("reference", ["", "..", ".", "a" * 101, "a b", "ቡና", "a\n", "-"])
def test_a_reference_that_fits_no_path_is_a_bug_of_ours(reference: str) -> None:
    with pytest.raises(ValueError, match="reference"):
        outgoing.checked_reference(reference)


@pytest.mark.parametrize(
    ("given_", "sent"),
    [
        ("0911223344", "0911223344"),
        ("0711223344", "0711223344"),
        ("+251911223344", "0911223344"),
        ("251711223344", "0711223344"),
        ("+251 (91) 122-33.44", "0911223344"),
        ("911223344", ""),
        ("0811223344", ""),
        ("09112233445", ""),
        ("091122334", ""),
        ("+254911223344", ""),
        ("00251911223344", ""),
        ("٠٩١١٢٢٣٣٤٤", ""),
        ("call me", ""),
        ("", ""),
    ],
)
def test_a_phone_number_is_sent_in_chapas_form_or_not_at_all(given_: str, sent: str) -> None:
    assert outgoing.local_phone(given_) == sent


@pytest.mark.parametrize(
    "email",
    [
        "a@example.com",
        "a@EXAMPLE.com",
        "a@shop.example.com",
        "a@test.com",
        "a@x.test.com",
        "a@shop.local",
        "a@localhost",
        "a@b.test",
        "a@b.invalid",
        "a@b.example",
        "a@1.2.3.4",
        "a" * 42 + "@gmail.com",
        "a",
        "@",
        "a@",
        "@b.et",
        "a@@b.et",
        "a b@c.et",
        ".a@b.et",
        "a.@b.et",
        "a..b@c.et",
        "a@b..et",
        "a@-b.et",
        "a@b-.et",
        "a@b",
        "አበበ@gmail.com",
        "a@ቡና.et",
        '"a"@b.et',
        "a@b.et\nBcc: x@y.et",
        "a@b.e",
        "",
    ],
)
def test_an_address_that_chapa_would_refuse_is_left_out(email: str) -> None:
    assert outgoing.deliverable_email(email) == ""


@pytest.mark.parametrize("email", ["a@b.et", "a.b+c_d-e@mail.shop.com.et", "A1@Gmail.Com", "a" * 40 + "@gmail.com"])
def test_an_ordinary_address_is_sent(email: str) -> None:
    assert outgoing.deliverable_email(email) == email


def test_a_name_keeps_its_script_and_loses_what_cannot_be_seen() -> None:
    assert outgoing.name("\tአበበ\u202e በቀለ\ud800\x00\u200b\u2028 ") == "አበበ በቀለ"
    assert outgoing.name("a" * 99 + " bcd") == "a" * 99


def test_a_title_in_another_script_is_left_out_rather_than_invented() -> None:
    assert "customization" not in body(title="የቡና ትዕዛዝ ☕", description="ቡና")


def test_a_refund_always_says_how_much() -> None:
    assert outgoing.refund_form(amount=ETB_10, reference="rf-1", reason="Broken: the cup's handle\n") == {
        "amount": "10.00",
        "reference": "rf-1",
        "reason": "Broken the cup s handle",
    }
    assert outgoing.refund_form(amount=ETB_10, reference="rf-1", reason="☕") == {
        "amount": "10.00",
        "reference": "rf-1",
    }
    with pytest.raises(ValueError, match="above zero"):
        outgoing.refund_form(amount=Money.zero("ETB"), reference="rf-1", reason="")


@given(email=anything, first=anything, last=anything, phone=anything, title=anything, description=anything)
def test_whatever_people_call_themselves_the_body_is_to_chapas_liking(
    *, email: str, first: str, last: str, phone: str, title: str, description: str
) -> None:
    sent = body(
        customer=Customer(email=email, first_name=first, last_name=last, phone_number=phone),
        title=title,
        description=description,
    )
    json.dumps(sent, ensure_ascii=False).encode()
    shown = sent.get("customization", {})
    assert re.fullmatch(r"[A-Za-z0-9 ._-]{0,16}", shown.get("title", ""))
    assert re.fullmatch(r"[A-Za-z0-9 ._-]{0,50}", shown.get("description", ""))
    assert re.fullmatch(r"(0[79]\d{8})?", sent.get("phone_number", ""), re.ASCII)
    assert len(sent.get("email", "")) <= 50
    for text in (sent.get("first_name", ""), sent.get("last_name", "")):
        assert text == text.strip()
        assert not {unicodedata.category(character) for character in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.decimals(min_value="0.01", max_value="9999999.99", places=2), st.sampled_from(Currency))
def test_an_amount_is_sent_exactly(amount: Decimal, currency: Currency) -> None:
    text = outgoing.amount_text(Money(amount, currency))
    assert re.fullmatch(r"\d+\.\d\d", text)
    assert Decimal(text) == amount
