"""The heartbeat and the sweep of a server.

Threads, for sync and async applications alike: a blocked event loop or an
exhausted pool must not make a healthy process look dead.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from recovery import calls
from recovery.database.link import Link, backoff, clock
from recovery.errors import InvalidArgument, RecoveryError
from recovery.fence.epoch import REFUSED
from recovery.server.server import Server
from recovery.server.unowned import warn_unowned
from recovery.work.host import report_processes

__all__ = ["Keeper"]

_log = logging.getLogger(__name__)

#: Executes a call over another connection than the keeper's, within seconds.
Aside: TypeAlias = Callable[[calls.Call[Any], float], Any]

#: Seconds that a sweep may hold the connection, before the others' calls get a turn.
_BUDGET = 1.0


class Keeper:
    """Keeps a server alive and its neighbours clean, in daemon threads.

    One beats and sweeps, over the connection that the whole process shares: a sweep that
    closes very many rows is done in turns, with beats between them. One watches the
    clock: a heartbeat that waits for a dead link can't tell that the lease has lapsed. It
    also beats, over another connection, while something holds up the shared one (a
    trigger of the host that takes its time in a closing).

    One process sweeps for all (`recovery.claim_sweep`); others look at the processes of
    their own host, and take over when it is gone.

    Args:
        server: of this process.
        heartbeat: seconds between heartbeats; by default the grace or the sweeps', whichever
            is longer, within a sixth and a third of the lease.
        sweep: seconds between sweeps, ± 20 %; None for no sweeps.
        aside: where the second one beats; by default over a connection opened for it.

    Attributes:
        failures: the server's: heartbeats and sweeps that failed and were tried again.

    Raises:
        InvalidArgument: an interval is not positive, or heartbeats would come too
            rarely for the lease (RC010).
    """

    def __init__(
        self,
        server: Server,
        *,
        heartbeat: float | None = None,
        sweep: float | None = 5.0,
        aside: Aside | None = None,
    ) -> None:
        lease = server.lease.total_seconds()
        grace = server.grace.total_seconds()
        self._beat_every = check_intervals(lease, grace, heartbeat, sweep)
        self._patience = max(self._beat_every, 2.0)
        self._sweep_every = sweep
        self.server = server
        self.failures = server.failures
        self._link = server._link
        # Whoever beats over that connection takes the lock, too: it may be a new one.
        server._epoch.every = self._beat_every
        self._stop = threading.Event()
        self._aside = aside or self._beside
        self._threads = [
            threading.Thread(target=target, name=f"recovery-{role}", daemon=True)
            for role, target in (("keeper", self._keep), ("guard", self._guard))
        ]

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()
        self.server._canceller.start()

    def stop(self, timeout: float = 5.0, *, close: bool = True) -> None:
        """Stops them; what they still wait for is cut off after `timeout` seconds.

        Args:
            close: the connection as well. Else a shutdown goes over it: until then its lock
                says that this process lives.
        """
        self._stop.set()
        if not self.server._epoch.here:  # a fork has neither these threads nor this connection
            return
        end = time.monotonic() + timeout
        waited_for = [*self._threads, *self.server._canceller.stop()]
        for thread in waited_for:
            thread.join(max(0.0, end - time.monotonic()))
        if any(thread.is_alive() for thread in waited_for):
            self._link.sever()
            for thread in waited_for:
                thread.join(1.0)
        if close and not any(thread.is_alive() for thread in waited_for):
            self._link.close()

    def _guard(self) -> None:
        lease = self.server.lease.total_seconds()
        helper: threading.Thread | None = None
        while not self._stop.wait(min(max(self.server.remaining, 0.1), self._beat_every / 2)):
            late = self.server.remaining < lease - 1.5 * self._beat_every
            if late and self._link.busy and (helper is None or not helper.is_alive()):
                helper = threading.Thread(target=self._help, name="recovery-helper", daemon=True)
                helper.start()
            if self.server.remaining <= 0:
                self.server._epoch.notice()

    def _help(self) -> None:
        try:
            self.server._beat(lambda call: self._aside(call, self._patience))
        except RecoveryError as error:  # what is refused, `on_fenced` tells
            _log.info("no heartbeat of %s beside the one that waits: %s", self.server.name, error)

    def _beside(self, call: calls.Call[Any], timeout: float) -> Any:
        spare = Link(self.server._target, "keeper", self.server.name, self.server.epoch)
        try:
            return spare.run(call, timeout)
        finally:
            spare.close()

    def _keep(self) -> None:
        # At once: from then on the connection itself is a sign of life.
        beat = _Duty("heartbeat", self._beat, self._beat_every)
        duties = [beat]
        if self._sweep_every is not None:  # servers that start together spread out
            first = self._sweep_every * random.random()
            duties.append(_Duty("sweep", self._turn, self._sweep_every, first))
        while True:
            due = min(duties, key=lambda duty: duty.at)
            if self._link.wait(self._stop, due.at - clock()):
                return
            if clock() < due.at:  # the connection is lost
                due = beat
            try:
                due.do()
            except REFUSED as error:  # a zombie judges nobody
                self.server._epoch.give_up(error)
                return
            except Exception as error:
                due.failed += 1
                due.at = clock() + backoff(due.failed, due.every)
                self._complain(due.what, error)

    def _beat(self) -> float:
        self.server.heartbeat(self._patience)
        return self._beat_every

    def _turn(self) -> float:
        """Sweeps if it is this process that does, for a moment; seconds until the next turn."""
        server, run = self.server, self._link.run
        assert self._sweep_every is not None
        wait, look = run(
            calls.closing.claim_sweep(
                server.epoch, server.token, timedelta(seconds=self._sweep_every)
            )
        )
        dead = report_processes(run, server.host) if look else 0
        usual = self._sweep_every * random.uniform(0.8, 1.2)
        if wait > 0 and not dead:
            self._reap(look)
            return min(wait * random.uniform(1.0, 1.1), usual)
        report = server.sweep(budget=_BUDGET)
        self._reap(True)
        warn_unowned(server, report)
        if report.closed or report.ended or report.asked:
            _log.info("sweep by %s: ended %s, %s", server.name, report.ended, report)
        if report.more:
            return 0.005  # for those who wait for the connection
        # When silence would convict the next one there is a look of its own.
        return usual if report.due is None else min(usual, max(report.due, 0.05) + 0.02)

    def _reap(self, look: bool) -> None:
        if look and self.server._reaper is not None:
            self.server._reaper.look(self._link.run, self.server.host)

    def _complain(self, what: str, error: Exception) -> None:
        self.failures[what] += 1
        known = isinstance(error, RecoveryError)
        _log.warning(
            "%s of %s failed, will be repeated: %s",
            *(what, self.server.name, error),
            exc_info=not known,
        )


class _Duty:
    """What a keeper does again and again; `act` says after how many seconds."""

    def __init__(self, what: str, act: Callable[[], float], every: float, first: float = 0) -> None:
        self.what, self.every = what, every
        self.at = clock() + first
        self.failed = 0
        self._act = act

    def do(self) -> None:
        self.at = clock() + self._act()
        self.failed = 0


def check_intervals(
    lease: float, grace: float, heartbeat: float | None, sweep: float | None
) -> float:
    """The heartbeat's interval in seconds; raises InvalidArgument as `Keeper` says."""
    # A lost connection convicts once a beat was due: beats further apart than the grace would
    # delay that. So would beats closer together than sweeps: see the first look in
    # recovery._observe_servers.
    usual = min(lease / 3, max(grace, lease / 6, sweep or lease))
    every = usual if heartbeat is None else heartbeat
    if not 0 < every <= lease / 2:
        raise InvalidArgument(
            f"heartbeat every {every:g} s: with a lease of {lease:g} s give more than 0"
            f" and at most {lease / 2:g} s"
        )
    if sweep is not None and not 0 < sweep <= 86400 * 365:
        raise InvalidArgument(f"sweep every {sweep:g} s: give more than 0 s, or None")
    return every
