from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import Currency, Money
from payments.chapa import wire
from payments.chapa.envelope import Answer, Envelope, open_envelope
from payments.gateway import (
    Cancellation,
    Mode,
    RefundVerdict,
    Refused,
    TransactionEvent,
    Unavailable,
    Verdict,
)
from tests.payments.chapa import samples

HOSTS = ["checkout.chapa.co"]


def envelope(value: object, status: int = 200) -> Envelope:
    return open_envelope(Answer(status=status, content_type="application/json", body=json.dumps(value).encode()))


def verify(**changes: object) -> Any:
    sample = samples.verified()
    sample["data"].update(changes)
    return wire.verification(envelope(sample))


def etb(amount: str) -> Money:
    return Money(Decimal(amount), Currency.ETB)


def test_the_documented_page_is_opened() -> None:
    session = wire.checkout_session(envelope(samples.initialized()), hosts=HOSTS)
    assert session.checkout_url == samples.CHECKOUT_URL


@pytest.mark.parametrize("url", [None, "", 7, [], {"a": 1}])
def test_a_success_without_a_page_is_not_understood(url: object) -> None:
    with pytest.raises(Unavailable, match="unreadable") as caught:
        wire.checkout_session(
            envelope({"message": "x", "status": "success", "data": {"checkout_url": url}}), hosts=HOSTS
        )
    assert caught.value.may_have_happened


@pytest.mark.parametrize("word", [None, "", "pending", "ok"])
def test_a_page_without_a_success_is_not_understood(word: object) -> None:
    with pytest.raises(Unavailable, match="unreadable"):
        wire.checkout_session(envelope({**samples.initialized(), "status": word}), hosts=HOSTS)


def test_a_page_somewhere_else_is_not_shown_to_a_customer() -> None:
    answer = {"message": "x", "status": "success", "data": {"checkout_url": "https://evil.et/pay"}}
    with pytest.raises(Unavailable, match="bad_checkout_url") as caught:
        wire.checkout_session(envelope(answer), hosts=HOSTS)
    assert caught.value.may_have_happened


@pytest.mark.parametrize(
    "message",
    [
        "Transaction reference has been used before",
        "TThe reference number has been used before\t",
        "TRANSACTION REFERENCE HAS ALREADY BEEN USED",
        {"tx_ref": ["The tx_ref has already been taken."]},
        {"tx_ref": ["validation.unique"]},
    ],
)
def test_a_reference_that_was_used_is_told_apart(message: object) -> None:
    with pytest.raises(Refused) as caught:
        wire.checkout_session(envelope(samples.failed(message), 400), hosts=HOSTS)
    assert caught.value.reference_used


@pytest.mark.parametrize(
    "message",
    [
        {"email": ["validation.email"]},
        {"tx_ref": ["validation.required"]},
        "Invalid currency, GBP is not supported",
        "User can't receive payments",
        "Payment with this reference was refused",
        "Payments through API is disabled, please contact us",
    ],
)
def test_other_refusals_are_not_mistaken_for_it(message: object) -> None:
    with pytest.raises(Refused) as caught:
        wire.checkout_session(envelope(samples.failed(message), 400), hosts=HOSTS)
    assert not caught.value.reference_used
    assert caught.value.fields == (message if isinstance(message, dict) else {})


def test_a_refund_whose_reference_chapa_knows_is_told_from_other_refusals() -> None:
    for message, known in (("The reference number has been used before", True), ("Insufficient Balance", False)):
        with pytest.raises(Refused) as caught:
            wire.refund_receipt(envelope(samples.failed(message), 400))
        assert caught.value.reference_used is known


def test_only_what_creates_something_can_say_that_a_reference_was_used() -> None:
    with pytest.raises(Refused) as caught:
        wire.cancellation(envelope(samples.failed("The reference was taken by somebody"), 400))
    assert not caught.value.reference_used


