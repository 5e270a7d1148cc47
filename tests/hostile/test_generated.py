"""What nobody thought of: Hypothesis writes values, bytes, headers, addresses and whole orders.

`HYPOTHESIS_PROFILE=proof` makes it look for a long time (50,000 examples of each, or as many as `NEXUS_PROOF_EXAMPLES`
says); otherwise a few, always the same.
"""

from __future__ import annotations

import copy
import json
import os
import re
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

import pytest
from django.db.models import F, Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.models import Order, OrderLine
from tests import factories
from tests.hostile import judging, routes
from tests.hostile.routes import CALLS, Call
from tests.hostile.scene import PLENTY

IS_PROOF: Final = os.environ.get("HYPOTHESIS_PROFILE") == "proof"
generated = settings(
    max_examples=int(os.environ.get("NEXUS_PROOF_EXAMPLES", "50000")) if IS_PROOF else 60,
    derandomize=not IS_PROOF,
    deadline=None,
    # The shop is made once for all examples of a test: none of them may need it fresh.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
pytestmark = [pytest.mark.django_db(transaction=True), *([pytest.mark.timeout(0)] if IS_PROOF else [])]

WRITERS = [call for call in CALLS if call.body]
READERS = [call for call in CALLS if call.method == "GET" and not call.is_costly]
ORDER = next(call for call in CALLS if (call.method, call.template) == ("POST", "api/v1/orders/"))
READ_HEADERS = (
    "Idempotency-Key", "X-Request-ID", "X-Order-Token", "Authorization", "Accept", "Content-Type", "Host", "Cookie",
    "X-Chapa-Signature", "Accept-Language", "If-None-Match", "X-Forwarded-For",
)  # fmt: skip
"""Not Content-Length: a server hands over nothing but a number there (`test_over_the_wire`)."""
READ_PARAMETERS = (
    "page_size", "cursor", "ordering", "category", "search", "min_price", "max_price", "in_stock", "status",
    "created_after", "token", "trx_ref", "tx_ref", "lang", "version",
)  # fmt: skip

any_text = st.text(st.characters(codec=None), max_size=60) | st.from_regex(r"[-+ ]?[0-9.,_eE]{1,30}", fullmatch=True)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
latin = st.text(st.characters(max_codepoint=255), max_size=60)


def check(response: Any, call: Call) -> None:
    assert judging.faults_of(response, answers=call.answers) == []


@generated
@given(data=st.data())
def test_any_value_at_any_place_of_any_body(sender, data):
    call = data.draw(st.sampled_from(WRITERS))
    body = call.body(sender.scene)
    value = json.dumps(data.draw(any_json))
    places = call.fields(sender.scene)
    raw = routes.raw_with(body, data.draw(st.sampled_from(places)), value) if places else value.encode()

    check(sender.send(call, raw=raw), call)


@generated
@given(call=st.sampled_from(WRITERS), raw=st.binary(max_size=300))
def test_any_bytes_as_a_body(sender, call, raw):
    check(sender.send(call, raw=raw), call)


@generated
@given(
    call=st.sampled_from([call for call in CALLS if not call.is_costly]),
    headers=st.dictionaries(st.sampled_from(READ_HEADERS), latin, min_size=1, max_size=3),
)
def test_any_text_in_any_header_that_is_read(sender, call, headers):
    given_headers = {name: value for name, value in headers.items() if name != "Content-Type"}

    check(sender.send(call, content_type=headers.get("Content-Type", routes.JSON), headers=given_headers), call)


@generated
@given(
    call=st.sampled_from(READERS),
    parameters=st.lists(st.tuples(st.sampled_from(READ_PARAMETERS), st.binary(max_size=40) | any_text), max_size=4),
)
def test_any_text_in_any_query_parameter_that_is_read(sender, call, parameters):
    written = "&".join(
        f"{name}={quote(value if isinstance(value, bytes) else value.encode('utf-8', 'surrogatepass'))}"
        for name, value in parameters
    )

    check(sender.send(call, query=written), call)


@generated
@given(
    call=st.sampled_from([call for call in CALLS if routes.parameters(call.template)]), segment=st.binary(max_size=40)
)
def test_any_bytes_as_a_segment_of_a_path(sender, call, segment):
    values = {name: quote(segment, safe="") for name in routes.parameters(call.template)}

    check(sender.send(call, path=call.path(sender.scene, **values)), call)


# --- Whole orders ---------------------------------------------------------------------------------------------------


@st.composite
def mutated_orders(draw: st.DrawFn) -> Any:
    """A good order after a few changes, each at a place of its own: another type, gone, added, doubled, wrapped."""
    body: Any = {"whole": routes.delivered_order_body()}
    for _ in range(draw(st.integers(0, 4))):
        place = draw(st.sampled_from(list(routes._places(body, ()))))
        inner: Any = body
        for step in place[:-1]:
            inner = inner[step]
        last = place[-1]
        match draw(st.sampled_from(["replace", "drop", "add", "double", "wrap", "number"])):
            case "replace":
                inner[last] = draw(any_json)
            case "drop" if last != "whole":
                del inner[last]
            case "add" if isinstance(inner[last], dict):
                inner[last][draw(any_text)] = draw(any_json)
            case "double" if isinstance(inner[last], list):
                inner[last] = copy.deepcopy(inner[last]) * draw(st.integers(2, 60))
            case "wrap":
                inner[last] = draw(st.sampled_from([[inner[last]], {"sku": inner[last]}]))
            case "number":
                inner[last] = draw(st.integers(-2, 1001))
    return body["whole"]


@generated
@given(body=mutated_orders())
def test_a_mutated_order_is_placed_consistently_or_refused(sender, body):
    before = Order.objects.count()

    answer = sender.send(ORDER, raw=json.dumps(body).encode())

    check(answer, ORDER)
    assert Order.objects.count() - before == (answer.status_code == 201)
    if answer.status_code == 201:
        agrees_with_its_lines(answer.json())


@generated
@given(
    lines=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 999)), min_size=1, max_size=50),
    prices=st.lists(
        st.decimals(min_value="0.01", max_value="9999.99", places=2, allow_nan=False), min_size=4, max_size=4
    ),
)
def test_an_orders_total_is_the_sum_of_its_lines_to_the_cent(sender, lines, prices):
    products = [factories.product(price=str(price), on_hand=PLENTY) for price in prices]
    wanted: dict[int, int] = {}
    for which, quantity in lines:
        wanted[which] = wanted.get(which, 0) + quantity
    body = {
        "items": [{"sku": products[which].sku, "quantity": quantity} for which, quantity in lines],
        "email": "abebech@gmail.com",
    }

    answer = sender.send(ORDER, raw=json.dumps(body).encode())

    check(answer, ORDER)
    total = sum((prices[which] * quantity for which, quantity in wanted.items()), Decimal(0))
    if max(wanted.values()) > 999:
        assert judging.code_of(answer) == "too_many_pieces"
    elif not Decimal("1.00") <= total <= Decimal("9999999.99"):
        assert judging.code_of(answer) == "amount_out_of_range"
    else:
        assert answer.json()["total"] == f"{total:.2f}"
        agrees_with_its_lines(answer.json())


