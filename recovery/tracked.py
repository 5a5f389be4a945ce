"""Tracked processes: what a server started, so that it can be stopped after its death."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Self

from recovery import calls
from recovery._link import Link
from recovery._threads import Block, in_thread
from recovery.errors import RecoveryError
from recovery.processes import ProcessLike, started
from recovery.reaping import reap

if TYPE_CHECKING:
    from recovery.server import Server

__all__ = ["Tracked"]

_log = logging.getLogger(__name__)


class Tracked(Block):
    """A process that does a row or a group, as a ``with`` or ``async with`` block.

    Made by `Server.process`. Registered on entering, forgotten on leaving. If this
    server dies, the next boot or sweep on this host stops the process with its group.

    Attributes:
        id: number of the entry; None before it is registered, or if the process was
            gone by then.
        pid: of the process.
        start: when it started; None if it was gone.
    """

    def __init__(
        self,
        server: Server,
        watch: str,
        key: object,
        process: ProcessLike,
        *,
        scope: Literal["row", "group"] = "row",
        link: Link,
    ) -> None:
        self._server, self._watch, self._key, self._scope = server, watch, str(key), scope
        self._link = link
        self.pid = process if isinstance(process, int) else process.pid
        self.start: datetime | None = started(self.pid)
        self.id: int | None = None

    def track(self) -> Self:
        """Registers it. Does nothing if the process had ended before.

        Raises:
            EpochEnded, EpochUnknown, TokenMismatch: the epoch is no longer ours (RC001,
                RC002, RC003): stop the process.
            WatchUnknown: nothing is watched by that name (RC008).
            InvalidArgument: scope, key or pid is out of range (RC010).
        """
        if self.start is not None:
            self.id = self._link.run(
                calls.track(
                    self._server.epoch,
                    self._server.token,
                    self._watch,
                    self._key,
                    self._scope,
                    self._server.host,
                    self.pid,
                    self.start,
                )
            )
        return self

    def untrack(self) -> None:
        """Forgets it: the work has stopped, or goes on without a server."""
        number, self.id = self.id, None
        if number is None:
            return
        try:
            self._link.run(calls.untrack(number), timeout=10.0)
        except RecoveryError as error:
            _log.warning("process %s stays registered: %s", self.pid, error)
        if self._server.fenced:  # nobody else will close it
            self._link.close()

    def reap(self, *, grace: float = 5.0) -> bool:
        """Stops the process with its group, see `recovery.reaping.reap`.

        Args:
            grace: seconds between SIGTERM and SIGKILL.

        Returns:
            Whether nothing of it runs any more.

        Raises:
            InvalidArgument: the grace is negative (RC010).
        """
        return self.start is None or reap(self.pid, self.start, grace=grace)

    async def areap(self, *, grace: float = 5.0) -> bool:
        """`reap` without blocking the event loop."""
        return await in_thread(lambda: self.reap(grace=grace))

    def _enter(self) -> Self:
        return self.track()

    def _leave(self) -> None:
        self.untrack()
