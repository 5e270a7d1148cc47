"""Production: refuses to start with anything missing, weak, or pointing at the sandbox, and names all of it at once."""

from __future__ import annotations

from config.checks import production_problems
from config.settings.base import *  # noqa: F403
from config.settings.base import ENVIRONMENT, PUBLIC_BASE_URL

DEBUG = False
globals().update(ENVIRONMENT.mail("EMAIL_URL"))
DEFAULT_FROM_EMAIL = ENVIRONMENT.text("DEFAULT_FROM_EMAIL")

# TLS ends at the proxy, which overwrites this header; the proxy also redirects http to https.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = False
TRUSTED_PROXIES = ENVIRONMENT.number("TRUSTED_PROXIES", 1)
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SESSION_COOKIE_SECURE = True
SESSION_COOKIE_NAME = "__Host-session"
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-csrf"
CSRF_TRUSTED_ORIGINS = [PUBLIC_BASE_URL] if PUBLIC_BASE_URL else []

ENVIRONMENT.problems += production_problems(globals())
ENVIRONMENT.refuse_if_wrong()
