"""Row 38 of the behaviours: what a closing makes of opencode 2's messages, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from sql.agent_store.store import START, Store, crash, data, rows, told
from sql.jobs import Connection, events, failures, last_event

DONE = {"created": START, "completed": START + 5}
INTERRUPTED = {"type": "unknown", "message": "Tool execution interrupted"}


def tool(id_: str, status: str = "running", **state: Any) -> dict[str, Any]:
    """An entry of a turn's content."""
    state = {
        "status": status,
        "input": {"command": "ls"},
        "structured": {},
        "content": [],
        **state,
    }
    return {"type": "tool", "id": id_, "name": "bash", "state": state, "time": {"created": START}}


@pytest.mark.parametrize("status", ["pending", "running", "streaming"])
def test_row_38_an_open_tool_and_its_turn_get_opencode_2s_own_shape(
    conn: Connection, store: Store, status: str
) -> None:
    store.turn("msg_1", {"type": "text", "id": "t", "text": "I will."}, tool("call_1", status))
    before = data(conn, "session_message", "msg_1")
    crash(conn)
    row = rows(conn, "session_message")["msg_1"]
    end = row["time_updated"]
    assert row["data"] == {
        **before,
        "content": [
            before["content"][0],
            {
                **before["content"][1],
                "state": {
                    "status": "error",
                    "input": {"command": "ls"},
                    "content": [],
                    "structured": {},
                    "error": INTERRUPTED,
                },
                "time": {"created": START, "completed": end},
            },
        ],
        "time": {**before["time"], "completed": end},
    }


@pytest.mark.parametrize("given", ['{"comm', "", None, [1]])
def test_row_38_arguments_that_were_still_arriving(
    conn: Connection, store: Store, given: Any
) -> None:
    # opencode 2 wants an object there, and puts an empty one itself.
    store.turn("msg_1", tool("call_1", "pending", input=given))
    crash(conn)
    state = data(conn, "session_message", "msg_1")["content"][0]["state"]
    assert (state["input"], state["error"]) == ({}, INTERRUPTED)


def test_row_38_what_a_tool_had_shown_stays(conn: Connection, store: Store) -> None:
    shown = {"content": [{"type": "text", "text": "a"}], "structured": {"n": None}}
    store.turn("msg_1", tool("call_1", **shown))
    crash(conn)
    state = data(conn, "session_message", "msg_1")["content"][0]["state"]
    assert {name: state[name] for name in shown} == shown


def test_row_38_tools_that_ended_stay_and_so_does_text(conn: Connection, store: Store) -> None:
    content = [
        tool("call_1", "completed", outputPaths=[], nothing=None),
        tool("call_2", "error", error={"type": "unknown", "message": "no"}),
        {"type": "reasoning", "id": "r", "text": "", "time": {"created": START}},
        {"type": "text", "id": "t", "text": ""},
    ]
    store.turn("msg_1", *content)
    crash(conn)
    after = data(conn, "session_message", "msg_1")
    assert after["content"] == content
    assert after["time"]["completed"] > START
    assert "error" not in after
    assert "finish" not in after


def test_row_38_an_empty_turn(conn: Connection, store: Store) -> None:
    store.turn("msg_1")
    seen = last_event(conn)
    crash(conn)
    after = data(conn, "session_message", "msg_1")
    assert after["content"] == []
    assert after["time"]["completed"] > START
    assert told(conn, seen) == [
        ("session.message.updated", "msg_1"),
        ("session.error", "ses_1"),
        ("session.status", "ses_1"),
        ("session.idle", "ses_1"),
    ]


def test_row_38_a_stuck_tool_under_a_completed_turn(conn: Connection, store: Store) -> None:
    store.turn("msg_1", tool("call_1"), time=DONE, finish="stop")
    crash(conn)
    after = data(conn, "session_message", "msg_1")
    assert after["content"][0]["state"]["error"] == INTERRUPTED
    assert (after["time"], after["finish"]) == (DONE, "stop")


