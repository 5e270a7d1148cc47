from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command

from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


def test_demo_accounts_keep_their_passwords_and_their_file_is_private(tmp_path):
    file = tmp_path / "var" / "people.json"
    call_command("seed_people", file=file, stdout=io.StringIO())
    first = json.loads(file.read_text())
    call_command("seed_people", file=file, stdout=io.StringIO())

    assert json.loads(file.read_text()) == first
    assert file.stat().st_mode & 0o077 == 0
    for person in first:
        user = User.objects.get(email=person["email"])
        assert user.check_password(person["password"])
        assert user.is_superuser == (person["role"] == "admin")
        assert user.is_staff == (person["role"] != "shopper")


def test_two_people_of_finance_can_play_asking_and_approving(tmp_path):
    file = tmp_path / "people.json"
    call_command("seed_people", file=file, stdout=io.StringIO())

    by_role = {person["role"]: User.objects.get(email=person["email"]) for person in json.loads(file.read_text())}
    asks, approves = by_role["finance"], by_role["finance_approver"]
    assert (asks.has_perm("payments.request_refund"), asks.has_perm("payments.approve_refund")) == (True, False)
    assert (approves.has_perm("payments.request_refund"), approves.has_perm("payments.approve_refund")) == (False, True)


def test_an_account_whose_password_is_forgotten_gets_a_new_one(tmp_path):
    call_command("seed_people", file=tmp_path / "lost.json", stdout=io.StringIO())
    call_command("seed_people", file=tmp_path / "found.json", stdout=io.StringIO())

    for person in json.loads((tmp_path / "found.json").read_text()):
        assert User.objects.get(email=person["email"]).check_password(person["password"])
