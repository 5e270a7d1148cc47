"""What `test_against_the_document` would find: each check turns red where the document says something else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from schemathesis.core.failures import FailureGroup

from tests.hostile import document_checks
from tests.hostile.document_checks import CHECKS

pytestmark = pytest.mark.django_db

Answers = dict[str, Any]


def _no_longer_200(answers: Answers) -> None:
    del answers["200"]


def _another_media_type(answers: Answers) -> None:
    answers["200"]["content"]["text/html"] = answers["200"]["content"].pop("application/json")


def _another_shape(answers: Answers) -> None:
    answers["200"]["content"]["application/json"]["schema"] = {"type": "array"}


def _another_header(answers: Answers) -> None:
    answers["200"]["headers"]["ETag"] = {"required": True, "schema": {"type": "integer"}}


@pytest.mark.parametrize("spoil", [_no_longer_200, _another_media_type, _another_shape, _another_header])
def test_an_answer_that_is_not_written_down_is_found(spoil: Callable[[Answers], None]) -> None:
    with document_checks.served() as document:
        answer = document["/api/v1/categories/"]["GET"].Case().call()
    assert answer.status_code == 200
    _judge(document.raw_schema, answer)

    changed = copy.deepcopy(document.raw_schema)
    spoil(changed["paths"]["/api/v1/categories/"]["get"]["responses"])

    with pytest.raises(FailureGroup):
        _judge(changed, answer)


def _judge(document: dict[str, Any], answer: Any) -> None:
    operation = schemathesis.openapi.from_dict(document)["/api/v1/categories/"]["GET"]
    operation.Case().validate_response(answer, checks=CHECKS)
