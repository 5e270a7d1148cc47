"""The finance desk: Django's admin on a theme, under our name."""

from __future__ import annotations

from unfold.sites import UnfoldAdminSite


class DeskSite(UnfoldAdminSite):
    index_title = "Orders and payments"
