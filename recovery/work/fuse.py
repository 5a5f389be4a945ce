"""Fuses: a lease on one unit of work, kept burning while its process lives."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self
from uuid import uuid4

from recovery import calls
from recovery.database.link import Link, backoff, clock
from recovery.database.threads import Block
from recovery.errors import RecoveryError
from recovery.fence.epoch import Epoch
from recovery.types import Scope
from recovery.work.host import ProcessLike, alive, started

__all__ = ["Extender", "Fuse"]

_log = logging.getLogger(__name__)


class Fuse(Block):
    """A fuse on a row or a group (session), as a ``with`` or ``async with`` block.

    Made by `Server.fuse`. Lit on entering, extended every third of its ttl while
    the process lives, put out on leaving. If this process dies, the fuse burns
    on: the next boot of the server adopts the work as long as it burns and the
    process lives. There is no fixed end. A unit may have several, blocks within
    blocks: it is kept while any burns. A fork of this process neither extends it nor
    puts it out.

    Attributes:
        id: number of the fuse; None before it is lit.
        burning: False once the process is gone or the database says it is out.
    """

    def __init__(
        self,
        epoch: Epoch,
        extender: Extender,
        watch: str,
        key: object,
        process: ProcessLike,
        *,
        ttl: float | timedelta = 60.0,
        scope: Scope = "row",
        host: str | None = None,
    ) -> None:
        self._epoch, self._extender = epoch, extender
        self._watch, self._scope = watch, scope
        self._key = calls.key(key, "fuse")
        self._pid = process if isinstance(process, int) else process.pid
        self._host = host or epoch.host  # where this server's sweeper looks for processes
        self._near = self._host == epoch.host
        self._start: datetime | None = started(self._pid) if self._near else None
        self._ttl = calls.seconds(ttl, "ttl")
        self._link = epoch.link
        self._lit_by = 0
        #: Seconds between two extensions.
        self.every = self._ttl.total_seconds() / 3
        self.id: int | None = None
        self.burning = False

    @property
    def process(self) -> tuple[int, datetime | None] | None:
        """Pid and start of the process, if it can be seen from here."""
        return (self._pid, self._start) if self._near else None

    def light(self) -> Self:
        """Lights it, and keeps it burning until `cancel`.

        Raises:
            WatchUnknown: nothing is watched by that name (RC008).
            InvalidArgument: ttl or scope is out of range (RC010).
        """
        if self._lit_by == os.getpid():
            raise RuntimeError(f"fuse {self.id} is lit: another one needs another block")
        self.id = self._link.run(
            calls.fuse.light(
                self._watch,
                self._key,
                self._ttl,
                self._host,
                self._pid,
                self._start,
                self._scope,
                uuid4(),  # the call may be repeated: one fuse all the same
            )
        )
        self._lit_by = os.getpid()
        self.burning = True
        self._extender.add(self)
        return self

    def cancel(self) -> None:
        """Puts it out: the work has stopped. Harmless when it is out already."""
        self.burning = False
        if self._lit_by != os.getpid() or self.id is None:
            return  # not lit; or it is the parent's, before a fork
        self._lit_by = 0
        self._extender.drop([self])
        try:
            self._link.run(calls.fuse.cancel(self.id), timeout=10.0)
        except RecoveryError as error:
            _log.warning("fuse %s is left to burn out: %s", self.id, error)
        if self._epoch.fenced and not self._extender.busy:
            self._link.close()  # opened anew after the server's shutdown

    def _enter(self) -> Self:
        return self.light()

    def _leave(self) -> None:
        self.cancel()


class Extender:
    """Keeps the fuses of a server burning: one thread, one statement for all that are due.

    There is a thread while there are fuses. Those of one ttl are extended together,
    whenever they were lit, and with them those of another ttl that are nearly due.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._fuses: dict[int, Fuse] = {}
        self._due: dict[float, float] = {}  # for each interval, when (by `clock`)
        self._thread: threading.Thread | None = None

    def _own(self) -> threading.Condition:
        if self._pid != os.getpid():
            self._forget()  # the fuses are the parent's, and a thread of it may have held the lock
        return self._changed

    @property
    def busy(self) -> bool:
        """Whether there are fuses to extend."""
        with self._own():
            return bool(self._fuses)

    def add(self, fuse: Fuse) -> None:
        """Extends it from now on, in time."""
        with self._own():
            assert fuse.id is not None
            self._fuses[fuse.id] = fuse
            if fuse.every not in self._due:
                self._due[fuse.every] = clock() + fuse.every
                self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="recovery-fuses", daemon=True
                )
                self._thread.start()

    def drop(self, fuses: Iterable[Fuse]) -> None:
        """Extends them no more."""
        with self._own():
            for fuse in fuses:
                self._fuses.pop(fuse.id or 0, None)
            if not self._fuses:
                self._changed.notify_all()

    def _run(self) -> None:
        failed = 0
        while due := self._wait():
            begun = clock()
            every = min(fuse.every for fuse in due)
            try:
                self._extend(due, timeout=max(every, 2.0))
            except Exception as error:  # a stall may last: it is for sweeps to say what is out
                failed += 1
                wait = backoff(failed, every)
                next_time = dict.fromkeys((fuse.every for fuse in due), clock() + wait)
                _log.warning("%s fuses were not extended, will be tried again: %s", len(due), error)
            else:
                failed = 0
                next_time = {fuse.every: begun + fuse.every for fuse in due}
            with self._changed:
                self._due.update(next_time)

    def _wait(self) -> list[Fuse]:
        """Those that are due, once some are; none: there are no fuses any more."""
        with self._changed:
            while self._fuses:
                used = {fuse.every for fuse in self._fuses.values()}
                self._due = {every: at for every, at in self._due.items() if every in used}
                now = clock()
                if min(self._due.values()) <= now:
                    ready = {every for every, at in self._due.items() if at - every / 4 <= now}
                    return [fuse for fuse in self._fuses.values() if fuse.every in ready]
                self._changed.wait(min(self._due.values()) - now)
            self._due, self._thread = {}, None
            return []

    def _extend(self, fuses: list[Fuse], timeout: float) -> None:
        # Checked each time: a fuse must not outlive its process by more than its ttl.
        lives = {
            process: alive(*process)
            for process in {f.process for f in fuses}
            if process is not None
        }
        gone = [fuse for fuse in fuses if fuse.process is not None and not lives[fuse.process]]
        self._cancel(gone)
        ids = [fuse.id for fuse in fuses if fuse.burning and fuse.id is not None]
        if ids:
            until = self._link.run(calls.fuse.extend_all(ids), timeout)
            out = [fuse for fuse in fuses if fuse.burning and until.get(fuse.id or 0) is None]
            self._cancel(out)
            for fuse in out:
                _log.warning("fuse %s is out: its work may have been closed", fuse.id)

    def _cancel(self, fuses: list[Fuse]) -> None:
        for fuse in fuses:
            fuse.burning = False
        self.drop(fuses)
