"""Production refuses to start with anything missing, weak or made for development, and names all of it at once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import checks
from config.checks import production_problems
from stack import ports, servers
from stack.postgres import Postgres

ROOT = Path(__file__).parents[2]
REQUIRED = (
    "SECRET_KEY", "JWT_SIGNING_KEY", "ORDER_TOKEN_KEY", "OUTBOUND_SIGNING_KEY", "ALLOWED_HOSTS", "PUBLIC_BASE_URL",
    "DATABASE_URL", "BROKER_URL", "REDIS_URL", "CHAPA_SECRET_KEY", "CHAPA_WEBHOOK_SECRET", "EMAIL_URL",
    "DEFAULT_FROM_EMAIL",
)  # fmt: skip


def drawn(seed: str) -> str:
    """A value as strong as a real one, and the same in every run."""
    return hashlib.sha256(seed.encode()).hexdigest()


GOOD = {
    "PATH": os.environ["PATH"],
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "SECRET_KEY": drawn("a"),
    "JWT_SIGNING_KEY": drawn("b"),
    "ORDER_TOKEN_KEY": drawn("c"),
    "OUTBOUND_SIGNING_KEY": drawn("g"),
    "CHAPA_WEBHOOK_SECRET": drawn("d"),
    "CHAPA_WEBHOOK_SECRET_PREVIOUS": "",
    "CHAPA_SECRET_KEY": f"CHASECK-{drawn('e')}",
    "ALLOWED_HOSTS": "shop.merchant.et",
    "PUBLIC_BASE_URL": "https://shop.merchant.et",
    "DATABASE_URL": "postgres://nexus:secret@db.internal/nexus",
    "BROKER_URL": "amqp://nexus:secret@broker.internal//",
    "REDIS_URL": "redis://cache.internal/0",
    "EMAIL_URL": "smtp+tls://nexus:secret@mail.internal:587",
    "DEFAULT_FROM_EMAIL": "Merchant <orders@merchant.et>",
    # Whatever a developer's .env says must not help here.
    "CHAPA_BASE_URL": "",
    "CHAPA_CHECKOUT_HOSTS": "",
    "LOG_FORMAT": "",
    "DATABASE_DIRECT_URL": "",
    "DEBUG": "",
}


@pytest.fixture(scope="module")
def start() -> Iterator[Callable[..., str]]:
    """Import the production settings in a fresh process with these changes; what came of it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.config.fresh_settings"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(**changes: str) -> str:
        process.stdin.write(json.dumps(GOOD | changes) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield ask
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


def test_a_good_environment_starts(start):
    said = start()

    assert said.startswith("started ")
    settings = json.loads(said.removeprefix("started "))
    assert settings["DEBUG"] is False
    assert settings["CHAPA_BASE_URL"] == "https://api.chapa.co/v1"
    assert settings["LOG_FORMAT"] == "json"
    assert settings["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend"
    assert settings["SESSION_COOKIE_SECURE"] is settings["CSRF_COOKIE_SECURE"] is True
    assert settings["SECURE_HSTS_SECONDS"] >= 31_536_000
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://shop.merchant.et"]
    assert (settings["SESSION_COOKIE_NAME"], settings["CSRF_COOKIE_NAME"]) == ("__Host-session", "__Host-csrf")


def test_everything_that_is_missing_is_named_at_once(start):
    said = start(**dict.fromkeys(REQUIRED, ""))

    assert said.startswith("ImproperlyConfigured")
    assert [name for name in REQUIRED if f"{name} is not set" not in said] == []


@pytest.mark.parametrize("name", REQUIRED)
def test_each_variable_is_missed_by_itself(start, name):
    said = start(**{name: ""})

    assert f"{name} is not set" in said
    assert said.count("\n  - ") == 1, said


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"SECRET_KEY": "short"}, "SECRET_KEY is shorter than 32 characters"),
        ({"JWT_SIGNING_KEY": "x" * 31}, "JWT_SIGNING_KEY is shorter"),
        ({"ORDER_TOKEN_KEY": "abab" * 20}, "ORDER_TOKEN_KEY has fewer than 10 different characters"),
        ({"CHAPA_WEBHOOK_SECRET": "0123456789" * 3}, "CHAPA_WEBHOOK_SECRET is shorter"),
        ({"CHAPA_WEBHOOK_SECRET_PREVIOUS": "old"}, "CHAPA_WEBHOOK_SECRET_PREVIOUS is shorter"),
        ({"SECRET_KEY": "django-insecure-" + drawn("f")}, "SECRET_KEY is a value made for development"),
        ({"JWT_SIGNING_KEY": "dev-only-" + drawn("f")}, "JWT_SIGNING_KEY is a value made for development"),
        ({"ORDER_TOKEN_KEY": "changeme" + drawn("f")}, "ORDER_TOKEN_KEY is a value made for development"),
        ({"SECRET_KEY": drawn("b")}, "JWT_SIGNING_KEY and SECRET_KEY are the same secret"),
        ({"CHAPA_WEBHOOK_SECRET": GOOD["CHAPA_SECRET_KEY"]}, "are the same secret"),
        ({"CHAPA_WEBHOOK_SECRET_PREVIOUS": drawn("d")}, "are the same secret"),
        ({"CHAPA_SECRET_KEY": "CHASECK_TEST-" + drawn("e")}, "CHAPA_SECRET_KEY is not a live key"),
        ({"CHAPA_SECRET_KEY": drawn("e")}, "CHAPA_SECRET_KEY is not a live key"),
        ({"CHAPA_BASE_URL": "http://api.chapa.co/v1"}, "CHAPA_BASE_URL points at a sandbox or is not https"),
        ({"CHAPA_BASE_URL": "http://127.0.0.1:8001/v1"}, "CHAPA_BASE_URL points at a sandbox"),
        ({"CHAPA_BASE_URL": "https://localhost/v1"}, "CHAPA_BASE_URL points at a sandbox"),
        ({"CHAPA_BASE_URL": "https://sandbox/v1"}, "CHAPA_BASE_URL points at a sandbox"),
        ({"CHAPA_BASE_URL": "https://[::1]/v1"}, "CHAPA_BASE_URL points at a sandbox"),
        ({"CHAPA_CHECKOUT_HOSTS": "checkout.chapa.co,127.0.0.1:8001"}, "CHAPA_CHECKOUT_HOSTS allows 127.0.0.1:8001"),
        ({"CHAPA_CHECKOUT_HOSTS": "localhost"}, "CHAPA_CHECKOUT_HOSTS allows localhost"),
        ({"PUBLIC_BASE_URL": "http://shop.merchant.et"}, "PUBLIC_BASE_URL is not a public https address"),
        ({"PUBLIC_BASE_URL": "https://localhost:8000"}, "PUBLIC_BASE_URL is not a public https address"),
        ({"STAFF_SECOND_FACTOR": "false"}, "STAFF_SECOND_FACTOR is off"),
        ({"SECOND_FACTOR_KEY": "short"}, "SECOND_FACTOR_KEY is shorter than 32 characters"),
        ({"OUTBOUND_SIGNING_KEY": "short"}, "OUTBOUND_SIGNING_KEY is shorter than 32 characters"),
        ({"OUTBOUND_ALLOW_HTTP": "true"}, "OUTBOUND_ALLOW_HTTP lets customers' data travel in the clear"),
        *(
            ({"OUTBOUND_PRIVATE_NETWORKS": network}, f"OUTBOUND_PRIVATE_NETWORKS has {network}")
            for network in ("127.0.0.0/8", "::1/128", "169.254.0.0/16", "0.0.0.0/1", "::/0", "8.8.8.0/24", "10.1.2.3/8")
        ),
        (
            {"CORS_ALLOWED_ORIGINS": "http://www.merchant.et"},
            "CORS_ALLOWED_ORIGINS has http://www.merchant.et, which is not",
        ),
        ({"CORS_ALLOWED_ORIGINS": "*"}, "CORS_ALLOWED_ORIGINS has *, which is no"),
        *(
            (
                {"SIGN_IN_PROVIDERS": f'[{{"code": "x", "label": "X", "issuer": "{issuer}", "client_id": "c"}}]'},
                "SIGN_IN_PROVIDERS has x, whose issuer is not https or is this machine",
            )
            for issuer in ("http://127.0.0.1:9", "https://localhost")
        ),
        (
            {
                "SIGN_IN_PROVIDERS": '[{"code": "x", "label": "X", "issuer": "https://i.example", "client_id": "c"}]',
                "SIGN_IN_RETURN_URLS": "http://shop.merchant.et/back",
            },
            "SIGN_IN_RETURN_URLS has http://shop.merchant.et/back, which is not https",
        ),
        ({"SIGN_IN_PROVIDERS": "google"}, "SIGN_IN_PROVIDERS is not a list of providers"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS allows every host"),
        ({"ALLOWED_HOSTS": "shop.merchant.et,*"}, "ALLOWED_HOSTS allows every host"),
        ({"LOG_FORMAT": "console"}, "LOG_FORMAT is not json"),
        ({"EMAIL_URL": "consolemail://"}, "EMAIL_URL does not name an SMTP server"),
        ({"EMAIL_URL": "nonsense"}, "EMAIL_URL is not a mail server's address"),
        ({"DATABASE_URL": "sqlite:///db"}, "DATABASE_URL must name a PostgreSQL server"),
        ({"IDEMPOTENCY_KEEP_HOURS": "24"}, "IDEMPOTENCY_KEEP_HOURS must be at least 72"),
        ({"PAYMENT_WATCH_HOURS": "soon"}, "PAYMENT_WATCH_HOURS is not a whole number"),
    ],
)
def test_what_does_not_belong_in_production_is_refused(start, changes, problem):
    said = start(**changes)

    assert said.startswith("ImproperlyConfigured")
    assert problem in said
    assert said.count("\n  - ") == 1, said


