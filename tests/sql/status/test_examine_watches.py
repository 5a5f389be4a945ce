"""What is wrong with a watched table: each is made, found, and repaired by what is said."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import psycopg
import pytest

from helpers import wait_for_lock
from sql.jobs import (
    Connection,
    add,
    attach,
    boot,
    in_background,
    refused,
    shutdown,
    statuses,
    value,
    write_as,
)
from sql.status.examining import codes, examine, fix, number, only, runner, type_in, well

Remedy = Callable[..., None]

#: What --fix executes, and what a person types: both repair.
WAYS = pytest.mark.parametrize("repair", [fix, type_in])


def break_(conn: Connection, *statements: str) -> None:
    """Executes them, with the number of the watch and its runner in place."""
    for statement in statements:
        said = statement.format(n=number(conn), runner=runner(conn))
        conn.execute(said.encode())


#: Code -> what makes it so.
BROKEN = {
    "trigger-disabled": ["alter table app.job disable trigger recovery_20_update"],
    "trigger-missing": ["drop trigger recovery_20_update on app.job"],
    "trigger-changed": [
        "create function app.nothing() returns trigger language plpgsql as 'begin return null; end'",
        "drop trigger recovery_30_delete on app.job",
        "create trigger recovery_30_delete after delete on app.job for each row"
        " execute function app.nothing()",
    ],
    "routine-changed": [
        "create or replace function recovery.watch_{n}_update() returns trigger language plpgsql"
        " security definer set search_path = pg_catalog, pg_temp as 'begin return null; end'"
    ],
    "index-missing": ["drop index app.recovery_open_{n}"],
    "index-changed": [
        "drop index app.recovery_open_{n}",
        "create index recovery_open_{n} on app.job (server_epoch)",
    ],
    "column-missing": ["alter table app.job drop column server_epoch cascade"],
    "table-grant-missing": ["revoke all on app.job from {runner}"],
    "watch-stale": [
        "create function app.touch() returns trigger language plpgsql as 'begin return new; end'",
        "create trigger a_touch before update on app.job for each row execute function app.touch()",
    ],
}


@WAYS
@pytest.mark.parametrize("code", sorted(BROKEN))
def test_what_repairs_loses_nothing(jobs: Connection, code: str, repair: Remedy) -> None:
    well(jobs)
    break_(jobs, *BROKEN[code])
    found = only(jobs, code)
    assert (found.severity, found.kind, found.subject) == (
        "warning" if code == "watch-stale" else "error",
        "watch",
        "app.job",
    )
    for _ in range(3):  # what hangs together is found together
        for each in examine(jobs)[:1]:
            repair(jobs, each)
    well(jobs)


@pytest.mark.parametrize("mode", ["replica", "always"])
def test_a_trigger_of_another_mode(jobs: Connection, mode: str) -> None:
    well(jobs)
    jobs.execute(f"alter table app.job enable {mode} trigger recovery_20_update".encode())
    fix(jobs, only(jobs, "trigger-disabled"))
    well(jobs)


def test_a_trigger_of_one_partition(app: Connection) -> None:
    app.execute("create table app.part (id int primary key, status text) partition by list (id)")
    app.execute("create table app.part_1 partition of app.part for values in (1)")
    attach(app, "app.part", close='{"status": "\'failed\'"}')
    well(app)
    app.execute("alter table app.part_1 disable trigger recovery_20_update")
    found = only(app, "trigger-disabled")
    assert "app.part_1" in found.problem
    fix(app, found)
    well(app)


def test_repairing_keeps_owners(jobs: Connection) -> None:
    """Rows in flight have the same owner after it."""
    server = boot(jobs)
    (row,) = add(jobs, server.epoch)
    break_(jobs, *BROKEN["trigger-changed"], *BROKEN["index-changed"], *BROKEN["routine-changed"])
    jobs.execute("select recovery.alter('app.job', '{}')")
    assert value(jobs, "select server_epoch from app.job where id = %s", row) == server.epoch
    well(jobs)
    # It is watched again: the fence refuses what a server that has ended writes.
    shutdown(jobs, server.epoch, token=server.token)
    assert statuses(jobs)[row] == "failed"
    write_as(jobs, server.epoch)
    with refused("RC001"):
        jobs.execute("insert into app.job default values")


@WAYS
def test_an_index_whose_building_was_cut_off(
    jobs: Connection, writer: Connection, connect: Callable[..., Connection], repair: Remedy
) -> None:
    """As a CREATE INDEX CONCURRENTLY leaves it that was cancelled while it waited."""
    well(jobs)
    break_(jobs, *BROKEN["index-missing"])
    (statement,) = only(jobs, "index-missing").fix or []
    builder = connect()
    with writer.transaction():
        writer.execute("insert into app.job (status) values ('done')")
        building = in_background(builder.execute, statement.encode())
        wait_for_lock(jobs, builder.info.backend_pid)
        builder.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            building.result(20)
    found = only(jobs, "index-invalid")
    assert found.fix == [f"reindex index concurrently app.recovery_open_{number(jobs)};"]
    repair(jobs, found)
    well(jobs)


def test_the_name_of_an_index_is_taken(jobs: Connection) -> None:
    well(jobs)
    break_(jobs, "drop index app.recovery_open_{n}", "create table app.recovery_open_{n} ()")
    found = only(jobs, "index-name-taken")
    assert found.fix is None
    jobs.execute(found.remedy.encode())
    fix(jobs, only(jobs, "index-missing"))
    well(jobs)


def test_an_index_over_a_type_of_the_host_is_made_by_its_runner(app: Connection) -> None:
    """P11: the literals of a host's type run its code, and not as whoever repairs."""
    app.execute("create type app.state as enum ('running', 'failed')")
    app.execute("alter table app.job alter status drop default")
    app.execute("alter table app.job alter status type app.state using status::app.state")
    attach(app)
    well(app)
    break_(app, *BROKEN["index-missing"])
    found = only(app, "index-missing")
    plain = value(app, "select plain from recovery.watch where name = 'app.job'")
    assert found.fix is not None
    assert found.fix[0].startswith(
        "create index concurrently" if plain else "select recovery.alter"
    )
    fix(app, found)
    well(app)


