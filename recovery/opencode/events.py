"""What opencode writes into its own log (table ``event``) when a row changes as by a repair.

Another instance that replays the log (``/sync/history``, ``/sync/replay``) builds its rows from it,
and compares what it knows already with what it is sent after stripping both to its schema: so an
event holds what the schema knows, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from recovery.opencode.plan import Change

__all__ = ["EVENTS", "Tell"]

_Data = dict[str, Any]

#: Of the state of a tool that ended in an error.
_STATE = ("status", "input", "error", "metadata", "time")


@dataclass(frozen=True)
class Tell:
    """How the changes of a table are told."""

    columns: tuple[str, ...]  #: that `events` needs besides `data`
    #: Of the change, the new data, those columns and the time in milliseconds: type and data.
    events: Callable[[Change, _Data, Mapping[str, Any], int], Iterator[tuple[str, _Data]]]


def _part(
    change: Change, data: _Data, row: Mapping[str, Any], now: int
) -> Iterator[tuple[str, _Data]]:
    if data.get("type") == "tool":
        data = {**data, "state": {k: data["state"][k] for k in _STATE if k in data["state"]}}
    ids = {"id": change.id, "sessionID": change.session, "messageID": row["message_id"]}
    yield (
        "message.part.updated.1",
        {"sessionID": change.session, "part": {**ids, **data}, "time": now},
    )


def _message(
    change: Change, data: _Data, row: Mapping[str, Any], now: int
) -> Iterator[tuple[str, _Data]]:
    ids = {"id": change.id, "sessionID": change.session}
    yield "message.updated.1", {"sessionID": change.session, "info": {**ids, **data}}


def _turn(
    change: Change, data: _Data, row: Mapping[str, Any], now: int
) -> Iterator[tuple[str, _Data]]:
    """Of opencode 2, as it does at the next prompt: an event for each tool, none for the turn."""
    about = {"timestamp": now, "sessionID": change.session}
    if row["type"] == "shell":
        yield (
            "session.next.shell.ended.1",
            {**about, "callID": data.get("callID"), "output": data.get("output", "")},
        )
        return
    closed = {e.path[1] for e in change.edits if e.path[0] == "content" and e.path[2] == "state"}
    for index in sorted(closed):
        tool = data["content"][index]
        yield (
            "session.next.tool.failed.1",
            {
                **about,
                "assistantMessageID": change.id,
                "callID": tool.get("id"),
                "error": tool["state"]["error"],
                "provider": tool.get("provider", {"executed": False}),
            },
        )


EVENTS: Mapping[str, Tell] = {
    "part": Tell(("message_id",), _part),
    "message": Tell((), _message),
    "session_message": Tell(("type",), _turn),
}
