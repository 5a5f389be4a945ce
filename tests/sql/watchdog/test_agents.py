"""The watchdog over sessions: leaves only, humans, subagents, idle sessions."""

from __future__ import annotations

from typing import Any

import pytest

from sql.agent_store.store import Store, crash, rows
from sql.jobs import Connection, boot, events, last_event, sweep, value
from sql.watchdog.clock import advance, asked, configure, due, later, reasons


@pytest.fixture
def store(conn: Connection) -> Store:
    """The store of a live server with a root session; tool_timeout 10 min, task_timeout 1 h."""
    store = Store(conn, boot(conn, "agent").epoch)
    # Rows of now: the store's own clock starts in the past.
    store.time = int(value(conn, "select extract(epoch from clock_timestamp()) * 1000"))
    configure(conn, "tool_timeout", "10 min")
    configure(conn, "task_timeout", "1 h")
    store.session("ses_1")
    store.message("msg_1")
    return store


def task(store: Store, id_: str = "prt_task", child: str | None = "ses_2", **more: Any) -> str:
    """A subagent's task; its child session works, with or without a link."""
    metadata = {"metadata": {"sessionId": child}} if child and more.pop("link", True) else {}
    return store.tool(id_, tool="task", **metadata, **more)


def child(store: Store, session: str = "ses_2", parent: str = "ses_1") -> str:
    """A subagent's session with a message in flight."""
    store.session(session, parent=parent)
    store.message(f"msg_{session}", session=session)
    return session


def hold(
    conn: Connection, store: Store, part: str | None, kind: str = "permission", **more: Any
) -> None:
    conn.execute(
        "insert into agent.hold (id, session_id, part_id, kind, until, server_epoch) values ('hold', 'ses_1', %s, %s, %s, %s)",
        (part, kind, more.get("until"), store.epoch),
    )  # fmt: skip


def test_row_14_a_stuck_tool_cancels_its_session(conn: Connection, store: Store) -> None:
    store.tool("prt_stuck")
    store.tool("prt_other", tool="read")
    assert later(conn, "9 min")["asked"] == 0
    assert later(conn, "2 min")["asked"] == 1
    assert set(asked(conn)) == {"ses_1"}
    seen = last_event(conn)
    assert later(conn, "11 s")["closed"] == {"agent.part": 2, "agent.message": 1}
    part = rows(conn, "part")["prt_stuck"]["data"]["state"]
    assert (part["status"], part["error"]) == (
        "error",
        "Tool execution was interrupted (tool timed out)",
    )
    assert rows(conn, "message")["msg_1"]["data"]["error"]["name"] == "MessageAbortedError"
    topics = [event["topic"] for event in events(conn, seen) if event["topic"]]
    assert topics == [*["message.part.updated"] * 2, "message.updated", "session.error",
                      "session.status", "session.idle"]  # fmt: skip
    assert set(reasons(conn).values()) == {"tool_timeout"}


def test_row_28_the_reasons_differ(conn: Connection, store: Store) -> None:
    store.tool("prt_1")
    configure(conn, "cancel_grace", "0 s")
    later(conn, "11 min")
    assert reasons(conn)["prt_1"] == "tool_timeout"
    store.message("msg_2")
    crash(conn)
    assert reasons(conn)["msg_2"] == "superseded"


@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("depth", [1, 3])
def test_row_15_a_task_waits_for_its_child(
    conn: Connection, store: Store, link: bool, depth: int
) -> None:
    """Link present or only parent_id; at any depth."""
    task(store, link=link)
    for n in range(2, depth + 2):
        child(store, f"ses_{n}", f"ses_{n - 1}")
        if n <= depth:  # its message is done; it is its own child that still works
            conn.execute("""update agent.message set data = data || '{"time": {"created": 1, "completed": 2}}'
                            where session_id = %s""", (f"ses_{n}",))  # fmt: skip
    for _ in range(5):
        advance(conn, "1 hour")
        assert due(conn) == {}


def test_row_15_failure_goes_upward(conn: Connection, store: Store) -> None:
    """The child's tool is stuck: the child closes, the parent gets its chance, then its own timeout."""
    configure(conn, "cancel_grace", "0 s")
    configure(conn, "propagation_grace", "2 min")
    task(store)
    child(store)
    store.tool("prt_child", message="msg_ses_2", session="ses_2")
    assert later(conn, "11 min")["closed"] == {"agent.part": 1, "agent.message": 1}
    assert rows(conn, "part")["prt_task"]["data"]["state"]["status"] == "running"
    assert later(conn, "40 min")["closed"] == {}  # its hour is not over
    assert later(conn, "10 min")["closed"] == {"agent.part": 1, "agent.message": 1}
    assert reasons(conn)["prt_task"] == "task_timeout"


