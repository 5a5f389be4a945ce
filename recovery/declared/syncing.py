"""What is declared, put in place without migrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from recovery import calls, watch
from recovery.declared.finding import Declared, Source, relation_of, tables_of, watches
from recovery.errors import NotAutocommit

__all__ = ["Change", "sync"]

# Options of `recovery.supervise`; all others are those of `recovery.attach`.
_SUPERVISION = frozenset(("kind", "activity", "timeout", "hold", "child", "cancel"))


@dataclass(frozen=True)
class Change:
    """What `sync` did to one watch, or would do.

    Attributes:
        action: ``attach``, ``alter``, ``detach``; ``keep``: it is as it is declared.
        name: of the watch.
        relation: its table, as SQL writes it.
        why: in words.
    """

    action: Literal["attach", "alter", "detach", "keep"]
    name: str
    relation: str
    why: str


def sync(
    target: sa.Engine | sa.Connection,
    source: Source | Sequence[Source],
    *,
    dry_run: bool = False,
    detach: bool = False,
    concurrently: bool = False,
) -> list[Change]:
    """Puts in place what is declared: for who has no migrations. The tables have to be there.

    A new declaration attaches its table; a changed one alters the watch, and work in flight keeps
    its owner; what is as it was declared stays, and is repaired where something of it is missing.
    With an async engine, as SQLAlchemy's own ``create_all``::

        async with engine.begin() as conn:
            await conn.run_sync(recovery.sync, Base.metadata)

    Args:
        target: an engine: all is done in one transaction; a connection: in the caller's.
        source: as of `watches`.
        dry_run: only tell what would be done.
        detach: also detach tables of the source, and no others, that declare no watch any more.
        concurrently: without locks that a busy table would feel; then each step commits, and a
            connection has to be in autocommit.

    Returns:
        One line for each watch, in the order of `watches`; then those that were detached.

    Raises:
        InvalidArgument: as of `watches`.
        WatchInvalid, WatchExists, PermissionDenied: as of `attach`.
        NotAutocommit: the connection is not in autocommit, which `concurrently` needs.
    """
    with _connected(target, concurrently) as conn:
        schemas = _schemas(conn)
        declared = watches(source, schemas=schemas)
        known = {table: relation_of(table, schemas) for table in tables_of(source)}
        relations = [*(one.relation for one in declared), *known.values()]
        watched = calls.run(conn, calls.watch.watched(relations))
        found = [_one(conn, one, dry_run, concurrently) for one in declared]
        wanted = {one.relation for one in declared}
        for relation in sorted(set(watched) - wanted) if detach else ():
            if not dry_run:
                watch.detach(conn, relation, concurrently=concurrently)
            found.append(Change("detach", watched[relation], relation, "not declared any more"))
    return found


def _one(conn: sa.Connection, one: Declared, dry_run: bool, concurrently: bool) -> Change:
    differs = calls.run(conn, calls.watch.compare(one.relation, one.options, one.supervision))
    if differs is None:
        if not dry_run:
            _attach(conn, one, concurrently)
        return Change("attach", one.name, one.relation, "declared, and not watched")
    if not differs:
        if not dry_run:
            watch.alter(conn, one.relation, concurrently=concurrently)  # repairs what is missing
        return Change("keep", one.name, one.relation, "as declared")
    if not dry_run:
        _alter(conn, one, set(differs), concurrently)
    return Change("alter", one.name, one.relation, f"declared otherwise: {', '.join(differs)}")


def _attach(conn: sa.Connection, one: Declared, concurrently: bool) -> None:
    options: dict[str, Any] = {**one.options, "concurrently": concurrently}
    if concurrently and one.supervision is not None:
        # Registered only; the steps make the index of the watchdog with the other.
        calls.run(conn, calls.watch.attach(one.relation, **options))
        watch.supervise(conn, one.relation, **one.supervision)
        watch.attach(conn, one.relation, **options)
        return
    watch.attach(conn, one.relation, **options)
    if one.supervision is not None:
        watch.supervise(conn, one.relation, **one.supervision)


def _alter(conn: sa.Connection, one: Declared, differs: set[str], concurrently: bool) -> None:
    changed: dict[str, Any] = {name: one.options.get(name) for name in differs - _SUPERVISION}
    supervised = bool(differs & _SUPERVISION)
    # The watchdog needs the start and, for some options, the group: they come before, and go after.
    first = supervised and any(changed.get(name, "") is None for name in ("group", "started"))
    for turn in ("watchdog", "watch") if first else ("watch", "watchdog"):
        if turn == "watch" and changed:
            watch.alter(conn, one.relation, **changed, concurrently=concurrently)
        elif turn == "watchdog" and supervised:
            if one.supervision is None:
                watch.unsupervise(conn, one.relation)
            else:
                watch.supervise(conn, one.relation, **one.supervision)


def _schemas(conn: sa.Connection) -> dict[str | None, str | None]:
    """Where the tables are: by the connection's own map, and without one where it creates them."""
    given = conn.get_execution_options().get("schema_translate_map") or {}
    return {None: conn.scalar(sa.text("select current_schema()")), **given}


@contextmanager
def _connected(target: sa.Engine | sa.Connection, concurrently: bool) -> Iterator[sa.Connection]:
    if isinstance(target, sa.Connection):
        driver: Any = target.connection.dbapi_connection
        if concurrently and not driver.autocommit:
            raise NotAutocommit(
                "sync concurrently commits as it goes",
                hint='give it an engine, or a connection with isolation_level="AUTOCOMMIT"',
            )
        yield target
    elif concurrently:
        with target.execution_options(isolation_level="AUTOCOMMIT").connect() as conn:
            yield conn
    else:
        with target.begin() as conn:
            yield conn
