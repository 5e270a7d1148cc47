"""What every place shares. Values come from the environment; `.env.example` explains each of them."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from config import deprecations, logs
from config.settings import desk, documents
from config.settings.environment import Environment

BASE_DIR = Path(__file__).resolve().parent.parent.parent
ENVIRONMENT = env = Environment(dotenv=BASE_DIR / ".env")

# --- Django ---------------------------------------------------------------------------------------------------------

DEBUG = False
SECRET_KEY = env.text("SECRET_KEY")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS")
PUBLIC_BASE_URL = env.text("PUBLIC_BASE_URL").rstrip("/")
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "users.User"
USE_TZ = True
TIME_ZONE, LANGUAGE_CODE = "UTC", "en"  # the staff site has its own: config.staff.LanguageMiddleware
LANGUAGES = [("en", "English"), ("am", "አማርኛ")]
APPEND_SLASH = False  # a redirect loses the body of a POST; a missing slash is a 404 with a problem document

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "config.apps.NexusAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "django_filters",
    "django_structlog",
    "pgtrigger",
    "core",
    "users",
    "products",
    "orders",
    "payments",
    "notifications",
    "desk",
]

MIDDLEWARE = [
    "core.request_id.RequestIdMiddleware",
    "corsheaders.middleware.CorsMiddleware",  # so early, because a front end elsewhere has to read every refusal
    "core.limits.RateLimitMiddleware",
    "config.deprecations.DeprecationMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "core.problems.ProblemMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.staff.PolicyMiddleware",
    "config.staff.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "config.staff.CsrfViewMiddleware",
    "config.staff.AuthenticationMiddleware",
    "config.staff.LanguageMiddleware",
    "config.staff.MessageMiddleware",
    "config.staff.DoorMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "config" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

globals().update(desk.read(env))
STATIC_URL = "/static/"
STATIC_ROOT: Path | None = BASE_DIR / "var" / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
STOREFRONT_DIR = BASE_DIR / "storefront"

DATA_UPLOAD_MAX_MEMORY_SIZE = 256 * 1024  # fifty order lines are ten kilobytes
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000

CSRF_FAILURE_VIEW = "core.problems.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"  # an order's link carries its token
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"

# --- PostgreSQL -----------------------------------------------------------------------------------------------------

# A migration may take its time over its own work, but must not queue long for a lock and hold everybody up behind it.
_is_migration = bool({"migrate", "prepare"} & set(sys.argv[1:2]))
STATEMENT_TIMEOUT_MS = env.number("DATABASE_STATEMENT_TIMEOUT_MS", 0 if _is_migration else 5_000)
LOCK_TIMEOUT_MS = env.number("DATABASE_LOCK_TIMEOUT_MS", 5_000 if _is_migration else 2_000)
IDLE_IN_TRANSACTION_TIMEOUT_MS = 10_000

# What a transaction pooler would break (LISTEN, advisory locks of a session, DDL) goes to the server itself.
_DIRECT_COMMANDS = {"migrate", "prepare", "relay", "check"}
_is_direct = "beat" in sys.argv or bool(_DIRECT_COMMANDS & set(sys.argv[1:2]))
DATABASE_DIRECT_URL = env.text("DATABASE_DIRECT_URL", env.text("DATABASE_URL"))
DATABASES = {
    "default": env.database("DATABASE_URL")
    | {
        "ATOMIC_REQUESTS": False,  # transactions stand in use cases (docs/decisions/0005)
        "CONN_MAX_AGE": env.number("DATABASE_CONN_MAX_AGE", 60),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 3,
            "options": (
                f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS} "
                f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS}"
            ),
        },
    },
}
if _is_direct and DATABASE_DIRECT_URL:
    _direct = env.database("DATABASE_DIRECT_URL") if env.given("DATABASE_DIRECT_URL") else {}
    DATABASES["default"] |= _direct

# --- Front ends that are served elsewhere ----------------------------------------------------------------------------

CORS_ALLOWED_ORIGINS = env.origins("CORS_ALLOWED_ORIGINS", "")
CORS_URLS_REGEX = r"^/(?:api/|graphql/$)"
CORS_ALLOW_METHODS = ("GET", "POST", "PATCH", "DELETE")
CORS_ALLOW_HEADERS = (
    "authorization", "content-type", "idempotency-key", "if-none-match", "last-event-id", "traceparent",
    "x-order-token", "x-request-id",
)  # fmt: skip
CORS_EXPOSE_HEADERS = (
    "Deprecation", "ETag", "Idempotent-Replayed", "Link", "Location", "RateLimit-Limit", "RateLimit-Policy",
    "RateLimit-Remaining", "RateLimit-Reset", "Retry-After", "Sunset", "X-Request-ID",
)  # fmt: skip
CORS_ALLOW_CREDENTIALS = False
"""Who asks is said by a token in a header. No cookie is taken from anywhere, and none is needed."""

# --- Routes that will go ---------------------------------------------------------------------------------------------

DEPRECATED_ROUTES = deprecations.ROUTES

# --- Broker, cache --------------------------------------------------------------------------------------------------

BROKER_URL = env.text("BROKER_URL")
REDIS_URL = env.text("REDIS_URL")
REDIS_TIMEOUT_MS = env.number("REDIS_TIMEOUT_MS", 100, least=1)
"""What is not answered by then is done without Redis."""
REDIS_KEY_PREFIX = env.text("REDIS_KEY_PREFIX", "nexus")
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

# --- The catalogue --------------------------------------------------------------------------------------------------

CATALOGUE_CACHE_SECONDS = env.number("CATALOGUE_CACHE_SECONDS", 30)
"""How long an answer is kept at most; 0 keeps none. What changes it makes it worthless at once."""
CATALOGUE_MAX_AGE_SECONDS = env.number("CATALOGUE_MAX_AGE_SECONDS", 5)
CATALOGUE_STALE_SECONDS = env.number("CATALOGUE_STALE_SECONDS", 30)
"""How long browsers and proxies may keep an answer, and for how much longer give it while they ask again."""

# --- How often somebody may ask -------------------------------------------------------------------------------------

RATE_LIMITS = env.limits(
    "RATE_LIMITS",
    "catalogue:ip=600/m,"
    "register:ip=30/m,sign_in:ip=60/m,sign_in:email=10/m,session:ip=240/m,account:user=120/m,"
    "read:ip=1200/m,read:user=300/m,read:token=300/m,"
    "place:ip=120/m,place:user=30/m,pay:ip=120/m,pay:user=20/m,pay:token=20/m,"
    "staff:user=600/m",
)
"""Name → its limits. An address stands for many: a mobile network puts thousands of customers behind a few."""
TRUSTED_PROXIES = env.number("TRUSTED_PROXIES", 0)
"""How many proxies of our own stand in front, each of which adds to X-Forwarded-For."""

# --- Who is asking --------------------------------------------------------------------------------------------------

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=5),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "ALGORITHM": "HS256",
    "SIGNING_KEY": env.text("JWT_SIGNING_KEY"),
    "AUDIENCE": "nexus",
    "ISSUER": "nexus",
    "CHECK_REVOKE_TOKEN": True,  # a changed password ends every token given before it
    "CHECK_USER_IS_ACTIVE": True,
    "UPDATE_LAST_LOGIN": False,
}
PASSWORD_RESET_VALID = env.minutes("PASSWORD_RESET_MINUTES", "30")
RESETS_PER_ADDRESS = env.number("RESETS_PER_ADDRESS", 5, least=1)
RESETS_PER_NETWORK = env.number("RESETS_PER_NETWORK", 60, least=1)
PASSWORD_TRIES_PER_HOUR = env.number("PASSWORD_TRIES_PER_HOUR", 10, least=1)
SIGN_IN_PROVIDERS = env.providers("SIGN_IN_PROVIDERS", "")
"""Code → provider, by whom people may sign in; none unless it says so."""
SIGN_IN_RETURN_URLS = env.words("SIGN_IN_RETURN_URLS", f"{PUBLIC_BASE_URL}/account/sign-in/")
SIGN_IN_STAFF = env.choice("SIGN_IN_STAFF", "false", among=("true", "false")) == "true"
SIGN_IN_DEADLINE_SECONDS = env.number("SIGN_IN_DEADLINE_SECONDS", 10, least=1)
ORDER_TOKEN_KEY = env.text("ORDER_TOKEN_KEY")
ORDER_TOKEN_DAYS = env.number("ORDER_TOKEN_DAYS", 90, least=1)

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["users.tokens.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["core.permissions.Denied"],  # a view says who may; forgetting it opens nothing
    "DEFAULT_THROTTLE_CLASSES": ["core.throttling.Limited"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.parsing.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "core.paging.NewestFirst",
    "DEFAULT_SCHEMA_CLASS": "core.openapi.Schema",
    "EXCEPTION_HANDLER": "core.problems.handle",
    "COERCE_DECIMAL_TO_STRING": True,
    "DATETIME_FORMAT": "iso-8601",
    "URL_FORMAT_OVERRIDE": None,
    "PAGE_SIZE": 25,
}

SPECTACULAR_SETTINGS = documents.SPECTACULAR_SETTINGS

GRAPHQL_SCHEMA = "config.schema.schema"
"""Where the live process finds what the apps have made together: it is below config, and imports nothing of it."""
GRAPHQL_EXPLORER = False
"""Whether GraphQL tells its schema and suggests names. A developer's machine does."""

