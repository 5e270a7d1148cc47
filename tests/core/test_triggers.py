"""The database obeys the same table as the code, whoever writes: the ORM, `update()`, or somebody with psql."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

import pytest
from django.db import InternalError, connection, models, transaction
from django.utils.timezone import now
from pgtrigger import registered

from core.flow import Flow
from orders.flow import ORDER_FLOW, OrderStatus
from orders.models import OrderHistory, OrderLine
from payments.flow import PAYMENT_FLOW, PaymentStatus
from payments.models import Payment, PaymentHistory
from products.models import Product
from tests import factories

pytestmark = pytest.mark.django_db


def illegal(flow: Flow) -> list[tuple[StrEnum, StrEnum]]:
    states = type(flow.initial)
    return [(source, to) for source in states for to in states if source is not to and not flow.allows(source, to)]


def way_to(flow: Flow, state: StrEnum) -> list[StrEnum]:
    """The shortest legal way from the first state."""
    waiting = deque([[flow.initial]])
    while waiting:
        way = waiting.popleft()
        if way[-1] is state:
            return way[1:]
        waiting.extend([*way, target] for target in flow.moves[way[-1]] if target not in way)
    raise AssertionError(f"no way leads to {state}")


def order_columns(state: OrderStatus) -> dict[str, object]:
    """What the other constraints want of an order in this state, so that the trigger alone can refuse."""
    paid = state in {OrderStatus.PAID, OrderStatus.FULFILLED, OrderStatus.REFUNDED}
    return {"status": state, "paid_at": now() if paid else None}


def payment_columns(state: PaymentStatus) -> dict[str, object]:
    return {
        "status": state,
        "captured_amount": Decimal("900.00"),
        "captured_currency": "ETB",
        "next_check_at": now() + timedelta(minutes=1),
    }


def make_payment() -> Payment:
    order = factories.order()
    return Payment.objects.create(
        order=order, tx_ref="nx-1", amount=order.total_amount, currency="ETB", mode="test", created_at=now(),
        next_check_at=now(),
    )  # fmt: skip


CASES = [
    pytest.param(flow, make, columns, source, target, id=f"{flow.name}: {source} to {target}")
    for flow, make, columns in (
        (ORDER_FLOW, factories.order, order_columns),
        (PAYMENT_FLOW, make_payment, payment_columns),
    )
    for source, target in illegal(flow)
]


def by_save(row: models.Model, columns: dict[str, object]) -> None:
    for name, value in columns.items():
        setattr(row, name, value)
    row.save()


def by_update(row: models.Model, columns: dict[str, object]) -> None:
    type(row)._default_manager.filter(pk=row.pk).update(**columns)


def by_hand(row: models.Model, columns: dict[str, object]) -> None:
    assigned = ", ".join(f"{name} = %s" for name in columns)
    with connection.cursor() as cursor:
        values = [str(value) if isinstance(value, StrEnum) else value for value in columns.values()]
        cursor.execute(f"UPDATE {row._meta.db_table} SET {assigned} WHERE id = %s", [*values, row.pk])


@pytest.mark.parametrize(("flow", "make", "columns", "source", "target"), CASES)
def test_a_move_outside_the_flow_is_refused_however_it_is_written(flow, make, columns, source, target):
    row = make()
    for step in way_to(flow, source):
        by_update(row, columns(step))
    row.refresh_from_db()

    for write in (by_save, by_update, by_hand):
        with pytest.raises(InternalError, match=f'Invalid transition.*"{source}" to "{target}"'), transaction.atomic():
            write(row, columns(target))

    row.refresh_from_db()
    assert row.status == source


@pytest.mark.parametrize(
    ("flow", "make", "columns"),
    [(ORDER_FLOW, factories.order, order_columns), (PAYMENT_FLOW, make_payment, payment_columns)],
    ids=["order", "payment"],
)
def test_every_move_of_the_flow_is_let_through(flow, make, columns):
    row = make()
    for source, target in flow.pairs():
        with transaction.atomic():
            for step in [*way_to(flow, source), target]:
                by_hand(row, columns(step))
            row.refresh_from_db()
            assert row.status == target
            transaction.set_rollback(True)


@pytest.mark.parametrize("state", [state for state in OrderStatus if state is not ORDER_FLOW.initial])
def test_no_order_begins_in_the_middle(state):
    order = factories.order()
    order.pk, order._state.adding, order.number = None, True, "AAAA-AAAA"
    for name, value in order_columns(state).items():
        setattr(order, name, value)

    with pytest.raises(InternalError, match="Cannot insert rows"), transaction.atomic():
        order.save(force_insert=True)


@pytest.mark.parametrize("state", [state for state in PaymentStatus if state is not PAYMENT_FLOW.initial])
def test_no_payment_begins_in_the_middle(state):
    order = factories.order()

    with pytest.raises(InternalError, match="Cannot insert rows"), transaction.atomic():
        Payment.objects.create(
            order=order, tx_ref="nx-2", amount=order.total_amount, currency="ETB", mode="test", created_at=now(),
            **payment_columns(state),
        )  # fmt: skip


@pytest.fixture
def rows(payment) -> dict[str, models.Model]:
    return {
        "order": payment.order,
        "payment": payment,
        "line": OrderLine.objects.first(),
        "order history": OrderHistory.objects.first(),
        "payment history": PaymentHistory.objects.first(),
        "product": Product.objects.first(),
    }


@pytest.mark.parametrize("name", ["order", "payment", "line", "order history", "payment history", "product"])
def test_what_happened_cannot_be_deleted(rows, name):
    row = rows[name]
    table = row._meta.db_table

    with pytest.raises(InternalError, match=f"Cannot (update or )?delete rows from {table}"), transaction.atomic():
        type(row)._default_manager.filter(pk=row.pk)._raw_delete(using="default")
    with pytest.raises(InternalError, match="Cannot"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize(
    ("name", "column"), [("line", "sku"), ("order history", "reason"), ("payment history", "reason")]
)
def test_what_is_only_appended_to_cannot_be_rewritten(rows, name, column):
    row = rows[name]
    setattr(row, column, "changed")

    with pytest.raises(InternalError, match="Cannot update or delete rows"), transaction.atomic():
        row.save()
    with pytest.raises(InternalError, match="Cannot update or delete rows"), transaction.atomic():
        type(row)._default_manager.update(**{column: "changed"})
    with pytest.raises(InternalError, match="Cannot"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {row._meta.db_table} SET {column} = 'changed'")


def test_every_trigger_that_the_models_declare_is_installed_and_on():
    declared = {trigger.get_pgid(model) for model, trigger in registered()}
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal")
        installed = dict(cursor.fetchall())

    assert declared
    assert declared <= set(installed)
    assert {name for name in declared if installed[name] != "O"} == set()


def test_every_constraint_is_valid():
    with connection.cursor() as cursor:
        cursor.execute("SELECT conname FROM pg_constraint WHERE NOT convalidated")
        assert cursor.fetchall() == []
