"""Puts a notification into words: facts from the database first, then templates, which see nothing but those facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.template import Context, Engine

from core import spreadsheet
from core.money import Currency, Money
from notifications import wording
from notifications.models import ChannelKind, Notification
from notifications.webhooks.models import DisabledBecause, WebhookEndpoint
from orders.models import Order
from payments import day_report, inquiry
from payments.models import DayClose, RefundCause
from users import recovery, regions
from users.models import User

OURS: Final = Path(__file__).resolve().parent / "templates"
_KEBELE: Final = {"en": "Kebele", "am": "ቀበሌ"}
_WOREDA: Final = {"en": "Woreda", "am": "ወረዳ"}
_NAMES_NOTHING: Final = "\x00"
"""Stands in the text wherever a template asked for a fact that is not there, so that it cannot be overlooked."""


class BrokenTemplate(RuntimeError):
    """A template asks for something that nobody gives it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that goes along."""

    name: str
    mime_type: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message as it leaves. `html` and `subject` are empty for SMS. Nothing in it changes from copy to copy."""

    recipient: str
    language: str
    message_id: str
    date_header: str
    subject: str
    text: str
    html: str
    attachments: tuple[Attachment, ...] = ()


def gather(*, notification: Notification, for_staff: bool = False) -> dict[str, Any]:
    """Everything that the templates may speak of. Plain text: no rows, no methods, nothing that could ask a database.

    `for_staff` leaves out the tokens that open an order or an account: whoever looks at a mail should not be able to
    act with it.
    """
    language = notification.language
    facts: dict[str, Any] = {
        "language": language,
        "merchant": settings.MERCHANT_NAME,
        "shop_url": f"{settings.PUBLIC_BASE_URL}/",
        "first_name": "",
    }
    if notification.user is not None:
        facts["first_name"] = _one_line(notification.user.first_name)
        ends_at = notification.user.erase_at
        facts["account"] = {
            "password_page": recovery.page(),
            "erased_from": wording.moment(ends_at, language=language) if ends_at else "",
        }
        if notification.template == "password_reset":
            facts["reset"] = _reset(notification.user, since=notification.queued_at, for_staff=for_staff)
    if notification.order is not None:
        facts["first_name"] = _one_line(notification.order.first_name)
        facts["order"] = _order(notification.order, language=language, for_staff=for_staff)
    if notification.refund is not None:
        refund = notification.refund
        facts["refund"] = {
            "amount": wording.amount(refund.total, language=language),
            "is_surplus": refund.cause == RefundCause.SURPLUS,
        }
    if notification.day is not None:
        facts["day"] = _day(notification.day, language=language)
        facts["books_url"] = f"{settings.PUBLIC_BASE_URL}/admin/"
    if notification.endpoint is not None:
        facts["endpoint"] = _endpoint(notification.endpoint, language=language)
        facts["endpoints_url"] = f"{settings.PUBLIC_BASE_URL}/admin/"
    return facts


def write(*, notification: Notification, facts: Mapping[str, Any]) -> Letter:
    """The words of a notification, in its language and for its channel.

    :raises TemplateDoesNotExist: · TemplateSyntaxError: · BrokenTemplate: our own mistakes, not the recipient's.
    """
    by_mail = notification.channel == ChannelKind.EMAIL
    folder = f"notifications/{notification.language}/{notification.template}"
    return Letter(
        recipient=notification.recipient,
        language=notification.language,
        message_id=notification.message_id,
        date_header=wording.mail_date(notification.queued_at),
        subject=_one_line(_render(f"{folder}.subject.txt", facts)) if by_mail else "",
        text=_render(f"{folder}.txt" if by_mail else f"{folder}.sms.txt", facts).strip() + "\n",
        html=_render(f"{folder}.html", facts) if by_mail else "",
        attachments=_attachments(notification) if by_mail else (),
    )


def _attachments(notification: Notification) -> tuple[Attachment, ...]:
    """Made anew for each copy, from the row: nothing is stored twice, and a closed day's row never changes."""
    closed = notification.day
    if closed is None:
        return ()
    content = spreadsheet.workbook(sheets=day_report.sheets(closed=closed, language=notification.language))
    return (Attachment(name=day_report.file_name(closed), mime_type=spreadsheet.MIME_TYPE, content=content),)


