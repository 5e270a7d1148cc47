"""What staff change in Django's own forms is written down as everything else they do (`core.audit`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from django.contrib import admin
from django.db import models, transaction
from django.db.models import QuerySet
from django.forms.models import model_to_dict
from django.http import HttpRequest

from core import audit

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
else:  # generic for the type checker only
    _Base = object

HIDDEN: Final = "•••"
"""Stands where a value was changed that is nobody's business: a password, or what says who somebody is."""
_LONGEST: Final = 200


class AuditedForms(_Base):
    """Adding, changing and deleting by a form writes an audit entry within Django's own transaction."""

    audit_hidden: tuple[str, ...] = ()
    """Fields of which only is said that they changed. A password is always one."""
    audit_names_it = True
    """Whether a row is called by its name; not where that names a person."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        before, after = self._changed(form, change=change)
        if after or not change:
            self.note(request, form.instance, "change" if change else "add", before=before, after=after)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        with transaction.atomic():
            self.note(request, obj, "delete", before=self._whole(obj))
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for row in queryset:
                self.note(request, row, "delete", before=self._whole(row))
            super().delete_queryset(request, queryset)

    def note(self, request: HttpRequest, row: Any, what: str, **said: Any) -> None:
        """Write down that this person did `what` to the row, in the caller's transaction."""
        audit.record(
            verb=f"{self.opts.model_name}.{what}",
            actor=f"staff:{request.user.pk}",
            subject=row,
            label=str(row) if self.audit_names_it else "",
            **said,
        )

    def _changed(self, form: Any, *, change: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        names = form.changed_data
        before = {name: self._said(name, form.initial.get(name)) for name in names} if change else {}
        return before, {name: self._said(name, form.cleaned_data.get(name)) for name in names}

    def _whole(self, row: Any) -> dict[str, Any]:
        return {name: self._said(name, value) for name, value in model_to_dict(row).items()}

    def _said(self, name: str, value: Any) -> Any:
        return HIDDEN if "password" in name or name in self.audit_hidden else _in_words(value)


def _in_words(value: Any) -> Any:
    """What JSON can hold of a field's value, and not much of it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, models.Model):
        return str(value)[:_LONGEST]
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return sorted(str(_in_words(each)) for each in value)
    return str(value)[:_LONGEST]
