"""A unit of work: a row is told by its watch and key, a group by its family and key."""

from __future__ import annotations

from typing import Any

import pytest

from sql.agent_store.store import Store
from sql.jobs import Connection, attach, boot, value
from sql.watchdog.clock import advance, configure, due, supervise


@pytest.fixture
def store(conn: Connection) -> Store:
    """A session of a live server with a message in flight."""
    store = Store(conn, boot(conn).epoch)
    store.time = int(value(conn, "select extract(epoch from recovery._now()) * 1000"))
    store.session("ses_1")
    store.message("msg_1")
    return store


def units(conn: Connection, table: str) -> list[Any]:
    query = f"select scope, watch, key from recovery.{table} order by 1, 2, 3"
    return conn.execute(query.encode()).fetchall()


def light(conn: Connection, watch: str, key: str, scope: str, pid: int = 4711) -> None:
    conn.execute(
        "select recovery.light_fuse(%s, %s, '5 min', 'here', %s, now(), %s)",
        (watch, key, pid, scope),
    )


def test_a_group_keeps_the_watch_through_which_it_was_named(conn: Connection, store: Store) -> None:
    light(conn, "agent.part", "ses_1", "group")
    light(conn, "agent.part", "prt_1", "row")
    assert units(conn, "fuse") == [
        ("group", "agent.part", "ses_1"),
        ("row", "agent.part", "prt_1"),
    ]


def test_its_fuse_guards_the_rows_of_every_watch_of_the_family(
    conn: Connection, store: Store
) -> None:
    light(conn, "agent.part", "ses_1", "group")
    assert boot(conn).closed == {}
    query = "select watch, key from recovery.event where kind = 'adopted'"
    assert conn.execute(query).fetchall() == [("agent.message", "msg_1")]


def test_a_fuse_of_a_row_guards_no_row_of_another_watch(conn: Connection) -> None:
    conn.execute("create schema app")
    for table in ("app.job", "app.part"):
        conn.execute(f"create table {table} (id int primary key, status text, session text)")  # type: ignore
        attach(conn, table, family="app", group="session", close="""{"status": "'failed'"}""")
    epoch = boot(conn).epoch
    for table in ("app.job", "app.part"):
        conn.execute(f"insert into {table} values (1, 'running', 's', %s)", (epoch,))  # type: ignore
    light(conn, "app.job", "1", "row")
    boot(conn)
    for table, status in (("app.job", "running"), ("app.part", "failed")):
        assert value(conn, f"select status from {table}") == status


def test_two_watches_ask_for_one_group_once(conn: Connection, store: Store) -> None:
    store.tool("prt_1")
    configure(conn, "tool_timeout", "10 min")
    configure(conn, "wall_timeout", "10 min")
    advance(conn, "11 min")
    found = conn.execute("select scope, watch, key from recovery._due_units()").fetchall()
    assert sorted(found) == [
        ("group", "agent.message", "ses_1"),
        ("group", "agent.part", "ses_1"),
    ]
    for count in (1, 0):
        assert value(conn, "select recovery._ask_owners('test')") == count
    [(scope, watch, key)] = units(conn, "cancellation")
    assert (scope, key) == ("group", "ses_1")
    events = conn.execute("select watch, key from recovery.event where kind = 'cancel'").fetchall()
    assert events == [(watch, key)]
    pending = "select watch, key from recovery.pending_cancellations(%s)"
    assert conn.execute(pending, (store.epoch,)).fetchall() == [(watch, key)]


def test_rows_of_two_watches_with_one_key_are_two_units(conn: Connection) -> None:
    conn.execute("create schema app")
    for table in ("app.job", "app.part"):
        conn.execute(
            f"create table {table} (id int primary key, status text, session text, at timestamptz)"  # type: ignore
        )
        attach(conn, table, family="app", group="session", close="""{"status": "'failed'"}""")
        supervise(conn, table, started="at", kind="'bash'")
    configure(conn, "tool_timeout", "10 min")
    epoch = boot(conn).epoch
    for table in ("app.job", "app.part"):
        conn.execute(
            f"insert into {table} values (1, 'running', 's', recovery._now(), %s)",  # type: ignore
            (epoch,),
        )
    advance(conn, "11 min")
    assert value(conn, "select recovery._ask_owners('test')") == 2
    assert units(conn, "cancellation") == [("row", "app.job", "1"), ("row", "app.part", "1")]


def test_the_latest_touch_of_a_group_counts_whoever_was_named(
    conn: Connection, store: Store
) -> None:
    store.tool("prt_1")
    configure(conn, "tool_timeout", "10 min")
    advance(conn, "8 min")
    conn.execute("select recovery.touch('agent.part', '{ses_1}', 'group')")
    advance(conn, "8 min")
    conn.execute("select recovery.touch('agent.session', '{ses_1}', 'group')")
    advance(conn, "8 min")
    assert due(conn) == {}
    advance(conn, "3 min")
    assert due(conn) == {"ses_1": "tool_timeout"}


def test_one_process_of_a_group_is_one_entry(conn: Connection) -> None:
    server = boot(conn)
    ids = {
        value(
            conn,
            "select recovery.track_process(%s, %s, %s, 's', 'group', 'here', 4711, '2026-01-01')",
            *(server.epoch, server.token, watch),
        )
        for watch in ("agent.part", "agent.message", "agent.part")
    }
    assert len(ids) == 1
    assert units(conn, "process") == [("group", "agent.part", "s")]


def test_a_group_is_closed_although_the_watch_that_named_it_is_gone(conn: Connection) -> None:
    conn.execute("create schema app")
    for table in ("app.job", "app.part"):
        conn.execute(f"create table {table} (id int primary key, status text, session text)")  # type: ignore
        attach(conn, table, family="app", group="session", close="""{"status": "'failed'"}""")
    epoch = boot(conn, "owner", lease="1 day").epoch
    conn.execute("insert into app.job values (1, 'running', 's', %s)", (epoch,))
    light(conn, "app.part", "s", "group")
    conn.execute("select recovery.detach('app.part')")
    conn.execute("update recovery.fuse set process_dead = recovery._now() - interval '1 minute'")
    query = "select action, reason, watch, key from recovery.preview()"
    assert conn.execute(query).fetchall() == [("close", "process_dead", "app.job", "1")]
    conn.execute("call recovery.sweep('test')")
    assert value(conn, "select status from app.job") == "failed"
    assert units(conn, "fuse") == []


def test_the_fuses_of_a_row_and_of_a_group_are_found_by_the_index(conn: Connection) -> None:
    conn.execute(
        "insert into recovery.fuse (family, scope, watch, key, ttl, expires)"
        " select 'agent', 'group', 'agent.part', 'ses_' || n, '1 h', 'infinity'"
        " from generate_series(1, 20000) as n"
    )
    conn.execute("vacuum analyze recovery.fuse")
    for unit in (
        "f.scope = 'row' and f.watch = 'agent.part' and f.key = 'prt_1'",
        "f.scope = 'group' and f.key = 'ses_7'",
    ):
        plan = conn.execute(
            f"explain select from recovery.own_fuse as f where f.family = 'agent' and {unit}".encode()
        ).fetchall()
        text = "\n".join(line for (line,) in plan)
        assert "fuse_unit" in text
        assert "Seq Scan on fuse" not in text
