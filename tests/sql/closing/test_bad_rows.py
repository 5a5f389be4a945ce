"""P7: a row that can't be closed is alone in recovery.failure; all others close."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sql.jobs import (
    Connection,
    attach,
    boot,
    failures,
    heartbeat,
    kinds,
    last_event,
    shutdown,
    statuses,
    sweep,
    value,
    write_as,
)

CHECK = "alter table app.job add check (status <> 'failed' or note is distinct from 'bad')"
RAISES = """
    create function app.guard() returns trigger language plpgsql as $$ begin
        if new.note = 'bad' and new.status = 'failed' then
            raise 'no way' using errcode = 'XX123';
        end if;
        return new; end $$;
    create trigger guard before update on app.job for each row execute function app.guard();
"""
REVERTS = """
    create function app.guard() returns trigger language plpgsql as $$ begin
        if new.note = 'bad' then new.status := old.status; end if; return new; end $$;
    create trigger guard before update on app.job for each row execute function app.guard();
"""
SWALLOWS = """
    create function app.guard() returns trigger language plpgsql as $$ begin
        if new.note = 'bad' then return null; end if; return new; end $$;
    create trigger guard before update on app.job for each row execute function app.guard();
"""
FAILS_LATE = """
    create table app.note (note text primary key); insert into app.note values ('good');
    create function app.guard() returns trigger language plpgsql as $$ begin
        if new.note = 'bad' and new.status = 'failed' then
            raise 'late' using errcode = 'XX124';
        end if;
        return null; end $$;
    create constraint trigger guard after update on app.job deferrable initially deferred
        for each row execute function app.guard();
"""


def orphans(conn: Connection, count: int = 10, bad: int = 4) -> int:
    """Orphans of a dead server; one of them can't be closed."""
    dead = boot(conn).epoch
    conn.execute(
        "insert into app.job (note, server_epoch)"
        " select case n when %s then 'bad' else 'good' end, %s from generate_series(1, %s) as n",
        (bad, dead, count),
    )
    return dead


def due(conn: Connection) -> None:
    conn.execute("update recovery.failure set next_at = now() - interval '1 second'")


@pytest.mark.parametrize(
    ("obstacle", "sqlstate"),
    [(CHECK, "23514"), (RAISES, "XX123"), (REVERTS, "RC006"), (FAILS_LATE, "XX124")],
    ids=["check", "raises", "reverts", "deferred"],
)
@pytest.mark.parametrize("batch", [3, 2000])
@pytest.mark.parametrize("group", [None, "id"])
def test_p07_all_others_close(
    app: Connection, obstacle: str, sqlstate: str, batch: int, group: str | None
) -> None:
    app.execute(obstacle)  # type: ignore
    attach(app, group=group)
    dead = orphans(app)
    report = boot(app, batch=batch).report
    assert (report["closed"], report["failed"]) == ({"app.job": 9}, {"app.job": 1})
    assert failures(app) == {"4": sqlstate}
    assert [id_ for id_, status in statuses(app).items() if status == "running"] == [4]
    assert value(app, "select server_epoch from recovery.failure") == dead
    assert sorted(int(key) for kind, key in kinds(app) if kind == "closed") == [
        1,
        2,
        3,
        *range(5, 11),
    ]


def test_p07_a_trigger_that_swallows_the_update_is_reported(app: Connection) -> None:
    app.execute(SWALLOWS)
    attach(app)
    orphans(app)
    report = boot(app).report
    assert report["closed"] == {"app.job": 9}
    assert report["failed"] or report["busy"]


def test_p07_an_expression_that_fails_for_one_row(app: Connection) -> None:
    divides = "(1 / case r.note when 'bad' then 0 else 1 end)::text"
    attach(app, close=json.dumps({"status": "'failed'", "error": divides}))
    orphans(app)
    assert boot(app).closed == {"app.job": 9}
    assert failures(app) == {"4": "22012"}


def test_p07_a_condition_that_fails_for_one_row(app: Connection) -> None:
    attach(app, only="1 / (case r.note when 'bad' then 0 else 1 end) = 1")
    orphans(app)
    assert boot(app).closed == {"app.job": 9}


