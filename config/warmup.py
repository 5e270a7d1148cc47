"""What a process that will live for long does once, before its first request or task."""

from __future__ import annotations

import gc

from django.contrib import admin
from django.template import engines
from django.urls import get_resolver


def warm_up() -> None:
    """Load what Django loads when it is first asked, and let the collector pass over all that is there by now.

    A full pass over the loaded application takes a tenth of a second, falls into whichever request is under way, and
    finds nothing: what is loaded stays. Processes forked later go on sharing its pages
    (https://docs.python.org/3/library/gc.html#gc.freeze).
    """
    _ = (get_resolver().url_patterns, engines.all(), admin.site.urls)
    gc.collect()
    gc.freeze()
