from __future__ import annotations

import pytest

from core.graphql import documents
from core.graphql.documents import InvalidQuery, MalformedQuery, QueryTooCostly


def fields(count: int) -> str:
    return " ".join(f"f{number}" for number in range(count))


ORDER = f"{fields(17)} items {{ {fields(5)} }} payments {{ {fields(15)} }}"
PAGE_OF_EVERYTHING = f"{{ orders(first: 100) {{ edges {{ node {{ {ORDER} }} }} }} }}"


def weigh(query: str, *, may_introspect: bool = False, **variables: object) -> None:
    document = documents.read(query)
    operation = documents.operation_in(document, name=None)
    documents.weigh(document, operation=operation, variables=variables, may_introspect=may_introspect)


def limit_of(query: str, **variables: object) -> str:
    with pytest.raises(QueryTooCostly) as refused:
        weigh(query, **variables)
    assert refused.value.extra["most"] > 0
    return str(refused.value.extra["limit"])


def nested(levels: int, *, leaf: str = "a") -> str:
    return "{ a " * (levels - 1) + "{ " + leaf + " }" + " }" * (levels - 1)


# --- What is within the limits ----------------------------------------------------------------------------------------


def test_a_hundred_whole_orders_with_lines_and_payments_are_not_too_much():
    weigh(PAGE_OF_EVERYTHING)


def test_the_deepest_query_is_as_deep_as_the_limit_says():
    weigh(nested(documents.DEEPEST))

    assert limit_of(nested(documents.DEEPEST + 1)) == "depth"


def test_as_many_aliases_as_the_limit_says_are_taken_and_one_more_is_not():
    def aliased(times: int) -> str:
        return f"{{ {' '.join(f'n{number}: me' for number in range(times))} }}"

    weigh(aliased(documents.MOST_ALIASES))

    assert limit_of(aliased(documents.MOST_ALIASES + 1)) == "aliases"


# --- Wide -------------------------------------------------------------------------------------------------------------


def test_a_second_page_of_everything_is_too_much():
    second = PAGE_OF_EVERYTHING[1:-1].replace("orders", "again: orders")

    assert limit_of(f"{PAGE_OF_EVERYTHING[:-1]} {second} }}") == "cost"


@pytest.mark.parametrize("size", ["$n", "999999999999999999999999", "-1"])
def test_a_size_that_is_a_variable_or_out_of_range_counts_as_the_page_it_may_become(size):
    query = f"query ($n: Int = 100) {{ products(first: {size}) {{ edges {{ node {{ {fields(60)} }} }} }} }}"

    assert limit_of(query) == "cost"
    if size == "$n":
        weigh(query, n=10)
        assert limit_of(query, n="10") == "cost"


def test_a_page_within_a_page_is_multiplied():
    query = "{ a(first: 80) { edges { node { b(last: 80) { edges { cursor } } } } } }"

    assert limit_of(query) == "cost"
    weigh(query.replace("80", "50"))


