"""P1, P4: a transaction of a zombie that stays open, idle or prepared, keeps its own rows and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from helpers import wait_for_lock
from sql.jobs import (
    Booted,
    Connection,
    add,
    boot,
    in_background,
    kinds,
    lapse,
    refused,
    shutdown,
    statuses,
    sweep,
    value,
    write_as,
)

LEVELS = pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
OLD_SNAPSHOTS = pytest.mark.parametrize("level", ["repeatable read", "serializable"])
SHORT = "50 milliseconds"
#: The rows that are committed before the transaction begins: 1 is updated by it, the others are not.
ROWS = 20


def end_by_boot(conn: Connection, server: Booted) -> None:
    boot(conn, lock_wait=SHORT)


def end_by_shutdown(conn: Connection, server: Booted) -> None:
    shutdown(conn, server.epoch, token=server.token, lock_wait=SHORT)


def end_by_sweep(conn: Connection, server: Booted) -> None:
    lapse(conn, server.epoch)
    sweep(conn, lock_wait=SHORT)


def end_by_evict(conn: Connection, server: Booted) -> None:
    assert value(conn, "select recovery.evict('api')") == [server.epoch]
    sweep(conn, lock_wait=SHORT)


def end_by_drain(conn: Connection, server: Booted) -> None:
    conn.execute("select recovery.drain(%s, %s, '1 minute')", (server.epoch, server.token))
    conn.execute(
        "update recovery.server set drain_until = booted where epoch = %s", (server.epoch,)
    )
    sweep(conn, lock_wait=SHORT)


def end_by_death(conn: Connection, server: Booted) -> None:
    conn.execute(
        "update recovery.server set process_dead = booted where epoch = %s", (server.epoch,)
    )
    sweep(conn, lock_wait=SHORT)


WAYS = pytest.mark.parametrize(
    "end", [end_by_boot, end_by_shutdown, end_by_sweep, end_by_evict, end_by_drain, end_by_death]
)


@pytest.fixture
def server(jobs: Connection) -> Booted:
    """A live server with open rows 1 to ROWS."""
    server = boot(jobs)
    assert add(jobs, server.epoch, ROWS) == list(range(1, ROWS + 1))
    return server


def begin(writer: Connection, server: Booted, level: str) -> None:
    """A transaction of the server that inserts row ROWS + 1 and updates row 1."""
    write_as(writer, server.epoch)
    writer.execute(f"begin isolation level {level}")  # type: ignore
    writer.execute("set local recovery.notify = 'off'")
    writer.execute("insert into app.job default values")
    writer.execute("update app.job set note = 'mine' where id = 1")


@pytest.fixture
def prepared(jobs: Connection) -> Iterator[str]:
    """A name for a prepared transaction, which is gone afterwards."""
    yield "forgotten"
    if value(jobs, "select count(*) from pg_prepared_xacts where gid = 'forgotten'"):
        jobs.execute("rollback prepared 'forgotten'")


@LEVELS
@WAYS
def test_p01_an_idle_transaction_keeps_only_what_it_holds(
    jobs: Connection,
    writer: Connection,
    server: Booted,
    level: str,
    end: Callable[[Connection, Booted], None],
) -> None:
    begin(writer, server, level)
    end(jobs, server)
    assert value(jobs, "select ended is not null from recovery.server where epoch = %s",
                 server.epoch)  # fmt: skip
    assert statuses(jobs) == {1: "running", **dict.fromkeys(range(2, ROWS + 1), "failed")}
    # What it tries from now on fails; what it wrote before is found when it commits.
    for late in (
        "insert into app.job default values",
        "update app.job set status = 'done' where id = 1",
        "update app.job set status = 'running' where id = 2",
        "update app.job set note = 'late' where id = 3",
    ):
        writer.execute("savepoint s")
        with pytest.raises(psycopg.Error) as caught:
            writer.execute(late)  # type: ignore
        assert caught.value.sqlstate in ("RC001", "40001"), late
        writer.execute("rollback to savepoint s")
    writer.execute("commit")
    assert statuses(jobs)[ROWS + 1] == "running"
    sweep(jobs)
    assert set(statuses(jobs).values()) == {"failed"}
    assert value(jobs, "select note from app.job where id = 1") == "mine"


@LEVELS
@pytest.mark.parametrize("end", [end_by_boot, end_by_sweep])
def test_p01_a_prepared_transaction_keeps_only_what_it_holds(
    jobs: Connection,
    writer: Connection,
    server: Booted,
    prepared: str,
    level: str,
    end: Callable[[Connection, Booted], None],
) -> None:
    begin(writer, server, level)
    writer.execute(f"prepare transaction '{prepared}'")  # type: ignore
    end(jobs, server)
    assert statuses(jobs) == {1: "running", **dict.fromkeys(range(2, ROWS + 1), "failed")}
    sweep(jobs, lock_wait=SHORT)
    jobs.execute(f"commit prepared '{prepared}'")  # type: ignore
    sweep(jobs)
    assert set(statuses(jobs).values()) == {"failed"}
    assert len(statuses(jobs)) == ROWS + 1


@LEVELS
def test_p04_a_write_that_waits_while_its_server_ends_fails(
    jobs: Connection,
    writer: Connection,
    server: Booted,
    connect: Callable[..., Connection],
    level: str,
) -> None:
    begin(writer, server, level)
    other = connect()
    other.execute("begin")
    other.execute("update app.job set note = 'held' where id = 2")
    late = in_background(writer.execute, "update app.job set status = 'done' where id = 2")
    wait_for_lock(jobs, writer.info.backend_pid)
    boot(jobs, lock_wait=SHORT)
    other.execute("rollback")
    error = late.exception(10)
    assert isinstance(error, psycopg.Error)
    assert error.sqlstate in ("RC001", "40001")
    writer.execute("rollback")
    sweep(jobs)
    assert statuses(jobs) == dict.fromkeys(range(1, ROWS + 1), "failed")


@LEVELS
def test_p06_a_boot_waits_for_a_transaction_that_is_about_to_commit(
    jobs: Connection,
    writer: Connection,
    server: Booted,
    connect: Callable[..., Connection],
    level: str,
) -> None:
    begin(writer, server, level)
    booting = connect()
    booted = in_background(boot, booting, lock_wait="30 seconds")
    assert wait_for_lock(jobs, booting.info.backend_pid) == "advisory"
    writer.execute("commit")
    assert booted.result(20).closed == {"app.job": ROWS + 1}
    assert set(statuses(jobs).values()) == {"failed"}


@OLD_SNAPSHOTS
def test_p04_who_came_too_late_for_the_lock_fails(
    jobs: Connection,
    writer: Connection,
    server: Booted,
    connect: Callable[..., Connection],
    level: str,
) -> None:
    """Its snapshot is older than the end, and it asks while the boot has not committed."""
    write_as(writer, server.epoch)
    writer.execute(f"begin isolation level {level}")  # type: ignore
    writer.execute("select from app.job")
    booting = connect()
    booting.execute("begin")
    booting.execute("select recovery._end_epoch(%s, 'superseded', '1 second')", (server.epoch,))
    late = in_background(writer.execute, "insert into app.job default values")
    assert wait_for_lock(jobs, writer.info.backend_pid) == "advisory"
    booting.execute("commit")
    error = late.exception(10)
    assert isinstance(error, psycopg.Error)
    assert error.sqlstate == "40001"
    writer.execute("rollback")
    sweep(jobs)
    assert statuses(jobs) == dict.fromkeys(range(1, ROWS + 1), "failed")


@OLD_SNAPSHOTS
def test_writers_let_go_of_the_servers_row(
    jobs: Connection, writer: Connection, server: Booted, level: str
) -> None:
    begin(writer, server, level)
    free = jobs.execute("select epoch from recovery.server for update skip locked").fetchall()
    assert free == [(server.epoch,)]
    writer.execute("commit")


@LEVELS
def test_a_foreign_key_that_holds_the_server_holds_no_row(
    jobs: Connection, writer: Connection, server: Booted, level: str
) -> None:
    """The end itself waits, but what it is for does not."""
    jobs.execute("create table app.note (epoch bigint references recovery.server (epoch))")
    writer.execute(f"begin isolation level {level}")  # type: ignore
    writer.execute("insert into app.note values (%s)", (server.epoch,))
    boot(jobs, lock_wait=SHORT)
    assert value(jobs, "select pending from recovery.server where epoch = %s", server.epoch) \
        == "superseded"  # fmt: skip
    assert statuses(jobs) == dict.fromkeys(range(1, ROWS + 1), "failed")
    assert value(jobs, "select distinct reason from recovery.event where kind = 'closed'") \
        == "superseded"  # fmt: skip
    with refused("RC001"):
        write_as(jobs, server.epoch)
        jobs.execute("insert into app.job default values")
    write_as(jobs, None)
    writer.execute("commit")
    sweep(jobs)
    assert value(jobs, "select reason from recovery.server where epoch = %s and ended is not null",
                 server.epoch) == "superseded"  # fmt: skip


def test_a_held_shutdown_closes_what_it_can(
    jobs: Connection, writer: Connection, server: Booted
) -> None:
    jobs.execute("create table app.note (epoch bigint references recovery.server (epoch))")
    writer.execute("begin")
    writer.execute("insert into app.note values (%s)", (server.epoch,))
    report = shutdown(jobs, server.epoch, token=server.token, lock_wait=SHORT)
    assert report["closed"] == {"app.job": ROWS}
    assert value(jobs, "select recovery.evict('api')") == [server.epoch]
    writer.execute("rollback")
    sweep(jobs)
    assert value(jobs, "select reason from recovery.server where epoch = %s", server.epoch) \
        == "shutdown"  # fmt: skip


def test_an_eviction_that_cannot_write_says_why(
    jobs: Connection, writer: Connection, server: Booted
) -> None:
    writer.execute("begin")
    writer.execute("select recovery.heartbeat(%s, %s)", (server.epoch, server.token))
    with refused("55P03", "holds its row"):
        jobs.execute("select recovery.evict('api')")
    writer.execute("rollback")
    assert value(jobs, "select recovery.evict('api')") == [server.epoch]


def test_the_events_of_a_held_row_come_once(
    jobs: Connection, writer: Connection, server: Booted
) -> None:
    begin(writer, server, "repeatable read")
    boot(jobs, lock_wait=SHORT)
    for _ in range(3):
        sweep(jobs, lock_wait=SHORT)
    writer.execute("commit")
    sweep(jobs)
    closed = [key for kind, key in kinds(jobs) if kind == "closed"]
    assert sorted(closed, key=int) == [str(number) for number in range(1, ROWS + 2)]
