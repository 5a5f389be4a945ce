"""A server: a process that owns work, from its boot to its end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import psutil
import psycopg

from recovery import _binding, calls
from recovery._connect import Target, check_schema, connect
from recovery._link import Link, clock
from recovery._types import Report
from recovery.bus import Bus
from recovery.errors import (
    EpochEnded,
    EpochUnknown,
    InvalidArgument,
    LeaseLapsed,
    RecoveryError,
    TokenMismatch,
)

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Server", "aboot", "boot"]

_log = logging.getLogger(__name__)

#: A heartbeat that is refused so is refused for ever.
REFUSED = (EpochEnded, EpochUnknown, TokenMismatch)


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


class Server:
    """One boot of a server. Made by `boot`, `aboot` or `serve`.

    Attributes:
        name: the server's name.
        epoch: of this boot, the fencing token; grows with every boot.
        token: proves that the epoch is ours.
        lease: how long a heartbeat lasts.
        report: what the boot closed.
        bus: the events, if `serve` listens.
    """

    def __init__(self, target: Target, name: str, booted: calls.Booted, lease: timedelta) -> None:
        self.name = name
        self.epoch = booted.epoch
        self.token: UUID = booted.token
        self.report = booted.report
        self.lease = lease
        self.bus = Bus()
        self.target = target
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._until = 0.0
        self._refusal: RecoveryError | None = None
        self._told: type[RecoveryError] | None = None
        self._callbacks: list[Callable[[RecoveryError], object]] = []
        self._link = Link(target, "server", name)

    def __repr__(self) -> str:
        return f"<Server {self.name!r} epoch {self.epoch}{' fenced' if self.fenced else ''}>"

    @property
    def remaining(self) -> float:
        """Seconds that the lease still holds, by a clock that goes on during sleep."""
        return self._until - clock()

    @property
    def fenced(self) -> bool:
        """Whether this process must stop its work.

        True for ever once a heartbeat was refused; true while no heartbeat was
        answered for a whole lease, since others may have declared us dead.
        """
        return self._refusal is not None or self.remaining <= 0

    @property
    def here(self) -> bool:
        """Whether this is the process that booted, and not a fork of it."""
        return os.getpid() == self._pid

    def check(self) -> None:
        """Raises if this process is fenced; asks nobody.

        Raises:
            EpochEnded, EpochUnknown, TokenMismatch: as the heartbeat was refused.
            LeaseLapsed: no heartbeat was answered for a whole lease.
        """
        if self._refusal is not None:
            raise type(self._refusal)(self._refusal.message, hint=self._refusal.hint)
        if self.remaining <= 0:
            raise self._lapsed()

    def on_fenced(self, callback: Callable[[RecoveryError], object]) -> None:
        """Calls back, in the keeper's thread, when this process has to stop its work.

        The argument says why: EpochEnded, EpochUnknown or TokenMismatch (for ever),
        or LeaseLapsed (until a heartbeat is answered again; then `fenced` is False).
        """
        self._callbacks.append(callback)

    def heartbeat(self, timeout: float = 10.0) -> datetime:
        """Renews the lease; returns until when it holds, by the database's clock.

        Args:
            timeout: seconds to wait for the answer.

        Raises:
            EpochEnded: declared dead or replaced; from now on `fenced` (RC001).
            EpochUnknown: the database does not know the epoch (RC002).
            TokenMismatch: the epoch was issued again after a failover (RC003).
            ConnectionFailed: no answer; the lease goes on running.
        """
        return self.beat(lambda call: self._link.run(call, timeout))

    def beat(self, send: Callable[[calls.Call[datetime]], datetime]) -> datetime:
        """`heartbeat` over a connection of the caller's."""
        asked = clock()  # the lease begins no later than this
        try:
            until = send(calls.heartbeat(self.epoch, self.token))
        except REFUSED as error:
            self._refusal = error
            self.notice()
            raise
        with self._lock:
            self._until = max(self._until, asked + self.lease.total_seconds())
            self._told = None
        return until

    async def aheartbeat(self) -> datetime:
        """`heartbeat` without blocking the event loop."""
        return await asyncio.to_thread(self.heartbeat)

    def sweep(self, *, link: Link | None = None) -> Report:
        """Ends dead servers and closes the orphans of every ended epoch, anyone's.

        Renews the own lease first: after an outage it may look lapsed like the others'.

        Raises:
            EpochEnded, EpochUnknown, TokenMismatch: as `heartbeat`; nothing was swept.
            ConnectionFailed: nothing is half done; the next sweep goes on.
        """
        link = link or self._link
        self.beat(link.run)
        return link.run(calls.sweep(self.name))

    async def asweep(self) -> Report:
        """`sweep` without blocking the event loop."""
        return await asyncio.to_thread(self.sweep)

    def shutdown(self, heir: Server | int | None = None, timeout: float = 30.0) -> Report:
        """Ends this epoch: closes what it still owns, with reason ``shutdown``.

        Args:
            heir: a live server, or its epoch, that takes the open work over instead.
            timeout: seconds to wait; what is not closed by then, a sweep closes.

        Raises:
            EpochEnded: the heir has ended (RC001).
            TokenMismatch, EpochUnknown: the epoch is not ours (RC003, RC002).
            ConnectionFailed: no answer in time.
        """
        epoch = heir.epoch if isinstance(heir, Server) else heir
        try:
            report = self._link.run(calls.shutdown(self.epoch, self.token, epoch), timeout)
        finally:
            self._link.close()
        self._refusal = self._refusal or EpochEnded(
            f"epoch {self.epoch} of server {self.name!r} was shut down by this process"
        )
        self._told = EpochEnded  # no surprise to anybody
        _log.info("server %s shut down epoch %s: %s", self.name, self.epoch, report)
        return report

    async def ashutdown(self, heir: Server | int | None = None) -> Report:
        """`shutdown` without blocking the event loop."""
        return await asyncio.to_thread(self.shutdown, heir)

    def assert_live(self, conn: calls.Connection) -> None:
        """Asks the database, inside the caller's transaction, before a side effect.

        Until that transaction ends, this epoch can't be ended under it.

        Raises:
            EpochEnded, EpochUnknown: RC001, RC002.
        """
        calls.run(conn, calls.assert_live(self.epoch))

    async def aassert_live(self, conn: calls.AnyAsyncConnection) -> None:
        """`assert_live` on an async connection."""
        await calls.arun(conn, calls.assert_live(self.epoch))

    def bind(
        self, engine: sa.Engine | AsyncEngine, scope: Literal["session", "transaction"] = "session"
    ) -> None:
        """Gives every connection of an engine this epoch, now and later.

        A later boot that binds the same engine takes over.

        Args:
            engine: of SQLAlchemy, sync or async.
            scope: ``session`` sets it once for a connection; ``transaction`` at the
                beginning of each transaction, as PgBouncer's transaction mode needs
                (where a session's setting would leak to other clients). If a pooler
                shows itself, ``session`` becomes ``transaction`` with a warning.

        Raises:
            InvalidArgument: there is no such scope (RC010).
        """
        if scope not in ("session", "transaction"):
            raise InvalidArgument(f"scope {scope!r}: it is 'session' or 'transaction'")
        _binding.bind(engine, self.epoch, scope)

    def configure(self, conn: psycopg.Connection[Any]) -> None:
        """For psycopg_pool: ``ConnectionPool(…, configure=server.configure)``."""
        conn.execute(calls.set_epoch(self.epoch, local=False).encode())
        if not conn.autocommit:
            conn.commit()  # a rollback would undo the setting

    async def aconfigure(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """For psycopg_pool: ``AsyncConnectionPool(…, configure=server.aconfigure)``."""
        await conn.execute(calls.set_epoch(self.epoch, local=False).encode())
        if not conn.autocommit:
            await conn.commit()

    def notice(self) -> None:
        """Tells the callbacks, once for each reason, if this process is fenced."""
        error = self._refusal or (self._lapsed() if self.remaining <= 0 else None)
        with self._lock:
            if error is None or self._told is type(error):
                return
            self._told = type(error)
        _log.error("server %s must stop its work: %s", self.name, error)
        for callback in list(self._callbacks):
            try:
                callback(error)
            except Exception:
                _log.exception("on_fenced callback of server %s failed", self.name)

    def _lapsed(self) -> LeaseLapsed:
        return LeaseLapsed(
            f"server {self.name!r} (epoch {self.epoch}) had no answer to a heartbeat"
            f" for its lease of {self.lease.total_seconds():g} s"
        )
