"""P13: a table is attached, altered and detached in short steps, by whatever client executes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from helpers import wait_for_lock
from sql.jobs import (
    Connection,
    add,
    attach,
    boot,
    fingerprint,
    in_background,
    refused,
    statuses,
    value,
)

PARTED = """
    create schema app;
    create table app.job (id int, status text not null default 'running', error text, primary key (id))
        partition by range (id);
    create table app.job_1 partition of app.job for values from (0) to (10);
    create table app.job_2 partition of app.job for values from (10) to (30) partition by range (id);
    create table app.job_21 partition of app.job_2 for values from (10) to (20);
    create table app.job_22 partition of app.job_2 for values from (20) to (30);
"""


def take(conn: Connection, what: str, *arguments: Any, until: str | None = None) -> list[str]:
    """Executes the first step, asks again, and so on; what the steps were."""
    taken: list[str] = []
    places = ", %s::text::jsonb" * len(arguments)
    while left := conn.execute(
        f"select what, statement from recovery.{what}_steps('app.job'{places})",  # type: ignore
        arguments,
    ).fetchall():
        if until is not None and left[0][0].startswith(until):
            return taken
        conn.execute(left[0][1])
        taken.append(left[0][0])
        assert len(taken) < 30
        if len(left) == 1:
            break
    return taken


def invalid(conn: Connection) -> list[str]:
    return [
        row[0]
        for row in conn.execute(
            "select indexrelid::regclass::text from pg_index where not indisvalid order by 1"
        )
    ]


@pytest.fixture(params=["plain", "partitioned"])
def table(request: pytest.FixtureRequest, conn: Connection) -> Connection:
    """A database with app.job, not watched yet."""
    if request.param == "partitioned":
        conn.execute(PARTED)
    else:
        conn.execute(
            "create schema app;"
            " create table app.job (id int primary key, status text not null default 'running', error text)"
        )
    return conn


def test_p13_what_the_steps_make_is_what_attach_makes(table: Connection) -> None:
    was = fingerprint(table, "app.job")
    attach(table)
    at_once = fingerprint(table, "app.job")
    table.execute("select recovery.detach('app.job')")
    attach(table, concurrently=True)
    taken = take(table, "attach")
    assert taken[0] == "add column server_epoch"
    assert taken[-1] == "rehearse, make triggers"
    in_steps = fingerprint(table, "app.job")
    same = [key for key in at_once if key not in ("routines", "indexes", "triggers")]
    assert {key: in_steps[key] for key in same} == {key: at_once[key] for key in same}
    assert [row[0] for row in in_steps["triggers"]] == [row[0] for row in at_once["triggers"]]
    assert invalid(table) == []
    assert value(table, "select count(*) from recovery.problem") == 0
    take(table, "detach")
    assert fingerprint(table, "app.job") == was
    assert value(table, "select count(*) from recovery.watch where name = 'app.job'") == 0
    assert (
        value(
            table,
            "select count(*) from pg_class where relnamespace = 'app'::regnamespace and relname ~ '^recovery_(open|started)_[0-9]'",
        )
        == 0
    )


def test_a_watch_that_is_being_attached_is_passed_over_and_named(table: Connection) -> None:
    attach(table, concurrently=True)
    table.execute("insert into app.job (id) values (1)")
    boot(table)
    assert boot(table).closed == {}
    assert value(table, "select count(*) from recovery.watch_status where watch = 'app.job'") == 0
    assert "being attached" in value(
        table, "select problem from recovery.problem where kind = 'watch'"
    )
    assert table.execute("select * from recovery.preview()").fetchall() == []
    take(table, "attach")
    assert value(table, "select count(*) from recovery.problem where kind = 'watch'") == 0


def test_the_steps_of_a_pending_watch_follow_another_specification(table: Connection) -> None:
    attach(table, concurrently=True)
    take(table, "attach", until="rehearse")
    attach(table, concurrently=True, open="status in ('running', 'started')")
    assert "drop index" in take(table, "attach", until="rehearse")[0]
    take(table, "attach")
    assert value(table, "select count(*) from recovery.problem") == 0
    assert attach(table, open="status in ('running', 'started')") == "app.job"


def test_attach_at_once_completes_what_was_begun_in_steps(table: Connection) -> None:
    attach(table, concurrently=True)
    take(table, "attach", until="rehearse")
    attach(table)
    assert take(table, "attach") == []
    assert value(table, "select count(*) from recovery.problem") == 0
    booted = boot(table).epoch
    table.execute("insert into app.job (id, server_epoch) values (1, %s)", (booted,))
    assert boot(table).closed == {"app.job": 1}


def test_an_index_that_an_interruption_left_invalid_is_made_anew(
    table: Connection, connect: Callable[..., Connection]
) -> None:
    attach(table, concurrently=True)
    take(table, "attach", until="create index")
    client, other = connect(), connect()
    while True:
        what, text = table.execute(
            "select what, statement from recovery.attach_steps('app.job')"
        ).fetchone() or ("", "")
        assert what
        if text.startswith("create index concurrently"):
            break
        table.execute(text)
    # A writer holds the build up, and meanwhile the client is interrupted.
    other.execute("begin")
    other.execute("insert into app.job (id) values (1)")
    building = in_background(client.execute, text)
    wait_for_lock(table, client.info.backend_pid)
    table.execute("select pg_cancel_backend(%s)", (client.info.backend_pid,))
    with pytest.raises(psycopg.errors.QueryCanceled):
        building.result(10)
    other.execute("rollback")
    assert any("recovery_open" in name for name in invalid(table))
    taken = take(table, "attach")
    assert taken[0].startswith("drop index")
    assert invalid(table) == []
    assert value(table, "select count(*) from recovery.problem") == 0


def test_p13_a_step_steps_back_from_a_lock(
    table: Connection, connect: Callable[..., Connection]
) -> None:
    attach(table, concurrently=True)
    reader = connect()
    reader.execute("begin")
    reader.execute("select * from app.job")
    with refused("55P03"):
        take(table, "attach")
    reader.execute("commit")
    assert take(table, "attach")[-1] == "rehearse, make triggers"


def test_p13_detach_locks_a_partitioned_table_before_its_partitions(
    conn: Connection, connect: Callable[..., Connection]
) -> None:
    conn.execute(PARTED)
    attach(conn)
    writer, other = connect(), connect()
    # As an UPDATE through the parent does it: the parent first, its partition later.
    writer.execute("begin")
    writer.execute("lock table only app.job in row exclusive mode")
    detaching = in_background(other.execute, "select recovery.detach('app.job')")
    assert wait_for_lock(conn, other.info.backend_pid) == "relation"
    held = conn.execute(
        "select relation::regclass::text from pg_locks where pid = %s and granted"
        " and relation in (select relid from pg_partition_tree('app.job'))"
        " and mode <> 'AccessShareLock'",
        (other.info.backend_pid,),
    ).fetchall()
    assert held == []
    writer.execute("update app.job set error = 'x'")
    writer.execute("commit")
    detaching.result(10)
    assert value(conn, "select count(*) from recovery.watch where name = 'app.job'") == 0


def test_steps_of_a_table_that_is_not_watched(table: Connection) -> None:
    for call in (
        "attach_steps('app.job')",
        "detach_steps('app.job')",
        "alter_steps('app.job', '{}')",
    ):
        with refused("RC008"):
            table.execute(f"select * from recovery.{call}")  # type: ignore


def test_a_watch_may_be_supervised_before_it_is_in_force(table: Connection) -> None:
    table.execute("alter table app.job add started timestamptz")
    attach(table, concurrently=True, started="started")
    table.execute("select recovery.supervise('app.job')")
    taken = take(table, "attach")
    assert any("recovery_started" in what for what in taken)
    assert value(table, "select count(*) from recovery.problem") == 0
    take(table, "detach")


def test_rows_of_ended_servers_are_closed_once_it_is_in_force(app: Connection) -> None:
    attach(app, concurrently=True)
    take(app, "attach")
    dead = boot(app).epoch
    add(app, dead, 2)
    boot(app)
    assert set(statuses(app).values()) == {"failed"}
