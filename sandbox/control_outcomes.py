"""Control of transactions and refunds: force an outcome, look at one."""

from collections.abc import Callable

from sandbox import control_views as views
from sandbox.command import BadCommand, Body, Command, NoSuchThing
from sandbox.deliveries import Delivery
from sandbox.methods import ALL as METHODS
from sandbox.transaction import Refund, RefundStatus, Status, Transaction

_REFUND_STATES = tuple(str(status) for status in RefundStatus)


def _shown(command: Command, transaction: Transaction, told: list[Delivery] | None = None) -> Body:
    return {
        "transaction": views.transaction(transaction=transaction, clock=command.world.clock),
        "deliveries": [delivery.id for delivery in told or []],
    }


def listing(command: Command) -> Body:
    """All transactions, oldest first."""
    command.world.outcomes.catch_up()
    rows = [views.transaction(transaction=t, clock=command.world.clock) for t in command.world.books]
    return {"count": len(rows), "transactions": rows}


def details(command: Command) -> Body:
    """One transaction with its history, its checkout page and its deliveries."""
    found = command.transaction()
    about = [views.delivery(delivery=d) for d in command.world.deliveries if d.tx_ref == found.tx_ref]
    return {
        **_shown(command, found),
        "deliveries": about,
        "checkout_url": f"{command.world.public_url}/checkout/payment/{found.token}",
    }


def pay(command: Command) -> Body:
    """The customer pays; amount, currency and mode may differ from what was asked."""
    found = command.transaction()
    mode = command.text("mode")
    if mode not in {None, "test", "live"}:
        raise BadCommand("mode is test or live")
    told = command.world.outcomes.pay(
        transaction=found,
        method=command.choice("method", options=tuple(METHODS), default="telebirr"),
        phone=command.text("phone"),
        amount=command.money("amount"),
        currency=command.text("currency"),
        mode=mode,
        webhook=command.flag("webhook", default=True),
        callback=command.flag("callback", default=True),
        force=command.flag("force", default=False),
    )
    return _shown(command, found, told)


def fail(command: Command) -> Body:
    """The payment fails for good, or only one attempt does."""
    if not command.flag("attempt_only", default=False):
        return _close(command, Status.FAILED)
    found = command.transaction()
    command.world.outcomes.fail_attempt(
        transaction=found,
        method=command.choice("method", options=tuple(METHODS), default="telebirr"),
        reason=command.text("reason") or "Payment failed.",
    )
    return _shown(command, found)


def cancel(command: Command) -> Body:
    """The customer cancels."""
    return _close(command, Status.CANCELLED)


def expire(command: Command) -> Body:
    """The retry window passes."""
    return _close(command, Status.EXPIRED)


def _close(command: Command, status: Status) -> Body:
    found = command.transaction()
    told = command.world.outcomes.close(
        transaction=found,
        status=status,
        webhook=command.flag("webhook", default=True),
        callback=command.flag("callback", default=True),
    )
    return _shown(command, found, told)


def reverse(command: Command) -> Body:
    """A captured payment is taken back."""
    found = command.transaction()
    told = command.world.outcomes.reverse(transaction=found, webhook=command.flag("webhook", default=True))
    return _shown(command, found, told)


def refund(command: Command) -> Body:
    """A refund as from the dashboard; it stands at `status` at once."""
    found = command.transaction()
    to = RefundStatus(command.choice("status", options=_REFUND_STATES, default="refunded"))
    opened = command.world.outcomes.refund(
        transaction=found,
        amount=command.money("amount"),
        reason=command.text("reason"),
        merchant_reference=command.text("reference"),
    )
    told = [] if to is RefundStatus.INITIATED else _move(command, opened, to)
    return {
        **_shown(command, found, told),
        "refund": views.refund(refund=opened, clock=command.world.clock),
    }


def moving_refund(*, to: RefundStatus) -> Callable[[Command], Body]:
    """The handler that moves a refund to one status."""

    def handle(command: Command) -> Body:
        world = command.world
        world.outcomes.catch_up()
        ref_id = command.path["ref_id"]
        found = world.books.refund(ref_id) or world.books.refund_by_merchant_reference(ref_id)
        if found is None:
            raise NoSuchThing(f"no refund {ref_id!r}")
        told = _move(command, found, to)
        return {
            "refund": views.refund(refund=found, clock=world.clock),
            "deliveries": [delivery.id for delivery in told],
        }

    return handle


def _move(command: Command, refund: Refund, to: RefundStatus) -> list[Delivery]:
    return command.world.outcomes.move_refund(
        refund=refund,
        to=to,
        webhook=command.flag("webhook", default=True),
        force=command.flag("force", default=False),
    )