def test_the_documented_payment_is_read() -> None:
    found = verify()
    assert found.verdict is Verdict.SUCCESS
    assert (found.paid, found.fee) == (etb("100"), etb("3.50"))
    assert (found.tx_ref, found.reference) == ("chewatatest-6669", "6jnheVKQEmy")
    assert (found.mode, found.method, found.said) == (Mode.TEST, "test", "success")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("success", Verdict.SUCCESS),
        ("SUCCESS", Verdict.SUCCESS),
        (" Success\t", Verdict.SUCCESS),
        ("pending", Verdict.PENDING),
        ("failed", Verdict.FAILED),
        ("failed/cancelled", Verdict.FAILED),
        ("Failed/Cancelled", Verdict.FAILED),
        ("cancelled", Verdict.CANCELLED),
        ("canceled", Verdict.CANCELLED),
        ("refunded", Verdict.REFUNDED),
        ("reversed", Verdict.REVERSED),
        ("successful", Verdict.UNRECOGNISED),
        ("paid", Verdict.UNRECOGNISED),
        ("", Verdict.UNRECOGNISED),
        (None, Verdict.UNRECOGNISED),
        (1, Verdict.UNRECOGNISED),
        (True, Verdict.UNRECOGNISED),
        (["success"], Verdict.UNRECOGNISED),
        ("not_found", Verdict.UNRECOGNISED),
    ],
)
def test_a_verdict_is_only_what_the_payment_itself_says(status: object, verdict: Verdict) -> None:
    assert verify(status=status).verdict is verdict


@pytest.mark.parametrize("top", ["success", "pending", "failed", None, "null", 7])
def test_the_status_at_the_top_says_nothing_about_the_payment(top: object) -> None:
    sample = samples.verified()
    sample["data"]["status"] = "pending"
    assert wire.verification(envelope({**sample, "status": top})).verdict is Verdict.PENDING
    sample["data"]["status"] = "success"
    assert wire.verification(envelope({**sample, "status": top})).verdict is Verdict.SUCCESS


@pytest.mark.parametrize("status", [None, "null", "failed"])
@pytest.mark.parametrize("http", [400, 404])
def test_not_paid_yet_is_pending(status: object, http: int) -> None:
    found = wire.verification(envelope(samples.failed("Payment not paid yet", status), http))
    assert (found.verdict, found.said) == (Verdict.PENDING, "Payment not paid yet")


@pytest.mark.parametrize(
    ("http", "message"),
    [
        (400, "Invalid transaction reference"),
        (404, "Invalid transaction or Transaction not found"),
        (404, "Transaction not found\t"),
        (200, "Invalid transaction reference"),
    ],
)
def test_an_unknown_payment_is_not_found(http: int, message: str) -> None:
    assert wire.verification(envelope(samples.failed(message), http)).verdict is Verdict.NOT_FOUND


@pytest.mark.parametrize(
    "message", ["Not found", "The route could not be found.", "Forbidden", {"tx_ref": ["Invalid reference"]}]
)
def test_what_any_proxy_may_say_is_not_an_unknown_payment(message: object) -> None:
    with pytest.raises(Refused):
        wire.verification(envelope(samples.failed(message), 404))


@pytest.mark.parametrize("data", [None, [], "x", 7])
def test_a_success_without_its_data_is_not_understood(data: object) -> None:
    with pytest.raises(Unavailable, match="unreadable"):
        wire.verification(envelope({"message": "Payment details", "status": "success", "data": data}))


@pytest.mark.parametrize(
    ("amount", "read"),
    [
        (100, "100"),
        ("100", "100"),
        ("400.00", "400"),
        ("12.000", "12"),
        ("10,000.00", "10000"),
        ("1,234,567.5", "1234567.5"),
        ("0", "0"),
        ("-5", "-5"),
        (0, "0"),
        ("999999999999.99", "999999999999.99"),
    ],
)
def test_an_amount_is_read_as_a_number_or_a_text_with_commas_or_three_places(amount: object, read: str) -> None:
    assert verify(amount=amount).paid == etb(read)


@pytest.mark.parametrize(
    "amount",
    [
        None,
        "",
        " 100",
        "100 ETB",
        "ETB 100",
        "12.345",
        "1e2",
        "1E+2",
        "0x10",
        "NaN",
        "Infinity",
        True,
        False,
        [],
        {},
        [100],
        "1,00",
        "1,0000",
        ",100",
        "100,",
        "1.2.3",
        "--1",
        "+1",
        "١٠٠",
        "100.",
        ".5",
        "9" * 13,
        "9" * 5000,
        "1_000",
        "\t1",
    ],
)
def test_an_amount_that_cannot_be_read_exactly_is_none(amount: object) -> None:
    assert verify(amount=amount).paid is None


@pytest.mark.parametrize("number", [b"1e2", b"1e999", b"-1E-400", b"0.1e1", b"100.005", b"9" * 400])
def test_a_number_that_cannot_be_read_exactly_is_none(number: bytes) -> None:
    body = json.dumps(samples.verified()).encode().replace(b'"amount": 100', b'"amount": ' + number)
    assert number in body
    found = wire.verification(open_envelope(Answer(status=200, content_type="application/json", body=body)))
    assert found.paid is None
    assert found.verdict is Verdict.SUCCESS


