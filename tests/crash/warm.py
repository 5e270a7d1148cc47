"""Imported once by the process from which all others are forked: an application that has started, and done nothing."""

from __future__ import annotations

import os

import django

django.setup()

import config.wsgi  # noqa: E402 - Django first
from config.celery import app  # noqa: E402 - Django first
from config.warmup import warm_up  # noqa: E402 - Django first
from tests.crash import ageing, broker, journeys, judge, lives, play, shop, system  # noqa: E402 - Django first

PID = os.getpid()
app.loader.import_default_modules()
app.finalize()
_ = (config.wsgi, ageing, broker, journeys, judge, lives, play, shop, system)
warm_up()
