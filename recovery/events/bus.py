"""Fan-out inside a process: any number of subscribers, none of which holds up another."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, Self, TypeAlias

from recovery.errors import InvalidArgument, Lagged
from recovery.types import Event

__all__ = ["Bus", "Event", "Subscription"]

_log = logging.getLogger(__name__)

#: One value or several; None lets everything through.
Filter: TypeAlias = str | Iterable[str | None] | None

_FIELDS = ("watch", "group", "reason", "kind", "topic")


class Subscription(Iterator[Event], AsyncIterator[Event]):
    """A bounded queue of events; made by `Bus.subscribe`.

    Use it in one task or thread: ``for event in sub``, ``async for event in sub`` or
    ``sub.get(timeout)``. The loop ends when the bus or the subscription is closed,
    after what is queued. If the queue ran over, `Lagged` is raised once, in the place
    of the events left out; iterating again goes on with what follows them.
    """

    def __init__(self, bus: Bus, filters: dict[str, frozenset[str | None]], maxsize: int) -> None:
        self._bus = bus
        self._filters = filters
        self._maxsize = maxsize
        self._queue: deque[Event] = deque()
        self._lag: Lagged | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def get(self, timeout: float | None = None) -> Event:
        """The next event.

        Args:
            timeout: seconds to wait; None waits for ever, 0 not at all.

        Raises:
            TimeoutError: none came in time.
            Lagged: events were left out here.
            StopIteration: the subscription is closed.
        """
        end = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while True:
                found = self._take()
                if isinstance(found, Event):
                    return found
                if found is not None:
                    raise found
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    raise TimeoutError(f"no event within {timeout} s")
                self._changed.wait(left)

    def __next__(self) -> Event:
        return self.get()

    async def __anext__(self) -> Event:
        loop = asyncio.get_running_loop()
        while True:
            with self._changed:
                found = self._take()
                if isinstance(found, Event):
                    return found
                if isinstance(found, StopIteration):
                    raise StopAsyncIteration
                if found is not None:
                    raise found
                future = loop.create_future()
                self._waiter = (loop, future)
            try:
                await future
            finally:
                future.cancel()

    def close(self) -> None:
        """Takes no more events; iteration ends after those in the queue."""
        self._bus._forget(self)
        with self._changed:
            self._closed = True
            self._wake()

    def _take(self) -> Event | Lagged | StopIteration | None:
        """What comes next, with the lock held; None if it has to be waited for."""
        if self._queue:
            return self._queue.popleft()
        if self._lag is not None:
            lag, self._lag = self._lag, None
            return lag
        return StopIteration() if self._closed else None

    def _put(self, event: Event) -> None:
        if any(getattr(event, name) not in allowed for name, allowed in self._filters.items()):
            return
        with self._changed:
            if self._closed:
                return
            if self._lag is not None:  # it stands at the end of the queue
                self._lag.missed += 1
                self._lag.resume_after = min(self._lag.resume_after, event.id - 1)
            elif len(self._queue) >= self._maxsize:
                self._lag = Lagged(1, event.id - 1)
            else:
                self._queue.append(event)
            self._wake()

    def _wake(self) -> None:
        self._changed.notify_all()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            loop, future = waiter
            with contextlib.suppress(RuntimeError):  # its loop is closed
                loop.call_soon_threadsafe(_resolve, future)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Bus:
    """Hands each event to every subscriber whose filters let it through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: tuple[Subscription, ...] = ()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        #: Set by the first subscription: a replay waits for it.
        self.wanted = threading.Event()

    def subscribe(
        self,
        *,
        watch: Filter = None,
        group: Filter = None,
        reason: Filter = None,
        kind: Filter = None,
        topic: Filter = None,
        maxsize: int = 1000,
    ) -> Subscription:
        """A new subscription to the events from now on.

        Args:
            watch, group, reason, kind, topic: a value or a collection of them; an
                event must match each that is given. A reason of None in a collection
                means a write of the application that gave none.
            maxsize: how many events may wait; more raise `Lagged` in this subscription.

        Raises:
            InvalidArgument: maxsize < 1 (RC010).
        """
        if maxsize < 1:
            raise InvalidArgument(f"maxsize must be at least 1, not {maxsize}")
        given = zip(_FIELDS, (watch, group, reason, kind, topic), strict=True)
        filters = {
            name: frozenset((value,) if isinstance(value, str) else value)
            for name, value in given
            if value is not None
        }
        subscription = Subscription(self, filters, maxsize)
        with self._lock:
            self._subscriptions += (subscription,)
            subscription._closed = self._closed
        self.wanted.set()
        return subscription

    def on(
        self,
        callback: Callable[[Event], Awaitable[object] | object],
        *,
        watch: Filter = None,
        group: Filter = None,
        reason: Filter = None,
        kind: Filter = None,
        topic: Filter = None,
        maxsize: int = 1000,
    ) -> Subscription:
        """Calls back for each event, one at a time, until the subscription is closed.

        A coroutine function runs in the event loop that is running now, anything
        else in a thread of its own. What it raises is logged; events that it is too
        slow for are left out, and logged.

        Args:
            callback: takes the event.
            watch, group, reason, kind, topic, maxsize: as of `subscribe`.

        Raises:
            InvalidArgument: a coroutine function without a running event loop (RC010).
        """
        subscribe = partial(
            self.subscribe,
            watch=watch,
            group=group,
            reason=reason,
            kind=kind,
            topic=topic,
            maxsize=maxsize,
        )
        if inspect.iscoroutinefunction(callback):
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                raise InvalidArgument(
                    "bus.on with a coroutine function must be called in a running event loop"
                ) from None
            subscription = subscribe()
            task = loop.create_task(_apump(subscription, callback))
            self._tasks.add(task)  # the loop itself keeps only a weak reference
            task.add_done_callback(self._tasks.discard)
        else:
            subscription = subscribe()
            threading.Thread(
                target=_pump, args=(subscription, callback), name="recovery-callback", daemon=True
            ).start()
        return subscription

    def publish(self, event: Event) -> None:
        """Hands an event to the subscribers; never waits for any of them."""
        for subscription in self._subscriptions:
            subscription._put(event)

    def close(self) -> None:
        """Ends every subscription, after what is in its queue."""
        with self._lock:
            self._closed = True
            subscriptions = self._subscriptions
        for subscription in subscriptions:
            subscription.close()

    def _forget(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)


def _pump(subscription: Subscription, callback: Callable[[Event], object]) -> None:
    while True:
        try:
            for event in subscription:
                callback(event)
            return
        except Exception as error:
            _complain(callback, error)


async def _apump(
    subscription: Subscription, callback: Callable[[Event], Awaitable[object]]
) -> None:
    while True:
        try:
            async for event in subscription:
                await callback(event)
            return
        except Exception as error:
            _complain(callback, error)


def _complain(callback: Callable[..., Any], error: Exception) -> None:
    if isinstance(error, Lagged):
        _log.warning("callback %r is too slow: %s", callback, error)
    else:
        _log.error("callback %r failed", callback, exc_info=error)
