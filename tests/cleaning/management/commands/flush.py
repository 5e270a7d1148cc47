"""Empties the tables that have rows.

Django's own truncates all of them and makes permissions and content types anew: most of a second, after each of some
thousand tests. Here these stay, and the rest is looked at: what is empty, as most of it is, is left alone.
"""

from __future__ import annotations

from typing import Any

from django.core.management.commands import flush
from django.db import connections, transaction

_EMPTY = """
DO $$
DECLARE
    each regclass;
    found boolean;
BEGIN
    -- Neither the guards of what may never be deleted nor foreign keys are asked.
    SET LOCAL session_replication_role = replica;
    FOR each IN
        SELECT oid FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
            AND relname NOT IN ('django_migrations', 'django_content_type', 'auth_permission')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', each) INTO found;
        IF found AND pg_total_relation_size(each) > 1024 * 1024 THEN
            EXECUTE format('TRUNCATE %s CASCADE', each);  -- nothing that stays refers to what goes
        ELSIF found THEN
            EXECUTE format('DELETE FROM %s', each);
        END IF;
    END LOOP;
END $$
"""
_MAY = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        with connection.cursor() as cursor:
            cursor.execute(_MAY)
            (may,) = cursor.fetchone()
        if not may or options["interactive"]:
            super().handle(**options)
            return
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(_EMPTY)
