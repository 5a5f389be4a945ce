"""What a store holds that this version does not know, and whether it may be work in flight."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import psycopg

from recovery import calls
from recovery.opencode.file import LATER, TABLES

__all__ = ["Source", "Unknown", "find"]


class Source(Protocol):
    """A store that is read."""

    @property
    def lease(self) -> timedelta: ...

    def columns(self, table: str) -> list[str]: ...

    def tables(self) -> list[str]: ...

    def count(self, table: str) -> int: ...

    def rows(
        self, table: str, columns: Sequence[str], sessions: Collection[str] | None = None
    ) -> Iterator[tuple[Any, ...]]: ...


@dataclass(frozen=True)
class Unknown:
    """Something in the store that this version does not know."""

    what: str
    rows: int
    in_flight: bool  #: it may be work in flight, and then nobody closes it

    def __str__(self) -> str:
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return f"{self.what}: {rows}" + (", maybe in flight" if self.in_flight else "")


#: Tables of 1.18.33 in which nothing is in flight, or nothing that outlives its process.
_HARMLESS = {
    "account",
    "account_state",
    "control_account",
    "credential",
    "data_migration",
    "event",
    "event_sequence",
    "migration",
    "permission",
    "project",
    "project_directory",
    "session_context_epoch",
    "session_share",
    "todo",
    "workspace",
}

#: The last one of 1.18.33.
_LAST_MIGRATION = "20260622202450_simplify_session_input"

#: Words for work that has not ended.
_OPEN = ("pending", "running", "streaming", "queued", "started", "active", "busy", "in_progress")


def find(
    conn: psycopg.Connection[Any],
    source: Source,
    lacks: Mapping[str, Sequence[str]],
    sessions: Sequence[str],
) -> list[Unknown]:
    """What is not known of a store whose rows were loaded.

    Args:
        conn: to the database with the rows.
        source: the store.
        lacks: tables that were left out, and the columns that they lack.
        sessions: whose rows to look at.
    """
    found = [
        Unknown(f"table {table} without column {', '.join(columns)}", source.count(table), True)
        for table, columns in lacks.items()
    ]
    known = {*TABLES, *LATER, *_HARMLESS}
    for table in source.tables():
        if table not in known:
            found.append(Unknown(f"table {table}", source.count(table), _in_flight(source, table)))
    if "migration" in source.tables() and "id" in source.columns("migration"):
        later = [id_ for (id_,) in source.rows("migration", ["id"]) if str(id_) > _LAST_MIGRATION]
        if later:
            what = f"changes of the store by a later opencode, the last {max(map(str, later))}"
            found.append(Unknown(what, len(later), False))
    return found + calls.run(conn, _rows(list(sessions)))


def _in_flight(source: Source, table: str) -> bool:
    """Whether a table that nobody knows has rows that look as if they were in flight."""
    columns = source.columns(table)
    telling = [name for name in columns if name in ("status", "state", "data", "info", "time")]
    ends = [name for name in columns if name in ("time_completed", "time_ended", "completed_at")]
    if not telling and not ends:
        return False
    return any(
        any(value is None for value in row[len(telling) :])
        or any(_looks_open(value) for value in row[: len(telling)])
        for row in source.rows(table, [*telling, *ends])
    )


def _looks_open(value: Any) -> bool:
    if isinstance(value, dict):
        time = value.get("time")
        if isinstance(time, dict) and not {"end", "completed"} & time.keys():
            return bool({"start", "created"} & time.keys())
        return any(_looks_open(value.get(name)) for name in ("status", "state"))
    if isinstance(value, str):
        if value.startswith("{"):
            return _looks_open(_parsed(value))
        return value in _OPEN
    return False


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _rows(sessions: list[str]) -> calls.Call[list[Unknown]]:
    """Kinds of rows that no watch knows, in one statement; without an end: maybe in flight."""
    return calls.Call(
        """
        select 'part of type ' || coalesce(p.data ->> 'type', '?'), count(*),
            bool_or(p.data -> 'time' ->> 'start' is not null and p.data -> 'time' ->> 'end' is null
                or p.data -> 'state' ->> 'status' = any(%(open)s::text[]))
        from agent.part as p
        where p.session_id = any(%(sessions)s::text[]) and coalesce(p.data ->> 'type', '?') not in (
            'text', 'reasoning', 'tool', 'step-start', 'step-finish', 'snapshot', 'patch', 'file',
            'agent', 'retry', 'subtask', 'compaction')
        group by 1
        union all
        select 'tool with status ' || coalesce(p.data -> 'state' ->> 'status', '?'), count(*),
            bool_or(p.data -> 'state' -> 'time' ->> 'end' is null)
        from agent.part as p
        where p.session_id = any(%(sessions)s::text[]) and p.data ->> 'type' = 'tool'
            and coalesce(p.data -> 'state' ->> 'status', '?')
                not in ('pending', 'running', 'completed', 'error')
        group by 1
        union all
        select 'message of role ' || coalesce(m.data ->> 'role', '?'), count(*),
            bool_or(m.data -> 'time' ->> 'completed' is null)
        from agent.message as m
        where m.session_id = any(%(sessions)s::text[])
            and coalesce(m.data ->> 'role', '?') not in ('user', 'assistant')
        group by 1
        union all
        select 'message of type ' || m.type, count(*),
            bool_or(m.data -> 'time' ->> 'completed' is null)
        from agent.session_message as m
        where m.session_id = any(%(sessions)s::text[]) and m.type not in ('user', 'assistant',
            'shell', 'synthetic', 'system', 'compaction', 'agent-switched', 'model-switched')
        group by 1
        union all
        select case when t.value ->> 'type' = 'tool' then 'tool of opencode 2 with status '
                || coalesce(t.value -> 'state' ->> 'status', '?')
                else 'content of type ' || coalesce(t.value ->> 'type', '?') end, count(*),
            bool_or(t.value -> 'time' ->> 'completed' is null
                and (t.value ->> 'type' = 'tool' or t.value -> 'time' ->> 'created' is not null
                    or t.value -> 'state' ->> 'status' = any(%(open)s::text[])))
        from agent.session_message as m, jsonb_array_elements(case when
            jsonb_typeof(m.data -> 'content') = 'array' then m.data -> 'content' end) as t (value)
        where m.session_id = any(%(sessions)s::text[]) and m.type = 'assistant'
            and case when t.value ->> 'type' = 'tool'
                then coalesce(t.value -> 'state' ->> 'status', '?')
                    not in ('pending', 'running', 'streaming', 'completed', 'error')
                else coalesce(t.value ->> 'type', '?') not in ('text', 'reasoning') end
        group by 1
        order by 1
        """,
        {"sessions": sessions, "open": list(_OPEN)},
        lambda rows: [Unknown(what, count, bool(open_)) for what, count, open_ in rows],
    )
