"""Waiting for what other sessions do, without sleeping a fixed time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psutil
import psycopg

T = TypeVar("T")


def wait_for(
    predicate: Callable[[], T],
    timeout: float = 10.0,
    *,
    interval: float = 0.01,
    what: str = "",
) -> T:
    """Call `predicate` until its result is true, and return it.

    Raises:
        TimeoutError: it is still false after `timeout` seconds; names `what`.
    """
    deadline = time.monotonic() + timeout
    while not (result := predicate()):
        if time.monotonic() > deadline:
            subject = what or getattr(predicate, "__name__", repr(predicate))
            raise TimeoutError(f"{subject}: still {result!r} after {timeout} s")
        time.sleep(interval)
    return result


def children(pid: int, command: str) -> list[psutil.Process]:
    """The children whose command line has `command`; one that ends meanwhile is left out."""
    found = []
    for child in psutil.Process(pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if command in " ".join(child.cmdline()):
                found.append(child)
    return found


def wait_for_lock(conn: psycopg.Connection[Any], pid: int, timeout: float = 10.0) -> str:
    """Wait until backend `pid` waits for a heavyweight lock; returns its kind, e.g. ``advisory``.

    `conn` must be in autocommit: in a transaction pg_stat_activity stands still.
    """

    def event() -> str | None:
        row = conn.execute(
            "select wait_event from pg_stat_activity where pid = %s and wait_event_type = 'Lock'",
            [pid],
        ).fetchone()
        return None if row is None else row[0]

    return str(wait_for(event, timeout, what=f"backend {pid} waits for a lock"))


def blocked_pids(conn: psycopg.Connection[Any]) -> dict[int, list[int]]:
    """The backends of this database that wait for a lock, each with those that block it."""
    rows = conn.execute(
        """
        select pid, pg_blocking_pids(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'
        """
    ).fetchall()
    return dict(rows)
