"""P12: recovery.detach restores the table exactly."""

from __future__ import annotations

import pytest

from sql.jobs import Connection, attach, boot, fingerprint, refused, value

HOST = """
    comment on table app.job is 'jobs of the host';
    comment on column app.job.note is 'a note';
    create index job_note on app.job (note);
    comment on index app.job_note is 'an index';
    alter table app.job add constraint short check (length(note) < 100);
    create function app.touch() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger touch before update on app.job for each row execute function app.touch();
    comment on trigger touch on app.job is 'a trigger';
    grant select on app.job to recovery_listener;
    grant update (note) on app.job to recovery_listener;
"""


@pytest.mark.parametrize(
    "before",
    [
        "",
        "alter table app.job add server_epoch bigint",
        "alter table app.job add server_epoch bigint default 42;"
        " comment on column app.job.server_epoch is 'ours'",
        "alter table app.job add server_epoch bigint default (1 + 1)",
        "grant usage on schema app to recovery_owner",
        "grant select on app.job to recovery_owner",
        "grant select, update on app.job to recovery_owner",
    ],
)
def test_p12_the_table_is_as_it_was(app: Connection, before: str) -> None:
    app.execute(HOST)
    if before:
        app.execute(before)  # type: ignore
    was = fingerprint(app, "app.job")
    attach(app, group="id", order="id")
    assert fingerprint(app, "app.job") != was
    app.execute("select recovery.detach('app.job')")
    assert fingerprint(app, "app.job") == was


@pytest.mark.parametrize("first", ["app.job", "app.other"])
def test_p12_two_tables_of_one_schema_in_any_order(app: Connection, first: str) -> None:
    app.execute("create table app.other (id int primary key, status text, error text)")
    was = {name: fingerprint(app, name) for name in ("app.job", "app.other")}
    attach(app)
    attach(app, "app.other")
    for name in sorted(was, key=lambda name: name != first):
        app.execute("select recovery.detach(%s::text::regclass)", (name,))
    assert {name: fingerprint(app, name) for name in was} == was


def test_p12_a_partitioned_table(conn: Connection) -> None:
    conn.execute(
        "create schema app; create table app.job (id int primary key, status text, error text)"
        " partition by range (id);"
        " create table app.job_1 partition of app.job for values from (0) to (100)"
    )
    was = [fingerprint(conn, name) for name in ("app.job", "app.job_1")]
    attach(conn)
    conn.execute("select recovery.detach('app.job')")
    assert [fingerprint(conn, name) for name in ("app.job", "app.job_1")] == was


def test_rows_and_events_stay(jobs: Connection) -> None:
    jobs.execute("insert into app.job default values")
    jobs.execute("select recovery.detach('app.job')")
    assert value(jobs, "select count(*) from app.job") == 1
    assert value(jobs, "select count(*) from recovery.event") == 1


def test_afterwards_the_table_is_nobodys_business(jobs: Connection) -> None:
    epoch = boot(jobs).epoch
    jobs.execute("select recovery.detach('app.job')")
    jobs.execute("insert into app.job default values")
    assert boot(jobs).closed == {}
    assert value(jobs, "select count(*) from recovery.event") == 0
    assert epoch


def test_failures_of_the_watch_go(jobs: Connection) -> None:
    jobs.execute(
        "insert into recovery.failure (watch, key, key_parts, next_at, sqlstate, message)"
        " values ('app.job', '1', '{1}', now(), 'XX000', 'x')"
    )
    jobs.execute("select recovery.detach('app.job')")
    assert value(jobs, "select count(*) from recovery.failure") == 0


def test_a_table_that_is_not_watched(app: Connection) -> None:
    with refused("RC008", "app.job.*not watched"):
        app.execute("select recovery.detach('app.job')")
