"""Every route of the URLconf against the whole corpus: a problem document or a proper answer, and nothing stored."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse

from tests.hostile import addresses, corpus, forgeries, judging, routes
from tests.hostile import scene as scenes
from tests.hostile.routes import CALLS, HTML, JSON, Call, Sender

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS = [call for call in CALLS if call.body]
COSTLY_STEP = 10
IS_WHOLE = bool(os.environ.get("NEXUS_PROOF_ROUNDS"))
STEP = 1 if IS_WHOLE else 6
PART = 1 if IS_WHOLE else 3
"""Of how many entries a call meets one: see `some`."""
every_call = pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
every_writer = pytest.mark.parametrize("call", WRITERS, ids=lambda call: call.name)


class Attempts:
    """Sends, judges, looks at the database, and remembers everything that was wrong, by the entry's name."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.scene = sender.scene
        self.renews = False
        """Whether a request that used up the order gets a new one for the next."""
        self.faults: dict[str, list[str]] = {}
        self.before = scenes.contents()

    def make(self, name: str, call: Call, *, must_refuse: bool = False, **request: Any) -> HttpResponse:
        response = self.sender.send(call, **request)
        after = scenes.contents()
        changed = scenes.changed(self.before, after)
        faults = judging.faults_of(response, answers=call.answers)
        if judging.is_refusal(response):
            faults += self._stored_by_a_refusal(response, changed)
        elif must_refuse:
            faults.append(f"accepted with {response.status_code}: {response.content[:200]!r}")
        if faults:
            self.faults[name] = faults
        if self.renews and changed and not self.scene.can_go_on:
            self.scene.renew()
            after = scenes.contents()
        self.before = after
        return response

    def _stored_by_a_refusal(self, response: HttpResponse, changed: set[str]) -> list[str]:
        refused = judging.statuses().get(judging.code_of(response))
        if refused is not None and refused.storable:
            changed -= {"core_idempotencykey"}  # the first answer to a key, kept for its repeat
        if judging.code_of(response) in {"wrong_password", "weak_password"}:
            changed -= {"users_attempt"}  # a guess at a password is counted, wherever it leads
        if judging.code_of(response) in {"sign_in_code_refused", "provider_linked_already"}:
            changed -= {"users_usedstate"}  # a sign-in is over, well or not
        return [f"a refusal changed {sorted(changed)}"] if changed else []


@pytest.fixture
def attempts(sender: Sender) -> Iterator[Attempts]:
    made = Attempts(sender)
    yield made
    assert not made.faults, "\n".join(f"{name}: {faults}" for name, faults in made.faults.items())


def some(call: Call, entries: Iterable[Any]) -> Iterable[Any]:
    """A sixth of them for each call of the API, in turn, so that all of them are met by a sixth of the calls: they go
    through the same parser, middlewares and converters. All in `make proof`. Fewer for what takes long to answer.
    """
    step = COSTLY_STEP if call.is_costly else STEP
    return itertools.islice(entries, CALLS.index(call) % step if call in CALLS else 0, None, step)


def test_no_route_is_left_out():
    found = {template for template in routes.templates() if not template.startswith(routes.ADMIN)}

    assert found == {call.template for call in CALLS}


def test_no_method_is_left_out(sender):
    allowed: dict[str, set[str]] = {}
    for call in CALLS:
        response = sender.send(call, method="PROPFIND")
        assert response.status_code == 405
        allowed[call.template] = set(response.headers["Allow"].split(", ")) - {"HEAD", "OPTIONS"}

    assert allowed == {template: {call.method for call in CALLS if call.template == template} for template in allowed}


def test_the_corpus_is_large_and_nothing_in_it_stands_twice():
    tables = (
        corpus.BODIES, corpus.VALUES, corpus.CONTENT_TYPES, corpus.ODD_JSON_TYPES, addresses.HEADERS,
        addresses.QUERIES, addresses.PATHS, addresses.SEGMENTS, forgeries.SIGNATURES, forgeries.GENUINE,
        forgeries.CALLBACKS,
    )  # fmt: skip

    assert sum(len(table) for table in tables) >= 150
    assert len(set(corpus.BODIES.values())) == len(corpus.BODIES)
    assert len(set(corpus.VALUES.values())) == len(corpus.VALUES)
    assert len(set(addresses.QUERIES.values())) == len(addresses.QUERIES)


