"""Where the feed of a hub says that it stands, without a database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from recovery.asgi.cursor import Cursor
from recovery.asgi.feed import Client, Feed
from recovery.asgi.shapes import PLAIN
from recovery.events.bus import Bus
from recovery.events.listener import Listener
from recovery.types import Event


def event(id_: int) -> Event:
    now = datetime.now(UTC)
    return Event(id_, now, "app.job", "opened", None, str(id_), None, 1, None, "writer")


async def run(_: object) -> Any:
    raise AssertionError("nothing to look up")


async def told(client: Client) -> Cursor:
    """What the next frame tells a client to come back with."""
    await asyncio.wait_for(client.changed.wait(), 10)
    return Cursor.parse(client.take()[-1][1])


async def test_a_place_of_a_lost_timeline_is_none_of_the_new_one() -> None:
    """A listener that has gone back hands out a page before its own position moves on."""
    listener = SimpleNamespace(bus=Bus(), safe_id=7400, timeline=1)
    feed = Feed(cast(Listener, listener), PLAIN, run)
    client = Client({}, 100, 1_000_000)
    feed.add(client)
    listener.bus.publish(event(7900))  # what is between may still come
    assert await told(client) == Cursor(7400, (7900,), 1)
    for timeline, safe, id_ in ((2, 5800, 5900), (2, 5800, 6000), (2, 5850, 5870)):
        listener.timeline, listener.safe_id = timeline, safe
        listener.bus.publish(event(id_))
        found = await told(client)
        assert found.timeline == 2
        assert found.safe < id_
    await feed.close()
    listener.bus.close()
