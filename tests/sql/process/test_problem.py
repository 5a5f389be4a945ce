"""recovery.problem: what takes the fence, the events or the index from a watched table."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from sql.jobs import Connection, attach, value


def problems(conn: Connection) -> list[tuple[str, str, str, str]]:
    return conn.execute(
        "select kind, name, problem, remedy from recovery.problem order by 1, 2, 3"
    ).fetchall()


def only(conn: Connection) -> tuple[str, str, str]:
    """Kind, problem and remedy of the only one."""
    ((kind, _, problem, remedy),) = problems(conn)
    return kind, problem, remedy


def index(conn: Connection, kind: str = "open") -> str:
    return str(
        value(
            conn, f"select 'app.recovery_{kind}_' || id from recovery.watch where name = 'app.job'"
        )
    )


def test_nothing_is_wrong_with_what_attach_made(app: Connection) -> None:
    """Also where names and strings look like the alias."""
    app.execute('alter table app.job add "r.s" text, add st timestamptz')
    attach(
        app,
        open="""("r.s" is null or "r.s" in ('r.a', 'b''r.')) and status = 'running' and r.* is distinct from null""",
        group="case when note is null then 'r.x' else note || 'r.' end",
        started="st",
    )
    app.execute("select recovery.supervise('app.job')")
    app.execute(
        'create table app."Part r.t" (id int, "Day" date, status text, primary key (id, "Day")) partition by list (id)'
    )
    app.execute('create table app.part_1 partition of app."Part r.t" for values in (1)')
    attach(app, 'app."Part r.t"', open="status = 'running' or id = 0", close='{"status": "null"}')
    assert problems(app) == []


@pytest.mark.parametrize(
    ("mode", "says"),
    [
        ("disable trigger", "is disabled: writes are neither fenced nor told"),
        ("enable replica trigger", "replicas only"),
        ("enable always trigger", "a subscription of this table stops at the fence"),
    ],
)
def test_a_trigger_in_another_mode(jobs: Connection, mode: str, says: str) -> None:
    jobs.execute(f"alter table app.job {mode} recovery_20_update")  # type: ignore
    kind, problem, remedy = only(jobs)
    assert kind == "trigger"
    assert says in problem
    jobs.execute(remedy)  # type: ignore
    assert problems(jobs) == []


def test_a_trigger_of_one_partition(app: Connection) -> None:
    app.execute("create table app.part (id int primary key, status text) partition by list (id)")
    app.execute("create table app.part_1 partition of app.part for values in (1)")
    attach(app, "app.part", close='{"status": "null"}')
    app.execute("alter table app.part_1 disable trigger all")
    assert {problem.split()[2] for _, _, problem, _ in problems(app)} == {"app.part_1"}
    for _, _, _, remedy in problems(app):
        app.execute(remedy)  # type: ignore
    assert problems(app) == []


def test_a_trigger_that_calls_something_else(jobs: Connection) -> None:
    jobs.execute(
        "create function app.idle() returns trigger language plpgsql as 'begin return null; end'"
    )
    jobs.execute("drop trigger recovery_10_insert on app.job")
    jobs.execute(
        "create trigger recovery_10_insert after insert on app.job for each row execute function app.idle()"
    )
    kind, problem, remedy = only(jobs)
    assert (kind, "not the one" in problem) == ("trigger", True)
    jobs.execute(remedy.split(";")[0])  # type: ignore
    attach(jobs)
    assert problems(jobs) == []


def test_an_invalid_index(jobs: Connection) -> None:
    jobs.execute(
        "update pg_index set indisvalid = false where indexrelid = %s::regclass", (index(jobs),)
    )
    kind, problem, remedy = only(jobs)
    assert (kind, "is invalid" in problem) == ("index", True)
    jobs.execute(remedy)  # type: ignore
    assert problems(jobs) == []


def test_the_invalid_index_of_a_partition(app: Connection) -> None:
    app.execute("create table app.part (id int primary key, status text) partition by list (id)")
    app.execute("create table app.part_1 partition of app.part for values in (1)")
    attach(app, "app.part", close='{"status": "null"}')
    app.execute(
        "update pg_index set indisvalid = false where indrelid = 'app.part_1'::regclass"
        " and pg_get_expr(indpred, indrelid) is not null"
    )
    kind, problem, remedy = only(app)
    assert kind == "index"
    assert "app.part_1" in problem
    app.execute(remedy)  # type: ignore
    assert problems(app) == []


@pytest.mark.parametrize(
    "definition",
    [
        "create index {} on app.job (server_epoch, id) where status = 'queued'",
        "create index {} on app.job (id, server_epoch) where status = 'running'",
        "create index {} on app.job (server_epoch, id)",
    ],
)
def test_another_index_of_that_name(jobs: Connection, definition: str) -> None:
    name = index(jobs)
    jobs.execute(f"drop index {name}")  # type: ignore
    jobs.execute(definition.format(name.removeprefix("app.")))  # type: ignore
    kind, problem, remedy = only(jobs)
    assert (kind, "not the one" in problem) == ("index", True)
    jobs.execute(remedy.split(";")[0])  # type: ignore
    attach(jobs)
    assert problems(jobs) == []


def test_the_index_of_the_watchdog(app: Connection) -> None:
    app.execute("alter table app.job add started timestamptz")
    attach(app, started="started")
    app.execute("select recovery.supervise('app.job')")
    name = index(app, "started")
    app.execute(f"drop index {name}")  # type: ignore
    assert name.removeprefix("app.") in only(app)[1]
    app.execute(
        f"create index {name.removeprefix('app.')} on app.job (started) where status = 'running'"
    )  # type: ignore
    assert "not the one" in only(app)[1]


@pytest.mark.parametrize("column", ["server_epoch", "error"])
def test_a_column_that_is_gone(jobs: Connection, column: str) -> None:
    jobs.execute(f"alter table app.job drop column {column} cascade")  # type: ignore
    said = (
        "has no column {} any more"
        if column == "server_epoch"
        else "column {} of app.job does not exist"
    )
    assert any(said.format(column) in problem for _, _, problem, _ in problems(jobs))


def test_sessions_in_which_triggers_do_not_fire(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    role, database = f"copier_{os.getpid()}", value(jobs, "select current_database()")
    jobs.execute(f"create role {role}")  # type: ignore
    try:
        for whose in (
            f"role {role}",
            f"role {role} in database {database}",
            f"database {database}",
        ):
            jobs.execute(f"alter {whose} set session_replication_role = replica")  # type: ignore
            kind, problem, remedy = only(jobs)
            assert kind == "setting"
            assert remedy == f"alter {whose} reset session_replication_role;"
            assert "neither fenced nor told" in problem
            jobs.execute(remedy)  # type: ignore
            assert problems(jobs) == []
        jobs.execute(f"alter role {role} set session_replication_role = local")  # type: ignore
        assert problems(jobs) == []
        other = connect(options="-c session_replication_role=replica")
        assert "in this session (from client)" in only(other)[1]
    finally:
        jobs.execute(f"drop role {role}")  # type: ignore
