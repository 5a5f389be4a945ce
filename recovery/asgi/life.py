"""What the clients of a process share: one listener, its feeds, two connections for reading."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TypeVar

from recovery import calls
from recovery.asgi.feed import Feed
from recovery.asgi.shapes import Shape
from recovery.database.connect import Target
from recovery.database.link import Link, backoff
from recovery.database.threads import in_thread
from recovery.errors import ConnectionFailed, InvalidArgument
from recovery.events.listener import Listener

__all__ = ["Life", "Shared"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Seconds for an answer of the database.
_TIMEOUT = 30.0


class Life:
    """The listener, its feeds and its connections, in one event loop."""

    def __init__(self, listener: Listener, target: Target) -> None:
        self.loop = asyncio.get_running_loop()
        self.ending = asyncio.Event()  #: all streams have to end
        self._listener = listener
        self._feeds: dict[Shape, Feed] = {}
        self._lookups = Link(target, "sse-rows", "")
        self._replays = Link(target, "sse-replay", "")
        self._one_replay = asyncio.Lock()  # else waiting ones would take all threads
        self._asked = asyncio.Event()
        self._start = self.loop.create_task(self._begin())

    async def _begin(self) -> None:
        """Starts the listener, however long the database is away."""
        failures = 0
        while True:
            try:
                return await in_thread(self._listener.start)
            except ConnectionFailed as error:
                failures += 1
                if failures == 1:
                    _log.warning("the database can't be reached, clients wait: %s", error)
            finally:
                self._asked.set()
            await asyncio.sleep(max(0.2, backoff(failures)))

    @property
    def broken(self) -> bool:
        """Whether it could not start, and will not."""
        return self._start.done() and (
            self._start.cancelled() or self._start.exception() is not None
        )

    async def known(self) -> None:
        """Until the first attempt to start has ended."""
        await self._asked.wait()
        await asyncio.sleep(0)
        if self._start.done():
            self._start.result()

    async def started(self, timeout: float) -> bool:
        """Whether it has started, after so many seconds at most."""
        await asyncio.wait({self._start}, timeout=timeout)
        if self._start.done():
            self._start.result()
        return self._start.done()

    @property
    def timeline(self) -> int:
        """Of the database; the listener must have started."""
        return self._listener.timeline

    @property
    def safe_id(self) -> int:
        """Of the listener, which must have started."""
        return self._listener.safe_id

    def feed(self, shape: Shape) -> Feed:
        """The feed of a shape; the listener must have started."""
        found = self._feeds.get(shape)
        if found is None or found.ended:
            found = self._feeds[shape] = Feed(self._listener, shape, self.look_up)
        return found

    async def look_up(self, call: calls.Call[T]) -> T:
        """Reads rows, however long the database is away."""
        return await self._insist(self._lookups, call)

    async def replay(self, call: calls.Call[T]) -> T:
        """Reads old events, one client after the other."""
        async with self._one_replay:
            return await self._insist(self._replays, call)

    async def _insist(self, link: Link, call: calls.Call[T]) -> T:
        failures = 0
        while True:
            try:
                return await in_thread(lambda: link.run(call, _TIMEOUT))
            except ConnectionFailed as error:
                failures += 1
                if failures == 1:
                    _log.warning("the database can't be reached, clients wait: %s", error)
            await asyncio.sleep(max(0.1, backoff(failures)))

    def abandon(self) -> None:
        """Ends the connections; its event loop is no more, or there is nothing else of it."""
        threading.Thread(target=self._stop, name="recovery-sse-end", daemon=True).start()

    async def close(self) -> None:
        """Tells the streams, and ends all."""
        self.ending.set()
        self._start.cancel()
        await asyncio.wait({self._start})
        for feed in self._feeds.values():
            await feed.close()
        await in_thread(self._stop)

    def _stop(self) -> None:
        self._listener.stop()
        self._lookups.close()
        self._replays.close()


class Shared:
    """The numbers of a hub, as its docstring tells them, and what runs for it."""

    def __init__(
        self,
        target: Target,
        *,
        poll: float,
        heartbeat: float,
        clients: int,
        maxsize: int,
        max_bytes: int,
        patience: float,
        lifetime: float | None,
    ) -> None:
        numbers = {
            "heartbeat": heartbeat,
            "clients": clients,
            "maxsize": maxsize,
            "max_bytes": max_bytes,
            "patience": patience,
            "lifetime": 1 if lifetime is None else lifetime,
        }
        for name, number in numbers.items():
            if number <= 0:
                raise InvalidArgument(f"{name} must be greater than 0, not {number}")
        self.heartbeat, self.patience, self.lifetime = heartbeat, patience, lifetime
        self.clients, self.maxsize, self.max_bytes = clients, maxsize, max_bytes
        self.connected = 0  #: clients at the moment
        self._target, self._poll = target, poll
        self._new_listener()  # refuses a wrong poll
        self._life: Life | None = None

    async def life(self) -> Life:
        """What runs in this event loop, once it is known whether the database can be used.

        Raises:
            RecoveryError: it can't be used, and waiting will not help.
        """
        life = self._life
        if life is None or life.loop is not asyncio.get_running_loop() or life.broken:
            if life is not None:
                life.abandon()
            life = self._life = Life(self._new_listener(), self._target)
        await life.known()
        return life

    async def close(self) -> None:
        """Ends what runs, and all streams with it."""
        life, self._life = self._life, None
        if life is not None:
            if life.loop is asyncio.get_running_loop():
                await life.close()
            else:
                life.abandon()

    def _new_listener(self) -> Listener:
        return Listener(self._target, name="sse", poll=self._poll)
