"""Consumers of several kinds, each a process that may be killed at any moment and started again.

    python consumers.py KIND NAME PLACE JOURNAL

PLACE is the database's DSN, or what stands between: the URL of a stream or of a broker, the port to
be sent to. Each appends a line of JSON to its journal for every event, before it counts as done;
what else it has to remember it keeps beside it. When something goes wrong it ends, and is started
anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis

import recovery

#: Seconds until a connection that gives no answer counts as dead.
PATIENCE = 3.0


class Journal:
    """Where a consumer writes down what it had."""

    def __init__(self, consumer: str, path: str) -> None:
        self.consumer, self.path = consumer, Path(path)
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        os.write(self._file, b"\n")  # the line that kill -9 has cut off, if any, ends here

    def add(self, *event: Any) -> None:
        """Id, time (or seconds since 1970), watch, key, kind, image."""
        os.write(self._file, self.line(*event).encode() + b"\n")

    def line(
        self,
        id_: int,
        at: datetime | float,
        watch: str,
        key: str,
        kind: str,
        image: Mapping[str, Any] | None,
    ) -> str:
        line = {"consumer": self.consumer, "id": id_, "watch": watch, "key": key, "kind": kind}
        line["at"] = at.timestamp() if isinstance(at, datetime) else at
        if kind in ("gap", "broken"):
            line["new"] = image
        elif image is not None and "mark" in image:
            line["mark"] = image["mark"]
        return json.dumps(line)

    def event(self, event: recovery.Event) -> None:
        self.add(event.id, event.at, event.watch, event.key, event.kind, event.new or event.old)

    def object(self, event: Mapping[str, Any]) -> None:
        """An event as JSON has it."""
        image = event["new"] or event["old"]
        at = datetime.fromisoformat(event["at"])
        self.add(event["id"], at, event["watch"], event["key"], event["kind"], image)

    def kept(self, name: str, otherwise: str) -> str:
        """What the consumer remembers under a name."""
        file = self.path.with_suffix("." + name)
        return file.read_text() if file.exists() else otherwise

    def keep(self, name: str, what: str) -> None:
        draft = self.path.with_suffix(".draft")
        draft.write_text(what)
        draft.replace(self.path.with_suffix("." + name))


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
    after, timeline = json.loads(journal.kept("position", "[0, null]"))
    listener = recovery.listen(dsn, after=after, timeline=timeline, poll=0.3, patience=PATIENCE)
    with listener as bus, bus.subscribe(maxsize=100_000) as events:
        while True:
            timeline, safe = listener.timeline, listener.safe_id
            with contextlib.suppress(TimeoutError):
                while True:
                    journal.event(events.get(0))
            journal.keep("position", json.dumps([safe, timeline]))
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
                "select id, at, watch, key, kind, coalesce(new, old), receipt from recovery.fetch(%s, %s) order by id",
                (journal.consumer, dice.choice((1, 20, 300))),
            ).fetchall()
            if rows and dice.random() < 0.2:
                rows = rows[: dice.randint(1, len(rows))]
            for row in rows:
                journal.add(*row[:6])
            if rows:
                conn.execute("select recovery.acknowledge(%s)", (rows[-1][6],))
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
                "select id, at, watch, key, kind, coalesce(new, old), receipt from recovery.fetch(%s, 100) order by id",
                (journal.consumer,),
            ).fetchall()
            if rows:
                with conn.cursor() as cursor:
                    cursor.executemany(
                        "insert into app.inbox (consumer, line) values (%s, %s)",
                        [(journal.consumer, journal.line(*row[:6])) for row in rows],
                    )
                conn.execute("select recovery.acknowledge(%s)", (rows[-1][6],))
            conn.commit()
            if not rows:
                time.sleep(0.05)


def rewind(conn: psycopg.Connection[Any], position: int, timeline: str | None) -> list[Any]:
    """Where to go on, and the timeline: after a failover from a time before it on."""
    return list(
        conn.execute(
            "select case when t.timeline is not distinct from %(then)s then %(position)s"
            " else least(%(position)s, recovery.event_since(clock_timestamp() - interval '10 minutes')) end, t.timeline"
            " from recovery.timeline() as t (timeline)",
            {"then": timeline, "position": position},
        ).fetchone()
        or ()
    )


def read_settled(dsn: str, journal: Journal) -> None:
    """recovery.read alone, the last id being the position; also on a standby."""
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as conn:
        still_alive()
        position, timeline = rewind(conn, *json.loads(journal.kept("position", "[0, null]")))
        while True:
            still_alive()
            rows = conn.execute(
                "select id, at, watch, key, kind, coalesce(new, old) from recovery.read(%s, 200)",
                (position,),
            ).fetchall()
            for row in rows:
                journal.add(*row)
            if rows:
                position = rows[-1][0]
                journal.keep("position", json.dumps([position, timeline]))
            else:
                time.sleep(0.05)


def read_page(dsn: str, journal: Journal) -> None:
    """recovery.page: keeps newest and gaps itself."""
    with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as conn:
        still_alive()
        newest, gaps, then = json.loads(journal.kept("position", '[0, "{}", null]'))
        place, timeline = rewind(conn, newest, then)
        if place < newest:  # what is above comes again, and shows its gaps anew
            newest, gaps = place, "{}"
        while True:
            still_alive()
            state, *rows = conn.execute(
                "select id, at, watch, key, kind, coalesce(new, old), newest, gaps::text"
                " from recovery.page(%s, %s::int8multirange, 100)", (newest, gaps),
            ).fetchall()  # fmt: skip
            for row in rows:
                journal.add(*row[:6])
            newest, gaps = state[6:8]
            journal.keep("position", json.dumps([newest, gaps, timeline]))
            if not rows:
                time.sleep(0.05)


def stream(url: str, journal: Journal) -> None:
    """Server-sent events: gives the last id back when it connects again, as a browser does."""
    place = urlsplit(url)
    last = journal.kept("position", "")
    # A heartbeat comes every half second: a stream that says nothing for long is dead.
    conn = http.client.HTTPConnection(place.netloc, timeout=10)
    with contextlib.closing(conn):
        conn.request(
            "GET", place.path + "?after=0", headers={"Last-Event-ID": last} if last else {}
        )
        answer = conn.getresponse()
        assert answer.status == 200, answer.read()
        frame: dict[str, str] = {}
        while line := answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(":")
            if name:
                frame[name] = value.removeprefix(" ")
                continue
            if "data" in frame:
                data = json.loads(frame["data"])
                if "event" not in frame:
                    journal.object(data)
                elif frame["event"] == "server.gap":
                    journal.add(data["to"], time.time(), "", "", "gap", data)
            if "id" in frame:
                last = frame["id"]
                journal.keep("position", last)
            frame = {}


def receive(port: str, journal: Journal) -> None:
    """The receiver of a webhook: writes down, then answers."""
    one = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:  # who sent it has died over it
                self.close_connection = True
                return
            with one:
                journal.object(json.loads(body)["data"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            pass  # a client that hangs up

    Server(("127.0.0.1", int(port)), Handler).serve_forever()


def record(url: str, journal: Journal) -> None:
    """What a relay has published to Redis, in order for each of its streams."""
    with redis.Redis.from_url(url, decode_responses=True, socket_timeout=5) as client:
        position = json.loads(journal.kept("position", "{}"))
        while True:
            for key in client.scan_iter("events.*", _type="stream"):
                position.setdefault(key, "0-0")
            if not position:
                time.sleep(0.05)
                continue
            for key, entries in client.xread(position, count=500, block=300):
                for entry, fields in entries:
                    journal.object(json.loads(fields["__data__"]))
                    position[key] = entry
            journal.keep("position", json.dumps(position))


KINDS: dict[str, Callable[[str, Journal], None]] = {
    "sync": consume_sync,
    "async": consume_async,
    "bus": listen,
    "sql": fetch,
    "lazy": fetch,
    "exact": fetch_exactly,
    "read": read_settled,
    "standby": read_settled,
    "page": read_page,
    "sse": stream,
    "webhook": receive,
    "broker": record,
}


def main() -> None:
    kind, name, dsn, journal = sys.argv[1:]
    KINDS[kind](dsn, Journal(name, journal))


if __name__ == "__main__":
    main()
