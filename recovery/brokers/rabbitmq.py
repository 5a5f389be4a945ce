"""RabbitMQ: a message is confirmed when every queue that its routing key leads to has it."""

from __future__ import annotations

from typing import Any

from recovery.brokers.message import Message
from recovery.brokers.publisher import Publisher

__all__ = ["RabbitPublisher"]

#: Bytes of a routing key, by the protocol.
_KEY = 255


class RabbitPublisher(Publisher):
    """Publishes to a topic exchange; `message_id` is there to drop duplicates by.

    A message that no queue takes is not confirmed: it stays in the database until there is one.
    """

    STREAM = "exchange"

    @classmethod
    def name(cls, subject: str) -> str:
        """At most 255 bytes."""
        return subject.encode()[:_KEY].decode(errors="ignore")

    async def _prepare(self, client: Any) -> None:
        from faststream.rabbit import ExchangeType, RabbitExchange

        self._exchange = RabbitExchange(self._stream, type=ExchangeType.TOPIC, durable=True)
        await self._broker.declare_exchange(self._exchange)

    async def _send(self, message: Message) -> None:
        from aio_pika.exceptions import PublishError
        from pamqp.commands import Basic

        try:
            answer = await self._broker.publish(
                message.body,
                exchange=self._exchange,
                routing_key=message.subject,
                mandatory=True,
                persist=True,
                content_type="application/json",
                headers=dict(message.headers),
                correlation_id=message.id,
                message_id=message.id,
                message_type=message.event.kind,
                timestamp=message.event.at,
                timeout=self._patience,
            )
        except PublishError:
            answer = None
        if not isinstance(answer, Basic.Ack):
            raise LookupError(
                f"no queue takes {message.subject}: bind one to the exchange {self._stream}"
            )
