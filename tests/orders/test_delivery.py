"""How an order gets to its customer: offered, priced, frozen."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.db import IntegrityError, InternalError
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework_simplejwt.tokens import AccessToken

from core.money import Money
from orders import delivery
from orders.delivery import Wish
from orders.models import DeliveryOption, Order
from tests import factories
from users import address_book, regions
from users.models import User

pytestmark = pytest.mark.django_db

ADDRESS = {
    "recipient_name": "አበበች በቀለ", "phone_number": "0911 23 45 67", "region": "addis_ababa", "city": "Addis Ababa",
    "sub_city": "Bole", "woreda": "03", "landmark": "Edna Mall",
}  # fmt: skip
FROZEN = {**ADDRESS, "phone_number": "+251911234567", "kebele": "", "house_number": ""}


@pytest.fixture
def courier() -> DeliveryOption:
    return factories.delivery_option(code="courier", price="150.00", name_en="Courier", name_am="መልእክተኛ")


@pytest.fixture
def ask(api, courier):
    """Place an order of 900 birr that is to be delivered in this way."""
    factories.product(sku="COFFEE", price="450.00", on_hand=100)

    def post(wish, *, path="/orders/", headers=None, **changes):
        body = {"items": [{"sku": "COFFEE", "quantity": 2}], "email": "abebech@gmail.com", "delivery": wish} | changes
        return api.post(path, body, **(headers or {}))

    return post


def bearer(user: User) -> dict[str, str]:
    return {"authorization": f"Bearer {AccessToken.for_user(user)}"}


def own_address(user: User, **changes: str) -> str:
    return str(address_book.add(user=user, **(FROZEN | changes)).pk)


# --- Placing ----------------------------------------------------------------------------------------------------------


def test_a_delivery_is_part_of_the_total_and_frozen_into_the_order(api, ask, courier):
    placed = ask({"option": "courier", "address": ADDRESS}, expected_total="1050.00").json()
    DeliveryOption.objects.update(price=Decimal("999.00"), name_en="Renamed", vat_rate=Decimal("0.00"))

    read = api.get(f"/orders/{placed['number']}/", x_order_token=placed["access_token"]).json()
    assert read["delivery"] == placed["delivery"] == {
        "option": "courier", "kind": "delivery", "name": {"en": "Courier", "am": "መልእክተኛ"}, "price": "150.00",
        "vat_rate": "15.00", "vat_amount": "19.57", "address": FROZEN,
    }  # fmt: skip
    assert read["total"] == "1050.00"
    assert read["vat_total"] == "136.96"  # 117.39 of the goods, 19.57 of the courier
    assert read["items"][0]["line_total"] == "900.00"


def test_a_quote_says_what_placing_would(ask):
    quoted = ask({"option": "courier", "address": ADDRESS}, path="/orders/quote/").json()
    placed = ask({"option": "courier", "address": ADDRESS}).json()

    assert {name: placed[name] for name in quoted} == quoted
    assert Order.objects.count() == 1


def test_an_expected_total_has_to_include_the_delivery(ask, problem):
    refused = problem(
        ask({"option": "courier", "address": ADDRESS}, expected_total="900.00"), status=409, code="price_changed"
    )
    assert refused["total"] == "1050.00"


def test_without_a_delivery_an_order_is_as_it_was(ask, api):
    placed = api.post("/orders/", {"items": [{"sku": "COFFEE", "quantity": 2}], "email": "abebech@gmail.com"}).json()

    assert (placed["total"], placed["delivery"]) == ("900.00", None)
    assert Order.objects.get().delivery is None


@pytest.mark.parametrize("kind", ["pickup", "digital"])
def test_what_is_not_sent_wants_no_address(ask, problem, kind):
    factories.delivery_option(code="other", kind=kind, price="0.00")

    assert ask({"option": "other"}).json()["delivery"] | {"name": ""} == {
        "option": "other", "kind": kind, "name": "", "price": "0.00", "vat_rate": "15.00", "vat_amount": "0.00",
        "address": None,
    }  # fmt: skip
    problem(ask({"option": "other", "address": ADDRESS}), status=400, code="delivery_address_not_wanted")


def test_what_is_sent_wants_an_address_in_a_region_that_is_served(ask, problem):
    problem(ask({"option": "courier"}), status=400, code="delivery_address_required")
    refused = problem(
        ask({"option": "courier", "address": ADDRESS | {"region": "sidama"}}), status=409, code="delivery_not_available"
    )
    assert (refused["option"], refused["region"]) == ("courier", "sidama")
    assert not Order.objects.exists()


def test_what_is_not_offered_is_unknown(ask, problem):
    factories.delivery_option(code="old", is_active=False)

    for code in ("old", "nothing"):
        problem(ask({"option": code, "address": ADDRESS}), status=404, code="unknown_delivery_option")


def test_an_option_in_another_currency_is_not_available(ask, problem):
    factories.delivery_option(code="abroad", price="5.00", currency="USD")

    refused = problem(ask({"option": "abroad", "address": ADDRESS}), status=409, code="delivery_not_available")
    assert refused["currency"] == "USD"


@pytest.mark.parametrize(("free_from", "price"), [("900.00", "0.00"), ("900.01", "150.00")])
def test_goods_of_enough_are_delivered_for_nothing(ask, free_from, price):
    DeliveryOption.objects.update(free_from=Decimal(free_from))

    placed = ask({"option": "courier", "address": ADDRESS}).json()

    assert placed["delivery"]["price"] == price
    assert Decimal(placed["total"]) == 900 + Decimal(price)


def test_a_customer_names_an_address_of_their_own(ask, problem):
    mine, other = factories.user(), factories.user()
    wish = {"option": "courier", "address_id": own_address(mine)}

    assert ask(wish, headers=bearer(mine)).json()["delivery"]["address"] == FROZEN
    problem(ask(wish, headers=bearer(other)), status=404, code="address_not_found")
    problem(ask(wish), status=404, code="address_not_found")
    problem(
        ask({"option": "courier", "address_id": str(uuid.uuid4())}, headers=bearer(mine)),
        status=404,
        code="address_not_found",
    )


def test_what_is_removed_from_the_address_book_stays_in_the_order(ask):
    mine = factories.user()
    address_id = own_address(mine)
    ask({"option": "courier", "address_id": address_id}, headers=bearer(mine))

    address_book.remove(user=mine, address_id=uuid.UUID(address_id))

    assert Order.objects.get().delivery_address == FROZEN


@pytest.mark.parametrize(
    ("wish", "field", "code"),
    [
        ({}, "delivery.option", "required"),
        ("courier", "delivery", "invalid"),
        (None, "delivery", "null"),
        ({"option": 1}, "delivery.option", "invalid"),
        ({"option": "courier", "address": {}}, "delivery.address.recipient_name", "required"),
        ({"option": "courier", "address": "Bole"}, "delivery.address", "invalid"),
        ({"option": "courier", "address": ADDRESS | {"region": "mars"}}, "delivery.address.region", "invalid_choice"),
        ({"option": "courier", "address": ADDRESS | {"phone_number": "1"}}, "delivery.address.phone_number", None),
        ({"option": "courier", "address_id": 7}, "delivery.address_id", "invalid"),
        ({"option": "courier", "address_id": "7"}, "delivery.address_id", "invalid"),
        (
            {"option": "courier", "address": ADDRESS, "address_id": str(uuid.uuid4())},
            "delivery.address_id",
            "one_address",
        ),
    ],
)  # fmt: skip
def test_a_wish_that_says_nothing_sensible_is_refused_by_its_field(ask, problem, wish, field, code):
    refused = problem(ask(wish), status=400, code="invalid_input")
    assert field in [error["field"] for error in refused["errors"]]
    assert code in {None, *(error["code"] for error in refused["errors"])}


@pytest.mark.parametrize("wish", [{"price": "0.00"}, {"address": ADDRESS | {"is_default": True}}])
def test_a_field_that_is_not_there_is_refused_in_the_nested_body_too(ask, problem, wish):
    problem(ask({"option": "courier", "address": ADDRESS} | wish), status=400, code="unknown_field")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    goods=st.decimals(min_value="0.00", max_value="9999999.99", places=2),
    price=st.decimals(min_value="0.00", max_value="9999999.99", places=2),
    rate=st.decimals(min_value="0.00", max_value="100.00", places=2),
)
def test_the_vat_of_a_delivery_never_exceeds_its_price(courier, goods, price, rate):
    DeliveryOption.objects.update(price=price, vat_rate=rate, free_from=None)

    chosen = delivery.choose(
        wish=Wish(option="courier", address=FROZEN), goods=Money.parse(f"{goods:.2f}", "ETB"), customer=None
    )

    assert chosen.price == Money.parse(f"{price:.2f}", "ETB")
    assert 0 <= chosen.vat_amount.amount <= price


# --- What the database says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"delivery_price": Decimal("1.00")},
        {"delivery_name_en": "Another"},
        {"delivery_vat_amount": Decimal("0.00")},
        {"delivery_address": FROZEN | {"city": "Adama"}},
    ],
)
def test_nothing_of_a_delivery_changes_afterwards(ask, change):
    ask({"option": "courier", "address": ADDRESS})

    with pytest.raises(InternalError, match="pgtrigger"):
        Order.objects.update(**change)


def test_the_address_can_be_erased_and_nothing_else_is_lost(api, ask):
    placed = ask({"option": "courier", "address": ADDRESS}).json()

    Order.objects.update(delivery_address=None)

    read = api.get(f"/orders/{placed['number']}/", x_order_token=placed["access_token"]).json()
    assert read["delivery"] == placed["delivery"] | {"address": None}


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ({"regions": []}, "delivery_option_regions_of_its_kind"),
        ({"kind": "pickup"}, "delivery_option_regions_of_its_kind"),
        ({"kind": "pigeon"}, "delivery_option_regions_of_its_kind"),
        ({"regions": ["mars"]}, "delivery_option_regions_known"),
        ({"price": Decimal("-0.01")}, "delivery_option_price_possible"),
        ({"free_from": Decimal("0.00")}, "delivery_option_free_from_positive"),
        ({"vat_rate": Decimal("100.01")}, "delivery_option_vat_rate_possible"),
        ({"currency": "EUR"}, "delivery_option_currency_known"),
    ],
)
def test_the_database_takes_no_impossible_option(courier, change, constraint):
    with pytest.raises(IntegrityError, match=constraint):
        DeliveryOption.objects.update(**change)


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"delivery_vat_rate": None}, "order_delivery_whole_or_none"),
        ({"delivery_price": None}, "order_delivery_whole_or_none"),
        ({"delivery_code": ""}, "order_delivery_whole_or_none"),
        ({"delivery_kind": "pigeon"}, "order_delivery_"),
        ({"delivery_price": Decimal("900.00")}, "order_delivery_within_total"),
        ({"delivery_price": Decimal("-1.00"), "delivery_vat_amount": Decimal("0.00")}, "order_delivery_within_total"),
        ({"delivery_vat_amount": Decimal("150.01")}, "order_delivery_within_total"),
        ({"delivery_kind": "pickup"}, "order_delivery_address_of_its_kind"),
    ],
)
def test_the_database_takes_no_half_delivery(order, fields, constraint):
    whole = {
        "delivery_code": "courier", "delivery_kind": "delivery", "delivery_name_en": "Courier",
        "delivery_price": Decimal("150.00"), "delivery_vat_rate": Decimal("15.00"),
        "delivery_vat_amount": Decimal("19.57"), "delivery_address": FROZEN,
    }  # fmt: skip
    order.pk, order.number = None, "AAAA-AAAA"
    for name, value in (whole | fields).items():
        setattr(order, name, value)

    with pytest.raises(IntegrityError, match=constraint):
        order.save(force_insert=True)


# --- What is offered --------------------------------------------------------------------------------------------------


def test_anybody_sees_what_is_offered_and_keeps_it(api, courier):
    factories.delivery_option(code="old", is_active=False)
    answer = api.get("/delivery-options/")

    assert answer.json()["results"] == [
        {
            "code": "courier", "kind": "delivery", "name": {"en": "Courier", "am": "መልእክተኛ"}, "price": "150.00",
            "currency": "ETB", "free_from": None, "regions": ["addis_ababa"],
        }
    ]  # fmt: skip
    assert answer.headers["Cache-Control"].startswith("public")
    assert api.get("/delivery-options/", if_none_match=answer.headers["ETag"]).status_code == 304


def test_options_are_asked_for_by_region_and_currency(api, courier, problem):
    factories.delivery_option(code="pickup", kind="pickup", price="0.00")
    factories.delivery_option(code="abroad", price="5.00", currency="USD", regions=["sidama"])

    def codes(query: str) -> list[str]:
        return sorted(each["code"] for each in api.get(f"/delivery-options/?{query}").json()["results"])

    assert codes("region=addis_ababa") == ["courier", "pickup"]
    assert codes("region=sidama") == ["abroad", "pickup"]
    assert codes("region=sidama&currency=ETB") == ["pickup"]
    problem(api.get("/delivery-options/?region=mars"), status=400, code="invalid_input")
    problem(api.get("/delivery-options/?currency=EUR"), status=400, code="invalid_input")


def test_a_name_that_nobody_translated_is_told_in_english(api):
    factories.delivery_option(code="plain", name_en="Plain")

    assert api.get("/delivery-options/").json()["results"][0]["name"] == {"en": "Plain", "am": "Plain"}


def test_staff_edit_an_option_and_the_regions_are_chosen_from_those_there_are(courier):
    staff = Client()
    staff.force_login(factories.user(is_staff=True, is_superuser=True))
    url = reverse("admin:orders_deliveryoption_change", args=[courier.pk])
    fields = {
        "code": "courier", "name_en": "Courier", "name_am": "", "kind": "delivery", "price": "175.00",
        "currency": "ETB", "vat_rate": "15.00", "free_from": "", "position": "0", "is_active": "on",
    }  # fmt: skip

    assert staff.post(url, fields | {"regions": ["mars"]}).status_code == 200
    assert staff.post(url, fields | {"regions": []}).status_code == 200  # the constraint, as an error of the form
    assert staff.post(url, fields | {"regions": ["sidama", "harari"]}).status_code == 302

    courier.refresh_from_db()
    assert (courier.price, courier.regions) == (Decimal("175.00"), ["sidama", "harari"])


@pytest.mark.django_db(transaction=True)
def test_the_demo_options_are_added_once_and_reach_every_region(capsys):
    call_command("seed_delivery_options")
    DeliveryOption.objects.filter(code="courier").update(name_en="Renamed")
    call_command("seed_delivery_options")

    assert capsys.readouterr().out.splitlines() == [
        "delivery: 4 options added, 0 there already",
        "delivery: 0 options added, 4 there already",
    ]
    assert DeliveryOption.objects.get(code="courier").name_en == "Renamed"
    for region in regions.REGIONS:
        assert delivery.options().filter(delivery.reaching(region), kind="delivery").count() == 1
