"""The page that asks once more who it is, before something that moves money. What was chosen and written goes along."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django import forms
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from core.admin import DeskForm
from core.errors import DomainError
from desk import door
from users import second_factor

_PREFIX: Final = "confirm"


class CodeInput(forms.TextInput):
    """For a code, which is asked for anew: one that was wrong, or used, would only be in the way of the next."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs={"autocomplete": "one-time-code", **(attrs or {})})

    def format_value(self, value: Any) -> None:  # noqa: ARG002 - Django's signature
        return None


class ConfirmForm(DeskForm):
    password = forms.CharField(
        label=_("Your password"),
        max_length=128,
        strip=False,
        widget=forms.PasswordInput(attrs={"autofocus": True, "autocomplete": "current-password"}),
    )
    code = forms.CharField(
        label=_("The code that your telephone shows"),
        max_length=20,
        widget=CodeInput(attrs={"autocapitalize": "none"}),
    )

    def __init__(self, *args: Any, wants_code: bool, **kwargs: Any) -> None:
        super().__init__(*args, prefix=_PREFIX, **kwargs)
        if not wants_code:
            del self.fields["code"]


def first(request: HttpRequest, *, site: Any, opts: Any, title: str, chosen: Iterable[Any]) -> TemplateResponse | None:
    """The page, or None where password and code were given at most five minutes ago, perhaps by this very request."""
    at = now()
    if door.is_recent(request, at=at):
        return None
    is_answered = f"{_PREFIX}-password" in request.POST
    wants_code = second_factor.is_wanted(user=request.user)  # type: ignore[arg-type]
    asked = ConfirmForm(request.POST if is_answered else None, wants_code=wants_code)
    if asked.is_valid():
        given = asked.cleaned_data
        try:
            door.prove(request, password=given["password"], code=given.get("code", ""), at=at)
        except DomainError as refusal:
            asked.add_error(None, refusal.detail)
        else:
            return None
    context = {
        **site.each_context(request),
        "title": _("Is it still you?"),
        "verb": title,
        "opts": opts,
        "chosen": list(chosen),
        "form": asked,
        "carried": _carried(request),
    }
    return TemplateResponse(request, "desk/confirmation.html", context)


def _carried(request: HttpRequest) -> list[tuple[str, str]]:
    """What was posted with it: the rows, the verb, and the reason if it was written already."""
    return [
        (name, str(value))
        for name, values in request.POST.lists()
        if name != "csrfmiddlewaretoken" and not name.startswith(f"{_PREFIX}-")
        for value in values
    ]
