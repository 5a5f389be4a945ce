"""Stops what a server left running: whole process groups, and nobody else's."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeVar

import psutil

from recovery import calls
from recovery.database.link import Link
from recovery.errors import InvalidArgument
from recovery.work.host import alive, is_zombie, started

__all__ = ["Reaper", "reap", "reap_all"]

_log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds that the kernel gets to end what was killed.
_KILL_WAIT = 2.0

#: Seconds between two looks at what is to end, at most.
_POLL = 0.1

#: A process: pid and start time, as the kernel counts it. Nothing else has both.
_Identity = tuple[int, float]


def reap(pid: int, start: datetime, *, grace: float = 5.0) -> bool:
    """Stops a process and its process group: SIGTERM, a grace, SIGKILL.

    Start the tool with ``start_new_session=True``: only the leader of a group can be
    reaped with all that it started. Of any other process nothing but itself is
    signalled. Before each signal pid and start time are compared (2 s of tolerance,
    as in `recovery.work.host.alive`): another process that was given the pid is never
    touched. What the leader started and left behind is killed, too, if the leader was
    there at the first signal. What has made itself a group of its own meanwhile (a
    daemon) is not found. Never signalled: this process, its own group, pid 1.

    Args:
        pid: of the tool, the leader of its process group.
        start: when it started, as `recovery.work.host.started` says.
        grace: seconds between SIGTERM and SIGKILL; 0 kills almost at once.

    Returns:
        Whether nothing of it runs any more. False (and a warning in the log) if it may
        not be signalled (EPERM), or if its group outlived it before the first signal,
        so that nothing proves whose group it is.

    Raises:
        InvalidArgument: the grace is negative (RC010).
    """
    return reap_all([(pid, start)], grace=grace)[0]


def reap_all(processes: Iterable[tuple[int, datetime]], *, grace: float = 5.0) -> list[bool]:
    """`reap` of several at once: they share one grace.

    Raises:
        InvalidArgument: the grace is negative (RC010).
    """
    if not grace >= 0:
        raise InvalidArgument(f"grace {grace:g} s: give 0 s or more")
    victims = [_Victim(pid, start) for pid, start in processes]
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, _KILL_WAIT)):
        for victim in victims:
            victim.signal(number)
        end, pause = time.monotonic() + seconds, 0.01
        # Each is looked at each time: what a group starts meanwhile has to be known.
        while [victim for victim in victims if victim.waits] and time.monotonic() < end:
            time.sleep(pause)
            pause = min(2 * pause, _POLL)
    for victim in victims:
        victim.finish()
    return [victim.gone for victim in victims]


class _Victim:
    """One process, with its group if it leads one."""

    def __init__(self, pid: int, start: datetime) -> None:
        self.pid, self.start = pid, start
        self.gone = False
        self._given_up = False
        self._group = False
        self._known: set[_Identity] = set()  # of the group, while it was proven to be the same
        if pid <= 1 or pid == os.getpid() or pid == os.getpgrp():
            self._give_up("is never signalled")
        elif not self._is_itself():
            self._begin_without()
        else:
            self._begin()

    @property
    def waits(self) -> bool:
        """Whether it was signalled, and something of it still runs."""
        if not (self.gone or self._given_up):
            self.gone = not self._left()
        return not (self.gone or self._given_up)

    def signal(self, number: signal.Signals) -> None:
        """Signals what is left of it, if it is proven to be that."""
        if not self.waits:
            return
        if self._group and not self._is_ours():
            self._give_up("has ended, and nothing proves that the group it left is its own")
            return
        if not self._group and not self._is_itself():
            self.gone = True
            return
        try:
            if self._group:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)
        except ProcessLookupError:
            self.gone = True
        except PermissionError:
            self._give_up(f"may not be signalled ({number.name})")
        else:
            _log.info("process %s (started %s): sent %s", self.pid, self.start, number.name)

    def finish(self) -> None:
        """Complains about what survived SIGKILL."""
        if self.waits:
            self._give_up("or a member of its group goes on after SIGKILL")

    def _begin(self) -> None:
        try:
            self._group = os.getpgid(self.pid) == self.pid
        except ProcessLookupError:
            self._begin_without()
        except PermissionError:
            self._give_up("may not be looked at")
        else:
            if self._group:
                self._known = _members(self.pid)

    def _begin_without(self) -> None:
        """There is no such process, or one that may not be looked at, or a later one."""
        if psutil.pid_exists(self.pid):
            if started(self.pid) is None and alive(self.pid, self.start):
                self._give_up("may not be looked at")
            else:
                self.gone = True  # a pid is given again only when its group is empty
        elif _members(self.pid):
            self._give_up("has ended, and nothing proves that the group it left is its own")
        else:
            self.gone = True

    def _give_up(self, why: str) -> None:
        self._given_up = True
        _log.warning("process %s (started %s) is not reaped: it %s", self.pid, self.start, why)

    def _is_itself(self) -> bool:
        """Whether the pid is that process, running or not yet waited for."""
        return started(self.pid) is not None and (
            alive(self.pid, self.start) or is_zombie(self.pid, self.start)
        )

    def _is_ours(self) -> bool:
        """Whether the group is still the one that its leader led.

        A group's id is given again only once the group is empty. So the members of now
        belong to it if the leader, or one that was known, is among them.
        """
        found = _members(self.pid)
        if not self._is_itself() and not found & self._known:
            return False
        self._known |= found
        return True

    def _left(self) -> bool:
        if not self._group:
            return alive(self.pid, self.start)
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # somebody is there
        found = _members(self.pid)
        if found & self._known:
            self._known |= found
        return bool(found)


def _members(group: int) -> set[_Identity]:
    """The processes of a group that run; zombies do not."""
    found: set[_Identity] = set()
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == group:
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.add((pid, process.create_time()))
        except (OSError, psutil.Error):
            continue  # gone meanwhile
    return found


class Reaper:
    """Reaps what ended servers left on this host, beside everything else.

    Args:
        link: of the server.
        grace: seconds between SIGTERM and SIGKILL.
    """

    def __init__(self, link: Link, *, grace: float = 5.0) -> None:
        self._link = link
        self._grace = grace
        self._thread: threading.Thread | None = None
        self._failed: set[int] = set()  # not tried, and complained of, at every sweep
        self._pruned = False

    @property
    def busy(self) -> bool:
        """Whether it is reaping at this moment."""
        return self._thread is not None and self._thread.is_alive()

    def look(self, run: Callable[[calls.Call[Any]], Any], host: str) -> None:
        """Begins to reap, in a thread, what is left on a host; returns at once.

        What fails is logged: neither a boot nor a sweep fails with it.

        Args:
            run: executes a call.
            host: as the servers of this host booted with.
        """
        if self.busy:
            return
        try:
            if not self._pruned:
                run(calls.process.prune_processes())
                self._pruned = True
            found = run(calls.process.left_processes(host))
        except Exception as error:
            self._complain(error)
        else:
            self._start(self._reap, [one for one in found if one.id not in self._failed])

    def begin(self, run: Callable[[calls.Call[Any]], Any], host: str) -> None:
        """`look` for a boot, which must not wait for a locked table: it asks in the thread, too."""
        try:
            if run(calls.process.may_be_left(host)):
                self._start(self._look_here, host)
        except Exception as error:
            self._complain(error)

    def _start(self, work: Callable[[T], None], argument: T) -> None:
        if argument:
            self._thread = threading.Thread(
                target=work, args=(argument,), name="recovery-reaper", daemon=True
            )
            self._thread.start()

    def _look_here(self, host: str) -> None:
        try:
            found = self._link.run(calls.process.left_processes(host))
        except Exception as error:
            self._complain(error)
        else:
            self._reap(found)

    def _complain(self, error: Exception) -> None:
        _log.warning("nobody knows what ended servers left running here: %s", error)

    def _reap(self, left: list[calls.process.Process]) -> None:
        try:
            for one in left:
                _log.info(
                    "process %s (started %s) of %s %s was left by epoch %s",
                    *(one.pid, one.start, one.scope, one.key, one.epoch),
                )
            gone = reap_all([(one.pid, one.start) for one in left], grace=self._grace)
            for one, ended in zip(left, gone, strict=True):
                if ended:
                    self._link.run(calls.process.untrack(one.id), timeout=10.0)
                else:
                    self._failed.add(one.id)
        except Exception as error:
            _log.warning("reaping was interrupted, a sweep will repeat it: %s", error)
