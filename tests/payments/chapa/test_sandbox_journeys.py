"""The client and the sandbox, which know nothing of each other but Chapa's documentation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.money import Currency, Money
from payments.chapa.client import ChapaClient
from payments.gateway import (
    CheckoutSession,
    Customer,
    Mode,
    RefundVerdict,
    Refused,
    Unavailable,
    Verdict,
)
from sandbox.server import Running
from tests.payments.chapa.calls import CALLS, MakeClient

TOTAL = Money(Decimal("1250.50"), Currency.ETB)
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with Running() as sandbox:
        yield sandbox


@pytest.fixture(params=["live2026", "docs"])
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sandbox(running: Running) -> Running:
    running.control.call(method="POST", path="/reset")
    return running


@pytest.fixture
def client(sandbox: Running, make_client: MakeClient) -> ChapaClient:
    return client_of(sandbox, make_client)


def client_of(sandbox: Running, make_client: MakeClient, **options: Any) -> ChapaClient:
    return make_client(
        f"{sandbox.url}/v1",
        **{
            "secret_key": sandbox.secret_key,
            "checkout_hosts": [sandbox.url.removeprefix("http://")],
            "read_timeout": 60.0,
            **options,
        },
    )


def new_tx_ref() -> str:
    return f"nx-{next(_numbers)}"


def start(client: ChapaClient, tx_ref: str, **changes: Any) -> CheckoutSession:
    usual: dict[str, Any] = {
        "amount": TOTAL, "customer": Customer(email="abebech_bekele@gmail.com", first_name="አበበች"), "title": "Order #7",
        "description": "", "callback_url": "http://127.0.0.1:9/c", "return_url": "http://127.0.0.1:9/r",
    }  # fmt: skip
    return client.open_checkout(tx_ref=tx_ref, **{**usual, **changes})


def paid(sandbox: Running, client: ChapaClient) -> str:
    tx_ref = new_tx_ref()
    start(client, tx_ref)
    sandbox.control.pay(tx_ref=tx_ref, webhook=False, callback=False)
    return tx_ref


def test_a_payment_from_its_page_to_its_refund(sandbox: Running, client: ChapaClient, profile: str) -> None:
    sandbox.control.switch(profile=profile)
    tx_ref = new_tx_ref()
    assert client.verify(tx_ref=tx_ref).verdict is Verdict.NOT_FOUND
    assert client.events(tx_ref=tx_ref) == ()

    assert start(client, tx_ref).checkout_url.startswith(sandbox.url)
    assert client.verify(tx_ref=tx_ref).verdict is Verdict.PENDING

    sandbox.control.pay(tx_ref=tx_ref, webhook=False, callback=False)
    verification = client.verify(tx_ref=tx_ref)
    assert (verification.verdict, verification.paid, verification.tx_ref) == (Verdict.SUCCESS, TOTAL, tx_ref)
    assert verification.mode is client.mode is Mode.TEST
    assert verification.fee is not None
    assert client.cancel(tx_ref=tx_ref).already_closed
    assert client.events(tx_ref=tx_ref)

    (row,) = [t for t in client.list_transactions().transactions if t.reference == verification.reference]
    assert (row.verdict, row.amount, row.fee) == (Verdict.SUCCESS, TOTAL, verification.fee)

    part = Money(Decimal("250.25"), Currency.ETB)
    receipt = client.refund(
        gateway_reference=verification.reference, amount=part, reference=f"rf-{tx_ref}", reason="Broken: the cup"
    )
    assert (receipt.verdict, receipt.amount) == (RefundVerdict.INITIATED, part)
    for step, verdict in [("processing", RefundVerdict.PROCESSING), ("refunded", RefundVerdict.REFUNDED)]:
        sandbox.control.move_refund(ref_id=receipt.reference, to=step, webhook=False)
        known = client.verify_refund(reference=receipt.reference, currency="ETB")
        assert (known.verdict, known.amount, known.reference) == (verdict, part, receipt.reference)


def test_a_refund_is_never_paid_twice_nor_beyond_what_was_paid(sandbox: Running, client: ChapaClient) -> None:
    reference = client.verify(tx_ref=paid(sandbox, client)).reference
    part = Money(Decimal("1000.00"), Currency.ETB)
    client.refund(gateway_reference=reference, amount=part, reference="rf-once", reason="")
    for again in ("rf-once", "rf-twice"):
        with pytest.raises(Refused):
            client.refund(gateway_reference=reference, amount=part, reference=again, reason="")
    assert client.verify_refund(reference="rf-nobody", currency="ETB").verdict is RefundVerdict.NOT_FOUND
    with pytest.raises(Refused):
        client.refund(gateway_reference="APnobody", amount=part, reference="rf-3", reason="")


def test_a_page_that_is_closed_can_be_closed_again(sandbox: Running, client: ChapaClient, profile: str) -> None:
    sandbox.control.switch(profile=profile)
    tx_ref = new_tx_ref()
    start(client, tx_ref)
    assert not client.cancel(tx_ref=tx_ref).already_closed
    assert client.cancel(tx_ref=tx_ref).already_closed
    assert client.verify(tx_ref=tx_ref).verdict in {Verdict.FAILED, Verdict.CANCELLED}
    with pytest.raises(Refused):
        client.cancel(tx_ref=new_tx_ref())


@pytest.mark.parametrize("value", ["failed/cancelled", "failed", "cancelled"])
def test_a_failed_payment_has_failed_however_it_is_spelled(sandbox: Running, client: ChapaClient, value: str) -> None:
    sandbox.control.switch(verify_closed_status=value)
    tx_ref = new_tx_ref()
    start(client, tx_ref)
    sandbox.control.fail(tx_ref=tx_ref, webhook=False)
    assert client.verify(tx_ref=tx_ref).verdict in {Verdict.FAILED, Verdict.CANCELLED}


@pytest.mark.parametrize(
    "switch",
    [
        {"verify_unpaid": "404_null"},
        {"verify_unpaid": "404_text_null"},
        {"verify_unpaid": "404_until_attempt"},
        {"verify_top_status": "mirror"},
    ],
    ids=str,
)
def test_an_unpaid_payment_is_pending_in_every_form(
    sandbox: Running, client: ChapaClient, switch: dict[str, str]
) -> None:
    sandbox.control.switch(**switch)
    tx_ref = new_tx_ref()
    start(client, tx_ref)
    assert client.verify(tx_ref=tx_ref).verdict is Verdict.PENDING


@pytest.mark.parametrize(
    "switch",
    [
        {"verify_amounts": "string"}, {"verify_amounts": "comma"}, {"verify_top_status": "mirror"},
        {"verify_message": "details"}, {"get_with_body": "html"}, {"form_bodies": "refuse"},
        {"required_fields": "with_email"}, {"email_check": "format"},
    ],
    ids=str,
)  # fmt: skip
def test_a_payment_is_read_in_every_form(sandbox: Running, client: ChapaClient, switch: dict[str, str]) -> None:
    sandbox.control.switch(**switch)
    verification = client.verify(tx_ref=paid(sandbox, client))
    assert (verification.verdict, verification.paid) == (Verdict.SUCCESS, TOTAL)


@pytest.mark.parametrize(
    "switch",
    [{"cancel_refused": "200"}, {"refund_ref_field": "ref"}, {"banks_status": "success"}, {"verify_unknown": "404"}],
    ids=str,
)
def test_the_other_answers_are_read_in_every_form(
    sandbox: Running, client: ChapaClient, switch: dict[str, str]
) -> None:
    sandbox.control.switch(**switch)
    tx_ref = paid(sandbox, client)
    assert client.cancel(tx_ref=tx_ref).already_closed
    reference = client.verify(tx_ref=tx_ref).reference
    assert client.refund(gateway_reference=reference, amount=TOTAL, reference=f"rf-{tx_ref}", reason="").reference
    assert {bank.slug for bank in client.banks()} >= {"telebirr", "cbe_bank"}
    assert client.verify(tx_ref=new_tx_ref()).verdict is Verdict.NOT_FOUND


def test_the_list_is_read_page_by_page(sandbox: Running, client: ChapaClient) -> None:
    for _ in range(12):
        start(client, new_tx_ref())
    first, second = client.list_transactions(page=1), client.list_transactions(page=2)
    assert (len(first.transactions), first.page, first.has_next) == (10, 1, True)
    assert (len(second.transactions), second.page, second.has_next) == (2, 2, False)
    assert len({row.reference for row in (*first.transactions, *second.transactions)}) == 12


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "code": 502}, {"kind": "truncated"}], ids=str)
def test_a_checkout_whose_answer_was_lost_is_recognised_the_second_time(
    sandbox: Running, client: ChapaClient, fault: dict[str, Any]
) -> None:
    tx_ref = new_tx_ref()
    sandbox.control.fault(route="initialize", **fault)
    with pytest.raises(Unavailable) as caught:
        start(client, tx_ref)
    assert caught.value.may_have_happened
    with pytest.raises(Refused) as again:
        start(client, tx_ref)
    assert again.value.reference_used
    assert client.verify(tx_ref=tx_ref).verdict is Verdict.PENDING


@pytest.mark.parametrize("fault", [{"kind": "reset"}, {"kind": "status", "code": 502}], ids=str)
def test_a_checkout_that_was_never_made_is_made_the_second_time(
    sandbox: Running, client: ChapaClient, fault: dict[str, Any]
) -> None:
    tx_ref = new_tx_ref()
    sandbox.control.fault(route="initialize", when="before", **fault)
    with pytest.raises(Unavailable) as caught:
        start(client, tx_ref)
    assert caught.value.may_have_happened
    assert client.verify(tx_ref=tx_ref).verdict is Verdict.NOT_FOUND
    assert start(client, tx_ref).checkout_url


@pytest.mark.parametrize(
    "kind",
    ["truncated", "empty", "html", "array", "bom", "huge", "gzip_bomb", "wrong_content_type", "drip", "hang", "reset"],
)
@pytest.mark.parametrize("call", ["open_checkout", "verify", "banks"])
def test_whatever_goes_wrong_we_do_not_know(sandbox: Running, make_client: MakeClient, kind: str, call: str) -> None:
    sandbox.control.fault(kind=kind, times="forever")
    # Only what hangs is left at the read time-out, and only what drips at the deadline.
    patience = {"hang": {"read_timeout": 0.5}, "drip": {"total_timeout": 3.0}}
    client = client_of(sandbox, make_client, **patience.get(kind, {}))
    with pytest.raises(Unavailable) as caught:
        CALLS[call](client)
    assert caught.value.may_have_happened


@pytest.mark.parametrize("kind", ["upper_status", "tab_in_message", "string_amount", "comma_amount", "message_object"])
def test_a_payment_is_recognised_however_it_is_written(sandbox: Running, client: ChapaClient, kind: str) -> None:
    tx_ref = paid(sandbox, client)
    sandbox.control.fault(kind=kind, route="verify")
    verification = client.verify(tx_ref=tx_ref)
    assert (verification.verdict, verification.paid) == (Verdict.SUCCESS, TOTAL)


def test_what_is_wrong_with_a_payment_is_passed_on_for_settlement_to_see(sandbox: Running, client: ChapaClient) -> None:
    tx_ref = paid(sandbox, client)
    for kind in ("wrong_amount", "wrong_currency", "wrong_mode", "wrong_tx_ref", "unknown_status"):
        sandbox.control.fault(kind=kind, route="verify")
    amount, currency, mode, other, unknown = (client.verify(tx_ref=tx_ref) for _ in range(5))
    assert amount.paid == Money(Decimal("1250.49"), Currency.ETB)
    assert currency.paid == Money(TOTAL.amount, Currency.USD)
    assert mode.mode is Mode.LIVE
    assert other.tx_ref != tx_ref
    assert (unknown.verdict, unknown.said) == (Verdict.UNRECOGNISED, "on_hold")


def test_a_page_that_is_none_is_never_shown(sandbox: Running, client: ChapaClient) -> None:
    for url in ("javascript:alert(1)", "https://evil.et/x", f"{sandbox.url}@evil.et/x", ""):
        sandbox.control.fault(kind="override", route="initialize", fields={"data.checkout_url": url})
        with pytest.raises(Unavailable) as caught:
            start(client, new_tx_ref())
        assert caught.value.may_have_happened


def test_a_busy_gateway_says_when_to_come_back(sandbox: Running, client: ChapaClient) -> None:
    sandbox.control.fault(kind="status", route="verify", code=429, retry_after="99999")
    with pytest.raises(Unavailable) as caught:
        client.verify(tx_ref=new_tx_ref())
    assert (caught.value.reason, caught.value.retry_after) == ("http_429", 3600)


def test_a_gateway_that_comes_back_is_asked_again(sandbox: Running, client: ChapaClient) -> None:
    tx_ref = paid(sandbox, client)
    sandbox.control.fault(kind="status", route="verify", code=503, times=2)
    assert client.verify(tx_ref=tx_ref).verdict is Verdict.SUCCESS


def test_a_kept_connection_that_the_server_dropped_is_replaced(sandbox: Running, client: ChapaClient) -> None:
    for _ in range(3):
        sandbox.control.fault(kind="close_after", route="banks")
        assert client.banks()
    assert client.banks()


def test_a_gateway_that_refuses_connections_was_never_asked(sandbox: Running, client: ChapaClient) -> None:
    tx_ref = new_tx_ref()
    assert client.banks()
    sandbox.control.unreachable(mode="refuse")
    try:
        with pytest.raises(Unavailable) as caught:
            start(client, tx_ref)
    finally:
        sandbox.control.unreachable(mode="no")
    assert (caught.value.reason, caught.value.may_have_happened) == ("connect", False)
    assert start(client, tx_ref).checkout_url


def test_a_key_that_was_rotated_is_an_alarm(sandbox: Running, client: ChapaClient, logs: list[Any]) -> None:
    sandbox.control.merchant(secret_keys=["CHASECK_TEST-another000000000000000000000000"])
    try:
        with pytest.raises(Unavailable) as caught:
            start(client, new_tx_ref())
    finally:
        sandbox.control.merchant(secret_keys=[sandbox.secret_key])
    assert (caught.value.reason, caught.value.may_have_happened) == ("unauthorised", False)
    assert [line["log_level"] for line in logs] == ["error"]


def test_a_wrong_path_is_an_alarm(sandbox: Running, make_client: MakeClient) -> None:
    client = make_client(f"{sandbox.url}/v1/v1", secret_key=sandbox.secret_key)
    with pytest.raises(Unavailable, match="no_such_endpoint"):
        client.verify(tx_ref="nx-1")


anything = st.text(st.characters(exclude_categories=[]), max_size=80)
local_parts = st.text("abcXYZ019._%+-'!", min_size=1, max_size=40)
domains = st.sampled_from(
    ["gmail.com", "shop.com.et", "example.com", "a.test", "b..et", "-x.et", "printer.local", "test.com"]
)
emails = anything | st.builds("{}@{}".format, local_parts, domains)
phones = anything | st.from_regex(r"(\+?251|0)[79][0-9]{8}", fullmatch=True)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(email=emails, first=anything, last=anything, phone=phones, title=anything, description=anything)
def test_no_customer_is_refused_for_a_name_a_title_or_an_address(client: ChapaClient, **given_: str) -> None:
    customer = Customer(
        email=given_["email"], first_name=given_["first"], last_name=given_["last"], phone_number=given_["phone"]
    )
    assert start(
        client, new_tx_ref(), customer=customer, title=given_["title"], description=given_["description"]
    ).checkout_url