def test_a_parent_whose_hour_is_over_still_sees_the_error(conn: Connection, store: Store) -> None:
    configure(conn, "cancel_grace", "0 s")
    configure(conn, "propagation_grace", "2 min")
    task(store)
    child(store)
    for _ in range(8):
        later(conn, "10 min")
    conn.execute("""update agent.message set data = data || '{"time": {"created": 1, "completed": 2}}'
                    where session_id = 'ses_2'""")  # fmt: skip
    assert later(conn, "1 min")["closed"] == {}
    assert later(conn, "3 min")["closed"] == {"agent.part": 1, "agent.message": 1}
    assert reasons(conn)["prt_task"] == "task_timeout"


def test_the_parent_may_book_the_result_itself(conn: Connection, store: Store) -> None:
    configure(conn, "cancel_grace", "0 s")
    task(store)
    child(store)
    store.tool("prt_child", message="msg_ses_2", session="ses_2")
    later(conn, "11 min")
    conn.execute(
        """update agent.part set data = jsonb_set(data, '{state,status}', '"error"') where id = 'prt_task'"""
    )
    conn.execute(
        """update agent.message set data = data || '{"time": {"created": 1, "completed": 2}}' where id = 'msg_1'"""
    )
    assert later(conn, "5 hours")["closed"] == {}


def test_row_20_cancelling_cascades_to_children(conn: Connection, store: Store) -> None:
    configure(conn, "wall_timeout", "2 h")
    configure(conn, "cancel_grace", "0 s")
    task(store, link=False)
    child(store)
    child(store, "ses_3", "ses_2")
    later(conn, "2 h 1 min")
    assert {key for key, reason in reasons(conn).items() if reason == "wall_timeout"} == {
        "prt_task", "msg_1", "msg_ses_2", "msg_ses_3"}  # fmt: skip
    state = rows(conn, "part")["prt_task"]["data"]["state"]
    assert state["metadata"] == {"sessionId": "ses_2", "interrupted": True}


@pytest.mark.parametrize("kind", ["permission", "question"])
@pytest.mark.parametrize("part", ["prt_1", None])
def test_row_18_waiting_for_a_human_stops_the_clock(
    conn: Connection, store: Store, kind: str, part: str | None
) -> None:
    store.tool("prt_1")
    hold(conn, store, part, kind)
    configure(conn, "idle_timeout", "1 h")
    configure(conn, "idle_roots", "true")
    advance(conn, "1 day")
    assert due(conn) == {}
    conn.execute("update agent.hold set time_ended = extract(epoch from recovery._now()) * 1000")
    assert due(conn) == {}
    advance(conn, "9 min")
    assert due(conn) == {}
    advance(conn, "2 min")
    assert due(conn) == {"ses_1": "tool_timeout"}


def test_row_18_another_tool_beside_it_may_be_stuck(conn: Connection, store: Store) -> None:
    store.tool("prt_1")
    store.tool("prt_2")
    hold(conn, store, "prt_1")
    advance(conn, "11 min")
    assert due(conn) == {"ses_1": "tool_timeout"}


def test_row_18_a_hold_is_durable_and_ends_with_its_owner(conn: Connection, store: Store) -> None:
    store.tool("prt_1")
    hold(conn, store, "prt_1")
    crash(conn)
    assert value(conn, "select time_ended from agent.hold") is not None
    assert reasons(conn) == dict.fromkeys(["hold", "prt_1", "msg_1"], "superseded")


def test_row_19_a_retry_is_exempt_until_its_next(conn: Connection, store: Store) -> None:
    configure(conn, "idle_timeout", "5 min")
    configure(conn, "idle_roots", "true")
    until = int(value(conn, "select extract(epoch from clock_timestamp() + interval '1 h') * 1000"))
    hold(conn, store, None, "retry", until=until)
    advance(conn, "59 min")
    assert due(conn) == {}
    advance(conn, "5 min")
    assert due(conn) == {}
    advance(conn, "2 min")
    assert due(conn) == {"ses_1": "idle_timeout"}


