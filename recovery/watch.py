"""Watching a table: the registration that everything else works from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from recovery import calls

__all__ = [
    "aattach",
    "adetach",
    "apermit",
    "asupervise",
    "attach",
    "detach",
    "permit",
    "supervise",
]


def attach(
    conn: calls.Connection, table: str, *, open: str, close: Mapping[str, str], **options: Any
) -> str:
    """Watches a table: adds ``server_epoch``, a partial index and triggers to it.

    Takes part in the caller's transaction (in a migration: ``op.get_bind()``). Doing
    it again with the same expressions changes nothing.

    Args:
        conn: a psycopg or SQLAlchemy connection of the table's owner, whom a DBA has
            permitted to (`permit`), or of a superuser.
        table: as SQL writes it: ``job``, ``app."Job"``.
        open: SQL condition over the row ``r``: the row is work in flight.
        close: column -> SQL expression that a closing sets; sees ``r`` and
            ``c.reason``, ``c.message``, ``c.at``, ``c.ms``, ``c.epoch``, ``c.detector``.
        **options: the parameters of ``recovery.attach`` without ``p_``: name, group,
            family, parent, position, order, only, image, topic, failed_topics,
            idle_topics, started, unowned, events, launch_grace, and for work that may be
            repeated: requeue (column -> expression, as close: back to the queue instead
            of closed), attempts (an integer column that counts), max_attempts (3; after
            so many it is closed). search_path: what the table's triggers find theirs by
            when a closing fires them; by default that of this session.

    Returns:
        The watch's name.

    Raises:
        WatchInvalid: the table or an expression can't work (RC006).
        WatchExists: watched already, with other expressions (RC007).
        PermissionDenied: not the owner of the table, or not permitted; then it says the
            statement that a DBA has to run (42501).
    """
    return calls.run(conn, calls.watch.attach(table, open, close, **options))


async def aattach(
    conn: calls.AnyAsyncConnection,
    table: str,
    *,
    open: str,
    close: Mapping[str, str],
    **options: Any,
) -> str:
    """`attach` on an async connection."""
    return await calls.arun(conn, calls.watch.attach(table, open, close, **options))


def permit(conn: calls.Connection, owner: str) -> None:
    """Permits the owner of tables to attach them; once for each owner, by a DBA.

    Makes the role that runs what stands in these tables (triggers, expressions): it can
    do what the owner can, and append events of the owner's watches. The owner gets no
    right on anybody else's tables, nor on servers, tokens and events. Doing it again
    repairs what was removed.

    Args:
        conn: of a superuser; or of a member of recovery_owner with CREATEROLE and (from
            PostgreSQL 16 on) the admin option on the owner.
        owner: the role, as SQL writes it.

    Raises:
        psycopg.errors.UndefinedObject: there is no such role (42704).
        PermissionDenied: these rights are missing (42501).
    """
    calls.run(conn, calls.watch.permit(owner))


async def apermit(conn: calls.AnyAsyncConnection, owner: str) -> None:
    """`permit` on an async connection."""
    await calls.arun(conn, calls.watch.permit(owner))


def detach(conn: calls.Connection, table: str) -> None:
    """Stops watching a table and restores it as it was; its events stay.

    Raises:
        WatchUnknown: it is not watched (RC008).
    """
    calls.run(conn, calls.watch.detach(table))


async def adetach(conn: calls.AnyAsyncConnection, table: str) -> None:
    """`detach` on an async connection."""
    await calls.arun(conn, calls.watch.detach(table))


def supervise(
    conn: calls.Connection,
    table: str,
    *,
    kind: str | None = None,
    activity: str | None = None,
    timeout: str | None = None,
    hold: str | None = None,
    child: str | None = None,
    cancel: Literal["row", "group"] = "row",
    started: str | None = None,
) -> str:
    """Puts a watched table under the watchdog; the timeouts are settings (`configure`).

    Takes part in the caller's transaction. Doing it again replaces what was said before.
    All expressions are SQL over the row ``r``, read with ``search_path = pg_catalog``.

    Args:
        conn: as of `attach`.
        table: a watched one.
        kind: text, such as ``bash``: which ``tool_timeout`` counts. Null: none does.
        activity: timestamptz of its last sign of life, besides `Server.touch`.
        timeout: interval, the row's own; goes before every setting.
        hold: boolean: it waits for a human or a point in time, and no clock runs.
        child: group (session) that the row waits for: while anything is open in it, the
            row is not stuck; then ``task_timeout`` counts instead of ``tool_timeout``.
        cancel: what a timeout stops: the ``row``, or its whole ``group``.
        started: timestamptz, immutable; by default what `attach` was given.

    Returns:
        The watch's name.

    Raises:
        WatchInvalid: an expression can't work, or no start is known (RC006).
        WatchUnknown: the table is not watched (RC008).
        PermissionDenied: not the owner of the table (42501).
    """
    return calls.run(
        conn,
        calls.watchdog.supervise(
            table,
            kind=kind,
            activity=activity,
            timeout=timeout,
            hold=hold,
            child=child,
            cancel=cancel,
            started=started,
        ),
    )


async def asupervise(conn: calls.AnyAsyncConnection, table: str, **options: Any) -> str:
    """`supervise` on an async connection."""
    return await calls.arun(conn, calls.watchdog.supervise(table, **options))
