"""P13: recovery.attach rehearses a closing: what would fail each time is refused, with the host's own error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from sql.jobs import Connection, add, attach, boot, fingerprint, refused, statuses, value, write_as

#: What is in the table: nothing; a row that is not open; one that is.
FILLINGS = {
    "empty": (),
    "closed": ("insert into app.task (id, status) values (1, 'finished')",),
    "open": (
        "insert into app.task (id, status) values (1, 'finished')",
        "insert into app.task (id, status) values (2, 'running')",
    ),
}


@pytest.fixture(params=FILLINGS)
def filling(request: pytest.FixtureRequest) -> Sequence[str]:
    return FILLINGS[request.param]


def task(conn: Connection, columns: str, filling: Sequence[str], *more: str) -> None:
    conn.execute("create schema if not exists app")
    conn.execute(f"create table app.task (id int primary key, status text not null, {columns})")  # type: ignore
    for statement in (*more, *filling):
        conn.execute(statement)  # type: ignore


def attach_task(conn: Connection, **options: Any) -> str:
    return attach(conn, "app.task", **{"close": '{"status": "\'crashed\'"}', **options})


def test_p13_a_check_that_does_not_know_the_status(
    conn: Connection, filling: Sequence[str]
) -> None:
    """P13: as MLflow's CHECK of runs.status."""
    task(conn, "check (status in ('running', 'finished', 'failed'))", filling)
    before = fingerprint(conn, "app.task")
    with refused("RC006", 'violates check constraint "task_status_check".*23514'):
        attach_task(conn)
    assert fingerprint(conn, "app.task") == before
    assert attach_task(conn, close='{"status": "\'failed\'"}') == "app.task"


def test_p13_a_check_is_found_however_much_else_the_table_demands(
    conn: Connection, filling: Sequence[str]
) -> None:
    conn.execute("create schema app; create table app.owner (id int primary key)")
    conn.execute("insert into app.owner values (1)")
    task(
        conn,
        "owner int not null default 1 references app.owner, token text not null default 'abcdef'"
        " check (length(token) > 5), constraint zz check (status in ('running', 'finished'))",
        filling,
    )
    with refused("RC006", 'violates check constraint "zz"'):
        attach_task(conn)


def test_p13_a_column_that_may_not_be_null(conn: Connection, filling: Sequence[str]) -> None:
    task(conn, "note text not null default ''", filling)
    with refused("RC006", 'null value in column "note".*23502'):
        attach_task(conn, close='{"status": "\'crashed\'", "note": "null"}')


def test_p13_a_domain(conn: Connection, filling: Sequence[str]) -> None:
    conn.execute("create schema app; create domain app.short as text check (length(value) < 4)")
    task(conn, "note app.short", filling)
    with refused("RC006", "violates check constraint.*23514"):
        attach_task(conn, close='{"status": "\'crashed\'", "note": "c.message"}')


def test_p13_a_foreign_key(conn: Connection, filling: Sequence[str]) -> None:
    conn.execute("create schema app; create table app.state (name text primary key)")
    conn.execute("insert into app.state values ('running'), ('finished')")
    task(conn, "foreign key (status) references app.state", filling)
    with refused("RC006", "violates foreign key constraint.*23503"):
        attach_task(conn)


def test_p13_a_deferred_foreign_key(conn: Connection) -> None:
    conn.execute("create schema app; create table app.state (name text primary key)")
    conn.execute("insert into app.state values ('running'), ('finished')")
    columns = "foreign key (status) references app.state deferrable initially deferred"
    task(conn, columns, FILLINGS["open"])
    with refused("RC006", "violates foreign key constraint"):
        attach_task(conn)


TRIGGER = """
    create function app.note() returns trigger language plpgsql as $$
    begin insert into task_event (status) values (new.status); return new; end $$;
    create trigger note after update of status on app.task for each row execute function app.note();
"""


def test_p13_a_trigger_that_does_not_find_its_table(
    conn: Connection, filling: Sequence[str]
) -> None:
    """P13: as Procrastinate's, which needs the path of its writers."""
    task(conn, "error text", filling, "create table app.task_event (status text)", TRIGGER.strip())
    conn.execute("set search_path = public")
    with refused("RC006", 'relation "task_event" does not exist.*42P01'):
        attach_task(conn)
    conn.execute("set search_path = app, public")
    assert attach_task(conn) == "app.task"
    assert value(conn, "select count(*) from app.task_event") == 0


def test_p13_a_trigger_that_refuses_each_closing(conn: Connection) -> None:
    task(conn, "error text", FILLINGS["open"])
    conn.execute(
        "create function app.guard() returns trigger language plpgsql as $$"
        " begin raise 'not % any more', new.status using errcode = 'XX123', hint = 'ask Joe'; end $$;"
        " create trigger guard before update on app.task for each row execute function app.guard()"
    )
    # One row may be an accident; several are none.
    assert attach_task(conn)
    conn.execute("select recovery.detach('app.task')")
    conn.execute("insert into app.task (id, status) values (3, 'running'), (4, 'running')")
    with refused("RC006", "not crashed any more.*XX123"):
        attach_task(conn)