def test_a_hold_is_shown_as_waiting(conn: Connection, store: Store) -> None:
    store.tool("prt_1")
    assert value(conn, "select sum(waiting) from recovery.watch_status") == 0
    hold(conn, store, "prt_1")
    assert dict(conn.execute("select watch, waiting from recovery.watch_status").fetchall()) == {
        "agent.hold": 0, "agent.part": 1, "agent.message": 1, "agent.session": 0,
        "agent.session_message": 0}  # fmt: skip


def test_row_16_idle_child_sessions(conn: Connection, store: Store) -> None:
    task(store)
    child(store)
    configure(conn, "idle_timeout", "5 min")
    configure(conn, "cancel_grace", "0 s")
    assert later(conn, "4 min")["closed"] == {}
    assert later(conn, "2 min")["closed"] == {"agent.message": 1}
    assert reasons(conn) == {"msg_ses_2": "idle_timeout"}
    assert (
        value(conn, "select new ->> 'message' from recovery.event where topic = 'session.error'")
        == "no activity"
    )


def test_row_16_roots_only_if_asked(conn: Connection, store: Store) -> None:
    configure(conn, "idle_timeout", "5 min")
    advance(conn, "1 hour")
    assert due(conn) == {}
    configure(conn, "idle_roots", "true")
    assert due(conn) == {"ses_1": "idle_timeout"}


def test_row_17_streaming_touches_and_parts_keep_a_session_busy(
    conn: Connection, store: Store
) -> None:
    configure(conn, "idle_timeout", "5 min")
    configure(conn, "idle_roots", "true")
    advance(conn, "4 min")
    store.time = int(value(conn, "select extract(epoch from recovery._now()) * 1000"))
    store.text("prt_text")
    advance(conn, "4 min")
    assert due(conn) == {}
    conn.execute("select recovery.touch('agent.session', '{ses_1}', 'group')")
    advance(conn, "4 min")
    assert due(conn) == {}
    advance(conn, "2 min")
    assert due(conn) == {"ses_1": "idle_timeout"}


def test_a_session_may_have_its_own_timeout(conn: Connection, store: Store) -> None:
    store.tool("prt_1")
    store.session("ses_9")
    store.message("msg_9", session="ses_9")
    store.tool("prt_9", message="msg_9", session="ses_9")
    configure(conn, "tool_timeout", "1 h", group="ses_9")
    advance(conn, "11 min")
    assert due(conn) == {"ses_1": "tool_timeout"}
    advance(conn, "50 min")
    assert due(conn) == {"ses_1": "tool_timeout", "ses_9": "tool_timeout"}


def test_row_21_a_finished_childs_result_is_kept(conn: Connection, store: Store) -> None:
    task(store)
    child(store)
    store.text(
        "prt_said",
        message="msg_ses_2",
        session="ses_2",
        text="the answer is 42",
        time={"start": 1, "end": 2},
    )
    conn.execute("""update agent.message set data = data || '{"time": {"created": 1, "completed": 2}}'
                    where session_id = 'ses_2'""")  # fmt: skip
    crash(conn)
    metadata = rows(conn, "part")["prt_task"]["data"]["state"]["metadata"]
    told = "<shell_metadata>\nTool execution was interrupted (server restart)\n</shell_metadata>"
    assert metadata == {
        "sessionId": "ses_2",
        "output": f"the answer is 42\n\n{told}",
        "interrupted": True,
    }


def test_row_21_a_child_that_was_interrupted_too_has_none(conn: Connection, store: Store) -> None:
    task(store)
    child(store)
    store.text("prt_said", message="msg_ses_2", session="ses_2", text="I am about")
    crash(conn)
    metadata = rows(conn, "part")["prt_task"]["data"]["state"]["metadata"]
    assert metadata == {"sessionId": "ses_2", "interrupted": True}


def test_row_22_a_background_job_without_a_running_part(conn: Connection, store: Store) -> None:
    """Its task part is done, its session goes on: found by idling while its owner lives, by boot after."""
    store.tool("prt_bg", tool="task", status="completed", metadata={"sessionId": "ses_2"})
    conn.execute(
        """update agent.message set data = data || '{"time": {"created": 1, "completed": 2}}' where id = 'msg_1'"""
    )
    child(store)
    child(store, "ses_3")
    configure(conn, "idle_timeout", "5 min")
    advance(conn, "4 min")
    conn.execute("select recovery.touch('agent.session', '{ses_3}', 'group')")
    advance(conn, "2 min")
    assert due(conn) == {"ses_2": "idle_timeout"}
    crash(conn)
    closed = {key for key, reason in reasons(conn).items() if reason == "superseded"}
    assert closed == {"msg_ses_2", "msg_ses_3"}


