"""The tests: fixed secrets, so that a run can be repeated; real servers, whose addresses tests.services provides."""

from __future__ import annotations

import os

os.environ.update(
    {
        "SECRET_KEY": "test-secret-key-0123456789-0123456789-0123456789",
        "JWT_SIGNING_KEY": "test-jwt-signing-key-0123456789-0123456789-01",
        "ORDER_TOKEN_KEY": "test-order-token-key-0123456789-0123456789-01",
        "OUTBOUND_SIGNING_KEY": "test-outbound-signing-key-0123456789-0123456",
        "CHAPA_SECRET_KEY": "CHASECK_TEST-0123456789abcdef0123456789abcdef",
        "CHAPA_WEBHOOK_SECRET": "test-webhook-secret-0123456789-0123456789-012",
        "CHAPA_WEBHOOK_SECRET_PREVIOUS": "",
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "PUBLIC_BASE_URL": "http://testserver",
        "LOG_FORMAT": "json",
        "STAFF_SECOND_FACTOR": "false",
    }
)
os.environ.setdefault("CHAPA_BASE_URL", "http://127.0.0.1:9/v1")
os.environ.setdefault("CHAPA_CHECKOUT_HOSTS", "127.0.0.1:9")
os.environ.setdefault("DATABASE_URL", "postgres://nexus@127.0.0.1:8002/nexus")
os.environ.setdefault("BROKER_URL", "redis://127.0.0.1:8003/0")
os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:8003/1")

from config.settings.base import *  # noqa: F403 - the fixed values must be in place first
from config.settings.base import DATABASES, ENVIRONMENT, INSTALLED_APPS, INVARIANTS_PARAMETERS

INSTALLED_APPS += ["tests.cleaning"]

# A slow machine is no busy database: what production gives up after seconds, a test waits for. A test of giving up
# says on its own connection how soon (`SET statement_timeout`).
_PATIENCE_MS = 120_000
DATABASES["default"]["OPTIONS"] = {
    "connect_timeout": _PATIENCE_MS // 1000,
    "options": (
        f"-c statement_timeout={_PATIENCE_MS} -c lock_timeout={_PATIENCE_MS} "
        f"-c idle_in_transaction_session_timeout={_PATIENCE_MS} "
        "-c nexus.may_truncate=on"  # how a test cleans up
    ),
}

EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
RATE_LIMITS = {}  # tests of limits set their own
CATALOGUE_CACHE_SECONDS = 0  # what one test was shown is nothing to the next; tests of the cache switch it on
OUTBOUND_PORTS = []  # receivers listen on loopback, on whatever port is free
OUTBOUND_PRIVATE_NETWORKS = ["127.0.0.0/8"]
OUTBOUND_ALLOW_HTTP = True
MADE_UP_DATA_ALLOWED = True
INVARIANTS_PARAMETERS["may_forget"] = True  # the tests' servers run with fsync off
STATIC_ROOT = None  # found where they lie
WHITENOISE_USE_FINDERS = True

ENVIRONMENT.refuse_if_wrong()
