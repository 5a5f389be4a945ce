"""One call: over the caller's own connection, or over one that is opened for it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import psycopg

from recovery import calls
from recovery.database.connect import Target, check_schema, connect

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
    from sqlalchemy.orm import Session

__all__ = ["AsyncWhere", "Where", "ado", "do"]

T = TypeVar("T")

#: A psycopg or SQLAlchemy connection or a Session, in whose transaction it happens; or any
#: other `recovery.Target`, where it is committed at once.
Where: TypeAlias = "Target | sa.Connection | Session"

#: The same for asyncio; over a target it happens in a thread.
AsyncWhere: TypeAlias = "Target | AsyncConnection | AsyncSession"


def do(where: Where, call: calls.Call[T], role: str) -> T:
    """Executes a call there.

    Args:
        where: the caller's connection, or a database.
        call: what to execute.
        role: what a connection of our own would be for, see `connect`.

    Raises:
        RecoveryError: what `calls.run`, `connect` and `check_schema` raise.
    """
    given: Any = where
    if _is_open(given):
        return calls.run(given, call)
    with connect(given, role) as conn:
        check_schema(conn)
        return calls.run(conn, call)


async def ado(where: AsyncWhere, call: calls.Call[T], role: str) -> T:
    """`do` on an async connection, or without blocking the event loop."""
    given: Any = where
    if _is_open_async(given):
        return await calls.arun(given, call)
    return await asyncio.to_thread(do, given, call, role)


def _is_open(where: Any) -> bool:
    sa, orm = sys.modules.get("sqlalchemy"), sys.modules.get("sqlalchemy.orm")
    return (
        isinstance(where, psycopg.Connection)
        or (sa is not None and isinstance(where, sa.Connection))
        or (orm is not None and isinstance(where, orm.Session))
    )


def _is_open_async(where: Any) -> bool:
    sa = sys.modules.get("sqlalchemy.ext.asyncio")
    return isinstance(where, psycopg.AsyncConnection) or (
        sa is not None and isinstance(where, sa.AsyncConnection | sa.AsyncSession)
    )
