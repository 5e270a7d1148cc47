"""Takes a list out as a file: at once where it is short, else by a worker, in slices that add up to one file.

A file is written in full before anybody gets its first byte, so that one that broke off is never taken for a whole one,
and who took what is written down before it leaves. Rows are read a batch at a time, each batch by a statement of its
own: neither memory nor a transaction grows with the list. A CSV goes on where the last slice stopped; a worker that was
killed leaves its claim behind, which runs out, and the file is begun anew under another name (docs/decisions/0036).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import gettempdir
from typing import IO, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from core import audit, batches, outbox
from core.batches import Batch
from core.errors import DomainError
from core.listing import EAST_AFRICA
from core.transactions import durable
from desk import accounting, erasure, export_columns, export_files, export_sources
from desk.export_files import Format, Writer
from desk.export_sources import ExportNotAllowed, ExportNotUnderstood, Source
from desk.flow import EXPORT_OPEN, ExportStatus
from desk.models import Export
from users.models import User

log = structlog.get_logger(__name__)

BATCH: Final = 1_000
LEASE: Final = timedelta(seconds=90)
BUDGET_SECONDS: Final = 20
"""One slice's time. Well below the task's own limits, and other tasks wait for no longer."""
MOST_AT_ONCE: Final = 3
MOST_TRIES: Final = 5
MOST_ROWS_OF_XLSX: Final = 50_000
"""What is written in one slice, because a spreadsheet cannot be gone on with. More is taken out as CSV."""


class TooManyExports(DomainError):
    code, status, title = "too_many_exports", 429, "Three of your exports are being made: wait for one of them."
    storable = False
    retry_after = 30


class ExportTooLong(DomainError):
    code, status, title = "export_too_long", 422, "The list is too long for a spreadsheet: take it as CSV."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A file without a name, to be read from its beginning, and what it is to be called."""

    file: IO[bytes]
    name: str
    rows: int


def is_short(source: Source) -> bool:
    """Whether it is given at once."""
    most: int = settings.EXPORTS.at_once
    return length(source, most=most) <= most


def length(source: Source, *, most: int) -> int:
    """How many rows there are; one more than `most` where there are more."""
    return source.rows[: most + 1].count()


def make_at_once(*, kind: str, query: str, file_format: Format, user: User, at: datetime) -> Made:
    """Write a short list into a file that has no name, and note who took it.

    :raises ExportNotAllowed: · ExportNotUnderstood:
    """
    source = export_sources.of(kind=kind, query=query, user=user)
    file = export_files.nameless()
    writer = _writer(source, file_format, file, Path(gettempdir()))
    totals: accounting.Totals = {}
    rows = 0
    for batch in _batches(source, position=None, size=BATCH):
        totals = _add(source, writer, batch, totals)
        rows += len(batch.rows)
    _end(source, writer, totals)
    with durable("export.note"):
        note(actor=_actor(user), kind=kind, words=list(source.words), file_format=file_format, rows=rows, export=None)
    file.seek(0)
    return Made(file=file, name=_shown_name(source, file_format, at), rows=rows)


def request(*, kind: str, query: str, file_format: Format, user: User, at: datetime) -> Export:
    """Have a worker make it. Three of one person are made at a time.

    :raises ExportNotAllowed: · ExportNotUnderstood: · ExportTooLong: · TooManyExports:
    """
    source = export_sources.of(kind=kind, query=query, user=user)
    if file_format is Format.XLSX and length(source, most=MOST_ROWS_OF_XLSX) > MOST_ROWS_OF_XLSX:
        raise ExportTooLong
    with durable("export.request"):
        erasure.lock_account(user.pk)
        if Export.objects.filter(owner=user, status__in=EXPORT_OPEN).count() >= MOST_AT_ONCE:
            raise TooManyExports
        export = Export.objects.create(
            owner=user,
            kind=kind,
            query=query,
            words=list(source.words),
            format=file_format,
            next_check_at=Now(),
            requested_at=at,
            request_id=outbox.current_request_id(),
        )
        export.refresh_from_db()  # while nobody else knows of it: later it may have been made, and be gone
        outbox.record(topic="export.requested", export_id=str(export.pk))
    log.info("export.requested", export=str(export.pk), actor=_actor(user), kind=kind, format=file_format.value)
    return export


