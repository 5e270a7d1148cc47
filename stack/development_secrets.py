"""The secrets of a development machine: made once, kept in ``var``, readable by their owner alone, in no repository."""

import json
import os
import secrets
import string
from pathlib import Path

from stack.errors import DataUnusable

_ALPHANUMERIC = string.ascii_letters + string.digits
_CHAPA_KEY_LETTERS = 32


def _chapa_key() -> str:
    return "CHASECK_TEST-" + "".join(secrets.choice(_ALPHANUMERIC) for _ in range(_CHAPA_KEY_LETTERS))


def _key() -> str:
    return secrets.token_urlsafe(48)


_MAKERS = {
    "SECRET_KEY": _key,
    "JWT_SIGNING_KEY": _key,
    "ORDER_TOKEN_KEY": _key,
    "OUTBOUND_SIGNING_KEY": _key,
    "CHAPA_WEBHOOK_SECRET": _key,
    "CHAPA_SECRET_KEY": _chapa_key,
}


def load_or_make(*, path: Path) -> dict[str, str]:
    """The secrets in ``path``, by the names of their settings; what is missing there is made and written.

    :raises DataUnusable: the file is not readable, or holds something else.
    """
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if not (isinstance(known, dict) and all(isinstance(value, str) for value in known.values())):
            raise DataUnusable(f"{path} holds no secrets. Remove it, and new ones are made.")
    except (OSError, ValueError) as problem:
        raise DataUnusable(f"{path} cannot be read ({problem}). Remove it, and new ones are made.") from problem
    missing = {name: make() for name, make in _MAKERS.items() if not known.get(name)}
    if missing:
        _write(path, known | missing)
    return {name: (known | missing)[name] for name in _MAKERS}


def _write(path: Path, content: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
    fresh.replace(path)
