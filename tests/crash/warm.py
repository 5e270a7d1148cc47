"""Imported once by the process from which all others are forked: an application that has started, and done nothing."""

from __future__ import annotations

import gc
import os

import django

django.setup()

from django.contrib import admin  # noqa: E402 - Django first
from django.template import engines  # noqa: E402 - Django first
from django.urls import get_resolver  # noqa: E402 - Django first

import config.wsgi  # noqa: E402 - Django first
from config.celery import app  # noqa: E402 - Django first
from tests.crash import ageing, broker, journeys, judge, lives, play, shop, system  # noqa: E402 - Django first

PID = os.getpid()
app.loader.import_default_modules()
app.finalize()
_ = (config.wsgi, ageing, broker, journeys, judge, lives, play, shop, system)
_ = (get_resolver().url_patterns, engines.all(), admin.site.urls)

# What is there by now, stays. A collector that walks over it would copy its pages into every process that is forked.
gc.collect()
gc.freeze()
