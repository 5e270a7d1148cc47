"""Refunds: asked for by the merchant, moved by time or by force, counted in the books."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from sandbox.remote import Refused
from sandbox.server import Running
from tests.sandbox.conftest import Client, Merchant

Paid = Callable[..., dict[str, Any]]


def ask(api: Client, payment: str, /, **fields: Any) -> Any:
    return api("POST", f"refund/{payment}", data=fields)


def status_of(api: Client, ref_id: str) -> str:
    return str(api("GET", f"refund/{ref_id}/verify").json()["data"]["status"])


def test_a_refund_goes_from_initiated_over_processing_to_refunded(
    sandbox: Running, api: Client, paid: Paid, merchant: Merchant
) -> None:
    reference = paid("r-1")["reference"]
    fields = {"reason": "accidental", "reference": "REF-1", "meta[customer_id]": "123"}
    answer = ask(api, reference, **fields).json()
    data = answer["data"]
    assert answer["message"] == "Refund initiated successfully. Processing time: 1-3 business days"
    assert (data["status"], data["amount"], data["chapa_reference"]) == ("Refund Initiated", "100.00", reference)
    assert (data["merchant_reference"], data["meta"]) == ("REF-1", {"customer_id": "123"})
    assert status_of(api, data["ref_id"]) == "initiated"
    sandbox.control.advance(by="61m")
    assert status_of(api, data["ref_id"]) == "processing"
    assert api.verify("r-1").json()["data"]["status"] == "success"
    sandbox.control.advance(by="24h")
    assert status_of(api, data["ref_id"]) == "refunded"
    assert api.verify("r-1").json()["data"]["status"] == "refunded"
    [delivery] = sandbox.control.deliveries(wait="60s")
    assert (delivery["event"], len(merchant.webhooks())) == ("charge.refunded", 1)


def test_parts_never_exceed_the_whole(sandbox: Running, api: Client, paid: Paid) -> None:
    reference = paid("r-2")["reference"]
    assert ask(api, reference, amount="60").status_code == 200
    too_much = ask(api, reference, amount="40.01")
    assert too_much.status_code == 400
    assert "greater than the remaining" in too_much.json()["message"]
    assert ask(api, reference, amount="40").status_code == 200
    assert ask(api, reference).status_code == 400
    assert sandbox.control.books()["transactions"]["r-2"]["refunding"] == "100"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"amount": "0"}, {"amount": ["validation.gt.numeric"]}),
        ({"amount": "ten"}, {"amount": ["validation.numeric"]}),
    ],
)
def test_a_bad_amount_is_named(api: Client, paid: Paid, fields: dict[str, str], message: Any) -> None:
    answer = ask(api, paid("r-3")["reference"], **fields)
    assert (answer.status_code, answer.json()["message"]) == (400, message)


def test_a_reference_must_be_a_text(api: Client, paid: Paid) -> None:
    answer = api("POST", f"refund/{paid('r-4')['reference']}", json={"reference": 5})
    assert answer.json()["message"] == {"reference": ["validation.string"]}


def test_a_refunds_own_reference_is_used_up(api: Client, paid: Paid) -> None:
    first, second = paid("r-5")["reference"], paid("r-6")["reference"]
    assert ask(api, first, amount="1", reference="same").status_code == 200
    assert ask(api, second, amount="1", reference="same").json()["message"].endswith("used before")


def test_only_a_successful_payment_is_refunded(sandbox: Running, api: Client) -> None:
    api.checkout("r-7")
    reference = sandbox.control.transaction(tx_ref="r-7")["transaction"]["reference"]
    assert ask(api, reference).json()["message"] == "Transaction is not successful"
    assert ask(api, "nobody").status_code == 404
    assert api("GET", "refund/nobody/verify").json()["message"] == "Transaction not found"


def test_the_balance_must_cover_it(sandbox: Running, api: Client, paid: Paid) -> None:
    sandbox.control.merchant(opening_balances={"ETB": "0"})
    reference = paid("r-8")["reference"]
    assert ask(api, reference).json()["message"] == "Insufficient Balance"
    sandbox.control.switch(refund_balance="ignore")
    assert ask(api, reference).status_code == 200


def test_which_references_are_taken_is_switched(sandbox: Running, api: Client, paid: Paid) -> None:
    paid("r-9")
    assert ask(api, "r-9").status_code == 404
    sandbox.control.switch(refund_path="both", refund_verify_path="both", refund_ref_field="ref")
    assert "ref" in ask(api, "r-9", reference="mine").json()["data"]
    assert status_of(api, "mine") == "initiated"
    sandbox.control.switch(refund_verify_path="ref_id")
    assert api("GET", "refund/mine/verify").status_code == 404


def test_the_older_page_knows_no_partial_refund(sandbox: Running, api: Client, paid: Paid) -> None:
    sandbox.control.switch(refund_amount="full_only")
    reference = paid("r-10")["reference"]
    assert ask(api, reference).json()["message"] == {"reason": ["validation.required"]}
    assert ask(api, reference, reason="x", amount="5").json()["message"] == "Partial refund is not supported"
    assert ask(api, reference, reason="x", amount="100.00").status_code == 200


def test_a_failed_refund_gives_the_money_back_to_the_merchant(sandbox: Running, api: Client, paid: Paid) -> None:
    reference = paid("r-11")["reference"]
    ref_id = ask(api, reference, reference="mine-11").json()["data"]["ref_id"]
    before = sandbox.control.books()["available"]["ETB"]
    answer = sandbox.control.move_refund(ref_id="mine-11", to="reversed")
    assert Decimal(sandbox.control.books()["available"]["ETB"]) - Decimal(before) == 100
    assert (status_of(api, ref_id), answer["refund"]["status"]) == ("reversed", "reversed")
    assert [d["event"] for d in sandbox.control.deliveries(wait="60s")] == ["charge.reversed"]
    assert ask(api, reference).status_code == 200


def test_a_refund_thought_done_can_fail_late(sandbox: Running, api: Client, paid: Paid) -> None:
    paid("r-12")
    refund = sandbox.control.refund(tx_ref="r-12", webhook=False)["refund"]
    assert api.verify("r-12").json()["data"]["status"] == "refunded"
    with pytest.raises(Refused, match="cannot go from refunded"):
        sandbox.control.move_refund(ref_id=refund["ref_id"], to="reversed")
    sandbox.control.switch(refund_failed_event="none")
    sandbox.control.move_refund(ref_id=refund["ref_id"], to="reversed", force=True)
    assert api.verify("r-12").json()["data"]["status"] == "success"
    assert not sandbox.control.deliveries()
    with pytest.raises(Refused, match="no refund"):
        sandbox.control.move_refund(ref_id="nobody", to="refunded")


def test_the_other_names_of_refund_events(sandbox: Running, paid: Paid) -> None:
    sandbox.control.switch(refund_event="refund.success", refund_failed_event="refund.failed")
    paid("r-13")
    sandbox.control.refund(tx_ref="r-13", amount=Decimal(10))
    opened = sandbox.control.refund(tx_ref="r-13", amount=Decimal(10), status="initiated")["refund"]
    sandbox.control.move_refund(ref_id=opened["ref_id"], to="reversed")
    bodies = [d["body"] for d in sandbox.control.deliveries(wait="60s")]
    assert '"event":"refund.success"' in bodies[0]
    assert '"status":"success"' in bodies[0]
    assert '"event":"refund.failed"' in bodies[1]


def test_verify_after_a_refund_of_a_part_follows_its_switch(sandbox: Running, api: Client, paid: Paid) -> None:
    paid("r-14")
    sandbox.control.refund(tx_ref="r-14", amount=Decimal("30.00"), webhook=False)
    assert api.verify("r-14").json()["data"]["status"] == "success"
    sandbox.control.switch(verify_partly_refunded="refunded")
    assert api.verify("r-14").json()["data"]["status"] == "refunded"


def test_a_reversal_takes_back_what_is_left(sandbox: Running, api: Client, paid: Paid) -> None:
    paid("r-15")
    sandbox.control.refund(tx_ref="r-15", amount=Decimal("30.00"), webhook=False)
    sandbox.control.reverse(tx_ref="r-15")
    books = sandbox.control.books()
    assert books["totals"]["ETB"] == {
        "captured": "100.00", "fees": "3.50", "refunded": "30.00", "refunding": "0.00", "reversed": "70.00",
    }  # fmt: skip
    assert books["available"]["ETB"] == "999996.50"
    assert api.verify("r-15").json()["data"]["status"] == "reversed"
    with pytest.raises(Refused, match="cannot go from reversed"):
        sandbox.control.reverse(tx_ref="r-15", webhook=False)


def test_a_reversal_can_be_silent(sandbox: Running, paid: Paid) -> None:
    paid("r-16")
    assert sandbox.control.reverse(tx_ref="r-16", webhook=False)["deliveries"] == []
