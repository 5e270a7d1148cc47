"""All rows of the database, kept and put back: sooner than making them anew, for each of some hundred tests."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Self

from django.db import connection, transaction
from psycopg2 import sql


@dataclass(frozen=True, slots=True)
class Rows:
    """What some tables held, as PostgreSQL copies it out."""

    of: dict[str, bytes]

    @classmethod
    def kept(cls, *, tables: list[str]) -> Self:
        """What is there now."""
        held = {}
        with transaction.atomic(), connection.cursor() as cursor:
            for table in tables:
                out = io.BytesIO()
                cursor.copy_expert(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table)), out)
                if out.tell():
                    held[table] = out.getvalue()
        return cls(held)

    def put_back(self) -> None:
        """Into empty tables, without a trigger: each row has passed all of them once. Needs a superuser."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table, rows in self.of.items():
                cursor.copy_expert(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table)), io.BytesIO(rows))


def can_be_put_back() -> bool:
    """Triggers may be left out by a superuser alone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        (may,) = cursor.fetchone()
    return bool(may)
