"""What PostgreSQL's planner says of a statement: does it read a whole table?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db import connection

FEW = 1_500
"""A table of no more rows may be read as a whole."""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def whole_reads(statements: list[str]) -> list[str]:
    """Every sequential scan of a table with more than a few rows, and the statement that it is for."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' AND reltuples > %s", [FEW])
        large = dict(cursor.fetchall())
        for statement in statements:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}")
            answer = cursor.fetchone()[0]
            [explained] = json.loads(answer) if isinstance(answer, str) else answer
            found += [
                f"{node['Relation Name']}: {statement}"
                for node in nodes(explained["Plan"])
                if node["Node Type"] == "Seq Scan" and node["Relation Name"] in large
            ]
    return found
