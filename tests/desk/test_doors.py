"""How somebody asks to be forgotten: over the API, on the staff site, by a command."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.utils.timezone import now

from desk.flow import ErasureStatus
from desk.models import Erasure
from desk.tasks import sweep
from orders import lifecycle
from tests import factories, staff
from tests.desk import people
from users.roles import Role

pytestmark = pytest.mark.django_db

THERE = "/auth/me/deletion/"


class TestTheApi:
    @pytest.fixture
    def person(self):
        return factories.user(email=people.EMAIL)

    def test_asks_once_shows_how_it_stands_and_takes_it_back(self, api, person):
        header = staff.bearer(person)
        first = api.post(THERE, {}, key=None, authorization=header)
        again = api.post(THERE, {}, key=None, authorization=header)
        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json() == api.get(THERE, authorization=header).json()
        assert (first.json()["status"], first.json()["waits_for"]) == ("requested", [])
        asked = Erasure.objects.get()
        assert asked.due_at - asked.requested_at == timedelta(days=14)
        assert asked.requested_by == f"customer:{person.pk}"

        gone = api.client.delete(f"/api/v1{THERE}", headers={"authorization": header})

        assert (gone.status_code, gone.content) == (204, b"")
        assert Erasure.objects.get().status == ErasureStatus.WITHDRAWN

    def test_says_what_it_would_wait_for(self, api, person):
        people.order(user=person)

        told = api.post(THERE, {}, key=None, authorization=staff.bearer(person)).json()

        assert told["waits_for"] == ["order_open"]

    def test_wants_the_password_given_a_moment_ago(self, api, person, problem):
        answer = api.post(THERE, {}, key=None, authorization=staff.stale_bearer(person))

        problem(answer, status=401, code="authentication_too_old")
        assert not Erasure.objects.exists()

    def test_is_not_for_staff(self, api, problem):
        answer = api.post(THERE, {}, key=None, authorization=staff.bearer(staff.person(Role.ADMIN)))

        problem(answer, status=403, code="staff_account")

    def test_takes_no_fields(self, api, person, problem):
        answer = api.post(THERE, {"now": True}, key=None, authorization=staff.bearer(person))

        problem(answer, status=400, code="unknown_field")

    def test_knows_of_nothing_where_nobody_asked_or_it_is_over(self, api, person, problem):
        header = staff.bearer(person)
        problem(api.get(THERE, authorization=header), status=404, code="deletion_not_found")
        gone = api.client.delete(f"/api/v1{THERE}", headers={"authorization": header})
        problem(gone, status=404, code="deletion_not_found")

    def test_somebody_may_sign_in_and_order_until_then(self, api, person):
        api.post(THERE, {}, key=None, authorization=staff.bearer(person))

        signed_in = api.post("/auth/token/", {"email": people.EMAIL, "password": factories.PASSWORD}, key=None)

        assert signed_in.status_code == 200


class TestTheStaffSite:
    @pytest.fixture
    def admin(self):
        client = Client()
        client.force_login(staff.person(Role.ADMIN))
        return client

    def test_an_admin_enters_a_guest_and_withdraws_it(self, admin):
        people.order(user=None)

        said = admin.post("/admin/desk/erasure/add/", {"email": people.EMAIL, "reason": "by post"}, follow=True)

        assert "Entered: erasure" in said.content.decode()
        asked = Erasure.objects.get()
        assert (asked.email, asked.reason, asked.requested_by[:6]) == (people.EMAIL, "by post", "staff:")
        assert LogEntry.objects.filter(object_id=str(asked.pk)).exists()
        assert people.EMAIL not in str(LogEntry.objects.get(object_id=str(asked.pk)))
        admin.post(
            "/admin/desk/erasure/",
            {"action": "withdraw", "_selected_action": str(asked.pk), "confirmed": "yes", "reason": "a mistake"},
        )
        asked.refresh_from_db()
        assert (asked.status, asked.history.last().reason) == ("withdrawn", "a mistake")

    @pytest.mark.parametrize("email", ["nobody@gmail.com", "no address", ""])
    def test_whoever_is_not_there_is_refused_on_the_page(self, admin, email):
        said = admin.post("/admin/desk/erasure/add/", {"email": email, "reason": "by post"})

        assert said.status_code == 200
        assert said.context["form"].errors
        assert "text-red-600" in said.content.decode()
        assert not Erasure.objects.exists()

    def test_a_second_entry_says_that_it_was_entered(self, admin):
        people.order(user=None)
        for _ in range(2):
            said = admin.post("/admin/desk/erasure/add/", {"email": people.EMAIL, "reason": "by post"}, follow=True)

        assert "It had been asked for before" in said.content.decode()
        assert Erasure.objects.count() == 1

    @pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
    def test_is_closed_to_the_other_roles(self, role):
        client = Client()
        client.force_login(staff.person(role))

        assert client.get("/admin/desk/erasure/").status_code == 403
        assert client.post("/admin/desk/erasure/add/", {"email": "a@gmail.com", "reason": "x"}).status_code == 403

    def test_nothing_is_changed_or_deleted_there(self, admin):
        people.order(user=None)
        admin.post("/admin/desk/erasure/add/", {"email": people.EMAIL, "reason": "by post"})
        asked = Erasure.objects.get()

        assert admin.post(f"/admin/desk/erasure/{asked.pk}/change/", {"reason": "other"}).status_code == 403
        assert admin.post(f"/admin/desk/erasure/{asked.pk}/delete/", {"post": "yes"}).status_code == 403
        assert admin.get(f"/admin/desk/erasure/{asked.pk}/change/").status_code == 200


class TestTheCommand:
    def run(self, *words):
        out = StringIO()
        call_command("erase", *words, stdout=out)
        return out.getvalue()

    def test_a_dry_run_says_what_it_would_reach_and_does_nothing(self):
        user = factories.user(email=people.EMAIL)
        people.order(user=user, email="another@gmail.com")
        lifecycle.cancel(number=people.order(user=None).number, actor="guest", at=now())

        assert self.run("--email", people.EMAIL, "--dry-run") == "account: yes, orders: 2, waits for: order_open\n"
        assert not Erasure.objects.exists()

    def test_enters_it_once(self):
        people.order(user=None)

        first = self.run("--email", people.EMAIL, "--reason", "by post", "--by", "ops")
        again = self.run("--email", people.EMAIL, "--reason", "by post")

        assert "\nentered: erasure" in first
        assert "\nasked for before: erasure" in again
        assert (Erasure.objects.get().requested_by, Erasure.objects.get().reason) == ("ops", "by post")

    def test_refuses_what_it_cannot_do(self):
        factories.user(email="staff@gmail.com", is_staff=True)
        people.order(user=None)

        for words, said in [
            (["--email", "nobody@gmail.com", "--reason", "x"], "nobody_to_erase"),
            (["--email", "staff@gmail.com", "--reason", "x"], "staff_account"),
            (["--email", people.EMAIL], "say --reason"),
        ]:
            with pytest.raises(CommandError, match=said):
                self.run(*words)
        assert not Erasure.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_task_carries_out_what_is_due(settings):
    settings.ERASURE_GRACE = timedelta(seconds=-1)
    lifecycle.cancel(number=people.order(user=None).number, actor="guest", at=now())
    call_command("erase", "--email", people.EMAIL, "--reason", "by post", stdout=StringIO())

    sweep.run()

    assert Erasure.objects.get().status == ErasureStatus.DONE
    assert people.traces() == []
