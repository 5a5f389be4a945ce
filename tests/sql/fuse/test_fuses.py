"""What a fuse keeps and what it does not: the table of agentctl's reconciler, and adoption at boot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helpers import wait_for_lock
from sql.jobs import (
    Booted,
    Connection,
    attach,
    boot,
    call,
    events,
    heartbeat,
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
            conn,
            f"select recovery.light_fuse('app.job', %(key)s, {given})",
            {"key": key, **options},
        )
    )


def value_of(conn: Connection, statement: str, parameters: Any = None) -> Any:
    row = conn.execute(statement, parameters).fetchone()  # type: ignore
    return None if row is None else row[0]


def move_clock(conn: Connection, by: str) -> None:
    """Moves the clock by which fuses and leases are judged."""
    conn.execute("update recovery.clock set shift = shift + %s::interval", (by,))


def watch_for(conn: Connection, seconds: int, *beating: Booted, step: int = 20) -> dict[str, int]:
    """Sweeps every `step` seconds of the moved clock while some servers beat; what they closed."""
    closed: Counter[str] = Counter()
    for _ in range(0, seconds, step):
        move_clock(conn, f"{step} seconds")
        for server in beating:
            heartbeat(conn, server)
        closed.update(sweep(conn)["closed"])
    return dict(closed)


def extend_all(conn: Connection, *fuses: int) -> dict[int, Any]:
    """Until when each burns; None: it is out."""
    return dict(conn.execute("select * from recovery.extend_fuses(%s)", (list(fuses),)).fetchall())


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
    assert sessions.execute("select * from recovery.host_processes('here')").fetchall() == [
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
        sessions.execute("select recovery.extend_fuse(%s)", (fuse,))
    sweep(sessions)
    assert statuses(sessions)[int(key)] == "running"


def test_cancelled_at_stop(sessions: Connection) -> None:
    server = boot(sessions, "agentctl")
    key = running(sessions, server.epoch)
    fuse = light(sessions, key)
    assert value(sessions, "select recovery.cancel_fuse(%s)", fuse) is True
    assert value(sessions, "select recovery.cancel_fuse(%s)", fuse) is False
    with refused("RC012", f"fuse {fuse} is not active"):
        sessions.execute("select recovery.extend_fuse(%s)", (fuse,))
    boot(sessions, "agentctl")
    assert statuses(sessions)[int(key)] == "failed"


def test_burnt_out_cannot_be_extended(sessions: Connection) -> None:
    """Its unit may be closing; that it could not be closed changes nothing."""
    server = boot(sessions, "agentctl", lease="1 day")
    key = running(sessions, server.epoch)
    fuse = light(sessions, key)
    sessions.execute("alter table app.job add check (status <> 'failed')")
    watch_for(sessions, 320)
    assert statuses(sessions)[int(key)] == "running"
    with refused("RC012"):
        sessions.execute("select recovery.extend_fuse(%s)", (fuse,))
    assert extend_all(sessions, fuse) == {fuse: None}


def test_what_no_sweep_has_burnt_can_be_extended(sessions: Connection) -> None:
    server = boot(sessions, "agentctl", lease="1 day")
    key = running(sessions, server.epoch)
    fuse = light(sessions, key)
    watch_for(sessions, 280)
    move_clock(sessions, "30 seconds")
    sessions.execute("select recovery.extend_fuse(%s)", (fuse,))
    watch_for(sessions, 280)
    move_clock(sessions, "30 seconds")
    assert extend_all(sessions, fuse)[fuse] is not None
    assert watch_for(sessions, 280) == {}
    assert statuses(sessions)[int(key)] == "running"


def test_many_are_extended_by_one_statement(sessions: Connection, connect: Any) -> None:
    """Each tells for itself; one that somebody holds keeps nobody waiting."""
    server = boot(sessions, "agentctl")
    fuses = [light(sessions, running(sessions, server.epoch), pid=n) for n in range(1, 5)]
    expires = dict(sessions.execute("select id, expires from recovery.fuse").fetchall())
    sessions.execute("select recovery.cancel_fuse(%s)", (fuses[1],))
    report_dead(sessions, pid=3)
    holder = connect(autocommit=False)
    holder.execute("select from recovery.fuse where id = %s for update", (fuses[3],))
    sessions.execute("set statement_timeout = '20 s'")
    found = extend_all(sessions, *fuses, fuses[0], 4711)
    assert found.pop(fuses[0]) > expires[fuses[0]]
    assert found == {fuses[1]: None, fuses[2]: None, fuses[3]: expires[fuses[3]], 4711: None}


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
    assert watch_for(sessions, 280) == {}
    assert statuses(sessions)[int(key)] == "running"
    assert watch_for(sessions, 40) == {"app.job": 1}


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
        "select recovery.light_fuse('agent.message', 's1', '1 minute', 'here', 1, %s, 'group')",
        (START,),
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
        sessions.execute("select recovery.light_fuse(%s, %s, %s::interval)", arguments)


def test_adopt_meets_cancel(sessions: Connection, connect: Any) -> None:
    """P3: the session stops by itself while a boot adopts it: the stop wins, whoever owns the row."""
    first = boot(sessions, "agentctl")
    key = running(sessions, first.epoch)
    fuse = light(sessions, key)
    stopper = connect(autocommit=False)
    stopper.execute("update app.job set status = 'done' where id = %s", (key,))
    stopper.execute("select recovery.cancel_fuse(%s)", (fuse,))
    other = connect()
    second = in_background(boot, other, "agentctl", lock_wait="10 seconds")
    wait_for_lock(sessions, other.info.backend_pid)
    stopper.commit()
    report = second.result(timeout=20).report
    assert statuses(sessions)[int(key)] == "done"
    assert report["closed"] == {}
    assert report["adopted"] == {}


def seen(conn: Connection, host: str = "here", pid: int = 4711) -> None:
    """A sweeper on that host saw the process alive."""
    report_process(conn, host, pid, START, alive=True)


BREAKS = {
    "database stalled": "90 seconds",
    "clock set": "1 hour",
    "laptop asleep": "8 hours",
}


@pytest.mark.parametrize("why", BREAKS)
@pytest.mark.parametrize("lease", ["15 seconds", "1 day"])
def test_p15_a_fuse_knows_breaks(sessions: Connection, why: str, lease: str) -> None:
    """No sweep and no extension for a while: the sweep that comes first closes nothing, whatever the lease is."""
    server = boot(sessions, "agentctl", lease=lease)
    key = running(sessions, server.epoch)
    fuse = light(sessions, key, ttl="1 minute", host="elsewhere")
    for _ in range(3):
        assert watch_for(sessions, 20, server, step=5) == {}
        assert extend_all(sessions, fuse)[fuse] is not None
    move_clock(sessions, BREAKS[why])
    assert [sweep(sessions)["closed"] for _ in range(2)] == [{}, {}]
    assert statuses(sessions)[int(key)] == "running"
    assert extend_all(sessions, fuse)[fuse] is not None
    heartbeat(sessions, server)
    assert watch_for(sessions, 55, server, step=5) == {}
    assert watch_for(sessions, 10, server, step=5) == {"app.job": 1}  # nobody extended it any more
    assert events(sessions)[-1]["reason"] == "fuse_expired"


def test_p15_a_stall_between_slow_sweeps(sessions: Connection) -> None:
    """row of the slow sweeper: every 20 s, and a fuse that is shorter than that."""
    server = boot(sessions, "agentctl", lease="1 day")
    key = running(sessions, server.epoch)
    fuse = light(sessions, key, ttl="15 seconds", host="elsewhere")
    for _ in range(3):
        for _ in range(4):
            move_clock(sessions, "5 seconds")
            sessions.execute("select recovery.extend_fuse(%s)", (fuse,))
        assert sweep(sessions)["closed"] == {}
    move_clock(sessions, "20 seconds")
    assert sweep(sessions)["closed"] == {}
    assert sweep(sessions)["closed"] == {}
    assert extend_all(sessions, fuse)[fuse] is not None
    assert watch_for(sessions, 20) == {}
    assert watch_for(sessions, 20) == {"app.job": 1}


def test_p15_late_once_and_then_a_stall_that_no_gap_shows(sessions: Connection) -> None:
    """The first look finds it late for the machine was busy; the second comes as a stalled database comes back."""
    server = boot(sessions, "agentctl", lease="1 day")
    key = running(sessions, server.epoch)
    for _ in range(3):
        assert watch_for(sessions, 20) == {}  # what is usual here
    fuse = light(sessions, key, ttl="10 seconds", host="elsewhere")
    assert watch_for(sessions, 20) == {}
    assert watch_for(sessions, 20) == {}
    assert extend_all(sessions, fuse)[fuse] is not None
    assert statuses(sessions)[int(key)] == "running"


def test_p15_a_look_that_is_late_itself_convicts_nobody(sessions: Connection) -> None:
    """A stall shorter than the patience with servers and longer than the fuse."""
    server = boot(sessions, "agentctl", lease="1 minute")
    key = running(sessions, server.epoch)
    fuse = light(sessions, key, ttl="10 seconds", host="elsewhere")
    for _ in range(3):
        assert watch_for(sessions, 2, server, step=1) == {}
        assert extend_all(sessions, fuse)[fuse] is not None
    assert watch_for(sessions, 6, server, step=1) == {}
    heartbeat(sessions, server)
    assert watch_for(sessions, 15, step=15) == {}
    assert extend_all(sessions, fuse)[fuse] is not None
    assert watch_for(sessions, 9, server, step=1) == {}
    assert watch_for(sessions, 12, server, step=1) == {"app.job": 1}


@pytest.mark.parametrize("asked", [1, 3])
def test_p15_who_asks_first_after_a_stall_hides_it_from_nobody(
    sessions: Connection, asked: int
) -> None:
    """A standby that asks as the database comes back watches; the sweep right after it knows of the stall."""
    server, standby = (
        boot(sessions, name, lease="1 day", direct=False) for name in ("agentctl", "standby")
    )
    key = running(sessions, server.epoch)
    fuse = light(sessions, key, ttl="2 seconds", host="elsewhere")
    claim = "select recovery.claim_sweep(%s, %s, '4 s')"
    sessions.execute(claim, (server.epoch, server.token))
    sweep(sessions)
    for _ in range(3):
        for _ in range(8):
            move_clock(sessions, "0.5 seconds")
            sessions.execute(claim, (standby.epoch, standby.token))
            sessions.execute("select recovery.extend_fuse(%s)", (fuse,))
        assert sweep(sessions)["closed"] == {}
    move_clock(sessions, "4 seconds")
    for _ in range(asked):
        sessions.execute(claim, (standby.epoch, standby.token))
    assert [sweep(sessions)["closed"] for _ in range(2)] == [{}, {}]
    assert extend_all(sessions, fuse)[fuse] is not None
    assert watch_for(sessions, 4, step=1) == {"app.job": 1}


def test_p15_never_while_its_process_is_seen(sessions: Connection) -> None:
    """Nobody extends it, and its host's sweeper sees the process: other hosts' sweepers keep the unit."""
    server = boot(sessions, "agentctl", lease="1 day")
    key = running(sessions, server.epoch)
    light(sessions, key, ttl="1 minute")
    for _ in range(10):
        seen(sessions)
        assert watch_for(sessions, 40, step=10) == {}
    assert watch_for(sessions, 15, step=5) == {}
    assert watch_for(sessions, 25, step=5) == {"app.job": 1}  # seen no more
    assert events(sessions)[-1]["reason"] == "fuse_expired"


def test_p15_boot_adopts_what_no_sweep_has_burnt(sessions: Connection) -> None:
    """Its server was away, and nobody swept meanwhile."""
    first = boot(sessions, "agentctl")
    key = running(sessions, first.epoch)
    light(sessions, key, ttl="1 minute")
    sweep(sessions)
    move_clock(sessions, "1 hour")
    assert boot(sessions, "agentctl", lease="1 day").report["adopted"] == {"app.job": 1}
    assert watch_for(sessions, 60) == {}
    assert watch_for(sessions, 60) == {"app.job": 1}


def test_a_dead_process_after_a_break(sessions: Connection) -> None:
    """The moment in which a live server books the result does not pass while all sleep."""
    server = boot(sessions, "agentctl", lease="1 minute")
    key = running(sessions, server.epoch)
    light(sessions, key)
    sweep(sessions)
    report_dead(sessions)
    move_clock(sessions, "1 hour")
    assert sweep(sessions)["closed"] == {}
    assert statuses(sessions)[int(key)] == "running"
    move_clock(sessions, "6 seconds")
    assert sweep(sessions)["closed"] == {"app.job": 1}


def test_a_unit_is_guarded_while_any_fuse_burns(sessions: Connection) -> None:
    """The inner block ends, burns out or loses its process: the outer one goes on."""
    server = boot(sessions, "agentctl", lease="1 day")
    key = running(sessions, server.epoch)
    outer = light(sessions, key, ttl="1 hour")
    inner, short, other = (
        light(sessions, key),
        light(sessions, key, ttl="1 minute"),
        light(sessions, key, pid=4712),
    )
    assert len({outer, inner, short, other}) == 4
    assert value(sessions, "select recovery.cancel_fuse(%s)", inner) is True
    report_dead(sessions, pid=4712)
    assert watch_for(sessions, 120) == {}
    assert sessions.execute("select id from recovery.fuse").fetchall() == [(outer,)]
    sessions.execute("select recovery.evict('agentctl')")
    assert watch_for(sessions, 20) == {}
    second = boot(sessions, "agentctl", lease="1 day")
    assert second.report["adopted"] == {"app.job": 1}
    assert extend_all(sessions, outer)[outer] is not None
    report_dead(sessions)
    assert watch_for(sessions, 20) == {"app.job": 1}
    assert events(sessions)[-1]["reason"] == "process_dead"


def test_the_last_of_several_closes_the_unit(sessions: Connection) -> None:
    server = boot(sessions, "agentctl", lease="1 day")
    key = running(sessions, server.epoch)
    for ttl in ("1 minute", "1 minute", "2 minutes"):
        light(sessions, key, ttl=ttl)
    assert watch_for(sessions, 100) == {}
    assert watch_for(sessions, 40) == {"app.job": 1}
    assert value(sessions, "select count(*) from recovery.fuse") == 0


def test_a_fuse_without_a_process_keeps_a_live_server_s_unit(sessions: Connection) -> None:
    """It guards nothing from a boot, but it burns: another one's end is not the unit's."""
    server = boot(sessions, "agentctl", lease="1 day")
    key = running(sessions, server.epoch)
    light(sessions, key, pid=None, ttl="1 hour")
    light(sessions, key, ttl="1 minute")
    assert watch_for(sessions, 100) == {}
    boot(sessions, "agentctl")
    assert statuses(sessions)[int(key)] == "failed"


def test_an_impossible_fuse_keeps_nothing_from_burning(sessions: Connection) -> None:
    server = boot(sessions, "agentctl", lease="1 day")
    key = running(sessions, server.epoch)
    sessions.execute(
        "update recovery.fuse set expires = 'infinity' where id = %s", (light(sessions, key),)
    )
    light(sessions, key, ttl="1 minute")
    assert watch_for(sessions, 100) == {"app.job": 1}


def test_preview_passes_over_a_spent_fuse_beside_a_burning_one(sessions: Connection) -> None:
    server = boot(sessions, "agentctl", lease="1 day")
    key = running(sessions, server.epoch)
    light(sessions, key, pid=4712)
    light(sessions, key)
    report_dead(sessions)
    move_clock(sessions, "6 seconds")
    preview = "select action, reason, key from recovery.preview()"
    assert sessions.execute(preview).fetchall() == []
    report_dead(sessions, pid=4712)
    move_clock(sessions, "6 seconds")
    assert set(sessions.execute(preview).fetchall()) == {("close", "process_dead", key)}
