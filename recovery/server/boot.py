"""The boot of a server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import psutil

from recovery import calls
from recovery.calls.settings import Value
from recovery.database.connect import Target, check_schema, connect
from recovery.database.pooler import is_shared, warn
from recovery.server.server import Server
from recovery.settings import prepare
from recovery.types import Policy
from recovery.work.host import host_id, report_processes
from recovery.work.reaping import Reaper

__all__ = ["aboot", "boot"]

_log = logging.getLogger(__name__)


def boot(
    target: Target,
    name: str,
    *,
    lease: float | timedelta = 15.0,
    grace: float | timedelta = 3.0,
    policy: Policy = "supersede",
    wait: float | timedelta = 30.0,
    version: str | None = None,
    host: str | None = None,
    batch: int = 10_000,
    lock_wait: float | timedelta = 2.0,
    reap_processes: bool = True,
    settings: Mapping[str, Value] | None = None,
    direct: Target = None,
    beat: float | None = None,
) -> Server:
    """Boots: takes a new epoch and closes what earlier boots of this name left open.

    Who boots has to send heartbeats: `serve` does so by itself, otherwise call
    `Server.heartbeat` at least once in `lease`. Without a keeper (`serve` has one) the
    next boot of the name ends this one, alive or not.

    Args:
        target: the database, in any form that `recovery.Target` lists.
        name: of the server; stable over restarts, so that a restart finds its own work.
        lease: seconds without a heartbeat until others may take this process for dead.
        grace: seconds without a heartbeat once the keeper's connection is lost; at most
            the lease.
        policy: what to do with those who hold the name. ``supersede``: end them, except who
            is shown to be alive; those go on beside this one (workers of one server, a
            reload, replicas). On this host their process shows it, elsewhere the
            connection of their keeper with a heartbeat within the lease, through a pooler
            the lease alone. ``replace``: end them all. ``wait`` until there is none whose
            lease holds, or ``refuse``. One that drains holds nothing.
        wait: seconds to wait at most, with that policy.
        version: of the application, for people.
        host: by default what `recovery.work.host.host_id` says: sweepers with the same
            host look whether this process lives.
        batch: rows closed per transaction; from 10 000 on up to four times as many while one
            takes less than 0.25 s.
        lock_wait: seconds to wait for a lock that a zombie holds; the sweep takes the rest.
        reap_processes: stop what ended servers left running on this host (`Server.process`),
            now and after each sweep of a keeper, in a thread: SIGTERM, 5 s, SIGKILL.
        settings: of the watchdog (`recovery.settings`), set for everything right after the
            boot: name -> value with its unit; None removes one. By default what the
            environment says: RECOVERY_TOOL_TIMEOUT, RECOVERY_TASK_TIMEOUT,
            RECOVERY_IDLE_TIMEOUT, RECOVERY_WALL_TIMEOUT, RECOVERY_PROPAGATION_GRACE,
            RECOVERY_CANCEL_GRACE, RECOVERY_IDLE_ROOTS,
            RECOVERY_UNOWNED_EXPECTED, RECOVERY_EVENT_RETENTION,
            RECOVERY_HISTORY_RETENTION, RECOVERY_DROP_UNREAD; one that is absent or empty changes
            nothing. A bad one is refused before anything happens.
        direct: where PostgreSQL is without the pooler that `target` goes through, for our
            own connections.
        beat: seconds between the heartbeats of the `Keeper` that is to follow (`serve` says
            it): its connection is then the one that boots, so two that boot in the same
            moment see each other. None: there is no keeper yet.

    Raises:
        ConnectionFailed: the database can't be reached.
        SchemaMismatch: the schema is missing, older or newer (RC009).
        InvalidName: the name is empty or too long (RC004).
        NameTaken: a live server holds the name (policies wait and refuse), or the same
            name has been booting for 30 s (RC005).
        InvalidArgument: lease, grace, policy, batch or lock_wait out of range, or a setting
            that can't be (RC010).
        PermissionDenied: the role is not a member of recovery_server (42501).
    """
    own = target if direct is None else direct
    span = calls.seconds(lease, "lease")
    me = psutil.Process()
    call = calls.server.boot(
        name,
        lease=span,
        grace=min(calls.seconds(grace, "grace"), span),
        policy=policy,
        wait=calls.seconds(wait, "wait"),
        host=host or host_id(),
        pid=me.pid,
        process_start=datetime.fromtimestamp(me.create_time(), UTC),
        version=version,
        batch=batch,
        lock_wait=calls.seconds(lock_wait, "lock_wait"),
        beat=None if beat is None else timedelta(seconds=beat),
    )
    conn = connect(own, "boot", name)
    try:
        check_schema(conn)
        if pooled := is_shared(conn):
            warn()
        set_all = prepare(conn, settings)
        report_processes(partial(calls.run, conn), call.params["host"])
        server = Server(
            own,
            name,
            calls.run(conn, replace(call, params={**call.params, "direct": not pooled})),
            span,
            grace=call.params["grace"],
            host=call.params["host"],
            direct=not pooled,
        )
        set_all()
        # Closing may have taken longer than the lease: know at once whether it still holds.
        server._beat(partial(calls.run, conn))
        if reap_processes:
            server._reaper = Reaper(server._link)
            server._reaper.begin(partial(calls.run, conn), server.host)
        if beat is not None:
            server._link.adopt(conn)
    except BaseException:
        conn.close()
        raise
    if beat is None:
        conn.close()
    _log.info("server %s booted with epoch %s: %s", name, server.epoch, server.report)
    return server


async def aboot(
    target: Target,
    name: str,
    *,
    lease: float | timedelta = 15.0,
    grace: float | timedelta = 3.0,
    policy: Policy = "supersede",
    wait: float | timedelta = 30.0,
    version: str | None = None,
    host: str | None = None,
    batch: int = 10_000,
    lock_wait: float | timedelta = 2.0,
    reap_processes: bool = True,
    settings: Mapping[str, Value] | None = None,
    direct: Target = None,
    beat: float | None = None,
) -> Server:
    """`boot` without blocking the event loop."""
    return await asyncio.to_thread(
        boot,
        target,
        name,
        lease=lease,
        grace=grace,
        policy=policy,
        wait=wait,
        version=version,
        host=host,
        batch=batch,
        lock_wait=lock_wait,
        reap_processes=reap_processes,
        settings=settings,
        direct=direct,
        beat=beat,
    )