def test_p07_of_one_watch_harms_no_other(app: Connection) -> None:
    app.execute(CHECK)
    app.execute("create table app.step (id int primary key, status text, error text)")
    attach(app)
    attach(app, "app.step")
    dead = orphans(app)
    app.execute("insert into app.step values (1, 'running', null, %s)", (dead,))
    assert boot(app).closed == {"app.job": 9, "app.step": 1}


def test_p07_it_is_retried_with_backoff(app: Connection) -> None:
    app.execute(CHECK)
    attach(app)
    orphans(app)
    waits = []
    for attempts in (1, 2, 3):
        boot(app)
        assert value(app, "select attempts from recovery.failure") == attempts
        waits.append(
            value(app, "select extract(epoch from next_at - last_at)::int from recovery.failure")
        )
        seen = last_event(app)
        report = sweep(app)  # not due
        assert (report["failed"], last_event(app)) == ({}, seen)
        assert value(app, "select attempts from recovery.failure") == attempts
        due(app)
    assert waits == sorted(waits)
    assert waits[0] < waits[-1]


@pytest.mark.parametrize("again", ["boot", "sweep"])
def test_p07_once_the_obstacle_is_gone_it_closes(app: Connection, again: str) -> None:
    app.execute(CHECK)
    attach(app)
    orphans(app)
    boot(app)
    app.execute("alter table app.job drop constraint job_check")
    due(app)
    report: dict[str, Any] = boot(app).report if again == "boot" else sweep(app)
    assert report["closed"] == {"app.job": 1}
    assert failures(app) == {}


def test_p07_the_status_shows_it(app: Connection) -> None:
    app.execute(CHECK)
    attach(app)
    orphans(app)
    boot(app)
    status = app.execute(
        "select open_rows, orphans, failures from recovery.watch_status where watch = 'app.job'"
    ).fetchone()
    assert status == (1, 1, 1)
    message = value(app, "select message from recovery.failure")
    assert "job_check" in message


@pytest.mark.parametrize(
    "how", ["update app.job set status = 'done', note = ''", "delete from app.job"]
)
def test_a_failure_whose_row_somebody_settled_is_forgotten(app: Connection, how: str) -> None:
    app.execute(CHECK)
    attach(app)
    orphans(app)
    boot(app)
    app.execute(how + " where id = 4")  # type: ignore
    sweep(app)
    assert failures(app) == {}


def test_p07_a_bad_row_does_not_stop_a_shutdown(app: Connection) -> None:
    app.execute(CHECK)
    attach(app)
    report = shutdown(app, orphans(app))
    assert (report["closed"], report["failed"]) == ({"app.job": 9}, {"app.job": 1})


def test_p07_many_bad_rows_beside_a_live_server(app: Connection) -> None:
    app.execute(CHECK)
    attach(app)
    live = boot(app, "live")
    write_as(app, live.epoch)
    app.execute("insert into app.job (note) values ('bad')")
    write_as(app, None)
    dead = boot(app).epoch
    app.execute(
        "insert into app.job (note, server_epoch)"
        " select case when n %% 2 = 0 then 'bad' end, %s from generate_series(1, 20) as n",
        (dead,),
    )
    assert boot(app, batch=7).report["failed"] == {"app.job": 10}
    assert len(failures(app)) == 10
    heartbeat(app, live)


@pytest.mark.parametrize("group", [None, "id"])
def test_a_bad_row_does_not_make_thousands_close_one_by_one(
    app: Connection, group: str | None
) -> None:
    app.execute(CHECK)  # type: ignore
    attach(app, group=group)
    orphans(app, count=5000, bad=2345)
    report = boot(app).report
    assert (report["closed"], report["failed"]) == ({"app.job": 4999}, {"app.job": 1})
    # What one statement closes has one time. The bad row's neighbours, an eighth of an eighth ..., are closed alone.
    statements = value(app, "select count(distinct at) from recovery.event where kind = 'closed'")
    assert statements < 64 + 40
    assert (
        value(app, "select count(distinct key) from recovery.event where kind = 'closed'") == 4999
    )
