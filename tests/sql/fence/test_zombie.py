"""P4: a server whose epoch has ended can't open, reopen, overwrite or close; nothing is written."""

from __future__ import annotations

import pytest
from sql.jobs import (
    Booted,
    Connection,
    add,
    attach,
    boot,
    kinds,
    last_event,
    refused,
    shutdown,
    statuses,
    value,
    write_as,
)


@pytest.fixture
def zombie(jobs: Connection) -> Booted:
    """A superseded server. Job 1: closed by boot, 2: done before, 3: of the new server."""
    dead = boot(jobs)
    add(jobs, dead.epoch)
    add(jobs, dead.epoch, status="done")
    live = boot(jobs)
    add(jobs, live.epoch)
    return dead


def rows(conn: Connection) -> list[tuple[object, ...]]:
    return conn.execute("select * from app.job order by id").fetchall()


@pytest.mark.parametrize(
    "statement",
    [
        "insert into app.job default values",
        "insert into app.job (server_epoch) values (null)",
        "insert into app.job (status) values ('done'), ('running')",
        "insert into app.job (id) values (1) on conflict (id) do update set status = 'running'",
        "insert into app.job (id) values (1) on conflict (id) do update set status = 'done'",
        "update app.job set status = 'running' where id = 1",
        "update app.job set status = 'running', server_epoch = null where id = 2",
        "update app.job set status = 'done' where id = 1",
        "update app.job set error = null where id = 1",
        "update app.job set note = 'late' where id = 2",
        "update app.job set status = 'done' where id = 3",
        "update app.job set server_epoch = server_epoch + 1 where id = 3",
        "delete from app.job where id = 3",
        "with gone as (delete from app.job where id = 3 returning id) select * from gone",
    ],
)
def test_p04_nothing_that_a_zombie_says_is_written(
    jobs: Connection, zombie: Booted, statement: str
) -> None:
    was, seen = rows(jobs), last_event(jobs)
    write_as(jobs, zombie.epoch)
    with refused("RC001", f'epoch {zombie.epoch} of server "api" ended at .*superseded'):
        jobs.execute(statement)  # type: ignore
    assert (rows(jobs), last_event(jobs)) == (was, seen)


def test_p04_copy_too(jobs: Connection, zombie: Booted) -> None:
    was = rows(jobs)
    write_as(jobs, zombie.epoch)
    with refused("RC001"), jobs.cursor() as cursor:
        with cursor.copy("copy app.job (status) from stdin") as copy:
            copy.write_row(("running",))
    assert rows(jobs) == was


def test_p04_a_completion_after_the_end_is_refused(jobs: Connection) -> None:
    server = boot(jobs)
    (id_,) = add(jobs, server.epoch)
    jobs.execute("update recovery.server set ended = now(), reason = 'lease_expired'")
    write_as(jobs, server.epoch)
    with refused("RC001", "lease_expired"):
        jobs.execute("update app.job set status = 'done' where id = %s", (id_,))
    assert statuses(jobs) == {id_: "running"}


@pytest.mark.parametrize(
    "statement",
    [
        "insert into app.job (server_epoch) values ({epoch})",
        "update app.job set status = 'running' where id = 1",
        "update app.job set server_epoch = {epoch} where id = 3",
    ],
)
def test_p04_without_the_setting_the_owner_in_the_row_is_checked(
    jobs: Connection, zombie: Booted, statement: str
) -> None:
    was = rows(jobs)
    with refused("RC001", str(zombie.epoch)):
        jobs.execute(statement.format(epoch=zombie.epoch))  # type: ignore
    assert rows(jobs) == was


def test_an_epoch_that_never_was(jobs: Connection) -> None:
    with refused("RC002", "epoch 17 is unknown"):
        add(jobs, 17)
    write_as(jobs, 17)
    with refused("RC002", "epoch 17 is unknown"):
        jobs.execute("insert into app.job default values")
    assert statuses(jobs) == {}


@pytest.mark.parametrize("events", ["all", "closed"])
def test_p04_whether_or_not_transitions_are_events(app: Connection, events: str) -> None:
    attach(app, events=events)
    dead = boot(app)
    shutdown(app, dead.epoch)
    write_as(app, dead.epoch)
    with refused("RC001"):
        app.execute("insert into app.job default values")


def test_closed_work_may_be_inserted_by_anybody(jobs: Connection, zombie: Booted) -> None:
    write_as(jobs, zombie.epoch)
    jobs.execute("insert into app.job (status) values ('done')")
    assert list(statuses(jobs).values()).count("done") == 2


def test_a_setting_that_is_reset_is_no_writer(jobs: Connection) -> None:
    write_as(jobs, 17)
    jobs.execute("reset recovery.server_epoch")
    jobs.execute("insert into app.job default values")
    assert value(jobs, "select server_epoch from app.job") is None


def test_a_partition_is_fenced_too(conn: Connection) -> None:
    conn.execute(
        "create schema app; create table app.job (id int primary key, status text, error text)"
        " partition by range (id);"
        " create table app.job_1 partition of app.job for values from (0) to (100)"
    )
    attach(conn)
    dead = boot(conn)
    boot(conn)
    write_as(conn, dead.epoch)
    with refused("RC001"):
        conn.execute("insert into app.job_1 values (1, 'running')")


def test_assert_live(jobs: Connection, zombie: Booted) -> None:
    live = value(jobs, "select epoch from recovery.server where ended is null")
    jobs.execute("select recovery.assert_live(%s)", (live,))
    with refused("RC001", str(zombie.epoch)):
        jobs.execute("select recovery.assert_live(%s)", (zombie.epoch,))
    for unknown in (17, None):
        with refused("RC002"):
            jobs.execute("select recovery.assert_live(%s::bigint)", (unknown,))


def test_what_a_live_server_does_is_welcome(jobs: Connection) -> None:
    write_as(jobs, boot(jobs).epoch)
    jobs.execute("insert into app.job default values")
    for status in ("done", "running", "running", "failed"):
        jobs.execute("update app.job set status = %s", (status,))
    jobs.execute("delete from app.job")
    assert [kind for kind, _ in kinds(jobs)] == ["opened", "closed", "reopened", "closed"]
