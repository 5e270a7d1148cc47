"""The finance desk: Django's admin on a theme, under our name."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from unfold.sites import UnfoldAdminSite


class DeskSite(UnfoldAdminSite):
    index_title = _("Orders and payments")
    index_template = "desk/home.html"

    def get_urls(self) -> list[Any]:
        return [path("month/", self.admin_view(self.month), name="month"), *super().get_urls()]

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