def test_an_index_of_the_watchdog(jobs: Connection) -> None:
    jobs.execute("alter table app.job add started timestamptz default now()")
    jobs.execute("select recovery.supervise('app.job', p_started => 'started')")
    well(jobs)
    break_(jobs, "drop index app.recovery_started_{n}")
    fix(jobs, only(jobs, "index-missing"))
    well(jobs)


def test_row_security(jobs: Connection) -> None:
    """Of a superuser's table, whose runner is no owner."""
    well(jobs)
    with jobs.transaction(force_rollback=True):
        jobs.execute("alter table app.job enable row level security")
        found = only(jobs, "watch-row-security")
        assert found.fix is None
        jobs.execute(found.remedy.encode())
        assert codes(jobs) == set()


def test_a_column_that_a_closing_sets(jobs: Connection) -> None:
    """Its owner decides what is set instead."""
    well(jobs)
    jobs.execute("alter table app.job drop column error")
    found = only(jobs, "column-missing")
    assert "no column error" in found.problem
    assert found.fix is None
    assert found.remedy.startswith("select recovery.alter('app.job'")
    change = found.remedy.partition(";")[0].replace(
        '"option": "expression"', """"close": {"status": "''failed''"}"""
    )
    jobs.execute(change.encode())
    well(jobs)


def test_statements_that_can_not_be_planned(app: Connection) -> None:
    words = "create function app.words(text) returns text language sql immutable as 'select $1'"
    app.execute(words.encode())
    attach(app, close='{"status": "\'failed\'", "error": "app.words(c.message)"}')
    well(app)
    app.execute("drop function app.words")
    found = only(app, "watch-broken")
    assert (found.severity, found.subject) == ("error", "app.job")
    assert "app.words" in found.problem
    assert "recovery.alter('app.job'" in found.remedy
    app.execute(words.encode())
    well(app)


@WAYS
def test_a_table_that_was_dropped(jobs: Connection, repair: Remedy) -> None:
    well(jobs)
    jobs.execute("drop table app.job")
    for _ in range(5):
        for found in examine(jobs)[:1]:
            assert found.code in {"watch-table-gone", "leftover-routine", "leftover-view"}, found
            repair(jobs, found)
    well(jobs)
    assert not value(jobs, "select count(*) from recovery.watch where name = 'app.job'")


@WAYS
def test_a_restore_without_its_watch(jobs: Connection, repair: Remedy) -> None:
    """Triggers, functions and the index are there, and nobody knows of them."""
    well(jobs)
    jobs.execute("alter table recovery.watch disable trigger user")
    jobs.execute("delete from recovery.watch where name = 'app.job'")
    assert {"watch-lost", "own-trigger-disabled", "leftover-index", "leftover-view"} <= codes(jobs)
    for _ in range(30):
        for found in examine(jobs)[:1]:
            repair(jobs, found)
    well(jobs)
    assert not jobs.execute(
        "select tgname from pg_trigger where tgrelid = 'app.job'::regclass and not tgisinternal"
    ).fetchall()
    attach(jobs)
    well(jobs)


def test_what_was_begun_and_has_not_ended(jobs: Connection) -> None:
    well(jobs)
    jobs.execute("alter table recovery.watch alter attached drop not null")
    jobs.execute("alter table recovery.watch disable trigger user")
    jobs.execute("update recovery.watch set attached = null where name = 'app.job'")
    jobs.execute("alter table recovery.watch enable trigger user")
    jobs.execute("alter table recovery.watch enable replica trigger recovery_00_stay_local")
    found = only(jobs, "watch-unfinished")
    assert found.severity == "warning"
    jobs.execute(found.remedy.partition(": ")[2].encode())
    assert "watch-unfinished" not in codes(jobs)


def test_only_the_owner_repairs(jobs: Connection, owner: str, writer: Connection) -> None:
    """P11: with the rights of who owns the table, and no other's."""
    writer.execute("set role recovery_server")
    with refused("42501"):
        writer.execute("select recovery.alter('app.job', '{}')")
    jobs.execute("create table public.own (id int primary key, status text)")
    jobs.execute(f"alter table public.own owner to {owner}".encode())
    jobs.execute(f"select recovery.permit('{owner}')".encode())
    jobs.execute(f"grant create on schema public to {owner}".encode())
    writer.execute(f"set role {owner}".encode())
    attach(writer, "public.own", close='{"status": "\'failed\'"}')
    well(jobs)
    jobs.execute("drop trigger recovery_20_update on public.own")
    fix(writer, only(jobs, "trigger-missing"))
    well(jobs)
    writer.execute("reset role")


@pytest.fixture
def owner(jobs: Connection) -> Iterator[str]:
    """A role of the application, which is no superuser."""
    name = f"owner_{os.getpid()}"
    jobs.execute(f"create role {name}".encode())
    yield name
    jobs.execute("drop table if exists public.own")
    for role in [
        row[0]
        for row in jobs.execute(
            "select role from recovery.runner where owner = %s::regrole", (name,)
        )
    ]:
        jobs.execute(f"drop owned by {role} cascade".encode())
        jobs.execute(f"drop role {role}".encode())
    jobs.execute(f"drop owned by {name} cascade".encode())
    jobs.execute(f"drop role {name}".encode())
