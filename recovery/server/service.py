"""`serve`: everything that runs beside an application, and its orderly end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeAlias

from recovery import calls
from recovery.calls import seconds
from recovery.calls.settings import Value
from recovery.database.connect import Target
from recovery.database.threads import in_thread
from recovery.errors import ConnectionFailed, InvalidArgument, RecoveryError
from recovery.events.listener import Listener, run_between
from recovery.fence.epoch import REFUSED
from recovery.fence.exit import exit_code
from recovery.server.boot import boot
from recovery.server.keeper import Keeper, check_intervals
from recovery.server.server import Server
from recovery.types import Binding, Policy

if TYPE_CHECKING:
    from recovery.webhooks.dispatcher import Dispatcher

__all__ = ["Heir", "Service", "serve"]

_log = logging.getLogger(__name__)

#: Attempts to say that the own process is dead.
_TRIES = 20

#: For the sweep that ends it; the shutdown that follows closes the rest.
_BUDGET = timedelta(seconds=1)

#: Who takes the open work over at the end: a server, an epoch, or what says so then.
Heir: TypeAlias = Server | int | Callable[[], Server | int | None] | None


class Service:
    """A served process, as `serve` describes; enter it with ``with`` or ``async with``."""

    def __init__(
        self,
        target: Target,
        name: str,
        *,
        heartbeat: float | None = None,
        sweep: float | None = 5.0,
        listen: bool = True,
        poll: float = 1.0,
        webhooks: bool = False,
        bind: Binding | None = "session",
        heir: Heir = None,
        signals: bool = False,
        exit_on_fenced: bool | int = False,
        direct: Target = None,
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
    ) -> None:
        self._heartbeat = check_intervals(
            seconds(lease, "lease").total_seconds(),
            seconds(grace, "grace").total_seconds(),
            heartbeat,
            sweep,
        )
        self._target, self._name = target, name
        self._boot = partial(
            boot,
            target,
            name,
            beat=self._heartbeat,
            direct=direct,
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
        )
        self._sweep = sweep
        self._listen, self._poll = listen, poll
        self._dispatcher = _dispatcher(target if direct is None else direct) if webhooks else None
        self._bind = bind
        self._heir = heir
        self._signals = signals
        self._exit_code = exit_code(exit_on_fenced)
        self._restore: list[tuple[int, Any]] = []
        self._entered = False
        self._server: Server | None = None
        self._keeper: Keeper | None = None
        self._listener: Listener | None = None

    def __enter__(self) -> Server:
        if self._signals:
            self._install()
        try:
            return self._open()
        except BaseException:
            self._uninstall()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self._close()
        finally:
            self._uninstall()

    async def __aenter__(self) -> Server:
        if self._signals:
            self._install()
        try:
            return await in_thread(self._open)
        except BaseException:
            try:
                await in_thread(self._close)  # cancelled, after it has booted
            finally:
                self._uninstall()
            raise

    async def __aexit__(self, *_: object) -> None:
        try:
            await in_thread(self._close)
        finally:
            self._uninstall()

    def end(self, *, dead: bool = False) -> None:
        """Leaves the block, for who has none.

        Args:
            dead: what did the work has crashed, and this process only tells: what it owned
                closes with reason ``process_dead``, not ``shutdown``.
        """
        try:
            if dead and self._server is not None and self._keeper is not None:
                self._keeper.stop(close=False)  # its next heartbeat would be refused
                _die(self._server)
        except RecoveryError as error:
            _log.warning("nobody was told that %s has crashed: %s", self._name, error)
        finally:
            self._close()
            self._uninstall()

    def _open(self) -> Server:
        if self._entered:
            raise InvalidArgument("serve() can be entered once; call it again for another boot")
        self._entered = True
        self._server = server = self._boot()
        server._epoch.exit_code = self._exit_code
        try:
            if self._bind is not None and _is_engine(self._target):
                server.bind(self._target, self._bind)  # type: ignore[arg-type]
            if self._listen:
                self._listener = Listener(
                    server._target,
                    bus=server.bus,
                    name=self._name,
                    epoch=server.epoch,
                    poll=self._poll,
                    hold=False,
                )
            self._keeper = Keeper(
                server,
                heartbeat=self._heartbeat,
                sweep=self._sweep,
                aside=None if self._listener is None else partial(run_between, self._listener),
            )
            self._keeper.start()
            if self._listener is not None:
                self._listener.start()
            if self._dispatcher is not None:
                self._dispatcher.start()
        except BaseException:
            self._close()
            raise
        return server

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is None or not server._epoch.here:  # a fork must not end its parent's epoch
            return
        if self._keeper is not None:
            self._keeper.stop(close=False)
        try:
            server.shutdown(self._heir() if callable(self._heir) else self._heir)
        except REFUSED as error:
            _log.warning("server %s had ended before its shutdown: %s", server.name, error)
        except ConnectionFailed as error:
            _log.warning("shutdown of %s failed, a sweep will finish it: %s", server.name, error)
        finally:
            if self._dispatcher is not None:
                self._dispatcher.stop()
            if self._listener is not None:
                self._listener.stop()
            server.bus.close()

    def _install(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise InvalidArgument("signals=True needs the main thread")
        for number in (signal.SIGTERM, signal.SIGINT):
            # A handler of the application stays: it ends the `with` block its own way.
            # Python's own for SIGINT does that, too. What would kill at once is replaced.
            if signal.getsignal(number) == signal.SIG_DFL:
                self._restore.append((number, signal.signal(number, _leave)))

    def _uninstall(self) -> None:
        while self._restore:
            number, earlier = self._restore.pop()
            if signal.getsignal(number) is _leave:
                signal.signal(number, earlier)


def _die(server: Server) -> None:
    """Says of the process of a server that it is dead, as a sweeper beside it would."""
    run, me = server._link.run, os.getpid()
    own = [one for one in run(calls.process.local_processes(server.host)) if one[0] == me]
    seen = [(pid, start, False) for pid, start in own]
    for _ in range(_TRIES):  # a sweep may hold the row for a moment
        if not seen or run(calls.process.report_processes(server.host, seen)):
            break
        time.sleep(0.05)
    run(calls.closing.sweep(server.name, budget=_BUDGET))


def _leave(number: int, frame: FrameType | None) -> None:
    """Leaves all `with` blocks; the exit status is the one of a process that was killed."""
    raise SystemExit(128 + number)


def _dispatcher(target: Target) -> Dispatcher:
    from recovery.webhooks.dispatcher import Dispatcher  # it takes a while, and few need it

    return Dispatcher(target)


def _is_engine(target: Any) -> bool:
    sa = sys.modules.get("sqlalchemy")
    return sa is not None and isinstance(getattr(target, "sync_engine", target), sa.Engine)


def serve(
    target: Target,
    name: str,
    *,
    heartbeat: float | None = None,
    sweep: float | None = 5.0,
    listen: bool = True,
    poll: float = 1.0,
    webhooks: bool = False,
    bind: Binding | None = "session",
    heir: Heir = None,
    signals: bool = False,
    exit_on_fenced: bool | int = False,
    direct: Target = None,
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
) -> Service:
    """Boots, keeps the heartbeat and the sweep going, listens; at the end shuts down.

        with recovery.serve(engine, name="api-1") as server:
            ...

    At the end of the block, what this process still owns is closed with reason
    ``shutdown``, or handed over to an heir. ``async with`` works as well.

    Args:
        target: the database, in any form that `recovery.Target` lists. A SQLAlchemy
            engine is bound as well (`Server.bind`).
        name: of the server.
        heartbeat: seconds between heartbeats; by default the grace or the sweeps', whichever
            is longer, within a sixth and a third of the lease.
        sweep: seconds between sweeps, 5 by default; None for none.
        listen: feed `Server.bus` (default).
        poll: seconds between reads when nothing wakes the listener, 1 by default.
        webhooks: send what all webhooks of the database have to get (`recovery.webhooks`),
            beside whoever else does; at the end what is under way is finished.
        bind: ``session`` (default), ``transaction`` (PgBouncer) or None.
        heir: who takes the open work over at the end: a server, an epoch, or a
            function that says so then.
        signals: leave the block on SIGTERM and SIGINT where they would kill the
            process at once (main thread only). Handlers of the application stay.
        exit_on_fenced: end the process once it is fenced and the callbacks of `on_fenced`
            have returned: True with exit code 70, a number with that one. At once, without
            clean-up; only logs and output are flushed. An outage of the database that is
            longer than the lease fences, too.
        direct: where PostgreSQL is without the pooler that `target` goes through: the
            keeper and the listener go there. Through a pooler in transaction mode alone
            there is neither a lock nor LISTEN: the lease and polling do it, and the log
            warns once.
        lease, grace, policy, wait, version, host, batch, lock_wait, reap_processes, settings:
            as of `boot`.

    Raises:
        As `boot`; InvalidArgument for intervals that do not fit the lease, or no
        exit code (RC010).
    """
    return Service(
        target,
        name,
        heartbeat=heartbeat,
        sweep=sweep,
        listen=listen,
        poll=poll,
        webhooks=webhooks,
        bind=bind,
        heir=heir,
        signals=signals,
        exit_on_fenced=exit_on_fenced,
        direct=direct,
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
    )


def _after_fork() -> None:
    # The child may still hold the handler: it must not end what the parent serves.
    if signal.getsignal(signal.SIGTERM) is _leave:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


os.register_at_fork(after_in_child=_after_fork)
