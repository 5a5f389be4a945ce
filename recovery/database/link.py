"""Connections of our own that outlive failures: deadlines, backoff, replacement."""

from __future__ import annotations

import os
import random
import select
import threading
import time
import weakref
from functools import partial
from typing import Any, TypeVar

import psycopg

from recovery import calls
from recovery.database.connect import Target, connect, relabel
from recovery.database.deadline import deadline, sever
from recovery.errors import ConnectionFailed

__all__ = ["Link", "backoff", "clock"]

T = TypeVar("T")

if hasattr(time, "CLOCK_BOOTTIME"):

    def clock() -> float:
        """Seconds that never go backwards and go on while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:  # pragma: no cover

    def clock() -> float:
        """Seconds that never go backwards and go on while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_MONOTONIC)


def backoff(failures: int, limit: float = 5.0) -> float:
    """Seconds to wait before the next attempt: none after the first failure, then growing."""
    if failures < 2:
        return 0.0
    return min(limit, 0.1 * 2.0 ** min(failures - 2, 10)) * random.uniform(0.5, 1.0)


def _lost(conn: psycopg.Connection[Any]) -> bool:
    """Whether the other side has closed an idle connection, without asking it."""
    try:
        if select.select([conn.fileno()], [], [], 0)[0]:
            conn.pgconn.consume_input()
    except (OSError, ValueError, psycopg.Error):
        return True
    return conn.closed


def _close(conn: psycopg.Connection[Any], pid: int) -> None:
    if pid == os.getpid():
        conn.close()


class Link:
    """One connection of our own, opened when needed, replaced when lost or after a fork.

    Threads share it: their calls go one after the other.
    """

    def __init__(self, target: Target, role: str, name: str, epoch: int | None = None) -> None:
        self._open = partial(connect, target, role, name, epoch)
        self._label = partial(relabel, role=role, name=name, epoch=epoch)
        self._lock = threading.Lock()
        self._conn: psycopg.Connection[Any] | None = None
        self._closer: weakref.finalize[..., Link] | None = None
        self._pid = 0

    def adopt(self, conn: psycopg.Connection[Any]) -> None:
        """Takes over a connection that `connect` has opened: the first one of this link."""
        self._own_process()
        with self._lock:
            self._label(conn)
            self._hold(conn)

    def run(self, call: calls.Call[T], timeout: float = 600.0) -> T:
        """Executes a call; once more on a new connection if an old one proves dead.

        Args:
            call: one that may be repeated.
            timeout: in seconds, for the answer; after that the connection counts as lost.
                As long again until other threads' calls are through.

        Raises:
            RecoveryError: what `calls.run` and `connect` raise.
        """
        self._own_process()
        if not self._lock.acquire(timeout=timeout):
            raise ConnectionFailed(f"the connection was busy for {timeout:g} s")
        try:
            while True:
                fresh = self._conn is None or self._conn.closed
                conn = self._hold(self._open()) if fresh else self._conn
                assert conn is not None
                try:
                    with deadline(conn, timeout):
                        return calls.run(conn, call)
                except ConnectionFailed:
                    self._drop()
                    if fresh:
                        raise
        finally:
            self._lock.release()

    @property
    def busy(self) -> bool:
        """Whether a call is being executed over a connection that is there."""
        return self._lock.locked() and self._conn is not None

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Waits like ``stop.wait(seconds)``, but only until the connection is lost."""
        end = clock() + seconds
        while (left := end - clock()) > 0:
            if stop.wait(min(left, 0.2)):
                return True
            if self._lock.acquire(blocking=False):
                try:
                    if self._conn is not None and self._pid == os.getpid() and _lost(self._conn):
                        break
                finally:
                    self._lock.release()
        return stop.is_set()

    def sever(self) -> None:
        """Ends what another thread waits for."""
        conn = self._conn
        if conn is not None and self._pid == os.getpid():
            sever(conn)

    def close(self) -> None:
        """Closes the connection, if there is one of this process."""
        if self._pid == os.getpid():
            with self._lock:
                self._drop()

    def _own_process(self) -> None:
        if self._pid != os.getpid():
            # After a fork the connection is the parent's, not even to be closed here;
            # a thread of the parent may have held the lock.
            self._conn, self._lock, self._pid = None, threading.Lock(), os.getpid()

    def _hold(self, conn: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
        self._conn = conn
        # For an owner that is forgotten without a shutdown.
        self._closer = weakref.finalize(self, _close, conn, self._pid)
        self._closer.atexit = False
        return conn

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()
        if self._closer is not None:
            self._closer.detach()
