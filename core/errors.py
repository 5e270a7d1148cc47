"""Refusals with a stable code. Each is defined beside the function that raises it; the catalogue is generated."""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """Something was asked that the rules do not allow. Expected, never a bug.

    `code` is public API: documented in docs/errors.md and never renamed. `status` is the HTTP status of the
    answer, `title` one sentence for people that never varies; `detail` says what was wrong this time, and
    `extra` carries members of the problem document that a program can use (RFC 9457, section 3.2).
    """

    code: ClassVar[str]
    status: ClassVar[int] = 409
    title: ClassVar[str] = ""
    storable: ClassVar[bool] = True
    """May an idempotency key keep this refusal? Not where the same question can be answered otherwise in a moment."""

    retry_after: int | None = None
    """Seconds after which asking again makes sense; becomes `Retry-After`."""

    def __init__(self, detail: str = "", *, retry_after: int | None = None, **extra: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.extra = extra
        if retry_after is not None:
            self.retry_after = retry_after

    @classmethod
    def catalogue(cls) -> list[type[DomainError]]:
        """Every refusal defined in the loaded modules, by code; each code stands once."""
        found: dict[str, type[DomainError]] = {}
        waiting = list(cls.__subclasses__())
        while waiting:
            error = waiting.pop()
            waiting.extend(error.__subclasses__())
            if "code" not in vars(error):
                continue
            if error.code in found:
                raise RuntimeError(f"{error.code} is defined by {found[error.code]} and by {error}")
            found[error.code] = error
        return [found[code] for code in sorted(found)]
