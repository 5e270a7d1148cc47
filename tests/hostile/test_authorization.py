"""Every row of docs/roles.md, asked by everybody in its head."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import TestCase, override_settings

from tests.hostile import authorization
from tests.hostile.authorization import CELLS, QUESTIONS, WITHOUT_IT, YES, Cast, Question
from tests.hostile.routes import Sender
from tests.hostile.scene import Scene
from users.roles import PERMISSIONS, Role

pytestmark = pytest.mark.django_db

STRANGERS = ("nobody", "other guest", "former guest", "other", "plain staff", "catalogue", "former staff")


@pytest.fixture(scope="module")
def cast(django_db_setup: None, django_db_blocker: Any) -> Iterator[Cast]:
    """One for all questions: whatever somebody's question changed is undone before the next asks."""
    with django_db_blocker.unblock(), override_settings(SURPLUS_POLICY="person"):  # a surplus waits for a decision
        begun = TestCase._enter_atomics()
        yield Cast(Scene())
        TestCase._rollback_atomics(begun)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_each_may_what_the_table_says(cast: Cast, question: Question) -> None:
    sender = Sender(cast.scene)
    said = {}
    for who in cast.headers:
        before = transaction.savepoint()  # each meets the shop as it was
        said[who] = question.ask(cast=cast, sender=sender, who=who)
        transaction.savepoint_rollback(before)

    assert said == authorization.expected().get(question.name), f"no such row, or another: {question.name}"


def test_the_table_has_a_row_for_each_route_and_method_and_none_beside(cast: Cast) -> None:
    table = authorization.expected()

    assert set(table) == {question.name for question in QUESTIONS}
    assert all(list(row) == list(cast.headers) and set(row.values()) <= CELLS for row in table.values())


def test_somebody_elses_order_or_address_is_one_that_does_not_exist() -> None:
    for name, row in authorization.expected().items():
        is_for_support = name.endswith("/fulfil/")
        if ("/orders/{number}/" in name and not is_for_support) or name == "POST /graphql/ (order)":
            assert {row[who] for who in STRANGERS} == {"404"}, name
        if "{address_id}" in name:
            assert {who for who, cell in row.items() if cell == YES} == {"owner"}, name


def test_a_token_that_has_ended_is_no_better_than_a_wrong_one() -> None:
    for name, row in authorization.expected().items():
        assert row["expired"] == row["revoked"], name
        if set(row.values()) != {YES}:  # a route that asks nobody who they are does not look at tokens
            assert row["expired"] == "401", name


def test_an_admin_may_what_any_role_may_and_superusers_no_less() -> None:
    for name, row in authorization.expected().items():
        if any(row[role.value] == YES for role in Role):
            assert row["admin"] == row["superuser"] == YES, name
        if row["owner"] != YES and WITHOUT_IT not in row.values():
            assert YES not in {row[who] for who in (*STRANGERS, "guest")}, name


def test_the_document_gives_each_role_what_the_code_gives_it() -> None:
    head, rows = authorization.tables()[0]

    assert head == ["permission", *(role.value for role in Role)]
    assert {role: {row[0] for row in rows if row[number]} for number, role in enumerate(Role, start=1)} == {
        role: set(names) for role, names in PERMISSIONS.items()
    }
