"""Reads the environment and remembers everything that is wrong with it, so that one start names every problem."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

_LIMIT = re.compile(r"(?P<limit>[a-z_]+):(?P<by>[a-z_]+)=(?P<requests>[1-9]\d{0,6})/(?P<period>[smhd])", re.ASCII)
_ORIGIN = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[1-9]\d{0,4})?", re.ASCII)
_PROVIDER = {"code", "label", "issuer", "client_id", "client_secret"}
_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)
_VISIBLE = re.compile(r"[!-~]+", re.ASCII)
LONGEST_CODE, LONGEST_ISSUER = 30, 255
_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """`requests` in `seconds`, for each caller of the kind `by` (`ip`, `user`, and what an endpoint names besides)."""

    by: str
    requests: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Whom people may sign in by, and as whom it knows us. `code` stands in addresses, `label` on a button."""

    code: str
    label: str
    issuer: str
    client_id: str
    client_secret: str

    def is_sound(self) -> bool:
        """Https, but for this machine's own; nothing that could not be sent."""
        parts = urlsplit(self.issuer)
        is_here = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        return bool(
            _CODE.fullmatch(self.code)
            and len(self.code) <= LONGEST_CODE
            and self.label.strip()
            and all(_VISIBLE.fullmatch(each) for each in (self.issuer, self.client_id, self.client_secret or "-"))
            and parts.hostname
            and (parts.scheme == "https" or (parts.scheme == "http" and is_here))
            and not (parts.query or parts.fragment or "@" in parts.netloc)
            and len(self.issuer) <= LONGEST_ISSUER
        )


class Environment:
    """The process environment (and `.env` beneath it), read by name, with every problem collected."""

    def __init__(self, *, dotenv: Path) -> None:
        self.problems: list[str] = []
        self._env = environ.Env()
        if dotenv.is_file():
            self._env.read_env(str(dotenv), overwrite=False)

    def given(self, name: str) -> bool:
        return bool(str(self._env.str(name, default="")).strip())

    def text(self, name: str, default: str | None = None) -> str:
        value = str(self._env.str(name, default="")).strip()
        if value:
            return value
        if default is None:
            self.problems.append(f"{name} is not set")
            return ""
        return default

    def words(self, name: str, default: str | None = None) -> list[str]:
        """A comma-separated list."""
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def origins(self, name: str, default: str | None = None) -> list[str]:
        """A list of origins (RFC 6454): `https://shop.example`, with a port if it is not the usual."""
        given = self.words(name, default)
        self.problems += [f"{name} has {word}, which is no origin" for word in given if not _ORIGIN.fullmatch(word)]
        return given

    def choice(self, name: str, default: str, *, among: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in among:
            self.problems.append(f"{name} must be one of {', '.join(among)}")
            return default
        return value

    def number(self, name: str, default: int, *, least: int = 0) -> int:
        raw = self.text(name, str(default))
        try:
            value = int(raw)
        except ValueError:
            self.problems.append(f"{name} is not a whole number")
            return default
        if value < least:
            self.problems.append(f"{name} must be at least {least}")
            return default
        return value

    def minutes(self, name: str, default: str) -> timedelta:
        """Minutes, of which there may be fractions (`0.25`): a demonstration does not wait for half an hour."""
        raw = self.text(name, default)
        try:
            seconds = int(Decimal(raw) * 60)
        except (InvalidOperation, ValueError, OverflowError):
            self.problems.append(f"{name} is not a number of minutes")
            return timedelta(minutes=1)
        if seconds < 1:
            self.problems.append(f"{name} must be at least a second")
        return timedelta(seconds=seconds)

    def numbers(self, name: str, default: str) -> list[int]:
        try:
            return [int(word) for word in self.words(name, default)]
        except ValueError:
            self.problems.append(f"{name} is not a comma-separated list of whole numbers")
            return [int(word) for word in default.split(",")]

    def amounts(self, name: str, default: str) -> dict[str, Decimal]:
        """Amounts by currency, written `ETB=10000,USD=200`."""
        try:
            return {
                currency.strip(): Decimal(amount.strip())
                for currency, amount in (word.split("=", 1) for word in self.words(name, default))
            }
        except (InvalidOperation, ValueError):
            self.problems.append(f"{name} is not a list of amounts such as ETB=10000,USD=200")
            return {}

    def limits(self, name: str, default: str) -> dict[str, tuple[Rate, ...]]:
        """Limits by name, written `place:ip=120/m,place:user=30/m` (`s`, `m`, `h`, `d`); `off` is none at all."""
        found: dict[str, tuple[Rate, ...]] = {}
        for word in self.words(name, default):
            if word == "off":
                continue
            written = _LIMIT.fullmatch(word)
            if written is None:
                self.problems.append(f"{name} is not a list of limits such as place:ip=120/m,place:user=30/m")
                return {}
            rate = Rate(by=written["by"], requests=int(written["requests"]), seconds=_PERIODS[written["period"]])
            found[written["limit"]] = (*found.get(written["limit"], ()), rate)
        return found

    def providers(self, name: str, default: str) -> dict[str, Provider]:
        """Providers by their code, written as a JSON list of objects (`code`, `label`, `issuer`, `client_id`,
        `client_secret`, of which the last may be left out).
        """
        try:
            given = json.loads(self.text(name, default) or "[]")
            found = [provider for each in given if (provider := _provider(each)) is not None]
        except (ValueError, TypeError):
            given, found = None, []
        by_code = {each.code: each for each in found}
        if given is None or not len(given) == len(by_code) == len({each.issuer for each in found}):
            self.problems.append(f"{name} is not a list of providers, each with its own code and issuer (.env.example)")
            return {}
        return by_code

    def flag(self, name: str, *, default: bool) -> bool:
        raw = self.text(name, "true" if default else "false").lower()
        if raw not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
            self.problems.append(f"{name} is neither true nor false")
            return default
        return raw in {"true", "1", "yes", "on"}

    def database(self, name: str) -> dict[str, Any]:
        url = self.text(name)
        if not url:
            return {}
        try:
            database: dict[str, Any] = self._env.db_url_config(url)
        except (ValueError, KeyError, ImproperlyConfigured):
            self.problems.append(f"{name} is not a database address")
            return {}
        if database.get("ENGINE") != "django.db.backends.postgresql":
            self.problems.append(
                f"{name} must name a PostgreSQL server: locks, constraints and triggers are the product"
            )
            return {}
        return database

    def mail(self, name: str, default: str | None = None) -> dict[str, Any]:
        url = self.text(name, default)
        if not url:
            return {}
        try:
            return dict(self._env.email_url_config(url))
        except (ValueError, KeyError, ImproperlyConfigured):
            self.problems.append(f"{name} is not a mail server's address")
            return {}

    def refuse_if_wrong(self) -> None:
        """:raises ImproperlyConfigured: naming all problems found so far, one a line."""
        if self.problems:
            listed = "\n".join(f"  - {problem}" for problem in dict.fromkeys(self.problems))
            raise ImproperlyConfigured(f"this process cannot start; put right in its environment:\n{listed}")


def _provider(given: object) -> Provider | None:
    """None where it is none."""
    fields = {"client_secret": "", **given} if isinstance(given, dict) else {}
    if set(fields) != _PROVIDER or not all(isinstance(value, str) for value in fields.values()):
        return None
    provider = Provider(**fields)
    return provider if provider.is_sound() else None
