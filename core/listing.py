"""Lists of the staff site that stay quick among a million rows: paging, searching, filtering, and how a cell looks.

Nothing here counts rows. A search is answered by one index for each field that it looks at, never by a condition over
several tables at once, for which PostgreSQL would read them all (docs/decisions/0034).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast
from uuid import UUID

from django import forms
from django.core.paginator import InvalidPage, Page, Paginator
from django.db import models
from django.db.models import Model, QuerySet
from django.db.models.expressions import Combinable
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise, cached_property
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.decorators import display
from unfold.widgets import INPUT_CLASSES

from core.spoken import EAST_AFRICA, NONE, as_day, day, in_ethiopia, moment, words
from core.trigrams import SHORTEST_PART, matching, parts_of

__all__ = [
    "EAST_AFRICA", "NONE", "DaysFilter", "InfinitePaginator", "amount", "as_day", "day", "find", "in_ethiopia",
    "in_two_lines", "labelled", "link", "long", "moment", "spellings", "words",
]  # fmt: skip

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:  # generic for the type checker only
    _Paginator = Paginator

_Cell = TypeVar("_Cell", bound=Callable[..., Any])
MOST_PAGES: Final = 200
"""Further than that nobody turns pages: they search, or choose days. The database would sort all it skips."""
MOST_FOUND: Final = 500
"""So many rows a search takes from each index, the newest first."""
LONGEST_TERM: Final = 200
_LARGEST: Final = 2**63 - 1


class InfinitePaginator(_Paginator):
    """Pages without their number. One row more than a page holds says whether there is a next one.

    It bears the name of the theme's, by which the theme knows that there is no count to show.
    """

    template_name = "core/pagination.html"
    has_more = False
    """Whether there is a page after the one that was read last."""

    @cached_property
    def count(self) -> int:
        """More than are shown; how many is nobody's business."""
        return self.per_page * MOST_PAGES

    def page(self, number: int | str) -> Page[Any]:
        """Read a page. :raises InvalidPage: beyond the last page, or beyond `MOST_PAGES`."""
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        rows = list(self.object_list[first : first + self.per_page + 1])
        if not rows and number > 1:
            raise InvalidPage(_("There is no such page."))
        self.has_more = len(rows) > self.per_page and number < MOST_PAGES
        return Page(rows[: self.per_page], number, self)


# Searching


def find(
    rows: QuerySet[Any],
    *,
    fields: Sequence[str],
    texts: Iterable[Combinable] = (),
    term: str,
    spellings: Iterable[str],
    ordering: Sequence[Any],
) -> QuerySet[Any]:
    """The rows that have one of `spellings` in one of `fields` (`=reference`), or begin with it (`^recipient`), or hold
    the words of `term` in one of `texts`; of each the first `MOST_FOUND` in that order.

    Each is a query of its own inside one statement, so that each is answered by its own index; what they find is
    fetched by its keys in the next.
    """
    found = []
    for field in fields:
        how, path = field[0], field[1:]
        values = _as_values(rows.model, path, spellings)
        if values and how == "=":
            found.append(rows.filter(**{f"{path}__in": values}))
        elif values and how == "^" and len(term) >= SHORTEST_PART:
            found.append(rows.filter(**{f"{path}__startswith": term}))
    if parts_of(term):
        found += [matching(rows, expression=text, term=term, ordering=ordering) for text in texts]
    if not found:
        return rows.none()
    first, *others = [each.order_by(*ordering).values_list("pk", flat=True)[:MOST_FOUND] for each in found]
    return rows.filter(pk__in=set(first.union(*others, all=True) if others else first))


def spellings(term: str) -> list[str]:
    """As it was typed, in small letters and in capitals."""
    return sorted({term, term.lower(), term.upper()})


def _as_values(model: type[Model], path: str, given: Iterable[str]) -> list[Any]:
    """What of it the column can hold: its index is of no use for anything else."""
    field: Any = None
    for name in path.split("__"):
        field = model._meta.get_field(name)  # noqa: SLF001 - Django's public name
        model = field.related_model or model
    if isinstance(field, models.IntegerField):
        return [int(each) for each in given if each.isascii() and each.isdigit() and int(each) <= _LARGEST][:1]
    if isinstance(field, models.UUIDField):
        return [UUID(each) for each in given if _is_uuid(each)][:1]
    return list(given)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


# Filtering


class DaysForm(forms.Form):
    """From a day to a day."""

    class Media:
        js = ("admin/js/calendar.js", "unfold/filters/js/DateTimeShortcuts.js")

    def __init__(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for end, named in (("from", _("From")), ("to", _("To"))):
            look = {
                "placeholder": named, "aria-label": named, "autocomplete": "off",
                "class": " ".join(["vCustomDateField", *INPUT_CLASSES]),
            }  # fmt: skip
            self.fields[f"{name}_{end}"] = forms.DateField(
                label="", required=False, widget=forms.DateInput(attrs=look, format="%Y-%m-%d")
            )


class DaysFilter(RangeDateFilter):  # type: ignore[misc]
    """From one day to another, both included, as the days are in East Africa. An index on the column answers it."""

    form_class = DaysForm

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's
        since, until = (self._day(end) for end in ("from", "to"))
        is_moment = isinstance(self.field, models.DateTimeField)
        if since is not None:
            begins = datetime.combine(since, time.min, EAST_AFRICA) if is_moment else since
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": begins})
        if until is not None:
            ends = datetime.combine(until + timedelta(days=1), time.min, EAST_AFRICA) if is_moment else until
            queryset = queryset.filter(**{f"{self.parameter_name}__{'lt' if is_moment else 'lte'}": ends})
        return queryset

    def _day(self, end: str) -> Any:
        """The day that was given; None where it is none, or one that no row can be of."""
        return as_day(self.used_parameters.get(f"{self.parameter_name}_{end}"))


# Cells


def labelled(*, description: str | Promise, tones: Mapping[Any, str]) -> Callable[[_Cell], _Cell]:
    """A state as a coloured label. The method gives the state, or the state and how one reads it.

    Written here, because the theme renders a template for each: a page of fifty rows took half as long again.
    """

    def wrap(cell: _Cell) -> _Cell:
        @functools.wraps(cell)
        def shown(self: Any, row: Any) -> str:
            said = cell(self, row)
            state, text = said if isinstance(said, tuple) else (said, said)
            return label(text, tone=tones.get(state, ""))

        shown.short_description = description  # type: ignore[attr-defined]
        return cast("_Cell", shown)

    return wrap


def label(text: str, *, tone: str = "") -> str:
    """A word in a coloured field; in grey without a tone."""
    return format_html('<span class="desk-label" data-tone="{}">{}</span>', tone, text) if text else NONE


def in_two_lines(*, description: str | Promise) -> Callable[[_Cell], _Cell]:
    """What the method gives: a line, and a smaller one below it."""
    decorator: Callable[[_Cell], _Cell] = display(description=description, header=True)
    return decorator


def amount(value: Decimal | None, currency: str) -> str:
    """An amount with its currency, to stand at the right of its column."""
    if value is None:
        return NONE
    return format_html('<span class="desk-amount">{} {}</span>', f"{value:,.2f}", currency)


def link(row: Model | None) -> str:
    """A row by its name, with the way to its page."""
    if row is None:
        return NONE
    try:
        address = reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])  # noqa: SLF001
    except NoReverseMatch:
        return str(row)
    return format_html('<a class="desk-link" href="{}">{}</a>', address, str(row))


def long(text: str) -> str:
    """A text that may need several lines, and gets them."""
    return format_html('<span class="desk-long">{}</span>', text) if text else ""
