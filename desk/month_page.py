"""`/admin/month/?month=2026-11`: a month of the books."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.timezone import now
from django.utils.translation import gettext as _

from desk import month
from payments import closing

_MONTH: Final = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


def show(request: HttpRequest, *, context: dict[str, Any]) -> HttpResponse:
    """The month that was asked for; the running one where none was, or one that is none."""
    if not request.user.has_perm("payments.view_dayclose"):
        raise PermissionDenied
    at = now()
    today = closing.today(at=at)
    asked = _MONTH.fullmatch(request.GET.get("month", ""))
    year, number = (int(asked[1]), int(asked[2])) if asked else (today.year, today.month)
    try:
        shown = month.show(year=year, month=number, at=at)
    except ValueError:
        shown = month.show(year=today.year, month=today.month, at=at)
    following = (shown.first + timedelta(days=31)).replace(day=1)
    return TemplateResponse(
        request,
        "desk/month.html",
        {
            **context,
            "title": _("Month"),
            "month": shown,
            "before": _name(shown.first - timedelta(days=1)),
            "after": _name(following) if following <= today else "",
        },
    )


def _name(day: date) -> str:
    return f"{day:%Y-%m}"
