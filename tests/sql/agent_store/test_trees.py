"""Rows 8, 20, 32: whole trees of sessions, deepest first; links; order; nobody else's rows."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from sql.agent_store.store import START, Store, crash, data, rows, told
from sql.jobs import Connection, boot, events, last_event, shutdown, write_as


def tree(store: Store, depth: int) -> None:
    """ses_1 waits for a task in ses_2, that one for ses_3, and so on."""
    for n in range(1, depth + 1):
        if n > 1:
            store.session(f"ses_{n}", f"ses_{n - 1}")
        store.message(f"msg_{n}", f"ses_{n}")
        child = {"metadata": {"sessionId": f"ses_{n + 1}"}} if n < depth else {}
        store.tool(f"prt_{n}", f"msg_{n}", f"ses_{n}", tool="task" if child else "bash", **child)


@pytest.mark.parametrize("depth", [2, 5])
def test_row_20_the_deepest_session_is_told_first(
    conn: Connection, store: Store, depth: int
) -> None:
    tree(store, depth)
    seen = last_event(conn)
    crash(conn)
    order = list(dict.fromkeys(event["group_key"] for event in events(conn, seen)))
    assert order == [f"ses_{n}" for n in range(depth, 0, -1)]


def test_row_29_the_events_of_each_session_are_in_order(conn: Connection, store: Store) -> None:
    tree(store, 2)
    seen = last_event(conn)
    crash(conn)
    for n in (1, 2):
        mine = [e["topic"] for e in events(conn, seen) if e["group_key"] == f"ses_{n}"]
        assert mine == [
            "message.part.updated",
            "message.updated",
            "session.error",
            "session.status",
            "session.idle",
        ]


def test_row_20_a_tree_closes_in_one_transaction(
    conn: Connection, store: Store, connect: Callable[..., Connection]
) -> None:
    tree(store, 5)
    seen, listener = last_event(conn), connect()
    listener.execute("listen recovery")
    write_as(conn, None)
    boot(conn, "agent", batch=1)
    listener.execute("notify recovery, 'end'")  # each commit has sent one before
    *told_at_commit, end = listener.notifies(timeout=10, stop_after=2)
    assert [json.loads(note.payload)["from"] for note in told_at_commit] == [seen + 1]
    assert end.payload == "end"


def test_row_20_a_cycle_of_parents_closes_too(conn: Connection, store: Store) -> None:
    tree(store, 3)
    conn.execute("update agent.session set parent_id = 'ses_3' where id = 'ses_1'")
    crash(conn)
    assert {row["data"]["state"]["status"] for row in rows(conn, "part").values()} == {"error"}


def link(conn: Connection, part: str) -> str | None:
    metadata = data(conn, "part", part)["state"]["metadata"]
    assert metadata["interrupted"] is True
    found = metadata.get("sessionId")
    return None if found is None else str(found)


def test_row_20_a_link_that_is_there_stays(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.tool("prt_1", tool="task", metadata={"sessionId": "ses_x", "model": "m"})
    store.session("ses_2", "ses_1")
    crash(conn)
    assert data(conn, "part", "prt_1")["state"]["metadata"] == {
        "sessionId": "ses_x",
        "model": "m",
        "interrupted": True,
    }


def test_row_20_a_missing_link_is_found_by_parent_id(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.session("ses_before", "ses_1")
    store.tool("prt_1", tool="task")
    store.session("ses_child", "ses_1")
    crash(conn)
    assert link(conn, "prt_1") == "ses_child"


def test_row_20_parallel_tasks_are_told_apart_by_title(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.tool("prt_1", tool="task", input={"description": "search"})
    store.tool("prt_2", tool="task", input={"description": "write"})
    store.session("ses_w", "ses_1", title="write (@general subagent)")
    store.session("ses_s", "ses_1", title="search (@general subagent)")
    crash(conn)
    assert (link(conn, "prt_1"), link(conn, "prt_2")) == ("ses_s", "ses_w")


def test_row_20_parallel_tasks_of_one_title_by_order(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    for n in (1, 2, 3):
        store.tool(f"prt_{n}", tool="task", input={"description": "same"})
    for n in (1, 2):
        store.session(f"ses_c{n}", "ses_1", title="same (@general subagent)")
    crash(conn)
    assert [link(conn, f"prt_{n}") for n in (1, 2, 3)] == ["ses_c1", "ses_c2", None]


def test_row_20_no_child_no_link(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.tool("prt_1", tool="task")
    store.tool("prt_2", tool="bash")
    store.session("ses_other")
    crash(conn)
    assert link(conn, "prt_1") is None
    assert link(conn, "prt_2") is None


def test_row_32_order_is_time_then_id_in_the_c_collation(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    for id_, at in (("prt_b", 10), ("prt_B", 10), ("prt_a", 11), ("prt_z", 9)):
        store.tool(id_, at=START + at)
    seen = last_event(conn)
    crash(conn)
    parts = [key for topic, key in told(conn, seen) if topic == "message.part.updated"]
    assert parts == ["prt_z", "prt_B", "prt_b", "prt_a"]


def test_p02_row_08_a_session_of_a_live_server_is_left_alone(
    conn: Connection, store: Store
) -> None:
    other = Store(conn, boot(conn, "other").epoch)
    other.session("ses_o")
    other.message("msg_o", "ses_o")
    other.tool("prt_o", "msg_o", "ses_o")
    store.message("msg_1")
    before = rows(conn, "message")["msg_o"], rows(conn, "part")["prt_o"]
    crash(conn)
    assert (rows(conn, "message")["msg_o"], rows(conn, "part")["prt_o"]) == before


def test_a_session_is_idle_only_when_nothing_in_it_is_open(conn: Connection, store: Store) -> None:
    other = Store(conn, boot(conn, "other").epoch)
    store.message("msg_1")
    other.message("msg_2", "ses_1")
    seen = last_event(conn)
    crash(conn)
    assert told(conn, seen) == [("message.updated", "msg_1"), ("session.error", "ses_1")]
    seen = last_event(conn)
    shutdown(conn, other.epoch or 0)
    assert told(conn, seen) == [
        ("message.updated", "msg_2"),
        ("session.error", "ses_1"),
        ("session.status", "ses_1"),
        ("session.idle", "ses_1"),
    ]


def test_a_parent_is_not_idle_because_its_child_was_closed(conn: Connection, store: Store) -> None:
    """A dead server's child session under a parent that a live server still runs."""
    other = Store(conn, boot(conn, "other").epoch)
    store.message("msg_1")
    store.tool("prt_1", tool="task", metadata={"sessionId": "ses_2"})
    other.session("ses_2", "ses_1")
    other.message("msg_2", "ses_2")
    seen = last_event(conn)
    shutdown(conn, other.epoch or 0)
    assert {event["group_key"] for event in events(conn, seen)} == {"ses_2"}


@pytest.mark.parametrize("batch", [1, 3, 2000])
def test_many_sessions_in_any_batches(conn: Connection, store: Store, batch: int) -> None:
    for n in range(10, 30):
        store.session(f"ses_{n}")
        store.message(f"msg_{n}", f"ses_{n}")
        for part in "ab":
            store.tool(f"prt_{n}{part}", f"msg_{n}", f"ses_{n}")
    write_as(conn, None)
    assert boot(conn, "agent", batch=batch).closed == {"agent.part": 40, "agent.message": 20}
    topics = [event["topic"] for event in events(conn)]
    assert topics.count("session.idle") == topics.count("session.error") == 20
