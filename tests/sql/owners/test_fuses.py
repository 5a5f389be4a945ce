"""What a fuse keeps and what it does not: the table of agentctl's reconciler, and adoption at boot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpers import wait_for_lock
from sql.jobs import (
    Connection,
    attach,
    boot,
    call,
    events,
    in_background,
    refused,
    report_process,
    statuses,
    sweep,
    value,
    write_as,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def sessions(app: Connection) -> Iterator[Connection]:
    """app.job as agentctl's sessions: work that is guarded by fuses, with a launch grace."""
    app.execute(
        "alter table app.job add column started timestamptz not null default clock_timestamp()"
    )
    attach(app, started="started", launch_grace="1 minute")
    return app


def running(
    conn: Connection, epoch: int, age: timedelta = timedelta(hours=1), status: str = "running"
) -> str:
    """A session of an epoch that was launched `age` ago; its key."""
    row = conn.execute(
        "insert into app.job (server_epoch, status, started) values (%s, %s, clock_timestamp() - %s) returning id",
        (epoch, status, age),
    ).fetchone()
    assert row
    return str(row[0])


def light(conn: Connection, key: str, **options: Any) -> int:
    """A fuse on a session with a process, unless told otherwise."""
    options = {"ttl": "5 minutes", "host": "here", "pid": 4711, "process_start": START, **options}
    given = ", ".join(f"p_{name} => %({name})s" for name in options)
    return int(
        value_of(
            conn, f"select recovery.light('app.job', %(key)s, {given})", {"key": key, **options}
        )
    )


def value_of(conn: Connection, statement: str, parameters: Any = None) -> Any:
    row = conn.execute(statement, parameters).fetchone()  # type: ignore
    return None if row is None else row[0]


def move_clock(conn: Connection, by: str) -> None:
    """Moves the clock by which fuses and leases are judged."""
    conn.execute("update recovery.clock set shift = shift + %s::interval", (by,))


def report_dead(
    conn: Connection, host: str = "here", pid: int = 4711, start: datetime = START
) -> int:
    return report_process(conn, host, pid, start)


# What agentctl's reconcileAndEnrich decides, case by case: what is there at boot, and whether it stays.
@pytest.mark.parametrize(
    ("case", "kept"),
    [
        ("not running", True),
        ("young, no fuse yet", True),
        ("active fuse and live pid", True),
        ("active fuse and pid on another host", True),
        ("fuse without pid", False),
        ("pid without fuse", False),
        ("dead pid", False),
        ("expired fuse", False),
    ],
)
def test_row11_row12_row13_reconcile(sessions: Connection, case: str, kept: bool) -> None:
    first = boot(sessions, "agentctl")
    young = case.startswith("young")
    key = running(
        sessions,
        first.epoch,
        age=timedelta(seconds=5) if young else timedelta(hours=20),
        status="done" if case == "not running" else "running",
    )
    if (
        "fuse" in case and "no fuse" not in case and "without fuse" not in case
    ) or case == "dead pid":
        light(
            sessions,
            key,
            pid=None if case == "fuse without pid" else 4711,
            host="elsewhere" if "another host" in case else "here",
        )
    if case == "dead pid":
        assert report_dead(sessions) == 1
    elif "another host" in case:
        assert report_dead(sessions) == 0
    if case == "expired fuse":
        move_clock(sessions, "6 minutes")

    second = boot(sessions, "agentctl")

    before = "done" if case == "not running" else "running"
    assert statuses(sessions)[int(key)] == (before if kept else "failed")
    if kept and "fuse and" in case:
        assert second.report["adopted"] == {"app.job": 1}
        assert value(sessions, "select server_epoch from app.job") == second.epoch
        adopted = events(sessions)[-1]
        assert (adopted["kind"], adopted["key"]) == ("adopted", key)
        assert adopted["old"] == {"server_epoch": first.epoch}
        assert adopted["new"] == {"server_epoch": second.epoch}


def test_reused_pid_is_dead(sessions: Connection) -> None:
    """row 11: the pid lives, but started at another time: the sweeper reports the process it knew as dead."""
    server = boot(sessions, "agentctl")
    key = running(sessions, server.epoch)
    light(sessions, key)
    assert sessions.execute("select * from recovery.local_processes('here')").fetchall() == [
        (4711, START)
    ]
    assert (
        report_dead(sessions, start=START + timedelta(hours=1)) == 0
    )  # another process: not this one's business
    assert report_dead(sessions) == 1
    sweep(sessions)
    assert statuses(sessions)[int(key)] == "running"  # its server lives, and may book how it ended
    move_clock(sessions, "6 seconds")
    sweep(sessions)
    assert statuses(sessions)[int(key)] == "failed"
    assert events(sessions)[-1]["reason"] == "process_dead"
    assert value(sessions, "select count(*) from recovery.fuse") == 0


def test_burnt_out_under_a_live_server(sessions: Connection) -> None:
    """A fuse that nobody extends closes its session, with the reason that is true; the other session stays."""
    server = boot(sessions, "agentctl", lease="1 hour")
    one, other = running(sessions, server.epoch), running(sessions, server.epoch)
    light(sessions, one)
    light(sessions, other, ttl="1 hour")
    move_clock(sessions, "6 minutes")
    assert sweep(sessions)["closed"] == {"app.job": 1}
    assert statuses(sessions) == {int(one): "failed", int(other): "running"}
    assert events(sessions)[-1]["reason"] == "fuse_expired"


