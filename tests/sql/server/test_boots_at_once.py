"""Boot beside other boots, writers and zombies; every interleaving is forced by locks."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
import pytest

from helpers import wait_for, wait_for_lock
from sql.jobs import (
    Connection,
    add,
    boot,
    in_background,
    kinds,
    refused,
    statuses,
    sweep,
    value,
    write_as,
)

Connect = Callable[..., Connection]


def test_two_boots_of_one_name_come_after_each_other(
    jobs: Connection, writer: Connection, connect: Connect
) -> None:
    add(jobs, boot(jobs).epoch, 5)
    holder = connect()
    holder.execute("select pg_advisory_lock(hashtextextended('recovery.boot:api', 0))")
    first = in_background(boot, jobs)
    second = in_background(boot, writer)
    for conn in (jobs, writer):
        wait_for_lock(holder, conn.info.backend_pid)
    holder.execute("select pg_advisory_unlock_all()")
    booted = sorted([first.result(10), second.result(10)])
    assert sum(b.closed.get("app.job", 0) for b in booted) == 5
    live = holder.execute("select epoch from recovery.server where ended is null").fetchall()
    assert live == [(booted[1].epoch,)]
    assert [kind for kind, _ in kinds(holder)].count("closed") == 5


def test_p01_a_boot_that_dies_between_batches_is_finished_by_the_next(
    jobs: Connection, writer: Connection, connect: Connect
) -> None:
    ids = die_between_batches(jobs, writer, connect())
    closed = boot(jobs).closed["app.job"]
    assert set(statuses(jobs).values()) == {"failed"}
    assert 0 < closed < len(ids)


def test_p01_or_by_the_sweep(jobs: Connection, writer: Connection, connect: Connect) -> None:
    ids = die_between_batches(jobs, writer, connect())
    closed = sweep(jobs)["closed"]["app.job"]
    assert set(statuses(jobs).values()) == {"failed"}
    assert 0 < closed < len(ids)
    assert [kind for kind, _ in kinds(jobs)].count("closed") == len(ids)


def die_between_batches(jobs: Connection, victim: Connection, holder: Connection) -> list[int]:
    """A boot closes some batches, waits for a locked row in a later one, and is killed there."""
    ids = add(jobs, boot(jobs).epoch, 10)
    with holder.transaction():
        holder.execute("select from app.job where id = %s for update", (ids[7],))
        dying = in_background(boot, victim, batch=2, lock_wait="1 hour")
        wait_for_lock(jobs, victim.info.backend_pid)
        assert list(statuses(jobs).values()) == ["failed"] * 6 + ["running"] * 4
        jobs.execute("select pg_terminate_backend(%s, 5000)", (victim.info.backend_pid,))
        with pytest.raises(psycopg.OperationalError):
            dying.result(10)
    return ids


def test_p06_a_zombies_open_transaction_delays_boot_by_its_bound(
    jobs: Connection, writer: Connection
) -> None:
    dead = boot(jobs).epoch
    write_as(writer, dead)
    with writer.transaction():
        (late,) = add(writer, dead)
        start = time.monotonic()
        booted = boot(jobs, lock_wait="200 ms")
        assert 0.2 <= time.monotonic() - start < 5
        assert (booted.closed, booted.report["ended"]) == ({}, [dead])
    assert statuses(jobs) == {late: "running"}
    assert sweep(jobs)["closed"] == {"app.job": 1}


def test_p06_a_locked_row_is_gone_round_and_the_sweep_takes_it(
    jobs: Connection, writer: Connection
) -> None:
    ids = add(jobs, boot(jobs).epoch, 9)
    with writer.transaction():
        writer.execute("select from app.job where id = %s for update", (ids[4],))
        start = time.monotonic()
        report = boot(jobs, batch=2, lock_wait="200 ms").report
        assert time.monotonic() - start < 5
        assert (report["closed"], report["busy"]) == ({"app.job": 8}, {"app.job": 1})
    assert sweep(jobs)["closed"] == {"app.job": 1}
    assert set(statuses(jobs).values()) == {"failed"}


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_p06_a_zombie_in_a_higher_isolation_level_is_ended_by_a_later_sweep(
    jobs: Connection, writer: Connection, level: str
) -> None:
    dead = boot(jobs)
    write_as(writer, dead.epoch)
    writer.execute(f"set default_transaction_isolation = '{level}'")  # type: ignore
    with writer.transaction():
        add(writer, dead.epoch)
        start = time.monotonic()
        boot(jobs, lock_wait="200 ms")
        assert time.monotonic() - start < 5
    # The zombie lives on and keeps its lease; its name was taken all the same.
    sweep(jobs)
    assert value(jobs, "select reason from recovery.server where epoch = %s", dead.epoch) == (
        "superseded"
    )
    assert set(statuses(jobs).values()) == {"failed"}


def test_boot_waits_for_an_insert_in_flight_and_closes_it(
    jobs: Connection, writer: Connection, connect: Connect
) -> None:
    dead, watcher = boot(jobs).epoch, connect()
    write_as(writer, dead)
    with writer.transaction():
        (id_,) = add(writer, dead)
        booting = in_background(boot, jobs, lock_wait="1 minute")
        assert wait_for_lock(watcher, jobs.info.backend_pid) == "advisory"
    assert booting.result(10).closed == {"app.job": 1}
    assert statuses(watcher) == {id_: "failed"}


def test_p04_an_insert_waits_for_a_boot_and_is_refused(
    jobs: Connection, writer: Connection, connect: Connect
) -> None:
    dead, holder = boot(jobs).epoch, connect()
    write_as(writer, dead)
    with holder.transaction():  # what boot does in its first transaction
        holder.execute("select recovery._end_epoch(%s, 'superseded', '1 second')", (dead,))
        late = in_background(add, writer, dead)
        assert wait_for_lock(jobs, writer.info.backend_pid) == "advisory"
    with refused("RC001", str(dead)):
        late.result(10)
    assert statuses(jobs) == {}


def test_a_row_that_moved_while_boot_waited_is_left_alone(
    jobs: Connection, writer: Connection, connect: Connect
) -> None:
    ids, watcher = add(jobs, boot(jobs).epoch, 3), connect()
    with writer.transaction():
        writer.execute("update app.job set status = 'done' where id = %s", (ids[1],))
        booting = in_background(boot, jobs, lock_wait="1 minute")
        wait_for_lock(watcher, jobs.info.backend_pid)
    assert booting.result(10).closed == {"app.job": 2}
    assert statuses(watcher) == {ids[0]: "failed", ids[1]: "done", ids[2]: "failed"}


def test_a_row_that_streamed_while_boot_waited_is_closed_in_the_next_pass(
    jobs: Connection, writer: Connection, connect: Connect
) -> None:
    ids, watcher = add(jobs, boot(jobs).epoch, 3), connect()
    with writer.transaction():
        writer.execute("update app.job set note = 'text' where id = %s", (ids[1],))
        booting = in_background(boot, jobs, lock_wait="1 minute")
        wait_for_lock(watcher, jobs.info.backend_pid)
    assert booting.result(10).closed == {"app.job": 3}
    assert value(watcher, "select note from app.job where id = %s", ids[1]) == "text"


def test_a_lost_session_holds_nothing(jobs: Connection, writer: Connection) -> None:
    dead = boot(jobs).epoch
    write_as(writer, dead)
    writer.autocommit = False
    add(writer, dead)
    jobs.execute("select pg_terminate_backend(%s, 5000)", (writer.info.backend_pid,))
    wait_for(
        lambda: value(
            jobs, "select count(*) = 0 from pg_locks where pid = %s", writer.info.backend_pid
        ),
        what="the zombie's locks go",
    )
    assert boot(jobs).report["ended"] == [dead]
