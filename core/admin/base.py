"""What the staff site is made of: much to look at, few verbs, and nothing to edit behind the use cases' back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms.utils import pretty_name
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold import widgets
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.admin import TabularInline as UnfoldTabularInline

from core import listing
from core.audited_forms import AuditedForms
from core.errors import DomainError

if TYPE_CHECKING:
    _Base = admin.ModelAdmin[Any]
    _Inline = admin.TabularInline[Any, Any]
else:  # generic for the type checker only
    _Base = UnfoldModelAdmin
    _Inline = UnfoldTabularInline


_CHECKBOX = " ".join([*widgets.CHECKBOX_CLASSES, "action-select"])


class ModelAdmin(AuditedForms, _Base):
    """What staff may edit in a form."""

    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 50
    show_full_result_count = False
    warn_unsaved_form = True

    def formfield_for_dbfield(self, db_field: Any, request: Any, **kwargs: Any) -> Any:
        """What is edited in the list has no label there but its column's heading, which nobody hears."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name in self.list_editable:
            field.widget.attrs["aria-label"] = field.label
        return field

    @admin.display(description=getattr(UnfoldModelAdmin.action_checkbox, "short_description", ""))
    def action_checkbox(self, obj: Any) -> SafeString:
        """The theme's, written out: a template for each row is nearly half of a list's time."""
        return format_html(
            '<input type="checkbox" name="{}" value="{}" class="{}" aria-label="{}">',
            ACTION_CHECKBOX_NAME,
            obj.pk,
            _CHECKBOX,
            _("Select record"),
        )


Text = str | Promise
"""What is shown, perhaps translated when it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """Something that may be done with the row that a page shows. `at_once`: without being asked for anything first."""

    name: str
    label: str
    url: str
    at_once: bool


class WithVerbs(ModelAdmin):
    """Each of `actions` is offered for the chosen rows of the list, and as a button on the page of one row."""

    change_form_outer_before_template = "core/verbs.html"
    list_before_template = "core/list_verbs.html"

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.do_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_do"
        return [path("<path:object_id>/do/<slug:verb>/", view, name=name), *super().get_urls()]

    def can_do(self, verb: str, row: Any) -> bool:  # noqa: ARG002 - for those who know better
        """Whether it makes sense to offer this for the row. The use case has the last word all the same."""
        return True

    def verbs(self, request: HttpRequest, row: Any) -> list[Verb]:
        """What this person may do with the row, in the order of `actions`."""
        address = f"admin:{self.opts.app_label}_{self.opts.model_name}_do"
        return [
            Verb(
                name=name,
                label=str(capfirst(getattr(action, "verb", description))),
                url=reverse(address, args=[row.pk, name]),
                at_once=getattr(action, "at_once", False),
            )
            for name, (action, _name, description) in self._offered(request).items()
            if self.can_do(name, row)
        ]

    def list_verbs(self, request: HttpRequest) -> list[tuple[Text, str]]:  # noqa: ARG002 - for those who have some
        """What may be done besides what is done with rows: a label and where it is done."""
        return []

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        site: Any = self.admin_site  # may have verbs for every list
        of_site = site.verbs_of_list(request, self.model) if hasattr(site, "verbs_of_list") else []
        verbs = [*self.list_verbs(request), *of_site]
        return super().changelist_view(request, {**(extra_context or {}), "list_verbs": verbs})

    def _offered(self, request: HttpRequest) -> dict[str, Any]:
        """Our own verbs: for one row Django's page has its own way to delete it."""
        return {name: each for name, each in self.get_actions(request).items() if name != "delete_selected"}

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        verbs = self.verbs(request, row) if row is not None and self.has_view_permission(request, row) else []
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "verbs": verbs})

    def do_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """One verb for one row: the same action as for the chosen rows of a list."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = self._offered(request).get(verb)
        chosen = self.get_queryset(request).filter(pk=unquote(object_id))
        if found is None or not chosen.exists():
            raise Http404
        action = found[0]
        back = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[unquote(object_id)])
        if getattr(action, "at_once", False) and request.method != "POST":
            return redirect(back)
        answer: HttpResponse | None = action(self, request, chosen)
        return answer or redirect(back)


class QuickList(ModelAdmin):
    """A list that stays quick among a million rows.

    Nobody counts them: it would take longer than to show fifty. For the same reason a list is sorted by what has an
    index alone, and `search_fields` are looked up exactly (`=`) or by their beginning (`^`); `search_texts` are
    expressions with a trigram index, in which words are found wherever they stand. Nobody chooses all rows at once, for
    how many that would be is not known.
    """

    list_disable_select_all = True
    paginator = listing.InfinitePaginator
    sortable_by = ()
    search_texts: tuple[Any, ...] = ()

    def spellings(self, term: str) -> list[str]:
        """How what somebody looks for may be written in a column."""
        return listing.spellings(term)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """What was looked for, each field by its own index."""
        term = search_term.strip()[: listing.LONGEST_TERM]
        if not term:
            return queryset, False
        found = listing.find(
            queryset,
            fields=self.get_search_fields(request),
            texts=self.search_texts,
            term=term,
            spellings=self.spellings(term),
            ordering=self.get_ordering(request) or ("-pk",),
        )
        return found, False


class ReadOnlyAdmin(QuickList, WithVerbs):
    """Search, filter, look; no adding, changing or deleting. What may be done stands in `actions`."""

    warn_unsaved_form = False

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


class ReadOnlyInline(_Inline):
    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


_BARE = (forms.CheckboxInput, forms.CheckboxSelectMultiple, forms.RadioSelect, forms.FileInput)
"""What is dressed by desk.css; everything else is a line to write in, as the theme dresses it."""


class DeskForm(forms.Form):
    """A form of the staff site, dressed like the rest of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if field.label is None:
                field.label = gettext(pretty_name(name))
            if not isinstance(field.widget, _BARE):
                own = field.widget.attrs.get("class", "")
                field.widget.attrs["class"] = " ".join([*widgets.INPUT_CLASSES, own]).strip()


