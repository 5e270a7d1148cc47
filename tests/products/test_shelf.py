from __future__ import annotations

import threading
import uuid

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now

from core import redis_link
from core.models import Event
from orders import lifecycle
from payments import settlement
from products import catalogue, shelf, stock, tasks
from products.models import Category, Product
from tests import factories
from tests.payments.money import arrives, ask

pytestmark = pytest.mark.django_db(transaction=True)

WAIT = 30


@pytest.fixture(autouse=True)
def _kept(settings, monkeypatch):
    """A cache of this test's own."""
    settings.CATALOGUE_CACHE_SECONDS = 30
    settings.REDIS_TIMEOUT_MS = 5_000
    settings.REDIS_KEY_PREFIX = f"test-{uuid.uuid4().hex}"
    monkeypatch.setattr(shelf, "_owed", False)


@pytest.fixture
def coffee():
    return factories.product(sku="COFFEE", price="450.00", on_hand=10)


def body(text="x"):
    return text.encode


def unwanted():
    raise AssertionError("was made, although it is kept")


# --- What is kept ---


def test_an_answer_is_made_once():
    assert shelf.take(address="a", make=body("one")) == b"one"
    assert shelf.take(address="a", make=unwanted) == b"one"
    assert shelf.take(address="b", make=body("two")) == b"two"


def test_with_a_new_generation_it_is_made_anew():
    shelf.take(address="a", make=body("old"))
    shelf.forget()

    assert shelf.take(address="a", make=body("new")) == b"new"
    assert shelf.take(address="a", make=unwanted) == b"new"


def test_what_was_read_before_a_change_is_not_kept_as_if_it_were_from_after_it():
    def make():
        shelf.forget()  # somebody commits a change while the old rows are being written out
        return b"old"

    assert shelf.take(address="a", make=make) == b"old"
    assert shelf.take(address="a", make=body("new")) == b"new"


def test_what_cannot_be_made_is_not_kept_and_holds_nobody_up():
    def fail():
        raise KeyError

    for _ in range(3):
        with pytest.raises(KeyError):
            shelf.take(address="a", make=fail, pause=lambda _: pytest.fail("waited for somebody who had failed"))


def test_an_emptied_redis_never_gives_back_what_it_once_kept():
    """The name of a generation is never used again, as that of a counter which begins anew would be."""
    shelf.take(address="a", make=body("old"))
    redis_link.ask(lambda link: link.delete(redis_link.key("shelf", "generation")), otherwise=None)

    assert shelf.take(address="a", make=body("new")) == b"new"


def test_rubbish_in_redis_is_no_answer():
    redis_link.ask(lambda link: link.set(redis_link.key("shelf", "generation"), b"rubbish"), otherwise=None)

    assert shelf.take(address="a", make=body("made")) == b"made"


# --- Everybody at once ---


def test_of_many_who_ask_at_once_one_asks_the_database(in_threads):
    made, waiting, filled = [], threading.Semaphore(0), threading.Event()

    def make():
        made.append(1)
        for _ in range(5):
            assert waiting.acquire(timeout=WAIT)  # the others are all waiting now
        return b"one"

    def pause(_seconds):
        if not filled.is_set():
            waiting.release()
            assert filled.wait(WAIT)

    def one():
        answer = shelf.take(address="a", make=make, pause=pause)
        filled.set()
        return answer

    assert in_threads([one] * 6) == [b"one"] * 6
    assert len(made) == 1


def test_who_waits_for_somebody_that_died_goes_on_alone():
    """It had claimed to make the answer, and never did."""
    paused = []

    def make():
        return shelf.take(address="a", make=body("mine"), pause=paused.append)

    assert shelf.take(address="a", make=make) == b"mine"
    assert len(paused) == shelf.LOOKS


# --- Without Redis ---


@pytest.fixture
def away(settings):
    settings.REDIS_URL = "redis://127.0.0.1:9/0"


