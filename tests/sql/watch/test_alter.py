"""recovery.alter: options change, every owner of work in flight stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from helpers import wait_for_lock
from sql.jobs import (
    Connection,
    add,
    attach,
    boot,
    in_background,
    refused,
    statuses,
    sweep,
    value,
    write_as,
)


def alter(conn: Connection, table: str = "app.job", **changes: Any) -> str:
    return str(
        value(
            conn,
            "select recovery.alter(%s::text::regclass, %s::text::jsonb)",
            table,
            json.dumps(changes),
        )
    )


def owners(conn: Connection) -> dict[int, int | None]:
    return dict(conn.execute("select id, server_epoch from app.job order by id").fetchall())


def index(conn: Connection) -> str:
    return str(
        value(
            conn,
            "select pg_get_indexdef(('app.recovery_open_' || w.id)::regclass)"
            " from recovery.watch as w where relation = 'app.job'::regclass",
        )
    )


def test_p01_every_owner_stays(jobs: Connection) -> None:
    server = boot(jobs)
    add(jobs, server.epoch, 3)
    before = owners(jobs)
    assert alter(jobs, open="status in ('running', 'started')", topic="job") == "app.job"
    assert owners(jobs) == before
    assert "started" in index(jobs)
    write_as(jobs, server.epoch)
    jobs.execute("insert into app.job (status) values ('started')")
    write_as(jobs, None)
    assert owners(jobs)[4] == server.epoch
    assert boot(jobs).closed == {"app.job": 4}


def test_what_is_not_given_stays_and_null_resets(jobs: Connection) -> None:
    alter(jobs, topic="job", events="closed", position=7)
    alter(jobs, events=None)
    row = jobs.execute(
        "select topic, events, position from recovery.watch where name = 'app.job'"
    ).fetchone()
    assert row == ("job", "all", 7)
    alter(jobs, topic=None, position=None)
    assert value(jobs, "select position from recovery.watch where name = 'app.job'") == 100
    assert attach(jobs) == "app.job"  # as in the beginning


def test_the_index_stays_where_it_need_not_change(jobs: Connection) -> None:
    oid = "select ('app.recovery_open_' || id)::regclass::oid from recovery.watch where name = 'app.job'"
    before = value(jobs, oid)
    alter(jobs, close={"status": "'lost'"})
    assert value(jobs, oid) == before
    alter(jobs, group="note")
    assert value(jobs, oid) != before


def test_a_new_close_counts_at_once(jobs: Connection) -> None:
    add(jobs, boot(jobs).epoch)
    alter(jobs, close={"status": "'lost'"})
    boot(jobs)
    assert statuses(jobs) == {1: "lost"}


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"opne": "true"}, "RC010", 'no option "opne"'),
        ({"open": None}, "RC006", "no open expression"),
        ({"close": None}, "RC006", "close expressions"),
        ({"close": {"status": "'running'"}}, "RC006", "leave a row open"),
        ({"open": "nope = 1"}, "RC006", "nope"),
        ({"name": "agent.session"}, "RC007", "is taken"),
        ({"search_path": None}, "RC010", "search_path null"),
        ({"launch_grace": "1 minute"}, "RC006", "p_started"),
    ],
)
def test_what_cannot_work_is_refused_and_changes_nothing(
    jobs: Connection, changes: dict[str, Any], code: str, says: str
) -> None:
    before = jobs.execute("select * from recovery.watch order by id").fetchall()
    with refused(code, says):
        alter(jobs, **changes)
    assert jobs.execute("select * from recovery.watch order by id").fetchall() == before
    assert value(jobs, "select count(*) from recovery.problem") == 0


def test_what_is_told_by_its_name_follows_it(jobs: Connection) -> None:
    server = boot(jobs)
    add(jobs, server.epoch, 2)
    jobs.execute("select recovery.light_fuse('app.job', '1', interval '1 hour')")
    jobs.execute("select recovery.touch('app.job', array['1'])")
    jobs.execute("select recovery.configure('wall_timeout', '1 hour', 'app.job')")
    jobs.execute(
        "insert into recovery.failure (watch, key, key_parts, next_at, sqlstate, message)"
        " values ('app.job', '2', '{2}', now(), 'XX000', 'x')"
    )
    assert alter(jobs, name="jobs") == "jobs"
    for table, family in (("fuse", True), ("touch", True), ("setting", False), ("failure", False)):
        columns = "watch, family" if family else "watch, watch"
        found = jobs.execute(f"select distinct {columns} from recovery.{table}").fetchall()  # type: ignore
        assert found == [("jobs", "jobs")], table
    boot(jobs)
    # The outbox takes events of the new name.
    assert value(jobs, "select min(watch) from recovery.event where kind = 'closed'") == "jobs"
    assert value(jobs, "select recovery.get_setting('wall_timeout', 'jobs')") == "01:00:00"


def test_a_watch_joins_a_family_and_one_of_several_does_not_leave(jobs: Connection) -> None:
    alter(jobs, group="note")
    jobs.execute("create table app.step (id int primary key, note text, status text, error text)")
    attach(jobs, "app.step", group="note", family="work")
    assert alter(jobs, family="work") == "app.job"
    server = boot(jobs).epoch
    jobs.execute("insert into app.job (note, server_epoch) values ('a', %s)", (server,))
    jobs.execute("insert into app.step values (1, 'a', 'running')")
    jobs.execute("update app.step set server_epoch = %s", (server,))
    assert boot(jobs).closed == {"app.job": 1, "app.step": 1}
    with refused("RC006", 'cannot leave family "work"'):
        alter(jobs, "app.step", family=None)


def test_altering_repairs_too(jobs: Connection) -> None:
    jobs.execute("alter table app.job disable trigger recovery_10_insert")
    alter(jobs)
    assert value(jobs, "select count(*) from recovery.problem") == 0


def test_a_table_that_is_not_watched(app: Connection) -> None:
    with refused("RC008", "not watched"):
        alter(app, topic="x")


def test_in_steps_the_old_index_serves_until_the_new_one_stands(jobs: Connection) -> None:
    changes = json.dumps({"open": "status in ('running', 'started')"})
    dead = boot(jobs).epoch
    add(jobs, dead)
    steps = "select what, statement from recovery.alter_steps('app.job', %s::text::jsonb)"
    (first, text), *rest = jobs.execute(steps, (changes,)).fetchall()
    assert first.endswith("_new")
    assert len(rest) == 1
    jobs.execute(text)
    assert "started" not in index(jobs)
    boot(jobs)
    assert statuses(jobs) == {1: "failed"}  # closed as before
    [(_, text)] = jobs.execute(steps, (changes,)).fetchall()
    jobs.execute(text)
    assert "started" in index(jobs)
    assert jobs.execute(steps, (changes,)).fetchall() == []
    assert value(jobs, "select count(*) from pg_class where relname ~ '_new$'") == 0
    assert value(jobs, "select count(*) from recovery.problem") == 0


def test_p13_a_writer_of_the_table_never_waits_for_a_watch_that_waits_for_it(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    """P13: alter waits for the table; who writes it gets all that it needs, and they do not deadlock."""
    writer, other = connect(), connect()
    for changes in ({"group": "note", "topic": "t"}, {"name": "jobs"}):
        writer.execute("begin")
        writer.execute("insert into app.job default values")
        altering = in_background(alter, other, **changes)
        assert wait_for_lock(jobs, other.info.backend_pid) == "relation"
        writer.execute("insert into app.job default values")
        writer.execute("update app.job set status = 'done'")
        writer.execute("commit")
        altering.result(10)
    assert value(jobs, "select name from recovery.watch where topic = 't'") == "jobs"
    sweep(jobs)


def test_p13_what_changes_no_trigger_and_no_index_waits_for_nobody(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    writer = connect()
    writer.execute("begin")
    writer.execute("insert into app.job default values")
    jobs.execute("set lock_timeout = '2s'")
    alter(jobs, close={"status": "'lost'"}, topic="t")
    writer.execute("commit")