def test_without_a_size_a_page_counts_as_the_default_one():
    entry = fields(documents.MOST_COST // documents.DEFAULT_PAGE)

    assert limit_of(f"{{ products {{ edges {{ node {{ {entry} }} }} }} }}") == "cost"


# --- Fragments --------------------------------------------------------------------------------------------------------


def test_fragments_that_double_each_other_are_weighed_and_not_unfolded():
    bomb = "{ ...f0 } " + " ".join(
        f"fragment f{n} on Query {{ a {{ ...f{n + 1} }} b {{ ...f{n + 1} }} }}" for n in range(20)
    )

    assert limit_of(bomb + " fragment f20 on Query { me }") == "depth"


def test_a_bomb_of_flat_fragments_is_too_costly():
    bomb = "{ ...f0 } " + " ".join(f"fragment f{n} on Query {{ {' '.join([f'...f{n + 1}'] * 10)} }}" for n in range(8))

    assert limit_of(bomb + " fragment f8 on Query { me }") == "cost"


def test_depth_hidden_in_fragments_is_found():
    hidden = "{ ...f0 } " + " ".join(f"fragment f{n} on Query {{ a {{ ...f{n + 1} }} }}" for n in range(9))

    assert limit_of(hidden + " fragment f9 on Query { me }") == "depth"


def test_a_size_reaches_the_edges_through_a_fragment():
    page = f"fragment page on C {{ edges {{ node {{ {fields(60)} }} }} }}"

    assert limit_of(f"{{ products(first: 100) {{ ...page }} }} {page}") == "cost"


@pytest.mark.parametrize(
    "cycle",
    [
        "{ ...a } fragment a on Query { ...a }",
        "{ ...a } fragment a on Query { me { ...b } } fragment b on Profile { email ...a }",
        "{ me { ...a } } fragment a on Profile { ...b ...b } fragment b on Profile { ...a ...a }",
        "{ ...nobody }",
    ],
)
def test_a_cycle_is_left_to_validation_and_does_not_turn_for_ever(cycle):
    weigh(cycle)


@pytest.mark.parametrize("way", ["... { ", "... on Query { ", "... @include(if: true) { "])
def test_inline_fragments_nested_without_end_are_too_deep(way):
    assert limit_of("{ " + way * 40 + "me" + " }" * 41) == "depth"


# --- Mutations and looks at the schema --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "mutation { a: x b: x }",
        "mutation { a: x ...f } fragment f on Mutation { b: x }",
        "mutation { ... { a: x } ... { b: x } }",
        "mutation { ...f } fragment f on Mutation { a: x b: x }",
    ],
)
def test_one_request_holds_one_mutation(query):
    assert limit_of(query) == "mutations"
    weigh(query.replace("mutation", "query"))


def test_the_name_of_a_type_is_no_mutation():
    weigh("mutation { __typename a: x { __typename } }")


@pytest.mark.parametrize(
    "query",
    [
        "{ __schema { types { name } } }",
        '{ a: __type(name: "Order") { name } }',
        "{ ...f } fragment f on Query { __schema { types { name } } }",
        "{ ... { __schema { types { name } } } }",
    ],
)
def test_the_schema_is_told_where_it_is_allowed_alone(query):
    with pytest.raises(InvalidQuery):
        weigh(query)
    weigh(query, may_introspect=True)
    weigh("{ __typename }")


# --- What cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "",
        "{",
        "}",
        "{ a",
        "{ a(: 1) }",
        "query",
        "{ }",
        "\x00",
        "{ \ud800 }",
        "é",
        '{ a(b: "x) }',
        "{ a(b: 0x10) }",
        "#",
    ],
)
def test_what_is_no_graphql_is_malformed(query):
    with pytest.raises(MalformedQuery):
        documents.read(query)


@pytest.mark.parametrize(
    "value", [r'"\u0000"', r'"a\u0000b"', '"""a\x00"""', "1" * 41, "-" + "9" * 5_000, "1." + "0" * 50, "1e" + "9" * 50]
)
def test_a_value_that_nothing_can_keep_is_malformed(value):
    with pytest.raises(MalformedQuery):
        documents.read(f"{{ a(b: {value}) }}")


@pytest.mark.parametrize(
    ("query", "limit"),
    [
        ("{ a }" + " " * 20_000, "characters"),
        ("{ " + "a " * 2_000 + "}", "tokens"),
        ("{ a(b: " + "[" * 600 + "]" * 600 + ") }", None),
        ("{ a(b: " + "{c: " * 300 + "1" + "}" * 300 + ") }", None),
        ("{ a" * 700 + "}" * 700, None),
    ],
)
def test_a_query_is_bounded_before_it_is_parsed(query, limit):
    with pytest.raises((QueryTooCostly, MalformedQuery)) as refused:
        weigh(query)
    if limit:
        assert refused.value.extra["limit"] == limit


# --- Which operation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("query a { me } query b { me }", None),
        ("query a { me } query a { me }", "a"),
        ("query a { me }", "b"),
        ("{ me }", "a"),
        ("fragment f on Query { me }", None),
        ("subscription { orderUpdated { number } }", None),
        ("type A { b: Int }", None),
    ],
)
def test_an_operation_that_is_not_clear_is_refused(query, name):
    with pytest.raises(InvalidQuery):
        documents.operation_in(documents.read(query), name=name)


def test_of_several_operations_the_named_one_is_weighed():
    document = documents.read("query a { me } query b { x { y } }")
    found = documents.operation_in(document, name="b")

    assert found.name is not None
    assert found.name.value == "b"
