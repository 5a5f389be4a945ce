"""Fuses: a lease on one unit of work, kept burning while its process lives."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Self

from recovery import calls
from recovery._link import backoff
from recovery._threads import Block
from recovery.errors import FuseOut, RecoveryError
from recovery.processes import ProcessLike, alive, started

if TYPE_CHECKING:
    from recovery.server import Server

__all__ = ["Fuse"]

_log = logging.getLogger(__name__)


class Fuse(Block):
    """A fuse on a row or a group (session), as a ``with`` or ``async with`` block.

    Made by `Server.fuse`. Lit on entering, extended every third of its ttl while
    the process lives, cancelled on leaving. If this process dies, the fuse burns
    on: the next boot of the server adopts the work as long as it burns and the
    process lives. There is no fixed end.

    Attributes:
        id: number of the fuse; None before it is lit.
        burning: False once the process is gone or the database says it is out.
    """

    def __init__(
        self,
        server: Server,
        watch: str,
        key: object,
        process: ProcessLike,
        *,
        ttl: float | timedelta = 60.0,
        scope: Literal["row", "group"] = "row",
        host: str | None = None,
    ) -> None:
        self._server, self._watch, self._scope = server, watch, scope
        self._key = calls.key(key, "fuse")
        self._pid = process if isinstance(process, int) else process.pid
        self._host = host or server.host  # where this server's sweeper looks for processes
        self._near = self._host == server.host
        self._start: datetime | None = started(self._pid) if self._near else None
        self._ttl = calls.seconds(ttl, "ttl")
        self._link = server.link
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._extend, name="recovery-fuse", daemon=True)
        self.id: int | None = None
        self.burning = False

    def light(self) -> Self:
        """Lights it, and keeps it burning until `cancel`.

        Raises:
            WatchUnknown: nothing is watched by that name (RC008).
            InvalidArgument: ttl or scope is out of range (RC010).
        """
        self.id = self._link.run(
            calls.light(
                self._watch,
                self._key,
                self._ttl,
                self._host,
                self._pid,
                self._start,
                self._scope,
            )
        )
        self.burning = True
        self._thread.start()
        return self

    def cancel(self) -> None:
        """Puts it out: the work has stopped. Harmless when it is out already."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.burning = False
        if self.id is not None:
            try:
                self._link.run(calls.cancel(self.id), timeout=10.0)
            except RecoveryError as error:
                _log.warning("fuse %s is left to burn out: %s", self.id, error)

    def _enter(self) -> Self:
        return self.light()

    def _leave(self) -> None:
        self.cancel()

    def _extend(self) -> None:
        every = self._ttl.total_seconds() / 3
        wait, failed = every, 0
        while not self._stop.wait(wait):
            # Checked each time: a fuse must not outlive its process by more than its ttl.
            if self._near and not alive(self._pid, self._start):
                self.burning = False
                return
            assert self.id is not None
            try:
                self._link.run(calls.extend(self.id), timeout=max(every, 2.0))
            except FuseOut as error:
                self.burning = False
                _log.warning("%s", error)
                return
            except Exception as error:
                failed += 1
                wait = backoff(failed, every)
                _log.warning("fuse %s was not extended, will be tried again: %s", self.id, error)
            else:
                wait, failed = every, 0
