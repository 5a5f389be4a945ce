"""A named consumer: the events, at least once, from where its last process stopped.

The position is in the database. What was fetched and not acknowledged comes again, so a
program that is killed loses nothing; what it does twice it can tell by `Event.id`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, Self, TypeVar

import psycopg

from recovery import calls
from recovery.calls.consumer import Fetched
from recovery.database.connect import Target, check_schema, connect
from recovery.database.deadline import deadline, sever
from recovery.database.link import backoff
from recovery.database.pooler import is_shared
from recovery.database.threads import in_thread
from recovery.database.wire import Wire
from recovery.errors import ConnectionFailed, InvalidArgument, ReceiptLost
from recovery.events.bus import Filter
from recovery.types import Event

__all__ = ["Consumer", "consume"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

#: Seconds until the next look after something came: writers NOTIFY at most every 50 ms.
_SOON = 0.025


class Consumer(Iterator[Event], AsyncIterator[Event]):
    """Events for one consumer of that name; made by `consume`.

        with recovery.consume(dsn, "mailer", kind="closed") as events:
            for event in events:
                send_mail(event)

    An event counts as done when the loop asks for the next one: done are acknowledged when
    the fetched ones are used up, and at the end of the ``with`` block. ``async with`` and
    ``async for`` work as well. Lost connections are made again; what a failover makes it
    forget comes again.

    One process at a time reads as a consumer. The newest takes over: the older one gets
    `ReceiptStale` (RC015) and must stop.

    Args:
        target: the database, in any form that `recovery.Target` lists; the primary.
        name: of the consumer; its position is kept under it.
        after: where one that is new begins: an event id, 0 for all that is kept, None: now.
        watch, group, reason, kind, topic: a value or a collection of them; an event must match
            each that is given. None in a collection means events that have none.
        limit: events of one fetch.
        poll: seconds between looks when nothing wakes it.
        expires: for how long events are kept for it when it is away.
        patience: seconds for an answer, after which the connection counts as dead.
        polling: don't LISTEN. It is so anyway through a pooler in transaction mode.
    """

    def __init__(
        self,
        target: Target = None,
        name: str = "",
        *,
        after: int | None = None,
        watch: Filter = None,
        group: Filter = None,
        reason: Filter = None,
        kind: Filter = None,
        topic: Filter = None,
        limit: int = 1000,
        poll: float = 1.0,
        expires: timedelta = timedelta(days=7),
        patience: float = 30.0,
        polling: bool = False,
    ) -> None:
        if poll <= 0 or patience <= 0:
            raise InvalidArgument("poll and patience must be greater than 0 s")
        given = {"watch": watch, "group": group, "reason": reason, "kind": kind, "topic": topic}
        self.name = name
        self.failures = 0  #: connections that were lost or could not be made
        self._create = calls.consumer.create(
            name,
            after,
            {key: _values(value) for key, value in given.items() if value is not None},
            expires,
        )
        self._target, self._limit, self._poll, self._patience = target, limit, poll, patience
        self._conn: psycopg.Connection[Any] | None = None
        self._wire: Wire | None = None  # of that connection, if it listens
        self._page: deque[Fetched] = deque()
        self._given: Fetched | None = None  # the loop has it
        self._done: Fetched | None = None  # and is through with this one
        self._stopped = threading.Event()
        self._polling = polling
        self._created = False
        self._filling = False
        self._pause = _SOON
        self._in_vain = 0  # connections since the last fetch that succeeded

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(acknowledge=kind is None)

    async def __aenter__(self) -> Self:
        await in_thread(self.start)
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        await in_thread(partial(self.close, acknowledge=kind is None))

    def start(self) -> None:
        """Connects, and makes the consumer if there is none of that name.

        Raises:
            ConnectionFailed: the first connection fails; later ones are repeated.
            SchemaMismatch: the schema is missing, older or newer (RC009).
            PermissionDenied: the role is not a member of recovery_listener (42501).
            InvalidArgument: the name or a filter is not allowed (RC010).
        """
        self._conn = self._connect()

    def stop(self) -> None:
        """Ends the loop, from any thread, once it asks for the next event."""
        self._stopped.set()
        conn = self._conn
        if conn is not None and self._filling:
            sever(conn)

    def close(self, *, acknowledge: bool = True) -> None:
        """Acknowledges what is done, and closes the connection."""
        self._stopped.set()
        try:
            if acknowledge and self._conn is not None and not self._conn.closed:
                self._acknowledge(self._conn)
        except ConnectionFailed as error:
            _log.warning("consumer %s: %s; some events will come again", self.name, error)
        finally:
            self._close()

    def fetch(self, limit: int | None = None) -> list[Fetched]:
        """What has become visible and was not acknowledged: at once, perhaps nothing.

        Raises:
            RecoveryError: what `calls.consumer.fetch` raises.
        """
        return self._run(calls.consumer.fetch(self.name, limit or self._limit))

    def acknowledge(self, fetched: Fetched) -> None:
        """That event, and all before it in the same fetch, are done.

        Raises:
            ReceiptStale: a newer fetch has taken over (RC015).
            ReceiptLost: this one was lost in a failover (RC016): fetch again.
        """
        self._run(calls.consumer.acknowledge(fetched.receipt))

    def wait(self, seconds: float) -> bool:
        """For who fetches by himself: waits until something may have come, at most so long.

        Returns:
            Whether it was woken. Without LISTEN (behind a pooler) nothing wakes it.

        Raises:
            ConnectionFailed: the connection is lost.
        """
        self._conn = self._conn or self._connect()
        try:
            if self._wire is not None:
                return self._wire.wait(seconds)
        except psycopg.Error as error:
            self._close()
            raise ConnectionFailed(str(error)) from error
        self._stopped.wait(seconds)
        return False

    def __next__(self) -> Event:
        self._finish_given()
        while not self._page:
            if self._stopped.is_set():
                raise StopIteration
            self._fill()
        return self._give()

    async def __anext__(self) -> Event:
        self._finish_given()
        while not self._page:
            if self._stopped.is_set():
                raise StopAsyncIteration
            await in_thread(self._fill)
        return self._give()

    def _give(self) -> Event:
        self._given = self._page.popleft()
        return self._given.event

    def _finish_given(self) -> None:
        if self._given is not None:
            self._done, self._given = self._given, None

    def _fill(self) -> None:
        """Acknowledges what is done, fetches what follows; if there is nothing, waits a while.

        Not until there is something: who is cancelled in ``async for`` waits for its end.
        """
        self._filling = True
        try:
            conn = self._conn = self._conn or self._connect()
            self._acknowledge(conn)
            found = self._ask(conn, calls.consumer.fetch(self.name, self._limit))
            self._in_vain = 0
            self._page.extend(found)
            self._pause = _SOON if found else self._wait(self._pause)
        except ConnectionFailed as error:
            self._close()
            if self._stopped.is_set():
                return
            self.failures += 1
            self._in_vain += 1
            delay = backoff(self._in_vain)
            _log.warning("consumer %s: %s; connecting again in %.1f s", self.name, error, delay)
            self._stopped.wait(delay)
        finally:
            self._filling = False

    def _wait(self, pause: float) -> float:
        try:
            if self._wire is None:
                self._stopped.wait(pause)
            elif self._wire.wait(pause):
                return _SOON / 2
        except psycopg.Error as error:
            raise ConnectionFailed(str(error)) from error
        return min(2 * pause, self._poll)

    def _acknowledge(self, conn: psycopg.Connection[Any]) -> None:
        if self._done is not None:
            try:
                self._ask(conn, calls.consumer.acknowledge(self._done.receipt))
            except ReceiptLost as error:
                _log.warning("consumer %s: %s", self.name, error)
            self._done = None

    def _ask(self, conn: psycopg.Connection[Any], call: calls.Call[T]) -> T:
        if self._wire is not None:
            return self._wire.run(call, self._patience)
        with deadline(conn, self._patience):
            return calls.run(conn, call)

    def _run(self, call: calls.Call[T]) -> T:
        conn = self._conn = self._conn or self._connect()
        try:
            return self._ask(conn, call)
        except ConnectionFailed:
            self._close()
            raise

    def _connect(self) -> psycopg.Connection[Any]:
        conn = connect(self._target, "consumer", self.name)
        try:
            with deadline(conn, self._patience):
                check_schema(conn)
                self._wire = None
                if not (self._polling or is_shared(conn)):
                    calls.run(conn, calls.event.listen())
                    self._wire = Wire(conn)
                if not self._created:
                    calls.run(conn, self._create)
                    self._created = True
        except BaseException:
            conn.close()
            raise
        return conn

    def _close(self) -> None:
        conn, self._conn, self._wire = self._conn, None, None
        if conn is not None:
            conn.close()


def _values(given: str | Iterable[str | None]) -> list[str | None]:
    return [given] if isinstance(given, str) else list(given)


def consume(
    target: Target = None,
    name: str = "",
    *,
    after: int | None = None,
    watch: Filter = None,
    group: Filter = None,
    reason: Filter = None,
    kind: Filter = None,
    topic: Filter = None,
    limit: int = 1000,
    poll: float = 1.0,
    expires: timedelta = timedelta(days=7),
    patience: float = 30.0,
    polling: bool = False,
) -> Consumer:
    """Events for a named consumer, at least once. Arguments as of `Consumer`."""
    return Consumer(
        target,
        name,
        after=after,
        watch=watch,
        group=group,
        reason=reason,
        kind=kind,
        topic=topic,
        limit=limit,
        poll=poll,
        expires=expires,
        patience=patience,
        polling=polling,
    )
