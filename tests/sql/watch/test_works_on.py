"""recovery.attach works on any table: a boot closes its orphans, transitions are events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sql.jobs import Connection, attach, boot, events, kinds, statuses, value, write_as


def crash_and_boot(conn: Connection, insert: str) -> dict[str, int]:
    """A server inserts work and dies; what the next boot closes."""
    server = boot(conn)
    write_as(conn, server.epoch)
    conn.execute(insert)  # type: ignore
    write_as(conn, None)
    return boot(conn).closed


def test_quoted_and_mixed_case_names(conn: Connection) -> None:
    conn.execute(
        """
        create schema "My.App";
        create table "My.App"."The ""Job"" Table" (
            "Id" text, "select" text default 'running', "r." text, primary key ("Id"));
        """
    )
    name = attach(
        conn,
        '"My.App"."The ""Job"" Table"',
        open="""r."select" = 'running' and "r." is null""",
        close="""{"select": "'failed'", "r.": "c.reason"}""",
        group='"Id"',
    )
    closed = crash_and_boot(
        conn, """insert into "My.App"."The ""Job"" Table" ("Id") values ('a')"""
    )
    assert closed == {name: 1}
    assert kinds(conn) == [("opened", "a"), ("closed", "a")]
    assert events(conn)[1]["new"] == {"select": "failed", "r.": "superseded"}


def test_a_string_that_looks_like_the_row(app: Connection) -> None:
    attach(
        app,
        open="status = 'running' and coalesce(note, '') <> 'it''s r.x \\ \"r.y\"'",
        close="""{"status": "'failed'", "note": "'r.id=' || r.id"}""",
        image="jsonb_build_object('r.id', r.id, 'note', r.note)",
        group="'r.' || r.id",
    )
    assert crash_and_boot(app, "insert into app.job (note) values ('x')") == {"app.job": 1}
    opened, closed = events(app)
    assert opened["new"] == {"r.id": 1, "note": "x"}
    assert closed["new"] == {"r.id": 1, "note": "r.id=1"}
    assert opened["group_key"] == closed["group_key"] == "r.1"


@pytest.mark.parametrize(
    ("type_", "keys"),
    [
        ("integer", ["-1", "7"]),
        ("uuid", ["00000000-0000-0000-0000-000000000001", "ffffffff-0000-0000-0000-000000000001"]),
        ("text", ["", 'it\'s "é"']),
        ("timestamptz", ["2026-01-01 00:00:00.000001+00", "2026-01-01 00:00:00.000002+00"]),
        ("app.color", ["red", "blue"]),
        ("character(5)", ["a", "b"]),
        ("numeric", ["1.10", "2"]),
        ("bytea", ["\\x00", "\\xff"]),
    ],
)
def test_keys_of_any_type(conn: Connection, type_: str, keys: list[str]) -> None:
    conn.execute("create schema app; create type app.color as enum ('red', 'blue')")
    conn.execute(f"create table app.job (id {type_} primary key, status text, error text)")  # type: ignore
    attach(conn)
    first, second = (key.replace("'", "''") for key in keys)
    closed = crash_and_boot(
        conn, f"insert into app.job values ('{first}', 'running'), ('{second}', 'running')"
    )
    assert closed == {"app.job": 2}
    opened = [event["key"] for event in events(conn) if event["kind"] == "opened"]
    assert [event["key"] for event in events(conn) if event["kind"] == "closed"] == opened
    assert opened == [
        row[0] for row in conn.execute("select j.id::text from app.job as j order by j.id")
    ]


def test_a_composite_key_is_a_json_array(conn: Connection) -> None:
    conn.execute(
        "create schema app; create table app.job"
        " (tenant text, n int, status text, error text, primary key (n, tenant))"
    )
    attach(conn)
    closed = crash_and_boot(
        conn, "insert into app.job values ('b', 1, 'running'), ('a', 2, 'running')"
    )
    assert closed == {"app.job": 2}
    assert kinds(conn)[2:] == [("closed", '[1, "b"]'), ("closed", '[2, "a"]')]


def test_a_status_that_is_an_enum(conn: Connection) -> None:
    conn.execute(
        "create schema app; create type app.status as enum ('queued', 'running', 'done', 'failed');"
        " create table app.job (id int primary key, status app.status, error text)"
    )
    attach(conn, open="status in ('queued', 'running')")
    assert crash_and_boot(conn, "insert into app.job values (1, 'queued')") == {"app.job": 1}
    assert statuses(conn) == {1: "failed"}


def test_generated_columns_are_recomputed(app: Connection) -> None:
    app.execute(
        "alter table app.job add bad boolean generated always as (status = 'failed') stored"
    )
    attach(app)
    crash_and_boot(app, "insert into app.job default values")
    assert value(app, "select bad from app.job") is True


def test_open_may_use_a_generated_column(app: Connection) -> None:
    app.execute(
        "alter table app.job add busy boolean generated always as (status = 'running') stored"
    )
    attach(app, open="busy")
    assert crash_and_boot(app, "insert into app.job default values") == {"app.job": 1}


def test_open_may_be_a_function_over_the_row(app: Connection) -> None:
    app.execute(
        "create function app.is_open(j app.job) returns boolean language sql immutable"
        " return j.status = 'running'"
    )
    attach(app, open="app.is_open(r)")
    assert crash_and_boot(app, "insert into app.job default values") == {"app.job": 1}
    app.execute("update app.job set status = 'running', server_epoch = null")
    app.execute("delete from app.job")
    assert kinds(app) == [("opened", "1"), ("closed", "1"), ("reopened", "1"), ("deleted", "1")]


def test_a_partitioned_table(conn: Connection) -> None:
    conn.execute(
        """
        create schema app;
        create table app.job (id int, day date, status text, error text, primary key (day, id))
            partition by range (day);
        create table app.job_1 partition of app.job
            for values from ('2026-01-01') to ('2026-02-01');
        create table app.job_2 partition of app.job
            for values from ('2026-02-01') to ('2026-03-01');
        """
    )
    attach(conn)
    closed = crash_and_boot(
        conn,
        """
        insert into app.job values (1, '2026-01-05', 'running'), (2, '2026-02-05', 'running');
        insert into app.job_2 values (3, '2026-02-06', 'running');
        """,
    )
    assert closed == {"app.job": 3}
    assert statuses(conn) == {1: "failed", 2: "failed", 3: "failed"}
    assert [kind for kind, _ in kinds(conn)] == ["opened"] * 3 + ["closed"] * 3


def test_a_partition_that_comes_later_is_watched_too(conn: Connection) -> None:
    conn.execute(
        "create schema app; create table app.job (id int primary key, status text, error text)"
        " partition by range (id)"
    )
    attach(conn)
    conn.execute("create table app.job_1 partition of app.job for values from (0) to (100)")
    assert crash_and_boot(conn, "insert into app.job values (1, 'running')") == {"app.job": 1}


def test_rows_that_were_there_before_stay_unowned(app: Connection) -> None:
    app.execute("insert into app.job default values")
    attach(app)
    assert boot(app).closed == {}
    assert statuses(app) == {1: "running"}
    assert value(app, "select server_epoch from app.job") is None


def test_json_columns_record_only_what_differs(app: Connection) -> None:
    app.execute("alter table app.job add data jsonb")
    attach(
        app,
        close=json.dumps(
            {
                "status": "'failed'",
                "data": "jsonb_set(r.data, '{state,error}', to_jsonb(c.message)) - 'pid'",
            }
        ),
    )
    crash_and_boot(
        app,
        """insert into app.job (data) values
           ('{"big": "value", "pid": 1, "state": {"name": "x", "error": null}}')""",
    )
    closed = events(app)[-1]
    assert closed["old"] == {"status": "running", "data": {"pid": 1, "state": {"error": None}}}
    assert closed["new"] == {"status": "failed", "data": {"state": {"error": "server restart"}}}


@pytest.mark.parametrize(
    "default",
    [
        "",
        "default null",
        "default nullif(current_setting('recovery.server_epoch', true), '')::bigint",
    ],
)
def test_a_server_epoch_column_that_exists_is_used(app: Connection, default: str) -> None:
    app.execute(f"alter table app.job add server_epoch bigint {default}")  # type: ignore
    attach(app)
    assert crash_and_boot(app, "insert into app.job default values") == {"app.job": 1}


def test_after_the_table_is_renamed_all_goes_on(jobs: Connection) -> None:
    """P13: also the host's own writes."""
    server = boot(jobs)
    jobs.execute("alter table app.job rename to task")
    jobs.execute("insert into app.task (status) values ('queued')")
    write_as(jobs, server.epoch)
    jobs.execute("update app.task set status = 'running'")
    write_as(jobs, None)
    assert boot(jobs).closed == {"app.job": 1}
    assert value(jobs, "select status from app.task") == "failed"