# --- Orders ---------------------------------------------------------------------------------------------------------

ORDER_EXPIRY = env.minutes("ORDER_EXPIRY_MINUTES", "30")
ORDER_HOLD_LIMIT = env.minutes("ORDER_HOLD_LIMIT_MINUTES", "120")
ORDER_MAX_LINES = env.number("ORDER_MAX_LINES", 50, least=1)
ORDER_MAX_QUANTITY = env.number("ORDER_MAX_QUANTITY", 999, least=1)
ORDER_EXPIRY_SWEEP_SECONDS = env.number("ORDER_EXPIRY_SWEEP_SECONDS", 30, least=1)

# --- Live updates ---------------------------------------------------------------------------------------------------

LIVE_STREAMS = env.choice("LIVE_STREAMS", "true", among=("true", "false")) == "true"
"""Whether there is a `live` process: without one, orders carry no `stream_url`, and pages look again by themselves."""
STREAM_TICKET_SECONDS = env.number("STREAM_TICKET_SECONDS", 300, least=1)
LIVE_MAX_STREAMS = env.number("LIVE_MAX_STREAMS", 2000, least=1)
LIVE_MAX_STREAMS_EACH = env.number("LIVE_MAX_STREAMS_EACH", 10, least=1)
"""Of one account, or of the holders of one order's token."""
LIVE_DATABASE_THREADS = env.number("LIVE_DATABASE_THREADS", 4, least=1)
LIVE_POLL_SECONDS = env.number("LIVE_POLL_SECONDS", 5, least=1)

