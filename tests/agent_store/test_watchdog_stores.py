"""Real stores whose server lives and hangs: the watchdog closes what the crash would have, and no more."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from agent_store import stores
from agent_store.stores import CASES, Time, Words
from agent_store.test_real_stores import boot, changed
from recovery import calls, opencode
from sql.watchdog.clock import advance, configure, later, reasons

Connection = psycopg.Connection[Any]
SETTINGS = {
    "tool_timeout": "10 min",
    "task_timeout": "1 h",
    "idle_timeout": "30 min",
    "idle_roots": "true",
    "cancel_grace": "0 s",
}


@pytest.fixture
def watched(conn: Connection) -> calls.server.Booted:
    """A live server, and timeouts."""
    for name, value in SETTINGS.items():
        configure(conn, name, value)
    return boot(conn)


def hours(conn: Connection, many: int = 4) -> None:
    """Sweeps, an hour apart."""
    for _ in range(many):
        later(conn, "1 h")


@pytest.mark.parametrize("case", [case for case in CASES if case != "two-servers-one-db"])
def test_rows_14_15_16_20_a_store_that_hangs_closes_like_one_that_crashed(
    conn: Connection, watched: calls.server.Booted, case: str
) -> None:
    store, expect = stores.load(case)
    opencode.load_store(conn, store, owner=watched.epoch)
    before, start = stores.read(conn), stores.now(conn)
    hours(conn)
    after, when = stores.read(conn), Time(start, stores.now(conn))
    messages, parts = stores.orphan_ids(expect)
    assert changed(before, after) == {"session": set(), "message": messages, "part": parts}
    for table, ids in (("message", messages), ("part", parts)):
        for id_ in ids:
            assert after[table][id_] == stores.closed(before[table][id_], when, Words())
    assert set(reasons(conn).values()) <= {"tool_timeout", "task_timeout", "idle_timeout"}


def test_row_15_the_subagent_first_its_parent_after(
    conn: Connection, watched: calls.server.Booted
) -> None:
    store, expect = stores.load("task-subagent")
    opencode.load_store(conn, store, owner=watched.epoch)
    (link,) = expect["links"]
    found = {part["id"]: part["session_id"] for part in store["part"]}
    later(conn, "1 s")
    first = {found[key] for key in reasons(conn) if key in found}
    assert len(first) == 1
    parents = {s["id"]: s.get("parent_id") for s in store["session"]}
    assert parents[first.pop()] is not None, link
    hours(conn, 2)
    assert {found[key] for key in reasons(conn) if key in found} == set(expect["affected_sessions"])


@pytest.mark.parametrize("case", ["permission-asked", "retry"])
def test_rows_18_19_what_waits_is_left_alone(
    conn: Connection, watched: calls.server.Booted, case: str
) -> None:
    store, expect = stores.load(case)
    opencode.load_store(conn, store, owner=watched.epoch)
    until = stores.now(conn) + 10 * 3_600_000 if case == "retry" else None
    for session in expect["affected_sessions"]:
        conn.execute(
            "insert into agent.hold (id, session_id, kind, until, server_epoch) values (%s, %s, %s, %s, %s)",
            (f"hold_{session}", session, "retry" if until else "permission", until, watched.epoch),
        )
    before = stores.read(conn)
    hours(conn, 6)
    assert stores.read(conn) == before
    if until is None:
        conn.execute(
            "update agent.hold set time_ended = extract(epoch from recovery._now()) * 1000"
        )
        later(conn, "5 min")
        assert stores.read(conn) == before
    hours(conn, 7)
    assert changed(before, stores.read(conn))["message"] == set(expect["orphan_messages"])


def test_p02_work_that_moves_is_left_alone(conn: Connection, watched: calls.server.Booted) -> None:
    store, _ = stores.load("parallel-tools")
    opencode.load_store(conn, store, owner=watched.epoch)
    before = stores.read(conn)
    keys = [row["id"] for row in store["part"]]
    for _ in range(10):
        conn.execute("select recovery.touch('agent.part', %s)", (keys,))
        advance(conn, "9 min")
        calls.run(conn, calls.closing.sweep())
    assert stores.read(conn) == before