def test_without_redis_the_catalogue_is_read_from_the_database(away, api, coffee):
    for _ in range(3):
        answer = api.get("/products/")
        assert (answer.status_code, answer.json()["results"][0]["sku"]) == (200, "COFFEE")
        assert answer.headers["ETag"]


def test_without_redis_orders_are_placed(away, coffee):
    factories.order(items=[(coffee, 1)])

    coffee.refresh_from_db()
    assert coffee.available == 9


def test_a_change_that_redis_did_not_hear_of_is_made_up_for(settings, coffee, api):
    url = settings.REDIS_URL
    assert api.get("/products/").json()["results"][0]["available"] == 10
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    factories.order(items=[(coffee, 1)])
    settings.REDIS_URL = url

    assert api.get("/products/").json()["results"][0]["available"] == 9


# --- What begins a new generation ---


@pytest.fixture
def shown(api, coffee):
    def read():
        listed = api.get("/products/").json()["results"][0]
        assert api.get(f"/products/{coffee.slug}/").json() == listed
        return listed

    read()
    return read


def test_a_read_asks_nothing_of_the_database_while_nothing_changes(shown, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert shown()["available"] == 10


def test_every_move_of_stock_is_seen_at_once(shown, coffee, gateway):
    first = factories.order(items=[(coffee, 3)])
    assert shown()["available"] == 7
    lifecycle.cancel(number=first.number, actor="guest", at=now())
    assert shown()["available"] == 10
    late = factories.order(items=[(coffee, 4)])
    payment = factories.pending_payment(order=late, gateway=gateway)
    late.refresh_from_db()
    lifecycle.expire(number=late.number, at=late.expires_at)
    assert shown()["available"] == 10
    gateway.pay(payment)
    payment = settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())
    assert shown()["available"] == 6
    arrives(ask(payment), gateway)
    assert shown()["available"] == 10
    with transaction.atomic():
        stock.adjust(product_id=coffee.pk, by=5)
    assert shown()["available"] == 15


def test_a_sale_of_what_was_held_changes_nothing_that_is_shown(shown, coffee, gateway, django_assert_num_queries):
    payment = factories.pending_payment(order=factories.order(items=[(coffee, 3)]), gateway=gateway)
    assert shown()["available"] == 7
    gateway.pay(payment)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())

    with django_assert_num_queries(0):
        assert shown()["available"] == 7


def test_an_order_that_fails_changes_nothing(shown, coffee, django_assert_num_queries):
    with pytest.raises(stock.OutOfStock):
        factories.order(items=[(coffee, 11)])

    with django_assert_num_queries(0):
        assert shown()["available"] == 10


@pytest.fixture
def staff(client):
    client.force_login(factories.user(is_staff=True, is_superuser=True))
    return client


def events():
    return Event.objects.filter(topic="catalogue.changed").count()


def test_a_price_that_the_staff_change_is_seen_at_once_and_told_to_the_outbox(shown, coffee, staff):
    staff.post(
        reverse("admin:products_product_change", args=[coffee.pk]),
        {
            "sku": coffee.sku, "slug": coffee.slug, "name": coffee.name, "description": "", "is_active": "on",
            "category": coffee.category_id, "price": "499.00", "currency": "ETB",
        },
    )  # fmt: skip

    assert shown()["price"] == "499.00"
    assert events() == 1


def test_a_category_that_the_staff_change_or_delete_is_seen_at_once(api, coffee, staff):
    other = Category.objects.create(slug="spices", name="Spices", position=9)

    def names():
        return [each["name"] for each in api.get("/categories/").json()["results"]]

    assert names() == ["Coffee", "Spices"]
    renamed = {"slug": "spices", "name": "Herbs", "position": 9, "vat_rate": "15.00"}
    staff.post(reverse("admin:products_category_change", args=[other.pk]), renamed)
    assert names() == ["Coffee", "Herbs"]
    staff.post(reverse("admin:products_category_delete", args=[other.pk]), {"post": "yes"})
    assert names() == ["Coffee"]
    for slug in ("one", "two"):
        Category.objects.create(slug=slug, name=slug)
    shelf.forget()
    assert len(names()) == 3
    chosen = list(Category.objects.exclude(slug="coffee").values_list("pk", flat=True))
    staff.post(
        reverse("admin:products_category_changelist"),
        {"action": "delete_selected", "_selected_action": chosen, "post": "yes"},
    )
    assert names() == ["Coffee"]
    assert events() == 3


