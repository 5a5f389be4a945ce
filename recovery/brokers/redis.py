"""Redis streams: a page is one transaction there, confirmed by its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from recovery.brokers.message import Message
from recovery.brokers.publisher import Publisher

__all__ = ["RedisPublisher"]


class RedisPublisher(Publisher):
    """Adds to streams whose keys are the subjects; the field ``recovery-id`` is there to
    drop duplicates by, and ``__data__``, where FastStream looks for it, holds the event."""

    SUBJECT = "recovery.{watch}"
    TRIMS = True

    async def publish(self, messages: Sequence[Message]) -> None:
        """All of them or none."""
        async with (
            asyncio.timeout(self._patience),
            self._client.pipeline(transaction=True) as pipeline,
        ):
            for message in messages:
                fields = {**message.headers, "__data__": message.body}
                pipeline.xadd(message.subject, fields, maxlen=self._maxlen, approximate=True)
            await pipeline.execute()

    async def _prepare(self, client: Any) -> None:
        self._client = client
        await client.ping()  # it connects only now

    async def _send(self, message: Message) -> None:
        await self.publish([message])
