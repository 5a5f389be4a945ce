"""P9: one durable event per transition, in its transaction, whoever wrote."""

from __future__ import annotations

import json

import pytest

from sql.jobs import (
    Connection,
    add,
    attach,
    boot,
    events,
    kinds,
    last_event,
    shutdown,
    value,
    write_as,
)


def test_p09_committed_is_there(jobs: Connection, writer: Connection) -> None:
    with writer.transaction():
        add(writer, None)
        assert kinds(jobs) == []
    assert kinds(jobs) == [("opened", "1")]


def test_p09_rolled_back_never_was(jobs: Connection) -> None:
    with jobs.transaction(force_rollback=True):
        add(jobs, None)
        jobs.execute("update app.job set status = 'done'")
        assert len(kinds(jobs)) == 2
    assert kinds(jobs) == []


def test_p09_rolled_back_to_a_savepoint(jobs: Connection) -> None:
    with jobs.transaction():
        add(jobs, None)
        with jobs.transaction(force_rollback=True):
            jobs.execute("update app.job set status = 'done'")
    assert kinds(jobs) == [("opened", "1")]


def test_p09_the_events_of_a_row_are_in_the_order_of_its_changes(jobs: Connection) -> None:
    (id_,) = add(jobs, None)
    for status in ("done", "running", "failed", "running", "done"):
        jobs.execute("update app.job set status = %s", (status,))
    told = ["opened", "closed", "reopened", "closed", "reopened", "closed"]
    assert kinds(jobs) == [(kind, str(id_)) for kind in told]
    ids = [event["id"] for event in events(jobs)]
    assert ids == sorted(set(ids))


def test_p09_two_sessions_on_one_row(jobs: Connection, writer: Connection) -> None:
    add(jobs, None)
    for conn, status in ((writer, "done"), (jobs, "running"), (writer, "done")):
        conn.execute("update app.job set status = %s", (status,))
    assert [kind for kind, _ in kinds(jobs)] == ["opened", "closed", "reopened", "closed"]


def test_p09_a_connection_that_knows_nothing_of_recovery(jobs: Connection) -> None:
    jobs.execute("insert into app.job default values")
    jobs.execute("update app.job set status = 'done'")
    jobs.execute("insert into app.job (id) values (9); delete from app.job where id = 9")
    assert [kind for kind, _ in kinds(jobs)] == ["opened", "closed", "opened", "deleted"]
    for event in events(jobs):
        assert (event["detector"], event["reason"], event["server_epoch"]) == ("writer", None, None)


def test_p09_copy(jobs: Connection) -> None:
    with jobs.cursor() as cursor, cursor.copy("copy app.job (id, status) from stdin") as copy:
        for row in ((1, "running"), (2, "done"), (3, "running")):
            copy.write_row(row)
    assert kinds(jobs) == [("opened", "1"), ("opened", "3")]


def test_p09_many_rows_in_one_statement(jobs: Connection) -> None:
    add(jobs, None, 3)
    jobs.execute("update app.job set status = 'done' where id <> 2")
    assert sorted(kinds(jobs)[3:]) == [("closed", "1"), ("closed", "3")]


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        (None, "running", ["opened"]),
        (None, "done", []),
        ("running", "running", []),
        ("running", "done", ["closed"]),
        ("done", "running", ["reopened"]),
        ("done", "failed", []),
    ],
)
def test_p09_upserts(jobs: Connection, was: str | None, becomes: str, told: list[str]) -> None:
    if was:
        jobs.execute("insert into app.job (id, status) values (1, %s)", (was,))
    seen = last_event(jobs)
    jobs.execute(
        "insert into app.job (id, status) values (1, %s)"
        " on conflict (id) do update set status = excluded.status",
        (becomes,),
    )
    assert [kind for kind, _ in kinds(jobs, seen)] == told


@pytest.mark.majors("newest")
def test_p09_merge(jobs: Connection) -> None:
    add(jobs, None, 2)
    seen = last_event(jobs)
    jobs.execute(
        "merge into app.job as j using (values (1), (2), (3)) as v (id) on j.id = v.id"
        " when matched and j.id = 1 then delete"
        " when matched then update set status = 'done'"
        " when not matched then insert (id) values (v.id)"
    )
    assert sorted(kinds(jobs, seen)) == [("closed", "2"), ("deleted", "1"), ("opened", "3")]


