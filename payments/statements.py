"""Takes a statement's file in, once: every row becomes a line, a named error, or is known already.

One file is one transaction: killed in the middle, nothing of it was read. The file is streamed, so its size costs time
and not memory.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import IO, Any, Final

import structlog
from django.db import connection, transaction

from core import audit, outbox
from core.errors import DomainError
from core.transactions import durable
from payments import statement_rows
from payments.models import Statement, StatementFormat, StatementRowError
from payments.statement_rows import Line, RowError, StatementTooLarge

log = structlog.get_logger(__name__)

IMPORT_LOCK: Final = 7_220_020_003
MOST_BYTES: Final = 32 * 1024 * 1024
BATCH: Final = 1_000

_INSERT = """
INSERT INTO payments_statementline
    (statement_id, row, key, source, account, booked_on, amount, fee, net, currency, reference, description,
     payout_reference, state, why, ignored_by)
SELECT %s, line.row, line.key, %s, %s, line.booked_on, line.amount, line.fee, line.net, line.currency, line.reference,
       line.description, line.payout_reference, 'unmatched', '', ''
FROM unnest(%s::int[], %s::text[], %s::date[], %s::numeric[], %s::numeric[], %s::numeric[], %s::text[], %s::text[],
            %s::text[], %s::text[])
    AS line (row, key, booked_on, amount, fee, net, currency, reference, description, payout_reference)
ON CONFLICT (key) DO NOTHING
"""


class StatementFormatNotFound(DomainError):
    code, status, title = "statement_format_not_found", 404, "There is no such statement format."
    storable = False


class StatementImportUnderWay(DomainError):
    code, status, title = "statement_import_under_way", 409, "Another statement is being imported."
    storable = False
    retry_after = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a file. `is_new` is False where its very bytes were read before, and nothing was done.

    `lines` were new, `known` came with another file, `errors` could not be read, `passed_over` were blank or totals.
    `statement` is None after a rehearsal.
    """

    statement: Statement | None
    is_new: bool
    lines: int = 0
    known: int = 0
    errors: int = 0
    passed_over: int = 0
    first_errors: tuple[RowError, ...] = ()


def import_file(
    *, file: IO[bytes], file_name: str, format_name: str, actor: str, at: datetime, rehearse: bool = False
) -> Imported:
    """Read a file that can be sought, under a saved format. The same file again changes nothing.

    `rehearse` reads and compares everything, and keeps nothing.

    :raises StatementFormatNotFound: · StatementImportUnderWay: · StatementTooLarge:
    :raises StatementUnreadable: where the format, the header or the encoding is wrong, so that no row could be read.
    """
    chosen = StatementFormat.objects.filter(name=format_name).first()
    if chosen is None:
        names = list(StatementFormat.objects.values_list("name", flat=True))
        raise StatementFormatNotFound(f"There are: {', '.join(names) or 'none'}.", formats=names)
    sha256 = _fingerprint(file)
    with durable("statement.import"):
        _alone()
        before = Statement.objects.filter(format=chosen, sha256=sha256).first()
        if before is not None:
            return Imported(statement=before, is_new=False, **before.counts)
        imported = _take_in(file, file_name, chosen, sha256, actor=actor, at=at)
        if rehearse:
            transaction.set_rollback(True)
            return replace(imported, statement=None)
        audit.record(
            verb="statement.import",
            actor=actor,
            subject=imported.statement or Statement,
            label=chosen.name,
            after=imported.statement.counts if imported.statement is not None else {},
        )
    log.info(
        "statement.imported",
        file_format=chosen.name,
        lines=imported.lines,
        known=imported.known,
        errors=imported.errors,
        actor=actor,
    )
    return imported


def _fingerprint(file: IO[bytes]) -> str:
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while piece := file.read(64 * 1024):
        size += len(piece)
        if size > MOST_BYTES:
            raise StatementTooLarge(f"It has more than {MOST_BYTES // 1024 // 1024} MB.")
        digest.update(piece)
    file.seek(0)
    return digest.hexdigest()


def _alone() -> None:
    """One import at a time: two that hold each other's lines would wait for one another."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [IMPORT_LOCK])
        if not cursor.fetchone()[0]:
            raise StatementImportUnderWay


def _take_in(
    file: IO[bytes], file_name: str, chosen: StatementFormat, sha256: str, *, actor: str, at: datetime
) -> Imported:
    statement = Statement.objects.create(
        format=chosen,
        file_name=file_name[:200],
        sha256=sha256,
        counts={},
        imported_by=actor,
        imported_at=at,
        request_id=outbox.current_request_id(),
    )
    counts: Counter[str] = Counter(lines=0, known=0, errors=0, passed_over=0)
    twins: Counter[int] = Counter()
    first_errors: list[RowError] = []
    read = statement_rows.rows(file, layout=chosen.layout())
    while batch := list(islice(read, BATCH)):
        lines = [row for row in batch if isinstance(row, Line)]
        errors = [row for row in batch if isinstance(row, RowError)]
        added = _keep_lines(statement, chosen, lines, twins)
        _keep_errors(statement, errors)
        first_errors += errors[: 10 - len(first_errors)]
        counts["lines"] += added
        counts["known"] += len(lines) - added
        counts["errors"] += len(errors)
        counts["passed_over"] += batch.count(None)
    statement.counts = dict(counts)
    statement.save(update_fields=["counts"])
    outbox.record(topic="statement.imported", statement_id=statement.pk)
    return Imported(statement=statement, is_new=True, first_errors=tuple(first_errors), **counts)


def _keep_lines(statement: Statement, chosen: StatementFormat, lines: list[Line], twins: Counter[int]) -> int:
    """How many of them are new."""
    if not lines:
        return 0
    keyed: Iterator[tuple[Any, ...]] = (
        (
            line.row, _key(line, chosen, twins), line.booked_on, line.amount, line.fee, line.net, line.currency.value,
            line.reference, line.description, line.payout_reference,
        )
        for line in lines
    )  # fmt: skip
    with connection.cursor() as cursor:
        columns = [list(column) for column in zip(*keyed, strict=True)]
        cursor.execute(_INSERT, [statement.pk, chosen.source, chosen.account, *columns])
        added: int = cursor.rowcount
    return added


def _key(line: Line, chosen: StatementFormat, twins: Counter[int]) -> str:
    """Everything that the line says, and how many equal ones stood before it in this file."""
    said = "\x1f".join(
        [
            chosen.source, chosen.account, line.booked_on.isoformat(), f"{line.amount:.2f}", f"{line.fee:.2f}",
            f"{line.net:.2f}", line.currency.value, line.reference, line.description, line.payout_reference,
        ]
    ).encode()  # fmt: skip
    content = hashlib.sha256(said).digest()
    # Eight bytes are enough to count by, and keep a hundred thousand lines within a few megabytes.
    short = int.from_bytes(content[:8], "big")
    twins[short] += 1
    return hashlib.sha256(content + twins[short].to_bytes(4, "big")).hexdigest()


def _keep_errors(statement: Statement, errors: list[RowError]) -> None:
    StatementRowError.objects.bulk_create(
        StatementRowError(
            statement=statement,
            row=error.row,
            field=error.field,
            code=error.code,
            message=error.message,
            content=error.content,
        )
        for error in errors
    )