def test_c_tells_an_expression_why_and_when(app: Connection) -> None:
    app.execute("alter table app.job add told jsonb")
    attach(
        app,
        close=json.dumps(
            {
                "status": "'failed'",
                "told": """jsonb_build_object(
                    'reason', c.reason, 'message', c.message, 'detector', c.detector,
                    'epoch', c.epoch, 'ms', c.ms = (date_part('epoch', c.at) * 1000)::bigint)""",
            }
        ),
    )
    dead = boot(app)
    write_as(app, dead.epoch)
    app.execute("insert into app.job default values")
    write_as(app, None)
    epoch = boot(app).epoch
    told: dict[str, Any] = value(app, "select told from app.job")
    assert told == {
        "reason": "superseded",
        "message": "server restart",
        "detector": f"boot:{epoch}",
        "epoch": dead.epoch,
        "ms": True,
    }


def test_events_closed_records_only_what_recovery_does(app: Connection) -> None:
    attach(app, events="closed")
    crash_and_boot(app, "insert into app.job default values")
    app.execute("update app.job set status = 'running', server_epoch = null")
    assert kinds(app) == [("closed", "1")]


def test_types_and_functions_of_a_schema_that_is_called_as_an_alias(conn: Connection) -> None:
    """Of the host's names `r` is one that compiled expressions use for the row."""
    conn.execute(
        "create schema r; create type r.state as enum ('queued', 'running', 'lost');"
        " create function r.same(r.state) returns r.state language sql immutable return $1;"
        " create table r.job (id bigint primary key, r r.state not null, state text)"
    )
    conn.execute(
        "select recovery.attach('r.job', p_open => 'r.same(r) = ''running''::r.state and state <> ''r.x''',"
        " p_close => jsonb_build_object('r', '''lost'''))"
    )
    conn.execute("call recovery.boot('one')")
    epoch = value(conn, "select max(epoch) from recovery.server")
    conn.execute("select set_config('recovery.server_epoch', %s, false)", (str(epoch),))
    conn.execute("insert into r.job values (1, 'queued', 'a'), (2, 'running', 'a')")
    conn.execute("update r.job set r = 'running' where id = 1")
    conn.execute("reset recovery.server_epoch")
    conn.execute("call recovery.boot('one', p_policy => 'replace')")
    assert conn.execute("select r::text from r.job").fetchall() == [("lost",), ("lost",)]
