"""What every answer must be, whatever was asked."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.http import HttpResponse

from core.errors import DomainError
from core.problems import CONTENT_TYPE
from tests.graphql_client import snake

_MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_AMOUNT = re.compile(r"\d{1,10}\.\d\d", re.ASCII)
_LEAKS = re.compile(
    r"Traceback|<!doctype|<html|psycopg2|django\.|rest_framework|site-packages|\.py\b|SELECT ", re.IGNORECASE
)
_IS_JSON = re.compile(r"json$")
_MONEY = frozenset({"total", "refunded_total", "unit_price", "line_total", "amount", "price"})


def statuses() -> dict[str, type[DomainError]]:
    """The catalogue of refusals, by code."""
    return {error.code: error for error in DomainError.catalogue()}


def refusals_in(response: HttpResponse) -> list[dict[str, Any]]:
    """The problem documents of an answer: REST's is the whole of it, GraphQL's stand in its errors."""
    if not response.content or not _IS_JSON.search(response.headers.get("Content-Type", "")):
        return []
    said = json.loads(response.content)
    if _is_of_graphql(said):
        return [error["extensions"] for error in said["errors"]]
    return [said] if response.status_code >= 400 else []


def is_refusal(response: HttpResponse) -> bool:
    """Was something refused, whether HTTP says so or, with 200, GraphQL?"""
    return response.status_code >= 400 or bool(refusals_in(response))


def code_of(response: HttpResponse) -> str:
    """The code of a refusal; empty for an answer that is none, or that has no body (HEAD)."""
    return "".join(str(refusal.get("code", "")) for refusal in refusals_in(response)[:1])


def _is_of_graphql(said: Any) -> bool:
    errors = said.get("errors") if isinstance(said, dict) else None
    return isinstance(errors, list) and all(isinstance(each, dict) and "extensions" in each for each in errors)


def faults_of(response: HttpResponse, *, answers: str = "application/json", may_be_503: bool = False) -> list[str]:
    """Everything that is wrong with an answer; empty where it is as the contract says."""
    faults = []
    if response.status_code >= 500 and not (may_be_503 and response.status_code == 503):
        faults.append(f"status {response.status_code}")
    request_id = response.headers.get("X-Request-ID", "")
    if not _SANE_ID.fullmatch(request_id):
        faults.append(f"X-Request-ID {request_id!r}")
    for name, value in response.headers.items():
        if not value.isprintable() or not name.isprintable():
            faults.append(f"header {name!r}: {value!r}")
    if "X-Injected" in response.headers:
        faults.append("a header was injected")
    if response.headers.get("Content-Type") != CONTENT_TYPE and refusals_in(response):
        faults += _faults_of_errors(response, request_id)
        return faults if response.status_code >= 400 else faults + _faults_of_answer(response, answers)
    if response.status_code >= 400:
        # A kept refusal is given again byte for byte, so it speaks of the request that was refused first.
        is_replay = response.headers.get("Idempotent-Replayed") == "true"
        return faults + _faults_of_problem(response, None if is_replay else request_id)
    return faults + _faults_of_answer(response, answers)


def _faults_of_problem(response: HttpResponse, request_id: str | None) -> list[str]:
    is_graphqls = response.headers.get("Content-Type") == "application/json" and not response.content  # HEAD
    if response.headers.get("Content-Type") != CONTENT_TYPE and not is_graphqls:
        return [f"content type {response.headers.get('Content-Type')!r}: {response.content[:200]!r}"]
    faults = []
    if response.headers.get("Cache-Control") != "no-store":
        faults.append(f"a refusal may be kept: {response.headers.get('Cache-Control')!r}")
    if not response.content:  # HEAD
        return faults
    try:
        said = json.loads(response.content)
    except ValueError as error:
        return [*faults, f"no JSON: {error}"]
    if missing := _MEMBERS - said.keys():
        return [*faults, f"without {sorted(missing)}"]
    return faults + _faults_of_document(said, status=response.status_code, request_id=request_id)


def _faults_of_errors(response: HttpResponse, request_id: str) -> list[str]:
    """Each error of GraphQL holds the document that REST would have answered; HTTP has its status if nothing ran."""
    faults = [] if response.headers.get("Cache-Control") == "no-store" else ["a refusal may be kept"]
    for said in refusals_in(response):
        if missing := _MEMBERS - said.keys():
            return [*faults, f"without {sorted(missing)}"]
        status = response.status_code if response.status_code >= 400 else said["status"]
        faults += _faults_of_document(said, status=status, request_id=request_id)
    return faults


def _faults_of_document(said: dict[str, Any], *, status: int, request_id: str | None) -> list[str]:
    known = statuses().get(said["code"])
    rules = {
        f"code {said['code']!r} is not in the catalogue": known is not None,
        f"{said['code']} with status {status}": known is None or known.status == status,
        f"status {status}, but the document says {said['status']}": said["status"] == status,
        f"type {said['type']!r}": said["type"] == f"{settings.PUBLIC_BASE_URL}/problems/{said['code']}/",
        f"request_id {said['request_id']!r} is not the header's": request_id in {None, said["request_id"]},
        "says too much": not _LEAKS.search(f"{said['title']} {said['detail']}"),
    }
    odd = [error for error in said.get("errors", []) if not _is_of_a_field(error)]
    return [rule for rule, is_kept in rules.items() if not is_kept] + [f"an error of a field: {each!r}" for each in odd]


def _is_of_a_field(error: dict[str, Any]) -> bool:
    return set(error) == {"field", "code", "message"} and all(isinstance(value, str) for value in error.values())


def _faults_of_answer(response: HttpResponse, answers: str) -> list[str]:
    if response.status_code in {204, 302, 304}:
        return []
    content_type = response.headers.get("Content-Type", "")
    if not content_type.startswith(answers):
        # What OPTIONS tells is JSON everywhere.
        if not content_type.startswith("application/json"):
            return [f"content type {content_type!r}"]
        answers = "application/json"
    if answers != "application/json" or not response.content:
        return []
    floats: list[str] = []

    def noted(text: str) -> Decimal:
        floats.append(text)
        return Decimal(text)

    said = json.loads(response.content, parse_float=noted)
    if isinstance(said, dict) and {"ages", "openapi"} & said.keys():
        return []  # seconds of health, and the document that says what money is
    return [f"a float: {floats}"] if floats else faults_of_money(snake(said))


def faults_of_money(said: Any) -> list[str]:
    """Amounts are strings with two places, and every total is the sum of its lines."""
    if isinstance(said, list):
        return [fault for each in said for fault in faults_of_money(each)]
    if not isinstance(said, dict):
        return []
    faults = [
        f"{name} is {value!r}"
        for name, value in said.items()
        if name in _MONEY and not (isinstance(value, str) and _AMOUNT.fullmatch(value))
    ]
    if faults:
        return faults
    if {"unit_price", "quantity", "line_total"} <= said.keys() and _of_a_line(said) != Decimal(said["line_total"]):
        faults.append(f"a line does not add up: {said}")
    if {"items", "total"} <= said.keys() and _of_all_lines(said) + _of_delivery(said) != Decimal(said["total"]):
        faults.append(f"the lines and the delivery are not the total: {said}")
    return faults + [fault for each in said.values() for fault in faults_of_money(each)]


def _of_delivery(order: dict[str, Any]) -> Decimal:
    return Decimal(order["delivery"]["price"]) if order.get("delivery") else Decimal(0)


def _of_a_line(line: dict[str, Any]) -> Decimal:
    return Decimal(line["unit_price"]) * int(line["quantity"])


def _of_all_lines(order: dict[str, Any]) -> Decimal:
    return sum((_of_a_line(line) for line in order["items"]), Decimal(0))
