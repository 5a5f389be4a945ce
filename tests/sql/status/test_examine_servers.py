"""What is wrong with servers, sweeps, fuses and open work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from sql.jobs import Connection, add, attach, boot, call, lapse, shutdown, statuses, sweep, value
from sql.status.examining import codes, examine, fix, only, well


def test_nobody_sweeps(jobs: Connection) -> None:
    assert only(jobs, "sweep-missing").problem == "nobody has swept yet"
    well(jobs)
    jobs.execute("update recovery.clock set shift = '2 minutes'")
    assert "nobody has swept for 00:02:0" in only(jobs, "sweep-missing").problem
    assert codes(jobs, patience="3 min") == set()
    well(jobs)


def test_sweeps_that_come_too_seldom(jobs: Connection) -> None:
    """Half a minute apart, where a lease is 15 s."""
    boot(jobs, lease="15 s")
    sweep(jobs)
    jobs.execute("update recovery.clock set shift = '30 seconds'")
    jobs.execute("select recovery.heartbeat(epoch, token) from recovery.server")
    sweep(jobs)
    found = only(jobs, "sweep-slow")
    assert "every 00:00:30" in found.problem
    assert "lease is 00:00:15" in found.problem
    sweep(jobs)
    assert codes(jobs) == set()


def test_a_lease_of_two_beats(jobs: Connection) -> None:
    server = boot(jobs, lease="15 s")
    beat = "select recovery.keeper_heartbeat(%s, %s, %s)"
    jobs.execute(beat, (server.epoch, server.token, "10 s"))
    sweep(jobs)
    assert only(jobs, "lease-tight").subject == f"api (epoch {server.epoch})"
    jobs.execute(beat, (server.epoch, server.token, "5 s"))
    well(jobs)


def test_a_keeper_behind_a_pooler(jobs: Connection) -> None:
    server = boot(jobs)
    beat = "select recovery.keeper_heartbeat(%s, %s, '5 s', %s)"
    jobs.execute(beat, (server.epoch, server.token, False))
    sweep(jobs)
    assert only(jobs, "server-pooled").severity == "note"
    jobs.execute(beat, (server.epoch, server.token, True))
    well(jobs)


def test_a_death_that_is_held_back(jobs: Connection) -> None:
    server = boot(jobs)
    sweep(jobs)
    jobs.execute("update recovery.clock set shift = '16 seconds'")
    jobs.execute("update recovery.observation set since = recovery._now(), swept = recovery._now()")
    found = only(jobs, "death-held")
    assert found.subject == f"api (epoch {server.epoch})"
    assert "is not declared dead before" in found.problem
    assert found.remedy == f"recovery evict {server.epoch}"
    call(jobs, "shutdown", epoch=server.epoch, token=server.token)
    well(jobs)


def test_most_servers_look_dead_at_once(jobs: Connection) -> None:
    """P5: held back, and the reason is told."""
    for name in ("a", "b", "c"):
        lapse(jobs, boot(jobs, name).epoch)
    sweep(jobs)
    found = [each for each in examine(jobs) if each.code == "death-held"]
    if found:  # the first sweep after they lapsed holds them
        assert len(found) == 3
        assert all("most servers look dead at once" in each.problem for each in found)
    else:
        assert value(jobs, "select count(*) from recovery.server where ended is not null") == 3


def test_an_end_that_is_pending(jobs: Connection, writer: Connection) -> None:
    server = boot(jobs)
    jobs.execute("create table app.note (epoch bigint references recovery.server (epoch))")
    with writer.transaction():
        writer.execute("insert into app.note values (%s)", (server.epoch,))
        boot(jobs, lock_wait="100 ms")
        sweep(jobs, lock_wait="100 ms")
        found = only(jobs, "end-pending")
        assert found.subject == f"api (epoch {server.epoch})"
        assert found.problem.startswith("is to end (superseded)")
        assert found.remedy == f"recovery evict {server.epoch} --terminate-backends"
    well(jobs)


def test_two_versions(jobs: Connection) -> None:
    """Of one server's name: another server may be of another version."""
    old = boot(jobs, "api", version="1.0", host="a", policy="wait", wait="1 s")
    boot(jobs, "worker", version="7")
    well(jobs)
    jobs.execute(
        "select recovery.keeper_heartbeat(%s, %s, '5 s')", (old.epoch, old.token)
    )  # shown to be alive: a sibling
    boot(jobs, "api", version="1.1", host="b")
    found = only(jobs, "versions-differ")
    assert "api 1.0 and 1.1" in found.problem
    shutdown(jobs, old.epoch, token=old.token)
    well(jobs)


def test_clocks(jobs: Connection) -> None:
    skewed = boot(jobs, "skewed", host="lab#1", pid=7)
    start = value(jobs, "select clock_timestamp() + interval '1 minute'")
    late = boot(jobs, "late", host="lab#1", pid=8, process_start=start)
    sweep(jobs)
    found = only(jobs, "clock-skew")
    assert found.subject == f"late (epoch {late.epoch})"
    assert "the clock of lab is ahead" in found.problem
    shutdown(jobs, late.epoch, token=late.token)
    jobs.execute("update recovery.clock set shift = '1 minute'")
    jobs.execute("select recovery.heartbeat(%s, %s)", (skewed.epoch, skewed.token))
    jobs.execute("update recovery.clock set shift = '0'")
    assert "00:00:5" in only(jobs, "clock-back").problem
    jobs.execute("select recovery.heartbeat(%s, %s)", (skewed.epoch, skewed.token))
    well(jobs)