def make(
    *, export_id: UUID, clock: Callable[[], datetime], budget_seconds: int = BUDGET_SECONDS, size: int = BATCH
) -> None:
    """Write one slice of it, `size` rows at a time, if nobody else is at it. Safe to call any number of times."""
    export = _claim(Export.objects.filter(pk=export_id))
    if export is not None:
        _carry_on(export, clock=clock, ends=time.monotonic() + budget_seconds, size=size)


def sweep(*, clock: Callable[[], datetime], budget_seconds: int = BUDGET_SECONDS) -> int:
    """Go on with what nobody is at, longest overdue first, until the time is up; returns how many were looked at.

    One that raises is logged and comes again when its claim has run out; the others do not wait for it.
    """
    ends = time.monotonic() + budget_seconds
    looked_at = 0
    while time.monotonic() < ends:
        export = _claim(Export.objects.order_by("next_check_at"))
        if export is None:
            break
        looked_at += 1
        try:
            _carry_on(export, clock=clock, ends=ends)
        except Exception:
            log.exception("export.broke_off", export=str(export.pk))
    return looked_at


def give_up(*, held: QuerySet[Export], why: str, at: datetime) -> bool:
    """End the one export that is meant, if it is still there as it was found, and remove its file. `why` is a code."""
    with durable("export.fail"):
        export = held.select_for_update(of=("self",)).first()
        if export is None:
            return False
        export.move_to(ExportStatus.FAILED, finished_at=at, failure=why, position=None)
    export_files.remove(name=export.file_name)
    log.warning("export.failed", export=str(export.pk), why=why)
    return True


def note(*, actor: str, kind: str, words: list[str], file_format: str, rows: int, export: UUID | None) -> None:
    """Who took out what, and how much of it. Call it in the transaction before which nobody gets the file.

    What was filtered by stays out of the log, because somebody may have searched for an address.
    """
    audit.record(
        verb="export.made", actor=actor, subject=Export, label=kind, after={"rows": rows, "format": str(file_format)}
    )
    log.info(
        "export.made", actor=actor, kind=kind, filters=len(words), format=str(file_format), rows=rows,
        export=str(export) if export else None,
    )  # fmt: skip


def _claim(candidates: QuerySet[Export]) -> Export | None:
    """Take one whose time has come. Leased by the database's clock; who held it before, and did not give it back, is
    gone, and what they wrote is not trusted.
    """
    with durable("export.claim"):
        export = (
            candidates.select_for_update(of=("self",), skip_locked=True)
            .filter(status__in=EXPORT_OPEN, next_check_at__lte=Now())
            .first()
        )
        if export is None:
            return None
        left_behind = export.file_name if export.claim else ""
        if export.claim or not export.file_name:
            export.tries += 1
            export.file_name = export_files.new_name(file_format=Format(export.format))
            export.rows, export.size, export.position, export.totals = 0, 0, None, {}
        export.claim = secrets.token_hex(16)
        if export.state is ExportStatus.REQUESTED:
            export.move_to(ExportStatus.MAKING)
        export.save()
        Export.objects.filter(pk=export.pk).update(next_check_at=Now() + LEASE)
    export_files.remove(name=left_behind)
    return export


