"""Which processes of a host were left by a server that ended, and which ones still belong to somebody."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from sql.jobs import (
    Booted,
    Connection,
    add,
    attach,
    boot,
    refused,
    report_process,
    shutdown,
    statuses,
    sweep,
    value,
    write_as,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def track(
    conn: Connection,
    server: Booted,
    key: object,
    pid: int = 4711,
    *,
    watch: str = "app.job",
    scope: str = "row",
    host: str = "here",
) -> int:
    return int(
        value(
            conn,
            "select recovery.track_process(%s, %s, %s, %s, %s, %s, %s, %s)",
            *(server.epoch, server.token, watch, str(key), scope, host, pid, START),
        )
    )


def left(conn: Connection, host: str = "here", epoch: int | None = None) -> list[int]:
    """The pids that are left on a host."""
    rows = conn.execute(
        "select pid from recovery.orphaned_processes(%s, %s)", (host, epoch)
    ).fetchall()
    return [pid for (pid,) in rows]


def of(conn: Connection, scope: str, key: object, watch: str = "app.job") -> list[int]:
    rows = conn.execute(
        "select pid from recovery.work_processes(%s, %s, %s)", (watch, scope, str(key))
    ).fetchall()
    return [pid for (pid,) in rows]


def light(conn: Connection, key: object, pid: int | None, scope: str = "row") -> int:
    statement = "select recovery.light_fuse('app.job', %s, '1 minute', 'here', %s, %s, %s)"
    return int(value(conn, statement, str(key), pid, START, scope))


@pytest.fixture
def sessions(app: Connection) -> Connection:
    """app.job with groups that have parents."""
    app.execute("alter table app.job add column session text not null default 's1'")
    attach(app, group="r.session")
    return app


def test_row30_processes_of_a_live_server_are_not_left(jobs: Connection) -> None:
    server = boot(jobs)
    (key,) = add(jobs, server.epoch)
    track(jobs, server, key)
    assert left(jobs) == []
    assert left(jobs, epoch=server.epoch) == [4711]


def test_row30_an_ended_epoch_leaves_its_processes_on_their_host(jobs: Connection) -> None:
    server = boot(jobs)
    one, other = add(jobs, server.epoch, 2)
    entry = track(jobs, server, one)
    track(jobs, server, other, 4712, host="elsewhere")
    boot(jobs)
    assert (left(jobs), left(jobs, "elsewhere"), left(jobs, "nowhere")) == ([4711], [4712], [])
    assert value(jobs, "select recovery.untrack_process(%s)", entry) is True
    assert value(jobs, "select recovery.untrack_process(%s)", entry) is False
    assert left(jobs) == []


def test_registering_again_finds_the_same_entry(jobs: Connection) -> None:
    server = boot(jobs)
    assert track(jobs, server, 1) == track(jobs, server, 1)
    assert track(jobs, server, 1) != track(jobs, server, 1, 4712)
    assert value(jobs, "select count(*) from recovery.process") == 2


@pytest.mark.parametrize("same_pid", [True, False])
def test_row13_row30_adopted_work_keeps_its_processes(jobs: Connection, same_pid: bool) -> None:
    """The fuse may be on the process itself, or on the unit with another process."""
    first = boot(jobs)
    key, bare = add(jobs, first.epoch, 2)
    track(jobs, first, key)
    track(jobs, first, bare, 4712)
    light(jobs, key, 4711 if same_pid else 99)
    second = boot(jobs)
    assert second.report["adopted"] == {"app.job": 1}
    assert left(jobs) == [4712]

    jobs.execute("delete from recovery.fuse")
    assert left(jobs) == [4712]  # the row is the second server's own
    jobs.execute("update app.job set status = 'done' where id = %s", (key,))
    assert left(jobs) == [4711, 4712]


def test_a_fuse_on_the_process_keeps_it_whatever_it_guards(jobs: Connection) -> None:
    first = boot(jobs)
    one, other = add(jobs, first.epoch, 2)
    track(jobs, first, one)
    light(jobs, other, 4711)
    boot(jobs)
    assert left(jobs) == []


def test_an_unguarded_fuse_keeps_nothing(jobs: Connection) -> None:
    first = boot(jobs)
    burnt, dead, nobody = add(jobs, first.epoch, 3)
    for key, pid in ((burnt, 1001), (dead, 1002), (nobody, 1003)):
        track(jobs, first, key, pid)
    light(jobs, burnt, 1001)
    jobs.execute("update recovery.fuse set expires = lit - interval '1 hour'")
    light(jobs, dead, 1002)
    report_process(jobs, "here", 1002, START)
    light(jobs, nobody, None)
    boot(jobs)
    assert left(jobs) == [1001, 1002, 1003]


def test_a_session_fuse_keeps_the_processes_of_its_rows(sessions: Connection) -> None:
    first = boot(sessions)
    guarded, bare = add(sessions, first.epoch, 2)
    sessions.execute("update app.job set session = 's2' where id = %s", (bare,))
    track(sessions, first, guarded)
    track(sessions, first, bare, 4712)
    light(sessions, "s1", 99, "group")
    sessions.execute("select recovery.evict('api')")
    sweep(sessions)
    assert set(statuses(sessions).values()) == {"running", "failed"}
    assert left(sessions) == [4712]


def test_an_heir_keeps_the_processes(sessions: Connection) -> None:
    """As long as there is one: heirs of heirs, too."""
    servers = [boot(sessions, name) for name in ("one", "two", "three")]
    (key,) = add(sessions, servers[0].epoch)
    track(sessions, servers[0], key)
    track(sessions, servers[0], "s1", 4712, scope="group")
    for server, heir in pairwise(servers):
        shutdown(sessions, server.epoch, token=server.token, heir=heir.epoch)
        assert left(sessions) == []
    shutdown(sessions, servers[-1].epoch, token=servers[-1].token)
    assert left(sessions) == [4711, 4712]


def test_a_row_that_cannot_be_looked_at_keeps_its_process(
    jobs: Connection, writer: Connection
) -> None:
    server = boot(jobs)
    (key,) = add(jobs, server.epoch)
    track(jobs, server, key)
    track(jobs, server, "no number", 4712)
    jobs.execute("select recovery.evict('api')")
    writer.autocommit = False
    writer.execute("lock app.job in access exclusive mode")
    assert left(jobs) == []
    assert value(jobs, "show lock_timeout") == "0"
    writer.rollback()
    assert left(jobs) == [4711, 4712]


def test_processes_of_a_row(jobs: Connection) -> None:
    server = boot(jobs)
    one, other = add(jobs, server.epoch, 2)
    track(jobs, server, one)
    track(jobs, server, one, 4712)
    track(jobs, server, other, 4713)
    assert of(jobs, "row", one) == [4711, 4712]
    with refused("RC008"):
        of(jobs, "row", one, "nothing")
    with refused("RC010"):
        of(jobs, "table", one)


def test_processes_of_a_group_with_its_rows(sessions: Connection) -> None:
    server = boot(sessions)
    one, other = add(sessions, server.epoch, 2)
    sessions.execute("update app.job set session = 's2' where id = %s", (other,))
    track(sessions, server, one)
    track(sessions, server, other, 4712)
    track(sessions, server, "s1", 4713, scope="group")
    track(sessions, server, "gone", 4714)
    assert of(sessions, "group", "s1") == [4711, 4713]
    assert of(sessions, "group", "s2") == [4712]
    assert of(sessions, "group", "s3") == []


def test_row20_processes_of_a_session_with_its_subagents(conn: Connection) -> None:
    server = boot(conn, "opencode")
    write_as(conn, server.epoch)
    conn.execute(
        "insert into agent.session (id, parent_id, time_created, time_updated)"
        " values ('s1', null, 1, 1), ('s2', 's1', 1, 1), ('s3', null, 1, 1)"
    )
    conn.execute(
        """insert into agent.message (id, session_id, time_created, time_updated, data)
           select 'm' || s, s, 1, 1, '{"role": "assistant", "time": {"created": 1}}'
           from unnest(array['s1', 's2', 's3']) as s"""
    )
    for number, session in enumerate(("s1", "s2", "s3")):
        track(conn, server, f"m{session}", 4711 + number, watch="agent.message")
    track(conn, server, "s2", 4720, watch="agent.message", scope="group")
    assert of(conn, "group", "s1", "agent.message") == [4711, 4712, 4720]
    assert of(conn, "group", "s2", "agent.message") == [4712, 4720]


def test_a_key_of_several_columns(app: Connection) -> None:
    app.execute(
        "create table app.step (job bigint, n int, status text default 'running', error text,"
        " primary key (job, n))"
    )
    attach(app, "app.step")
    first = boot(app)
    app.execute("insert into app.step (job, n, server_epoch) values (1, 2, %s)", (first.epoch,))
    track(app, first, "[1, 2]", watch="app.step")
    second = boot(app)
    assert left(app) == [4711]
    app.execute(
        "update app.step set status = 'running', error = null, server_epoch = %s", (second.epoch,)
    )
    assert left(app) == []


@pytest.mark.parametrize(
    ("changed", "sqlstate"),
    [
        ({"epoch": None}, "RC002"),
        ({"epoch": 1}, "RC002"),
        ({"token": "00000000-0000-0000-0000-000000000000"}, "RC003"),
        ({"token": None}, "RC003"),
        ({"watch": "nothing"}, "RC008"),
        ({"key": ""}, "RC010"),
        ({"key": None}, "RC010"),
        ({"scope": "table"}, "RC010"),
        ({"scope": "group"}, "RC010"),
        ({"host": None}, "RC010"),
        ({"pid": 1}, "RC010"),
        ({"pid": None}, "RC010"),
        ({"start": None}, "RC010"),
    ],
)
def test_bad_process(jobs: Connection, changed: dict[str, Any], sqlstate: str) -> None:
    server = boot(jobs)
    given = {"epoch": server.epoch, "token": server.token, "watch": "app.job", "key": "1"}
    given |= {"scope": "row", "host": "here", "pid": 4711, "start": START, **changed}
    with refused(sqlstate):
        jobs.execute(
            "select recovery.track_process(%s, %s, %s, %s, %s, %s, %s, %s)", list(given.values())
        )
    assert value(jobs, "select count(*) from recovery.process") == 0


def test_an_ended_epoch_registers_nothing(jobs: Connection) -> None:
    server = boot(jobs)
    boot(jobs)
    with refused("RC001"):
        track(jobs, server, 1)


def test_processes_of_hosts_that_never_came_back_are_forgotten(jobs: Connection) -> None:
    old = boot(jobs, "old")
    (key,) = add(jobs, old.epoch)
    track(jobs, old, key)
    jobs.execute("select recovery.evict('old')")
    live = boot(jobs, "live", lease="1 day")
    track(jobs, live, key, 4712)
    assert value(jobs, "select recovery.prune_processes()") == 0
    jobs.execute("update recovery.clock set shift = shift + interval '8 days'")
    assert value(jobs, "select recovery.prune_processes()") == 1
    assert jobs.execute("select pid from recovery.process").fetchall() == [(4712,)]
    with refused("RC010"):
        jobs.execute("select recovery.prune_processes('1 minute')")


def test_a_server_may_do_all_of_this(jobs: Connection) -> None:
    jobs.execute("set role recovery_server")
    first = boot(jobs)
    entry = track(jobs, first, "1")
    assert of(jobs, "row", "1") == [4711]
    boot(jobs)
    assert left(jobs) == [4711]
    assert value(jobs, "select recovery.prune_processes()") == 0
    assert value(jobs, "select recovery.untrack_process(%s)", entry) is True
    with refused("42501"):
        jobs.execute("delete from recovery.process")
    jobs.execute("set role recovery_listener")
    assert value(jobs, "select count(*) from recovery.process") == 0
    with refused("42501"):
        left(jobs)
