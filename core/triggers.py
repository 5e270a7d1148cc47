"""Database triggers made from a flow's table, so that the ORM, `update()` and raw SQL obey the same moves."""

from __future__ import annotations

from typing import Any

import pgtrigger

from core.flow import Flow
from core.personal import BLACKENED


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


def append_only(name: str, *, blackened: tuple[str, ...] = ()) -> list[pgtrigger.Trigger]:
    """A table that is written and read, never changed. From the texts in `blackened` a person who is erased goes."""
    if not blackened:
        return [pgtrigger.Protect(name=f"{name}_append_only", operation=pgtrigger.Update | pgtrigger.Delete)]
    return [unchanged(f"{name}_append_only", operation=pgtrigger.Update | pgtrigger.Delete, blackened=blackened)]


def unchanged(name: str, *, operation: Any, blackened: tuple[str, ...]) -> pgtrigger.Trigger:
    """Refuse the operation, but for one thing: in `core.personal.erasing`, a text in `blackened` may lose a person.

    Every other column stays as it was, and a text that changes is empty afterwards or shows where it was blackened.
    """
    names = ", ".join(f"'{column}'" for column in blackened)
    texts = "".join(
        f" AND (NEW.{column} = OLD.{column} OR NEW.{column} = '' OR strpos(NEW.{column}, '{BLACKENED}') > 0)"
        for column in blackened
    )
    return pgtrigger.Trigger(
        name=name,
        when=pgtrigger.Before,
        operation=operation,
        func=f"""
            IF TG_OP = 'UPDATE' AND coalesce(current_setting('nexus.erasing', true), '') = 'on' THEN
                IF to_jsonb(NEW) - ARRAY[{names}] = to_jsonb(OLD) - ARRAY[{names}]{texts} THEN
                    RETURN NEW;
                END IF;
            END IF;
            RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;
        """,
    )


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
