"""From the bus to the clients of one shape: each event is rendered once, for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import TypeAlias

from recovery.asgi import wire
from recovery.asgi.cursor import Track
from recovery.asgi.shapes import Run, Shape
from recovery.events.bus import Subscription
from recovery.events.listener import Listener
from recovery.types import Event

__all__ = ["Client", "Feed", "Filters", "Item"]

_log = logging.getLogger(__name__)

#: Events that are looked up and handed out in one go.
_AT_ONCE = 200

#: Attribute of an event -> the values that are let through.
Filters: TypeAlias = Mapping[str, frozenset[str | None]]

#: An event, the cursor after it, and its frame (None: it is not shown).
Item: TypeAlias = "tuple[Event, str, bytes | None]"


class Client:
    """What is to be sent to one client: a bounded queue, filled by a feed.

    Attributes:
        behind: the queue ran over: what is in it is sent, and then the stream ends.
    """

    def __init__(self, filters: Filters, most: int, most_bytes: int) -> None:
        self.filters = filters
        self.behind = False
        self.changed = asyncio.Event()
        self._items: deque[Item] = deque()
        self._bytes, self._most, self._most_bytes = 0, most, most_bytes

    def wants(self, event: Event) -> bool:
        """Whether its filters let an event through. All may know that they have to look anew."""
        if event.kind == "gap":
            watches = self.filters.get("watch")
            return watches is None or event.watch in watches
        return all(getattr(event, name) in allowed for name, allowed in self.filters.items())

    def offer(self, event: Event, cursor: str, frame: bytes | None) -> None:
        """Queues an event, if there is room."""
        if self.behind:
            return
        size = len(frame or b"")
        if self._items and (
            len(self._items) >= self._most or self._bytes + size > self._most_bytes
        ):
            self.behind = True
        else:
            self._items.append((event, cursor, frame))
            self._bytes += size
        self.changed.set()

    def take(self) -> list[Item]:
        """All that is queued."""
        items = list(self._items)
        self._items.clear()
        self._bytes = 0
        self.changed.clear()
        return items


class Feed:
    """Runs in one event loop, for as long as the listener does."""

    def __init__(self, listener: Listener, shape: Shape, run: Run) -> None:
        self._listener, self._shape, self._run = listener, shape, run
        self._track = Track(listener.safe_id, listener.timeline)
        # Lossless: it never waits for a client, only for the database, as the listener does.
        self._events: Subscription = listener.bus.subscribe(watch=shape.watches, lossless=True)
        self._busy = False
        self._clients: set[Client] = set()
        self._of_group: dict[str | None, set[Client]] = {}
        self._task = asyncio.get_running_loop().create_task(self._follow())

    def add(self, client: Client) -> None:
        """From now on the client gets what comes after the `cursor` of now."""
        groups = client.filters.get("group")
        if groups is None:
            self._clients.add(client)
        else:
            for group in groups:
                self._of_group.setdefault(group, set()).add(client)
            # Of no group: what tells all that they have to look anew.
            self._of_group.setdefault(None, set()).add(client)

    def remove(self, client: Client) -> None:
        """It gets nothing more."""
        self._clients.discard(client)
        for group in [*client.filters.get("group", ()), None]:
            members = self._of_group.get(group, set())
            members.discard(client)
            if not members:
                self._of_group.pop(group, None)

    @property
    def cursor(self) -> str:
        """Where it stands: all that is delivered."""
        # In this order: a failover between the two must not make an old place one of the new
        # timeline. And before the next line: what is published may be queued.
        timeline, safe = self._listener.timeline, self._listener.safe_id
        if not self._busy and not self._events.queued:
            self._track.timeline = timeline
            self._track.settle(safe)
        return str(self._track.cursor)

    @property
    def safe(self) -> int:
        """Nothing at or below this id is still to come from it."""
        return self._track.safe

    async def close(self) -> None:
        """Ends it; the clients are not told."""
        self._events.close()
        self._task.cancel()
        await asyncio.wait({self._task})

    @property
    def ended(self) -> bool:
        """Whether it can't go on; the log says why."""
        return self._task.done()

    def _takers(self, event: Event) -> list[Client]:
        some = self._of_group.get(None if event.kind == "gap" else event.group, ())
        return [client for each in (self._clients, some) for client in each if client.wants(event)]

    async def _follow(self) -> None:
        try:
            async for event in self._events:
                self._busy = True
                timeline = self._listener.timeline  # before the next line, as in `cursor`
                safe = self._listener.safe_id  # all up to here is queued, or was before
                batch = [event, *(self._events.get(0) for _ in range(self._events.queued))]
                batch.sort(key=lambda one: one.id)
                start = min(safe, batch[0].id - 1)
                if start < self._track.safe:  # the listener has gone back, after a failover
                    self._track.settle(start)
                self._track.timeline = timeline
                for first in range(0, len(batch), _AT_ONCE):
                    await self._deliver(batch[first : first + _AT_ONCE], safe)
                    await asyncio.sleep(0)  # the clients' turn
                self._track.settle(safe)
                self._busy = False
        except Exception:
            _log.exception("the feed of events to clients has ended")
        finally:
            self._events.close()
            for client in {*self._clients, *(c for some in self._of_group.values() for c in some)}:
                client.behind = True
                client.changed.set()

    async def _deliver(self, events: list[Event], safe: int) -> None:
        known: dict[int, str | None] = {}
        # Clients may come while rows are looked up, and want others.
        while wanted := [e for e in events if e.id not in known and self._takers(e)]:
            known |= await self._shape.render(wanted, self._run)
        for event in events:
            self._track.deliver(event.id)
            if event.id <= safe:
                self._track.settle(event.id)
            takers = self._takers(event)
            if takers:
                cursor, data = str(self._track.cursor), known[event.id]
                frame = None if data is None else wire.frame(data, id_=cursor)
                for client in takers:
                    client.offer(event, cursor, frame)
