"""What a sweeper says of the processes on its own host: recovery.report_processes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sql.jobs import Connection, add, boot, report_process, value

START = datetime(2026, 1, 1, tzinfo=UTC)


def light(conn: Connection, key: int, pid: int, host: str = "here") -> None:
    conn.execute(
        "select recovery.light_fuse('app.job', %s, '1 minute', %s, %s, %s)",
        (str(key), host, pid, START),
    )


def noted(conn: Connection) -> list[tuple[int, bool, bool]]:
    """(pid, seen, dead) of what servers and fuses say."""
    return conn.execute(
        "select pid, process_seen is not null, process_dead is not null from recovery.server"
        " union all"
        " select pid, process_seen is not null, process_dead is not null from recovery.fuse"
        " order by 1, 2, 3"
    ).fetchall()


def test_one_report_tells_of_all(jobs: Connection) -> None:
    """Of servers and fuses, living and dead; what stands twice is counted twice."""
    alive = boot(jobs, "alive", host="here", pid=1, process_start=START)
    boot(jobs, "dead", host="here", pid=2, process_start=START)
    boot(jobs, "elsewhere", host="there", pid=2, process_start=START)
    keys = add(jobs, alive.epoch, 4)
    light(jobs, keys[0], 1)
    light(jobs, keys[1], 2)
    light(jobs, keys[2], 3)
    light(jobs, keys[3], 3, host="there")
    found = value(
        jobs,
        "select recovery.report_processes('here', array[1, 2, 3], array[%s, %s, %s], array[true, false, false])",
        START,
        START,
        START + timedelta(hours=1),  # another process, that had this pid: not this one's business
    )
    assert found == 2
    assert noted(jobs) == [
        (1, True, False),
        (1, True, False),
        (2, False, False),
        (2, False, True),
        (2, False, True),
        (3, False, False),
        (3, False, False),
    ]


def test_who_was_just_seen_is_not_written_again(jobs: Connection) -> None:
    boot(jobs, host="here", pid=1, process_start=START)
    seen = "select process_seen from recovery.server"
    report_process(jobs, "here", 1, START, alive=True)
    first = value(jobs, seen)
    report_process(jobs, "here", 1, START, alive=True)
    assert value(jobs, seen) == first
    jobs.execute("update recovery.clock set shift = '2 seconds'")
    report_process(jobs, "here", 1, START, alive=True)
    second = value(jobs, seen)
    assert second > first
    jobs.execute("update recovery.clock set shift = '-1 hour'")  # it went back
    report_process(jobs, "here", 1, START, alive=True)
    assert value(jobs, seen) < first


def test_contradicted_it_counts_as_alive(jobs: Connection) -> None:
    """P15: one start, looked at twice: as long as one look found it, it is not dead."""
    boot(jobs, host="here", pid=1, process_start=START)
    assert (
        value(
            jobs,
            "select recovery.report_processes('here', array[1, 1], array[%s, %s], array[true, false])",
            START,
            START,
        )
        == 0
    )
    assert noted(jobs) == [(1, True, False)]


def test_a_server_without_a_start(jobs: Connection) -> None:
    boot(jobs, host="here", pid=1)
    assert report_process(jobs, "here", 1, None) == 1


def test_a_held_row_is_waited_for_by_nobody(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    """P14: a session that forgot to commit keeps its own server unseen, and no other."""
    held = boot(jobs, "held", host="here", pid=1, process_start=START)
    boot(jobs, "free", host="here", pid=2, process_start=START)
    other = connect(autocommit=False)
    other.execute("select recovery.heartbeat(%s, %s)", (held.epoch, held.token))
    report = (
        "select recovery.report_processes('here', array[1, 2], array[%s, %s], array[false, false])"
    )
    jobs.execute("set statement_timeout = '10 s'")
    assert value(jobs, report, START, START) == 1
    other.rollback()
    assert value(jobs, report, START, START) == 1


def test_an_empty_report(jobs: Connection) -> None:
    none: list[Any] = []
    assert (
        value(jobs, "select recovery.report_processes('here', %s, %s, %s)", none, none, none) == 0
    )
