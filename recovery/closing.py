"""Closing by hand, and what the next boot or sweep would close."""

from __future__ import annotations

import asyncio

from recovery import calls
from recovery.database.connect import Target, check_schema, connect
from recovery.database.once import AsyncWhere, Where, ado, do
from recovery.types import ClosedRow, Eviction, PreviewRow, Scope

__all__ = ["aclose", "aevict", "apreview", "close", "evict", "preview"]


def close(
    target: Where,
    key: str,
    *,
    reason: str = "operator",
    watch: str | None = None,
    scope: Scope | None = None,
    dry_run: bool = False,
) -> list[ClosedRow]:
    """Closes one open row, or a group with all below it, whoever owns it and whatever guards it.

    A live owner is told to stop (`Server.on_cancel`); its late results are refused (RC013).

    Args:
        target: a psycopg or SQLAlchemy connection or a Session, in whose transaction it
            happens; or any other `recovery.Target`, where it is committed at once.
        key: of the row or group (session), as events show it.
        reason: why, for people, in the rows and events: 1 to 200 bytes.
        watch: name of the watch, if the key could be of several.
        scope: ``row`` or ``group``, if the key could be both.
        dry_run: only look what would be closed.

    Returns:
        What was closed, or would be.

    Raises:
        WatchUnknown: nothing is watched by that name (RC008).
        InvalidArgument: nothing open has that key, or several units have; there is no such
            scope; or the reason is too long (RC010).
        PermissionDenied: the role is not a member of recovery_owner (42501).
    """
    call = calls.closing.close(key, reason=reason, watch=watch, scope=scope, dry=dry_run)
    return do(target, call, "close")


async def aclose(
    target: AsyncWhere,
    key: str,
    *,
    reason: str = "operator",
    watch: str | None = None,
    scope: Scope | None = None,
    dry_run: bool = False,
) -> list[ClosedRow]:
    """`close` on an async connection, or without blocking the event loop."""
    call = calls.closing.close(key, reason=reason, watch=watch, scope=scope, dry=dry_run)
    return await ado(target, call, "close")


def preview(target: Where, *, boot: str | None = None) -> list[PreviewRow]:
    """What a sweep would do now with each row; nothing is done.

    Args:
        target: as of `close`.
        boot: name of a server: what its next boot would do instead.

    Raises:
        PermissionDenied: the role is not a member of recovery_server (42501).
    """
    return do(target, calls.closing.preview(boot), "preview")


async def apreview(target: AsyncWhere, *, boot: str | None = None) -> list[PreviewRow]:
    """`preview` on an async connection, or without blocking the event loop."""
    return await ado(target, calls.closing.preview(boot), "preview")


def evict(target: Target, server: str | int, *, terminate_backends: bool = False) -> Eviction:
    """Ends a server that hangs, and closes its work; it can write no more.

    Over a connection of its own: a closing commits as it goes.

    Args:
        target: the database, in any form that `recovery.Target` lists.
        server: name of the server (all that hold it), or an epoch.
        terminate_backends: cut its sessions, too; that needs the role pg_signal_backend.

    Raises:
        EpochUnknown: no live server is called that (RC002).
        PermissionDenied: the role is not a member of recovery_owner (42501).
        psycopg.errors.LockNotAvailable: another transaction holds on to the epoch (55P03).
    """
    with connect(target, "evict") as conn:
        check_schema(conn)
        ended = calls.run(conn, calls.server.evict(str(server), terminate_backends))
        return Eviction(tuple(ended), calls.run(conn, calls.closing.sweep("evict")))


async def aevict(
    target: Target, server: str | int, *, terminate_backends: bool = False
) -> Eviction:
    """`evict` without blocking the event loop."""
    return await asyncio.to_thread(evict, target, server, terminate_backends=terminate_backends)
