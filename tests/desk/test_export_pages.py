from __future__ import annotations

import re
from dataclasses import replace

import pytest
from django.urls import reverse

from desk.models import Export
from orders.models import Order
from tests import factories, staff
from tests.desk.taking_out import ORDERS, ask, desk_of, finance, make, rows_of
from users.roles import Role

pytestmark = pytest.mark.django_db

LIST = "/admin/orders/order/"
NEW = f"/admin/desk/export/new/{ORDERS}/"


@pytest.fixture(autouse=True)
def _folder(settings, tmp_path):
    settings.EXPORTS = replace(settings.EXPORTS, folder=tmp_path / "exports")


@pytest.fixture
def none_at_once(settings, order):
    """Not even a list with a single row in it."""
    settings.EXPORTS = replace(settings.EXPORTS, at_once=0)


def page_of(export):
    return reverse("admin:desk_export_change", args=[export.pk])


def file_of(export):
    return reverse("admin:desk_export_file", args=[export.pk])


def test_a_list_leads_to_its_file_with_its_own_question():
    order, _other = factories.order(), factories.order()
    client = desk_of(finance())
    query = f"q={order.number}"

    shown = client.get(f"{LIST}?{query}").content.decode()
    [link] = re.findall(r'href="([^"]*export/new[^"]*)"', shown)
    assert link == f"{NEW}?{query}"
    asked = client.get(link).content.decode()
    assert f"search: {order.number}" in asked
    answer = client.post(link, {"format": "csv"})

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="orders-20')
    assert [row["number"] for row in rows_of(b"".join(answer.streaming_content))] == [order.number]


def test_who_may_not_take_lists_out_is_not_offered_it_and_does_not_get_it():
    client = desk_of(staff.person(Role.SUPPORT))

    assert "export/new" not in client.get(LIST).content.decode()
    assert client.get(NEW).status_code == 403
    assert client.post(NEW, {"format": "csv"}).status_code == 403
    assert client.get("/admin/desk/export/").status_code == 403
    assert "/admin/desk/export/" not in client.get("/admin/").content.decode()


def test_a_list_without_an_export_has_none():
    client = desk_of(factories.user(is_staff=True, is_superuser=True))

    assert "export/new" not in client.get("/admin/users/user/").content.decode()
    for kind in ("users.user", "accounting", "nonsense", "orders.nothing"):
        assert client.get(f"/admin/desk/export/new/{kind}/").status_code == 404


def test_a_question_that_is_none_is_not_found():
    assert desk_of(finance()).get(f"{NEW}?nonsense=1").status_code == 404


def test_what_is_filtered_by_is_shown_and_never_run():
    shown = desk_of(finance()).get(NEW, {"q": "<script>alert(1)</script>"}).content.decode()

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script>alert(1)" not in shown


def test_a_long_list_is_made_while_its_page_looks_again_by_itself(none_at_once):
    order = factories.order()
    user = finance()
    client = desk_of(user)

    answer = client.post(f"{NEW}?q={order.number}", {"format": "csv"})
    export = Export.objects.get()
    assert answer.headers["Location"] == page_of(export)
    waiting = client.get(page_of(export)).content.decode()
    assert 'hx-trigger="every 2s"' in waiting
    assert "<progress" in waiting
    assert "search: " + order.number in waiting
    assert client.get(file_of(export)).status_code == 404
    make(export)

    ready = client.get(page_of(export)).content.decode()
    assert "every 2s" not in ready
    assert file_of(export) in ready
    answer = client.get(file_of(export))
    assert [row["number"] for row in rows_of(b"".join(answer.streaming_content))] == [order.number]
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="order')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_nobody_else_sees_it_or_gets_it_not_even_a_superuser():
    factories.order()
    export = make(ask(finance()))

    for other in (finance(), factories.user(is_staff=True, is_superuser=True)):
        client = desk_of(other)
        assert client.get(file_of(export)).status_code == 404
        assert str(export.pk) not in client.get("/admin/desk/export/").content.decode()
        assert client.get(page_of(export)).status_code in {302, 404}
    mine = desk_of(export.owner)
    assert mine.get(file_of(export)).status_code == 200
    assert export.file_name not in mine.get(page_of(export)).content.decode()


def test_a_role_that_was_taken_away_ends_it():
    export = make(ask(finance()))
    export.owner.groups.clear()

    assert desk_of(export.owner).get(file_of(export)).status_code == 403


def test_what_could_not_be_made_says_why():
    export = ask(finance())
    groups = list(export.owner.groups.all())
    export.owner.groups.clear()
    make(export)
    export.owner.groups.set(groups)

    assert "You may not take this list out any more." in desk_of(export.owner).get(page_of(export)).content.decode()


def test_a_fourth_export_is_refused_in_words(none_at_once):
    client = desk_of(finance())
    for _ in range(3):
        client.post(NEW, {"format": "csv"})

    shown = client.post(NEW, {"format": "csv"}).content.decode()

    assert "Three of your exports are being made" in shown
    assert Export.objects.count() == 3


def test_what_is_asked_for_in_no_format_is_asked_again():
    answer = desk_of(finance()).post(NEW, {"format": "exe"})

    assert answer.status_code == 200
    assert not answer.streaming
    assert Order.objects.count() == Export.objects.count() == 0
