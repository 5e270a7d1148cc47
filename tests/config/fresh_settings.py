"""Reads cases from standard input, one JSON object of environment variables a line, and answers each with one line:
what importing the settings named in `DJANGO_SETTINGS_MODULE` raised, or "started". Each case has a process of its own;
what they share is imported once.
"""

from __future__ import annotations

import importlib
import json
import os
import sys

import environ  # noqa: F401 - shared by all cases
import structlog  # noqa: F401
from django.core import checks  # noqa: F401


def answer(variables: dict[str, str]) -> str:
    os.environ.clear()
    os.environ.update(variables)
    try:
        settings = importlib.import_module(variables["DJANGO_SETTINGS_MODULE"])
    except Exception as error:  # noqa: BLE001 - the answer
        return f"{type(error).__name__}: {error}"
    return "started " + json.dumps(
        {
            name: getattr(settings, name)
            for name in dir(settings)
            if name.isupper() and isinstance(getattr(settings, name), str | bool | int | list)
        },
        default=str,
    )


def main() -> None:
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writing, json.dumps(answer(json.loads(line))).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as answered:
            sys.stdout.write(answered.read().decode() + "\n")
            sys.stdout.flush()
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