def agrees_with_its_lines(said: dict[str, Any]) -> None:
    """What was answered, what is stored and what the database adds up are one amount."""
    order = Order.objects.get(number=said["number"])
    added = OrderLine.objects.filter(order=order).aggregate(total=Sum(F("unit_price") * F("quantity")))["total"]
    assert said["total"] == f"{order.total_amount:.2f}" == f"{added + (order.delivery_price or 0):.2f}"
    shares = [Decimal(line["vat_amount"]) for line in said["items"]]
    if said["delivery"]:
        shares.append(Decimal(said["delivery"]["vat_amount"]))
    assert said["vat_total"] == f"{sum(shares):.2f}" == f"{order.vat_amount:.2f}"
    assert 0 <= sum(shares) <= order.total_amount


@generated
@given(
    said=any_text
    | st.sampled_from(["900.00", "900.0", "900", "0900.00", "+900.00", "9E2", "900.000", "９００.００", "900,00"])
    | st.decimals().map(str)
    | st.floats().map(str)
)
def test_an_expected_total_is_the_total_written_plainly_or_refused(sender, said):
    raw = json.dumps({**routes.order_body(), "expected_total": said}).encode()

    answer = sender.send(ORDER, raw=raw)

    check(answer, ORDER)
    is_plain = re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,2})?", said) is not None
    is_the_total = is_plain and Decimal(said) == Decimal("900.00")
    assert (answer.status_code == 201) == is_the_total, said
    if not is_plain:
        assert answer.status_code == 400
