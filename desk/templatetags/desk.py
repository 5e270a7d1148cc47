"""What the desk's pages are written with: everything of `core.templatetags.calendars`."""

from __future__ import annotations

from django import template

from core.templatetags import calendars

register = template.Library()
register.filters.update(calendars.register.filters)
