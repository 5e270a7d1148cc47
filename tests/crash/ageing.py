"""Time passes for everybody: the database grows older, and Chapa's clock goes on.

Every stored time is moved into the past, so that the code under test reads the real clock.
"""

from __future__ import annotations

from datetime import timedelta

import psycopg2
from django.db import connection
from psycopg2 import sql

_STAYS = {("orders_order", "token_expires_at")}
"""A guest's token is made of it."""

_COLUMNS = """
SELECT c.table_name, array_agg(c.column_name::text)
FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.data_type = 'timestamp with time zone'
    AND c.table_name NOT LIKE 'django%' AND c.table_name NOT LIKE 'token_blacklist%'
    AND NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = c.table_name::regclass AND tgname LIKE '%append_only%'
    )
GROUP BY c.table_name ORDER BY c.table_name
"""


def pass_in_the_database(by: timedelta) -> None:
    """Let `by` pass in the database. Rows that somebody holds at the moment stay as they are.

    What is never changed (histories, the journal) keeps its times: nothing becomes due by them.
    """
    given = {name: value for name, value in connection.get_connection_params().items() if name in _LOGIN}
    other = psycopg2.connect(**given)
    try:
        with other, other.cursor() as cursor:
            # Neither constraints on what may change nor flows are asked: nobody writes here, time passes.
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute(_COLUMNS)
            for table, columns in cursor.fetchall():
                moved = sql.SQL(", ").join(
                    sql.SQL("{0} = {0} - %(by)s").format(sql.Identifier(column))
                    for column in columns
                    if (table, column) not in _STAYS
                )
                cursor.execute(
                    sql.SQL(
                        "UPDATE {0} SET {1} WHERE ctid = ANY"
                        " (ARRAY(SELECT ctid FROM {0} FOR NO KEY UPDATE SKIP LOCKED))"
                    ).format(sql.Identifier(table), moved),
                    {"by": by},
                )
    finally:
        other.close()


_LOGIN = ("dbname", "user", "password", "host", "port")
