"""Fan-out inside a process: any number of subscribers.

None of them holds up another, save those that ask for it (``lossless=True``): the reader
waits for these, so what they have not taken stays in the database and not in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, Self, TypeAlias

from recovery.calls.event import check_kinds
from recovery.errors import InvalidArgument, Lagged
from recovery.types import Event

__all__ = ["Bus", "Event", "Subscription"]

_log = logging.getLogger(__name__)

#: One value or several; None lets everything through.
Filter: TypeAlias = str | Iterable[str | None] | None

_FIELDS = ("watch", "group", "reason", "kind", "topic")

#: Seconds between two looks at what else there is to do, while a lossless subscriber is full.
_LOOK = 0.1
#: Seconds after which the log names a lossless subscriber that holds up the others.
_PATIENCE = 10.0


class Subscription(Iterator[Event], AsyncIterator[Event]):
    """A bounded queue of events; made by `Bus.subscribe`.

    Use it in one task or thread: ``for event in sub``, ``async for event in sub`` or
    ``sub.get(timeout)``. The loop ends when the bus or the subscription is closed,
    after what is queued. If the queue ran over, `Lagged` is raised once, in the place
    of the events left out; iterating again goes on with what follows them. One that was
    made with ``lossless=True`` never lags: the reader waits for it.
    """

    def __init__(
        self,
        bus: Bus,
        filters: dict[str, frozenset[str | None]],
        maxsize: int,
        lossless: bool = False,
    ) -> None:
        self._bus = bus
        self._filters = filters
        self._maxsize = maxsize
        self._lossless = lossless
        self._reader: int | None = None  # the thread that takes from it
        self._queue: deque[Event] = deque()
        self._lag: Lagged | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)  # for who waits to put something in
        # Released when there is something to take. A condition would wake the thread that
        # waits twice: its own lock is still held then.
        self._bell = threading.Lock()
        self._bell.acquire()
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
        while True:
            with self._lock:
                found = self._take()
                if self._queue or self._closed:
                    self._ring()  # for another thread that waits too
            if isinstance(found, Event):
                return found
            if found is not None:
                raise found
            left = -1 if end is None else end - time.monotonic()
            if end is not None and left <= 0:
                raise TimeoutError(f"no event within {timeout} s")
            self._bell.acquire(timeout=left)

    def __next__(self) -> Event:
        return self.get()

    async def __anext__(self) -> Event:
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
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
                with contextlib.suppress(RuntimeError):  # its loop is closed
                    future.cancel()

    @property
    def queued(self) -> int:
        """How many events are there to be taken without waiting."""
        return len(self._queue)

    def close(self) -> None:
        """Takes no more events; iteration ends after those in the queue."""
        self._bus._forget(self)
        with self._lock:
            self._closed = True
            self._room.notify_all()
            self._wake()

    def _take(self) -> Event | Lagged | StopIteration | None:
        """What comes next, with the lock held; None if it has to be waited for."""
        self._reader = threading.get_ident()
        if self._queue:
            event = self._queue.popleft()
            if self._lossless and len(self._queue) == self._maxsize // 2:
                self._room.notify_all()
            return event
        if self._lag is not None:
            lag, self._lag = self._lag, None
            return lag
        return StopIteration() if self._closed else None

    def _put(self, event: Event) -> bool:
        """Queues an event; False if it has to be waited for until there is room."""
        for name, allowed in self._filters.items():
            if getattr(event, name) not in allowed:
                return True
        with self._lock:
            if self._closed:
                return True
            if self._lossless and len(self._queue) >= self._maxsize:
                return False
            if self._lag is not None:  # it stands at the end of the queue
                self._lag.missed += 1
                self._lag.resume_after = min(self._lag.resume_after, event.id - 1)
            elif len(self._queue) >= self._maxsize:
                self._lag = Lagged(1, event.id - 1)
            else:
                self._queue.append(event)
            self._wake()
        return True

    def _is_full(self) -> bool:
        """Whether it still has to be waited for, with the lock held.

        Until half of it was taken: or reader and subscriber would take turns for each event.

        Raises:
            InvalidArgument: there never will be room, since its reader is who waits (RC010).
        """
        if self._closed or len(self._queue) <= self._maxsize // 2:
            return False
        if self._reader == threading.get_ident():
            raise InvalidArgument(
                "publish would wait for ever for a lossless subscriber that this thread reads"
            )
        return True

    def _ring(self) -> None:
        if self._bell.locked():
            self._bell.release()

    def _wake(self) -> None:
        self._ring()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            loop, future = waiter
            try:
                loop.call_soon_threadsafe(_resolve, future)
            except RuntimeError:  # its loop is closed: nobody will take anything any more
                self._closed = self._closed or self._lossless


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Bus:
    """Hands each event to every subscriber whose filters let it through."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # A lossless one that nobody holds any more can't be read: it must not be waited for.
        self._subscriptions: tuple[Callable[[], Subscription | None], ...] = ()
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
        lossless: bool = False,
    ) -> Subscription:
        """A new subscription to the events from now on.

        Args:
            watch, group, reason, kind, topic: a value or a collection of them; an
                event must match each that is given. A reason of None in a collection
                means a write of the application that gave none.
            maxsize: how many events may wait; more raise `Lagged` in this subscription.
            lossless: never `Lagged`: with `maxsize` events waiting, the listener reads no
                further until half of them are taken or this subscription ends. All other
                subscribers of this bus wait as long, so give one that may be slow a listener of
                its own (`recovery.listen`). The log names one that holds up the others for 10 s.

        Raises:
            InvalidArgument: maxsize < 1, or there is no such kind (RC010).
        """
        if maxsize < 1:
            raise InvalidArgument(f"maxsize must be at least 1, not {maxsize}")
        given = zip(_FIELDS, (watch, group, reason, kind, topic), strict=True)
        filters = {
            name: frozenset((value,) if isinstance(value, str) else value)
            for name, value in given
            if value is not None
        }
        check_kinds(filters.get("kind", ()))
        subscription = Subscription(self, filters, maxsize, lossless)
        held = weakref.ref(subscription) if lossless else lambda: subscription
        with self._lock:
            self._subscriptions += (held,)
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
        lossless: bool = False,
    ) -> Subscription:
        """Calls back for each event, one at a time, until the subscription is closed.

        A coroutine function runs in the event loop that is running now, anything
        else in a thread of its own. What it raises is logged; events that it is too
        slow for are left out, and logged, unless it is `lossless`.

        Args:
            callback: takes the event.
            watch, group, reason, kind, topic, maxsize, lossless: as of `subscribe`.

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
            lossless=lossless,
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
        """Hands an event to the subscribers; waits only for those that are lossless.

        Raises:
            InvalidArgument: it would wait for the own thread to read (RC010).
        """
        self.deliver(event, lambda: True)

    def deliver(self, event: Event, go_on: Callable[[], bool]) -> bool:
        """`publish` for a reader that has other things to do, and may have to stop.

        Args:
            event: what to hand out.
            go_on: called every 0.1 s while it waits; says whether to wait on.

        Returns:
            False: it was told to stop; at least one subscriber has not got the event.
        """
        # Who does not make anybody wait gets it first.
        full = [held for held in self._subscriptions if not _put(held, event)]
        for held in full:
            while not _put(held, event):
                if not self._wait(held, go_on):
                    return False
        return True

    def _wait(self, held: Callable[[], Subscription | None], go_on: Callable[[], bool]) -> bool:
        """Waits until a subscription has room, or ends; False if told to stop."""
        since, said = time.monotonic(), False
        while go_on():
            if (subscription := held()) is None:
                return True
            room = subscription._room
            with room:
                if not subscription._is_full():
                    return True
                what = subscription._filters or "everything"
                del subscription  # if its last other holder lets go of it, it ends
                room.wait(_LOOK)
            if not said and time.monotonic() - since > _PATIENCE:
                said = True
                _log.warning(
                    "bus: a lossless subscriber to %s has taken nothing for %g s; all others wait",
                    what,
                    _PATIENCE,
                )
        return False

    def close(self) -> None:
        """Ends every subscription, after what is in its queue."""
        with self._lock:
            self._closed = True
            subscriptions = self._subscriptions
        for held in subscriptions:
            if (subscription := held()) is not None:
                subscription.close()

    def _forget(self, subscription: Subscription) -> None:
        with self._lock:
            self._subscriptions = tuple(
                held for held in self._subscriptions if held() not in (None, subscription)
            )


def _put(held: Callable[[], Subscription | None], event: Event) -> bool:
    subscription = held()
    return subscription is None or subscription._put(event)


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