def test_row_23_a_dangling_compaction_is_settled(conn: Connection, store: Store) -> None:
    conn.execute(
        "update agent.session set time_compacting = time_created, server_epoch = %s where id = 'ses_1'",
        (store.epoch,),
    )
    store.message("msg_user", role="user", time={"created": 1})
    store.part("prt_compact", "msg_user", type="compaction", auto=True)
    store.message("msg_sum", summary=True, mode="compaction", parentID="msg_user")
    before = rows(conn, "part")
    crash(conn)
    assert rows(conn, "session")["ses_1"]["time_compacting"] is None
    summary = rows(conn, "message")["msg_sum"]["data"]
    assert summary["error"]["name"] == "MessageAbortedError"
    assert "finish" not in summary
    assert rows(conn, "part") == before
    assert value(conn, "select count(*) from agent.runnable where message_id = 'msg_user'") == 0


def test_row_23_a_compaction_that_never_ends_has_a_cap(conn: Connection, store: Store) -> None:
    conn.execute(
        'update agent.message set data = data || \'{"time": {"created": 1, "completed": 2}}\''
    )
    conn.execute("update agent.session set time_compacting = time_created where id = 'ses_1'")
    configure(conn, "wall_timeout", "1 h")
    advance(conn, "2 h")
    assert due(conn) == {"ses_1": "wall_timeout"}


def test_row_24_an_interrupted_subtask_is_not_run_again(conn: Connection, store: Store) -> None:
    for id_, answer in (("msg_u1", "msg_a1"), ("msg_u2", None)):
        store.message(id_, role="user", time={"created": 1})
        store.part(f"prt_{id_}", id_, type="subtask", prompt="look", agent="general")
        if answer:
            store.message(answer, parentID=id_)
    crash(conn)
    assert conn.execute("select message_id, kind from agent.runnable").fetchall() == [
        ("msg_u2", "subtask")
    ]


def test_row_26_queued_prompts_stay_runnable(conn: Connection, store: Store) -> None:
    store.message("msg_q", role="user", time={"created": 1})
    before = rows(conn, "message")["msg_q"]
    crash(conn)
    assert rows(conn, "message")["msg_q"] == before
    assert conn.execute("select message_id, kind from agent.runnable").fetchall() == [
        ("msg_q", "prompt")
    ]


def test_row_27_tools_are_never_replayed(conn: Connection, store: Store) -> None:
    store.tool("prt_1")
    configure(conn, "cancel_grace", "0 s")
    later(conn, "11 min")
    crash(conn)
    assert rows(conn, "part")["prt_1"]["data"]["state"]["status"] == "error"
    assert reasons(conn, "requeued") == {}
    assert (
        value(
            conn,
            "select count(*) from recovery.watch where family = 'agent' and requeue is not null",
        )
        == 0
    )


def test_row_35_the_stop_is_told_once_it_is_true(conn: Connection, store: Store) -> None:
    """The events of the closing are in its transaction, and the request comes before."""
    store.tool("prt_1")
    seen = last_event(conn)
    later(conn, "11 min")
    sweep(conn)
    later(conn, "11 s")
    kinds = [event["kind"] for event in events(conn, seen)]
    assert kinds == ["cancel", "closed", "closed", "failed", "idle", "idle"]
    assert due(conn) == {}


def test_an_acknowledgement_does_not_close_what_began_since(conn: Connection, store: Store) -> None:
    """The owner ended the turn by itself, and the session is at its next one."""
    store.tool("prt_1")
    later(conn, "11 min")
    number = asked(conn)["ses_1"]
    conn.execute("update agent.part set data = jsonb_set(data, '{state,status}', '\"error\"')")
    conn.execute(
        """update agent.message set data = data || '{"time": {"created": 1, "completed": 2}}'"""
    )
    store.time = int(value(conn, "select extract(epoch from recovery._now()) * 1000"))
    store.message("msg_next")
    token = value(conn, "select token from recovery.server where epoch = %s", store.epoch)
    ack = "select recovery.acknowledge_cancellation(%s, %s, %s)"
    assert value(conn, ack, number, store.epoch, token) == {}
    assert rows(conn, "message")["msg_next"]["data"]["time"].get("completed") is None


def test_what_is_due_no_more_is_withdrawn_at_the_next_sweep(conn: Connection, store: Store) -> None:
    store.tool("prt_1")
    later(conn, "11 min")
    conn.execute("update agent.part set data = jsonb_set(data, '{state,status}', '\"error\"')")
    sweep(conn)
    assert asked(conn) == {}
