"""Somebody takes a list out as a file, and what then stands in it."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

import openpyxl
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from desk import export_files, export_sources, exports
from desk.export_files import Format
from desk.models import Export
from tests import staff
from users.models import User
from users.roles import Role

ORDERS: Final = "orders.order"


def finance() -> User:
    return staff.person(Role.FINANCE)


def desk_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def rows_of(content: bytes, file_format: Format = Format.CSV) -> list[dict[str, Any]]:
    """A file as a program reads it: heading → cell, row by row."""
    if file_format is Format.CSV:
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    head, *body = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0].iter_rows(values_only=True)
    return [dict(zip(head, row, strict=True)) for row in body]


def at_once(user: User, *, kind: str = ORDERS, query: str = "", file_format: Format = Format.CSV) -> bytes:
    made = exports.make_at_once(kind=kind, query=query, file_format=file_format, user=user, at=now())
    with made.file as file:
        return file.read()


def ask(user: User, *, kind: str = ORDERS, query: str = "", file_format: Format = Format.CSV) -> Export:
    return exports.request(kind=kind, query=query, file_format=file_format, user=user, at=now())


def make(export: Export, **how: Any) -> Export:
    """What a worker does when it hears of it."""
    exports.make(export_id=export.pk, clock=now, **how)
    export.refresh_from_db()
    return export


def content_of(export: Export) -> bytes:
    return export_files.path_of(export.file_name).read_bytes()


def lapse(export: Export) -> None:
    """Whoever was at it has not been heard of for longer than their lease."""
    Export.objects.filter(pk=export.pk).update(next_check_at=now())


def shown(user: User, *, kind: str, query: str = "") -> list[str]:
    """The ids that the list itself shows, page after page, in its order."""
    client, ids, page = desk_of(user), [], 1
    address = reverse(f"admin:{kind.replace('.', '_')}_changelist")
    while True:
        answer = client.get(f"{address}?{query}{'&' if query else ''}p={page}")
        if answer.status_code != 200:
            return ids
        changelist = answer.context["cl"]
        ids += [str(row.pk) for row in changelist.result_list]
        if not changelist.paginator.has_more:
            return ids
        page += 1


def source(user: User, *, kind: str = ORDERS, query: str = "") -> export_sources.Source:
    return export_sources.of(kind=kind, query=query, user=user)
