"""The end of waiting for an answer: a dead link gives none."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg

__all__ = ["deadline", "sever"]

#: Seconds between two looks of the thread that watches, while there is something to watch.
_TICK = 0.2


def sever(conn: psycopg.Connection[Any]) -> None:
    """Ends a connection under a thread that waits for it; that thread gets an error."""
    with contextlib.suppress(OSError, psycopg.Error):
        with socket.socket(fileno=os.dup(conn.fileno())) as link:
            link.shutdown(socket.SHUT_RDWR)


class _Watch:
    """One thread for all deadlines: to start one for each costs more than most answers take.

    It ends when nobody has needed it for a moment.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ends: dict[object, tuple[float, psycopg.Connection[Any]]] = {}
        self._thread: threading.Thread | None = None
        self._used = False

    def add(self, conn: psycopg.Connection[Any], seconds: float) -> object:
        entry = object()
        with self._changed:
            self._ends[entry] = (time.monotonic() + seconds, conn)
            self._used = True
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="recovery-deadline", daemon=True)
                with contextlib.suppress(RuntimeError):  # the interpreter is shutting down
                    thread.start()
                    self._thread = thread
            elif seconds < _TICK:
                self._changed.notify()
        return entry

    def remove(self, entry: object) -> None:
        with self._changed:
            self._ends.pop(entry, None)

    def _run(self) -> None:
        with self._changed:
            while self._ends or self._used:
                self._used = False
                now = time.monotonic()
                for entry, (end, conn) in list(self._ends.items()):
                    if end <= now:
                        del self._ends[entry]
                        sever(conn)
                left = [end - now for end, _ in self._ends.values()]
                self._changed.wait(min([_TICK, *left]))
            self._thread = None


_watch = _Watch()


def _renew() -> None:
    """In a forked child the thread is gone, and the lock as it was at that moment."""
    global _watch
    _watch = _Watch()


os.register_at_fork(after_in_child=_renew)


@contextlib.contextmanager
def deadline(conn: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Severs the connection if the block takes longer: a dead link answers never."""
    watch = _watch
    entry = watch.add(conn, seconds)
    try:
        yield
    finally:
        watch.remove(entry)