def test_old_and_new_are_the_values_that_a_closing_sets(jobs: Connection) -> None:
    add(jobs, None)
    jobs.execute("update app.job set status = 'done', error = 'none', note = 'not recorded'")
    jobs.execute("update app.job set status = 'running'")
    jobs.execute("delete from app.job")
    assert [(event["old"], event["new"]) for event in events(jobs)] == [
        (None, {"status": "running", "error": None}),
        ({"status": "running", "error": None}, {"status": "done", "error": "none"}),
        ({"status": "done", "error": "none"}, {"status": "running", "error": "none"}),
        ({"status": "running", "error": "none"}, None),
    ]


@pytest.mark.parametrize("data", ["null", "[1]", '"text"', '{"a": null}', "{}"])
def test_a_json_value_of_any_shape(app: Connection, data: str) -> None:
    app.execute("alter table app.job add data jsonb")
    attach(app, close="""{"status": "'failed'", "data": "'{\\"b\\": 1}'"}""")
    dead = boot(app).epoch
    app.execute("insert into app.job (server_epoch, data) values (%s, %s)", (dead, data))
    app.execute("insert into app.job (server_epoch) values (%s)", (dead,))
    assert boot(app).closed == {"app.job": 2}
    app.execute("update app.job set status = 'running', server_epoch = null, data = %s", (data,))
    assert [kind for kind, _ in kinds(app)] == ["opened"] * 2 + ["closed"] * 2 + ["reopened"] * 2


def test_row_28_the_application_says_why(jobs: Connection) -> None:
    add(jobs, None, 2)
    with jobs.transaction():
        jobs.execute("set local recovery.reason = 'cancelled'")
        jobs.execute("update app.job set status = 'failed' where id = 1")
    jobs.execute("update app.job set status = 'failed' where id = 2")
    assert [event["reason"] for event in events(jobs)[2:]] == ["cancelled", None]


def test_row_28_cancel_shutdown_and_crash_differ(jobs: Connection) -> None:
    reasons = {}
    server = boot(jobs)
    add(jobs, server.epoch, 2)
    with jobs.transaction():
        write_as(jobs, server.epoch)
        jobs.execute("set local recovery.reason = 'cancelled'")
        jobs.execute("update app.job set status = 'failed' where id = 1")
    reasons["cancel"] = events(jobs)[-1]["reason"]
    write_as(jobs, None)
    shutdown(jobs, server.epoch)
    reasons["shutdown"] = events(jobs)[-1]["reason"]
    add(jobs, boot(jobs).epoch)
    boot(jobs)
    reasons["crash"] = events(jobs)[-1]["reason"]
    assert reasons == {"cancel": "cancelled", "shutdown": "shutdown", "crash": "superseded"}


def test_work_that_is_deleted_while_open(jobs: Connection) -> None:
    server = boot(jobs)
    add(jobs, server.epoch)
    add(jobs, server.epoch, status="done")
    jobs.execute("delete from app.job")
    deleted = events(jobs)[-1]
    assert kinds(jobs) == [("opened", "1"), ("deleted", "1")]
    assert deleted["server_epoch"] == server.epoch


def test_work_that_a_person_gives_to_another_server(jobs: Connection) -> None:
    one, other = boot(jobs, "one"), boot(jobs, "other")
    add(jobs, one.epoch)
    jobs.execute("update app.job set server_epoch = %s", (other.epoch,))
    adopted = events(jobs)[-1]
    assert (adopted["kind"], adopted["server_epoch"]) == ("adopted", other.epoch)


def test_topic_and_group_are_the_watches(app: Connection) -> None:
    attach(app, name="jobs", topic="job.changed", group="note")
    app.execute("insert into app.job (note) values ('g1')")
    (event,) = events(app)
    assert (event["watch"], event["topic"], event["group_key"]) == ("jobs", "job.changed", "g1")


def test_a_trigger_of_the_host_is_a_writer_too(jobs: Connection) -> None:
    """What the host's own trigger does during a bulk closing is an event as well."""
    jobs.execute(
        """
        create function app.cascade() returns trigger language plpgsql as $$ begin
            update app.job set status = 'done' where note = old.id::text; return null; end $$;
        create trigger cascade after update on app.job for each row
            when (new.status = 'failed') execute function app.cascade();
        """
    )
    dead = boot(jobs).epoch
    add(jobs, dead)
    jobs.execute("insert into app.job (note) values ('1')")
    boot(jobs)
    assert ("closed", "2") in kinds(jobs)
    assert ("closed", "1") in kinds(jobs)