# --- Payments -------------------------------------------------------------------------------------------------------

CHAPA_BASE_URL = env.text("CHAPA_BASE_URL", "https://api.chapa.co/v1").rstrip("/")
CHAPA_SECRET_KEY = env.text("CHAPA_SECRET_KEY")
CHAPA_WEBHOOK_SECRET = env.text("CHAPA_WEBHOOK_SECRET")
CHAPA_WEBHOOK_SECRET_PREVIOUS = env.text("CHAPA_WEBHOOK_SECRET_PREVIOUS", "")
CHAPA_CHECKOUT_HOSTS = env.words("CHAPA_CHECKOUT_HOSTS", "checkout.chapa.co")
CHAPA_RETRY_WINDOW = env.minutes("CHAPA_RETRY_WINDOW", "60")
"""In which Chapa's customers may try a failed payment again (5 to 60 minutes, set in Chapa's dashboard)."""
CHAPA_WEB_DEADLINE_SECONDS = env.number("CHAPA_WEB_DEADLINE_SECONDS", 15, least=1)
CHAPA_WORKER_DEADLINE_SECONDS = env.number("CHAPA_WORKER_DEADLINE_SECONDS", 40, least=1)
CHAPA_READ_TIMEOUT_SECONDS = env.number("CHAPA_READ_TIMEOUT_SECONDS", 8, least=1)
CHAPA_CHECKOUT_TITLE = env.text("CHAPA_CHECKOUT_TITLE", "Nexus")
PAYMENT_RETURN_HOSTS = env.words("PAYMENT_RETURN_HOSTS", urlsplit(PUBLIC_BASE_URL).netloc or "localhost")
PAYMENT_ATTEMPTS_PER_HOUR = env.number("PAYMENT_ATTEMPTS_PER_HOUR", 10, least=1)
PAYMENT_SWEEP_SECONDS = env.number("PAYMENT_SWEEP_SECONDS", 30, least=1)
PAYMENT_CHECK_SCHEDULE = env.numbers("PAYMENT_CHECK_SCHEDULE", "30,60,120,300,600,1800,3600")
"""Seconds between one look at an unsettled payment and the next; the last one repeats."""
PAYMENT_WATCH_HOURS = env.number("PAYMENT_WATCH_HOURS", 72, least=1)
PAYMENT_RECHECK_SCHEDULE = env.numbers("PAYMENT_RECHECK_SCHEDULE", "3600,86400,604800")
"""Seconds after which money that arrived is looked at once more: it may have been taken back at Chapa."""
SURPLUS_POLICY = env.choice("SURPLUS_POLICY", "automatic", among=("automatic", "person"))
REFUND_APPROVAL_LIMIT = env.amounts("REFUND_APPROVAL_LIMIT", "ETB=10000,USD=200")
REFUND_DAILY_LIMIT = env.amounts("REFUND_DAILY_LIMIT", "ETB=50000,USD=1000")
REFUND_CHECK_SCHEDULE = env.numbers("REFUND_CHECK_SCHEDULE", "60,300,1800,3600,21600,86400")
"""Seconds between one look at a refund under way and the next; the last one repeats."""
REFUND_WATCH_DAYS = env.number("REFUND_WATCH_DAYS", 7, least=1)
LEDGER_SEAL_SECONDS = env.number("LEDGER_SEAL_SECONDS", 60, least=1)
DISCREPANCY_SLA_HOURS = env.number("DISCREPANCY_SLA_HOURS", 72, least=1)
SETTLEMENT_DAYS = env.number("SETTLEMENT_DAYS", 7, least=1)
"""Within which what was paid should stand in Chapa's settlement file, and its payout on the bank's statement."""
RECONCILE_AT_MINUTE = env.number("RECONCILE_AT_MINUTE", 150)
"""Minutes after midnight in East Africa at which the nightly run over Chapa's list begins: 02:30."""
RECONCILE_DAYS = env.number("RECONCILE_DAYS", 3, least=1)
RECONCILE_OVERLAP_HOURS = env.number("RECONCILE_OVERLAP_HOURS", 36, least=1)
RECONCILE_GRACE_MINUTES = env.number("RECONCILE_GRACE_MINUTES", 120)
RECONCILE_MAX_PAGES = env.number("RECONCILE_MAX_PAGES", 20_000, least=1)
RECONCILE_MAX_OPENED = env.number("RECONCILE_MAX_OPENED", 1_000, least=1)
RECONCILE_SWEEP_SECONDS = env.number("RECONCILE_SWEEP_SECONDS", 60, least=1)
WEBHOOK_MAX_BYTES = 64 * 1024