def test_a_way_back_that_only_this_row_does_not_have_is_no_reason(conn: Connection) -> None:
    """A state machine that lets no finished row fail, and a CHECK that a queued row would not pass."""
    task(
        conn,
        "started timestamptz, check (status <> 'crashed' or started is not null)",
        ("insert into app.task (id, status) values (1, 'queued')",),
        "create function app.guard() returns trigger language plpgsql as $$ begin"
        " if old.status <> 'running' and new.status = 'crashed' then raise 'never'; end if; return new;"
        " end $$",
        "create trigger guard before update on app.task for each row execute function app.guard()",
    )
    assert attach_task(conn) == "app.task"


def test_p07_one_bad_row_is_no_reason(conn: Connection) -> None:
    task(conn, "data text", FILLINGS["open"])
    conn.execute("update app.task set data = 'not json'")
    conn.execute("insert into app.task (id, status, data) values (3, 'running', '{}')")
    close = '{"status": "\'crashed\'", "data": "(r.data::jsonb || \'{}\')::text"}'
    assert attach_task(conn, close=close) == "app.task"


def test_p13_a_closing_that_leaves_the_row_open(conn: Connection, filling: Sequence[str]) -> None:
    task(conn, "error text", filling)
    with refused("RC006", "leave a row open"):
        attach_task(conn, close='{"status": "\'running\'"}')


REQUEUE = {
    "close": '{"status": "\'failed\'"}',
    "requeue": '{"status": "\'queued\'"}',
    "attempts": "tries",
    "max_attempts": 3,
}


@pytest.mark.parametrize("allowed", ["'failed'", "'queued'"])
def test_p13_both_a_requeue_and_the_last_closing(
    conn: Connection, filling: Sequence[str], allowed: str
) -> None:
    columns = f"tries int not null default 0, check (status in ('running', 'finished', {allowed}))"
    task(conn, columns, filling)
    step = "requeue" if "failed" in allowed else "close"
    with refused("RC006", f"each {step} of a row of app.task would fail.*task_status_check"):
        attach_task(conn, **REQUEUE)


def test_a_requeue_that_works(conn: Connection, filling: Sequence[str]) -> None:
    task(conn, "tries int not null default 0", filling)
    before = conn.execute("select * from app.task order by id").fetchall()
    attach_task(conn, **REQUEUE)
    assert [row[:-1] for row in conn.execute("select * from app.task order by id")] == before


def test_it_leaves_no_trace(conn: Connection, filling: Sequence[str]) -> None:
    task(conn, "error text", filling)
    before = conn.execute(
        "select id, status, error, xmin::text from app.task order by id"
    ).fetchall()
    conn.execute("listen recovery; listen app")
    attach_task(conn)
    after = conn.execute(
        "select id, status, error, xmin::text from app.task order by id"
    ).fetchall()
    assert after == before
    assert value(conn, "select count(*) from recovery.event") == 0
    assert value(conn, "select count(*) from recovery.failure") == 0
    assert list(conn.notifies(timeout=0.1)) == []


def test_it_uses_up_no_number_of_a_sequence(app: Connection) -> None:
    app.execute("create table app.old (id serial primary key, status text, error text)")
    attach(app)
    attach(app, "app.old")
    app.execute("insert into app.old (status) values ('x')")
    assert add(app, None) == [1]
    assert value(app, "select id from app.old") == 1
    assert value(app, "select min(id) from recovery.event") == 100


def test_a_row_that_somebody_holds_is_passed_over(
    app: Connection, connect: Callable[..., Connection]
) -> None:
    app.execute("alter table app.job add check (status in ('running', 'done'))")
    add_row = "insert into app.job default values"
    app.execute(add_row)
    attach(app, close='{"status": "\'done\'"}', concurrently=True)
    *first, _ = app.execute("select statement from recovery.attach_steps('app.job')").fetchall()
    for (text,) in first:
        app.execute(text)
    other = connect()
    other.execute("begin")
    other.execute("select * from app.job for update")
    # It neither waits nor fails.
    [(last,)] = app.execute("select statement from recovery.attach_steps('app.job')").fetchall()
    app.execute(last)
    other.execute("commit")


def test_p04_the_fence_says_nothing_of_a_rehearsal(jobs: Connection) -> None:
    """P4: whoever attaches in a session of an ended server is not taken for it."""
    ended = boot(jobs).epoch
    add(jobs, ended)
    boot(jobs)
    jobs.execute("insert into app.job default values")
    jobs.execute("alter table app.job disable trigger recovery_10_insert")
    write_as(jobs, ended)
    attach(jobs)
    write_as(jobs, None)
    assert statuses(jobs) == {1: "failed", 2: "running"}
