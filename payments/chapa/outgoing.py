"""What we send. Chapa refuses a payment for a colon in its title: better to leave something out than to be refused."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from core.money import Money
from payments.gateway import Customer

TITLE_LENGTH: Final = 16
DESCRIPTION_LENGTH: Final = 50
EMAIL_LENGTH: Final = 50
NAME_LENGTH: Final = 100

_TX_REF = re.compile(r"[A-Za-z0-9-]{1,50}", re.ASCII)
# At least one letter or digit, since "." and ".." would climb out of the path.
_REFERENCE = re.compile(r"(?=.*[A-Za-z0-9])[!-~]{1,100}", re.ASCII)
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ._-]+", re.ASCII)
_PHONE = re.compile(r"(?:\+?251|0)([79]\d{8})", re.ASCII)
_EMAIL = re.compile(
    r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,24})", re.ASCII | re.IGNORECASE
)
# Names that never receive mail (RFC 2606, RFC 6761, RFC 6762): Chapa looks the domain up and refuses the payment.
_DEAD_DOMAINS: Final = frozenset({"example.com", "example.net", "example.org", "test.com"})
_DEAD_ENDINGS: Final = frozenset(
    {
        "alt",
        "arpa",
        "example",
        "home",
        "internal",
        "invalid",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "onion",
        "test",
    }
)


def checked_tx_ref(tx_ref: str) -> str:
    """:raises ValueError: unless it is what Chapa takes for a reference; ours are made so, anything else is a bug."""
    if not _TX_REF.fullmatch(tx_ref):
        raise ValueError("a tx_ref has 1 to 50 letters, digits and hyphens")
    return tx_ref


def checked_reference(reference: str) -> str:
    """A reference as a part of a path. :raises ValueError: if it is empty, too long or not printable ASCII."""
    if not _REFERENCE.fullmatch(reference):
        raise ValueError("a reference has 1 to 100 printable characters, among them a letter or digit")
    return reference


def checkout_body(
    *,
    tx_ref: str,
    amount: Money,
    customer: Customer,
    title: str,
    description: str,
    callback_url: str,
    return_url: str,
) -> dict[str, object]:
    """The body of `POST /transaction/initialize`: always amount, currency and tx_ref; the rest where it is usable.

    :raises ValueError: on an amount that is not above zero, or a `tx_ref` that Chapa does not take.
    """
    optional = {
        "email": deliverable_email(customer.email),
        "first_name": name(customer.first_name),
        "last_name": name(customer.last_name),
        "phone_number": local_phone(customer.phone_number),
        "callback_url": callback_url,
        "return_url": return_url,
    }
    customization = {
        "title": plain_text(title, longest=TITLE_LENGTH),
        "description": plain_text(description, longest=DESCRIPTION_LENGTH),
    }
    body: dict[str, object] = {
        "amount": amount_text(amount),
        "currency": str(amount.currency),
        "tx_ref": checked_tx_ref(tx_ref),
    }
    body.update({key: value for key, value in optional.items() if value})
    shown = {key: value for key, value in customization.items() if value}
    if shown:
        body["customization"] = shown
    return body


def refund_form(*, amount: Money, reference: str, reason: str) -> dict[str, str]:
    """The form fields of `POST /refund/<reference>`. The amount is always sent: without it Chapa refunds everything."""
    form = {"amount": amount_text(amount), "reference": checked_reference(reference)}
    told = plain_text(reason, longest=DESCRIPTION_LENGTH)
    return {**form, "reason": told} if told else form


def amount_text(amount: Money) -> str:
    """`"1250.00"`. :raises ValueError: unless it is above zero."""
    if amount.amount <= 0:
        raise ValueError("an amount that changes hands is above zero")
    return f"{amount.amount:.2f}"


def plain_text(text: str, *, longest: int) -> str:
    """What is left of `text` in Chapa's characters (ASCII letters, digits, space, `.`, `_`, `-`), cut to `longest`.

    Accents are taken off; another script leaves nothing, and then there is no title rather than an invented one.
    """
    plain = _NOT_PLAIN.sub(" ", _without_accents(text))
    return " ".join(plain.split())[:longest].strip()


def deliverable_email(email: str) -> str:
    """`email` if Chapa is likely to take it, else "". It sends receipts there, it is no condition of paying."""
    address = email.strip()
    found = _EMAIL.fullmatch(address)
    if not found or len(address) > EMAIL_LENGTH:
        return ""
    labels = found[1].lower().split(".")
    if labels[-1] in _DEAD_ENDINGS or ".".join(labels[-2:]) in _DEAD_DOMAINS:
        return ""
    return address


def local_phone(phone: str) -> str:
    """`09…` or `07…`, ten digits, from that or from `+2519…` or `2519…`; anything else becomes ""."""
    found = _PHONE.fullmatch(re.sub(r"[\s().-]", "", phone))
    return f"0{found[1]}" if found else ""


def name(text: str) -> str:
    """A person's name in its own script, without control characters and lone surrogates."""
    kept = "".join(" " if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in text)
    return " ".join(kept.split())[:NAME_LENGTH].strip()


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
