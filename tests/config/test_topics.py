"""What the code records, what the table says, and what the tasks take are one and the same."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.celery import QUEUES, app
from config.topics import TOPICS
from orders.flow import ORDER_FLOW, OrderStatus
from payments.flow import PAYMENT_FLOW, REFUND_FLOW, PaymentStatus, RefundStatus
from payments.models.payment import TOPICS as PAYMENT_TOPICS

ROOT = Path(__file__).parents[2]
APPS = ("core", "users", "products", "orders", "payments", "notifications", "config", "desk")

# Where the topic is put together from a state: the states that a move leads to.
FROM_STATES = {
    "orders/models/order.py": {f"order.{state}" for state in OrderStatus if state is not ORDER_FLOW.initial},
    "payments/models/payment.py": {
        PAYMENT_TOPICS.get(state, f"payment.{state}") for state in PaymentStatus if state is not PAYMENT_FLOW.initial
    },
    "payments/models/refund.py": {f"refund.{state}" for state in RefundStatus if state is not REFUND_FLOW.initial},
}


@dataclass(frozen=True)
class Recorded:
    """One `record(topic=…, …)` in the code."""

    where: str
    topics: frozenset[str]
    payload: frozenset[str] | None
    """None where the names cannot be read from the call."""


def sources() -> Iterator[tuple[str, str]]:
    for folder in APPS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield str(file.relative_to(ROOT)), file.read_text(encoding="utf-8")


def recordings() -> list[Recorded]:
    found = []
    for name, source in sources():
        for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
            called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if called != "record" or "topic" not in given:
                continue
            topic = given.pop("topic")
            if isinstance(topic, ast.Constant):
                topics = {topic.value}
            else:
                assert name in FROM_STATES, f"{name}:{call.lineno} computes a topic; say in this test which it can be"
                topics = FROM_STATES[name]
            payload = None if None in given else frozenset(given)
            found.append(Recorded(f"{name}:{call.lineno}", frozenset(topics), payload))
        # A recording in plain SQL names its topic and its payload in the statement.
        for topic, names in re.findall(r"SELECT '([a-z_.]+)', jsonb_build_object\(([^)]*)\)", source):
            found.append(Recorded(name, frozenset({topic}), frozenset(re.findall(r"'(\w+)'", names))))
    return found


RECORDED = recordings()
TASKS = sorted({task for tasks in TOPICS.values() for task in tasks})


@pytest.fixture(scope="module", autouse=True)
def _all_tasks_are_loaded() -> None:
    app.loader.import_default_modules()


def test_the_search_sees_every_kind_of_recording():
    seen = {topic for each in RECORDED for topic in each.topics}

    assert {"order.placed", "order.paid", "payment.opened", "user.registered", "webhook.received"} <= seen


def test_every_topic_that_is_recorded_stands_in_the_table():
    unknown = {each.where: sorted(each.topics - set(TOPICS)) for each in RECORDED if each.topics - set(TOPICS)}

    assert unknown == {}


def test_every_topic_of_the_table_is_recorded_somewhere():
    assert set(TOPICS) - {topic for each in RECORDED for topic in each.topics} == set()


@pytest.mark.parametrize("task", TASKS)
def test_every_task_of_the_table_exists(task):
    assert task in app.tasks


@pytest.mark.parametrize("task", TASKS)
def test_every_task_gets_what_it_asks_for(task):
    if task not in app.tasks:
        pytest.skip("named by the test above")
    parameters = inspect.signature(app.tasks[task].run).parameters.values()
    needed = {each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty} - {
        "outbox_event"
    }

    for each in RECORDED:
        heard = {topic for topic in each.topics if task in TOPICS.get(topic, ())}
        if heard and each.payload is not None:
            assert needed <= each.payload, f"{each.where} records {sorted(heard)} without {needed - each.payload}"


def ours() -> list[str]:
    return sorted(name for name in app.tasks if not name.startswith("celery."))


def test_every_task_of_ours_stands_in_a_queue_and_survives_a_newer_caller():
    for name in ours():
        task = app.tasks[name]
        assert app.amqp.router.route({}, name)["queue"].name in QUEUES, name
        kinds = {each.kind for each in inspect.signature(task.run).parameters.values()}
        assert kinds <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}, name
        assert inspect.Parameter.VAR_KEYWORD in kinds, f"{name} breaks when a newer release sends one argument more"
        assert re.fullmatch(r"[a-z_]+\.[a-z_]+", name)


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("payments.process_webhook", "webhooks"),
        ("payments.sweep_webhooks", "webhooks"),
        ("payments.sweep", "payments"),
        ("payments.settle", "payments"),
        ("notifications.deliver", "notifications"),
        ("core.heartbeat", "default"),
        ("orders.sweep", "default"),
    ],
)
def test_a_task_goes_to_its_queue(task, queue):
    assert app.amqp.router.route({}, task)["queue"].name == queue


@pytest.mark.parametrize("entry", sorted(app.conf.beat_schedule))
def test_every_entry_of_the_beat_table_names_a_task_that_needs_nothing(entry):
    name = app.conf.beat_schedule[entry]["task"]
    assert name in app.tasks

    parameters = inspect.signature(app.tasks[name].run).parameters.values()
    assert [each.name for each in parameters if each.kind is not each.VAR_KEYWORD] == []


def test_every_sweeper_is_in_the_beat_table():
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}

    assert {name for name in ours() if ".sweep" in name} <= scheduled


def test_no_entry_waits_in_the_queue_for_longer_than_until_the_next():
    for name, entry in app.conf.beat_schedule.items():
        assert entry["options"]["expires"] <= max(entry["schedule"], 10), name
