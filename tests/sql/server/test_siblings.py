"""Promise 15: a boot ends only those holders of its name that are not shown to be alive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sql.jobs import (
    Booted,
    Connection,
    add,
    boot,
    heartbeat,
    in_background,
    refused,
    statuses,
    value,
)

Connect = Callable[..., Connection]

HERE, THERE = "here#1", "there#2"
START = "2026-01-01T00:00:00Z"


def keeper(conn: Connection, host: str, pid: int, **options: Any) -> Booted:
    """A boot over the connection that becomes the keeper's."""
    options = {"beat": "5 seconds", "host": host, "pid": pid, "process_start": START, **options}
    return boot(conn, "api", **options)


def seen(conn: Connection, host: str, *alive: tuple[int, bool]) -> None:
    """What somebody on that host reports of the processes there."""
    conn.execute(
        "select recovery.report_processes(%s, %s, array_fill(%s::timestamptz, array[%s]), %s)",
        (host, [pid for pid, _ in alive], START, len(alive), [lives for _, lives in alive]),
    )


def test_a_process_of_the_same_host_that_lives(jobs: Connection, connect: Connect) -> None:
    first = keeper(connect(), HERE, 11)
    row = add(jobs, first.epoch)[0]
    seen(jobs, HERE, (11, True))
    second = keeper(connect(), HERE, 12)
    assert second.report["ended"] == []
    assert statuses(jobs) == {row: "running"}
    heartbeat(jobs, first)


def test_a_process_of_the_same_host_that_is_dead(jobs: Connection, connect: Connect) -> None:
    """Though its connection is still there: a machine's word goes before the network's."""
    first = keeper(connect(), HERE, 11)
    row = add(jobs, first.epoch)[0]
    seen(jobs, HERE, (11, False))
    second = keeper(connect(), HERE, 12)
    assert second.report["ended"] == [first.epoch]
    assert statuses(jobs) == {row: "failed"}


def test_a_live_process_whose_connection_is_lost(jobs: Connection, connect: Connect) -> None:
    old = connect()
    first = keeper(old, HERE, 11)
    old.close()
    seen(jobs, HERE, (11, True))
    assert keeper(connect(), HERE, 12).report["ended"] == []
    heartbeat(jobs, first)


def test_another_host_with_its_lock(jobs: Connection, connect: Connect) -> None:
    first = keeper(connect(), HERE, 11)
    assert keeper(connect(), THERE, 11).report["ended"] == []
    heartbeat(jobs, first)


def test_another_host_without_its_lock(jobs: Connection, connect: Connect) -> None:
    """As after kill -9: closed at this boot, at once."""
    old = connect()
    first = keeper(old, HERE, 11)
    row = add(jobs, first.epoch)[0]
    seen(jobs, HERE, (11, True))  # a moment ago
    pid = old.info.backend_pid
    old.close()
    while value(jobs, "select true from pg_stat_activity where pid = %s", pid):
        pass
    assert keeper(connect(), THERE, 11).report["ended"] == [first.epoch]
    assert statuses(jobs) == {row: "failed"}


def test_another_host_whose_lease_is_over(jobs: Connection, connect: Connect) -> None:
    """A machine that vanished leaves its connection open."""
    first = keeper(connect(), HERE, 11)
    jobs.execute("update recovery.server set heartbeat = heartbeat - interval '16 s'")
    assert keeper(connect(), THERE, 11).report["ended"] == [first.epoch]


@pytest.mark.parametrize("over", [False, True])
def test_through_a_pooler_the_lease_alone_speaks(
    jobs: Connection, connect: Connect, over: bool
) -> None:
    first = keeper(connect(), HERE, 11, direct=False)
    assert value(jobs, "select count(*) from recovery.keeper_lock") == 0
    if over:
        jobs.execute("update recovery.server set heartbeat = heartbeat - interval '16 s'")
    second = keeper(connect(), THERE, 11, direct=False)
    assert second.report["ended"] == ([first.epoch] if over else [])


