"""How a session of the desk ends, how often a password is tried there, and what wants it once more."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from django.test import Client
from django.utils.timezone import now

from core.models import AuditEntry, Event
from desk import door
from payments import discrepancies
from payments.models import DiscrepancyKind, Refund
from tests import factories, second_factors, staff
from tests.gateways import FakeGateway
from tests.payments import money
from users import sessions
from users.models import User
from users.roles import Role

pytestmark = pytest.mark.django_db

LOGIN = "/admin/login/"


def sign_in(user: User, *, password: str = factories.PASSWORD, client: Client | None = None, **headers: str) -> Any:
    return (client or Client()).post(
        LOGIN, {"username": user.email, "password": password, "next": "/admin/"}, headers=headers
    )


@pytest.fixture
def person() -> User:
    return staff.person(Role.ADMIN)


@pytest.fixture
def desk(person: User) -> Client:
    client = Client()
    assert sign_in(person, client=client).status_code == 302
    return client


def ago(client: Client, **names: timedelta) -> None:
    """As if this had been so long ago in the session: `seen`, `began`, `password`, `code`."""
    session = client.session
    for name, how_long in names.items():
        session[f"desk_{name}_at"] = (now() - how_long).timestamp()
    session.save()


class TestASession:
    def test_goes_on_as_long_as_somebody_is_there(self, desk):
        ago(desk, seen=timedelta(minutes=29), began=timedelta(hours=11, minutes=59))

        assert desk.get("/admin/").status_code == 200
        assert now().timestamp() - desk.session["desk_seen_at"] < 60

    @pytest.mark.parametrize(
        ("name", "how_long", "why", "words"),
        [
            ("seen", timedelta(minutes=31), "idle", "because nothing happened"),
            ("began", timedelta(hours=12, minutes=1), "long", "longer than twelve hours"),
        ],
    )
    def test_ends_and_the_sign_in_says_why_and_leads_back(self, desk, name, how_long, why, words):
        ago(desk, **{name: how_long})

        ended = desk.get("/admin/orders/order/?q=1")

        assert ended.headers["Location"] == f"/admin/login/?ended={why}&next=%2Fadmin%2Forders%2Forder%2F%3Fq%3D1"
        page = desk.get(ended.headers["Location"]).content.decode()
        assert words in page
        assert desk.get("/admin/").headers["Location"].startswith(LOGIN), "and it does not come to life again"

    def test_that_ended_does_nothing_of_what_it_was_sent(self, desk):
        ago(desk, seen=timedelta(minutes=31))

        answer = desk.post("/admin/products/category/add/", {"name": "Tea", "slug": "tea"})

        assert answer.headers["Location"] == "/admin/login/?ended=idle&next=%2Fadmin%2Fproducts%2Fcategory%2Fadd%2F"

    def test_lasts_as_the_setting_says(self, desk, settings):
        settings.STAFF_IDLE = timedelta(minutes=5)
        ago(desk, seen=timedelta(minutes=6))

        assert desk.get("/admin/").status_code == 302

    def test_a_strange_reason_is_no_error(self):
        assert Client().get(LOGIN, {"ended": "<script>alert(1)</script>"}).status_code == 200

    @pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
    def test_ends_at_the_next_request_of_whoever_is_staff_no_more(self, desk, person, change):
        User.objects.filter(pk=person.pk).update(**change)

        assert desk.get("/admin/").headers["Location"].startswith(LOGIN)
        User.objects.filter(pk=person.pk).update(is_active=True, is_staff=True)
        assert desk.get("/admin/").headers["Location"].startswith(LOGIN)

    def test_ends_everywhere_else_with_a_new_password_which_is_written_down(self, desk, person):
        elsewhere = Client()
        sign_in(person, client=elsewhere)
        new = "another-long-phrase-8"

        changed = desk.post(
            "/admin/password_change/",
            {"old_password": factories.PASSWORD, "new_password1": new, "new_password2": new},
        )

        assert changed.headers["Location"] == "/admin/password_change/done/"
        assert desk.get("/admin/").status_code == 200
        assert elsewhere.get("/admin/").headers["Location"].startswith(LOGIN)
        assert AuditEntry.objects.get(verb="user.change_own_password").actor == f"staff:{person.pk}"
        assert Event.objects.filter(topic="user.password_changed").count() == 1

    def test_a_wrong_old_password_changes_and_writes_nothing(self, desk):
        desk.post("/admin/password_change/", {"old_password": "x", "new_password1": "y", "new_password2": "y"})

        assert not AuditEntry.objects.exists()


class TestTheSignIn:
    def test_of_one_account_is_tried_ten_times_and_says_when_it_counts_again(self, person):
        for _ in range(10):
            assert "Please enter the correct" in sign_in(person, password="wrong").content.decode()

        locked = sign_in(person)

        assert re.search(r"Too many tries. The next one counts at \d\d:\d\d \(EAT\)", locked.content.decode())
        assert sign_in(staff.person(Role.SUPPORT)).status_code == 302, "the others are not locked out"

    def test_is_locked_for_an_address_that_nobody_has_just_the_same(self):
        nobody = User(email="nobody@gmail.com")
        for _ in range(10):
            sign_in(nobody, password="wrong")

        assert "Too many tries" in sign_in(nobody).content.decode()

    def test_of_one_address_is_tried_fifty_times_and_a_thousand_forged_headers_change_nothing(self, settings):
        settings.TRUSTED_PROXIES = 1
        for number in range(50):
            sign_in(User(email=f"a{number}@gmail.com"), x_forwarded_for=f"10.0.{number}.1, 203.0.113.7")

        for number in range(20):
            forged = f"{number}.{number}.{number}.{number}, 198.51.100.{number}, 203.0.113.7"
            assert (
                "Too many tries" in sign_in(User(email=f"b{number}@gmail.com"), x_forwarded_for=forged).content.decode()
            )
        elsewhere = sign_in(User(email="c@gmail.com"), x_forwarded_for="203.0.113.7, 203.0.113.8")
        assert "Too many tries" not in elsewhere.content.decode()

    def test_that_is_locked_is_written_down_once_and_blames_nobody(self, person):
        for _ in range(14):
            sign_in(person, password="wrong")

        entry = AuditEntry.objects.get(verb="sign_in.lock")
        assert (entry.actor, entry.subject_kind, entry.subject_id) == ("unknown", "users.User", str(person.pk))

    def test_by_capitals_and_blanks_is_the_same_account(self, person):
        for number in range(10):
            sign_in(User(email=f" {person.email.upper()}" if number % 2 else person.email), password="wrong")

        assert "Too many tries" in sign_in(person).content.decode()

    def test_does_not_touch_the_api_nor_the_api_it(self, person, api):
        for _ in range(11):
            sign_in(person, password="wrong")

        answer = api.post("/auth/token/", {"email": person.email, "password": factories.PASSWORD}, key=None)

        assert answer.status_code == 200

    @pytest.mark.django_db(transaction=True)
    def test_a_hundred_at_once_are_counted_before_one_is_looked_at(self, person, in_threads):
        at = now()

        came = in_threads(
            [lambda n=n: door.count_try(email=person.email, address=f"10.0.0.{n}", at=at) for n in range(16)]
        )

        assert came.count(None) == 10


class TestWhatMovesMoney:
    @pytest.fixture
    def waiting(self) -> Refund:
        return money.ask(money.paid(FakeGateway(), total="20000.00"), actor="staff:1")

    def approve(self, client: Client, *rows: Refund, **given: Any) -> Any:
        chosen = {"action": "approve", "_selected_action": [str(row.pk) for row in rows]}
        return client.post("/admin/payments/refund/", {**chosen, **given})

    def test_asks_for_the_password_where_it_was_given_more_than_five_minutes_ago(self, desk, waiting):
        ago(desk, password=sessions.RECENT + timedelta(seconds=5))

        page = self.approve(desk, waiting, confirmed="yes").content.decode()

        assert "Is it still you?" in page
        assert "confirm-code" not in page
        waiting.refresh_from_db()
        assert waiting.status == "awaiting_approval"

    def test_goes_on_with_the_same_verb_the_same_rows_and_what_was_written(self, desk, waiting):
        other = money.ask(money.paid(FakeGateway(), total="20000.00"), actor="staff:1")
        ago(desk, password=timedelta(minutes=6))
        given = {"action": "reject", "confirmed": "yes", "reason": 'too “late” <b>"'}
        page = desk.post(
            "/admin/payments/refund/", {**given, "_selected_action": [str(waiting.pk), str(other.pk)]}
        ).content.decode()
        carried = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
        assert {name for name, _ in carried} >= {"action", "_selected_action", "confirmed", "reason"}
        assert "<b>" not in page

        answer = desk.post(
            "/admin/payments/refund/",
            {**given, "_selected_action": [str(waiting.pk), str(other.pk)], "confirm-password": factories.PASSWORD},
        )

        assert answer.status_code == 302
        for refund in (waiting, other):
            refund.refresh_from_db()
            assert refund.status == "rejected"
            assert refund.history.last().reason == given["reason"]

    def test_leads_from_the_button_on_a_page_to_the_verb(self, desk, waiting):
        ago(desk, password=timedelta(minutes=6))
        there = f"/admin/payments/refund/{waiting.pk}/do/approve/"
        assert "Is it still you?" in desk.get(there).content.decode()

        page = desk.post(there, {"confirm-password": factories.PASSWORD}).content.decode()
        assert "Is it still you?" not in page
        assert 'name="confirmed"' in page

        desk.post(there, {"confirmed": "yes"})
        waiting.refresh_from_db()
        assert waiting.status == "requested"

    def test_a_wrong_password_does_nothing_and_is_counted(self, desk, waiting):
        ago(desk, password=timedelta(minutes=6))

        said = self.approve(desk, waiting, confirmed="yes", **{"confirm-password": "wrong"}).content.decode()

        assert "not the account" in said
        waiting.refresh_from_db()
        assert waiting.status == "awaiting_approval"
        for _ in range(40):
            self.approve(desk, waiting, **{"confirm-password": "wrong"})
        said = self.approve(desk, waiting, confirmed="yes", **{"confirm-password": factories.PASSWORD}).content.decode()
        assert "tried too often" in said

    def test_wants_the_code_too_where_there_are_second_factors(self, person, waiting, settings):
        settings.STAFF_SECOND_FACTOR = True
        second_factors.given(person)
        client = Client()
        sign_in(person, client=client)
        earlier = second_factors.code(person, at=now() - timedelta(seconds=30))
        assert client.post("/admin/second-factor/", {"code": earlier}).status_code == 302
        ago(client, password=timedelta(minutes=6), code=timedelta(minutes=6))
        both = {"confirm-password": factories.PASSWORD, "confirm-code": second_factors.code(person)}

        alone = self.approve(client, waiting, confirmed="yes", **{"confirm-password": factories.PASSWORD})
        assert "confirm-code" in alone.content.decode()
        wrong = self.approve(client, waiting, confirmed="yes", **{**both, "confirm-code": earlier})
        assert "That is not the code" in wrong.content.decode()
        waiting.refresh_from_db()
        assert waiting.status == "awaiting_approval"

        assert self.approve(client, waiting, confirmed="yes", **both).status_code == 302
        waiting.refresh_from_db()
        assert waiting.status == "requested"

    @pytest.mark.parametrize(
        ("where", "action"),
        [
            ("payment", "give_back"), ("refund", "approve"), ("refund", "reject"), ("discrepancy", "resolve"),
        ],
    )  # fmt: skip
    def test_is_each_of_these(self, desk, waiting, where, action):
        with transaction.atomic():
            discrepancies.found(kind=DiscrepancyKind.ORPHAN, subject="AP9", ours="", theirs="", at=now())
        row = apps.get_model(f"payments.{where}").objects.first()
        ago(desk, password=timedelta(minutes=6))

        page = desk.get(f"/admin/payments/{where}/{row.pk}/do/{action}/").content.decode()

        assert "Is it still you?" in page

    def test_is_not_asked_for_when_one_has_just_signed_in(self, desk, waiting):
        assert "Is it still you?" not in self.approve(desk, waiting).content.decode()