def _carry_on(export: Export, *, clock: Callable[[], datetime], ends: float, size: int = BATCH) -> None:
    if export.tries > MOST_TRIES:
        give_up(held=_mine(export), why="gave_up", at=clock())
        return
    try:
        source = export_sources.of(kind=export.kind, query=export.query, user=User.objects.get(pk=export.owner_id))
    except (ExportNotAllowed, ExportNotUnderstood) as refusal:
        give_up(held=_mine(export), why=refusal.code, at=clock())
        return
    if export.total is None:
        export.total = _count(source)
    with export_files.open_for_writing(name=export.file_name, size=export.size) as file:
        writer = _writer(source, Format(export.format), file, export_files.scratch())
        for batch in _batches(source, position=export.position, size=size):
            export.totals = _add(source, writer, batch, export.totals)
            export.rows += len(batch.rows)
            export.position = batch.position
            if batch.is_last:
                break
            export.size = writer.kept()
            may_pause = export.format == Format.CSV and time.monotonic() >= ends
            if not (_pause(export) if may_pause else _keep(export)) or may_pause:
                return
        _end(source, writer, export.totals)
    _finish(export, source, at=clock())


def _keep(export: Export) -> bool:
    """Write down how far it is, and hold it for longer. False where somebody else has it by now."""
    with durable("export.keep"):
        return bool(_mine(export).update(rows=export.rows, total=export.total, next_check_at=Now() + LEASE))


def _pause(export: Export) -> bool:
    """The time is up, the file is whole as far as it goes: whoever comes next goes on."""
    with durable("export.pause"):
        outbox.record(topic="export.requested", export_id=str(export.pk))
        return bool(
            _mine(export).update(
                rows=export.rows, total=export.total, totals=export.totals, position=export.position, size=export.size,
                claim="", next_check_at=Now(),
            )
        )  # fmt: skip


def _finish(export: Export, source: Source, *, at: datetime) -> None:
    with durable("export.finish"):
        held = _mine(export).select_for_update(of=("self",)).first()
        if held is None:
            return  # somebody else is writing another file for it, and this one is swept up
        held.move_to(
            ExportStatus.READY, finished_at=at, rows=export.rows, total=export.rows, totals=export.totals,
            position=None, size=export_files.path_of(export.file_name).stat().st_size,
        )  # fmt: skip
        note(
            actor=f"staff:{export.owner_id}", kind=export.kind, words=list(source.words), file_format=export.format,
            rows=export.rows, export=export.pk,
        )  # fmt: skip


def _mine(export: Export) -> QuerySet[Export]:
    """The row, as long as nobody has taken it over."""
    return Export.objects.filter(pk=export.pk, status=ExportStatus.MAKING, claim=export.claim)


def _count(source: Source) -> int | None:
    """How many there are, for the bar that shows how far it is; None where counting would take too long."""
    try:
        with transaction.atomic():
            return source.rows.count()
    except OperationalError:
        return None


def _batches(source: Source, *, position: batches.Position | None, size: int) -> Iterator[Batch]:
    return batches.in_order(
        source.rows, paths=export_columns.paths_of(source.columns), ordering=source.ordering, size=size,
        position=position,
    )  # fmt: skip


def _writer(source: Source, file_format: Format, file: IO[bytes], folder: Path) -> Writer:
    headings = [column.heading for column in source.columns]
    return export_files.writer(file_format=file_format, into=file, headings=headings, name=source.title, folder=folder)


def _add(source: Source, writer: Writer, batch: Batch, totals: accounting.Totals) -> accounting.Totals:
    rows = [export_columns.cells(source.columns, values=row) for row in batch.rows]
    writer.add(rows=rows)
    return accounting.add_up(totals=totals, rows=rows) if source.adds_up else totals


def _end(source: Source, writer: Writer, totals: accounting.Totals) -> None:
    adds_up = source.adds_up
    writer.end(
        lines=accounting.last_lines(totals=totals) if adds_up else [],
        sheet=accounting.by_account(totals=totals) if adds_up else [],
        headings=accounting.TOTALS_HEADINGS if adds_up else [],
    )


def _shown_name(source: Source, file_format: Format, at: datetime) -> str:
    return export_files.shown_name(name=source.name, on=at.astimezone(EAST_AFRICA).date(), file_format=file_format)


def _actor(user: User) -> str:
    return f"staff:{user.pk}"
