"""Kafka: a message is confirmed when all in-sync replicas have it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from recovery.brokers.message import Message
from recovery.brokers.publisher import Publisher, TooLarge

__all__ = ["KafkaPublisher"]

#: Characters of a topic, by the protocol.
_TOPIC = 249


class KafkaPublisher(Publisher):
    """Publishes to topics that are the subjects, with the row as key: one partition has them all.

    The header ``recovery-id`` is there to drop duplicates by.
    """

    SUBJECT = "recovery.{watch}"

    @classmethod
    def name(cls, subject: str) -> str:
        """ASCII, and no other signs than ``.``, ``_``, ``-``."""
        return re.sub(r"[^a-zA-Z0-9._-]", "_", subject)[:_TOPIC]

    async def connect(self) -> None:
        """As any other, if one of the hosts is there at all.

        A producer that could not start can't be closed through FastStream, and complains.
        """
        if self._hosts:
            await self._reach()
        await super().connect()

    async def _reach(self) -> None:
        failure: Exception = ConnectionError()
        for address in self._hosts:
            host, _, port = address.rpartition(":")
            try:
                async with asyncio.timeout(self._patience):
                    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
                writer.close()
                return
            except (OSError, TimeoutError) as error:
                failure = error
        raise failure

    async def _prepare(self, client: Any) -> None:
        """Topics are the broker's to make, or of whoever runs it."""

    async def _send(self, message: Message) -> None:
        from aiokafka.errors import MessageSizeTooLargeError  # type: ignore[import-untyped]

        try:
            await self._broker.publish(
                message.body,
                message.subject,
                key=message.row.encode(),
                headers={**message.headers, "content-type": "application/json"},
                correlation_id=message.id,
            )
        except MessageSizeTooLargeError:
            raise TooLarge from None
