"""Reads a query and weighs it before anything is done for it: who asks for too much is told so, and costs nothing.

The weight is taken from the text alone. Validation, whose own work grows with a hostile query, comes after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSyntaxError,
    IntValueNode,
    Lexer,
    OperationDefinitionNode,
    OperationType,
    SelectionNode,
    SelectionSetNode,
    Source,
    TokenKind,
    VariableNode,
    parse,
)

from core.errors import DomainError
from core.parsing import MAX_NUMBER_LENGTH
from core.problems import UnknownField

MOST_CHARACTERS: Final = 16_000
MOST_TOKENS: Final = 500
"""A page of whole orders has a hundred. Validation compares fields with each other: its work grows with the square."""
DEEPEST: Final = 8
"""`orders.edges.node.payments.amount` is five."""
MOST_ALIASES: Final = 15
MOST_COST: Final = 5_000
"""Fields, those of a page once for each of its entries: a hundred whole orders with lines and payments are 4,300."""
MOST_MUTATIONS: Final = 1
"""In one request: each of them may wait for Chapa, and none can use what another one gave."""
DEFAULT_PAGE: Final = 25
LARGEST_PAGE: Final = 100

_NESTED: Final = 30
"""How far the weighing itself goes down; a query within `DEEPEST` stays far above it."""
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
_INTROSPECTION: Final = frozenset({"__schema", "__type"})


class MalformedQuery(DomainError):
    code, status, title = "malformed_query", 400, "The query is no GraphQL that can be read."
    storable = False


class InvalidQuery(DomainError):
    code, status, title = "invalid_query", 400, "The query does not fit the schema."
    storable = False


class QueryTooCostly(DomainError):
    """`limit` says which, `most` what it allows: `characters`, `tokens`, `depth`, `aliases`, `cost` (fields, each times
    the entries of the page it stands in) or `mutations` (in one request).
    """

    code, status, title = "query_too_costly", 400, "The query asks for more than one request may."
    storable = False


def read(query: str) -> DocumentNode:
    """The document.

    :raises MalformedQuery: · QueryTooCostly: where it is too long, whatever it says.
    """
    _at_most(MOST_CHARACTERS, "characters", len(query))
    try:
        _look_through(Lexer(Source(query)))
        return parse(query, allow_empty_selection_sets=False)
    except GraphQLSyntaxError as error:
        raise MalformedQuery(error.message[:200]) from None
    except GraphQLError:
        raise MalformedQuery from None
    except RecursionError:
        raise QueryTooCostly("nested too deeply", limit="depth", most=DEEPEST) from None


def _look_through(lexer: Lexer) -> None:
    """Token by token: not too many, no text that no database stores, no number that takes long to read."""
    tokens = 0
    while (token := lexer.advance()).kind is not TokenKind.EOF:
        tokens += 1
        _at_most(MOST_TOKENS, "tokens", tokens)
        if token.kind in {TokenKind.STRING, TokenKind.BLOCK_STRING} and _UNSTORABLE.search(token.value or ""):
            raise MalformedQuery("text that is no text: NUL or half a surrogate pair")
        if token.kind in {TokenKind.INT, TokenKind.FLOAT} and len(token.value or "") > MAX_NUMBER_LENGTH:
            raise MalformedQuery("a number is too long")


def operation_in(document: DocumentNode, *, name: str | None, is_subscribing: bool = False) -> OperationDefinitionNode:
    """The operation that is to be run: a subscription where `is_subscribing`, and nothing else.

    :raises InvalidQuery: where there is none of this name, or several and none was named, or it is of the other kind.
    """
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    wanted = [node for node in found if name is None or (node.name and node.name.value == name)]
    if not wanted:
        raise InvalidQuery("There is no such operation in the query.")
    if len(wanted) > 1:
        raise InvalidQuery("The query has several operations: say which one by `operationName`.")
    if not is_subscribing and wanted[0].operation is OperationType.SUBSCRIPTION:
        raise InvalidQuery("A subscription needs a connection that stays open: a WebSocket to this address.")
    if is_subscribing and wanted[0].operation is not OperationType.SUBSCRIPTION:
        raise InvalidQuery("This connection is for subscriptions; queries and mutations are posted.")
    return wanted[0]


@dataclass(frozen=True, slots=True)
class Head:
    """A field at the top of an operation, and the `token` that it shows; empty where it shows none."""

    name: str
    token: str


def heads(document: DocumentNode, *, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> list[Head]:
    """What the operation asks for at the top, once for each name under which it is answered."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    found: dict[str, Head] = {}
    seen: set[str] = set()
    waiting: list[SelectionNode] = list(operation.selection_set.selections)
    while waiting:
        node = waiting.pop()
        if isinstance(node, FieldNode):
            answered_as = (node.alias or node.name).value
            found[answered_as] = Head(node.name.value, _token_of(node, variables))
        elif not isinstance(node, FragmentSpreadNode):
            waiting.extend(node.selection_set.selections)  # type: ignore[attr-defined]
        elif node.name.value in fragments and node.name.value not in seen:
            seen.add(node.name.value)
            waiting.extend(fragments[node.name.value].selection_set.selections)
    return list(found.values())


def _token_of(node: FieldNode, variables: Mapping[str, Any]) -> str:
    for argument in node.arguments or ():
        if argument.name.value == "token":
            value = argument.value
            given = variables.get(value.name.value) if isinstance(value, VariableNode) else getattr(value, "value", "")
            return given if isinstance(given, str) else ""
    return ""


