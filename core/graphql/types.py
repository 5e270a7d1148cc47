"""Scalars, names and shapes that all apps share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, Final, NewType, TypeVar

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.name_converter import NameConverter
from strawberry.types.enum import EnumValue, StrawberryEnumDefinition

Amount = NewType("Amount", str)
Moment = NewType("Moment", str)
Node = TypeVar("Node")

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)


def _text(value: object) -> str:
    """Our own values come as the text that REST answers with; a client's are read by the same serializers."""
    if not isinstance(value, str):
        raise GraphQLError("not a string")
    return value


class _Names(NameConverter):
    """An enum's values are the words that REST uses: `awaiting_payment`, `ETB`."""

    def from_enum_value(self, enum: StrawberryEnumDefinition, enum_value: EnumValue) -> str:  # noqa: ARG002
        word = str(enum_value.value)
        return word if _NAME.fullmatch(word) else enum_value.name.lower()


def config() -> StrawberryConfig:
    """How Python's names and types become GraphQL's."""
    return StrawberryConfig(
        name_converter=_Names(),
        sort_schema=True,
        scalar_map={
            Amount: strawberry.scalar(
                name="Amount",
                description='A decimal string with two places, in the currency that stands beside it: `"1250.00"`.',
                serialize=_text,
                parse_value=_text,
            ),
            Moment: strawberry.scalar(
                name="DateTime",
                description="RFC 3339, in UTC: `2026-11-21T07:05:23.000000Z`.",
                serialize=_text,
                parse_value=_text,
            ),
        },
    )


def made_of(kind: type[Node], said: Mapping[str, Any], /, **instead: Any) -> Node:
    """A node from what REST answers; `instead` has the fields that are more than a plain value."""
    names = {each.name for each in fields(kind) if each.init}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in said.items() if name in names} | instead)


def body_of(given: Any) -> Any:
    """An input as the JSON that REST takes: what was not given is not there, and names are REST's."""
    if isinstance(given, list):
        return [body_of(each) for each in given]
    if not hasattr(type(given), "__strawberry_definition__") or not hasattr(given, "__dataclass_fields__"):
        return given.value if hasattr(given, "value") else given
    named = {each.name: getattr(given, each.name) for each in fields(given)}
    return body_with(**named)


def body_with(**given: Any) -> dict[str, Any]:
    """The arguments that were given, as the JSON that REST takes."""
    return {name: body_of(value) for name, value in given.items() if value is not strawberry.UNSET}


class Batch:
    """The nodes of one page, by key. What the first of them is asked for is loaded for all: no query per node.

    `loaded` is what is there already, by what it is.
    """

    def __init__(self, keys: Iterable[str], *, loaded: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self.keys = list(keys)
        self._loaded: dict[str, Mapping[str, Any]] = dict(loaded or {})

    def load(self, what: str, load: Callable[[list[str]], Mapping[str, Any]]) -> Mapping[str, Any]:
        """What `load` found for the keys; the same the next time."""
        if what not in self._loaded:
            self._loaded[what] = load(self.keys)
        return self._loaded[what]
