"""Gives a file to its owner and nobody else, and removes it when its time is over, or its owner's permission is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import IO, Final
from uuid import UUID

import structlog
from django.conf import settings

from core.listing import EAST_AFRICA
from core.transactions import durable
from desk import export_files, export_sources, exports
from desk.export_files import Format
from desk.export_sources import ExportNotAllowed
from desk.flow import EXPORT_OPEN, ExportStatus
from desk.models import Export
from users.models import User

log = structlog.get_logger(__name__)

BATCH: Final = 200


def open_for(*, export_id: UUID, user: User) -> tuple[Export, IO[bytes]] | None:
    """The file, to be read; None where this person has no such export, or it is not there (any more).

    :raises ExportNotAllowed: where they may no longer see that list, or take it out.
    """
    export = Export.objects.filter(pk=export_id, owner=user, status=ExportStatus.READY).first()
    if export is None:
        return None
    if not export_sources.may(user=user, kind=export.kind):
        raise ExportNotAllowed
    try:
        file = export_files.path_of(export.file_name).open("rb")
    except FileNotFoundError:
        return None
    log.info("export.taken", export=str(export.pk), actor=f"staff:{user.pk}")
    return export, file


def shown_name(export: Export) -> str:
    """What the file is called on its owner's machine."""
    name = export.kind.rpartition(".")[2]
    return export_files.shown_name(
        name=name, on=export.requested_at.astimezone(EAST_AFRICA).date(), file_format=Format(export.format)
    )


def tidy(*, clock: Callable[[], datetime]) -> int:
    """Remove what has served its time, what its owner may no longer have, and files that nobody is writing any more;
    returns how many files went. The file goes first: a row without a file is removed next time, a file without a row
    would stay for ever.
    """
    # Whatever lies there now was named by a committed row before it was made.
    there = export_files.names()
    removed = _remove_old(at=clock()) + _end_what_is_not_allowed(at=clock())
    named = set(
        Export.objects.filter(status__in=[*EXPORT_OPEN, ExportStatus.READY]).values_list("file_name", flat=True)
    )
    for name in there:
        if name not in named and export_files.path_of(name).exists():
            export_files.remove(name=name)
            removed += 1
    export_files.sweep_scratch()
    if removed:
        log.info("export.tidied", files=removed)
    return removed


def _remove_old(*, at: datetime) -> int:
    old = Export.objects.filter(finished_at__lte=at - settings.EXPORTS.kept).order_by("finished_at")
    gone = list(old[:BATCH])
    for export in gone:
        export_files.remove(name=export.file_name)
        with durable("export.remove"):
            Export.objects.filter(pk=export.pk).delete()
    return len(gone)


def _end_what_is_not_allowed(*, at: datetime) -> int:
    ready = Export.objects.filter(status=ExportStatus.READY)
    return sum(
        exports.give_up(held=ready.filter(pk=export.pk), why=ExportNotAllowed.code, at=at)
        for export in ready.select_related("owner").order_by("pk")[:BATCH]
        if not export_sources.may(user=export.owner, kind=export.kind)
    )