@pytest.mark.parametrize(
    "what",
    [
        "timeline = 'another'",  # nobody has swept since the failover
        "because = 'the database failed over', since = clock_timestamp()",
    ],
)
def test_locks_that_went_with_a_failover(jobs: Connection, connect: Connect, what: str) -> None:
    """Nobody holds one then, and who boots first must not end the rest."""
    old = connect()
    first = keeper(old, HERE, 11)
    row = add(jobs, first.epoch)[0]
    old.execute("select pg_advisory_unlock_all()")
    jobs.execute(f"update recovery.observation set {what}")  # type: ignore[arg-type]
    assert keeper(connect(), THERE, 11).report["ended"] == []
    assert statuses(jobs) == {row: "running"}
    heartbeat(jobs, first)
    jobs.execute("update recovery.observation set timeline = recovery.timeline()")
    assert first.epoch in keeper(connect(), THERE, 12).report["ended"]  # it has beaten since


def test_without_a_keeper_a_boot_supersedes(jobs: Connection) -> None:
    first = boot(jobs, "api", host=HERE, pid=11, process_start=START)
    seen(jobs, HERE, (11, True))
    assert boot(jobs, "api", host=HERE, pid=12, process_start=START).report["ended"] == [
        first.epoch
    ]


def test_the_own_process_may_serve_one_name_after_another(
    jobs: Connection, connect: Connect
) -> None:
    """Its own life says nothing of the work that it has given up; its keeper's connection does."""
    old = connect()
    first = keeper(old, HERE, 11)
    seen(jobs, HERE, (11, True))
    second = keeper(connect(), HERE, 11)
    assert second.report["ended"] == []
    old.execute("select pg_advisory_unlock_all()")
    third = keeper(connect(), HERE, 11)
    assert third.report["ended"] == [first.epoch]


def test_replace_ends_whoever_holds_the_name(jobs: Connection, connect: Connect) -> None:
    first = keeper(connect(), HERE, 11)
    seen(jobs, HERE, (11, True))
    second = keeper(connect(), HERE, 12, policy="replace")
    assert second.report["ended"] == [first.epoch]
    with refused("RC001"):
        heartbeat(jobs, first)


def test_two_boots_of_one_moment_see_each_other(jobs: Connection, connect: Connect) -> None:
    """Neither has sent a heartbeat yet when the other looks."""
    holder = connect()
    holder.execute("select pg_advisory_lock(hashtextextended('recovery.boot:api', 0))")
    conns = [connect() for _ in range(4)]
    booting = [in_background(keeper, conn, HERE, pid) for pid, conn in enumerate(conns, 11)]
    holder.execute("select pg_advisory_unlock_all()")
    assert [one.result(10).report["ended"] for one in booting] == [[]] * 4
    assert value(jobs, "select count(*) from recovery.server where ended is null") == 4
    assert value(jobs, "select count(*) from recovery.keeper_lock") == 4


def test_a_sibling_that_died_is_swept_beside_those_that_live(
    jobs: Connection, connect: Connect
) -> None:
    first, second = keeper(connect(), HERE, 11), keeper(connect(), HERE, 12)
    rows = add(jobs, first.epoch) + add(jobs, second.epoch)
    seen(jobs, HERE, (11, False), (12, True))
    third = keeper(connect(), HERE, 13)
    assert third.report["ended"] == [first.epoch]
    assert statuses(jobs) == {rows[0]: "failed", rows[1]: "running"}


@pytest.mark.parametrize("beat", ["0", "-1 s", "1 minute"])
def test_no_such_beat(jobs: Connection, beat: str) -> None:
    with refused("RC010", "beat .* is not allowed"):
        boot(jobs, "api", beat=beat)
    assert value(jobs, "select count(*) from recovery.server") == 0
