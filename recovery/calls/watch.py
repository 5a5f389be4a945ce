"""Watching a table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from recovery.calls.core import Call, nothing, one

__all__ = ["attach", "attached", "detach", "differing_options", "permit", "repair", "resolve"]


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
    search_path: str | None = None,
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
        "search_path": ("text", search_path),
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


def permit(owner: str) -> Call[None]:
    """Lets the owner of tables attach them; for a DBA. 42704 no such role, 42501."""
    return Call("select recovery.permit(%(owner)s::text::regrole)", {"owner": owner}, nothing)


def detach(table: str) -> Call[None]:
    """No longer watches a table; restores it. RC008."""
    return Call("select recovery.detach(%(table)s::text::regclass)", {"table": table}, nothing)


def repair(table: str) -> Call[str]:
    """Puts right what belongs to a watch: column, index, triggers, rights. RC006, RC008."""
    return Call("select recovery.repair(%(table)s::text::regclass)", {"table": table}, one)


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


def differing_options(
    name: str, options: Mapping[str, Any], supervision: Mapping[str, Any] | None
) -> Call[list[str]]:
    """In which options a declaration (arguments of `attach`, `supervise`) differs from a watch."""
    return Call(
        "select recovery._differing_options(%(name)s::text, %(options)s::text::jsonb,"
        " %(supervision)s::text::jsonb)",
        {
            "name": name,
            "options": json.dumps(dict(options)),
            "supervision": None if supervision is None else json.dumps(dict(supervision)),
        },
        one,
    )
