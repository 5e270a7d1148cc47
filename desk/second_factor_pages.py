"""The pages on which staff set up their second factor, and show it."""

from __future__ import annotations

from typing import Any, Final, cast

import segno
from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from core.admin import DeskForm
from core.errors import DomainError
from desk import door
from desk.confirmation import CodeInput
from users import second_factor
from users.models import User

_SEED: Final = "desk_second_factor_seed"
_LINE: Final = {"autofocus": True, "autocapitalize": "none", "spellcheck": "false"}


class CodeForm(DeskForm):
    code = forms.CharField(max_length=20, label=_("Code"), widget=CodeInput(attrs=_LINE))


def show(request: HttpRequest, *, site: Any) -> HttpResponse:
    """The password was right: now the code from the telephone, or a recovery code."""
    user = _somebody(request)
    if user is None:
        return redirect("admin:login")
    if door.has_shown_code(request):
        return redirect(door.way_on(request))
    if second_factor.of(user) is None:
        return redirect("admin:second_factor_set_up")
    asked = CodeForm(request.POST or None)
    if asked.is_valid():
        at = now()
        try:
            factor = second_factor.verify(user=user, code=asked.cleaned_data["code"], at=at)
        except DomainError as refusal:
            asked.add_error("code", refusal.detail)
        else:
            door.let_in(request, factor=factor, at=at)
            return redirect(door.way_on(request))
    return _page(request, site, title=_("Your code"), form=asked, next=door.way_on(request))


def set_up(request: HttpRequest, *, site: Any) -> HttpResponse:
    """The QR code for a telephone, confirmed by the first code that it shows; then the recovery codes, once."""
    user = _somebody(request)
    if user is None:
        return redirect("admin:login")
    if door.has_shown_code(request) or second_factor.of(user) is not None:
        return redirect("admin:second_factor")
    seed = request.session.setdefault(_SEED, second_factor.new_seed())
    asked = CodeForm(request.POST or None)
    if asked.is_valid():
        at = now()
        try:
            codes = second_factor.set_up(user=user, seed=seed, code=asked.cleaned_data["code"].strip(), at=at)
        except DomainError as refusal:
            asked.add_error("code", refusal.detail)
        else:
            del request.session[_SEED]
            door.let_in(request, factor=cast("Any", second_factor.of(user)), at=at)
            return _page(request, site, title=_("Your recovery codes"), codes=codes)
    shown = second_factor.enrolment(user=user, seed=seed)
    picture = segno.make(shown.address, error="m").svg_data_uri(scale=5, border=3, dark="#000", light="#fff")
    grouped = " ".join(shown.key[start : start + 4] for start in range(0, len(shown.key), 4))
    return _page(request, site, title=_("Set up your second factor"), form=asked, picture=picture, key=grouped)


def _somebody(request: HttpRequest) -> User | None:
    user = request.user
    return user if isinstance(user, User) and user.is_staff and user.is_active else None


def _page(request: HttpRequest, site: Any, **context: Any) -> TemplateResponse:
    return TemplateResponse(request, "desk/second_factor.html", {**site.each_context(request), **context})
