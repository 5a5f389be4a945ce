"""NATS JetStream: a message is confirmed when its stream has it."""

from __future__ import annotations

from typing import Any

from recovery.brokers.message import Message
from recovery.brokers.publisher import Publisher, TooLarge

__all__ = ["NatsPublisher"]

#: Of a stream that is made here, in seconds: how long messages stay, and their ids are known.
_AGE = 7 * 86400.0
_DUPLICATES = 600.0
#: Bytes for the headers that FastStream and the client add.
_THEIRS = 256


class NatsPublisher(Publisher):
    """Publishes to a stream of JetStream; the header ``Nats-Msg-Id`` drops duplicates."""

    STREAM = "stream"

    _client: Any = None

    async def _prepare(self, client: Any) -> None:
        from nats.js.errors import NotFoundError

        self._client, self._limit = client, client.max_payload
        jetstream = client.jetstream(timeout=self._patience)
        try:
            await jetstream.stream_info(self._stream)
        except NotFoundError:
            await jetstream.add_stream(
                name=self._stream,
                subjects=[self._subjects()],
                max_age=_AGE,
                duplicate_window=_DUPLICATES,
            )

    def _subjects(self) -> str:
        """What the stream takes: all below the first words of the subject, or it alone."""
        words, dot, rest = self._template.prefix.rpartition(".")
        return f"{words}.>" if self._template.fields and dot and not rest else self._template.prefix

    async def _send(self, message: Message) -> None:
        headers = {**message.headers, "Nats-Msg-Id": message.id, "content-type": "application/json"}
        size = sum(len(key) + len(value.encode()) + 4 for key, value in headers.items())
        if len(message.body) + size + _THEIRS > self._limit:
            raise TooLarge
        await self._broker.publish(
            message.body,
            message.subject,
            headers=headers,
            correlation_id=message.id,
            stream=self._stream,
            timeout=self._patience,
        )

    async def _close(self, broker: Any) -> None:
        if self._client is not None:  # what was published is confirmed: there is nothing to drain
            client, self._client = self._client, None
            await client.close()