def test_the_generated_functions_do_not_depend_on_search_path(jobs: Connection) -> None:
    jobs.execute("create schema evil; create function evil.clock_timestamp() returns timestamptz"
                 " language sql as 'select ''-infinity''::timestamptz'")  # fmt: skip
    jobs.execute("set search_path = evil, pg_catalog")
    add(jobs, boot(jobs).epoch)
    boot(jobs)
    assert value(jobs, "select min(at) > '2020-01-01' from recovery.event")
    assert value(jobs, "select min(booted) > '2020-01-01' from recovery.server")


@pytest.mark.parametrize("cost", [False, True], ids=["shared images", "numeric: no sharing"])
def test_each_closing_records_its_own_old_values(app: Connection, cost: bool) -> None:
    """Rows closed from the same values share one image; 1.0 and 1.00 are equal and not the same."""
    app.execute("alter table app.job add cost numeric default 1.0, add failed_at timestamptz")
    close = {"status": "'failed'", "error": "c.message", "failed_at": "c.at"}
    attach(app, close=json.dumps(close | ({"cost": "0"} if cost else {})))
    dead = boot(app)
    wanted = {}
    for number, (error, price) in enumerate(
        [(None, "1.0"), ("first", "1.00"), (None, "1.00"), ("first", "1.0"), (None, "1.0")], 1
    ):
        app.execute(
            "insert into app.job (id, error, cost, server_epoch) values (%s, %s, %s, %s)",
            (number, error, price, dead.epoch),
        )
        wanted[str(number)] = {"status": "running", "error": error, "failed_at": None} | (
            {"cost": price} if cost else {}
        )
    seen = last_event(app)
    assert boot(app).closed == {"app.job": 5}
    old = app.execute(
        "select key, (select jsonb_object_agg(o.key, o.value) from jsonb_each_text(e.old) as o)"
        " from recovery.event as e where id > %s",
        (seen,),
    ).fetchall()
    assert dict(old) == wanted


@pytest.mark.parametrize("state", ["'done'", "case when r.id > 0 then 'done' end::app.state"])
def test_closings_share_a_record_whatever_the_types(conn: Connection, state: str) -> None:
    """Also where the new values come from the row; what differs in the last digit has its own."""
    conn.execute(
        "create schema app; create type app.state as enum ('running', 'done');"
        " create table app.task (id integer primary key, state app.state, meta jsonb, cost numeric)"
    )
    close = {"state": state, "meta": "r.meta || '{\"n\": 2}'", "cost": "r.cost"}
    attach(conn, "app.task", open="state = 'running'", close=json.dumps(close))
    dead = boot(conn).epoch
    metas = ['{"n": 1}', '{"n": 1}', '{"n": 1.0}', '{"n": 1}', '{"n": 1, "of": [2.50]}']
    for number, meta in enumerate(metas, 1):
        conn.execute(
            "insert into app.task (id, state, meta, cost, server_epoch)"
            " values (%s, 'running', %s, '1.50', %s)",
            (number, meta, dead),
        )
    seen = last_event(conn)
    assert boot(conn).closed == {"app.task": 5}
    told = conn.execute(
        "select key, old::text, new::text from recovery.event where id > %s", (seen,)
    ).fetchall()
    olds = {'{"n": 1}': '{"n": 1}', '{"n": 1.0}': '{"n": 1.0}', metas[4]: '{"n": 1}'}
    assert sorted(told) == [
        (str(number), f'{{"meta": {olds[meta]}, "state": "running"}}',
         '{"meta": {"n": 2}, "state": "done"}')
        for number, meta in enumerate(metas, 1)
    ]  # fmt: skip
    assert value(conn, "select count(*) from recovery.outbox where id > %s", seen) == 3


@pytest.mark.parametrize("expression", ["'failed'", "coalesce(note, '') || 'x'"])
def test_p09_columns_may_have_the_names_that_we_use(conn: Connection, expression: str) -> None:
    conn.execute(
        "create schema app; create table app.job (id integer primary key, i text, j text, d text, note text)"
    )
    attach(conn, open="i = 'running'", close=json.dumps(dict.fromkeys("ijd", expression)))
    epoch = boot(conn).epoch
    conn.execute("insert into app.job values (1, 'running', 'a', 'b', null)")
    conn.execute("update app.job set server_epoch = %s", (epoch,))
    after = last_event(conn)
    shutdown(conn, epoch)
    (event,) = events(conn, after)
    assert event["old"] == {"i": "running", "j": "a", "d": "b"}
    new = value(conn, "select to_jsonb(r) - array['id', 'note', 'server_epoch'] from app.job as r")
    assert event["new"] == new
