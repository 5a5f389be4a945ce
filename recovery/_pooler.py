"""Whether a pooler stands between us and PostgreSQL, and what it does to a session."""

from __future__ import annotations

import contextlib
import functools
import logging
from typing import Any, Literal

import psycopg

from recovery import calls
from recovery._connect import Target, opener
from recovery._link import deadline

__all__ = ["is_pooled", "pool_mode", "warn"]

_log = logging.getLogger(__name__)

#: Looks at the pool: between two of them somebody else may take the connection.
_LOOKS = 3

#: Seconds that a second client waits for a server process.
_PATIENCE = 3.0


@functools.cache
def warn() -> None:
    """Says, once in a process, what is not to be had through a pooler in transaction mode."""
    _log.warning(
        "PostgreSQL is reached through a pooler in transaction mode: dead servers are found by"
        " their lease alone, and events by polling. With direct=…, a DSN that goes to PostgreSQL"
        " itself, our own connections go round the pooler"
    )


def is_pooled(conn: psycopg.Connection[Any]) -> bool:
    """Whether the pid that the connection was told is not that of its server process.

    A pooler makes up its own, since it has to find a client by it.
    """
    return bool(calls.run(conn, calls.backend_pid()) != conn.info.backend_pid)


def pool_mode(
    target: Target, conn: psycopg.Connection[Any]
) -> Literal["session", "transaction"] | None:
    """How the pooler between us and PostgreSQL hands out its connections; None: there is none.

    In session mode a client that is connected keeps its server process. In transaction mode
    it has one only for a transaction, so a second client is given the same.

    Args:
        target: where `conn` goes, for the second client.
        conn: of ours, in autocommit mode.

    Raises:
        ConnectionFailed: the connection is lost.
    """
    if not is_pooled(conn):
        return None
    mine = calls.run(conn, calls.backend_pid())
    try:
        with contextlib.closing(opener(target)()) as other, deadline(other, _PATIENCE):
            for _ in range(_LOOKS):
                if _backend(other) == mine or _backend(conn) != mine:
                    return "transaction"
    except psycopg.Error:
        pass  # all server processes are taken, for as long as their clients stay
    return "session"


def _backend(conn: psycopg.Connection[Any]) -> int:
    found = conn.execute(calls.backend_pid().sql.encode()).fetchone()
    conn.rollback()  # in transaction mode it is given back
    assert found is not None
    return int(found[0])
