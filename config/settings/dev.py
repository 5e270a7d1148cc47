"""A developer's machine. `make run` gives every value; what is missing gets one that only fits this machine."""

from __future__ import annotations

import os
from pathlib import Path

import environ

# Before the fallbacks, which must not win over it.
environ.Env.read_env(str(Path(__file__).resolve().parent.parent.parent / ".env"), overwrite=False)

_FALLBACKS = {
    "SECRET_KEY": "dev-only-secret-key-0123456789-0123456789-0123456789",
    "JWT_SIGNING_KEY": "dev-only-jwt-signing-key-0123456789-0123456789",
    "ORDER_TOKEN_KEY": "dev-only-order-token-key-0123456789-0123456789",
    "OUTBOUND_SIGNING_KEY": "dev-only-outbound-signing-key-0123456789-0123456",
    "CHAPA_SECRET_KEY": "CHASECK_TEST-devonly0000000000000000000000000",
    "CHAPA_WEBHOOK_SECRET": "dev-only-webhook-secret-0123456789-0123456789",
    "DATABASE_URL": "postgres://nexus@127.0.0.1:8002/nexus",
    "BROKER_URL": "redis://127.0.0.1:8003/0",
    "REDIS_URL": "redis://127.0.0.1:8003/1",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
    "PUBLIC_BASE_URL": "http://localhost:8000",
    "CHAPA_BASE_URL": "http://127.0.0.1:8001/v1",
    "CHAPA_CHECKOUT_HOSTS": "127.0.0.1:8001",
    "OUTBOUND_PRIVATE_NETWORKS": "127.0.0.0/8,::1/128",
    "OUTBOUND_ALLOW_HTTP": "true",
    "LOG_FORMAT": "console",
    "STAFF_SECOND_FACTOR": "false",
}
for _name, _value in _FALLBACKS.items():
    os.environ.setdefault(_name, _value)

from config.settings.base import *  # noqa: E402, F403 - the fallbacks must be in place first
from config.settings.base import ENVIRONMENT, MAIL_DIR  # noqa: E402

DEBUG = ENVIRONMENT.flag("DEBUG", default=False)
GRAPHQL_EXPLORER = True
MADE_UP_DATA_ALLOWED = True
CORS_ALLOWED_ORIGIN_REGEXES = [r"http://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?$"]  # a front end's own server
if not ENVIRONMENT.given("OUTBOUND_PORTS"):
    OUTBOUND_PORTS = []
if ENVIRONMENT.given("EMAIL_URL"):
    globals().update(ENVIRONMENT.mail("EMAIL_URL"))
else:
    EMAIL_BACKEND = "notifications.mailbox.EmlBackend"
    EMAIL_FILE_PATH = MAIL_DIR
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_ROOT = None  # found where they lie
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

ENVIRONMENT.refuse_if_wrong()
