"""Requests that Schemathesis makes of the API's document: what fits it, what breaks it, and chains of what it links.

Whatever is asked, the answer's status, media type, headers and shape stand in the document, and is none of ours to be
ashamed of (5xx). Each test asks `NEXUS_DOCUMENT_EXAMPLES` times; in `make proof` as often as `NEXUS_PROOF_EXAMPLES`
says, and always something else.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis import Case, GenerationMode

from payments import providers
from sandbox.server import Running
from tests.hostile import document_checks
from tests.hostile.document_checks import CHECKS
from tests.hostile.scene import Scene

IS_PROOF: Final = os.environ.get("HYPOTHESIS_PROFILE") == "proof"
EXAMPLES: Final = int(os.environ.get("NEXUS_PROOF_EXAMPLES" if IS_PROOF else "NEXUS_DOCUMENT_EXAMPLES", "30"))
STEPS: Final = 6
"""Of a chain."""
BATCH: Final = 1_000
"""Requests after which Hypothesis begins anew in long runs. What Schemathesis draws hangs on what it drew before, so
that sooner or later Hypothesis finds another kind of value where it had one, and gives up.
"""
asked_often = settings(
    max_examples=EXAMPLES,
    derandomize=not IS_PROOF,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
pytestmark = [pytest.mark.timeout(0)] if IS_PROOF else []


@dataclass
class Asked:
    """How often was asked."""

    times: int = 0

    def often(self, ask: Callable[[int], None]) -> None:
        """Ask EXAMPLES times; in batches where that is very often."""
        if not IS_PROOF:
            ask(EXAMPLES)
        while IS_PROOF and self.times < EXAMPLES:
            with contextlib.suppress(FlakyStrategyDefinition):
                ask(min(BATCH, EXAMPLES - self.times))


@pytest.fixture
def scene(settings: Any) -> Iterator[Scene]:
    """The shop, and the sandbox as its Chapa."""
    with Running() as chapa:
        settings.CHAPA_BASE_URL = f"{chapa.url}/v1"
        settings.CHAPA_CHECKOUT_HOSTS = [chapa.url.removeprefix("http://")]
        settings.CHAPA_SECRET_KEY = chapa.secret_key
        yield Scene()
    providers.forget_shared()


@pytest.fixture
def document(scene: Scene) -> Iterator[Any]:
    """The document, when the shop is there."""
    with document_checks.served() as found:
        yield found


def headers_of(who: str, scene: Scene) -> dict[str, str]:
    match who:
        case "guest":
            return {"X-Order-Token": scene.order_token}
        case "customer":
            return scene.new_bearer(scene.customer)
        case "admin":
            return scene.new_bearer(scene.boss)
        case _:
            return scene.new_bearer(scene.finance)


def real(name: str, scene: Scene) -> str:
    """The value of a parameter in an address, of something that is there."""
    return {
        "slug": scene.product.slug,
        "number": scene.order.number,
        "payment_id": str(scene.paid.pk),
        "refund_id": str(scene.refund.pk),
        "address_id": str(scene.address.pk),
        "provider": "local",
        "identity_id": str(scene.identity.pk),
        "discrepancy_id": str(scene.discrepancy.pk),
        "endpoint_id": str(scene.endpoint.pk),
        "message_id": str(scene.webhook.pk),
    }[name]


def put_in_order(case: Case, scene: Scene) -> None:
    """Let it be about what is there, so that more than its refusal is looked at."""
    case.path_parameters = {name: real(name, scene) for name in case.path_parameters}
    case.query.pop("cursor", None)  # only an answer has one that is good
    put_body_in_order(case, scene)


def put_body_in_order(case: Case, scene: Scene) -> None:
    if isinstance(case.body, dict) and isinstance(case.body.get("items"), list):
        case.body["items"] = [{"sku": scene.product.sku, "quantity": 1 + len(case.body["items"])}]
        case.body |= {"email": scene.customer.email, "phone_number": "0911234567", "currency": "ETB"}
        case.body.pop("expected_total", None)
    elif isinstance(case.body, dict) and "phone_number" in case.body:
        case.body["phone_number"] = "0911234567"


def cases(document: Any, mode: GenerationMode) -> st.SearchStrategy[Case]:
    """Of every operation as many."""
    strategies = [found.ok().as_strategy(generation_mode=mode) for found in document.get_all_operations()]
    return st.sampled_from(strategies).flatmap(lambda strategy: strategy)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
@pytest.mark.parametrize("who", ["guest", "customer", "finance", "admin"])
def test_no_answer_is_unknown_to_the_document(document: Any, scene: Scene, who: str, mode: GenerationMode) -> None:
    asked, of_all = Asked(), cases(document, mode)

    def ask(most: int) -> None:
        @settings(asked_often, max_examples=most)
        @given(case=of_all, is_there=st.booleans())
        def one(case: Case, is_there: bool) -> None:
            asked.times += 1
            if not scene.can_go_on:
                scene.renew()
            if is_there and mode is GenerationMode.POSITIVE:
                put_in_order(case, scene)
            case.headers.pop("Authorization", None)
            case.headers.update(headers_of(who, scene))
            case.validate_response(case.call(), checks=CHECKS)

        one()

    asked.often(ask)


@pytest.mark.django_db
@pytest.mark.parametrize("who", ["guest", "customer", "finance", "admin"])
def test_no_chain_of_requests_leads_to_one(document: Any, scene: Scene, who: str) -> None:
    tokens: dict[str, str] = {}
    asked = Asked()

    class Chains(document.as_state_machine()):  # type: ignore[misc]
        """Uses what one answer gave in the next request: places an order, reads it, pays it, cancels it."""

        def setup(self) -> None:
            self.before = transaction.savepoint()  # each chain meets the shop as it was

        def teardown(self) -> None:
            transaction.savepoint_rollback(self.before)

        def before_call(self, case: Case) -> None:
            put_body_in_order(case, scene)
            case.headers.pop("Authorization", None)
            case.headers.update(headers_of(who, scene))
            if token := tokens.get(str(case.path_parameters.get("number"))):
                case.headers["X-Order-Token"] = token

        def after_call(self, response: Any, case: Case) -> None:
            asked.times += 1
            if response.status_code == 201 and "access_token" in response.text:
                tokens[response.json()["number"]] = response.json()["access_token"]

        def validate_response(self, response: Any, case: Case, *_: Any, **__: Any) -> None:
            case.validate_response(response, checks=CHECKS)

    def ask(most: int) -> None:
        chains = max(most // STEPS, 1)
        Chains.run(settings=settings(asked_often, max_examples=chains, stateful_step_count=STEPS))

    asked.often(ask)