class FormOfRows(DeskForm):
    """A form that asks something else of other rows."""

    def __init__(self, *args: Any, rows: list[Any], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = rows


class ReasonForm(DeskForm):
    """Every decision of a person is written down with its reason."""

    reason = forms.CharField(max_length=300, label=_("Reason"), widget=forms.TextInput(attrs={"autofocus": True}))


def decision(
    form: type[forms.Form],
    *,
    title: Text,
    done: Text,
    about: Callable[[Any], str] | None = None,
    recent: bool = False,
) -> Callable[[Callable[..., str | None]], Callable[..., Any]]:
    """An action that first asks on a page of its own, and then calls the use case once for each chosen row.

    The decorated method gets the request, one row, and what the form was given. A refusal by the use case is shown with
    the row it is about; the other rows do not wait for it. `about` says of a row what whoever decides should know.
    `recent`: only for whoever gave the password a moment ago; the others give it first, and lose nothing by it.
    """

    def wrap(act: Callable[..., str | None]) -> Callable[..., Any]:
        @functools.wraps(act)
        def action(self: Any, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
            if recent and (first := self.admin_site.confirm_first(request, self, title=title, chosen=chosen)):
                answer: HttpResponse = first
                return answer
            given = request.POST if "confirmed" in request.POST else None
            asked = form(given, rows=list(chosen)) if issubclass(form, FormOfRows) else form(given)
            if not asked.is_valid():
                return ask(self, request, form=asked, title=title, chosen=chosen, action=act.__name__, about=about)
            for row in chosen:
                carry_out(self, request, row, act, given=asked.cleaned_data, done=done)
            return None

        action.verb = title  # type: ignore[attr-defined]
        return action

    return wrap


def at_once(*, label: Text, done: Text) -> Callable[[Callable[..., str | None]], Callable[..., Any]]:
    """An action that asks for nothing first, because it can do no harm: as `decision`, without its page."""

    def wrap(act: Callable[..., str | None]) -> Callable[..., Any]:
        @functools.wraps(act)
        def action(self: Any, request: HttpRequest, chosen: QuerySet[Any]) -> None:
            for row in chosen:
                carry_out(self, request, row, act, given={}, done=done)

        action.verb = label  # type: ignore[attr-defined]
        action.at_once = True  # type: ignore[attr-defined]
        return action

    return wrap


def carry_out(
    self: Any, request: HttpRequest, row: Any, act: Callable[..., str | None], *, given: dict[str, Any], done: Text
) -> None:
    """Call the use case for one row, and say what became of it: `done`, or why it was left alone, if it says so."""
    try:
        left_alone: str | None = act(self, request, row, given)
    except DomainError as refusal:
        self.message_user(request, f"“{row}”: {refused(refusal)}", messages.ERROR)
    else:
        level = messages.WARNING if left_alone else messages.SUCCESS
        self.message_user(request, f"“{row}”: {left_alone or done}", level)


def refused(refusal: DomainError) -> str:
    """Why not, for people. What was wrong this time is said in English; elsewhere a title stands before it."""
    title = gettext(refusal.title) if refusal.title else ""
    return refusal.detail if title in {"", refusal.title} else f"{title} ({refusal.detail})"


def ask(
    self: Any,
    request: HttpRequest,
    *,
    form: forms.Form,
    title: Text,
    chosen: Iterable[Any] = (),
    action: str = "",
    about: Callable[[Any], str] | None = None,
) -> TemplateResponse:
    """The page that asks what an action needs to know."""
    context = {
        **self.admin_site.each_context(request),
        "title": title,
        "opts": self.opts,
        "chosen": [(row, about(row) if about else "") for row in chosen],
        "form": form,
        "action": action,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "core/admin_action.html", context)


def actor(request: HttpRequest) -> str:
    """The word for the history."""
    return f"staff:{request.user.pk}"
