"""Control of what goes wrong and of what is sent: faults, deliveries, replays, sample events."""

import asyncio

from sandbox import control_views as views
from sandbox.command import BadCommand, Body, Command, NoSuchThing, duration
from sandbox.deliveries import MOST_COPIES, Delivery
from sandbox.faults import API_KINDS, DELIVERY_KINDS, REDIRECT_KINDS, ROUTES
from sandbox.samples import sample

_MOST_SECONDS_TO_WAIT = 60.0


def faults(command: Command) -> Body:
    """The rules that wait, and every kind with its explanation."""
    return {
        "faults": [rule.as_json() for rule in command.world.faults],
        "kinds": {"api": API_KINDS, "webhook or callback": DELIVERY_KINDS, "redirect": REDIRECT_KINDS},
        "routes": list(ROUTES),
    }


def add_fault(command: Command) -> Body:
    """Queue a rule."""
    return command.world.faults.add(body=command.body).as_json()


def clear_faults(command: Command) -> Body:
    """Remove one rule, or all."""
    return {"removed": command.world.faults.clear(rule_id=command.path.get("rule_id"))}


async def deliveries(command: Command) -> Body:
    """What was sent; with `wait` not before nothing is due or on the wire any more."""
    world, idle = command.world, True
    wait = command.query("wait")
    if wait is not None:
        seconds = min(duration(value=wait).total_seconds(), _MOST_SECONDS_TO_WAIT)
        world.outcomes.catch_up()
        idle = await asyncio.to_thread(world.deliveries.wait_until_idle, seconds=seconds)
    rows = [
        views.delivery(delivery=delivery)
        for delivery in world.deliveries
        if command.query("tx_ref") in {None, delivery.tx_ref}
        and command.query("kind") in {None, delivery.kind}
        and command.query("state") in {None, str(delivery.state)}
    ]
    return {"idle": idle, "count": len(rows), "deliveries": rows}


def release(command: Command) -> Body:
    """Send what was held, one after the other."""
    held = command.world.deliveries.held()
    ids = command.body.get("ids")
    if ids is not None:
        if not isinstance(ids, list):
            raise BadCommand("ids is a list of delivery ids")
        by_id = {delivery.id: delivery for delivery in held}
        held = [by_id[wanted] for wanted in ids if wanted in by_id]
    elif command.choice("order", options=("fifo", "reverse"), default="fifo") == "reverse":
        held.reverse()
    sent = command.world.deliveries.release(deliveries=held)
    return {"released": [delivery.id for delivery in sent]}


async def replay(command: Command) -> Body:
    """Repeat a delivery (or a transaction's last webhook), byte for byte, and report what was answered."""
    copies = command.count("copies", default=1, most=MOST_COPIES)
    parallel = command.flag("parallel", default=True) and copies > 1
    original = _original(command)
    if original is None:
        raise NoSuchThing("no such delivery to repeat")
    again = await asyncio.to_thread(
        command.world.deliveries.replay, original=original, copies=copies, parallel=parallel
    )
    return {
        "statuses": [delivery.attempts[-1].status for delivery in again],
        "deliveries": [views.delivery(delivery=delivery) for delivery in again],
    }


def _original(command: Command) -> Delivery | None:
    if "delivery_id" in command.path:
        return command.world.deliveries.find(command.path["delivery_id"])
    found, event = command.transaction(), command.text("event")
    webhooks = [d for d in command.world.deliveries if d.kind == "webhook" and d.tx_ref == found.tx_ref]
    return next((d for d in reversed(webhooks) if event in {None, d.event}), None)


def trigger(command: Command) -> Body:
    """Send a signed sample event."""
    fields = command.body.get("fields") or {}
    if not isinstance(fields, dict):
        raise BadCommand("fields is an object of dotted paths")
    event = command.text("event") or ""
    payload = sample(event=event, tx_ref=command.text("tx_ref"), fields=fields, world=command.world)
    told = command.world.notices.webhook(
        payload=payload, event=event, tx_ref=command.text("tx_ref"), url=command.text("url")
    )
    if not told:
        raise BadCommand("there is no webhook address: start with --webhook-url or give url")
    return {"deliveries": [views.delivery(delivery=delivery) for delivery in told]}