# --- Telling people -------------------------------------------------------------------------------------------------

MAIL_DIR = env.text("MAIL_DIR", str(BASE_DIR / "var" / "mail"))
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "Nexus <orders@nexus.example>")
EMAIL_TIMEOUT = 10
MERCHANT_NAME = env.text("MERCHANT_NAME", "Nexus")
FINANCE_EMAILS = env.words("FINANCE_EMAILS", "")
FINANCE_LANGUAGE = env.choice("FINANCE_LANGUAGE", "en", among=tuple(code for code, _ in LANGUAGES))
SMS_CHANNEL = env.text("SMS_CHANNEL", "console")
NOTIFICATION_SWEEP_SECONDS = env.number("NOTIFICATION_SWEEP_SECONDS", 60, least=1)

# --- Telling other systems (docs/webhooks.md) -----------------------------------------------------------------------

OUTBOUND_SIGNING_KEY = env.text("OUTBOUND_SIGNING_KEY")
OUTBOUND_SIGNING_KEY_PREVIOUS = env.text("OUTBOUND_SIGNING_KEY_PREVIOUS", "")
OUTBOUND_RETRY_SCHEDULE = env.numbers("OUTBOUND_RETRY_SCHEDULE", "5,300,1800,7200,18000,36000,50400,72000,86400")
"""Seconds between one attempt that failed and the next; after the last of them a message is given up."""
OUTBOUND_DEADLINE_SECONDS = env.number("OUTBOUND_DEADLINE_SECONDS", 15, least=1)
OUTBOUND_PORTS = env.numbers("OUTBOUND_PORTS", "443")
"""Empty: any. A developer's machine and the tests say so."""
OUTBOUND_PRIVATE_NETWORKS = env.words("OUTBOUND_PRIVATE_NETWORKS", "")
OUTBOUND_ALLOW_HTTP = env.choice("OUTBOUND_ALLOW_HTTP", "false", among=("true", "false")) == "true"
OUTBOUND_ROTATION_HOURS = env.number("OUTBOUND_ROTATION_HOURS", 24)
OUTBOUND_DISABLE_DAYS = env.number("OUTBOUND_DISABLE_DAYS", 5, least=1)
OUTBOUND_KEEP_DAYS = env.number("OUTBOUND_KEEP_DAYS", 30, least=7)