def test_twenty_hours_by_extending(sessions: Connection) -> None:
    """row 13: no fixed end."""
    server = boot(sessions, "agentctl", lease="1 day")
    key = running(sessions, server.epoch)
    fuse = light(sessions, key)
    for _ in range(20 * 15):
        move_clock(sessions, "4 minutes")
        sessions.execute("select recovery.extend(%s)", (fuse,))
    sweep(sessions)
    assert statuses(sessions)[int(key)] == "running"


def test_cancelled_at_stop(sessions: Connection) -> None:
    server = boot(sessions, "agentctl")
    key = running(sessions, server.epoch)
    fuse = light(sessions, key)
    assert value(sessions, "select recovery.cancel(%s)", fuse) is True
    assert value(sessions, "select recovery.cancel(%s)", fuse) is False
    with refused("RC012", f"fuse {fuse} is not active"):
        sessions.execute("select recovery.extend(%s)", (fuse,))
    boot(sessions, "agentctl")
    assert statuses(sessions)[int(key)] == "failed"


def test_burnt_out_cannot_be_extended(sessions: Connection) -> None:
    server = boot(sessions, "agentctl")
    fuse = light(sessions, running(sessions, server.epoch))
    move_clock(sessions, "6 minutes")
    with refused("RC012"):
        sessions.execute("select recovery.extend(%s)", (fuse,))


def test_young_work_is_closed_later_by_the_sweep(sessions: Connection) -> None:
    """row 12: the grace ends; without a fuse by then it is an orphan as any other."""
    server = boot(sessions, "agentctl")
    key = running(sessions, server.epoch, age=timedelta(seconds=1))
    boot(sessions, "agentctl", lease="1 day")
    assert statuses(sessions)[int(key)] == "running"
    move_clock(sessions, "2 minutes")
    sweep(sessions)
    assert statuses(sessions)[int(key)] == "failed"


def test_guarded_orphan_of_a_dead_server_waits_for_its_fuse(sessions: Connection) -> None:
    """Nobody boots the name again: the sweep keeps what is guarded until the fuse burns out."""
    server = boot(sessions, "agentctl")
    boot(sessions, "other", lease="1 day")
    key = running(sessions, server.epoch)
    light(sessions, key)
    sessions.execute("select recovery.evict(%s)", ("agentctl",))
    assert sweep(sessions)["closed"] == {}
    assert statuses(sessions)[int(key)] == "running"
    move_clock(sessions, "6 minutes")
    assert sweep(sessions)["closed"] == {"app.job": 1}


def test_shutdown_leaves_guarded_work(sessions: Connection) -> None:
    """The process goes on without its server; the next boot adopts it."""
    server = boot(sessions, "agentctl")
    key = running(sessions, server.epoch)
    light(sessions, key)
    call(sessions, "shutdown", epoch=server.epoch)
    assert statuses(sessions)[int(key)] == "running"
    assert boot(sessions, "agentctl").report["adopted"] == {"app.job": 1}


def test_session_fuse_guards_its_group(conn: Connection) -> None:
    server = boot(conn, "opencode")
    write_as(conn, server.epoch)
    conn.execute(
        "insert into agent.session (id, time_created, time_updated) values ('s1', 1, 1), ('s2', 1, 1)"
    )
    conn.execute(
        """insert into agent.message (id, session_id, time_created, time_updated, data)
           select 'm' || s, s, 1, 1, '{"role": "assistant", "time": {"created": 1}}' from unnest(array['s1', 's2']) as s"""
    )
    conn.execute(
        "select recovery.light('agent.message', 's1', '1 minute', 'here', 1, %s, 'group')", (START,)
    )
    write_as(conn, None)
    report = boot(conn, "opencode").report
    assert report["adopted"] == {"agent.message": 1}
    assert report["closed"] == {"agent.message": 1}
    assert (
        value(conn, "select data #>> '{time,completed}' from agent.message where id = 'ms1'")
        is None
    )


@pytest.mark.parametrize(
    ("arguments", "sqlstate"),
    [
        (("nothing", "1", "1 minute"), "RC008"),
        (("app.job", "1", "0 seconds"), "RC010"),
        (("app.job", "1", "-1 minute"), "RC010"),
        (("app.job", "1", "8 days"), "RC010"),
        (("app.job", "", "1 minute"), "RC010"),
        (("app.job", "1", None), "RC010"),
    ],
)
def test_bad_fuse(sessions: Connection, arguments: tuple[Any, ...], sqlstate: str) -> None:
    with refused(sqlstate):
        sessions.execute("select recovery.light(%s, %s, %s::interval)", arguments)


def test_adopt_meets_cancel(sessions: Connection, connect: Any) -> None:
    """P3: the session stops by itself while a boot adopts it: the stop wins, whoever owns the row."""
    first = boot(sessions, "agentctl")
    key = running(sessions, first.epoch)
    fuse = light(sessions, key)
    stopper = connect(autocommit=False)
    stopper.execute("update app.job set status = 'done' where id = %s", (key,))
    stopper.execute("select recovery.cancel(%s)", (fuse,))
    other = connect()
    second = in_background(boot, other, "agentctl", lock_wait="10 seconds")
    wait_for_lock(sessions, other.info.backend_pid)
    stopper.commit()
    report = second.result(timeout=20).report
    assert statuses(sessions)[int(key)] == "done"
    assert report["closed"] == {}
    assert report["adopted"] == {}
