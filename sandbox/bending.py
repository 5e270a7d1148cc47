"""Faults that only change what the JSON of an answer says."""

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sandbox.faults import Rule
from sandbox.notices import set_path
from sandbox.signing import number
from sandbox.wire import amount_in

Bend = Callable[[dict[str, Any], dict[str, Any]], Any]


def _in_data(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Bend:
    """A change of `data`, when there is one."""

    def bend(body: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        if isinstance(body.get("data"), dict):
            change(body["data"], params)
        return body

    return bend


def _amounts(style: str) -> Bend:
    def change(data: dict[str, Any], _params: dict[str, Any]) -> None:
        for name in ("amount", "charge"):
            if name in data:
                value = _number_of(data[name])
                data[name] = amount_in(style=style, value=value, plain=".2f")

    return _in_data(change)


def _number_of(value: Any) -> Decimal:
    """An amount of an answer, whatever form it has, as a Decimal."""
    return Decimal(str(value).replace(",", ""))


def _wrong_amount(data: dict[str, Any], params: dict[str, Any]) -> None:
    if "value" in params:
        data["amount"] = params["value"]
    elif "amount" in data:
        data["amount"] = number(_number_of(data["amount"]) + _number_of(params.get("difference", "-0.01")))


def _wrong_currency(data: dict[str, Any], params: dict[str, Any]) -> None:
    data["currency"] = params.get("value", "USD" if data.get("currency") == "ETB" else "ETB")


def _wrong_mode(data: dict[str, Any], params: dict[str, Any]) -> None:
    data["mode"] = params.get("value", "live" if data.get("mode") == "test" else "test")


def _wrong_tx_ref(data: dict[str, Any], params: dict[str, Any]) -> None:
    data["tx_ref"] = params.get("value", "somebody-elses-reference")


def _unknown_status(data: dict[str, Any], params: dict[str, Any]) -> None:
    data["status"] = params.get("value", "on_hold")


def _upper_status(body: dict[str, Any], _params: dict[str, Any]) -> dict[str, Any]:
    for holder in (body, body.get("data")):
        if isinstance(holder, dict) and isinstance(holder.get("status"), str):
            holder["status"] = holder["status"].upper()
    return body


def _stale(data: dict[str, Any], _params: dict[str, Any]) -> None:
    data.update(status="pending", charge=0)


def _message_object(body: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    return {**body, "message": params.get("value", {"email": ["validation.email"]})}


def _tab_in_message(body: dict[str, Any], _params: dict[str, Any]) -> dict[str, Any]:
    return {**body, "message": f"{body.get('message')}\t"}


def _missing_data(body: dict[str, Any], _params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "data"}


def _override(body: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    for path, value in params.get("fields", {}).items():
        set_path(target=body, path=path, value=value)
    return body


def _array(body: dict[str, Any], _params: dict[str, Any]) -> list[Any]:
    return [body]


BENDS: dict[str, Bend] = {
    "array": _array,
    "message_object": _message_object,
    "tab_in_message": _tab_in_message,
    "missing_data": _missing_data,
    "upper_status": _upper_status,
    "unknown_status": _in_data(_unknown_status),
    "string_amount": _amounts("string"),
    "comma_amount": _amounts("comma"),
    "wrong_amount": _in_data(_wrong_amount),
    "wrong_currency": _in_data(_wrong_currency),
    "wrong_mode": _in_data(_wrong_mode),
    "wrong_tx_ref": _in_data(_wrong_tx_ref),
    "stale": _in_data(_stale),
    "override": _override,
}


def bent(*, body: Any, rule: Rule) -> Any:
    """The answer's JSON as the rule wants it; kinds that are not about JSON leave it alone."""
    bend = BENDS.get(rule.kind)
    return bend(copy.deepcopy(body), rule.params) if bend and isinstance(body, dict) else body