def test_the_event_makes_up_for_who_died_after_the_commit(shown, coffee):
    Product.objects.filter(pk=coffee.pk).update(price="1.00")
    assert shown()["price"] == "450.00"

    tasks.forget_shelf(anything="from another release")

    assert shown()["price"] == "1.00"


def test_a_change_is_told_in_its_own_transaction(coffee):
    with pytest.raises(RuntimeError, match=r"catalogue\.changed must be recorded in the transaction"):
        catalogue.changed()


def test_placement_never_sells_at_a_price_that_is_only_kept(shown, coffee):
    Product.objects.filter(pk=coffee.pk).update(price="500.00")
    assert shown()["price"] == "450.00"

    assert str(factories.order(items=[(coffee, 1)]).total) == "500.00 ETB"


# --- The address of an answer ---


def test_what_no_filter_knows_makes_no_new_answer(api, shown, django_assert_num_queries):
    first = api.get("/products/?page_size=1&ordering=name").content

    with django_assert_num_queries(0):
        for same in (
            "?ordering=name&page_size=1",
            "?utm=x&page_size=1&ordering=name",
            "?page_size=7&page_size=1&ordering=name",
        ):
            assert api.get(f"/products/{same}").content == first


def test_links_carry_only_what_says_something(api, shown):
    factories.product()
    document = api.get("/products/?page_size=1&utm=x&token=secret").json()

    assert "page_size=1" in document["next"]
    assert "utm" not in document["next"]
    assert "secret" not in document["next"]


def test_an_answer_for_one_host_is_not_given_to_another(api, shown):
    factories.product()
    shelf.forget()
    ours = api.client.get("/api/v1/products/?page_size=1", headers={"host": "testserver"}).json()["next"]
    theirs = api.client.get("/api/v1/products/?page_size=1", headers={"host": "localhost"}).json()["next"]

    assert ours.startswith("http://testserver/")
    assert theirs.startswith("http://localhost/")


def test_refusals_are_the_same_again(api, shown, problem):
    for _ in range(2):
        problem(api.get("/products/?ordering=secret"), status=400, code="invalid_input")
        problem(api.get("/products/nowhere/"), status=404, code="not_found")


# --- Over HTTP ---


@pytest.mark.parametrize("path", ["/products/", "/categories/", "/products/{slug}/"])
def test_a_caller_that_has_the_answer_gets_304(api, shown, coffee, path):
    path = path.format(slug=coffee.slug)
    first = api.get(path)
    etag = first.headers["ETag"]
    assert first.headers["Cache-Control"] == "public, max-age=5, stale-while-revalidate=30"

    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = api.get(path, if_none_match=known)
        assert (again.status_code, again.content) == (304, b""), known
        assert again.headers["ETag"] == etag
        assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert again.headers["X-Request-ID"]
    for unknown in ('"other"', "", "rubbish", etag.strip('"')):
        assert api.get(path, if_none_match=unknown).content == first.content


def test_a_change_has_another_etag(api, shown, coffee):
    etag = api.get("/products/").headers["ETag"]
    factories.order(items=[(coffee, 1)])

    changed = api.get("/products/", if_none_match=etag)

    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_refusals_are_kept_by_nobody(api, shown):
    assert api.get("/products/nowhere/").headers["Cache-Control"] == "no-store"
    assert api.get("/products/?ordering=x").headers["Cache-Control"] == "no-store"
