"""The heartbeat and the sweep of a server.

Threads, for sync and async applications alike: a blocked event loop or an
exhausted pool must not make a healthy process look dead.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from functools import partial

from recovery._link import Link, backoff
from recovery._unowned import warn_unowned
from recovery.errors import InvalidArgument, RecoveryError
from recovery.processes import report_dead
from recovery.server import REFUSED, Server

__all__ = ["Keeper"]

_log = logging.getLogger(__name__)


class Keeper:
    """Keeps a server alive and its neighbours clean, in daemon threads.

    One sends heartbeats, one sweeps, each over its own connection, because a sweep
    that closes very many rows may last longer than a lease. One watches the clock:
    a heartbeat that waits for a dead link can't tell that the lease has lapsed.

    Args:
        server: of this process.
        heartbeat: seconds between heartbeats; by default a third of the lease.
        sweep: seconds between sweeps, ± 20 %; None for no sweeps.

    Attributes:
        failures: the server's: heartbeats and sweeps that failed and were tried again.

    Raises:
        InvalidArgument: an interval is not positive, or heartbeats would come too
            rarely for the lease (RC010).
    """

    def __init__(
        self, server: Server, *, heartbeat: float | None = None, sweep: float | None = 5.0
    ) -> None:
        lease = server.lease.total_seconds()
        self._beat_every = check_intervals(lease, heartbeat, sweep)
        self._patience = max(self._beat_every, 2.0)
        self._sweep_every = sweep
        self._hurry = max(0.25, server.grace.total_seconds()) + 0.05
        self.server = server
        self.failures = server.failures
        self._stop = threading.Event()
        self._links = {
            role: Link(server.target, role, server.name, server.epoch)
            for role in ("keeper", "sweeper")
        }
        work = {"keeper": self._beat, "sweeper": self._sweep, "guard": self._guard}
        if sweep is None:
            del work["sweeper"]
        self._threads = {
            role: threading.Thread(target=target, name=f"recovery-{role}", daemon=True)
            for role, target in work.items()
        }

    def start(self) -> None:
        """Starts the threads."""
        for thread in self._threads.values():
            thread.start()
        self.server.watchdog.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stops them; what they still wait for is cut off after `timeout` seconds."""
        self._stop.set()
        if not self.server.here:  # a fork has neither these threads nor these connections
            return
        end = time.monotonic() + timeout
        self.server.watchdog.stop(timeout)
        for role, thread in self._threads.items():
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive() and role in self._links:
                self._links[role].sever()
                thread.join(1.0)
            if not thread.is_alive() and role in self._links:
                self._links[role].close()

    def _guard(self) -> None:
        while not self._stop.wait(max(self.server.remaining, 0.1)):
            self.server.notice()

    def _beat(self) -> None:
        failed = 0
        link = self._links["keeper"]
        wait = 0.0  # at once: from then on the connection itself is a sign of life
        while not link.wait(self._stop, wait):
            try:
                send = partial(link.run, timeout=self._patience)
                self.server.beat(send, every=self._beat_every)
            except REFUSED:
                return
            except Exception as error:
                failed += 1
                self.failures["heartbeat"] += 1
                _complain("heartbeat", self.server, error)
                wait = backoff(failed, self._beat_every)
            else:
                failed, wait = 0, self._beat_every

    def _sweep(self) -> None:
        failed = 0
        assert self._sweep_every is not None
        wait = self._sweep_every * random.random()  # servers that start together spread out
        while not self._stop.wait(wait):
            try:
                link = self._links["sweeper"]
                report_dead(link.run, self.server.host)
                report = self.server.sweep(link=link)
                if self.server.reaper is not None:
                    self.server.reaper.look(link.run, self.server.host)
            except REFUSED:
                return  # told by `on_fenced`; a zombie judges nobody
            except Exception as error:
                failed += 1
                self.failures["sweep"] += 1
                _complain("sweep", self.server, error)
                wait = backoff(failed, self._sweep_every)
            else:
                failed, wait = 0, self._sweep_every * random.uniform(0.8, 1.2)
                warn_unowned(self.server, report)
                if report.suspected:
                    wait = min(wait, self._hurry)
                if report.closed or report.ended or report.asked:
                    _log.info("sweep by %s: ended %s, %s", self.server.name, report.ended, report)


def check_intervals(lease: float, heartbeat: float | None, sweep: float | None) -> float:
    """The heartbeat's interval in seconds; raises InvalidArgument as `Keeper` says."""
    every = lease / 3 if heartbeat is None else heartbeat
    if not 0 < every <= lease / 2:
        raise InvalidArgument(
            f"heartbeat every {every:g} s: with a lease of {lease:g} s give more than 0"
            f" and at most {lease / 2:g} s"
        )
    if sweep is not None and not 0 < sweep <= 86400 * 365:
        raise InvalidArgument(f"sweep every {sweep:g} s: give more than 0 s, or None")
    return every


def _complain(what: str, server: Server, error: Exception) -> None:
    known = isinstance(error, RecoveryError)
    _log.warning(
        "%s of %s failed, will be repeated: %s", what, server.name, error, exc_info=not known
    )
