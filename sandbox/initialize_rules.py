"""What initialize accepts. The order of the checks is the service's; the field messages are Laravel's keys."""

import re
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from sandbox.merchant import Merchant
from sandbox.switches import Switches

LARGEST = Decimal("9999999.99")
_PHONE = re.compile(r"0[79]\d{8}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")
_SHOWN_TEXT = re.compile(r"[A-Za-z0-9 ._-]*")
_PLAIN_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_UNDELIVERABLE_DOMAINS = frozenset({"test.com", "example.com", "example.org", "example.net", "localhost"})
_UNDELIVERABLE_ENDINGS = (".local", ".localhost", ".test", ".invalid", ".example")
_NEEDED = {
    "amount_currency_tx_ref": ("amount", "currency", "tx_ref"),
    "amount_only": ("amount",),
    "with_email": ("amount", "currency", "tx_ref", "email"),
}
_TEXTS = ("first_name", "last_name", "email", "phone_number", "callback_url", "return_url")

Errors = dict[str, list[str]]


def read_amount(*, value: Any) -> Decimal | None:
    """A plain decimal number, given as text or as a number; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    text = format(value, "f") if isinstance(value, Decimal) else str(value).strip()
    if len(text) > 40 or not _PLAIN_NUMBER.fullmatch(text):
        return None
    return Decimal(text)


def amount_error(*, value: Any, switches: Switches) -> str | None:
    """What is wrong with an amount, as a validation key."""
    amount = read_amount(value=value)
    if amount is None:
        return "validation.numeric"
    if amount <= 0:
        return "validation.gt.numeric"
    if amount > LARGEST:
        return "validation.max.numeric"
    exponent = amount.as_tuple().exponent
    if switches["amount_scale"] == "two" and isinstance(exponent, int) and exponent < -2:
        return "validation.decimal"
    return None


def is_missing(value: Any) -> bool:
    """Whether a field counts as not given: null, or nothing but spaces."""
    return value is None or (isinstance(value, str) and not value.strip())


def _email_ok(email: str, *, check: str) -> bool:
    if check == "off":
        return True
    if len(email) > 50 or not _EMAIL.fullmatch(email):
        return False
    domain = email.rpartition("@")[2].lower()
    undeliverable = domain in _UNDELIVERABLE_DOMAINS or domain.endswith(_UNDELIVERABLE_ENDINGS)
    return check == "format" or not undeliverable


def _is_web_address(value: str) -> bool:
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and not re.search(r"\s", value)


def _shown_text_problems(value: Any, *, longest: int, strict: bool) -> list[str]:
    if not isinstance(value, str):
        return ["validation.string"]
    if not strict:
        return []
    problems = ["validation.max.string"] if len(value) > longest else []
    return problems if _SHOWN_TEXT.fullmatch(value) else [*problems, "validation.regex"]


def _customization_errors(fields: dict[str, Any], *, switches: Switches) -> Errors:
    given = fields.get("customization")
    if is_missing(given):
        return {}
    if not isinstance(given, dict):
        return {"customization": ["validation.array"]}
    strict = switches["customization"] == "strict"
    errors: Errors = {}
    for name, longest in (("title", 16), ("description", 50)):
        value = given.get(name)
        problems = [] if value is None else _shown_text_problems(value, longest=longest, strict=strict)
        if problems:
            errors[f"customization.{name}"] = problems
    logo = given.get("logo")
    if not is_missing(logo) and not (isinstance(logo, str) and _is_web_address(logo)):
        errors["customization.logo"] = ["validation.url"]
    return errors


def _text_errors(fields: dict[str, Any], *, switches: Switches) -> Errors:
    errors: Errors = {}
    given = {name: fields.get(name) for name in _TEXTS}
    for name, value in given.items():
        if is_missing(value):
            continue
        if not isinstance(value, str):
            errors[name] = ["validation.string"]
        elif name == "email" and not _email_ok(value, check=switches["email_check"]):
            errors["email"] = ["validation.email"]
        elif name == "phone_number" and not _PHONE.fullmatch(value):
            reported = switches["phone_error_field"]
            errors[reported] = ["validation.email" if reported == "email" else "validation.regex"]
        elif name.endswith("_url") and not _is_web_address(value):
            errors[name] = ["validation.url"]
    return errors


def field_errors(*, fields: dict[str, Any], switches: Switches) -> Errors:
    """Every field that is missing or wrong, with its validation keys; empty when all is well."""
    errors: Errors = {
        name: ["validation.required"] for name in _NEEDED[switches["required_fields"]] if is_missing(fields.get(name))
    }
    if "amount" not in errors and (problem := amount_error(value=fields["amount"], switches=switches)):
        errors["amount"] = [problem]
    for name, longest in (("currency", 10), ("tx_ref", 50)):
        value = fields.get(name)
        if name in errors or is_missing(value):
            continue
        if not isinstance(value, str):
            errors[name] = ["validation.string"]
        elif len(value) > longest:
            errors[name] = ["validation.max.string"]
    errors.update({n: e for n, e in _text_errors(fields, switches=switches).items() if n not in errors})
    errors.update(_customization_errors(fields, switches=switches))
    subaccounts = fields.get("subaccounts")
    one_in_a_list = isinstance(subaccounts, list) and len(subaccounts) == 1 and isinstance(subaccounts[0], dict)
    accepted = isinstance(subaccounts, dict) or (switches["subaccounts"] == "array_too" and one_in_a_list)
    if subaccounts is not None and not accepted:
        errors["subaccounts"] = ["validation.array"]
    return errors


def subaccount_refusal(*, given: Any, amount: Decimal, merchant: Merchant) -> str | None:
    """Why a split cannot be made, in the service's words."""
    if given is None:
        return None
    split = given[0] if isinstance(given, list) else given
    known = merchant.subaccounts.get(str(split.get("id")))
    if known is None:
        return (
            "The subaccount id you provided isn't associated with this account. Please make sure the id is "
            "correct or to create a subaccount before proceeding."
        )
    kind = split.get("split_type") or known.split_type
    value = read_amount(value=split.get("split_value"))
    value = known.split_value if value is None else value
    fee = merchant.fee(amount=amount)
    if kind == "flat" and fee > value:
        return "Merchant fee is greater than split flat amount."
    if kind != "flat" and fee > amount * value:
        return "Merchant's share of payment is not enough to cover transaction fee."
    return None
