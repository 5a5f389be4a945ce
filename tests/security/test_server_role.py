"""What a login of recovery_server can do to other servers and to the loops of a host."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from security.conftest import World
from security.stage import attach
from sql.jobs import Connection, boot, refused, report_process, shutdown, sweep, value


@pytest.fixture
def server(plain: World) -> Connection:
    """A session of recovery_server; app.job is watched."""
    attach(plain.teams(), "app.job", {})
    plain.dba.execute("insert into app.job (id, status) values (1, 'running')")
    return plain.session("server")


def test_a_foreign_server_is_not_shut_down_without_its_token(
    plain: World, server: Connection
) -> None:
    victim = boot(plain.dba, "victim")
    with refused("RC003"):
        shutdown(server, victim.epoch)
    with refused("RC003"):
        shutdown(server, victim.epoch, token="00000000-0000-0000-0000-000000000000")
    with refused("RC003"):
        server.execute("select recovery._begin_shutdown(%s, null, null, '1 s')", (victim.epoch,))
    mine = boot(server, "mine")
    with refused("RC003"):
        shutdown(server, victim.epoch, token=mine.token, heir=mine.epoch)
    assert value(
        plain.dba, "select ended is null from recovery.server where epoch = %s", victim.epoch
    )


def test_its_own_is_and_the_owner_role_needs_no_token(plain: World, server: Connection) -> None:
    mine = boot(server, "mine")
    assert shutdown(server, mine.epoch, token=mine.token)["ended"] == [mine.epoch]
    other = boot(server, "other")
    assert shutdown(plain.session("owner"), other.epoch)["ended"] == [other.epoch]


FOR_OTHERS = [
    "select token from recovery.server",
    "select * from recovery.server",
    "update recovery.server set ended = recovery._now()",
    "insert into recovery.outbox (watch, kind, key, detector) values ('app.job', 'x', 'x', 'x')",
    "delete from recovery.outbox",
    "insert into recovery.fuse default values",
    "update recovery.watch set path = ''",
    "insert into recovery.outbox_1 (watch, kind, key, detector) values ('app.job', 'x', 'x', 'x')",
    "select recovery._end_epoch(1, 'shutdown', '1 s')",
    "select recovery.close('1')",
    "select recovery._run_as_owner(1, 'select 1')",
    "select recovery._close_selection('app.job', 'any', null, 'ignore', null, 'app.job', array['1'], null, 1, 'x', 'x', '1 s', false, null)",
    "select recovery._close_unit_tree(('app.job', 'row', 'app.job', '1')::recovery.unit, 'x', 'x', '1 s')",
    "select recovery.permit('recovery_server')",
    "select recovery.detach('app.job')",
    "select recovery.attach('app.job', 'true', '{}')",
    "update app.job set status = 'x'",
    "select * from app.job",
]


def test_the_rest_is_for_others(server: Connection) -> None:
    for statement in FOR_OTHERS:
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable)):
            server.execute(statement)  # type: ignore


TIMES = ["infinity", "-infinity", "2999-01-01 00:00+00"]
PIDS = [0, -1, -2147483648]
KEYS = [None, "", "x" * 2001]
HOSTS = ["", "h" * 256, "a\nb"]
LIVING = "2020-01-01 00:00+00"

BAD_PROCESSES: list[tuple[Any, Any, Any]] = [
    *(("host", 10, time) for time in TIMES),
    *(("host", pid, LIVING) for pid in PIDS),
    *((host, 10, LIVING) for host in HOSTS),
]


def test_an_impossible_process_is_refused_where_it_enters(server: Connection) -> None:
    mine = boot(server, "mine")
    for host, pid, start in BAD_PROCESSES:
        with refused("RC010"):
            server.execute(
                "select recovery.light_fuse('app.job', '1', '1 min', %s, %s, %s)",
                (host, pid, start),
            )
        with refused("RC010"):
            report_process(server, host, pid, start)
        with refused("RC010"):
            boot(server, "bad", host=host, pid=pid, process_start=start)
        with refused("RC010"):
            server.execute(
                "select recovery.track_process(%s, %s, 'app.job', '1', 'row', %s, %s, %s)",
                (mine.epoch, mine.token, host, pid, start),
            )
    assert value(server, "select count(*) from recovery.fuse") == 0
    assert value(server, "select count(*) from recovery.process") == 0


@pytest.mark.parametrize("key", KEYS, ids=["null", "empty", "long"])
def test_an_impossible_key_is_refused_where_it_enters(server: Connection, key: str | None) -> None:
    mine = boot(server, "mine")
    for statement in (
        "select recovery.light_fuse('app.job', %s, '1 min')",
        "select recovery.touch('app.job', array[%s]::text[])",
        "select recovery.touch('app.job', array['1', %s]::text[])",
    ):
        with refused("RC010"):
            server.execute(statement, (key,))
    with refused("RC010"):
        server.execute(
            "select recovery.track_process(%s, %s, 'app.job', %s, 'row', 'host', 10, %s)",
            (mine.epoch, mine.token, key, LIVING),
        )


def test_an_impossible_fuse_time_is_refused(server: Connection) -> None:
    for ttl in ("0 s", "-1 s", "8 days", None):
        with refused("RC010"):
            server.execute("select recovery.light_fuse('app.job', '1', %s)", (ttl,))


def test_an_impossible_name_is_refused(server: Connection) -> None:
    for name in ("", " ", "x" * 201, "a\x01b", "a\nb"):
        with refused("RC004"):
            boot(server, name)


def test_nul_is_refused(server: Connection) -> None:
    with pytest.raises(psycopg.DataError):
        boot(server, "a\0b")
    with pytest.raises(psycopg.DataError):
        server.execute("select recovery.touch('app.job', array[%s])", ("a\0b",))


BAD_FUSES = {
    "infinite start": "10, 'infinity', now() + interval '1 hour'",
    "minus infinite start": "10, '-infinity', now() + interval '1 hour'",
    "start in the future": "10, '2999-01-01', now() + interval '1 hour'",
    "pid 0": "0, '2020-01-01', now() + interval '1 hour'",
    "negative pid": "-7, '2020-01-01', now() + interval '1 hour'",
    "infinite end": "10, '2020-01-01', 'infinity'",
}


@pytest.mark.parametrize("bad", BAD_FUSES)
def test_an_impossible_fuse_that_got_in_is_passed_over_and_shown(
    plain: World, server: Connection, bad: str
) -> None:
    mine = boot(server, "mine", host="host")
    plain.dba.execute(f"update app.job set server_epoch = {mine.epoch} where id = 1")  # type: ignore
    plain.dba.execute(
        "insert into recovery.fuse (family, scope, watch, key, host, ttl, pid, process_start, expires)"  # type: ignore
        f" values ('app.job', 'row', 'app.job', '1', 'host', '1 hour', {BAD_FUSES[bad]})"
    )
    assert value(server, "select kind from recovery.problem") == "fuse"
    rows = server.execute(
        "select pid, process_start from recovery.host_processes('host')"
    ).fetchall()
    assert all(pid > 0 and (start is None or start < datetime.now(UTC)) for pid, start in rows)
    sweep(server)
    shutdown(server, mine.epoch, token=mine.token)
    assert value(plain.dba, "select status from app.job") == "failed"  # it guards nothing
    sweep(server)


@pytest.mark.parametrize(
    "bad",
    [
        "pid = 0",
        "pid = -1",
        "process_start = 'infinity'",
        "process_start = '-infinity'",
        "process_start = '2999-01-01'",
    ],
)
def test_an_impossible_server_that_got_in_is_passed_over_and_shown(
    plain: World, server: Connection, bad: str
) -> None:
    boot(server, "bad", host="host", pid=10, process_start=LIVING)
    good = boot(server, "good", host="host", pid=11, process_start=LIVING)
    plain.dba.execute(f"update recovery.server set {bad} where name = 'bad'")  # type: ignore
    assert value(server, "select kind from recovery.problem") == "server"
    assert [
        pid
        for pid, _ in server.execute(
            "select pid, process_start from recovery.host_processes('host')"
        )
    ] == [11]
    sweep(server)
    server.execute("select * from recovery.server_status").fetchall()
    server.execute("select recovery.heartbeat(%s, %s)", (good.epoch, good.token))


def test_the_keeper_and_the_sweeper_go_on(plain: World, server: Connection) -> None:
    """A host's fuse with an infinite start, which the driver cannot read, stopped every sweeper there."""
    name = plain.stage.logins["server"]
    dsn = psycopg.conninfo.make_conninfo(plain.dsn, user=name, password="x")
    with recovery.serve(dsn, "api", listen=False, sweep=0.1) as serving:
        host = value(plain.dba, "select host from recovery.server where epoch = %s", serving.epoch)
        for n, bad in enumerate(BAD_FUSES.values()):
            plain.dba.execute(
                "insert into recovery.fuse (family, scope, watch, key, host, ttl, pid, process_start, expires)"  # type: ignore
                f" values ('app.job', 'row', 'app.job', 'x{n}', %s, '1 hour', {bad})",
                (host or socket.gethostname(),),
            )
        before = value(plain.dba, "select clock_timestamp()")
        wait_for(
            lambda: value(plain.dba, "select swept > %s from recovery.observation", before),
            20,
            what="another sweep",
        )
        dead = boot(plain.dba, "dead")
        plain.dba.execute(f"update app.job set server_epoch = {dead.epoch}")  # type: ignore
        plain.dba.execute("call recovery.shutdown(%s)", (dead.epoch,))
        assert value(plain.dba, "select status from app.job") == "failed"
        beat = value(
            plain.dba, "select heartbeat from recovery.server where epoch = %s", serving.epoch
        )
        wait_for(
            lambda: value(
                plain.dba,
                "select heartbeat > %s from recovery.server where epoch = %s",
                beat,
                serving.epoch,
            ),
            20,
            what="another heartbeat",
        )
        assert beat > before - timedelta(minutes=1)