@pytest.mark.parametrize("currency", [None, "", "GBP", "ETB ", "ብር", 1, [], "\u0131tb"])
def test_an_amount_without_a_currency_we_know_is_none(currency: object) -> None:
    assert verify(currency=currency).paid is None


def test_a_currency_in_small_letters_is_that_currency() -> None:
    assert verify(currency="usd").paid == Money(Decimal(100), Currency.USD)


@pytest.mark.parametrize(
    ("mode", "read"), [("test", Mode.TEST), ("LIVE", Mode.LIVE), ("", None), (None, None), ("prod", None), (1, None)]
)
def test_a_mode_is_test_or_live_or_unknown(mode: object, read: Mode | None) -> None:
    assert verify(mode=mode).mode is read


@pytest.mark.parametrize("said", ["a b", "a\u0009", "", None, 7, "ቡና", "a" * 101, ["a"], " a"])
def test_a_reference_is_taken_as_it_is_or_not_at_all(said: object) -> None:
    found = verify(tx_ref=said, reference=said)
    assert (found.tx_ref, found.reference) == ("", "")


def test_another_payments_answer_is_passed_on_as_it_is() -> None:
    assert verify(tx_ref="somebody-elses").tx_ref == "somebody-elses"


@pytest.mark.parametrize(
    ("names", "method"),
    [({"method": None, "payment_method": "telebirr"}, "telebirr"), ({"method": "card"}, "card"), ({"method": 7}, "")],
)
def test_the_method_has_two_names(names: dict[str, object], method: str) -> None:
    assert verify(**names).method == method


def test_a_closed_page_is_closed() -> None:
    assert wire.cancellation(envelope(samples.cancelled())) == Cancellation(already_closed=False)


@pytest.mark.parametrize("http", [200, 400, 404, 409])
@pytest.mark.parametrize("message", ["Payment link already expired", "Transaction cancelled", "Payment is completed"])
def test_a_page_that_was_closed_before_is_closed_too(http: int, message: str) -> None:
    assert wire.cancellation(envelope(samples.failed(message), http)) == Cancellation(already_closed=True)


@pytest.mark.parametrize("message", ["Invalid transaction reference", "Payment not paid yet", "User can't do that"])
def test_a_page_that_cannot_be_closed_is_a_refusal(message: str) -> None:
    with pytest.raises(Refused, match=message):
        wire.cancellation(envelope(samples.failed(message), 400))


def test_the_documented_refund_is_read_in_both_generations() -> None:
    old = wire.refund_receipt(envelope(samples.refunded()))
    assert (old.verdict, old.reference, old.amount) == (RefundVerdict.INITIATED, "MERC-DIS-REF-s223VGvQFJk", etb("100"))
    sample = samples.refunded()
    sample["data"]["ref_id"] = "rf-1"
    assert wire.refund_receipt(envelope(sample)).reference == "rf-1"


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        ("initiated", RefundVerdict.INITIATED),
        ("Refund Initiated", RefundVerdict.INITIATED),
        ("PROCESSING", RefundVerdict.PROCESSING),
        ("Refund Processing", RefundVerdict.PROCESSING),
        ("refunded", RefundVerdict.REFUNDED),
        ("reversed", RefundVerdict.REVERSED),
        ("success", RefundVerdict.UNRECOGNISED),
        (None, RefundVerdict.UNRECOGNISED),
        ("not_found", RefundVerdict.UNRECOGNISED),
    ],
)
def test_a_refunds_verdict_is_only_what_it_says_itself(status: object, verdict: RefundVerdict) -> None:
    sample = samples.refund_verified()
    sample["data"]["status"] = status
    assert wire.refund_verification(envelope(sample), currency="ETB").verdict is verdict


def test_a_refund_without_a_currency_is_in_the_one_that_was_asked_about() -> None:
    sample = samples.refund_verified()
    del sample["data"]["currency"]
    assert wire.refund_verification(envelope(sample), currency="USD").amount == Money(Decimal(20), Currency.USD)
    sample["data"]["currency"] = "ETB"
    assert wire.refund_verification(envelope(sample), currency="USD").amount == etb("20")


def test_a_refund_that_chapa_does_not_know_is_not_found() -> None:
    found = wire.refund_verification(envelope(samples.failed("Transaction not found"), 404), currency="ETB")
    assert found.verdict is RefundVerdict.NOT_FOUND
    with pytest.raises(Refused):
        wire.refund_verification(envelope(samples.failed("Insufficient Balance"), 400), currency="ETB")


def test_to_refund_an_unknown_payment_is_refused() -> None:
    with pytest.raises(Refused):
        wire.refund_receipt(envelope(samples.failed("Transaction not found"), 404))


