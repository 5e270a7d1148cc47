"""The form of the desk's sign-in: Django's, behind a count of the tries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.utils.formats import date_format
from django.utils.timezone import localtime, now
from django.utils.translation import gettext as _
from unfold.forms import AuthenticationForm

from core import client_address
from desk import door
from users.limits import TriedTooOften
from users.models import normalise_email


class SignInForm(AuthenticationForm):  # type: ignore[misc]
    def clean(self) -> dict[str, Any]:
        at = now()
        email = normalise_email(self.cleaned_data.get("username") or "")
        try:
            door.count_try(email=email, address=client_address.of(self.request), at=at)
        except TriedTooOften as refusal:
            until = localtime(at + timedelta(seconds=refusal.retry_after or 0))
            said = _("Too many tries. The next one counts at %(time)s (%(zone)s).")
            raise forms.ValidationError(
                said % {"time": date_format(until + timedelta(minutes=1), "H:i"), "zone": until.tzname()},
                code="tried_too_often",
            ) from None
        return dict(super().clean())
