"""One boot of a server: whose it is, how long its lease holds, whether it is fenced."""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from recovery import calls
from recovery.database.link import Link, clock
from recovery.errors import (
    EpochEnded,
    EpochUnknown,
    LeaseLapsed,
    RecoveryError,
    TokenMismatch,
)
from recovery.fence.exit import leave

__all__ = ["REFUSED", "Epoch"]

_log = logging.getLogger(__name__)

#: A heartbeat that is refused so is refused for ever.
REFUSED = (EpochEnded, EpochUnknown, TokenMismatch)


class Epoch:
    """What a server is to everything that works for it.

    Attributes:
        number: the fencing token; grows with every boot.
        token: proves that the epoch is ours.
        name: the server's name.
        host: where the pid of this process means something.
        lease: how long a heartbeat lasts.
        link: the connection that all of ours in this process share, but for the listener.
        direct: whether that connection ends at PostgreSQL: a pooler's says nothing of us.
        every: seconds between the heartbeats of its keeper; None: it has none.
        exit_code: with which this process ends once it is fenced, after the callbacks;
            None if it does not.
    """

    def __init__(
        self,
        number: int,
        token: UUID,
        *,
        name: str,
        host: str,
        lease: timedelta,
        link: Link,
        direct: bool = True,
    ) -> None:
        self.number, self.token = number, token
        self.name, self.host = name, host
        self.lease = lease
        self.link = link
        self.direct = direct
        self.every: float | None = None
        self.exit_code: int | None = None
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._until = 0.0
        self._refusal: RecoveryError | None = None
        self._told: type[RecoveryError] | None = None
        self._left = False
        self._callbacks: list[Callable[[RecoveryError], object]] = []

    @property
    def remaining(self) -> float:
        """`Server.remaining`."""
        return self._until - clock()

    @property
    def fenced(self) -> bool:
        """`Server.fenced`."""
        return self._why() is not None

    @property
    def here(self) -> bool:
        """Whether this is the process that booted, and not a fork of it."""
        return os.getpid() == self._pid

    def check(self) -> None:
        """`Server.check`."""
        error = self._why()
        if error is not None:
            raise type(error)(error.message, hint=error.hint)

    def refuse(self) -> None:
        """`check`, as bound engines and pools ask it before they write.

        Says nothing after an orderly shutdown (what the application still does then is
        not a zombie's; the database goes on refusing work of the epoch), nor in a fork
        of this process, which hears no heartbeats.

        Raises:
            As `Server.check`.
        """
        if not self.here:
            _warn_of_fork(self.name, self.number, self._pid)
        elif not self._left:
            self.check()

    def on_fenced(self, callback: Callable[[RecoveryError], object]) -> None:
        """`Server.on_fenced`."""
        self._callbacks.append(callback)

    def beat(
        self, send: Callable[[calls.Call[datetime]], datetime], *, every: float | None = None
    ) -> datetime:
        """A heartbeat over any connection: with `every` (seconds) a keeper's own.

        Raises:
            As `Server.heartbeat`.
        """
        asked = clock()  # the lease begins no later than this
        try:
            if every is None:
                until = send(calls.server.heartbeat(self.number, self.token))
            else:
                span = timedelta(seconds=every)
                until = send(
                    calls.server.keeper_heartbeat(self.number, self.token, span, self.direct)
                )
        except REFUSED as error:
            self.give_up(error)
            raise
        with self._lock:
            self._until = max(self._until, asked + self.lease.total_seconds())
            if self._until > clock():  # an answer from before a long pause lifts nothing
                self._told = None
        return until

    def give_up(self, error: RecoveryError) -> None:
        """It was refused, by a heartbeat or by what else only a live one may: for ever."""
        # A copy: the traceback would hold on to what was going on.
        self._refusal = type(error)(error.message, detail=error.detail, hint=error.hint)
        self.link.close()
        self.notice()

    def end(self) -> None:
        """It was shut down by this process: nobody needs to be told."""
        self._refusal = self._refusal or EpochEnded(
            f"epoch {self.number} of server {self.name!r} was shut down by this process"
        )
        self._told = EpochEnded
        self._left = True

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
            f"server {self.name!r} (epoch {self.number}) had no answer to a heartbeat"
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
