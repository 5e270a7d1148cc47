from __future__ import annotations

import io

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command

from tests import factories, staff
from users import roles
from users.models import User
from users.roles import PERMISSIONS, Role

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_new_environment_gets_every_role_with_what_the_table_says():
    said = io.StringIO()
    call_command("sync_roles", stdout=said)

    for role in Role:
        group = Group.objects.get(name=role.value)
        assert {
            f"{permission.content_type.app_label}.{permission.codename}"
            for permission in group.permissions.select_related("content_type")
        } == set(PERMISSIONS[role])
        assert role.value in said.getvalue()


def test_preparing_a_system_brings_the_roles_up_to_date_and_adds_nobody():
    Group.objects.all().delete()

    call_command("prepare", stdout=io.StringIO())

    assert set(Group.objects.values_list("name", flat=True)) == {role.value for role in Role}
    assert User.objects.count() == 0


def test_what_was_given_by_hand_is_taken_away_again_and_members_stay():
    approver = staff.person(Role.FINANCE_APPROVER)
    group = Group.objects.get(name=Role.FINANCE_APPROVER)
    group.permissions.add(Permission.objects.get(codename="request_refund"))

    roles.sync()

    assert set(approver.groups.all()) == {group}
    assert User.objects.get(pk=approver.pk).has_perm("payments.approve_refund")
    assert not User.objects.get(pk=approver.pk).has_perm("payments.request_refund")


@pytest.mark.parametrize("role", Role)
def test_nobody_but_an_admin_may_both_ask_for_a_refund_and_approve_one(role):
    both = {"payments.request_refund", "payments.approve_refund"}

    assert (both <= set(PERMISSIONS[role])) == (role is Role.ADMIN)


def test_no_role_may_write_past_the_use_cases():
    """What moves money has use cases; a role that may change or delete such rows would go around them."""
    written = {name for names in PERMISSIONS.values() for name in names if "change_" in name or "delete_" in name}

    of_money = {name for name in written if name.startswith("payments.")}
    assert of_money == {"payments.change_statementformat"}  # how a file is read, and no row that says where money is
    assert {name.split(".")[0] for name in written - of_money} <= {"products", "orders", "users"}
    assert "users.delete_user" not in written
    assert "products.delete_product" not in written


def test_a_role_without_a_seat_on_the_staff_is_none(api, problem):
    former = staff.person(Role.FINANCE)
    User.objects.filter(pk=former.pk).update(is_staff=False)
    path = "/refunds/00000000-0000-4000-8000-000000000000/"

    problem(api.get(path, authorization=staff.bearer(former)), status=403, code="permission_denied")
    problem(api.get(path, authorization=staff.bearer(factories.user())), status=403, code="permission_denied")
