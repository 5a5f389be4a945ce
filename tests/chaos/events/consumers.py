"""Consumers of several kinds, each a process that may be killed at any moment and started again.

    python consumers.py KIND NAME DSN JOURNAL

Each appends a line of JSON to its journal for every event, before it counts as done; what else it
has to remember it keeps beside it. When something goes wrong it ends, and is started anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg

import recovery

#: Seconds until a connection that gives no answer counts as dead.
PATIENCE = 3.0


class Journal:
    """Where a consumer writes down what it had."""

    def __init__(self, consumer: str, path: str) -> None:
        self.consumer, self.path = consumer, Path(path)
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(self._file, b"\n")  # the line that kill -9 has cut off, if any, ends here

    def add(
        self, id_: int, watch: str, key: str, kind: str, image: Mapping[str, Any] | None
    ) -> None:
        os.write(self._file, self.line(id_, watch, key, kind, image).encode() + b"\n")

    def line(
        self, id_: int, watch: str, key: str, kind: str, image: Mapping[str, Any] | None
    ) -> str:
        line = {"consumer": self.consumer, "id": id_, "watch": watch, "key": key, "kind": kind}
        if image is not None and "mark" in image:
            line["mark"] = image["mark"]
        return json.dumps(line)

    def event(self, event: recovery.Event) -> None:
        self.add(event.id, event.watch, event.key, event.kind, event.new or event.old)

    @property
    def _position(self) -> Path:
        return self.path.with_suffix(".position")

    def position(self) -> int:
        """Of a consumer that keeps its own."""
        return int(self._position.read_text()) if self._position.exists() else 0

    def move(self, position: int) -> None:
        draft = self.path.with_suffix(".draft")
        draft.write_text(str(position))
        draft.replace(self._position)


def consume_sync(dsn: str, journal: Journal) -> None:
    with recovery.consume(
        dsn, journal.consumer, after=0, limit=50, poll=0.3, patience=PATIENCE
    ) as events:
        for event in events:
            journal.event(event)


def consume_async(dsn: str, journal: Journal) -> None:
    async def run() -> None:
        async with recovery.consume(
            dsn, journal.consumer, after=0, limit=200, poll=0.3, patience=PATIENCE
        ) as events:
            async for event in events:
                journal.event(event)
                if event.id % 700 == 0:
                    await asyncio.sleep(0.02)

    asyncio.run(run())


def listen(dsn: str, journal: Journal) -> None:
    """Keeps its position itself: what was safe before it had emptied its queue."""
    listener = recovery.listen(dsn, after=journal.position(), poll=0.3, patience=PATIENCE)
    with listener as bus, bus.subscribe(maxsize=100_000) as events:
        while True:
            safe = listener.safe_id
            with contextlib.suppress(TimeoutError):
                while True:
                    journal.event(events.get(0))
            journal.move(safe)
            with contextlib.suppress(TimeoutError):
                journal.event(events.get(0.1))


def still_alive() -> None:
    """Ends a consumer in plain SQL whose next look takes too long: a driver waits for ever."""
    signal.alarm(10)


def fetch(dsn: str, journal: Journal) -> None:
    """SQL, and nothing of ours; acknowledges a part now and then."""
    dice = random.Random()
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as conn:
        conn.execute("select recovery.create_consumer(%s, 0)", (journal.consumer,))
        while True:
            still_alive()
            rows = conn.execute(
                "select id, watch, key, kind, coalesce(new, old), receipt from recovery.fetch(%s, %s) order by id",
                (journal.consumer, dice.choice((1, 20, 300))),
            ).fetchall()
            if rows and dice.random() < 0.2:
                rows = rows[: dice.randint(1, len(rows))]
            for row in rows:
                journal.add(*row[:5])
            if rows:
                conn.execute("select recovery.acknowledge(%s)", (rows[-1][5],))
            else:
                time.sleep(0.05)


def fetch_exactly(dsn: str, journal: Journal) -> None:
    """Does what an event leads to, and acknowledges it, in one transaction: exactly once."""
    with psycopg.connect(dsn, connect_timeout=5) as conn:
        conn.execute("select recovery.create_consumer(%s, 0)", (journal.consumer,))
        conn.commit()
        while True:
            still_alive()
            rows = conn.execute(
                "select id, watch, key, kind, coalesce(new, old), receipt from recovery.fetch(%s, 100) order by id",
                (journal.consumer,),
            ).fetchall()
            if rows:
                with conn.cursor() as cursor:
                    cursor.executemany(
                        "insert into app.inbox (consumer, line) values (%s, %s)",
                        [(journal.consumer, journal.line(*row[:5])) for row in rows],
                    )
                conn.execute("select recovery.acknowledge(%s)", (rows[-1][5],))
            conn.commit()
            if not rows:
                time.sleep(0.05)


def read_settled(dsn: str, journal: Journal) -> None:
    """recovery.read alone, the last id being the position; also on a standby."""
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as conn:
        position = journal.position()
        while True:
            still_alive()
            rows = conn.execute(
                "select id, watch, key, kind, coalesce(new, old) from recovery.read(%s, 200)",
                (position,),
            ).fetchall()
            for row in rows:
                journal.add(*row)
            if rows:
                position = rows[-1][0]
                journal.move(position)
            else:
                time.sleep(0.05)


def read_page(dsn: str, journal: Journal) -> None:
    """recovery.page: keeps newest and gaps itself."""
    kept = journal.path.with_suffix(".page")
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as conn:
        newest, gaps = json.loads(kept.read_text()) if kept.exists() else (0, "{}")
        while True:
            still_alive()
            state, *rows = conn.execute(
                "select id, watch, key, kind, coalesce(new, old), newest, gaps::text"
                " from recovery.page(%s, %s::int8multirange, 100)", (newest, gaps),
            ).fetchall()  # fmt: skip
            for row in rows:
                journal.add(*row[:5])
            newest, gaps = state[5:7]
            draft = kept.with_suffix(".draft")
            draft.write_text(json.dumps([newest, gaps]))
            draft.replace(kept)
            if not rows:
                time.sleep(0.05)


KINDS: dict[str, Callable[[str, Journal], None]] = {
    "sync": consume_sync,
    "async": consume_async,
    "bus": listen,
    "sql": fetch,
    "exact": fetch_exactly,
    "read": read_settled,
    "standby": read_settled,
    "page": read_page,
}


def main() -> None:
    kind, name, dsn, journal = sys.argv[1:]
    KINDS[kind](dsn, Journal(name, journal))


if __name__ == "__main__":
    main()
