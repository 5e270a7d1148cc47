from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils.timezone import now

from users import limits
from users.limits import Limit, TriedTooOften
from users.models import Attempt
from users.tasks import prune

pytestmark = pytest.mark.django_db(transaction=True)

THREE_AN_HOUR = Limit(name="test", most=3, within=timedelta(hours=1))


def take(limit=THREE_AN_HOUR, who="abebech@gmail.com"):
    with transaction.atomic():
        limits.take(limit=limit, who=who)


def make_older(by):
    for attempt in Attempt.objects.all():
        Attempt.objects.filter(pk=attempt.pk).update(at=attempt.at - by)


def test_one_too_many_is_refused_and_not_counted():
    for _ in range(3):
        take()

    for _ in range(2):
        with pytest.raises(TriedTooOften):
            take()

    assert Attempt.objects.count() == 3


def test_the_refusal_says_when_the_oldest_is_forgotten():
    take()
    make_older(timedelta(minutes=50))
    take()
    take()

    with pytest.raises(TriedTooOften) as refused:
        take()

    assert refused.value.retry_after is not None
    assert 9 * 60 < refused.value.retry_after <= 10 * 60
    make_older(timedelta(minutes=10))
    take()


def test_another_person_and_another_limit_have_counts_of_their_own():
    for _ in range(3):
        take()

    take(who="kebede@gmail.com")
    take(limit=Limit(name="other", most=3, within=timedelta(hours=1)))


def test_of_many_at_once_no_more_than_the_limit_pass(in_threads):
    outcomes = in_threads([take] * 8)

    assert outcomes.count(None) == 3
    assert [isinstance(each, TriedTooOften) for each in outcomes].count(True) == 5


def test_a_count_outside_a_transaction_is_a_mistake():
    with pytest.raises(RuntimeError):
        limits.take(limit=THREE_AN_HOUR, who="abebech@gmail.com")


def test_a_row_does_not_say_whom_it_is_about(settings):
    take()
    before = Attempt.objects.get().digest
    assert "abebech" not in before

    settings.SECRET_KEY = "another"
    take()

    assert Attempt.objects.exclude(digest=before).exists(), "without the key nobody can look for an address"


def test_what_no_limit_looks_at_any_more_goes():
    take()
    make_older(limits.LONGEST + timedelta(seconds=1))
    take()

    prune()

    assert [attempt.at > now() - timedelta(minutes=5) for attempt in Attempt.objects.all()] == [True]
