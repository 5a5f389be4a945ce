"""What all brokers have in common: a connection, and a page that is confirmed as a whole."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from recovery.brokers.message import Message, Template
from recovery.types import Event

__all__ = ["Publisher", "TooLarge", "in_order"]

#: How many messages of different rows may wait for their confirmation at once.
_IN_FLIGHT = 256
#: Seconds for a connection to close; it has nothing left to do.
_CLOSING = 2.0


class TooLarge(Exception):
    """The broker takes no message of this size."""


class Publisher(ABC):
    """One connection to a broker, through FastStream.

    Args:
        make: makes a FastStream broker that is not connected.
        stream: what messages are published to, where the broker has such a thing.
        template: of the subjects.
        patience: seconds for an answer.
        maxlen: how many messages to keep, where the publisher has to say.
        hosts: where `make` will connect to, as far as that is known.
    """

    #: The default of the subject.
    SUBJECT: ClassVar[str] = "recovery.{watch}.{kind}"
    #: What the broker calls `stream`; None where the subject alone says where it goes.
    STREAM: ClassVar[str | None] = None
    #: Whether it takes `maxlen`.
    TRIMS: ClassVar[bool] = False

    def __init__(
        self,
        make: Callable[[], Any],
        *,
        stream: str,
        template: Template,
        patience: float,
        maxlen: int | None,
        hosts: Sequence[str] = (),
    ) -> None:
        self._make, self._stream, self._template = make, stream, template
        self._patience, self._maxlen, self._hosts = patience, maxlen, hosts
        self._broker: Any = None

    async def connect(self) -> None:
        """Connects, and makes what is missing there."""
        self._broker = self._make()
        async with asyncio.timeout(self._patience):
            await self._prepare(await self._broker.connect())

    async def close(self) -> None:
        """Closes the connection, whatever state it is in."""
        broker, self._broker = self._broker, None
        if broker is not None:
            # A broker that is gone can't be told; nothing of ours waits for it any more.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(_CLOSING):
                    await self._close(broker)

    def message(self, event: Event) -> Message:
        """What to publish of an event."""
        return self._template.message(event, self.name)

    async def publish(self, messages: Sequence[Message]) -> None:
        """Publishes a page. When it returns, the broker has confirmed every message.

        If it fails, any of them may be there, but none without those before it of its row.
        """
        await in_order(messages, self._fitting)

    @classmethod
    def name(cls, subject: str) -> str:
        """What this broker allows of a subject."""
        return subject

    async def _fitting(self, message: Message) -> None:
        """Publishes one message, without the row's values if it is too large with them."""
        async with asyncio.timeout(self._patience):
            try:
                await self._send(message)
            except TooLarge:
                await self._send(message.without_images())

    @abstractmethod
    async def _prepare(self, client: Any) -> None:
        """Looks whether the broker is as it should be, over its own client."""

    async def _close(self, broker: Any) -> None:
        await broker.stop()

    @abstractmethod
    async def _send(self, message: Message) -> None:
        """Publishes one message and waits for its confirmation."""


async def in_order(messages: Sequence[Message], send: Callable[[Message], Awaitable[None]]) -> None:
    """Sends messages: those of one row each after the other's end, those of different rows at once.

    The first failure ends it, and is raised.
    """
    rows: dict[str, list[Message]] = {}
    for message in messages:
        rows.setdefault(message.row, []).append(message)
    free = asyncio.Semaphore(_IN_FLIGHT)

    async def send_row(row: list[Message]) -> None:
        for message in row:
            async with free:
                await _confirmed(send(message))

    # Not a TaskGroup: in Python 3.11 a failure in it leaves its own task marked as cancelled.
    tasks = [asyncio.ensure_future(send_row(row)) for row in rows.values()]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _confirmed(sending: Awaitable[None]) -> None:
    """Waits for a confirmation. A driver may cancel what waits on a connection that is lost."""
    try:
        await sending
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError("the connection was lost") from None
