"""One call of the control API, with readers that say what is wrong in a sentence."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request

from sandbox.clock import parse_duration
from sandbox.initialize_rules import read_amount
from sandbox.transaction import Transaction
from sandbox.world import World

Body = dict[str, Any]


class BadCommand(ValueError):
    """The control call cannot be understood."""


class NoSuchThing(LookupError):
    """What the control call is about does not exist."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A control call: the sandbox it is for, and what was sent."""

    world: World
    request: Request
    body: Body

    @property
    def path(self) -> dict[str, Any]:
        """What stands in the path."""
        return self.request.path_params

    def query(self, name: str) -> str | None:
        """A query parameter."""
        return self.request.query_params.get(name)

    def transaction(self) -> Transaction:
        """The transaction of the path, by the merchant's or Chapa's reference.

        :raises NoSuchThing: if there is none.
        """
        self.world.outcomes.catch_up()
        reference = self.path["tx_ref"]
        found = self.world.books.by_tx_ref(reference) or self.world.books.by_reference(reference)
        if found is None:
            raise NoSuchThing(f"no transaction {reference!r}")
        return found

    def money(self, name: str) -> Decimal | None:
        """A decimal amount.

        :raises BadCommand: if it is none.
        """
        return money_in(body=self.body, name=name)

    def text(self, name: str) -> str | None:
        """A text.

        :raises BadCommand: if it is something else.
        """
        value = self.body.get(name)
        if value is not None and not isinstance(value, str):
            raise BadCommand(f"{name} is a text")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false.

        :raises BadCommand: if it is something else.
        """
        value = self.body.get(name, default)
        if not isinstance(value, bool):
            raise BadCommand(f"{name} is true or false")
        return value

    def choice(self, name: str, *, options: tuple[str, ...], default: str) -> str:
        """One of several words.

        :raises BadCommand: if it is another.
        """
        value = self.body.get(name, default)
        if value not in options:
            raise BadCommand(f"{name} is one of {', '.join(options)}")
        return str(value)

    def count(self, name: str, *, default: int, most: int) -> int:
        """A whole number from one to `most`.

        :raises BadCommand: if it is not.
        """
        value = self.body.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise BadCommand(f"{name} is a whole number from 1 to {most}")
        return value


def money_in(*, body: Body, name: str) -> Decimal | None:
    """A decimal amount of a body, in major units.

    :raises BadCommand: if it is none.
    """
    if body.get(name) is None:
        return None
    amount = read_amount(value=body[name])
    if amount is None:
        raise BadCommand(f'{name} is a decimal number, best as text: "100.00"')
    return amount


def duration(*, value: Any) -> timedelta:
    """A length of time such as `"10m"`.

    :raises BadCommand: if it is none.
    """
    try:
        return parse_duration(text=value)
    except ValueError as problem:
        raise BadCommand(str(problem)) from problem
