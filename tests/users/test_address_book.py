from __future__ import annotations

import json
import uuid

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from rest_framework_simplejwt.tokens import AccessToken

from tests import factories
from users import address_book, regions
from users.address_book import TooManyAddresses
from users.models import Address

pytestmark = pytest.mark.django_db(transaction=True)

LEAST = {"recipient_name": "አበበች በቀለ", "phone_number": "0911 23 45 67", "region": "oromia", "city": "Adama"}
PATH = "/auth/me/addresses/"


@pytest.fixture
def bearer(person):
    return {"authorization": f"Bearer {AccessToken.for_user(person)}"}


@pytest.fixture
def add(api, bearer):
    def ask(**changes):
        return api.post(PATH, LEAST | changes, key=None, **bearer)

    return ask


@pytest.fixture
def remove(api, bearer):
    def ask(address_id):
        return api.client.delete(f"/api/v1{PATH}{address_id}/", headers=bearer)

    return ask


def defaults(person) -> list[str]:
    return list(address_book.of(person).filter(is_default=True).values_list("city", flat=True))


def test_an_address_is_kept_as_it_is_said_in_ethiopia(add, person):
    given = {
        "region": "addis_ababa", "city": "Addis Ababa", "sub_city": "Bole", "woreda": "03", "kebele": "12",
        "house_number": "B-101", "landmark": "ከኤድና ሞል ጀርባ",
    }  # fmt: skip

    answer = add(**given)

    assert answer.status_code == 201, answer.content
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert told | {"id": "", "created_at": ""} == LEAST | given | {
        "phone_number": "+251911234567", "region_name": "Addis Ababa", "is_default": True, "id": "", "created_at": "",
    }  # fmt: skip
    assert Address.objects.get().user == person


def test_the_least_that_is_needed_is_who_where_and_a_phone(add):
    told = add().json()

    assert [told[name] for name in ("sub_city", "woreda", "kebele", "house_number", "landmark")] == [""] * 5


def test_the_region_s_name_is_in_the_account_s_language(api, add, bearer):
    api.patch("/auth/me/", {"language": "am"}, **bearer)

    assert add(region="south_west_ethiopia").json()["region_name"] == "ደቡብ ምዕራብ ኢትዮጵያ"


def test_there_are_twelve_regional_states_and_two_chartered_cities():
    assert len(regions.REGIONS.keys() - regions.CHARTERED_CITIES) == 12
    assert {"addis_ababa", "dire_dawa"} == regions.CHARTERED_CITIES
    assert "snnpr" not in regions.REGIONS
    assert all(set(names) == {"en", "am"} for names in regions.REGIONS.values())
    assert regions.name_of("harari", language="fr") == "Harari"


@pytest.mark.parametrize("phone", ["0911234567", "0711234567", "+251911234567", "251 71 123 4567", "(09) 11-23-45-67"])
def test_a_phone_is_kept_in_one_form(add, phone):
    assert add(phone_number=phone).json()["phone_number"].startswith("+251")
    assert len(Address.objects.get().phone_number) == 13


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("region", "snnpr"), ("region", "Oromia"), ("region", ""), ("region", None), ("region", ["oromia"]),
        ("city", ""), ("city", "x" * 101), ("city", 7), ("recipient_name", "  "), ("recipient_name", None),
        ("phone_number", ""), ("phone_number", "0115123456"), ("phone_number", "+1 202 555 0100"),
        ("is_default", "true"), ("is_default", 1), ("is_default", None), ("house_number", "x" * 41),
        ("landmark", "x" * 301), ("woreda", 3),
    ],
)  # fmt: skip
def test_a_field_that_is_not_right_is_named(add, problem, field, value):
    document = problem(add(**{field: value}), status=400, code="invalid_input")

    assert {error["field"] for error in document["errors"]} == {field}
    assert not Address.objects.exists()


@pytest.mark.parametrize("field", ["recipient_name", "phone_number", "region", "city"])
def test_what_is_needed_cannot_be_left_out(api, bearer, problem, field):
    body = {name: value for name, value in LEAST.items() if name != field}

    problem(api.post(PATH, body, key=None, **bearer), status=400, code="invalid_input")


@pytest.mark.parametrize("field", ["id", "user", "user_id", "created_at", "region_name"])
def test_nothing_can_be_smuggled_in(add, problem, field):
    problem(add(**{field: 1}), status=400, code="unknown_field")


# --- The default -----------------------------------------------------------------------------------------------------


def test_the_first_is_the_default_and_the_next_only_where_it_is_asked_for(add, person):
    add(city="Adama", is_default=False)
    add(city="Harar")
    assert defaults(person) == ["Adama"]

    add(city="Jimma", is_default=True)
    assert defaults(person) == ["Jimma"]