@every_call
def test_a_request_in_order_is_accepted(attempts, call):
    answer = attempts.make("in order", call)

    if call.takes_no_fields:
        assert judging.code_of(answer) == "order_not_fulfillable"  # fit for its place, but the order is not paid
    elif call.is_elsewhere:
        assert judging.code_of(answer) == "stream_elsewhere"
    else:
        assert answer.status_code in {200, 201, 202, 204}, answer.content[:500]


@every_writer
def test_a_body_that_is_none_is_refused(attempts, call):
    for name, raw in some(call, corpus.BODIES.items()):
        # Chapa may sign any object: what it says is kept. All others must be refused.
        answer = attempts.make(name, call, raw=raw, must_refuse=not call.is_signed)
        if call.is_signed:
            continue
        is_large = len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        said = "invalid" if name in corpus.WELL_FORMED else "body_too_large" if is_large else "malformed_body"
        code = judging.code_of(answer)
        if code != said and not (said == "invalid" and code in {"invalid_input", "unknown_field"}):
            attempts.faults[f"{name}, code"] = [f"{code}, not {said}"]


@every_writer
def test_a_body_of_another_type_is_refused(attempts, call):
    for name, (content_type, raw) in some(call, corpus.CONTENT_TYPES.items()):
        answer = attempts.make(name, call, raw=raw, content_type=content_type, must_refuse=not call.is_signed)
        if not call.is_signed and answer.status_code != 415:
            attempts.faults[f"{name}, status"] = [str(answer.status_code)]
    for name, content_type in some(call, corpus.ODD_JSON_TYPES.items()):
        attempts.make(name, call, content_type=content_type)


@every_writer
def test_a_wrong_value_in_any_field_is_refused_and_an_odd_one_is_harmless(attempts, call):
    attempts.renews = True
    stores = call.template != "api/v1/orders/quote/"  # a quote reads what an order reads, and keeps nothing
    odd = [name for name in corpus.VALUES if name not in corpus.WRONG_TYPES] if stores else []
    for number, place in enumerate(call.fields(attempts.scene)):
        body = call.body(attempts.scene)
        may_be_true = isinstance(at(body, place), bool)
        # In turn, as everywhere here: every value meets some field of every call that has several.
        for name in [*list(corpus.WRONG_TYPES)[number % PART :: PART], *odd[number % STEP :: STEP]]:
            attempts.make(
                f"{name} at {'.'.join(map(str, place))}",
                call,
                raw=routes.raw_with(body, place, corpus.VALUES[name]),
                must_refuse=name in corpus.WRONG_TYPES
                and not call.is_signed
                and not (may_be_true and corpus.VALUES[name] in {"true", "false"}),
            )


def at(body: Any, place: tuple[str | int, ...]) -> Any:
    """What stands there."""
    for step in place:
        body = body[step]
    return body


def other_spellings(value: Any) -> list[str]:
    """JSON that a lenient reader would take for `value`, though its type is another."""
    if isinstance(value, bool):
        return ['"true"', '"on"', '""', "1", "0", "1.0", "null", "[true]", '{"true": true}']
    if isinstance(value, int):
        return [f'"{value}"', f"{value}.0", f"{value}e0", "true", f"[{value}]"]
    if isinstance(value, str):
        digits = value.lstrip("0")
        return ["1", "true", f'["{value}"]', *([digits] if re.fullmatch(r"[0-9]+(\.[0-9]+)?", digits) else [])]
    return []


@every_writer
def test_a_number_is_no_text_and_a_text_is_no_number(attempts, call):
    if call.is_signed:
        return  # what Chapa says in which type is kept as it is
    for place in call.fields(attempts.scene):
        body = call.body(attempts.scene)
        for fragment in other_spellings(at(body, place)):
            answer = attempts.make(
                f"{fragment} at {place}", call, raw=routes.raw_with(body, place, fragment), must_refuse=True
            )
            if judging.code_of(answer) != "invalid_input":
                attempts.faults[f"{fragment} at {place}, code"] = [judging.code_of(answer)]


@every_call
def test_odd_headers_are_harmless(attempts, call):
    for name, headers in some(call, addresses.HEADERS.items()):
        attempts.make(name, call, headers=headers)


@every_call
def test_methods_that_are_not_taken_are_refused(attempts, call):
    taken = {each.method for each in CALLS if each.template == call.template}
    taken |= {"OPTIONS"} | ({"HEAD"} if "GET" in taken else set())
    for method in some(call, corpus.METHODS):
        if method == "GET" and method in taken and call.method != "GET":
            continue  # the other call of this route
        answer = attempts.make(method, call, method=method, must_refuse=method.upper() not in taken)
        if method.upper() not in taken and answer.status_code != 405:
            attempts.faults[f"{method}, status"] = [str(answer.status_code)]


