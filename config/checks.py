"""What a production start looks at before it agrees to start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from itertools import combinations
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

LEAST_SECRET_LENGTH = 32
LEAST_DISTINCT_CHARACTERS = 10
SECRETS = ("SECRET_KEY", "JWT_SIGNING_KEY", "ORDER_TOKEN_KEY", "OUTBOUND_SIGNING_KEY", "CHAPA_WEBHOOK_SECRET")
_GIVEAWAYS = ("dev-only", "test-", "sandbox", "changeme", "change-me", "insecure", "example")


_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
"""What a merchant's own network may be. This machine and the one next door that gives out credentials are not."""


def _weakness(secret: str) -> str | None:
    if len(secret) < LEAST_SECRET_LENGTH:
        return f"is shorter than {LEAST_SECRET_LENGTH} characters"
    if len(set(secret)) < LEAST_DISTINCT_CHARACTERS:
        return f"has fewer than {LEAST_DISTINCT_CHARACTERS} different characters"
    if any(giveaway in secret.lower() for giveaway in _GIVEAWAYS):
        return "is a value made for development"
    return None


def _is_local(host: str | None) -> bool:
    return host in {None, "", "localhost", "::1", "sandbox"} or str(host).startswith("127.")


def _is_private(network: str) -> bool:
    try:
        parsed = ip_network(network)
    except ValueError:
        return False
    return any(
        parsed.subnet_of(known)  # type: ignore[arg-type]  # the versions are the same
        for known in _PRIVATE
        if known.version == parsed.version
    )


def production_problems(settings: Mapping[str, Any]) -> list[str]:
    """Everything in these settings that must not be in production, one sentence each."""
    return [*_secret_problems(settings), *_address_problems(settings), *_mode_problems(settings)]


def _secret_problems(settings: Mapping[str, Any]) -> list[str]:
    ours = {name: str(settings.get(name) or "") for name in SECRETS}
    ours["JWT_SIGNING_KEY"] = str(settings["SIMPLE_JWT"]["SIGNING_KEY"] or "")
    for name in ("CHAPA_WEBHOOK_SECRET_PREVIOUS", "OUTBOUND_SIGNING_KEY_PREVIOUS", "SECOND_FACTOR_KEY"):
        ours[name] = str(settings[name] or "")
    problems = [f"{name} {weakness}" for name, value in ours.items() if value and (weakness := _weakness(value))]
    every = ours | {"CHAPA_SECRET_KEY": str(settings["CHAPA_SECRET_KEY"] or "")}
    problems += [
        f"{first} and {second} are the same secret"
        for first, second in combinations(sorted(every), 2)
        if every[first] and every[first] == every[second]
    ]
    return problems


def _address_problems(settings: Mapping[str, Any]) -> list[str]:
    problems = []
    chapa = urlsplit(settings["CHAPA_BASE_URL"])
    if chapa.scheme != "https" or _is_local(chapa.hostname):
        problems.append("CHAPA_BASE_URL points at a sandbox or is not https")
    problems += [
        f"CHAPA_CHECKOUT_HOSTS allows {host}"
        for host in settings["CHAPA_CHECKOUT_HOSTS"]
        if _is_local(urlsplit(f"//{host}").hostname)
    ]
    public = urlsplit(settings["PUBLIC_BASE_URL"])
    if settings["PUBLIC_BASE_URL"] and (public.scheme != "https" or _is_local(public.hostname)):
        problems.append("PUBLIC_BASE_URL is not a public https address")
    if settings["OUTBOUND_ALLOW_HTTP"]:
        problems.append("OUTBOUND_ALLOW_HTTP lets customers' data travel in the clear")
    problems += [
        f"OUTBOUND_PRIVATE_NETWORKS has {network}, which is this machine or not a private network"
        for network in settings["OUTBOUND_PRIVATE_NETWORKS"]
        if not _is_private(network)
    ]
    problems += [
        f"CORS_ALLOWED_ORIGINS has {origin}, which is not https"
        for origin in settings["CORS_ALLOWED_ORIGINS"]
        if origin.startswith("http://")
    ]
    problems += [
        f"SIGN_IN_PROVIDERS has {provider.code}, whose issuer is not https or is this machine"
        for provider in settings["SIGN_IN_PROVIDERS"].values()
        if urlsplit(provider.issuer).scheme != "https" or _is_local(urlsplit(provider.issuer).hostname)
    ]
    problems += [
        f"SIGN_IN_RETURN_URLS has {url}, which is not https"
        for url in settings["SIGN_IN_RETURN_URLS"]
        if settings["SIGN_IN_PROVIDERS"] and urlsplit(url).scheme != "https"
    ]
    if "*" in settings["ALLOWED_HOSTS"]:
        problems.append("ALLOWED_HOSTS allows every host")
    return problems


def _mode_problems(settings: Mapping[str, Any]) -> list[str]:
    problems = []
    if settings["CHAPA_SECRET_KEY"] and not settings["CHAPA_SECRET_KEY"].startswith("CHASECK-"):
        problems.append("CHAPA_SECRET_KEY is not a live key (CHASECK-…)")
    if not settings["STAFF_SECOND_FACTOR"]:
        problems.append("STAFF_SECOND_FACTOR is off")
    if settings["DEBUG"]:
        problems.append("DEBUG is on")
    if settings["LOG_FORMAT"] != "json":
        problems.append("LOG_FORMAT is not json")
    backend = str(settings.get("EMAIL_BACKEND") or "")
    if backend and not backend.endswith("smtp.EmailBackend"):
        problems.append("EMAIL_URL does not name an SMTP server")
    return problems


# What these are switched off for in a tuning article is exactly what makes "committed" true.
DURABLE = {"fsync": "on", "full_page_writes": "on"}
SYNCHRONOUS = {"on", "local", "remote_write", "remote_apply"}


@register(Tags.database, deploy=True)
def database_keeps_what_it_commits(
    app_configs: Sequence[Any] | None,  # noqa: ARG001 - the signature Django calls checks with
    databases: Sequence[str] | None = None,
    **_: Any,
) -> list[CheckMessage]:
    """Refuse a server that may forget a committed payment (`manage.py check --deploy --database default`)."""
    found: list[CheckMessage] = []
    for alias in databases or ():
        with connections[alias].cursor() as cursor:
            for name, wanted in DURABLE.items():
                cursor.execute("SELECT current_setting(%s)", [name])
                if (value := cursor.fetchone()[0]) != wanted:
                    found.append(Error(f"PostgreSQL runs with {name}={value}", id="nexus.E001"))
            cursor.execute("SELECT current_setting('synchronous_commit')")
            if (value := cursor.fetchone()[0]) not in SYNCHRONOUS:
                found.append(Error(f"PostgreSQL runs with synchronous_commit={value}", id="nexus.E002"))
    return found
