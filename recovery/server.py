"""A server: a process that owns work, after its boot."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import psycopg

from recovery import _binding, _cursors, calls
from recovery._connect import Target
from recovery._exit import leave
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
from recovery.fuse import Extender, Fuse
from recovery.processes import ProcessLike, host_id
from recovery.reaping import Reaper
from recovery.tracked import Tracked
from recovery.watchdog import Supervised, Watchdog

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Server"]

_log = logging.getLogger(__name__)

#: A heartbeat that is refused so is refused for ever.
REFUSED = (EpochEnded, EpochUnknown, TokenMismatch)


class Server(Supervised):
    """One boot of a server. Made by `boot`, `aboot` or `serve`.

    Attributes:
        name: the server's name.
        epoch: of this boot, the fencing token; grows with every boot.
        token: proves that the epoch is ours.
        lease: how long a heartbeat lasts.
        grace: how long the loss of the keeper's connection is only a suspicion.
        host: where the pid of this process means something.
        reaper: stops what ended servers left running on this host; None if it does not.
        report: what the boot closed.
        exit_code: with which this process ends once it is fenced, after the callbacks;
            None if it does not.
        bus: the events, if `serve` listens.
        extender: keeps the fuses of this process burning.
        failures: heartbeats and sweeps of the keeper that failed and were tried again.
        link: the connection that all of ours in this process share, but for the listener.
        every: seconds between the heartbeats of its keeper; None: it has none.
        direct: whether that connection ends at PostgreSQL: a pooler's says nothing of us.
    """

    def __init__(
        self,
        target: Target,
        name: str,
        booted: calls.Booted,
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
        self.exit_code: int | None = None
        self.reaper: Reaper | None = None
        self.failures = {"heartbeat": 0, "sweep": 0}
        self.target = target
        self.direct = direct
        self.every: float | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._until = 0.0
        self._refusal: RecoveryError | None = None
        self._told: type[RecoveryError] | None = None
        self._left = False
        self._callbacks: list[Callable[[RecoveryError], object]] = []
        self.link = Link(target, "keeper", name, self.epoch)
        self.extender = Extender(self.link)
        self.watchdog = Watchdog(self.link, name, self.epoch, self.token, self.host, self.bus)
        if self.report.adopted:  # with what an older epoch started
            self.watchdog.engage()

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
        return self._why() is not None

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
        error = self._why()
        if error is not None:
            raise type(error)(error.message, hint=error.hint)

    def refuse(self) -> None:
        """`check`, as bound engines and pools ask it before they write.

        Says nothing after an orderly shutdown (what the application still does then is
        not a zombie's; the database goes on refusing work of the epoch), nor in a fork
        of this process, which hears no heartbeats.

        Raises:
            As `check`.
        """
        if not self.here:
            _warn_of_fork(self.name, self.epoch, self._pid)
        elif not self._left:
            self.check()

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
        return self.beat(lambda call: self.link.run(call, timeout), every=self.every)

    def beat(
        self, send: Callable[[calls.Call[datetime]], datetime], *, every: float | None = None
    ) -> datetime:
        """`heartbeat` over a connection of the caller's: with `every` (seconds) a keeper's own."""
        asked = clock()  # the lease begins no later than this
        try:
            if every is None:
                until = send(calls.heartbeat(self.epoch, self.token))
            else:
                span = timedelta(seconds=every)
                until = send(calls.keep(self.epoch, self.token, span, self.direct))
        except REFUSED as error:
            self.give_up(error)
            raise
        with self._lock:
            self._until = max(self._until, asked + self.lease.total_seconds())
            if self._until > clock():  # an answer from before a long pause lifts nothing
                self._told = None
        self.watchdog.look()
        return until

    def give_up(self, error: RecoveryError) -> None:
        """This epoch was refused, by a heartbeat or by what else only a live one may: for ever."""
        # A copy: the traceback would hold on to this server.
        self._refusal = type(error)(error.message, detail=error.detail, hint=error.hint)
        self.link.close()
        self.notice()

    async def aheartbeat(self) -> datetime:
        """`heartbeat`, not blocking the event loop."""
        return await asyncio.to_thread(self.heartbeat)

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
        self.beat(self.link.run, every=self.every)
        span = None if budget is None else timedelta(seconds=budget)
        return self.link.run(calls.sweep(self.name, budget=span))

    async def asweep(self) -> Report:
        """`sweep` without blocking the event loop."""
        return await asyncio.to_thread(self.sweep)

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
        return self.link.run(calls.drain(self.epoch, self.token, calls.seconds(limit, "limit")))

    async def adrain(self, limit: float | timedelta = 600.0) -> datetime:
        """`drain`, not blocking the event loop."""
        return await asyncio.to_thread(self.drain, limit)

    def open_rows(self) -> int:
        """How many open rows this process owns."""
        return self.link.run(calls.open_rows(self.epoch))

    def fuse(
        self,
        watch: str,
        key: object,
        process: ProcessLike,
        *,
        ttl: float | timedelta = 60.0,
        scope: Literal["row", "group"] = "row",
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
        return Fuse(self, watch, key, process, ttl=ttl, scope=scope, host=host)

    def process(
        self,
        watch: str,
        key: object,
        process: ProcessLike,
        *,
        scope: Literal["row", "group"] = "row",
    ) -> Tracked:
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
        self.watchdog.engage()
        return Tracked(self, watch, key, process, scope=scope, link=self.link)

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
            report = self.link.run(calls.shutdown(self.epoch, self.token, epoch), timeout)
        finally:
            self.link.close()
        self._refusal = self._refusal or EpochEnded(
            f"epoch {self.epoch} of server {self.name!r} was shut down by this process"
        )
        self._told = EpochEnded  # nobody needs to be told
        self._left = True
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

        A later boot that binds the same engine takes over. Once this process is fenced,
        transactions are refused here, as `check` says, before they begin. Those that
        only read (execution option ``postgresql_readonly=True``) go on; so does what goes
        round SQLAlchemy (``raw_connection``), which only the database's fence refuses.

        Args:
            engine: of SQLAlchemy, sync or async.
            scope: ``session`` sets it once for a connection; ``transaction`` at the
                beginning of each transaction, as PgBouncer's transaction mode needs
                (where a session's setting would leak to other clients). If such a
                pooler shows itself, ``session`` becomes ``transaction``.
                ``session`` also writes ``#<epoch>`` after the application_name (or
                after the server's name), so that an eviction finds idle connections.

        Raises:
            InvalidArgument: there is no such scope (RC010).
        """
        if scope not in ("session", "transaction"):
            raise InvalidArgument(f"scope {scope!r}: it is 'session' or 'transaction'")
        _binding.bind(engine, self, scope)

    def configure(self, conn: psycopg.Connection[Any]) -> None:
        """For psycopg_pool: ``ConnectionPool(…, configure=server.configure)``.

        Gives the connection this epoch, and its application_name the mark, as `bind`
        does. Once this process is fenced, its cursors raise as `check` says, and send
        nothing; where ``conn.read_only`` is True they go on. Through a pooler in
        transaction mode each transaction says the epoch, in a statement of its own, and
        nothing is prepared; a statement in autocommit mode says none (the log warns once).
        """
        _cursors.configure(conn, self)

    async def aconfigure(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """For psycopg_pool: ``AsyncConnectionPool(…, configure=server.aconfigure)``."""
        await _cursors.aconfigure(conn, self)

    def notice(self) -> None:
        """Tells the callbacks, once for each reason, if this process is fenced."""
        error = self._why()
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
        if self.exit_code is not None:
            leave(self.exit_code)

    def _why(self) -> RecoveryError | None:
        if self._refusal is not None or self.remaining > 0:
            return self._refusal
        return LeaseLapsed(
            f"server {self.name!r} (epoch {self.epoch}) had no answer to a heartbeat"
            f" for its lease of {self.lease.total_seconds():g} s"
        )


@functools.cache
def _warn_of_fork(name: str, epoch: int, pid: int) -> None:
    _log.warning(
        "process %s is a fork of the one (%s) that serves %s: what it writes belongs to epoch %s"
        " and stays open if this process alone dies. Call serve() after the fork, or guard the work"
        " by Server.fuse with this process",
        *(os.getpid(), pid, name, epoch),
    )