def test_another_becomes_the_default_in_place_of_the_one_before(api, bearer, add, person):
    add(city="Adama")
    other = add(city="Harar").json()["id"]

    answer = api.patch(f"{PATH}{other}/", {"is_default": True}, **bearer)

    assert (answer.status_code, answer.json()["is_default"]) == (200, True)
    assert defaults(person) == ["Harar"]


def test_the_default_stays_one_until_another_takes_its_place(api, bearer, add, person, problem):
    first = add(city="Adama").json()["id"]

    refused = api.patch(f"{PATH}{first}/", {"is_default": False, "city": "Jimma"}, **bearer)

    problem(refused, status=409, code="default_address_needed")
    assert defaults(person) == ["Adama"]


def test_when_the_default_goes_the_newest_of_the_others_is_it(add, remove, person):
    first = add(city="Adama").json()["id"]
    add(city="Harar")
    add(city="Jimma")

    assert remove(first).status_code == 204
    assert defaults(person) == ["Jimma"]


def test_when_another_goes_the_default_stays(add, remove, person):
    add(city="Adama")
    other = add(city="Harar").json()["id"]

    assert remove(other).status_code == 204
    assert defaults(person) == ["Adama"]


def test_the_last_may_go_too(add, remove, person):
    assert remove(add().json()["id"]).status_code == 204
    assert not address_book.of(person).exists()


def test_of_many_that_are_added_at_once_one_is_the_default(person, in_threads):
    fields = LEAST | {"phone_number": "+251911234567"}

    outcomes = in_threads(
        [lambda n=n: address_book.add(user=person, is_default=n % 2 == 0, **fields) for n in range(6)]
    )

    assert [type(each) for each in outcomes] == [Address] * 6
    assert len(defaults(person)) == 1


def test_the_database_has_the_last_word_on_the_default_and_on_regions(person):
    fields = {"user": person, "recipient_name": "A", "phone_number": "+251911234567", "city": "Adama"}
    Address.objects.create(**fields, region="oromia", is_default=True)

    with pytest.raises(IntegrityError, match="address_default_once_per_user"):
        Address.objects.create(**fields, region="oromia", is_default=True)
    with pytest.raises(IntegrityError, match="address_region_is_known"):
        Address.objects.create(**fields, region="snnpr")


# --- Whose they are --------------------------------------------------------------------------------------------------


def test_a_foreign_address_is_as_unknown_as_a_missing_one(api, bearer, problem, remove):
    other = factories.user()
    foreign = address_book.add(user=other, **LEAST | {"phone_number": "+251911234567"})

    for address_id in (foreign.pk, uuid.uuid4()):
        path = f"{PATH}{address_id}/"
        answers = [api.get(path, **bearer), api.patch(path, {"city": "X"}, **bearer), remove(address_id)]
        for answer in answers:
            problem(answer, status=404, code="address_not_found")
    foreign.refresh_from_db()
    assert foreign.city == "Adama"
    assert api.get(PATH, **bearer).json()["results"] == []


def test_nobody_sees_addresses_without_a_token(api, problem):
    problem(api.get(PATH), status=401, code="not_authenticated")
    problem(api.post(PATH, LEAST, key=None), status=401, code="not_authenticated")


def test_a_person_changes_what_they_name_and_nothing_else(api, bearer, add):
    before = add(landmark="the old bridge").json()

    answer = api.patch(f"{PATH}{before['id']}/", {"phone_number": "0711234567", "landmark": ""}, **bearer)

    assert answer.json() == before | {"phone_number": "+251711234567", "landmark": ""}
    assert api.patch(f"{PATH}{before['id']}/", {}, **bearer).json() == answer.json()


def test_the_newest_comes_first_page_by_page_with_a_constant_number_of_statements(api, bearer, add):
    for city in ("Adama", "Harar", "Jimma"):
        add(city=city)

    first = api.get(f"{PATH}?page_size=2", **bearer).json()
    with CaptureQueriesContext(connection) as seen:
        last = api.get(first["next"].partition("/api/v1")[2], **bearer).json()

    assert [each["city"] for each in first["results"] + last["results"]] == ["Jimma", "Harar", "Adama"]
    assert len(seen) == 2, "who asks, and the page"


def test_an_account_may_have_twenty(add, person, problem, in_threads):
    fields = LEAST | {"phone_number": "+251911234567"}
    for _ in range(18):
        address_book.add(user=person, **fields)

    outcomes = in_threads([lambda: address_book.add(user=person, **fields)] * 4)

    assert [isinstance(each, TooManyAddresses) for each in outcomes].count(True) == 2
    problem(add(), status=409, code="too_many_addresses")


def test_nothing_of_an_address_is_logged(add, remove, caplog):
    remove(add(city="Bishoftu", landmark="ከድልድዩ አጠገብ").json()["id"])

    for personal in ("Bishoftu", "ድልድዩ", "911234567", "አበበች", json.dumps("አበበች")[1:-1]):
        assert personal not in caplog.text
