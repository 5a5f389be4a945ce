"""What is sent: the body of a delivery, within its limit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["compose", "encode", "message_id"]


def message_id(event: Mapping[str, Any]) -> str:
    """The id of a delivery: the same for each attempt.

    After a failover that lost events, a new one may have the id of a lost one, but not its
    time: so both are in it.
    """
    at = datetime.fromisoformat(event["at"])
    micros = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return f"{event['id']}-{micros:x}"


def compose(
    event: Mapping[str, Any], current: Mapping[str, Any] | None, attempt: int, limit: int
) -> bytes:
    """The body.

    Args:
        event: as ``recovery.event`` has it.
        current: what its row is now.
        attempt: 1 for the first one.
        limit: bytes at most. Of a longer one the largest values of ``old`` and ``new`` are
            left out: they are null then, and named in ``cut``.
    """
    data = dict(event)
    body: dict[str, Any] = {
        "type": event.get("topic") or f"{event['watch'] or 'recovery'}.{event['kind']}",
        "timestamp": event["at"],
        "attempt": attempt,
        "current": current,
        "data": data,
    }
    raw = encode(body)
    if len(raw) <= limit:
        return raw
    sizes = sorted(
        (
            (len(encode(value)), image, name)
            for image in ("old", "new")
            if isinstance(data.get(image), dict)
            for name, value in data[image].items()
        ),
        reverse=True,
    )
    cut: list[str] = []
    for image in ("old", "new"):
        if isinstance(data.get(image), dict):
            data[image] = dict(data[image])
    data["cut"] = cut
    length = len(encode(body))
    for size, image, name in sizes:
        data[image][name] = None
        cut.append(f"{image}.{name}")
        length += len(encode(cut[-1])) + len(",") + len("null") - size
        if length <= limit:
            return encode(body)
    # Only the names of the columns are left, and there are very many.
    for image in ("old", "new"):
        data[image] = None
    data["cut"] = ["old", "new"]
    return encode(body)


def encode(value: Any) -> bytes:
    """JSON as it is sent."""
    # A jsonb text may hold no half of a surrogate pair, so it can always be encoded.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
