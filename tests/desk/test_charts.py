"""The home page's charts say what their tables say, and never add up two currencies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from desk import books, charts, figures
from desk.books import Hours
from desk.models import DayFigures
from payments import closing
from payments.models import Payment
from tests.desk import trouble
from tests.desk.test_figures import noon, paid_on, yesterday

__all__ = ["noon", "yesterday"]  # fixtures

pytestmark = pytest.mark.django_db


def chart(made: list[Any], name: str) -> charts.Chart:
    return next(each for each in made if each.name == name)


def test_a_chart_and_its_table_say_the_same(noon, yesterday):
    paid_on(noon)
    days = {yesterday - timedelta(days=1): None, yesterday: books.of(yesterday)}
    hours = Hours(placed=books.placed(yesterday), moved=books.moved(first=yesterday, last=yesterday)[yesterday])
    by_day = chart(charts.of_money(hours=hours, days=days), "money-days-ETB")
    by_hour = chart(charts.of_orders(hours=hours, days=days), "orders-hours")

    assert [values for _label, values in by_day.rows] == [["–"], ["900.00"]]
    assert '"data": [null, "900.00"]' in by_day.data
    assert [label for label, values in by_hour.rows if values != ["0"]] == ["12:00"]


def test_two_currencies_are_two_charts(noon, yesterday):
    paid_on(noon)
    paid_on(noon, price="40.00", currency="USD")
    made = charts.of_money(hours=Hours(placed={}, moved={}), days={yesterday: books.of(yesterday)})

    assert [each.rows[-1][1] for each in made if "days" in each.name] == [["900.00"], ["40.00"]]


def test_reasons_are_the_commonest_of_the_week_and_never_kept():
    for reason in ("no money", "no money", "wrong PIN", ""):
        trouble.failed_payment(reason=reason)
    old = trouble.failed_payment(reason="long ago")
    Payment.objects.filter(pk=old.pk).update(created_at=now() - timedelta(days=8))
    Payment.objects.filter(failure_reason="wrong PIN").update(gateway_said="declined")
    found = charts.reasons(at=now())

    assert [(each.words, each.count, each.share) for each in found] == [
        ("no money", 2, 100), ("no reason given", 1, 50), ("wrong PIN (declined)", 1, 50),
    ]  # fmt: skip
    figures.refresh(day=closing.today(at=now()))
    assert "no money" not in str(DayFigures.objects.get().figures)
