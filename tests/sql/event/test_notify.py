"""P11: NOTIFY is a wake-up: ids and kinds only, small, seldom; the events are in the table."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from helpers import wait_for
from sql.jobs import (
    Connection,
    add,
    attach,
    boot,
    heartbeat,
    last_event,
    shutdown,
    sweep,
    value,
    write_as,
)

SECRET = "s3cret-payload"


@pytest.fixture
def listener(jobs: Connection, connect: Callable[..., Connection]) -> Connection:
    conn = connect()
    conn.execute("listen recovery")
    return conn


def heard(listener: Connection) -> list[dict[str, Any]]:
    """All that was sent so far: whatever comes before a NOTIFY of our own."""
    listener.execute("notify recovery, '\"end\"'")
    payloads: list[dict[str, Any]] = []
    for note in listener.notifies(timeout=10):
        if note.payload == '"end"':
            return payloads
        payloads.append(json.loads(note.payload))
    raise TimeoutError("the own NOTIFY did not come")


def quiet(conn: Connection) -> None:
    """Waits until the bell may ring again."""
    wait_for(
        lambda: value(
            conn,
            "select (date_part('epoch', clock_timestamp()) * 1000)::bigint - last_value >= 20"
            " from recovery.bell_time",
        )
    )


def test_one_write_is_told_with_its_id_and_kind(jobs: Connection, listener: Connection) -> None:
    add(jobs, None)
    id_ = last_event(jobs)
    assert heard(listener) == [
        {"from": id_, "to": id_, "count": 1, "events": [{"id": id_, "kind": "opened"}]}
    ]


def test_p09_what_is_rolled_back_is_not_told(jobs: Connection, listener: Connection) -> None:
    with jobs.transaction(force_rollback=True):
        add(jobs, None)
    assert heard(listener) == []


@pytest.mark.parametrize("count", [1, 20])
def test_a_small_closing_lists_its_events(
    jobs: Connection, listener: Connection, count: int
) -> None:
    add(jobs, boot(jobs).epoch, count)
    seen = last_event(jobs)
    heard(listener)
    boot(jobs)
    (told,) = heard(listener)
    ids = range(seen + 100, seen + 100 + count)
    assert told == {
        "from": ids[0],
        "to": ids[-1],
        "count": count,
        "events": [{"id": id_, "kind": "closed"} for id_ in ids],
    }


def test_a_large_closing_tells_the_range(jobs: Connection, listener: Connection) -> None:
    add(jobs, boot(jobs).epoch, 21)
    seen = last_event(jobs)
    heard(listener)
    boot(jobs)
    assert heard(listener) == [{"from": seen + 100, "to": seen + 120}]


def test_each_batch_is_told_at_its_commit(jobs: Connection, listener: Connection) -> None:
    add(jobs, boot(jobs).epoch, 5)
    heard(listener)
    boot(jobs, batch=2)
    assert [told["count"] for told in heard(listener)] == [2, 2, 1]


def test_p11_never_user_data_and_always_small(
    app: Connection, connect: Callable[..., Connection]
) -> None:
    app.execute("drop table app.job; create table app.job (id text primary key, status text)")
    attach(app, close="""{"status": "'failed'"}""", name="n" * 200, topic=SECRET, group="id")
    listener = connect()
    listener.execute("listen recovery")
    server = boot(app)
    write_as(app, server.epoch)
    app.execute(
        "insert into app.job select repeat(%s, 90) || n, 'running'"
        " from generate_series(1, 20) as n",
        (SECRET,),
    )
    app.execute("set recovery.reason = 's3cret-payload'")
    app.execute("update app.job set status = 'done' where id like '%%1'")
    shutdown(app, server.epoch)
    listener.execute("notify recovery, '\"end\"'")
    notes = list(listener.notifies(timeout=10, stop_after=2))
    assert notes
    for note in notes:
        assert "s3cret" not in note.payload
        assert "nnn" not in note.payload
        assert len(note.payload.encode()) < 2000


def test_a_storm_rings_seldom(jobs: Connection, listener: Connection) -> None:
    start = value(jobs, "select clock_timestamp()")
    for _ in range(300):
        add(jobs, None)
    took = value(jobs, "select extract(epoch from clock_timestamp() - %s) * 1000", start)
    assert 1 <= len(heard(listener)) <= float(took) / 20 + 2


def ring_by_sweep(conn: Connection) -> None:
    sweep(conn)


def ring_by_heartbeat(conn: Connection) -> None:
    quiet(conn)
    server = boot(conn, "ringer")
    heartbeat(conn, server)


@pytest.mark.parametrize("ring", [ring_by_sweep, ring_by_heartbeat])
def test_silent_events_are_told_later(
    jobs: Connection, listener: Connection, ring: Callable[[Connection], None]
) -> None:
    jobs.execute("set recovery.notify = 'off'")
    add(jobs, None, 3)
    last = last_event(jobs)
    assert heard(listener) == []
    ring(jobs)
    (told,) = heard(listener)
    assert (told["from"], told["to"], told["count"]) == (last - 200, last, 3)
    ring(jobs)
    assert heard(listener) == []


def test_a_write_just_after_the_bell_is_silent(jobs: Connection, listener: Connection) -> None:
    with jobs.transaction():
        # Two events of one transaction: the second falls into the 50 ms of the first.
        jobs.execute("insert into app.job select from generate_series(1, 2)")
    assert len(heard(listener)) <= 1


def test_a_bell_that_was_rolled_back_silences_nothing_for_ever(
    jobs: Connection, writer: Connection, listener: Connection
) -> None:
    writer.execute("set recovery.notify = 'off'")
    add(writer, None)
    told = last_event(writer)
    quiet(jobs)
    with jobs.transaction(force_rollback=True):
        add(jobs, None)
    sweep(jobs)
    assert [note["from"] <= told <= note["to"] for note in heard(listener)] == [True]


def test_no_event_no_bell(jobs: Connection, listener: Connection) -> None:
    server = boot(jobs)
    heartbeat(jobs, server)
    sweep(jobs)
    add(jobs, None, status="done")
    assert heard(listener) == []
