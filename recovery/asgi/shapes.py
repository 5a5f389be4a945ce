"""How an event looks on the wire: as it is, or as opencode would have sent it."""

from __future__ import annotations

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias

from recovery import calls
from recovery.asgi import wire
from recovery.types import Event

__all__ = ["AGENT", "PLAIN", "Rendered", "Run", "Shape"]

#: Executes a call on the database.
Run: TypeAlias = Callable[[calls.Call[Any]], Awaitable[Any]]

#: What belongs behind the ``id:`` of a frame, by the id of its event; None: it has no frame.
Rendered: TypeAlias = Mapping[int, "tuple[str, str | None] | None"]


class Shape(ABC):
    """A kind of stream.

    Attributes:
        filters: names of the parameters that filter, and the attribute of an event of each.
        watches: the only ones that it can show; None: any.
    """

    filters: ClassVar[Mapping[str, str]]
    watches: ClassVar[Collection[str] | None] = None

    @abstractmethod
    async def render(self, events: Sequence[Event], run: Run) -> dict[int, str | None]:
        """The data of each event, by its id: one line; None: it is not shown."""

    @abstractmethod
    def control(self, type_: str, properties: Mapping[str, Any], cursor: str | None) -> bytes:
        """A frame that stands for no event."""


class Plain(Shape):
    """`Event` as JSON. What stands for no event has a name, so `onmessage` sees rows only."""

    filters: ClassVar[Mapping[str, str]] = {
        "watch": "watch",
        "group": "group",
        "kind": "kind",
        "topic": "topic",
        "reason": "reason",
    }

    async def render(self, events: Sequence[Event], run: Run) -> dict[int, str | None]:
        return {event.id: event.to_json() for event in events}

    def control(self, type_: str, properties: Mapping[str, Any], cursor: str | None) -> bytes:
        return wire.frame(_json(properties), id_=cursor, event=type_)


class Agent(Shape):
    """The agent store in the shape of opencode: ``{"id", "type", "properties"}``.

    The event says which row has changed; what is sent is the row as it is when it is sent.
    Questions to an owner (`cancel`) and the state of watches are not for clients.
    """

    filters: ClassVar[Mapping[str, str]] = {"session": "group"}
    watches = (
        "agent.part",
        "agent.message",
        "agent.session_message",
        "agent.session",
        "agent.hold",
    )

    async def render(self, events: Sequence[Event], run: Run) -> dict[int, str | None]:
        wanted = [row for event in events if (row := _row(event)) is not None]
        found = await run(calls.agent_store.rows(wanted)) if wanted else {}
        return {event.id: _frame(event, found) for event in events}

    def control(self, type_: str, properties: Mapping[str, Any], cursor: str | None) -> bytes:
        return wire.frame(_envelope(uuid.uuid4().hex, type_, _json(properties)), id_=cursor)


PLAIN, AGENT = Plain(), Agent()

_ROWS = {"opened", "reopened", "closed", "requeued", "adopted"}


def _row(event: Event) -> calls.agent_store.Row | None:
    """The row that has to be looked up for an event."""
    if event.kind not in _ROWS:
        return None
    return event.watch.rpartition(".")[2], event.key


def _frame(event: Event, found: Mapping[calls.agent_store.Row, str]) -> str | None:
    if event.kind == "gap":
        return _envelope(event.id, "server.gap", _json({"watch": event.watch, **(event.new or {})}))
    if event.kind in ("failed", "idle"):
        type_, properties = event.topic or f"session.{event.kind}", _of_session(event)
    elif event.kind in _ROWS or event.kind == "deleted":
        row = found.get(_row(event) or ("", ""))
        type_, properties = _SHOWN[event.watch](event, row)
    else:
        return None
    return _envelope(event.id, type_, properties)


def _of_session(event: Event) -> str:
    properties: dict[str, Any] = {"sessionID": event.group}
    if event.topic == "session.error":
        words = (event.new or {}).get("message") or event.reason
        message = f"The turn was interrupted ({words})"
        properties["error"] = {"name": "MessageAbortedError", "data": {"message": message}}
    elif event.topic == "session.status":
        properties["status"] = {"type": "idle"}
    return _json(properties)


def _part(event: Event, row: str | None) -> tuple[str, str]:
    if row is None:
        gone = {"sessionID": event.group, "partID": event.key}
        return "message.part.removed", _json(gone)
    # `row` is {"part": …, "time": …} already.
    return "message.part.updated", f'{{"sessionID": {_json(event.group)}, {row[1:]}'


def _message(event: Event, row: str | None) -> tuple[str, str]:
    if row is None:
        return "message.removed", _json({"sessionID": event.group, "messageID": event.key})
    return "message.updated", f'{{"sessionID": {_json(event.group)}, "info": {row}}}'


def _session_message(event: Event, row: str | None) -> tuple[str, str]:
    """opencode 2 tells each step of a turn; here it is the whole turn, as its API shows it."""
    if row is None:
        gone = {"sessionID": event.group, "messageID": event.key}
        return "session.message.removed", _json(gone)
    shown = f'{{"sessionID": {_json(event.group)}, "message": {row}}}'
    return "session.message.updated", shown


def _session(event: Event, row: str | None) -> tuple[str, str]:
    if row is None:
        return "session.deleted", _json({"sessionID": event.key, "info": {"id": event.key}})
    return "session.updated", _json({"sessionID": event.key, "info": _info(json.loads(row))})


def _hold(event: Event, row: str | None) -> tuple[str, str]:
    if row is None:
        return "hold.removed", _json({"sessionID": event.group, "holdID": event.key})
    return "hold.updated", f'{{"sessionID": {_json(event.group)}, "hold": {row}}}'


_SHOWN: Mapping[str, Callable[[Event, str | None], tuple[str, str]]] = {
    "agent.part": _part,
    "agent.message": _message,
    "agent.session_message": _session_message,
    "agent.session": _session,
    "agent.hold": _hold,
}


def _info(row: Mapping[str, Any]) -> dict[str, Any]:
    """A session's columns as opencode shows them."""
    info = {
        "id": row["id"],
        "slug": row["slug"],
        "projectID": row["project_id"],
        "workspaceID": row["workspace_id"],
        "directory": row["directory"],
        "path": row["path"],
        "parentID": row["parent_id"],
        "title": row["title"],
        "agent": row["agent"],
        "model": _parsed(row["model"]),
        "version": row["version"],
        "share": None if row["share_url"] is None else {"url": row["share_url"]},
        "summary": _some(
            additions=row["summary_additions"],
            deletions=row["summary_deletions"],
            files=row["summary_files"],
        )
        or None,
        "cost": row["cost"],
        "tokens": {
            "input": row["tokens_input"],
            "output": row["tokens_output"],
            "reasoning": row["tokens_reasoning"],
            "cache": {"read": row["tokens_cache_read"], "write": row["tokens_cache_write"]},
        },
        "time": _some(
            created=row["time_created"],
            updated=row["time_updated"],
            compacting=row["time_compacting"],
            archived=row["time_archived"],
        ),
    }
    return _some(**info)


def _some(**values: Any) -> dict[str, Any]:
    """Those that are there: opencode leaves out what is not."""
    return {name: value for name, value in values.items() if value is not None}


def _parsed(text: str | None) -> Any:
    """JSON that is kept as text, in whatever state."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _envelope(id_: int | str, type_: str, properties: str) -> str:
    return f'{{"id": "evt_{id_}", "type": {_json(type_)}, "properties": {properties}}}'
