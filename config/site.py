"""The staff site: plain Django admin under our name."""

from __future__ import annotations

from django.contrib.admin import AdminSite


class NexusAdminSite(AdminSite):
    site_header = "Nexus"
    site_title = "Nexus"
    index_title = "Orders and payments"
