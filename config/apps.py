"""The admin's own configuration, so that its site carries our name."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class NexusAdminConfig(AdminConfig):
    default_site = "desk.site.DeskSite"