def refuse_unknown_variables(document: DocumentNode, *, variables: Mapping[str, Any]) -> None:
    """A variable that nothing declares is a typo: its argument would be missing, and nobody would say so.

    :raises UnknownField:
    """
    known = {
        each.variable.name.value
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode)
        for each in node.variable_definitions or ()
    }
    unknown = [
        {"field": f"variables.{name}", "code": UnknownField.code, "message": "The query declares no such variable."}
        for name in variables
        if name not in known
    ]
    if unknown:
        raise UnknownField(errors=unknown)


def weigh(
    document: DocumentNode, *, operation: OperationDefinitionNode, variables: Mapping[str, Any], may_introspect: bool
) -> None:
    """:raises QueryTooCostly: · InvalidQuery: for a look at the schema where that is not allowed."""
    aliases = sum(1 for node in _fields_in(document) if node.alias)
    _at_most(MOST_ALIASES, "aliases", aliases)
    if not may_introspect and any(node.name.value in _INTROSPECTION for node in _fields_in(document)):
        raise InvalidQuery("The schema is not told here; it is published with the documentation.")
    scale = _Scale(
        fragments={node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)},
        variables=_with_defaults(operation, variables),
    )
    weight = scale.of(operation.selection_set, page=DEFAULT_PAGE)
    _at_most(DEEPEST, "depth", weight.depth)
    _at_most(MOST_COST, "cost", weight.cost)
    if operation.operation is OperationType.MUTATION:
        _at_most(MOST_MUTATIONS, "mutations", weight.heads)


def _at_most(most: int, limit: str, asked: int) -> None:
    if asked > most:
        raise QueryTooCostly(f"At most {most} {limit} are allowed in one request.", limit=limit, most=most)


def _fields_in(document: DocumentNode) -> Iterator[FieldNode]:
    """Every field that is written down, wherever. The parser has bounded how many there can be."""
    waiting: list[SelectionNode] = []
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
            waiting.extend(definition.selection_set.selections)
    while waiting:
        node = waiting.pop()
        if isinstance(node, FieldNode):
            yield node
        inner = getattr(node, "selection_set", None)
        if inner is not None:
            waiting.extend(inner.selections)


def _with_defaults(operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> dict[str, Any]:
    """The variables as they will be: those that were not given have what the query says, where that is a number."""
    defaults = {
        each.variable.name.value: int(each.default_value.value)
        for each in operation.variable_definitions or ()
        if isinstance(each.default_value, IntValueNode)
    }
    return defaults | dict(variables)


@dataclass(frozen=True, slots=True)
class _Weight:
    """`heads`: fields at the top; `depth`: fields below each other; `cost`: see MOST_COST."""

    heads: int = 0
    depth: int = 0
    cost: int = 0

    def beside(self, other: _Weight) -> _Weight:
        return _Weight(self.heads + other.heads, max(self.depth, other.depth), self.cost + other.cost)


@dataclass(slots=True)
class _Scale:
    """Weighs selections. A fragment is weighed once for each size of page, however often it is used."""

    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    _known: dict[tuple[str, int], _Weight] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    _nested: int = 0

    def of(self, selections: SelectionSetNode, *, page: int) -> _Weight:
        self._nested += 1
        if self._nested > _NESTED:
            raise QueryTooCostly("nested too deeply", limit="depth", most=DEEPEST)
        weight = _Weight()
        for node in selections.selections:
            weight = weight.beside(self._of_one(node, page))
        self._nested -= 1
        return weight

    def _of_one(self, node: SelectionNode, page: int) -> _Weight:
        if isinstance(node, FragmentSpreadNode):
            return self._of_fragment(node.name.value, page)
        if not isinstance(node, FieldNode):
            inner: SelectionSetNode = node.selection_set  # type: ignore[attr-defined]
            return self.of(inner, page=page)
        if node.name.value in _INTROSPECTION:
            return _Weight(heads=1)  # allowed here, or refused before
        if node.selection_set is None:
            # Clients add `__typename` wherever a selection is; it is no mutation.
            return _Weight(heads=int(node.name.value != "__typename"), depth=1, cost=1)
        inside = self.of(node.selection_set, page=self._page_of(node))
        # The entries of a page are what stands below `edges`; everything else stands there once.
        times = page if node.name.value == "edges" else 1
        return _Weight(heads=1, depth=inside.depth + 1, cost=1 + times * inside.cost)

    def _of_fragment(self, name: str, page: int) -> _Weight:
        if name not in self.fragments or name in self._open:
            return _Weight()  # unknown, or within itself: for validation to say
        if (name, page) not in self._known:
            self._open.append(name)
            self._known[name, page] = self.of(self.fragments[name].selection_set, page=page)
            self._open.pop()
        return self._known[name, page]

    def _page_of(self, node: FieldNode) -> int:
        """How many entries the `edges` below this field may be."""
        asked = [self._number(each.value) for each in node.arguments or () if each.name.value in {"first", "last"}]
        return max((min(size, LARGEST_PAGE) for size in asked if size is not None), default=DEFAULT_PAGE)

    def _number(self, value: Any) -> int | None:
        given = self.variables.get(value.name.value) if isinstance(value, VariableNode) else None
        if isinstance(value, IntValueNode):
            given = int(value.value)
        # What is no number is refused later; until then it counts as the largest page.
        return given if isinstance(given, int) and given >= 0 else None if given is None else LARGEST_PAGE
