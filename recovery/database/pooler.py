"""Whether a pooler stands between us and PostgreSQL, and what it does to a session.

In session mode a client that is connected keeps its server process: nothing is different.
In transaction mode it has one only for a transaction: what it sets for the session is lost
at the next one, and another client finds it.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import select
from collections.abc import Callable
from typing import Any, Literal

import psycopg
from psycopg.pq import TransactionStatus

from recovery import calls
from recovery.errors import ConnectionFailed

__all__ = ["is_shared", "pool_mode", "share", "unprepare", "warn", "warn_of_autocommit"]

_log = logging.getLogger(__name__)

#: Looks at the pool: between two of them somebody else may take a server process.
_LOOKS = 3

#: Seconds that the second client waits for one, each time; a new one has to log in first.
_PATIENCE = 0.3


@functools.cache
def warn() -> None:
    """Says, once in a process, what is not to be had through a pooler in transaction mode."""
    _log.warning(
        "PostgreSQL is reached through a pooler in transaction mode: dead servers are found by"
        " their lease alone, and events by polling. With direct=…, a DSN that goes to PostgreSQL"
        " itself, our own connections go round the pooler"
    )


@functools.cache
def warn_of_autocommit() -> None:
    """Says, once in a process, that work may be opened for which nobody is responsible."""
    _log.warning(
        "in autocommit mode, through a pooler in transaction mode, a statement can't say whose it"
        " is: what it opens belongs to nobody. Begin a transaction, or write server_epoch"
    )


@functools.cache
def _warn_of_timeout(timeout: str) -> None:
    _log.warning(
        "statement_timeout is %s, and through a pooler in transaction mode nobody but the pooler"
        " can set another for boots and sweeps; they stop there, and the next one goes on."
        " Give direct=…, or a database user of its own without it",
        timeout,
    )


def pool_mode(
    open_: Callable[[], psycopg.Connection[Any]], backend: Callable[[], int]
) -> Literal["session", "transaction"]:
    """How the pooler between us and PostgreSQL hands out its server processes.

    A second client asks for one. If it gets ours, or we another, they are shared. If it gets
    none while we, who ask later, do, then we have one of our own, and the pool is full.
    Without a second client they count as shared: that is the careful answer.

    Args:
        open_: opens the second client's connection.
        backend: the pid of our own server process, in a transaction that has ended since.

    Raises:
        What `backend` raises.
    """
    mine = backend()
    try:
        other = open_()
    except (psycopg.Error, ConnectionFailed):  # too many clients
        return "transaction"
    with contextlib.closing(other):
        other.rollback()
        asked = False
        for _ in range(_LOOKS):
            if not asked:
                other.pgconn.send_query(_PID)
            try:
                theirs = _answer(other, _PATIENCE)
            except psycopg.Error:
                return "transaction"
            asked = theirs is None
            # Twice: a pool that goes round its server processes gives two clients two.
            if theirs == mine or any(backend() != mine for _ in range(2)):
                return "transaction"
    return "session"


_PID = calls.session.backend_pid().sql.encode()


def _answer(conn: psycopg.Connection[Any], timeout: float) -> int | None:
    """What was asked for by `_PID`; None if there is no answer yet."""
    pgconn, found = conn.pgconn, 0
    while True:
        while pgconn.is_busy():
            if not select.select([pgconn.socket], [], [], timeout)[0]:
                return None
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return found
        found = int(result.get_value(0, 0) or 0)  # 0: an error


def unprepare(connection: Any) -> None:
    """A statement that one server process has prepared is unknown to the next one."""
    driver = getattr(connection, "driver_connection", connection)
    if getattr(driver, "prepare_threshold", None) is not None:  # psycopg
        driver.prepare_threshold = None


def share(conn: psycopg.Connection[Any], name: str) -> None:
    """Makes a connection of ours one that leaves nothing behind for the pool's other clients.

    What it needs is set for each transaction. Only a procedure that commits has to do
    with what the server process says.

    Args:
        conn: through a pooler in transaction mode.
        name: for application_name, during a transaction.
    """
    with psycopg.Cursor(conn) as plain:
        plain.execute(b"select current_setting('statement_timeout')")
        (timeout,) = plain.fetchone() or ("0",)
    if timeout != "0":
        _warn_of_timeout(timeout)
    settings = calls.session.prepare_transaction(name).encode()
    conn.cursor_factory = type("_Shared", (_Shared,), {"__slots__": (), "settings": settings})


def is_shared(conn: psycopg.Connection[Any]) -> bool:
    """Whether `share` was called for a connection."""
    return issubclass(conn.cursor_factory, _Shared)


class _Shared(psycopg.Cursor[Any]):
    """Begins each transaction with the settings that we need."""

    __slots__ = ()
    settings: bytes

    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        conn = self.connection
        idle = conn.info.transaction_status == TransactionStatus.IDLE
        if not idle or (isinstance(query, bytes) and query.startswith(b"call ")):
            return super().execute(query, *args, **options)
        alone = conn.autocommit
        with psycopg.Cursor(conn) as first:
            first.execute(b"begin; " + self.settings if alone else self.settings)
        if not alone:
            return super().execute(query, *args, **options)
        try:
            super().execute(query, *args, **options)
        except BaseException:
            if not conn.closed:
                conn.rollback()
            raise
        conn.commit()
        return self