def _endpoint(endpoint: WebhookEndpoint, *, language: str) -> dict[str, Any]:
    """The host alone: the rest of a URL may be a secret."""
    since = endpoint.failing_since or endpoint.disabled_at
    return {
        "name": _one_line(endpoint.description) or endpoint.host,
        "host": endpoint.host,
        "is_gone": endpoint.disabled_because == DisabledBecause.GONE,
        "since": wording.moment(since, language=language) if since else "",
    }


def _day(closed: DayClose, *, language: str) -> dict[str, Any]:
    word, figures = day_report.WORDS[language], closed.figures

    def amount(number: str, currency: str) -> str:
        return wording.amount(Money(Decimal(number), Currency(currency)), language=language)

    return {
        "date": wording.day(closed.day, language=language),
        "closed_at": wording.moment(closed.closed_at, language=language),
        "entries": str(sum(figures["entries"].values())),
        "chain_length": str(figures["chain"]["length"]),
        "chain_digest": figures["chain"]["digest"],
        "accounts": [
            {
                "name": word[each["account"]],
                "opening": amount(each["opening"], each["currency"]),
                "debits": amount(each["debits"], each["currency"]),
                "credits": amount(each["credits"], each["currency"]),
                "closing": amount(each["closing"], each["currency"]),
            }
            for each in figures["accounts"]
        ],
        "still_open": [
            {
                "name": word[kind],
                "count": str(figures["open_items"][kind]["count"]),
                "sums": ", ".join(
                    amount(number, currency) for currency, number in figures["open_items"][kind]["sums"].items()
                ),
            }
            for kind in day_report.ITEMS
        ],
    }


def _reset(user: User, *, since: datetime, for_staff: bool) -> dict[str, Any]:
    link = recovery.link_for(user=user, since=since)
    return {
        "link": f"{link.partition('#')[0]}#…" if for_staff else link,
        "minutes": str(int(settings.PASSWORD_RESET_VALID.total_seconds()) // 60),
    }


def _order(order: Order, *, language: str, for_staff: bool) -> dict[str, Any]:
    currency = Currency(order.currency)
    link = inquiry.order_page(order)
    return {
        "number": order.number,
        "total": wording.amount(order.total, language=language),
        "payable_until": wording.moment(order.expires_at, language=language),
        "paid_at": wording.moment(order.paid_at, language=language) if order.paid_at else "",
        "link": f"{link.partition('?')[0]}?token=…" if for_staff else link,
        "lines": [
            {
                "name": _one_line(line.name),
                "quantity": str(line.quantity),
                "unit_price": wording.amount(Money(line.unit_price, currency), language=language),
                "total": wording.amount(Money(line.line_total, currency), language=language),
            }
            for line in order.lines.all()
        ],
        "delivery": _delivery(order, language=language),
    }


def _delivery(order: Order, *, language: str) -> dict[str, str]:
    """How it gets there, and where, from the smallest part up; nothing where nobody chose."""
    chosen = order.delivery
    if chosen is None:
        return {}
    address = chosen.address
    places = () if address is None else (
        address["house_number"], address["landmark"], address["kebele"] and f"{_KEBELE[language]} {address['kebele']}",
        address["woreda"] and f"{_WOREDA[language]} {address['woreda']}", address["sub_city"], address["city"],
        regions.name_of(address["region"], language=language),
    )  # fmt: skip
    return {
        "name": _one_line(chosen.name.get(language, chosen.name["en"])),
        "price": wording.amount(chosen.price, language=language),
        "recipient": "" if address is None else _one_line(address["recipient_name"]),
        "address": ", ".join(_one_line(part) for part in dict.fromkeys(places) if part),
    }


def _render(name: str, facts: Mapping[str, Any]) -> str:
    engine = _engine(tuple(Engine.get_default().dirs), as_html=name.endswith(".html"))
    rendered = engine.get_template(name).render(Context(dict(facts), autoescape=engine.autoescape))
    if _NAMES_NOTHING in rendered:
        missing = rendered.split(_NAMES_NOTHING)[1]
        raise BrokenTemplate(f"{name} asks for {missing}, which is not among the facts")
    return rendered


@lru_cache(maxsize=8)
def _engine(folders: tuple[str | Path, ...], *, as_html: bool) -> Engine:
    """A merchant's own templates, in a folder of TEMPLATES, win over ours. Only HTML is escaped."""
    return Engine(
        dirs=[*map(str, folders), str(OURS)],
        autoescape=as_html,
        string_if_invalid=f"{_NAMES_NOTHING}%s{_NAMES_NOTHING}",
    )


def _one_line(text: str) -> str:
    """What stands in a header or beside one: no line break and nothing invisible, whoever chose the name."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())
