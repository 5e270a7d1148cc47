"""Control of the merchant's settings: what a real merchant changes in the dashboard."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sandbox import control_views as views
from sandbox.command import BadCommand, Body, Command, duration, money_in
from sandbox.merchant import BUSINESS_STATES, CURRENCIES, Subaccount, mode_of


def settings(command: Command) -> Body:
    """Change some settings, all or none, and show them; without changes only show them."""
    unknown = set(command.body) - _READERS.keys()
    if unknown:
        raise BadCommand(f"the merchant has {', '.join(_READERS)}; not {', '.join(sorted(unknown))}")
    changes = {name: _READERS[name](command, name) for name in command.body}
    vars(command.world.merchant).update(changes)
    return views.merchant(merchant=command.world.merchant)


def _text(command: Command, name: str) -> str:
    return command.text(name) or ""


def _secret(command: Command, name: str) -> str:
    value = command.text(name)
    if not value:
        raise BadCommand(f"{name} must not be empty")
    return value


def _duration(command: Command, name: str) -> Any:
    return duration(value=command.body[name])


def _percent(command: Command, name: str) -> Decimal:
    value = command.money(name)
    if value is None or not 0 <= value <= 100:
        raise BadCommand(f"{name} is from 0 to 100")
    return value


def _attempts(command: Command, name: str) -> int:
    return command.count(name, default=10, most=1000)


def _business_state(command: Command, name: str) -> str:
    return command.choice(name, options=BUSINESS_STATES, default="ok")


def _keys(command: Command, name: str) -> tuple[str, ...]:
    keys = command.body[name]
    if not isinstance(keys, list) or not keys:
        raise BadCommand(f"{name} is a list of at least one key")
    for key in keys:
        mode_of(secret_key=str(key))
    return tuple(str(key) for key in keys)


def _subaccounts(command: Command, name: str) -> dict[str, Subaccount]:
    rows = command.body[name]
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "id" in row for row in rows):
        raise BadCommand(f"{name} is a list of objects with id, split_type and split_value")
    accounts = [
        Subaccount(
            id=str(row["id"]),
            split_type=str(row.get("split_type", "percentage")),
            split_value=money_in(body=row, name="split_value") or Decimal(0),
        )
        for row in rows
    ]
    return {account.id: account for account in accounts}


def _balances(command: Command, name: str) -> dict[str, Decimal]:
    given = command.body[name]
    if not isinstance(given, dict) or set(given) - set(CURRENCIES):
        raise BadCommand(f"{name} is an object with {' and '.join(CURRENCIES)}")
    return {currency: money_in(body=given, name=currency) or Decimal(0) for currency in CURRENCIES}


_READERS: dict[str, Callable[[Command, str], Any]] = {
    "name": _text,
    "secret_keys": _keys,
    "webhook_url": _text,
    "webhook_secret": _secret,
    "fee_percent": _percent,
    "max_attempts": _attempts,
    "retry_window": _duration,
    "refund_processing_after": _duration,
    "refund_done_after": _duration,
    "business_state": _business_state,
    "subaccounts": _subaccounts,
    "opening_balances": _balances,
}
