"""recovery.sweep: ends what has lapsed, closes what any ended epoch left, as often as you like."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helpers import wait_for_lock
from sql.jobs import (
    Connection,
    add,
    attach,
    boot,
    events,
    heartbeat,
    in_background,
    kinds,
    lapse,
    last_event,
    refused,
    statuses,
    sweep,
    value,
    write_as,
)

Connect = Callable[..., Connection]


def test_p01_a_lapsed_server_is_ended_and_its_orphans_close(jobs: Connection) -> None:
    server = boot(jobs)
    (id_,) = add(jobs, server.epoch)
    lapse(jobs, server.epoch)
    report = sweep(jobs, label="w1")
    assert (report["ended"], report["closed"]) == ([server.epoch], {"app.job": 1})
    assert statuses(jobs) == {id_: "failed"}
    closed = events(jobs)[-1]
    assert (closed["reason"], closed["detector"]) == ("lease_expired", "sweep:w1")
    assert closed["new"]["error"] == "server lost"


def test_p02_a_live_server_keeps_its_rows(jobs: Connection) -> None:
    (id_,) = add(jobs, boot(jobs).epoch)
    report = sweep(jobs)
    assert (report["ended"], report["closed"]) == ([], {})
    assert statuses(jobs) == {id_: "running"}


def test_p01_orphans_of_every_name(jobs: Connection) -> None:
    for name in ("a", "b", "c"):
        add(jobs, boot(jobs, name).epoch, 2)
    jobs.execute(
        "update recovery.server set ended = now(), reason = 'superseded' where name <> 'c'"
    )
    assert sweep(jobs)["closed"] == {"app.job": 4}


def test_again_changes_nothing(jobs: Connection) -> None:
    server = boot(jobs)
    add(jobs, server.epoch, 3)
    lapse(jobs, server.epoch)
    sweep(jobs)
    seen = last_event(jobs)
    assert sweep(jobs)["closed"] == {}
    assert last_event(jobs) == seen


def test_two_at_once_close_each_row_once(
    jobs: Connection, writer: Connection, connect: Connect
) -> None:
    ids, holder = add(jobs, boot(jobs).epoch, 20), connect()
    lapse(jobs, value(jobs, "select epoch from recovery.server"))
    with holder.transaction():
        holder.execute("select from app.job where id = %s for update", (ids[0],))
        sweeps = [in_background(sweep, c, batch=3, lock_wait="1 minute") for c in (jobs, writer)]
        for conn in (jobs, writer):
            wait_for_lock(connect(), conn.info.backend_pid)
    reports = [each.result(20) for each in sweeps]
    assert sum(report["closed"].get("app.job", 0) for report in reports) == 20
    assert [kind for kind, _ in kinds(holder)].count("closed") == 20
    assert set(statuses(holder).values()) == {"failed"}


def test_p02_a_completion_that_is_just_committing_wins(
    jobs: Connection, writer: Connection, connect: Connect
) -> None:
    server, watcher = boot(jobs), connect()
    ids = add(jobs, server.epoch, 2)
    write_as(writer, server.epoch)
    with writer.transaction():
        writer.execute("update app.job set status = 'done' where id = %s", (ids[0],))
        lapse(watcher, server.epoch)
        sweeping = in_background(sweep, jobs, lock_wait="1 minute")
        assert wait_for_lock(watcher, jobs.info.backend_pid) == "advisory"
    assert sweeping.result(10)["closed"] == {"app.job": 1}
    assert statuses(watcher) == {ids[0]: "done", ids[1]: "failed"}
    assert value(watcher, "select error from app.job where id = %s", ids[0]) is None


def test_p02_a_heartbeat_that_commits_first_keeps_the_server(
    jobs: Connection, writer: Connection, connect: Connect
) -> None:
    server, watcher = boot(jobs), connect()
    add(jobs, server.epoch)
    lapse(jobs, server.epoch)
    with writer.transaction():
        heartbeat(writer, server)
        sweeping = in_background(sweep, jobs, lock_wait="1 minute")
        wait_for_lock(watcher, jobs.info.backend_pid)
    assert sweeping.result(10)["ended"] == []
    assert statuses(watcher) == {1: "running"}


def test_p04_a_heartbeat_behind_a_sweep_is_refused(
    jobs: Connection, writer: Connection, connect: Connect
) -> None:
    server, watcher = boot(jobs), connect()
    lapse(jobs, server.epoch)
    with jobs.transaction():
        jobs.execute("select recovery._end_dead_servers('1 second')")
        beating = in_background(heartbeat, writer, server)
        wait_for_lock(watcher, writer.info.backend_pid)
    with refused("RC001", "lease_expired"):
        beating.result(10)


def test_the_last_sweep_of_each_label_is_recorded(jobs: Connection) -> None:
    for label in ("a", "b", "a"):
        report = sweep(jobs, label=label)
    labels = jobs.execute("select label from recovery.sweep_run order by label").fetchall()
    assert labels == [("a",), ("b",)]
    assert value(jobs, "select report from recovery.sweep_run where label = 'a'") == report


@pytest.mark.parametrize(("option", "wrong"), [("batch", 0), ("batch", -1), ("lock_wait", "0")])
def test_an_argument_out_of_range(jobs: Connection, option: str, wrong: object) -> None:
    with refused("RC010"):
        sweep(jobs, **{option: wrong})


def test_status_names_a_watch_without_its_triggers(jobs: Connection) -> None:
    assert jobs.execute("select * from recovery.problem").fetchall() == []
    jobs.execute("alter table app.job disable trigger recovery_20_update")
    assert "disabled" in value(jobs, "select problem from recovery.problem")
    jobs.execute("alter table app.job enable trigger recovery_20_update")
    jobs.execute("drop trigger recovery_10_insert on app.job")
    index = value(
        jobs, "select 'app.recovery_open_' || id from recovery.watch where name = 'app.job'"
    )
    jobs.execute(f"drop index {index}")  # type: ignore
    said = value(jobs, "select problem from recovery.problem where name = 'app.job'")
    assert "recovery_10_insert" in said
    assert "recovery_open" in said
    attach(jobs)
    assert jobs.execute("select * from recovery.problem").fetchall() == []
