"""Structured logging: JSON in production, readable in a terminal; what must never be logged is removed last."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from functools import lru_cache
from typing import Any

import structlog
from structlog.typing import Processor

_SECRET_KEYS = re.compile(
    r"(?i)(authorization|cookie|password|passwd|secret|signature|token|api_?key|body|payload|headers|e_?mail|phone|mobile|otp)"
)
_NOT_SECRET = {"token_version", "body_bytes", "body_sha256", "payload_keys"}
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"CHA(?:SECK|PUBK)[A-Za-z_]*-[A-Za-z0-9]+"), "[key]"),
    (re.compile(r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]+"), "[bearer]"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), "[jwt]"),
    (re.compile(r"(?i)((?:[?&]|\b)(?:token|ticket|access_token|password|secret)=)[^&\s\"']+"), r"\1[hidden]"),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^/\s:@]*:[^/\s]+@"), r"\1[hidden]@"),
    # Each begins where a word does and never steps back into it: a long text is read once, not once per character.
    (re.compile(r"(?<![^\s@<>\"'(),:;=/\]])[^\s@<>\"'(),:;=/\]]++@[^\s@<>\"'(),:;=]+\.[^\s@<>\"'(),:;=]+"), "[e-mail]"),
    (re.compile(r"(?i)(?<![\w.~+-])[\w.~+-]++%40[\w.-]+"), "[e-mail]"),
    # As people and query strings write it: +251 911 23 45 67, 0911-234567, 00251911234567, %2B251911234567.
    (
        re.compile(r"(?i)(?<![\w-])(?:(?:\+|%2B|00)?251[ ()/-]{0,3}0?|0)[ ()/-]{0,3}[79](?:[ ()/-]{0,3}\d){8}(?!\w)"),
        "[phone]",
    ),
)
_MAY_HOLD_A_SECRET = re.compile(r"(?i)CHA|bearer|eyJ|token|ticket|password|secret|@|%40|251|0[ ()/-]{0,3}[79]")
_DEPTH = 6
_OURS = frozenset({"timestamp", "level", "logger", "request_id"})
"""Written by the chain itself, or looked at when it came in."""


def redact_text(text: str) -> str:
    """Remove keys, tokens, e-mail addresses and Ethiopian phone numbers from one string."""
    if not _MAY_HOLD_A_SECRET.search(text):
        return text
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def _redact(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, int | float | bool):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if depth >= _DEPTH:
        return "[deep]"
    if isinstance(value, MutableMapping):
        return {
            redact_text(str(key)): "[hidden]" if _is_secret(str(key)) else _redact(inner, depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact(inner, depth + 1) for inner in value]
    return redact_text(str(value))


@lru_cache(maxsize=2048)
def _is_secret(key: str) -> bool:
    return key not in _NOT_SECRET and _SECRET_KEYS.search(key) is not None


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last processor before the renderer: whatever came along the chain is cleaned here."""
    for key, value in list(event.items()):
        if key in _OURS:
            continue
        event[key] = "[hidden]" if _is_secret(key) and value is not None else _redact(value, 0)
    return event


def one_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An event's name never breaks the line or moves the cursor, whoever wrote it."""
    name = event.get("event")
    if isinstance(name, str) and not name.isprintable():
        event["event"] = name.encode("unicode_escape").decode("ascii")
    return event


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.UnicodeDecoder(),
]


def configure_structlog() -> None:
    """Send structlog's events through the standard library, where one formatter renders everything."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def logging_config(*, format: str, level: str) -> dict[str, Any]:  # noqa: A002 - the word the setting uses
    """Django's LOGGING. `format` is `json` or `console`."""
    # Exceptions without their locals: a frame's variables hold tokens and addresses.
    exceptions: Processor = (
        structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
        if format == "json"
        else structlog.processors.format_exc_info
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=True)
        if format == "json"
        else structlog.dev.ConsoleRenderer(colors=False, sort_keys=False)
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    exceptions,
                    one_line,
                    redact,
                    renderer,
                ],
            },
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "django": {"level": "INFO", "propagate": True, "handlers": []},
            "django.server": {"level": "WARNING", "propagate": True, "handlers": []},
            # A refusal is an answer, not a warning; failures are logged where they are handled.
            "django.request": {"level": "CRITICAL", "propagate": True, "handlers": []},
            "django.security.DisallowedHost": {"level": "CRITICAL", "propagate": True, "handlers": []},
            "celery": {"level": "INFO", "propagate": True, "handlers": []},
            "celery.app.trace": {"level": "WARNING", "propagate": True, "handlers": []},
            "celery.worker.strategy": {"level": "WARNING", "propagate": True, "handlers": []},
            "celery.beat": {"level": "WARNING", "propagate": True, "handlers": []},
            # The server of the streams: each is an answer that lasts, and its address holds a ticket.
            "uvicorn.access": {"level": "CRITICAL", "propagate": True, "handlers": []},
            "uvicorn.error": {"level": "WARNING", "propagate": True, "handlers": []},
            "kombu": {"level": "WARNING", "propagate": True, "handlers": []},
            "amqp": {"level": "WARNING", "propagate": True, "handlers": []},
        },
    }
