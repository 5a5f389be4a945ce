"""Watching a table: the registration that everything else works from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recovery import calls

__all__ = ["aattach", "adetach", "attach", "detach"]


def attach(
    conn: calls.Connection, table: str, *, open: str, close: Mapping[str, str], **options: Any
) -> str:
    """Watches a table: adds ``server_epoch``, a partial index and triggers to it.

    Takes part in the caller's transaction (in a migration: ``op.get_bind()``). Doing
    it again with the same expressions changes nothing.

    Args:
        conn: a psycopg or SQLAlchemy connection, of the table's owner and a member
            of recovery_owner.
        table: as SQL writes it: ``job``, ``app."Job"``.
        open: SQL condition over the row ``r``: the row is work in flight.
        close: column -> SQL expression that a closing sets; sees ``r`` and
            ``c.reason``, ``c.message``, ``c.at``, ``c.ms``, ``c.epoch``, ``c.detector``.
        **options: the parameters of ``recovery.attach`` without ``p_``: name, group,
            family, parent, position, order, only, image, topic, failed_topics,
            idle_topics, started, unowned, events.

    Returns:
        The watch's name.

    Raises:
        WatchInvalid: the table or an expression can't work (RC006).
        WatchExists: watched already, with other expressions (RC007).
        PermissionDenied: not the owner of the table (42501).
    """
    return calls.run(conn, calls.attach(table, open, close, **options))


async def aattach(
    conn: calls.AnyAsyncConnection,
    table: str,
    *,
    open: str,
    close: Mapping[str, str],
    **options: Any,
) -> str:
    """`attach` on an async connection."""
    return await calls.arun(conn, calls.attach(table, open, close, **options))


def detach(conn: calls.Connection, table: str) -> None:
    """Stops watching a table and restores it as it was; its events stay.

    Raises:
        WatchUnknown: it is not watched (RC008).
    """
    calls.run(conn, calls.detach(table))


async def adetach(conn: calls.AnyAsyncConnection, table: str) -> None:
    """`detach` on an async connection."""
    await calls.arun(conn, calls.detach(table))