def test_row_38_a_shell_in_flight_says_why_it_ended(conn: Connection, store: Store) -> None:
    # opencode 2 shows its output to the model, as that of a command that ended.
    store.turn("msg_1", type="shell", callID="c", command="make", output="")
    store.turn("msg_2", type="shell", callID="d", command="ls", output="a", time=DONE)
    before = rows(conn, "session_message")
    crash(conn)
    after = rows(conn, "session_message")
    words = "Tool execution was interrupted (server restart)"
    assert after["msg_1"]["data"]["output"] == f"<shell_metadata>\n{words}\n</shell_metadata>"
    assert after["msg_1"]["data"]["time"]["completed"] == after["msg_1"]["time_updated"]
    assert after["msg_2"] == before["msg_2"]


@pytest.mark.parametrize(
    "kind", ["user", "synthetic", "system", "compaction", "agent-switched", "of tomorrow"]
)
def test_row_38_what_is_no_turn_stays(conn: Connection, store: Store, kind: str) -> None:
    store.turn("msg_1", type=kind, text="x", content=[tool("call_1")])
    before, seen = rows(conn, "session_message"), last_event(conn)
    crash(conn)
    assert rows(conn, "session_message") == before
    assert told(conn, seen) == []


@pytest.mark.parametrize(
    "content",
    [
        None,
        "text",
        {"type": "tool", "state": {"status": "running"}},
        [5, None, "x", ["running"], {"type": "tool"}, {"type": "tool", "state": "running"}],
    ],
)
def test_rows_33_38_content_of_another_shape(conn: Connection, store: Store, content: Any) -> None:
    store.turn("msg_1", content=content)
    store.turn("msg_2", content=content, time=DONE)
    before = rows(conn, "session_message")["msg_2"]
    crash(conn)
    after = data(conn, "session_message", "msg_1")
    assert after["content"] == content
    assert after["time"]["completed"] > START
    assert rows(conn, "session_message")["msg_2"] == before
    assert failures(conn) == {}


@pytest.mark.parametrize("state", [{"time": None}, {"time": "soon"}, {"time": {"completed": None}}])
def test_rows_33_38_a_turn_whose_time_has_another_shape(
    conn: Connection, store: Store, state: dict[str, Any]
) -> None:
    store.turn("msg_1", tool("call_1") | state, **state)
    crash(conn)
    after = data(conn, "session_message", "msg_1")
    assert after["time"]["completed"] == after["content"][0]["time"]["completed"] > START


def test_row_38_events_follow_the_place_in_the_session_and_show_no_content(
    conn: Connection, store: Store
) -> None:
    for id_ in ("msg_b", "msg_B", "msg_a"):
        store.turn(id_, tool("call_1", input={"secret": 1}), {"type": "text", "text": "long"})
    seen = last_event(conn)
    crash(conn)
    mine = [e for e in events(conn, seen) if e["topic"] == "session.message.updated"]
    assert [e["key"] for e in mine] == ["msg_b", "msg_B", "msg_a"]
    for kind, status in (("old", "running"), ("new", "error")):
        assert mine[0][kind]["data"]["tools"] == [{"id": "call_1", "status": status}]
    assert "secret" not in str(mine)
    assert "long" not in str(mine)


def test_rows_26_38_prompts_that_nobody_has_begun_to_answer_wait(
    conn: Connection, store: Store
) -> None:
    conn.execute(
        "insert into agent.session_input (id, session_id, prompt, promoted_seq, time_created)"
        " values ('msg_3', 'ses_1', '{}', null, 3), ('msg_0', 'ses_1', '{}', 1, 1)"
    )
    store.turn("msg_0", type="user", text="answered")
    store.turn("msg_1", tool("call_1"))
    store.turn("msg_2", type="user", text="promoted, not begun")
    before = conn.execute("select * from agent.session_input").fetchall()
    crash(conn)
    assert conn.execute("select * from agent.session_input").fetchall() == before
    waiting = conn.execute("select message_id, kind from agent.runnable order by 1").fetchall()
    assert waiting == [("msg_2", "prompt"), ("msg_3", "prompt")]
