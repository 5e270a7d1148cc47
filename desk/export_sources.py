"""What can be taken out as a file, and by whom: every list exactly as it is filtered, and the journal of a period."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ALL_VAR, ERROR_FLAG, PAGE_VAR
from django.core.exceptions import SuspiciousOperation, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext

from core.errors import DomainError
from core.listing import DaysFilter
from desk import accounting
from desk.export_columns import COLUMNS, Column
from users.models import User

PERMISSION: Final = "desk.export_data"
_OF_A_PAGE: Final = (PAGE_VAR, ALL_VAR, ERROR_FLAG)


class ExportNotAllowed(DomainError):
    code, status, title = "export_not_allowed", 403, "You may not take this list out as a file."
    storable = False


class ExportNotUnderstood(DomainError):
    code, status, title = "export_not_understood", 400, "The list cannot be filtered like that."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Rows in their order, the columns they are written in, and what was filtered by, in words.

    `adds_up`: the rows are lines of the journal, and end with their totals.
    """

    title: str
    name: str
    rows: QuerySet[Any]
    ordering: tuple[str, ...]
    columns: tuple[Column, ...]
    words: tuple[str, ...]
    adds_up: bool = False


def of(*, kind: str, query: str, user: User) -> Source:
    """What `kind` is, as `query` filters it, for this person now. `kind` is `app.model`, or the accounting export.

    :raises ExportNotAllowed: · ExportNotUnderstood:
    """
    if not may(user=user, kind=kind):
        raise ExportNotAllowed
    try:
        return _journal(query) if kind == accounting.KIND else _of_list(kind, query, user)
    except (IncorrectLookupParameters, SuspiciousOperation, ValidationError, ValueError) as problem:
        raise ExportNotUnderstood from problem


def may(*, user: User, kind: str) -> bool:
    """Whether this person may take it out: who sees the list, and is allowed to take lists out."""
    if not (user.is_active and user.is_staff and user.has_perm(PERMISSION)):
        return False
    if kind == accounting.KIND:
        return user.has_perm("payments.view_journalentry") and user.has_perm("payments.view_journalline")
    app, _dot, name = kind.partition(".")
    return kind in COLUMNS and user.has_perm(f"{app}.view_{name}")


def title(*, kind: str) -> str:
    """What it is called."""
    if kind == accounting.KIND:
        return gettext("Journal, line by line")
    return str(apps.get_model(kind)._meta.verbose_name_plural).capitalize()  # noqa: SLF001 - Django's public name


def _journal(query: str) -> Source:
    period = accounting.read(query)
    return Source(
        title=title(kind=accounting.KIND),
        name=f"journal-{period.since}-{period.until}",
        rows=accounting.lines(period=period),
        ordering=accounting.ORDERING,
        columns=accounting.COLUMNS,
        words=(gettext("%(since)s to %(until)s") % {"since": period.since, "until": period.until},),
        adds_up=True,
    )


def _of_list(kind: str, query: str, user: User) -> Source:
    """The list asks itself what it shows: the same filters, the same search and the same order as on its page."""
    model = apps.get_model(kind)
    site: Any = admin.site
    shown: Any = site.get_model_admin(model)
    changelist = shown.get_changelist_instance(_asking(query, user))
    ordering = tuple(changelist.queryset.query.order_by)
    return Source(
        title=title(kind=kind),
        name=title(kind=kind).lower().replace(" ", "-"),
        rows=changelist.queryset.select_related(None).order_by(),
        ordering=ordering,
        columns=COLUMNS[kind],
        words=tuple(_words(changelist)),
    )


def _asking(query: str, user: User) -> HttpRequest:
    """The question that the list's page is asked, without what is about one page of it."""
    given = QueryDict(query, mutable=True)
    for name in _OF_A_PAGE:
        given.pop(name, None)
    request = HttpRequest()
    request.method = "GET"
    request.GET = given  # type: ignore[assignment]
    request.user = user
    return request


def _words(changelist: Any) -> Iterator[str]:
    if changelist.query:
        yield gettext("search: %s") % changelist.query
    known: set[str] = set()
    for spec in changelist.filter_specs:
        expected = [name for name in spec.expected_parameters() if name]
        known.update(expected)
        if not any(name in changelist.filter_params for name in expected):
            continue
        if isinstance(spec, DaysFilter):
            ends = [changelist.params.get(f"{spec.parameter_name}_{end}") or "…" for end in ("from", "to")]
            yield f"{spec.title}: {ends[0]} – {ends[1]}"
        else:
            chosen = [str(each["display"]) for each in spec.choices(changelist) if each.get("selected")]
            yield f"{spec.title}: {', '.join(chosen)}"
    for name, value in changelist.params.items():
        if name not in known and name not in {"q", "o"}:
            yield f"{name}: {value}"
