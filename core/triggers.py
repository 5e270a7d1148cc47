"""Database triggers made from a flow's table, so that the ORM, `update()` and raw SQL obey the same moves."""

from __future__ import annotations

from typing import Any

import pgtrigger

from core.flow import Flow


def enforce(flow: Flow[Any], *, field: str = "status", is_kept: bool = True) -> list[pgtrigger.Trigger]:
    """The triggers for one table: only the moves of the flow, only from its first state, and nothing deleted.

    `is_kept=False` for rows that are pruned when they have served their time.
    """
    triggers: list[pgtrigger.Trigger] = [
        pgtrigger.FSM(
            name=f"{flow.name}_moves",
            field=field,
            transitions=[(source.value, target.value) for source, target in flow.pairs()],
        ),
        pgtrigger.Protect(
            name=f"{flow.name}_starts",
            operation=pgtrigger.Insert,
            condition=pgtrigger.Q(**{f"new__{field}__df": flow.initial.value}),
        ),
    ]
    if is_kept:
        triggers.append(pgtrigger.Protect(name=f"{flow.name}_stays", operation=pgtrigger.Delete))
    return triggers


def append_only(name: str) -> list[pgtrigger.Trigger]:
    """A table that is written and read, never changed."""
    return [pgtrigger.Protect(name=f"{name}_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]


def refuse_truncate(name: str) -> pgtrigger.Trigger:
    """Not emptied either, not even by the table's owner. Tests say `nexus.may_truncate=on` to clean up."""
    return pgtrigger.Trigger(
        name=f"{name}_never_emptied",
        level=pgtrigger.Statement,
        when=pgtrigger.Before,
        operation=pgtrigger.Truncate,
        func="""
            IF coalesce(current_setting('nexus.may_truncate', true), '') <> 'on' THEN
                RAISE EXCEPTION 'pgtrigger: Cannot truncate rows from % table', TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """,
    )
