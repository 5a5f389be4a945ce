"""The boot of a server."""

from __future__ import annotations

import asyncio
import logging
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil

from recovery import calls
from recovery._connect import Target, check_schema, connect
from recovery.server import Server

__all__ = ["aboot", "boot"]

_log = logging.getLogger(__name__)


def boot(
    target: Target,
    name: str,
    *,
    lease: float | timedelta = 15.0,
    version: str | None = None,
    host: str | None = None,
    batch: int = 2000,
    lock_wait: float | timedelta = 2.0,
) -> Server:
    """Boots: takes a new epoch and closes what earlier boots of this name left open.

    Who boots has to send heartbeats: `serve` does so by itself, otherwise call
    `Server.heartbeat` at least once in `lease`.

    Args:
        target: the database, in any form that `recovery.Target` lists.
        name: of the server; stable over restarts, so that a restart finds its own work.
        lease: seconds without a heartbeat until others may take this process for dead.
        version: of the application, for people.
        host: by default the host's name.
        batch: rows closed per transaction.
        lock_wait: seconds to wait for a lock that a zombie holds; the sweep takes the rest.

    Raises:
        ConnectionFailed: the database can't be reached.
        SchemaMismatch: the schema is missing, older or newer (RC009).
        InvalidName: the name is empty or too long (RC004).
        NameTaken: the same name has been booting for 30 s (RC005).
        InvalidArgument: lease, batch or lock_wait out of range (RC010).
        PermissionDenied: the role is not a member of recovery_server (42501).
    """
    span = calls.seconds(lease, "lease")
    me = psutil.Process()
    call = calls.boot(
        name,
        lease=span,
        host=host or socket.gethostname(),
        pid=me.pid,
        process_start=datetime.fromtimestamp(me.create_time(), UTC),
        version=version,
        batch=batch,
        lock_wait=calls.seconds(lock_wait, "lock_wait"),
    )
    with connect(target, "boot", name) as conn:
        check_schema(conn)
        server = Server(target, name, calls.run(conn, call), span)
        # Closing may have taken longer than the lease: know at once whether it still holds.
        server.beat(lambda heartbeat: calls.run(conn, heartbeat))
    _log.info("server %s booted with epoch %s: %s", name, server.epoch, server.report)
    return server


async def aboot(target: Target, name: str, **options: Any) -> Server:
    """`boot` without blocking the event loop."""
    return await asyncio.to_thread(boot, target, name, **options)
