"""The page behind the search box: what was found, kind by kind, or straight to the one thing that was meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from core import listing
from desk import search
from orders.admin import PAYMENT_LABELS, STATUS_LABELS
from orders.models import Order
from payments.admin.payments import DISPOSITION_LABELS
from payments.admin.refunds import STATUS_LABELS as REFUND_LABELS
from payments.models import Discrepancy, Payment, Refund, WebhookEvent
from users.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row as it is shown."""

    title: str
    about: str
    link: str
    status: str = ""
    tone: str = ""
    amount: str = ""
    at: str = ""
    is_exact: bool = False


def show(request: HttpRequest, *, context: dict[str, Any]) -> HttpResponse:
    """Answer `?q=…`, one kind of it (`&kind=orders&after=…`), or everything though one thing was meant (`&all=1`)."""
    typed, kind = request.GET.get("q", ""), request.GET.get("kind", "")
    user: Any = request.user
    try:
        if kind:
            cursor = request.GET.get("after", "")
            answer = search.ask_for_one(typed=typed, kind=kind, cursor=cursor, may=user.has_perm)
        else:
            answer = search.ask(typed=typed, may=user.has_perm)
    except search.NoSuchPage as problem:
        raise Http404 from problem
    question = answer.question
    if answer.meant is not None and "all" not in request.GET:
        messages.info(request, _way_back(question))
        return redirect(_page_of(answer.meant))
    groups = [
        {
            "title": found.kind.title,
            "name": found.kind.name,
            "lines": [_line(row, found.kind, question) for row in found.rows],
            "more": _address(question, kind=found.kind.name) if found.next and not kind else "",
            "next": _address(question, kind=kind, after=found.next) if found.next and kind else "",
            "previous": _address(question, kind=kind, after=found.previous) if found.previous and kind else "",
        }
        for found in answer.found
    ]
    page = {
        **context,
        "title": _("Search"),
        "question": question,
        "searched": question.typed,
        "groups": groups,
        "one_kind": search.BY_NAME[kind].title if kind else "",
        "everything": _address(question, all="1"),
        "shortest": search.SHORTEST,
    }
    return TemplateResponse(request, "desk/search.html", page)


def _way_back(question: search.Question) -> str:
    words = _("Found by “%(typed)s”.") % {"typed": question.typed}
    return format_html('{} <a class="desk-link" href="{}">{}</a>', words, _address(question, all="1"), _("All results"))


def _address(question: search.Question, **given: str) -> str:
    return f"{reverse('admin:search')}?{urlencode({'q': question.typed, **given})}"


def _page_of(row: Any) -> str:
    return reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])  # noqa: SLF001


def _line(row: Any, kind: search.Kind, question: search.Question) -> Line:
    said = _SAID[type(row)](row)
    return Line(
        title=str(row), link=_page_of(row), is_exact=search.is_exact(row, kind.exact, question), **{"about": "", **said}
    )


def _of_order(order: Order) -> dict[str, Any]:
    name = f"{order.first_name} {order.last_name}".strip()
    return {
        "about": " · ".join(each for each in (name, order.email, order.phone_number) if each),
        "status": listing.words(order.status),
        "tone": STATUS_LABELS.get(order.status, ""),
        "amount": listing.amount(order.total_amount, order.currency),
        "at": listing.moment(order.created_at),
    }


def _of_payment(payment: Payment) -> dict[str, Any]:
    money = payment.captured or payment.total
    return {
        "about": " · ".join(
            each
            for each in (
                payment.order.number,
                payment.begun_for.number if payment.begun_for is not None else "",
                payment.method,
                payment.gateway_reference,
            )
            if each
        ),
        "status": listing.words(payment.status),
        "tone": PAYMENT_LABELS.get(payment.status, ""),
        "amount": listing.amount(money.amount, money.currency),
        "at": listing.moment(payment.created_at),
    }


def _of_refund(refund: Refund) -> dict[str, Any]:
    return {
        "about": f"{refund.payment.order.number} · {refund.reason}",
        "status": listing.words(refund.status),
        "tone": REFUND_LABELS.get(refund.status, ""),
        "amount": listing.amount(refund.amount, refund.currency),
        "at": listing.moment(refund.created_at),
    }


def _of_discrepancy(discrepancy: Discrepancy) -> dict[str, Any]:
    return {
        "about": f"{discrepancy.ours or '–'} / {discrepancy.theirs or '–'}",
        "status": listing.words(discrepancy.status),
        "tone": "warning" if discrepancy.status == "open" else "success",
        "at": listing.moment(discrepancy.opened_at),
    }


def _of_webhook(webhook: WebhookEvent) -> dict[str, Any]:
    return {
        "about": webhook.reason or webhook.reference,
        "status": listing.words(webhook.disposition),
        "tone": DISPOSITION_LABELS.get(webhook.disposition, ""),
        "at": listing.moment(webhook.received_at),
    }


def _of_account(user: User) -> dict[str, Any]:
    return {
        "about": " · ".join(each for each in (user.get_full_name(), user.phone_number) if each),
        "at": listing.moment(user.created_at),
    }


_SAID: Final[Mapping[type, Any]] = {
    Order: _of_order, Payment: _of_payment, Refund: _of_refund, Discrepancy: _of_discrepancy, WebhookEvent: _of_webhook,
    User: _of_account,
}  # fmt: skip
