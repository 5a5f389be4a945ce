"""The body, and what is left out of one that is too long."""

from __future__ import annotations

import json
from typing import Any

from recovery.webhooks.message import compose, message_id

EVENT = {
    "id": 12,
    "at": "2026-11-26T18:00:00.000001+00:00",
    "watch": "public.job",
    "kind": "closed",
    "topic": None,
    "key": "7",
    "group": None,
    "server_epoch": 5,
    "reason": "lease_expired",
    "detector": "sweep:x",
    "old": {"status": "running"},
    "new": {"status": "failed"},
}
NOW = {"scope": "row", "state": "open", "at": "2026-11-26T18:00:05+00:00"}


def body(event: dict[str, Any], limit: int = 16384) -> dict[str, Any]:
    raw = compose(event, NOW, 2, limit)
    assert len(raw) <= limit
    found: dict[str, Any] = json.loads(raw)
    return found


def test_what_is_in_it() -> None:
    assert body(EVENT) == {
        "type": "public.job.closed",
        "timestamp": EVENT["at"],
        "attempt": 2,
        "current": NOW,
        "data": EVENT,
    }
    assert body({**EVENT, "topic": "job.failed"})["type"] == "job.failed"
    assert body({**EVENT, "watch": "", "kind": "gap"})["type"] == "recovery.gap"


def test_the_largest_values_are_left_out_and_named() -> None:
    event = {
        **EVENT,
        "old": {"small": 1, "large": "x" * 9000},
        "new": {"small": "é" * 2000, "huge": ["y"] * 20000},
    }
    data = body(event)["data"]
    assert data["cut"] == ["new.huge"]
    assert data["old"] == event["old"]
    assert data["new"] == {"small": "é" * 2000, "huge": None}
    assert event["new"]["huge"]  # type: ignore[index]  # the event itself is as it was
    data = body({**event, "old": {"large": "x" * 14000}})["data"]
    assert data["cut"] == ["new.huge", "old.large"]


def test_very_many_columns() -> None:
    event = {**EVENT, "new": {f"column_{n:04}": "x" * 100 for n in range(1600)}, "old": None}
    data = body(event, 65536)["data"]
    assert data["cut"]
    assert 0 < len(data["cut"]) < 1600
    assert all(data["new"][name.removeprefix("new.")] is None for name in data["cut"])
    assert sum(value is None for value in data["new"].values()) == len(data["cut"])
    # Not even their names fit.
    data = body({**event, "new": {"x" * 60 + str(n): 1 for n in range(1600)}})["data"]
    assert (data["old"], data["new"], data["cut"]) == (None, None, ["old", "new"])


def test_the_id_tells_an_event_from_one_that_has_its_number_after_a_failover() -> None:
    again = {**EVENT, "at": "2026-11-26T18:00:00.000002+00:00"}
    assert message_id(EVENT) != message_id(again)
    assert message_id(EVENT) == message_id({**EVENT, "at": "2026-11-26T20:00:00.000001+02:00"})
    assert message_id(EVENT).startswith("12-")
