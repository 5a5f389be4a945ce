"""Statements of which each is a transaction of its own, executed one by one: nobody waits long.

What is left to do the database says (`recovery.attach_steps` and its like), and says it anew
after each. So whoever was interrupted goes on where it stands.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any, TypeAlias

import psycopg

from recovery import calls
from recovery.errors import NotAutocommit, RecoveryError, TableBusy

__all__ = ["LOCK_TIMEOUT", "PATIENCE", "Progress", "acheck", "atake", "check", "take"]

#: Number of the step, how many there are, what it does, how much of it is done (0 or 1).
Progress: TypeAlias = Callable[[int, int, str, float], None]
#: How long a step waits for a lock, while others wait behind it.
LOCK_TIMEOUT = "50ms"
#: Seconds for which one step is tried again.
PATIENCE = 60.0

_Work: TypeAlias = Generator["calls.Call[Any] | float", Any, None]
#: Somebody else had the lock, or wanted what we had.
_BUSY = {"55P03", "40P01"}
_PAUSES = 0.05, 1.0


def take(
    conn: calls.Connection,
    table: str,
    steps: calls.Call[list[calls.watch.Step]],
    *,
    patience: float | timedelta,
    progress: Progress | None,
) -> None:
    """Takes steps until none is left; on a connection in autocommit.

    Raises:
        NotAutocommit: the connection begins transactions (2D000).
        TableBusy: others held a lock for longer than `patience`.
    """
    check(conn)
    work = _work(table, steps, patience, progress)
    try:
        todo = next(work)
        while True:
            try:
                answer = None
                if isinstance(todo, float):
                    time.sleep(todo)
                else:
                    answer = calls.run(conn, todo)
            except Exception as error:
                todo = work.throw(error)
            else:
                todo = work.send(answer)
    except StopIteration:
        pass


async def atake(
    conn: calls.AnyAsyncConnection,
    table: str,
    steps: calls.Call[list[calls.watch.Step]],
    *,
    patience: float | timedelta,
    progress: Progress | None,
) -> None:
    """`take` on an async connection."""
    await acheck(conn)
    work = _work(table, steps, patience, progress)
    try:
        todo = next(work)
        while True:
            try:
                answer = None
                if isinstance(todo, float):
                    await asyncio.sleep(todo)
                else:
                    answer = await calls.arun(conn, todo)
            except Exception as error:
                todo = work.throw(error)
            else:
                todo = work.send(answer)
    except StopIteration:
        pass


def _work(
    table: str,
    steps: calls.Call[list[calls.watch.Step]],
    patience: float | timedelta,
    progress: Progress | None,
) -> _Work:
    """What to do next: a call whose answer is sent back, or seconds to sleep."""
    bound = calls.seconds(patience, "patience").total_seconds()
    taken = 0
    again: Counter[str] = Counter()
    pause, deadline = _PAUSES[0], time.monotonic() + bound
    while left := (yield steps):
        step, of = left[0], taken + len(left)
        if again[step.statement] > 3:
            raise RecoveryError(f"{step.what} of {table} leaves nothing behind: {step.statement}")
        if progress is not None:
            progress(taken + 1, of, step.what, 0.0)
        try:
            yield step.call
        except Exception as error:
            if _sqlstate(error) not in _BUSY:
                raise
            if time.monotonic() >= deadline:
                holders = yield calls.watch.lock_holders(table)
                raise TableBusy(
                    f"no lock for {bound:g} s, to {step.what} of {table}",
                    detail=f"Held by {holders}" if holders else None,
                    hint="What was done stays: repeat it, and it goes on",
                ) from error
            # Those who waited behind us go first; and two of us should not meet again.
            yield pause * random.uniform(0.5, 1.5)
            pause = min(pause * 2, _PAUSES[1])
            continue
        if progress is not None:
            progress(taken + 1, of, step.what, 1.0)
        if len(left) == 1:
            return
        taken += 1
        again[step.statement] += 1
        pause, deadline = _PAUSES[0], time.monotonic() + bound


def _sqlstate(error: Exception) -> str | None:
    driver = getattr(error, "orig", None) or error
    code = getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None)
    return None if code is None else str(code)


def check(conn: calls.Connection) -> None:
    """Refuses a connection that begins transactions, before anything is done: 2D000."""
    _check_autocommit(_driver_connection(conn))


async def acheck(conn: calls.AnyAsyncConnection) -> None:
    """`check` on an async connection."""
    _check_autocommit(await _async_driver_connection(conn))


def _driver_connection(conn: calls.Connection) -> Any:
    if isinstance(conn, psycopg.Connection):
        return conn
    connection: Any = conn.connection
    # Of a Session it is the method that gives its Connection.
    return (connection().connection if callable(connection) else connection).dbapi_connection


async def _async_driver_connection(conn: calls.AnyAsyncConnection) -> Any:
    if isinstance(conn, psycopg.AsyncConnection):
        return conn
    found: Any = conn
    if not hasattr(found, "get_raw_connection"):
        found = await found.connection()
    return (await found.get_raw_connection()).dbapi_connection


def _check_autocommit(driver: Any) -> None:
    status = getattr(getattr(driver, "info", None), "transaction_status", None)
    begun = status not in (None, psycopg.pq.TransactionStatus.IDLE)
    if getattr(driver, "autocommit", False) is not True or begun:
        raise NotAutocommit(
            "each step is a transaction of its own",
            hint="use a connection in autocommit mode, outside of a transaction;"
            ' of SQLAlchemy: engine.connect().execution_options(isolation_level="AUTOCOMMIT")',
        )
