"""A sweep counts the open rows that nobody owns: they would stay for ever, and nobody would know."""

from __future__ import annotations

from typing import Any

from sql.jobs import Connection, add, attach, boot, sweep, value


def unowned(conn: Connection) -> dict[str, Any]:
    return dict(sweep(conn)["unowned"])


def test_open_rows_without_an_epoch(jobs: Connection) -> None:
    assert unowned(jobs) == {}
    add(jobs, None, 3)
    add(jobs, None, status="done")
    add(jobs, boot(jobs).epoch)
    assert unowned(jobs) == {"app.job": 3}
    assert value(jobs, "select unowned from recovery.watch_status where watch = 'app.job'") == 3


def test_up_to_a_thousand(jobs: Connection) -> None:
    add(jobs, None, 1001)
    assert unowned(jobs) == {"app.job": 1000}


def test_not_what_the_watch_does_not_mean(app: Connection) -> None:
    attach(app, only="r.note is not null")
    add(app, None)
    assert unowned(app) == {}


def test_not_where_they_are_closed_at_boot(app: Connection) -> None:
    app.execute("alter table app.job add started timestamptz default now()")
    attach(app, started="started", unowned="1 hour")
    add(app, None)
    assert unowned(app) == {}


def test_not_where_they_are_expected(jobs: Connection) -> None:
    add(jobs, None)
    jobs.execute("select recovery.configure('unowned_expected', 'true', 'app.job')")
    assert unowned(jobs) == {}
    jobs.execute("select recovery.configure('unowned_expected', 'false', 'app.job')")
    assert unowned(jobs) == {"app.job": 1}


def test_a_watch_that_fails_hides_no_other(app: Connection) -> None:
    attach(app, only="1 / (r.id - 1) is not null")
    app.execute("create table app.other (id int primary key, status text)")
    attach(app, "app.other", close='{"status": "null"}')
    add(app, None)
    app.execute("insert into app.other values (1, 'running')")
    assert unowned(app) == {"app.other": 1}
