"""An event as brokers get it. Pure: no broker, no database.

The subject (a NATS subject, a routing key, the key of a Redis stream, a Kafka topic) is for
routing only; the body says everything. Names in it keep letters, digits, ``-`` and ``_``, and
the dots of a watch: what else is in them becomes ``_``, since each broker forbids other signs.
"""

from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from recovery.errors import InvalidArgument
from recovery.types import Event

__all__ = ["FIELDS", "Message", "Template", "message_id"]

#: What may stand in braces in a subject.
FIELDS = ("watch", "kind", "topic", "group", "reason")

#: Bytes of a header; the body has all of it.
_HEADER = 255
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def message_id(event: Event) -> str:
    """What to drop duplicates by.

    Not the id alone: after a failover that lost events, new ones may have the ids of lost
    ones, and a broker would drop them. Two databases may feed one stream, too.
    """
    return f"{event.id}-{(event.at - _EPOCH) // timedelta(microseconds=1)}"


@dataclass(frozen=True, slots=True)
class Message:
    """What is published of one event.

    Attributes:
        id: to drop duplicates by.
        subject: where it goes.
        row: whose order must be kept.
        headers: the columns that a consumer may want before it reads the body.
        body: the event as JSON, in UTF-8.
        event: what it was made of.
    """

    id: str
    subject: str
    row: str
    headers: dict[str, str]
    body: bytes
    event: Event

    def without_images(self) -> Message:
        """The same without the values of the row, for a broker that finds it too large."""
        bare = dataclasses.replace(self.event, old=None, new={"cut": "too large for the broker"})
        return dataclasses.replace(self, body=bare.to_json().encode(), event=bare)


class Template:
    """Makes messages; their subjects by a template such as ``recovery.{watch}.{kind}``.

    Args:
        text: the template; a part that an event has not is ``-``.

    Raises:
        InvalidArgument: it can't be a subject, or names another field (RC010).
    """

    def __init__(self, text: str) -> None:
        known = ", ".join("{" + name + "}" for name in FIELDS)
        try:
            parts = list(string.Formatter().parse(text))
        except ValueError as error:
            raise InvalidArgument(f"subject {text!r}: {error}") from None
        for _, name, spec, conversion in parts:
            if name is not None and (name not in FIELDS or spec or conversion):
                raise InvalidArgument(f"subject {text!r}: {{{name}}} is not one of {known}")
        self._parts = [(literal, name) for literal, name, _, _ in parts]
        literals = "".join(literal for literal, _ in self._parts)
        if not re.fullmatch(r"[\w.:/-]*", literals) or not re.match(r"\w", text):
            raise InvalidArgument(
                f"subject {text!r}: begin with a word, and use letters, digits and . : / - _"
                f" beside {known}"
            )
        if ".." in text or text.endswith("."):
            raise InvalidArgument(f"subject {text!r} has an empty part between its dots")
        self.text = text

    @property
    def prefix(self) -> str:
        """What stands before the first field."""
        return self._parts[0][0]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields in it."""
        return tuple(name for _, name in self._parts if name is not None)

    def message(self, event: Event, name: Callable[[str], str] = str) -> Message:
        """What to publish of an event.

        Args:
            event: the event.
            name: what becomes of a subject that is complete.
        """
        subject = "".join(
            literal + ("" if field is None else _word(getattr(event, field)))
            for literal, field in self._parts
        )
        id_ = message_id(event)
        headers = {"recovery-id": id_, "event-id": str(event.id), "watch": event.watch}
        headers |= {"kind": event.kind, "key": event.key, "at": event.at.isoformat()}
        if event.group is not None:
            headers["group"] = event.group
        return Message(
            id=id_,
            subject=name(subject),
            row=f"{event.watch}:{event.key}",
            headers={key: _line(value) for key, value in headers.items()},
            body=event.to_json().encode(),
            event=event,
        )


def _word(value: str | None) -> str:
    """A name as a part of a subject."""
    if not value:
        return "-"
    return ".".join(re.sub(r"[^\w-]", "_", part) or "_" for part in value.split("."))


def _line(value: str) -> str:
    """A value as a header: one line, since that is what ends it in NATS, and short."""
    line = re.sub(r"[\x00-\x1f\x7f]", " ", value)
    return line.encode()[:_HEADER].decode(errors="ignore")