# --- Forgetting people (docs/privacy.md) ----------------------------------------------------------------------------

ERASURE_GRACE = timedelta(days=env.number("ERASURE_GRACE_DAYS", 14))
"""How long somebody who asked to be erased may change their mind."""
ERASURE_SWEEP_SECONDS = env.number("ERASURE_SWEEP_SECONDS", 60, least=1)

# --- The system's own pulse -----------------------------------------------------------------------------------------

HEARTBEAT_SECONDS = env.number("HEARTBEAT_SECONDS", 30, least=1)
OUTBOX_TOPICS = "config.topics.TOPICS"
OUTBOX_WATCHED = "order_id"
"""Whoever watches what this field of an event's payload names is told that it has changed."""
OUTBOX_POLL_SECONDS = env.number("OUTBOX_POLL_SECONDS", 1, least=1)
OUTBOX_KEEP_DAYS = env.number("OUTBOX_KEEP_DAYS", 14, least=1)
IDEMPOTENCY_KEEP_HOURS = env.number("IDEMPOTENCY_KEEP_HOURS", 72, least=72)
WEBHOOK_KEEP_DAYS = env.number("WEBHOOK_KEEP_DAYS", 400, least=7)
GATEWAY_CALLS_KEEP_DAYS = env.number("GATEWAY_CALLS_KEEP_DAYS", 180, least=7)

INVARIANTS_FILE = BASE_DIR / "config" / "invariants.sql"
INVARIANTS_PARAMETERS: dict[str, object] = {
    "discrepancy_sla": timedelta(hours=DISCREPANCY_SLA_HOURS),
    "events_kept": timedelta(days=OUTBOX_KEEP_DAYS),
    "may_forget": False,
}

LOG_FORMAT = env.text("LOG_FORMAT", "json")
LOG_LEVEL = env.text("LOG_LEVEL", "INFO").upper()
LOGGING_CONFIG = "logging.config.dictConfig"
LOGGING = logs.logging_config(format=LOG_FORMAT, level=LOG_LEVEL)
DJANGO_STRUCTLOG_CELERY_ENABLED = True
DJANGO_STRUCTLOG_USER_ID_FIELD = None
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True  # RequestIdMiddleware has looked at it
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = logging.DEBUG
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO
logs.configure_structlog()
