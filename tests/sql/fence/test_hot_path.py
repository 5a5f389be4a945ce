"""Streaming updates of open work pay a short WHEN clause, whatever the host does to its rows."""

from __future__ import annotations

import pytest

from sql.jobs import (
    CLOSE,
    Connection,
    add,
    attach,
    boot,
    kinds,
    last_event,
    refused,
    statuses,
    value,
    write_as,
)

DONE_WHEN_NOTED = """
    create function app.notice() returns trigger language plpgsql as $$
    begin
        if new.note = 'end' then new.status := 'done'; end if;
        return new;
    end $$;
    create trigger notice before update on app.job for each row execute function app.notice();
"""


def calls_of_triggers(conn: Connection) -> int:
    conn.execute("select pg_stat_force_next_flush()")
    return int(
        value(
            conn,
            "select coalesce(sum(calls), 0) from pg_stat_user_functions"
            " where funcname like 'watch\\_%%'",
        )
    )


def test_streaming_fires_no_trigger(jobs: Connection) -> None:
    jobs.execute("set track_functions = 'all'")
    server = boot(jobs)
    write_as(jobs, server.epoch)
    (id_,) = add(jobs, server.epoch)
    before, seen = calls_of_triggers(jobs), last_event(jobs)
    assert before == 1
    for note in "abc":
        jobs.execute("update app.job set note = %s where id = %s", (note, id_))
    assert (calls_of_triggers(jobs), last_event(jobs)) == (before, seen)


def test_streaming_takes_no_lock_on_the_epoch(jobs: Connection) -> None:
    server = boot(jobs)
    write_as(jobs, server.epoch)
    add(jobs, server.epoch)
    with jobs.transaction():
        jobs.execute("update app.job set note = 'x'")
        assert value(jobs, "select count(*) from pg_locks where locktype = 'advisory'") == 0


def test_inserting_closed_work_fires_no_trigger(jobs: Connection) -> None:
    jobs.execute("set track_functions = 'all'")
    add(jobs, None, 5, status="done")
    jobs.execute("delete from app.job")
    assert calls_of_triggers(jobs) == 0
    assert kinds(jobs) == []


def columns_named(conn: Connection, table: str = "app.job") -> list[str] | None:
    """Those that an update must write for our update trigger to look at it; None: any."""
    return value(
        conn,
        "select (select array_agg(a.attname::text order by a.attnum) from pg_attribute as a"
        " where a.attrelid = t.tgrelid and a.attnum = any(t.tgattr::int2[]))"
        " from pg_trigger as t where t.tgname = 'recovery_20_update' and tgrelid = %s::regclass",
        table,
    )


def test_the_update_trigger_names_what_the_predicate_reads(jobs: Connection) -> None:
    assert columns_named(jobs) == ["status", "server_epoch"]


def test_what_a_trigger_of_the_host_changes_is_noticed(app: Connection) -> None:
    app.execute(DONE_WHEN_NOTED)
    attach(app)
    assert columns_named(app) is None
    dead = boot(app)
    (one, two) = add(app, dead.epoch, 2)
    app.execute("update app.job set note = 'more'")
    app.execute("update app.job set note = 'end' where id = %s", (one,))
    assert kinds(app) == [("opened", "1"), ("opened", "2"), ("closed", "1")]
    live = boot(app)
    assert live.closed == {"app.job": 1}
    write_as(app, dead.epoch)
    for id_ in one, two:
        with refused("RC001"):
            app.execute("update app.job set error = 'late' where id = %s", (id_,))


def test_a_trigger_that_the_host_adds_later_asks_for_attach_again(jobs: Connection) -> None:
    server = boot(jobs)
    (one, two) = add(jobs, server.epoch, 2)
    stale = "select stale from recovery.watch_status where watch = 'app.job'"
    assert value(jobs, stale) is False
    jobs.execute(DONE_WHEN_NOTED)
    assert value(jobs, stale) is True
    attach(jobs)
    assert (value(jobs, stale), columns_named(jobs)) == (False, None)
    jobs.execute("update app.job set note = 'end' where id = %s", (one,))
    assert kinds(jobs)[2:] == [("closed", str(one))]
    assert statuses(jobs) == {one: "done", two: "running"}
    jobs.execute("drop trigger notice on app.job")
    attach(jobs)
    assert value(jobs, stale) is False


@pytest.mark.parametrize(
    ("change", "open_"),
    [
        ("alter table app.job add data jsonb not null default '{}'", "data ->> 'end' is null"),
        (
            "alter table app.job add done boolean generated always as (note = 'end') stored",
            "done is not true",
        ),
        (
            "create function app.is_open(app.job) returns boolean language sql immutable"
            " as $$ select $1.status = 'running' $$",
            "app.is_open(r)",
        ),
    ],
    ids=["json that is streamed into", "a generated column", "the whole row"],
)
def test_one_trigger_for_every_update_where_columns_do_not_tell(
    app: Connection, change: str, open_: str
) -> None:
    app.execute(change)
    close = CLOSE
    if "json" in change:
        close = '{"data": "r.data || \'{\\"end\\": 1}\'"}'
    elif "generated" in change:
        close = '{"note": "\'end\'"}'
    attach(app, open=open_, close=close)
    assert columns_named(app) is None
    server = boot(app)
    add(app, server.epoch)
    app.execute("update app.job set error = 'so far'")
    assert boot(app).closed == {"app.job": 1}
    assert kinds(app) == [("opened", "1"), ("closed", "1")]
    write_as(app, server.epoch)
    with refused("RC001"):
        app.execute("update app.job set error = 'late'")
