"""A server: a process that owns work, after its boot."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import psycopg

from recovery import calls
from recovery.database.connect import Target
from recovery.database.link import Link
from recovery.errors import InvalidArgument, RecoveryError
from recovery.events.bus import Bus
from recovery.fence.epoch import Epoch
from recovery.hooks import psycopg as pools
from recovery.hooks import sqlalchemy as engines
from recovery.types import Binding, Report, Scope
from recovery.work.cancelling import C, Canceller
from recovery.work.fuse import Extender, Fuse
from recovery.work.host import ProcessLike, host_id
from recovery.work.process import TrackedProcess
from recovery.work.reaping import Reaper

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Server"]

_log = logging.getLogger(__name__)


class Server:
    """One boot of a server. Made by `boot`, `aboot` or `serve`.

    Attributes:
        name: the server's name.
        epoch: of this boot, the fencing token; grows with every boot.
        token: proves that the epoch is ours.
        lease: how long a heartbeat lasts.
        grace: how long the loss of the keeper's connection is only a suspicion.
        host: where the pid of this process means something.
        report: what the boot closed.
        bus: the events, if `serve` listens.
        failures: heartbeats and sweeps of the keeper that failed and were tried again.
    """

    def __init__(
        self,
        target: Target,
        name: str,
        booted: calls.server.Booted,
        lease: timedelta,
        *,
        grace: timedelta = timedelta(seconds=3),
        host: str | None = None,
        direct: bool = True,
    ) -> None:
        self.name = name
        self.epoch = booted.epoch
        self.token: UUID = booted.token
        self.report = booted.report
        self.lease = lease
        self.grace = min(grace, lease)
        self.host = host or host_id()
        self.bus = Bus()
        self.failures = {"heartbeat": 0, "sweep": 0}
        # What follows is for our own: `boot`, `serve` and `Keeper`.
        self._target = target
        self._link = Link(target, "keeper", name, self.epoch)
        self._epoch = Epoch(
            self.epoch,
            self.token,
            name=name,
            host=self.host,
            lease=lease,
            link=self._link,
            direct=direct,
        )
        self._reaper: Reaper | None = None  # None: what ended servers left goes on
        self._extender = Extender(self._link)
        self._canceller = Canceller(self._epoch, self.bus)
        if self.report.adopted:  # with what an older epoch started
            self._canceller.engage()

    def __repr__(self) -> str:
        return f"<Server {self.name!r} epoch {self.epoch}{' fenced' if self.fenced else ''}>"

    @property
    def remaining(self) -> float:
        """Seconds that the lease still holds, by a clock that goes on during sleep."""
        return self._epoch.remaining

    @property
    def fenced(self) -> bool:
        """Whether this process must stop its work.

        True for ever once a heartbeat was refused; true while no heartbeat was
        answered for a whole lease, since others may have declared us dead.
        """
        return self._epoch.fenced

    def check(self) -> None:
        """Raises if this process is fenced; asks nobody.

        Raises:
            EpochEnded, EpochUnknown, TokenMismatch: as the heartbeat was refused.
            LeaseLapsed: no heartbeat was answered for a whole lease.
        """
        self._epoch.check()

    def on_fenced(self, callback: Callable[[RecoveryError], object]) -> None:
        """Calls back, in the keeper's thread, when this process has to stop its work.

        The argument says why: EpochEnded, EpochUnknown or TokenMismatch (for ever),
        or LeaseLapsed (until a heartbeat is answered again; then `fenced` is False).
        """
        self._epoch.on_fenced(callback)

    def on_cancel(self, callback: C) -> C:
        """Calls back when work of this server is to stop; also a decorator.

            @server.on_cancel
            def stop(cancel: recovery.Cancel) -> None:
                tasks[cancel.key].cancel()

        The work is overdue (`recovery.settings`), or an operator has closed it. The
        callbacks run one after the other, in a thread for each `Cancel`; a coroutine
        function runs in the event loop in which it was registered, else in one of its own.
        Then the processes of the work on this host (`Server.process`) are stopped with
        their groups, and the stop is acknowledged: what is open still closes at once. If
        a callback raises, or has not returned by the deadline, nothing is acknowledged:
        the deadline closes the work, and late results of it raise `WorkRevoked` (RC013).

        A request is read when the bus delivers it, else at the next heartbeat, and
        handled once. What operators close is only on the bus (``listen=True``).
        Without callbacks only processes are stopped; without either, nothing is read.
        """
        self._canceller.add(callback)
        return callback

    def touch(self, watch: str, key: object, scope: Scope = "row") -> None:
        """Says that work is moving though its rows do not show it: streamed text, a quiet tool.

        Call it for every token if you like: it never blocks (so it needs no async twin),
        and touches of a second are written together. What can't be written is logged and
        repeated. Does nothing in a fork of this process.

        Args:
            watch: name of the watch, such as ``public.job``. One that does not exist is
                an error in the log.
            key: of the row or group (session), as events show it.
            scope: ``row`` or ``group``.

        Raises:
            InvalidArgument: there is no such scope (RC010).
        """
        self._canceller.touch(watch, key, scope)

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
        return self._beat(lambda call: self._link.run(call, timeout), every=self._epoch.every)

    async def aheartbeat(self, timeout: float = 10.0) -> datetime:
        """`heartbeat`, not blocking the event loop."""
        return await asyncio.to_thread(self.heartbeat, timeout)

    def sweep(self, *, budget: float | None = None) -> Report:
        """Ends dead servers and closes the orphans of every ended epoch, anyone's.

        Renews the own lease first: after an outage it may look lapsed like the others'.

        Args:
            budget: seconds after which to stop, between two batches: `Report.more` says
                that something is left.

        Raises:
            EpochEnded, EpochUnknown, TokenMismatch: as `heartbeat`; nothing was swept.
            ConnectionFailed: nothing is half done; the next sweep goes on.
        """
        self._beat(self._link.run, every=self._epoch.every)
        span = None if budget is None else timedelta(seconds=budget)
        return self._link.run(calls.closing.sweep(self.name, budget=span))

    async def asweep(self, *, budget: float | None = None) -> Report:
        """`sweep` without blocking the event loop."""
        return await asyncio.to_thread(self.sweep, budget=budget)

    def drain(self, limit: float | timedelta = 600.0) -> datetime:
        """Opens no new work from now on; what this process owns stays its own.

        A new boot of the same name does not supersede it meanwhile. Look at
        `open_rows`, and shut down when it is 0.

        Args:
            limit: seconds; what is still open then is closed as that of a dead server.

        Returns:
            Until when, by the database's clock.

        Raises:
            EpochEnded, EpochUnknown, TokenMismatch: as `heartbeat`.
            InvalidArgument: the limit is not above 0 and up to 7 days (RC010).
        """
        return self._link.run(
            calls.server.drain(self.epoch, self.token, calls.seconds(limit, "limit"))
        )

    async def adrain(self, limit: float | timedelta = 600.0) -> datetime:
        """`drain`, not blocking the event loop."""
        return await asyncio.to_thread(self.drain, limit)

    def open_rows(self) -> int:
        """How many open rows this process owns."""
        return self._link.run(calls.server.open_rows(self.epoch))

    async def aopen_rows(self) -> int:
        """`open_rows`, not blocking the event loop."""
        return await asyncio.to_thread(self.open_rows)

    def fuse(
        self,
        watch: str,
        key: object,
        process: ProcessLike,
        *,
        ttl: float | timedelta = 60.0,
        scope: Scope = "row",
        host: str | None = None,
    ) -> Fuse:
        """A lease on one unit of work that another process does: ``with server.fuse(…):``.

        While it burns and the process lives, the work is kept, even if this server
        dies: the next boot of its name adopts it. A unit may have several fuses: it is
        kept while any burns. One burns out after its ttl without an extension, watched by
        sweeps all the while: not while the database stands still or the machine sleeps.

        Args:
            watch: name of the watch, such as ``public.job``.
            key: of the row, or of the group (session), as events show it.
            process: subprocess.Popen, asyncio.subprocess.Process, or a pid.
            ttl: seconds that it burns without being extended; the block extends it.
            scope: ``row`` or ``group``.
            host: where the process runs, by default here. Of another host's process
                nothing is known but what a sweeper there reports (servers that were
                booted with that host): it counts as alive until the fuse burns out.
        """
        return Fuse(
            self._epoch, self._extender, watch, key, process, ttl=ttl, scope=scope, host=host
        )

    def process(
        self,
        watch: str,
        key: object,
        process: ProcessLike,
        *,
        scope: Scope = "row",
    ) -> TrackedProcess:
        """A process on this host that does a unit of work: ``with server.process(…) as tool:``.

        While the block lasts it is registered. If this server dies, the process would go
        on for nobody: the next boot or sweep on this host stops it, with its whole process
        group, unless the work has found another owner or an active fuse guards it.
        A cancel of the work stops it (`on_cancel`); ``tool.reap()`` stops it now.

        Start the tool with ``start_new_session=True``, so that it leads a process group;
        otherwise nothing but the process itself can be stopped.

        Args:
            watch: name of the watch, such as ``public.job``.
            key: of the row, or of the group (session), as events show it.
            process: subprocess.Popen, asyncio.subprocess.Process, or a pid.
            scope: ``row`` or ``group``.
        """
        self._canceller.engage()
        return TrackedProcess(self._epoch, watch, key, process, scope=scope)

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
            report = self._link.run(calls.server.shutdown(self.epoch, self.token, epoch), timeout)
        finally:
            self._link.close()
        self._epoch.end()
        _log.info("server %s shut down epoch %s: %s", self.name, self.epoch, report)
        return report

    async def ashutdown(self, heir: Server | int | None = None, timeout: float = 30.0) -> Report:
        """`shutdown` without blocking the event loop."""
        return await asyncio.to_thread(self.shutdown, heir, timeout)

    def assert_live(self, conn: calls.Connection) -> None:
        """Asks the database, inside the caller's transaction, before a side effect.

        Until that transaction ends, this epoch can't be ended under it.

        Raises:
            EpochEnded, EpochUnknown: RC001, RC002.
        """
        calls.run(conn, calls.server.assert_live(self.epoch))

    async def aassert_live(self, conn: calls.AnyAsyncConnection) -> None:
        """`assert_live` on an async connection."""
        await calls.arun(conn, calls.server.assert_live(self.epoch))

    def bind(self, engine: sa.Engine | AsyncEngine, per: Binding = "session") -> None:
        """Gives every connection of an engine this epoch, now and later.

        A later boot that binds the same engine takes over. Once this process is fenced,
        transactions are refused here, as `check` says, before they begin. Those that
        only read (execution option ``postgresql_readonly=True``) go on; so does what goes
        round SQLAlchemy (``raw_connection``), which only the database's fence refuses.

        Args:
            engine: of SQLAlchemy, sync or async.
            per: ``session`` sets it once for a connection; ``transaction`` at the
                beginning of each transaction, as PgBouncer's transaction mode needs
                (where a session's setting would leak to other clients). If such a
                pooler shows itself, ``session`` becomes ``transaction``.
                ``session`` also writes ``#<epoch>`` after the application_name (or
                after the server's name), so that an eviction finds idle connections.

        Raises:
            InvalidArgument: there is no such way (RC010).
        """
        if per not in ("session", "transaction"):
            raise InvalidArgument(f"per {per!r}: it is 'session' or 'transaction'")
        engines.bind(engine, self._epoch, per)

    def configure(self, conn: psycopg.Connection[Any]) -> None:
        """For psycopg_pool: ``ConnectionPool(…, configure=server.configure)``.

        Gives the connection this epoch, and its application_name the mark, as `bind`
        does. Once this process is fenced, its cursors raise as `check` says, and send
        nothing; where ``conn.read_only`` is True they go on. Through a pooler in
        transaction mode each transaction says the epoch, in a statement of its own, and
        nothing is prepared; a statement in autocommit mode says none (the log warns once).
        """
        pools.configure(conn, self._epoch)

    async def aconfigure(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """For psycopg_pool: ``AsyncConnectionPool(…, configure=server.aconfigure)``."""
        await pools.aconfigure(conn, self._epoch)

    def _beat(
        self, send: Callable[[calls.Call[datetime]], datetime], *, every: float | None = None
    ) -> datetime:
        """`heartbeat` over a connection of the caller's: with `every` (seconds) a keeper's own."""
        until = self._epoch.beat(send, every=every)
        self._canceller.look()
        return until
