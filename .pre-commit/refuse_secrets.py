#!/usr/bin/env python3
"""Refuses what looks like a secret: `refuse_secrets.py FILE …`, exit 1 if a line holds one.

Knows the shapes that this project meets: Chapa's live keys, private keys, tokens of well-known services, and our own
variables with a value that is not plainly made up. A line that must stay ends with the words `not a secret: why`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ALLOWED = re.compile(r"not a secret: \S")
MADE_UP = re.compile(
    r"(?i)dev-?only|test-|example|sandbox|changeme|insecure|hunter2|made.?up|:password@|\.\.\.|…|0123456789|\$\{|<[a-z-]+>|x{6,}"
)

SHAPES: dict[str, re.Pattern[str]] = {
    "a live key of Chapa's": re.compile(r"CHA(?:SECK|PUBK)-[A-Za-z0-9]{16,}"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "a token of GitHub's": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}"),
    "a key of AWS's": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a token of Slack's": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    "a signed token": re.compile(r"\beyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    "a value for a secret of ours": re.compile(
        r"\b(?:SECRET_KEY|JWT_SIGNING_KEY|ORDER_TOKEN_KEY|OUTBOUND_SIGNING_KEY|CHAPA_WEBHOOK_SECRET(?:_PREVIOUS)?|"
        r"(?:POSTGRES|RABBITMQ)_PASSWORD)\b[\"']?\s*[=:]\s*[\"']?(?P<value>[A-Za-z0-9+/_=-]{16,})"
    ),
    "a password in an address": re.compile(
        r"\b(?:postgres(?:ql)?|amqps?|rediss?|smtp(?:\+\w+)?)://[^\s:@/]+:(?P<value>[^\s@/{}]{8,})@"
    ),
}


def secrets_in(*, text: str) -> Iterator[tuple[int, str]]:
    """Line number and what it looks like, for every line that looks like a secret."""
    for number, line in enumerate(text.splitlines(), start=1):
        if ALLOWED.search(line):
            continue
        for what, shape in SHAPES.items():
            match = shape.search(line)
            if match and not MADE_UP.search(match[0]):
                yield number, what
                break


def main(*, paths: list[str]) -> int:
    found = False
    for path in paths:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue  # gone, or not a text
        for number, what in secrets_in(text=text):
            found = True
            # Not the line itself: what is printed is kept, in a terminal's history or a log of CI.
            sys.stderr.write(f"{path}:{number}: looks like {what}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(paths=sys.argv[1:]))