def test_the_documented_list_is_read() -> None:
    page = wire.transaction_page(envelope(samples.listed()), page=1)
    assert (page.page, page.has_next) == (1, True)
    (row,) = page.transactions
    assert (row.reference, row.verdict, row.kind, row.method) == (
        "VcEu3Hf55JU",
        Verdict.PENDING,
        "Payment Link",
        "card",
    )
    assert (row.amount, row.fee) == (etb("12"), etb("0"))
    assert row.created_at == datetime(2024, 7, 27, 2, 22, 46, tzinfo=UTC)


@pytest.mark.parametrize("following", [None, "", 7, False])
def test_the_last_page_has_none_after_it(following: object) -> None:
    sample = samples.listed()
    sample["data"]["pagination"].update(next_page_url=following, current_page=None)
    page = wire.transaction_page(envelope(sample), page=9)
    assert (page.page, page.has_next) == (9, False)


@pytest.mark.parametrize("spoil", [None, {}, [], "x", {"ref_id": None}, {"ref_id": "a b"}])
def test_a_row_that_is_none_spoils_the_page(spoil: object) -> None:
    sample = samples.listed()
    sample["data"]["transactions"].append(spoil)
    with pytest.raises(Unavailable, match="unreadable"):
        wire.transaction_page(envelope(sample), page=1)


@pytest.mark.parametrize("key", ["transactions", "pagination"])
def test_a_list_without_its_parts_is_not_understood(key: str) -> None:
    sample = samples.listed()
    del sample["data"][key]
    with pytest.raises(Unavailable, match="unreadable"):
        wire.transaction_page(envelope(sample), page=1)


@pytest.mark.parametrize("moment", [None, "", "yesterday", "2024-07-27T02:22:46", "2024-13-27T02:22:46Z", 7, "9" * 100])
def test_a_moment_without_a_zone_is_none(moment: object) -> None:
    sample = samples.listed()
    sample["data"]["transactions"][0]["created_at"] = moment
    assert wire.transaction_page(envelope(sample), page=1).transactions[0].created_at is None


def test_the_documented_log_is_read() -> None:
    events = wire.transaction_events(envelope(samples.logged()))
    assert len(events) == 2
    assert events[0] == TransactionEvent(
        message="Attempted to make payment with telebirr USSD",
        kind="log",
        at=datetime(2024, 7, 23, 7, 31, 32, tzinfo=UTC),
    )


def test_an_unknown_payment_has_no_log() -> None:
    assert wire.transaction_events(envelope(samples.failed("Transaction not found"), 404)) == ()


def test_the_documented_banks_are_read_without_those_switched_off() -> None:
    abay, telebirr = wire.bank_list(envelope(samples.banked()))
    assert (abay.id, abay.slug, abay.swift, abay.account_length, abay.is_mobile_money) == (
        130,
        "abay_bank",
        "ABAYETAA",
        16,
        False,
    )
    assert (telebirr.id, telebirr.name, telebirr.is_mobile_money, telebirr.currency) == (855, "telebirr", True, "ETB")


@pytest.mark.parametrize(
    "bank", [{"name": "No number"}, {"id": 7}, {"id": "abc", "name": "x"}, {"id": -1, "name": "x"}, None]
)
def test_a_bank_without_a_number_or_a_name_spoils_the_list(bank: object) -> None:
    with pytest.raises(Unavailable, match="unreadable"):
        wire.bank_list(envelope({"message": "Banks retrieved", "data": [bank]}))


@pytest.mark.parametrize(
    "read", [wire.bank_list, wire.transaction_events, lambda opened: wire.transaction_page(opened, page=1)]
)
def test_a_refused_question_is_a_refusal(read: Any) -> None:
    with pytest.raises(Refused, match="Not today"):
        read(envelope(samples.failed("Not today"), 400))


@given(st.decimals(min_value="0", max_value="9999999.99", places=2))
def test_every_spelling_of_an_amount_is_the_same_amount(amount: Decimal) -> None:
    for spelling in (f"{amount:.2f}", f"{amount:.3f}", f"{amount:,.2f}", f"{amount:f}"):
        assert verify(amount=spelling).paid == etb(str(amount))


@pytest.mark.parametrize("said", ["1999-01-01T00:00:00.000000Z", "2099-01-01T00:00:00.000000Z", "yesterday", None, 7])
def test_what_chapas_clock_says_changes_nothing_about_a_payment(said):
    """We never put things in order by a clock that is not ours."""
    assert verify(created_at=said, updated_at=said) == verify()