@pytest.fixture
def session(jobs: Connection) -> Iterator[Callable[[str], tuple[Connection, str]]]:
    """``session(application_name)``: of a login without any role; and that login."""
    name = f"worker_{os.getpid()}"
    jobs.execute(f"create role {name} login".encode())
    opened: list[Connection] = []

    def make(application_name: str) -> tuple[Connection, str]:
        dsn = make_conninfo(
            jobs.info.dsn, user=name, password=None, application_name=application_name
        )
        opened.append(psycopg.connect(dsn, autocommit=True))
        return opened[-1], name

    yield make
    for conn in opened:
        conn.close()
    jobs.execute(f"drop role {name}".encode())


@pytest.mark.parametrize(
    ("label", "role"),
    [("recovery:keeper:api#1795706878793695", "server"), ("recovery:listener:ui", "listener")],
)
def test_a_login_without_its_role(
    jobs: Connection, session: Callable[[str], tuple[Connection, str]], label: str, role: str
) -> None:
    well(jobs)
    _, login = session(label)
    found = only(jobs, "server-lacks-role")
    assert found.subject == login
    assert found.remedy == f"grant recovery_{role} to {login};"
    jobs.execute(found.remedy.encode())
    well(jobs)


def test_a_server_that_is_a_superuser(jobs: Connection) -> None:
    jobs.execute("set application_name = 'recovery:keeper:api'")
    rows = jobs.execute(
        "select severity, subject from recovery.examine('servers') where code = 'server-superuser'"
    ).fetchall()
    severity = "warning" if jobs.info.server_version < 180000 else "note"
    assert rows == [(severity, jobs.info.user)]


def test_rows_that_nobody_owns(app: Connection) -> None:
    """Old ones, and those of a writer that goes on without an epoch."""
    app.execute("insert into app.job default values")
    attach(app)
    sweep(app)
    found = only(app, "rows-unowned")
    assert (found.severity, found.subject) == ("warning", "app.job")
    assert found.problem.startswith("1 of 1 open rows (100 %) belong to nobody")
    server = boot(app)
    add(app, server.epoch, 3)
    assert only(app, "rows-unowned").problem.startswith("1 of 4 open rows (25 %)")
    add(app, None)
    found = only(app, "writer-unbound")
    assert found.severity == "error"
    assert found.problem.startswith("2 of 5 open rows (40 %)")
    assert found.problem.endswith("so did 1 of the last 4 that were opened")
    assert "rows-unowned" not in codes(app)
    app.execute("select recovery.configure('unowned_expected', 'true', 'app.job')")
    assert codes(app) == set()


def test_orphans_and_rows_that_can_not_be_closed(jobs: Connection) -> None:
    server = boot(jobs)
    first, second = add(jobs, server.epoch, 2)
    jobs.execute(
        f"alter table app.job add constraint never check (id <> {first} or status <> 'failed')"
        " not valid".encode()
    )
    lapse(jobs, server.epoch)
    sweep(jobs)
    assert codes(jobs) == {"rows-orphaned", "rows-failing"}
    assert only(jobs, "rows-orphaned").problem == "1 open rows of servers that have ended"
    failing = only(jobs, "rows-failing")
    assert "violates check constraint" in failing.problem
    assert "tried 1 times" in failing.problem
    jobs.execute("alter table app.job drop constraint never")
    jobs.execute("update recovery.failure set next_at = clock_timestamp()")
    well(jobs)
    assert statuses(jobs) == {first: "failed", second: "failed"}


def test_an_impossible_fuse(jobs: Connection) -> None:
    well(jobs)
    jobs.execute(
        "insert into recovery.fuse (family, scope, watch, key, pid, ttl, expires)"
        " values ('app.job', 'row', 'app.job', 'x', 1, '1 h', 'infinity')"
    )
    found = only(jobs, "entry-impossible")
    assert found.kind == "fuse"
    fix(jobs, found)
    well(jobs)


def test_an_impossible_server(jobs: Connection) -> None:
    """Whether it ends decides a person."""
    server = boot(jobs)
    jobs.execute("update recovery.server set pid = -1 where epoch = %s", (server.epoch,))
    sweep(jobs)
    found = only(jobs, "entry-impossible")
    assert (found.kind, found.fix) == ("server", None)
    assert found.remedy == f"recovery evict {server.epoch}"


def test_a_fuse_that_nobody_extends(jobs: Connection) -> None:
    server = boot(jobs)
    (row,) = add(jobs, server.epoch)
    fuse = value(jobs, "select recovery.light_fuse('app.job', %s, '1 min', 'row', 4711)", str(row))
    well(jobs)
    jobs.execute("update recovery.clock set shift = '90 seconds'")
    jobs.execute("select recovery.heartbeat(%s, %s)", (server.epoch, server.token))
    jobs.execute("update recovery.observation set swept = recovery._now()")
    assert codes(jobs) == set()
    found = only(jobs, "fuse-late", patience="1 s")
    assert found.subject == str(fuse)
    jobs.execute(found.remedy.encode())
    assert "fuse-late" not in codes(jobs, patience="1 s")
