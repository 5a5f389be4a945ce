"""Rows 7, 9, 10, 28, 29 on the agent store."""

from __future__ import annotations

import pytest

from sql.agent_store.store import START, Store, crash, data, rows
from sql.jobs import Connection, boot, events, kinds, last_event, refused, shutdown, value, write_as


def test_row_07_the_connection_owns_what_it_writes(conn: Connection) -> None:
    epoch = boot(conn, "agent").epoch
    write_as(conn, epoch)
    conn.execute(
        "insert into agent.session (id, time_created, time_updated, time_compacting)"
        " values ('ses_1', 1, 1, 1)"
    )
    conn.execute(
        "insert into agent.message values ('msg_1', 'ses_1', 1, 1, '{\"role\": \"assistant\"}')"
    )
    running = '{"type": "tool", "state": {"status": "running"}}'
    conn.execute(
        "insert into agent.part values ('prt_1', 'msg_1', 'ses_1', 1, 1, %s::jsonb)", (running,)
    )
    for table in ("session", "message", "part"):
        assert value(conn, f"select server_epoch from agent.{table}") == epoch


@pytest.mark.parametrize(
    "statement",
    [
        "update agent.part set data = jsonb_set(data, '{state,status}', '\"completed\"')",
        "update agent.part set data = jsonb_set(data, '{state,status}', '\"running\"')",
        "update agent.message set data = data #- '{time,completed}'",
        'update agent.message set data = data || \'{"finish": "stop"}\'',
        "update agent.session set time_compacting = 1",
    ],
)
def test_row_09_a_late_writer_neither_revives_nor_overwrites(
    conn: Connection, store: Store, statement: str
) -> None:
    store.message("msg_1")
    store.tool("prt_1")
    dead = crash(conn)
    before = {table: rows(conn, table) for table in ("session", "message", "part")}
    write_as(conn, dead)
    with refused("RC001"):
        conn.execute(statement)  # type: ignore
    assert {table: rows(conn, table) for table in before} == before


def test_row_10_a_rerun_changes_nothing(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.tool("prt_1")
    crash(conn)
    before, seen = (rows(conn, "message"), rows(conn, "part")), last_event(conn)
    crash(conn)
    assert (rows(conn, "message"), rows(conn, "part")) == before
    assert last_event(conn) == seen


@pytest.mark.parametrize(
    ("how", "words"), [("crash", "server restart"), ("stop", "server shutdown")]
)
def test_row_28_the_words_differ(conn: Connection, store: Store, how: str, words: str) -> None:
    store.message("msg_1")
    store.tool("prt_1")
    if how == "crash":
        crash(conn)
    else:
        shutdown(conn, store.epoch or 0)
    assert data(conn, "part", "prt_1")["state"]["error"] == (
        f"Tool execution was interrupted ({words})"
    )


def test_row_28_a_users_cancel_is_the_applications_own(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    with conn.transaction():
        write_as(conn, store.epoch)
        conn.execute("set local recovery.reason = 'cancelled'")
        conn.execute(
            "update agent.message set data = data || %s where id = 'msg_1'",
            (f'{{"time": {{"created": {START}, "completed": {START + 1}}}}}',),
        )
    event = events(conn)[-1]
    assert (event["kind"], event["reason"], event["detector"]) == ("closed", "cancelled", "writer")


def test_row_29_the_life_of_a_turn_is_in_order(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.tool("prt_1")
    conn.execute("update agent.part set data = jsonb_set(data, '{state,status}', '\"completed\"')")
    store.tool("prt_2")
    crash(conn)
    assert kinds(conn) == [
        ("opened", "msg_1"),
        ("opened", "prt_1"),
        ("closed", "prt_1"),
        ("opened", "prt_2"),
        ("closed", "prt_2"),
        ("closed", "msg_1"),
        ("failed", "ses_1"),
        ("idle", "ses_1"),
        ("idle", "ses_1"),
    ]
