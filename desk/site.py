"""The finance desk: Django's admin on a theme, under our name."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from unfold.sites import UnfoldAdminSite


class DeskSite(UnfoldAdminSite):
    index_title = _("Orders and payments")
    index_template = "desk/home.html"

    def month(self, request: HttpRequest) -> HttpResponse:
        """A month of the books, day by day."""
        from desk import month_page  # here, because the site is made before there are models

        request.current_app = self.name
        return month_page.show(request, context=self.each_context(request))

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """What the box at the top of every page asks for; it takes the place of the theme's own."""
        from desk import search_page  # here, because the site is made before there are models

        request.current_app = self.name
        return search_page.show(request, context={**self.each_context(request), **(extra_context or {})})

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        from desk import home  # the site is made before there are models

        shown = home.context(site=self, request=request, at=now())
        page: TemplateResponse = super().index(request, {**shown, **(extra_context or {})})
        return page

    login_template = "desk/sign_in.html"

    def get_urls(self) -> list[Any]:
        from desk import language
        from desk import second_factor_pages as pages  # Django makes the site before there are models
        from desk.models import Export

        shown: Any = self.get_model_admin(Export)

        def view(page: Any) -> Any:
            return csrf_protect(never_cache(partial(page, site=self)))

        return [
            path("second-factor/", view(pages.show), name="second_factor"),
            path("second-factor/set-up/", view(pages.set_up), name="second_factor_set_up"),
            path("month/", self.admin_view(self.month), name="month"),
            path("language/", self.admin_view(language.switch), name="language"),
            path("accounting/journal/", self.admin_view(shown.accounting_view), name="desk_accounting"),
            *super().get_urls(),
        ]

    def confirm_first(
        self, request: HttpRequest, model_admin: Any, *, title: str, chosen: Iterable[Any]
    ) -> HttpResponse | None:
        """The page that asks for the password before something that moves money; None where it was given just now."""
        from desk import confirmation

        return confirmation.first(request, site=self, opts=model_admin.opts, title=title, chosen=chosen)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Django's page. Other sessions end with the old password; the entry about it is in the same transaction."""
        from core import audit, outbox

        user: Any = request.user
        before = user.password
        with transaction.atomic():
            answer: HttpResponse = super().password_change(request, extra_context)
            user.refresh_from_db(fields=["password"])
            if user.password != before:
                audit.record(verb="user.change_own_password", actor=f"staff:{user.pk}", subject=user)
                outbox.record(topic="user.password_changed", user_id=user.pk)
        return answer

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Django's page; it says why one has to sign in again, and a session begins with it."""
        from desk import door

        said = {"ended": request.GET.get("ended", ""), "is_without_code": not settings.STAFF_SECOND_FACTOR}
        answer: HttpResponse = super().login(request, {**said, **(extra_context or {})})
        if request.method == "POST" and answer.status_code == HTTPStatus.FOUND and request.user.is_authenticated:
            door.begin(request, at=now())
        return answer

    def verbs_of_list(self, request: HttpRequest, model: Any) -> list[tuple[Any, str]]:
        """What may be done with a list besides what its own admin offers."""
        from desk import export_admin  # the site is made before there are models

        link = export_admin.link_of(request, model)
        return [link] if link else []
