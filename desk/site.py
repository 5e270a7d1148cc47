"""The finance desk: Django's admin on a theme, under our name."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from unfold.sites import UnfoldAdminSite


class DeskSite(UnfoldAdminSite):
    index_title = "Orders and payments"

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """What the box at the top of every page asks for; it takes the place of the theme's own."""
        from desk import search_page  # here, because the site is made before there are models

        request.current_app = self.name
        return search_page.show(request, context={**self.each_context(request), **(extra_context or {})})
