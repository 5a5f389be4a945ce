"""Watching a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from recovery.calls.core import Call, Row, nothing, one

__all__ = [
    "Step",
    "alter",
    "alter_steps",
    "attach",
    "attach_steps",
    "attached",
    "brief_detach",
    "compare",
    "detach",
    "detach_steps",
    "lock_holders",
    "permit",
    "resolve",
    "watched",
]


@dataclass(frozen=True)
class Step:
    """A statement that a client executes by itself, in autocommit, and what it does."""

    what: str
    statement: str

    @property
    def call(self) -> Call[None]:
        """The statement as a call."""
        return Call(self.statement, {}, nothing)


def attach(
    table: str,
    open: str,
    close: Mapping[str, str],
    *,
    name: str | None = None,
    group: str | None = None,
    family: str | None = None,
    parent: str | None = None,
    position: int = 100,
    order: str | None = None,
    only: str | None = None,
    image: str | None = None,
    topic: str | None = None,
    failed_topics: Sequence[str] | None = None,
    idle_topics: Sequence[str] | None = None,
    started: str | None = None,
    unowned: str | timedelta | None = None,
    events: Literal["all", "closed"] = "all",
    launch_grace: str | timedelta | None = None,
    requeue: Mapping[str, str] | None = None,
    attempts: str | None = None,
    max_attempts: int = 3,
    owner: str | None = None,
    alive: str | None = None,
    alive_lease: str | timedelta | None = None,
    free_reasons: Sequence[str] | None = None,
    not_before: str | None = None,
    backoff: str | timedelta | None = None,
    max_backoff: str | timedelta | None = None,
    search_path: str | None = None,
    concurrently: bool = False,
) -> Call[str]:
    """Watches a table; returns the watch's name. RC006, RC007, RC010.

    The arguments are those of `recovery.attach`, the function.
    """
    options: dict[str, tuple[str, object]] = {
        "name": ("text", name),
        "group": ("text", group),
        "family": ("text", family),
        "parent": ("text", parent),
        "position": ("integer", position),
        "order": ("text", order),
        "only": ("text", only),
        "image": ("text", image),
        "topic": ("text", topic),
        "failed_topics": ("text[]", None if failed_topics is None else list(failed_topics)),
        "idle_topics": ("text[]", None if idle_topics is None else list(idle_topics)),
        "started": ("text", started),
        "unowned": ("interval", unowned),
        "events": ("text", events),
        "launch_grace": ("interval", launch_grace),
        "requeue": ("jsonb", None if requeue is None else json.dumps(dict(requeue))),
        "attempts": ("text", attempts),
        "max_attempts": ("integer", max_attempts),
        "owner": ("text", owner),
        "alive": ("text", alive),
        "alive_lease": ("interval", alive_lease),
        "free_reasons": ("text[]", None if free_reasons is None else list(free_reasons)),
        "not_before": ("text", not_before),
        "backoff": ("interval", backoff),
        "max_backoff": ("interval", max_backoff),
        "search_path": ("text", search_path),
        "concurrently": ("boolean", concurrently or None),
    }
    # What is not given is left to SQL, which knows the session's search_path.
    given = {option: each for option, each in options.items() if each[1] is not None}
    said = "".join(f", p_{option} => %({option})s::{type_}" for option, (type_, _) in given.items())
    return Call(
        "select recovery.attach(p_table => %(table)s::text::regclass, p_open => %(open)s::text,"
        f" p_close => %(close)s::text::jsonb{said})",
        {
            "table": table,
            "open": open,
            "close": json.dumps(dict(close)),
            **{option: value for option, (_, value) in given.items()},
        },
        one,
    )


def compare(
    table: str, options: Mapping[str, Any], supervision: Mapping[str, Any] | None
) -> Call[list[str] | None]:
    """Which options of a watch are not as they are wanted; None: it is not watched."""
    return Call(
        "select recovery.compare_watch(p_table => %(table)s::text::regclass,"
        " p_options => %(options)s::text::jsonb, p_supervision => %(supervision)s::text::jsonb)",
        {
            "table": table,
            "options": json.dumps(dict(options)),
            "supervision": None if supervision is None else json.dumps(dict(supervision)),
        },
        one,
    )


def watched(tables: Sequence[str]) -> Call[dict[str, str]]:
    """Those of some tables that are watched -> the name of the watch."""
    return Call(
        "select t.name, w.name from unnest(%(tables)s::text[]) as t (name)"
        " join recovery.watch as w on w.relation = pg_catalog.to_regclass(t.name)",
        {"tables": list(tables)},
        lambda rows: {row[0]: row[1] for row in rows},
    )


def permit(owner: str) -> Call[None]:
    """Lets the owner of tables attach them; for a DBA. 42704 no such role, 42501."""
    return Call("select recovery.permit(%(owner)s::text::regrole)", {"owner": owner}, nothing)


def alter(table: str, changes: Mapping[str, object]) -> Call[str]:
    """Changes options of a watch, by the names of those of `attach`; returns the watch's name.

    RC006, RC007, RC008, RC010.
    """
    return Call(
        "select recovery.alter(%(table)s::text::regclass, %(changes)s::text::jsonb)",
        {"table": table, "changes": _json(changes)},
        one,
    )


def detach(table: str) -> Call[None]:
    """No longer watches a table; restores it. RC008."""
    return Call("select recovery.detach(%(table)s::text::regclass)", {"table": table}, nothing)


def attached() -> Call[list[dict[str, Any]]]:
    """Each watched table: name of the watch, schema, and the table with its schema."""
    names = ("name", "schema", "relation")
    return Call(
        "select w.name, n.nspname, concat(quote_ident(n.nspname), '.', quote_ident(c.relname))"
        " from recovery.watch as w join pg_class as c on c.oid = w.relation"
        " join pg_namespace as n on n.oid = c.relnamespace order by 1",
        {},
        lambda rows: [dict(zip(names, row, strict=True)) for row in rows],
    )


def resolve(table: str) -> Call[str | None]:
    """The table that a name means, with its schema; None: there is none."""
    return Call(
        "select concat(quote_ident(n.nspname), '.', quote_ident(c.relname))"
        " from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " where c.oid = to_regclass(%(table)s::text)",
        {"table": table},
        lambda rows: rows[0][0] if rows else None,
    )


def attach_steps(table: str, lock_timeout: str | timedelta) -> Call[list[Step]]:
    """What is left to do after `attach` concurrently, or to repair. RC008."""
    return Call(
        "select s.what, s.statement"
        " from recovery.attach_steps(%(table)s::text::regclass,"
        " %(lock_timeout)s::text::interval) as s",
        {"table": table, "lock_timeout": _interval(lock_timeout)},
        _steps,
    )


def alter_steps(
    table: str, changes: Mapping[str, object], lock_timeout: str | timedelta
) -> Call[list[Step]]:
    """What is left to do to change options. Errors as `alter`."""
    return Call(
        "select s.what, s.statement"
        " from recovery.alter_steps(%(table)s::text::regclass, %(changes)s::text::jsonb,"
        " %(lock_timeout)s::text::interval) as s",
        {"table": table, "changes": _json(changes), "lock_timeout": _interval(lock_timeout)},
        _steps,
    )


def detach_steps(table: str, lock_timeout: str | timedelta) -> Call[list[Step]]:
    """What is left to do to detach. RC008."""
    return Call(
        "select s.what, s.statement"
        " from recovery.detach_steps(%(table)s::text::regclass,"
        " %(lock_timeout)s::text::interval) as s",
        {"table": table, "lock_timeout": _interval(lock_timeout)},
        _steps,
    )


def brief_detach(table: str, lock_timeout: str | timedelta) -> Call[list[Step]]:
    """`detach` as one step, which waits for each lock no longer than that."""
    return Call(
        # By number: it is executed by another search_path.
        "select 'detach', recovery._brief_sql(pg_catalog.concat('select recovery.detach(',"
        " (%(table)s::text::regclass)::oid, '::regclass)'), %(lock_timeout)s::text::interval)",
        {"table": table, "lock_timeout": _interval(lock_timeout)},
        _steps,
    )


def lock_holders(table: str) -> Call[str | None]:
    """Who holds a lock of a table."""
    return Call("select recovery._lock_holders(%(table)s::text::regclass)", {"table": table}, one)


def _steps(rows: Sequence[Row]) -> list[Step]:
    return [Step(*row) for row in rows]


def _interval(value: str | timedelta) -> str:
    """As PostgreSQL reads it; not every driver takes both for an interval."""
    return f"{value.total_seconds()} seconds" if isinstance(value, timedelta) else value


def _json(changes: Mapping[str, object]) -> str:
    return json.dumps(
        {
            key: _interval(value) if isinstance(value, timedelta) else value
            for key, value in changes.items()
        },
        default=_plain,
    )


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{value!r} is no value of an option")
