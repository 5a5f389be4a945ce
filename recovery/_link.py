"""Connections of our own that outlive failures: deadlines, backoff, replacement."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, TypeVar

import psycopg

from recovery import calls
from recovery._connect import Target, connect
from recovery.errors import ConnectionFailed

__all__ = ["Link", "backoff", "clock", "deadline", "sever"]

T = TypeVar("T")

if hasattr(time, "CLOCK_BOOTTIME"):

    def clock() -> float:
        """Seconds that never go backwards and go on while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

else:  # pragma: no cover

    def clock() -> float:
        """Seconds that never go backwards and go on while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_MONOTONIC)


def sever(conn: psycopg.Connection[Any]) -> None:
    """Ends a connection under a thread that waits for it; that thread gets an error."""
    with contextlib.suppress(OSError, psycopg.Error):
        with socket.socket(fileno=os.dup(conn.fileno())) as link:
            link.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def deadline(conn: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Severs the connection if the block takes longer: a dead link answers never."""
    timer = threading.Timer(seconds, sever, (conn,))
    timer.daemon = True
    timer.name = "recovery-deadline"
    with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def backoff(failures: int, limit: float = 5.0) -> float:
    """Seconds to wait before the next attempt: none after the first failure, then growing."""
    if failures < 2:
        return 0.0
    return min(limit, 0.1 * 2.0 ** min(failures - 2, 10)) * random.uniform(0.5, 1.0)


class Link:
    """One connection of our own, opened when needed, replaced when lost or after a fork."""

    def __init__(self, target: Target, role: str, name: str) -> None:
        self._target, self._role, self._name = target, role, name
        self._lock = threading.Lock()
        self._conn: psycopg.Connection[Any] | None = None
        self._pid = 0

    def run(self, call: calls.Call[T], timeout: float = 600.0) -> T:
        """Executes a call; once more on a new connection if an old one proves dead.

        Args:
            call: one that may be repeated.
            timeout: in seconds; after that the connection counts as lost.

        Raises:
            RecoveryError: what `calls.run` and `connect` raise.
        """
        if self._pid != os.getpid():
            # After a fork the connection is the parent's, not even to be closed here;
            # a thread of the parent may have held the lock.
            self._conn, self._lock, self._pid = None, threading.Lock(), os.getpid()
        with self._lock:
            while True:
                fresh = self._conn is None or self._conn.closed
                if self._conn is None or fresh:
                    self._conn = connect(self._target, self._role, self._name)
                try:
                    with deadline(self._conn, timeout):
                        return calls.run(self._conn, call)
                except ConnectionFailed:
                    self._drop()
                    if fresh:
                        raise

    def sever(self) -> None:
        """Ends what another thread waits for."""
        conn = self._conn
        if conn is not None and self._pid == os.getpid():
            sever(conn)

    def __del__(self) -> None:
        # Of a server that is forgotten without a shutdown.
        if self._conn is not None and self._pid == os.getpid():
            self._conn.close()

    def close(self) -> None:
        """Closes the connection, if there is one of this process."""
        if self._pid == os.getpid():
            with self._lock:
                self._drop()

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()
