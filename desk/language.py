"""In which of its languages the desk speaks to somebody: theirs, which their letters have too."""

from __future__ import annotations

from typing import cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from users import profile
from users.models import User


def switch(request: HttpRequest) -> HttpResponse:
    """Keep the language that was chosen, and go back to where it was chosen. What we do not speak changes nothing."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    home, back = reverse("admin:index"), request.POST.get("next", "")
    if request.POST.get("language") in dict(settings.LANGUAGES):
        profile.change(user=cast("User", request.user), changes={"language": request.POST["language"]})
    is_ours = back.startswith(home) and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return redirect(back if is_ours else home)
