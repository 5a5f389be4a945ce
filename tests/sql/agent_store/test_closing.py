"""Rows 1-6, 23, 25, 26, 33 of the behaviours: what a closing writes, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from sql.agent_store.store import START, Store, crash, data, rows, told
from sql.jobs import Connection, events, failures, last_event, sweep, value

ERROR = "Tool execution was interrupted (server restart)"


def test_row_02_a_running_tool_keeps_what_it_had(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.tool("prt_1", title="ls", metadata={"output": "a\n"}, raw="{")
    crash(conn)
    state = data(conn, "part", "prt_1")["state"]
    end = state["time"].pop("end")
    assert state == {
        "status": "error",
        "error": ERROR,
        "input": {"command": "ls"},
        "title": "ls",
        "raw": "{",
        "metadata": {
            "output": f"a\n\n\n<shell_metadata>\n{ERROR}\n</shell_metadata>",
            "interrupted": True,
        },
        "time": {"start": START},
    }
    assert end == rows(conn, "part")["prt_1"]["time_updated"]


def test_row_02_a_pending_tool_has_begun_now(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.part(
        "prt_1", type="tool", tool="bash", state={"status": "pending", "input": {}, "raw": ""}
    )
    crash(conn)
    state = data(conn, "part", "prt_1")["state"]
    assert state["status"] == "error"
    assert state["time"]["start"] == state["time"]["end"] > START
    assert (state["input"], state["raw"]) == ({}, "")


@pytest.mark.parametrize("kind", ["text", "reasoning"])
def test_row_03_open_text_ends_now(conn: Connection, store: Store, kind: str) -> None:
    store.message("msg_1")
    store.text("prt_1", type=kind)
    crash(conn)
    part = data(conn, "part", "prt_1")
    assert part["text"] == "so far"
    assert part["time"] == {"start": START, "end": rows(conn, "part")["prt_1"]["time_updated"]}


def test_row_04_the_message_is_aborted_and_nothing_is_invented(
    conn: Connection, store: Store
) -> None:
    store.message("msg_1", cost=0, tokens={"input": 3})
    before = data(conn, "message", "msg_1")
    crash(conn)
    after = data(conn, "message", "msg_1")
    error = after.pop("error")
    assert error["name"] == "MessageAbortedError"
    assert "server restart" in error["data"]["message"]
    assert after["time"].pop("completed") > START
    assert after == before
    assert [row["id"] for row in rows(conn, "part").values()] == []


def test_row_04_an_error_that_is_there_stays(conn: Connection, store: Store) -> None:
    error = {"name": "APIError", "data": {"message": "overloaded"}}
    store.message("msg_1", error=error)
    crash(conn)
    after = data(conn, "message", "msg_1")
    assert after["error"] == error
    assert after["time"]["completed"] > START


def test_row_05_a_scaffold_without_parts(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    seen = last_event(conn)
    crash(conn)
    assert told(conn, seen) == [
        ("message.updated", "msg_1"),
        ("session.error", "ses_1"),
        ("session.status", "ses_1"),
        ("session.idle", "ses_1"),
    ]


def test_row_06_a_stuck_tool_under_a_completed_message(conn: Connection, store: Store) -> None:
    store.message("msg_1", time={"created": START, "completed": START + 5}, finish="stop")
    store.tool("prt_1")
    before = rows(conn, "message")
    crash(conn)
    assert data(conn, "part", "prt_1")["state"]["error"] == ERROR
    assert rows(conn, "message") == before


def test_row_06_finished_tools_under_an_incomplete_message(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.tool("prt_1", status="completed", output="x", time={"start": START, "end": START + 1})
    store.tool("prt_2", status="error", error="no", time={"start": START, "end": START + 1})
    before = rows(conn, "part")
    crash(conn)
    assert rows(conn, "part") == before
    assert data(conn, "message", "msg_1")["error"]["name"] == "MessageAbortedError"


def test_open_text_under_a_completed_message_is_left_and_let_go(
    conn: Connection, store: Store
) -> None:
    store.message("msg_1", time={"created": START, "completed": START + 5}, finish="stop")
    store.text("prt_1")
    before, seen = rows(conn, "part"), last_event(conn)
    crash(conn)
    assert rows(conn, "part") == before
    assert told(conn, seen) == []
    assert value(conn, "select server_epoch from agent.part where id = 'prt_1'") is None
    assert value(conn, "select sum(open_rows) from recovery.watch_status") == 0


def test_open_text_under_a_message_that_the_user_aborted_is_closed(
    conn: Connection, store: Store
) -> None:
    aborted = {"name": "MessageAbortedError", "data": {"message": "aborted"}}
    store.message("msg_1", time={"created": START, "completed": START + 5}, error=aborted)
    store.text("prt_1")
    crash(conn)
    assert data(conn, "part", "prt_1")["time"]["end"] > START


def test_row_23_a_session_that_was_being_compacted(conn: Connection, store: Store) -> None:
    store.session("ses_2", time_compacting=START)
    seen = last_event(conn)
    crash(conn)
    assert rows(conn, "session")["ses_2"]["time_compacting"] is None
    assert told(conn, seen) == [
        ("session.updated", "ses_2"),
        ("session.error", "ses_2"),
        ("session.status", "ses_2"),
        ("session.idle", "ses_2"),
    ]


def test_row_23_a_summary_in_flight(conn: Connection, store: Store) -> None:
    store.message("msg_1", summary=True, mode="compaction")
    crash(conn)
    after = data(conn, "message", "msg_1")
    assert (after["summary"], "finish" in after) == (True, False)
    assert after["error"]["name"] == "MessageAbortedError"


def test_row_25_revert_snapshots_and_finished_parts_stay(conn: Connection, store: Store) -> None:
    store.session("ses_2", revert='{"messageID":"msg_9", "diff": ""}', summary_diffs="[]")
    store.message("msg_1")
    store.part("prt_1", type="snapshot", snapshot="9f")
    store.part("prt_2", type="patch", hash="9f", files=["a"])
    store.part("prt_3", type="step-start")
    store.text("prt_4", time={"start": START, "end": START + 1})
    before = rows(conn, "part"), rows(conn, "session")
    crash(conn)
    assert (rows(conn, "part"), rows(conn, "session")) == before


def test_row_26_queued_prompts_stay(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.message("msg_2", role="user")
    store.part("prt_2", "msg_2", type="text", text="next")
    before = rows(conn, "message")["msg_2"], rows(conn, "part")
    crash(conn)
    assert (rows(conn, "message")["msg_2"], rows(conn, "part")) == before


@pytest.mark.parametrize(
    "part",
    [
        {"type": "tool", "tool": "bash", "state": "running"},
        {"type": "tool", "tool": "bash", "state": [1]},
        {"type": "tool", "tool": "bash"},
        {"type": "text", "text": "x", "time": "soon"},
        {"type": 5},
        {},
    ],
)
def test_row_33_a_shape_that_says_nothing_is_left_alone(
    conn: Connection, store: Store, part: dict[str, Any]
) -> None:
    store.message("msg_1")
    store.part("prt_bad", **part)
    store.tool("prt_good")
    crash(conn)
    assert data(conn, "part", "prt_bad") == part
    assert data(conn, "part", "prt_good")["state"]["status"] == "error"


@pytest.mark.parametrize(
    "state",
    [
        {"metadata": "text"},
        {"metadata": None},
        {"metadata": [1]},
        {"time": None},
        {"time": "soon"},
        {"time": {"start": "x"}},
        {"time": {"start": None}},
        {"input": None},
    ],
)
def test_row_33_a_running_tool_of_another_shape_closes_too(
    conn: Connection, store: Store, state: dict[str, Any]
) -> None:
    store.message("msg_1")
    store.tool("prt_bad", **state)
    crash(conn)
    after = data(conn, "part", "prt_bad")["state"]
    assert (after["status"], after["metadata"]["interrupted"]) == ("error", True)
    assert after["time"]["end"] > START
    assert failures(conn) == {}


@pytest.mark.parametrize("time", [None, "soon", 5, [], {}, {"completed": None}])
def test_row_33_a_message_whose_time_has_another_shape(
    conn: Connection, store: Store, time: Any
) -> None:
    store.message("msg_1", time=time)
    crash(conn)
    assert data(conn, "message", "msg_1")["time"]["completed"] > START


def test_p07_row_33_a_row_that_cannot_close_stops_no_other(conn: Connection, store: Store) -> None:
    conn.execute("alter table agent.part add check (data ->> 'tool' <> 'bad' or data -> 'state' ->> 'error' is null)")  # fmt: skip
    for n in range(5):
        store.session(f"ses_x{n}")
        store.message(f"msg_x{n}", f"ses_x{n}")
        store.tool(f"prt_x{n}", f"msg_x{n}", f"ses_x{n}", tool="bad" if n == 2 else "bash")
    crash(conn)
    states = {id_: row["data"]["state"]["status"] for id_, row in rows(conn, "part").items()}
    assert [id_ for id_, status in states.items() if status != "error"] == ["prt_x2"]
    assert failures(conn) == {"prt_x2": "23514"}
    # Its session is not idle: something in it is still open.
    idle = [event["key"] for event in events(conn) if event["topic"] == "session.idle"]
    assert sorted(idle) == ["ses_x0", "ses_x1", "ses_x3", "ses_x4"]
    sweep(conn)


def test_row_04_events_show_what_changed_and_no_content(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.tool("prt_1", input={"secret": 1}, metadata={"output": "long"})
    seen = last_event(conn)
    crash(conn)
    part = events(conn, seen)[0]
    assert part["old"]["data"]["state"]["status"] == "running"
    assert part["new"]["data"]["state"]["status"] == "error"
    assert "secret" not in str(part)
    assert "long" not in str(part)


def block(words: str) -> str:
    return f"<shell_metadata>\n{words}\n</shell_metadata>"


@pytest.mark.parametrize(
    ("given", "output"),
    [
        ({"output": "a"}, f"a\n\n{block(ERROR)}"),
        ({"output": ""}, block(ERROR)),
        ({"output": block("User aborted the command")}, None),
        # Here opencode shows the model the tool's error.
        ({"output": None}, ...),
        ({"output": 5}, ...),
        ({"output": {"a": "b"}}, ...),
        ({}, ...),
        ("text", ...),
        (["output"], ...),
        (None, ...),
    ],
)
def test_row_37_the_model_is_told(conn: Connection, store: Store, given: Any, output: Any) -> None:
    store.message("msg_1")
    for tool in ("bash", "task"):
        store.tool(f"prt_{tool}", tool=tool, metadata=given)
    crash(conn)
    for tool in ("bash", "task"):
        state = data(conn, "part", f"prt_{tool}")["state"]
        kept = given if isinstance(given, dict) else {}
        if output is None:
            output = f"{given['output']}\n\n{block(ERROR)}"
        told = {} if output is ... else {"output": output}
        assert state["metadata"] == {**kept, **told, "interrupted": True}
        assert (state["status"], state["error"]) == ("error", ERROR)


def test_row_37_by_every_way_of_closing(conn: Connection, store: Store) -> None:
    store.message("msg_1")
    store.tool("prt_1", metadata={"output": "a"})
    conn.execute("select recovery.close('prt_1', 'by_hand', 'agent.part')")
    state = data(conn, "part", "prt_1")["state"]
    assert state["error"] == "Tool execution was interrupted (by hand)"
    assert state["metadata"]["output"] == f"a\n\n{block(state['error'])}"


def test_row_37_events_show_what_the_model_is_told_and_no_more(
    conn: Connection, store: Store
) -> None:
    store.message("msg_1")
    store.tool("prt_1", metadata={"output": "long " * 100_000})
    seen = last_event(conn)
    crash(conn)
    part = events(conn, seen)[0]
    assert part["new"]["data"]["state"]["metadata"]["output"] == block(ERROR)
    assert "long" not in str(part)
    assert len(str(part)) < 2000
