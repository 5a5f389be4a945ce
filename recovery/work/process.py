"""TrackedProcess processes: what a server started, so that it can be stopped after its death."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Self

from recovery import calls
from recovery.database.threads import Block, in_thread
from recovery.errors import RecoveryError
from recovery.fence.epoch import Epoch
from recovery.types import Scope
from recovery.work.host import ProcessLike, started
from recovery.work.reaping import reap

__all__ = ["TrackedProcess"]

_log = logging.getLogger(__name__)


class TrackedProcess(Block):
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
        epoch: Epoch,
        watch: str,
        key: object,
        process: ProcessLike,
        *,
        scope: Scope = "row",
    ) -> None:
        self._epoch, self._watch, self._key, self._scope = epoch, watch, str(key), scope
        self._link = epoch.link
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
                calls.process.track(
                    self._epoch.number,
                    self._epoch.token,
                    self._watch,
                    self._key,
                    self._scope,
                    self._epoch.host,
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
            self._link.run(calls.process.untrack(number), timeout=10.0)
        except RecoveryError as error:
            _log.warning("process %s stays registered: %s", self.pid, error)
        if self._epoch.fenced:  # nobody else will close it
            self._link.close()

    def reap(self, *, grace: float = 5.0) -> bool:
        """Stops the process with its group, see `recovery.work.reaping.reap`.

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
