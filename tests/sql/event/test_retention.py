"""Events are dropped by age and number, a partition at a time, and nobody who writes notices."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from helpers import wait_for, wait_for_lock
from sql.jobs import Connection, add, boot, events, refused, shutdown, sweep, value

BLOCK = 2_000_000_000


def age(conn: Connection, days: int) -> None:
    """As if all that is there had been written so many days ago."""
    conn.execute("update recovery.outbox set at = at - make_interval(days => %s)", (days,))


def prune(conn: Connection) -> None:
    conn.execute("select recovery._prune_old(true)")


def ids(conn: Connection) -> list[int]:
    return [row[0] for row in conn.execute("select id from recovery.event order by id")]


def floor(conn: Connection) -> int:
    return int(value(conn, "select id from recovery.event_floor"))


def test_young_events_stay_where_they_are(jobs: Connection) -> None:
    add(jobs, None, 2)
    age(jobs, 3)
    prune(jobs)
    add(jobs, None)
    assert ids(jobs) == [100, 200, 300]
    assert floor(jobs) == 0


def test_a_week_goes_by(jobs: Connection) -> None:
    add(jobs, None, 2)
    age(jobs, 4)
    prune(jobs)
    add(jobs, None)  # half the time is over: in the next partition
    assert ids(jobs) == [100, 200, BLOCK + 100]
    age(jobs, 4)
    prune(jobs)  # eight days and four
    add(jobs, None)
    assert ids(jobs) == [BLOCK + 100, 2 * BLOCK + 100]
    assert floor(jobs) == 299
    for round in range(3, 10):
        age(jobs, 4)
        prune(jobs)
        add(jobs, None)
        assert ids(jobs) == [(round - 1) * BLOCK + 100, round * BLOCK + 100]


def test_no_retention_keeps_all(jobs: Connection) -> None:
    jobs.execute("select recovery.configure('event_retention', 'off')")
    add(jobs, None)
    age(jobs, 10_000)
    prune(jobs)
    add(jobs, None)
    assert ids(jobs) == [100, 200]


def test_by_number_the_partition_whose_turn_comes_is_emptied(jobs: Connection) -> None:
    jobs.execute("select recovery.configure('event_retention', 'off')")
    for block in range(4):
        jobs.execute("select setval('recovery.outbox_id_seq', %s)", (block * BLOCK or 1,))
        add(jobs, None)
    prune(jobs)
    assert len(ids(jobs)) == 4
    jobs.execute("select setval('recovery.outbox_id_seq', %s)", (3 * BLOCK + BLOCK // 2,))
    add(jobs, None)
    prune(jobs)
    assert ids(jobs)[0] == BLOCK + 100


def test_an_id_that_comes_round_to_a_full_partition_is_no_harm(jobs: Connection) -> None:
    jobs.execute("select recovery.create_consumer('slow', 0)")
    add(jobs, None)
    jobs.execute("select setval('recovery.outbox_id_seq', %s)", (4 * BLOCK,))
    add(jobs, None)
    age(jobs, 20)
    prune(jobs)
    fetched = jobs.execute("select id from recovery.fetch('slow')").fetchall()
    assert fetched == [(100,), (4 * BLOCK + 100,)]
    read = jobs.execute("select id from recovery.read()").fetchall()
    assert read == fetched


def test_what_a_consumer_has_not_had_stays(jobs: Connection) -> None:
    jobs.execute("select recovery.create_consumer('slow', 0)")
    add(jobs, None)
    age(jobs, 8)
    prune(jobs)
    add(jobs, None)
    prune(jobs)
    assert len(ids(jobs)) == 2
    (receipt,) = jobs.execute("select receipt from recovery.fetch('slow', 1)").fetchone() or ("",)
    jobs.execute("select recovery.acknowledge(%s)", (receipt,))
    prune(jobs)
    assert ids(jobs) == [BLOCK + 100]


@pytest.mark.parametrize("why", ["told", "abandoned"])
def test_a_consumer_that_lost_events_is_told_once(jobs: Connection, why: str) -> None:
    jobs.execute("select recovery.create_consumer('slow', 0)")
    add(jobs, None, 2)
    age(jobs, 8)
    prune(jobs)
    add(jobs, None)
    if why == "told":
        jobs.execute("select recovery.configure('drop_unread', 'on')")
    else:
        jobs.execute("update recovery.consumer set seen = seen - interval '8 days'")
        assert value(jobs, "select state from recovery.consumer_status") == "expired"
    prune(jobs)
    assert ids(jobs) == [BLOCK + 100]
    if why == "told":
        assert value(jobs, "select state from recovery.consumer_status") == "behind what is kept"
    gap, rest = jobs.execute("select * from recovery.fetch('slow')").fetchall()
    assert (gap[0], gap[4], gap[8], gap[11]) == (299, "gap", "dropped", {"after": 0, "to": 299})
    assert rest[0] == BLOCK + 100
    again = jobs.execute("select kind, receipt from recovery.fetch('slow')").fetchall()
    assert [kind for kind, _ in again] == ["gap", "opened"]  # nobody has acknowledged it
    jobs.execute("select recovery.acknowledge(%s)", (again[0][1],))
    assert jobs.execute("select kind from recovery.fetch('slow')").fetchall() == [("opened",)]


def test_whoever_writes_does_not_wait_and_is_not_waited_for(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    add(jobs, None)
    age(jobs, 4)
    prune(jobs)
    age(jobs, 4)
    reader, writer = connect(autocommit=False), connect(autocommit=False)
    writer.execute("insert into app.job (status) values ('running')")  # holds the new partition
    reader.execute("select * from recovery.event").fetchall()  # and this one all of them
    prune(jobs)
    assert len(ids(jobs)) == 1
    reader.rollback()
    other = connect()
    with jobs.transaction():
        # Has emptied it, and is not at its end. (Autovacuum may be in the way for a moment.)
        wait_for(lambda: prune(jobs) or floor(jobs) > 0)
        other.execute("set lock_timeout = '1ms'")
        add(other, None)
        with refused("55P03"):
            other.execute("select * from recovery.event")
    writer.commit()
    assert len(ids(jobs)) == 2


def test_readers_that_follow_one_another_are_waited_for(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    """With many of them there is hardly a moment without one: then nothing would ever be dropped."""
    add(jobs, None)
    age(jobs, 4)
    prune(jobs)
    age(jobs, 4)
    sweeping, reader, watching = connect(), connect(autocommit=False), connect()
    reader.execute("select * from recovery.event").fetchall()
    over = threading.Event()

    def sweeps() -> None:
        while not over.is_set() and floor(sweeping) == 0:
            prune(sweeping)

    thread = threading.Thread(target=sweeps)
    thread.start()
    try:
        assert wait_for_lock(watching, sweeping.info.backend_pid) == "relation"
        reader.rollback()
        thread.join(20)
        assert floor(jobs) > 0
    finally:
        over.set()
        thread.join()


def test_a_sweep_does_it(jobs: Connection) -> None:
    add(jobs, None)
    age(jobs, 8)
    sweep(jobs)
    jobs.execute("update recovery.event_floor set looked = '-infinity'")
    sweep(jobs)
    assert ids(jobs) == []


def test_ended_servers_go_with_their_history(jobs: Connection) -> None:
    kept, gone, owner = boot(jobs, "kept"), boot(jobs, "gone"), boot(jobs, "owner")
    add(jobs, owner.epoch)
    for server in (kept, gone):
        shutdown(jobs, server.epoch)
    jobs.execute(
        "update recovery.server set ended = now() - interval '31 days', reason = 'x'"
        " where epoch = any(%s)",
        ([gone.epoch, owner.epoch],),
    )
    jobs.execute(
        "insert into recovery.sweep_run (label, at, took, report)"
        " values ('old', now() - interval '31 days', '0', '{}')"
    )
    prune(jobs)
    left = jobs.execute("select name from recovery.server order by name").fetchall()
    assert left == [("kept",), ("owner",)]  # whose row is still to be closed
    assert value(jobs, "select count(*) from recovery.sweep_run where label = 'old'") == 0
    sweep(jobs)
    prune(jobs)
    assert value(jobs, "select count(*) from recovery.server where name = 'owner'") == 0
    assert events(jobs)[-1]["reason"] == "x"


def test_retention_is_for_everything(jobs: Connection) -> None:
    with refused("RC010", "is for everything"):
        jobs.execute("select recovery.configure('event_retention', '1 day', 'app.job')")
    with refused("RC010"):
        jobs.execute("select recovery.configure('event_retention', '-1 day')")


def test_a_short_history_fails_no_sweep(jobs: Connection) -> None:
    """Processes are kept for an hour at least."""
    jobs.execute("select recovery.configure('history_retention', '1 s')")
    server = boot(jobs, "gone")
    shutdown(jobs, server.epoch)
    jobs.execute("update recovery.server set ended = now() - interval '1 min'")
    sweep(jobs)
    assert value(jobs, "select count(*) from recovery.server") == 0
