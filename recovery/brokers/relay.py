"""From a named consumer to a broker: publish a page, wait for its confirmations, acknowledge.

Whatever dies in between, the page comes again. So a message may come twice, with the same id,
and none is left out. The only memory is one page: while the broker is gone, events wait in
the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence

from recovery.brokers.message import Message, Template
from recovery.brokers.place import Place, find, secrets, shown
from recovery.brokers.publisher import Publisher
from recovery.calls.consumer import Fetched
from recovery.database.connect import Target
from recovery.database.link import backoff
from recovery.database.threads import in_thread
from recovery.errors import ConnectionFailed, InvalidArgument, ReceiptLost, RecoveryError
from recovery.events.bus import Filter
from recovery.events.consumer import Consumer, consume

__all__ = ["Relay"]

_log = logging.getLogger(__name__)

#: Seconds between attempts, at most.
_SLOWEST = 5.0
#: Seconds until the next look after something came: writers NOTIFY at most every 50 ms.
_SOON = 0.025
_DATABASE = "the database"


class Relay:
    """Publishes events to a broker, until it is stopped.

    Each event at least once, in order for each row, with an id by which the broker or its
    consumers drop duplicates (`recovery-id`). It goes on where it was after any crash, its own
    or the broker's: the database keeps its position under `name`.

    Args:
        target: the database, in any form that `recovery.Target` lists.
        broker: ``nats://``, ``amqp://``, ``redis://`` or ``kafka://`` with host and port; or a
            function that makes a FastStream broker, for all that a URL can't say.
        name: of the consumer. One process at a time reads by a name: the newest.
        subject: NATS subject, routing key, key of the Redis stream or Kafka topic, with fields
            in braces: watch, kind, topic, group, reason. By default
            ``recovery.{watch}.{kind}``, with Redis and Kafka ``recovery.{watch}``, since they
            keep the order of a row only within one of them.
        stream: JetStream stream or RabbitMQ exchange, by default ``recovery``. It is made if
            it is not there. Redis and Kafka have no such thing beside the subject.
        watch, group, reason, kind, topic: a value or a collection of them; only events that
            match each that is given are published.
        after: where to begin when the name is new: an event id, 0 for all that is kept, None
            for now.
        limit: how many events at a time.
        poll: seconds between looks when nothing wakes it.
        patience: seconds for an answer of the broker.
        maxlen: Redis keeps about so many entries of a stream; None: all.

    Raises:
        InvalidArgument: an argument can't be, or packages are missing (RC010).
    """

    def __init__(
        self,
        target: Target,
        broker: Place,
        *,
        name: str = "relay",
        subject: str | None = None,
        stream: str | None = None,
        watch: Filter = None,
        group: Filter = None,
        reason: Filter = None,
        kind: Filter = None,
        topic: Filter = None,
        after: int | None = None,
        limit: int = 1000,
        poll: float = 1.0,
        patience: float = 10.0,
        maxlen: int | None = None,
    ) -> None:
        if patience <= 0:
            raise InvalidArgument("patience must be greater than 0 s")
        if maxlen is not None and maxlen < 1:
            raise InvalidArgument(f"maxlen must be at least 1, not {maxlen}")
        self.published = 0  #: events that the broker has confirmed
        self._where, self._secrets, self._patience = shown(broker), secrets(broker), patience
        found = find(broker, patience)
        class_ = found.publisher
        if stream is not None and class_.STREAM is None:
            raise InvalidArgument(
                f"{self._where} has no stream beside the subject: give the subject instead"
            )
        if maxlen is not None and not class_.TRIMS:
            raise InvalidArgument(f"maxlen is for Redis alone: {self._where} has limits of its own")
        self._template = Template(class_.SUBJECT if subject is None else subject)
        self._stream = stream or "recovery"
        self._publisher: Publisher = class_(
            found.make,
            stream=self._stream,
            template=self._template,
            patience=patience,
            maxlen=maxlen,
            hosts=found.hosts,
        )
        self._open: Callable[[], Consumer] = lambda: consume(
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
        )
        self._poll = poll
        self._connected = False
        self._stopped = threading.Event()
        self._woken: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def __str__(self) -> str:
        """Where it publishes, and how."""
        kind = self._publisher.STREAM
        into = "" if kind is None else f", {kind} {self._stream}"
        return f"{self._where}{into}, subjects {self._template.text}"

    def run(self) -> None:
        """Publishes until `stop`, in this thread.

        Raises:
            ReceiptStale: another process reads by this name (RC015).
            RecoveryError: what the database refuses; ConnectionFailed if it can't be reached in
                the beginning. Later on it waits for it.
        """
        asyncio.run(self.arun())

    async def arun(self) -> None:
        """Publishes until `stop`, or until its task is cancelled. Raises as `run`."""
        woken = asyncio.Event()
        self._woken = (asyncio.get_running_loop(), woken)
        if self._stopped.is_set():
            woken.set()
        events = self._open()
        try:
            await in_thread(events.start)
            if await self._persist(self._where, self._connect):
                await self._follow(events)
        finally:
            await self._disconnect()
            await in_thread(events.close)

    def stop(self) -> None:
        """Ends `run`, from any thread or a signal handler: after the page that it has."""
        self._stopped.set()
        if self._woken is not None:
            loop, woken = self._woken
            with contextlib.suppress(RuntimeError):  # its loop is closed
                loop.call_soon_threadsafe(woken.set)

    async def _follow(self, events: Consumer) -> None:
        pause = _SOON
        page: list[Fetched] = []

        def look() -> None:
            page[:] = events.fetch()
            if not page:
                events.wait(pause)

        while not self._stopped.is_set():
            if not await self._persist(_DATABASE, lambda: in_thread(look)):
                return
            pause = _SOON if page else min(2 * pause, self._poll)
            if page and not await self._deliver(events, page):
                return

    async def _deliver(self, events: Consumer, page: Sequence[Fetched]) -> bool:
        """Publishes a page, then acknowledges it; whether that was done before the stop."""
        messages = [self._publisher.message(fetched.event) for fetched in page]
        if not await self._persist(self._where, lambda: self._publish(messages)):
            return False
        self.published += len(page)

        def acknowledge() -> None:
            try:  # twice does no harm: the answer may have been lost
                events.acknowledge(page[-1])
            except ReceiptLost as error:
                _log.warning("relay: %s", error)

        return await self._persist(_DATABASE, lambda: in_thread(acknowledge))

    async def _connect(self) -> None:
        if not self._connected:
            await self._publisher.connect()
            self._connected = True

    async def _publish(self, messages: Sequence[Message]) -> None:
        await self._connect()
        await self._publisher.publish(messages)

    async def _disconnect(self) -> None:
        self._connected = False
        await self._publisher.close()

    async def _persist(self, where: str, step: Callable[[], Awaitable[None]]) -> bool:
        """Does a step, on new connections until it succeeds; whether it did before the stop."""
        failures, since, said = 0, time.monotonic(), ""
        while (error := await _failure(step)) is not None:
            if where == self._where:
                await self._disconnect()
            failures += 1
            why = self._why(error)
            if why != said:
                _log.warning("relay: %s: %s; events wait in the database", where, why)
                said = why
            if await self._sleep(backoff(failures, _SLOWEST)):
                return False
        if failures:
            seconds = time.monotonic() - since
            _log.warning("relay: %s is there again, after %.1f s", where, seconds)
        return True

    async def _sleep(self, seconds: float) -> bool:
        """Waits; whether it is to stop."""
        assert self._woken is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken[1].wait()
        return self._stopped.is_set()

    def _why(self, error: Exception) -> str:
        """What failed, in one line without a password."""
        if isinstance(error, TimeoutError):
            return f"no answer for {self._patience:g} s"
        text = " ".join(str(error).split()).removeprefix("nats: ") or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text


async def _failure(step: Callable[[], Awaitable[None]]) -> Exception | None:
    """Does a step; what failed, if another attempt may succeed. Else that is raised."""
    found: Exception | None = None
    try:
        await step()
    except asyncio.CancelledError:
        # A driver cancels what waits for a connection that is lost.
        found = ConnectionError("the connection was lost")
    except ConnectionFailed as error:
        found = error
    except (RecoveryError, TypeError):
        raise  # the database refuses; no such option
    except Exception as error:
        found = error
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError  # also if a driver has swallowed it
    return found