@every_call
def test_an_address_written_wrongly_is_refused(attempts, call):
    for name, mangle in some(call, addresses.PATHS.items()):
        path = mangle(call.path(attempts.scene))
        is_same = path == call.path(attempts.scene)
        attempts.make(name, call, path=path, must_refuse=not is_same and not call.template.startswith("order/assets"))


@every_call
def test_odd_query_strings_are_harmless(attempts, call):
    # Only reads listen to a query string, and a token is taken anywhere: of the rest a part is enough for the others.
    entries = [
        (name, query)
        for number, (name, query) in enumerate(addresses.QUERIES.items())
        if call.method == "GET" or name.startswith("token") or number % COSTLY_STEP == 0
    ]
    for name, query in some(call, entries):
        attempts.make(name, call, query=query)


NO_FILTERS = (
    "least price NaN", "least price sNaN", "least price infinite", "least price beyond floats", "least price negative",
    "least price of three places", "least price with a comma", "least price of 5,000 digits", "least price of NUL",
    "greatest price with an exponent", "greatest price of nonsense", "search for NUL", "search for NUL in a word",
    "search for a long text", "category of NUL", "ordering by a column", "ordering across a relation",
    "ordering by a query", "ordering by a quote", "ordering by a random", "ordering by a number", "ordering of NUL",
    "ordering of two",
)  # fmt: skip


def test_a_filter_that_filters_nothing_is_refused_and_not_passed_over(attempts):
    products = next(call for call in CALLS if call.template == "api/v1/products/")
    for name in NO_FILTERS:
        answer = attempts.make(name, products, query=addresses.QUERIES[name], must_refuse=True)
        if judging.code_of(answer) != "invalid_input":
            attempts.faults[f"{name}, code"] = [judging.code_of(answer)]


@pytest.mark.parametrize("call", [call for call in CALLS if routes.parameters(call.template)], ids=lambda c: c.name)
def test_a_parameter_that_names_nothing_is_refused(attempts, call):
    is_for_all = call.template.startswith("order/")  # the page is the same for every number; its assets, by name
    for parameter in routes.parameters(call.template):
        for name, value in some(call, addresses.SEGMENTS.items()):
            path = call.path(attempts.scene, **{parameter: value})
            attempts.make(f"{name} as {parameter}", call, path=path, must_refuse=not is_for_all)


NUL_IN_A_SESSION = "a session of NUL"
SOME_FOR_STAFF = [
    *(
        {"headers": headers}
        for name, headers in addresses.HEADERS.items()
        if re.match("a (session|host|cookie)", name) and name != NUL_IN_A_SESSION
    ),
    *({"query": addresses.QUERIES[name]} for name in ("search for NUL", "next page elsewhere", "a name of NUL")),
    *({"method": method} for method in ("GET", "HEAD", "PUT", "PROPFIND", "OPTIONS")),
    {
        "method": "POST",
        "content_type": "application/x-www-form-urlencoded",
        "raw": b"username=%00&password=%00&_save=1",
    },
    {"method": "POST", "content_type": "multipart/form-data", "raw": b"--b\r\n"},
    {"method": "POST", "content_type": JSON, "raw": corpus.BODIES["ten megabytes"]},
]


@pytest.mark.parametrize("chunk", range(4))
def test_the_staff_site_shows_strangers_a_form_or_a_refusal(attempts, chunk):
    of_staff = [template for template in routes.templates() if template.startswith(routes.ADMIN)]
    assert len(of_staff) > 40
    for turn, template in enumerate(of_staff[chunk::4]):
        call = Call(method="GET", template=template, answers=HTML)
        for number, request in enumerate(SOME_FOR_STAFF):
            if number % PART == turn % PART:
                attempts.make(f"{template} {number}", call, **request)


def test_a_session_key_with_nul_is_no_session(attempts):
    call = Call(method="GET", template="admin/", answers=HTML)
    answer = attempts.sender.send(call, headers=addresses.HEADERS[NUL_IN_A_SESSION])

    assert answer.status_code == 302


PUBLIC = ("api/v1/products/", "api/v1/categories/", "api/v1/delivery-options/")
"""The same for everybody."""


@pytest.mark.parametrize(
    "call", [call for call in CALLS if call.template.startswith("api/v1/")], ids=lambda call: call.name
)
def test_nobody_on_the_way_keeps_what_is_not_public(sender: Sender, call: Call):
    kept = sender.send(call).headers.get("Cache-Control", "")

    assert kept.startswith("public, max-age=") if call.template.startswith(PUBLIC) else kept == "no-store"