def test_several_problems_are_named_together(start):
    said = start(SECRET_KEY="short", ALLOWED_HOSTS="*", LOG_FORMAT="console", REDIS_URL="")

    assert said.count("\n  - ") == 4, said


def test_a_debug_switch_in_the_environment_is_not_obeyed(start):
    said = start(DEBUG="true")

    assert json.loads(said.removeprefix("started "))["DEBUG"] is False


def test_debug_would_be_named_if_somebody_wrote_it_into_the_settings():
    """No variable can turn it on, so that the rule is asked itself."""
    from django.conf import settings

    given = {name: getattr(settings, name) for name in dir(settings) if name.isupper()}

    assert "DEBUG is on" in production_problems(given | {"DEBUG": True})
    assert "DEBUG is on" not in production_problems(given | {"DEBUG": False})


def test_no_secret_is_repeated_in_the_refusal(start):
    said = start(SECRET_KEY="hunter2-but-short", CHAPA_SECRET_KEY="CHASECK_TEST-hunter2", DATABASE_URL="mysql://h2:p/")

    assert "hunter2" not in said


# --- manage.py check --deploy --database default -------------------------------------------------------------------


def check(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--database", "default"],
        cwd=ROOT,
        env=GOOD | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("durable", [False, True], ids=["forgetful", "durable"])
def test_a_server_that_may_forget_a_commit_is_refused(durable):
    with servers.throw_away_folder(prefix="nexus-fsync-") as folder:
        postgres = Postgres(home=folder / "postgres", port=ports.free_block().postgres, durable=durable)
        child = servers.start(server=postgres, log=folder / "postgres.log")
        try:
            done = check(postgres.url)
        finally:
            child.kill()

    found = [word for word in ("fsync=off", "full_page_writes=off", "synchronous_commit=off") if word in done.stderr]
    if durable:
        assert (done.returncode, found) == (0, []), done.stderr
    else:
        assert done.returncode == 1
        assert found == ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]


def test_the_check_looks_only_at_the_databases_that_it_is_asked_about():
    assert checks.database_keeps_what_it_commits(None, databases=None) == []
