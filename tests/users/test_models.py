from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from tests import factories
from users.models import User

pytestmark = pytest.mark.django_db


def test_an_address_is_kept_in_lower_case_and_found_in_any(person):
    other = factories.user(email="  ALMAZ@Gmail.COM ")

    assert other.email == "almaz@gmail.com"
    assert User.objects.get_by_natural_key("ABEBECH@gmail.com") == person


def test_the_database_refuses_a_capital_and_a_second_account(person):
    with pytest.raises(IntegrityError, match="user_email_in_lower_case"), transaction.atomic():
        User.objects.filter(pk=person.pk).update(email="Abebech@gmail.com")
    with pytest.raises(IntegrityError, match="users_user_email"), transaction.atomic():
        factories.user(email="abebech@gmail.com")


def test_a_person_has_a_name_to_be_called_by(person):
    assert person.get_short_name() == "Abebech"
    assert factories.user(email="almaz@gmail.com").get_short_name() == "almaz"
    assert factories.user(first_name="Abebech", last_name="Bekele").get_full_name() == "Abebech Bekele"


def test_nobody_is_staff_by_accident():
    assert not factories.user().is_staff
    boss = User.objects.create_superuser("boss@gmail.com", factories.PASSWORD, is_staff=False)
    assert (boss.is_staff, boss.is_superuser) == (True, True)
