"""The end of waiting for an answer: a dead link gives none."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import psycopg

__all__ = ["deadline", "sever"]


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
