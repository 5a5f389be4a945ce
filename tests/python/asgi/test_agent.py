"""The agent store in opencode's shape, beside what opencode itself has sent."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

import recovery
from agent_store import stores, turns
from python.asgi.clients import Curl, Frame
from python.asgi.conftest import Serve
from recovery import calls, opencode
from recovery.asgi import Hub, anyone
from sql.jobs import value

Connection = psycopg.Connection[Any]

CAPTURES = sorted((stores.FOLDER / "sse").glob("*.jsonl"))
OPEN_ANYWAY = "a session"


def captured(path: Path) -> Iterator[dict[str, Any]]:
    """The frames of a capture, without when they came."""
    for line in path.read_text().splitlines():
        if (event := json.loads(line).get("event")) is not None:
            yield event


def newest(conn: Connection) -> int:
    return int(value(conn, "select coalesce(max(id), 0) from recovery.event"))


def write(conn: Connection, epoch: int, frame: dict[str, Any]) -> None:
    """Writes what a frame of opencode says into the store, as an agent server would."""
    properties = dict(frame["properties"])
    session = properties["sessionID"]
    if frame["type"] == "message.updated":
        data = dict(properties["info"])
        row = (data.pop("id"), data.pop("sessionID"), data["time"]["created"])
        conn.execute(
            "insert into agent.message (id, session_id, time_created, time_updated, data, server_epoch)"
            " values (%s, %s, %s, %s, %s, %s) on conflict (id) do update set data = excluded.data",
            [*row, row[2], Jsonb(data), epoch],
        )
    else:
        data = dict(properties["part"])
        ids = (data.pop("id"), data.pop("messageID"), data.pop("sessionID"))
        conn.execute(
            "insert into agent.part"
            " (id, message_id, session_id, time_created, time_updated, data, server_epoch)"
            " values (%s, %s, %s, %s, %s, %s, %s) on conflict (id) do update"
            " set data = excluded.data, time_updated = excluded.time_updated",
            [*ids, properties["time"], properties["time"], Jsonb(data), epoch],
        )
    assert session == (row[1] if frame["type"] == "message.updated" else ids[2])


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_a_run_gives_the_frames_that_opencode_sent(
    dsn: str, conn: Connection, serve: Serve, path: Path
) -> None:
    """Those of transitions: we have no event for each token of a text."""
    epoch = calls.run(conn, calls.server.boot("opencode", lease=timedelta(seconds=60))).epoch
    url = serve(Hub(dsn).agent_events(authorize=anyone))
    with Curl(url) as curl:
        connected = curl.connected().frames[0]
        [theirs] = [f for f in captured(path) if f["type"] == "server.connected"]
        assert without_id(connected.data) == without_id(theirs)
        types: set[str] = set()
        for frame in captured(path):
            session = frame["properties"].get("sessionID")
            if session is not None:
                conn.execute(
                    "insert into agent.session (id, time_created, time_updated) values (%s, 0, 0)"
                    " on conflict do nothing",
                    [session],
                )
            if frame["type"] not in ("message.updated", "message.part.updated"):
                continue
            before, count = newest(conn), len(curl.rows)
            write(conn, epoch, frame)
            if newest(conn) == before:
                continue  # a prompt, a step, or more of what is open anyway
            got = curl.wait_rows(count + 1)[count].data
            assert without_id(got) == without_id(frame)
            assert set(got) == set(frame)
            assert got["id"].startswith("evt_")
            types.add(got["properties"].get("part", {}).get("type", got["type"]))
        assert types >= {"message.updated", "text", "tool"}
        assert len({f.data["id"] for f in curl.frames}) == len(curl.frames)


def without_id(frame: dict[str, Any]) -> dict[str, Any]:
    return {name: what for name, what in frame.items() if name != "id"}


def shape(value_: Any) -> Any:
    """What it is made of."""
    if isinstance(value_, dict):
        return {name: shape(each) for name, each in value_.items()}
    return type(value_).__name__


@pytest.mark.parametrize(
    "case", ["task-subagent", "parallel-tools", "pending-tool", "streaming-text"]
)
def test_a_crash_ends_every_spinner(dsn: str, conn: Connection, serve: Serve, case: str) -> None:
    """Row 29, and the order that BEHAVIOURS asks for: parts, message, error, status, idle."""
    store, expect = stores.load(case)
    opencode.load_store(conn, store)
    url = serve(Hub(dsn).agent_events(authorize=anyone))
    messages, parts = stores.orphan_ids(expect)
    with Curl(url) as curl:
        curl.connected()
        calls.run(conn, calls.server.boot("opencode", lease=timedelta(seconds=15)))
        sessions = {f.data["properties"]["sessionID"] for f in _idle(curl, messages, store)}
        curl.wait(lambda: len(_types(curl, "session.idle")) == len(sessions), "all are idle")
    told: dict[str, list[Frame]] = defaultdict(list)
    for frame in curl.rows:
        told[frame.data["properties"]["sessionID"]].append(frame)
    theirs = {f["type"]: f for path in CAPTURES for f in captured(path)}
    for frames in told.values():
        types = [f.type for f in frames]
        assert types[-3:] == ["session.error", "session.status", "session.idle"]
        assert types[:-3] == sorted(
            types[:-3], key=["message.part.updated", "message.updated"].index
        )
        for frame in frames[-3:]:
            assert shape(frame.data) == shape(theirs[frame.type])
        assert frames[-2].data["properties"]["status"] == {"type": "idle"}
        error = frames[-3].data["properties"]["error"]
        assert error["name"] == "MessageAbortedError"
        assert error["data"]["message"] == "The turn was interrupted (server restart)"
    # What was sent is the whole row, as it is in the store.
    sent = {f.data["properties"]["part"]["id"]: f for f in _types(curl, "message.part.updated")}
    assert set(sent) == parts
    for id_, frame in sent.items():
        row = conn.execute(
            "select message_id, session_id, time_updated, data from agent.part where id = %s", [id_]
        ).fetchone()
        assert row is not None
        assert frame.data["properties"] == {
            "sessionID": row[1],
            "part": {**row[3], "id": id_, "messageID": row[0], "sessionID": row[1]},
            "time": row[2],
        }
    infos = {f.data["properties"]["info"]["id"]: f for f in _types(curl, "message.updated")}
    assert set(infos) == messages
    for id_, frame in infos.items():
        row = conn.execute(
            "select session_id, data from agent.message where id = %s", [id_]
        ).fetchone()
        assert row is not None
        assert frame.data["properties"]["info"] == {**row[1], "id": id_, "sessionID": row[0]}
        assert frame.data["properties"]["info"]["error"]["name"] == "MessageAbortedError"


def _types(curl: Curl, type_: str) -> list[Frame]:
    return [frame for frame in curl.rows if frame.type == type_]


def _idle(curl: Curl, messages: set[str], store: dict[str, Any]) -> list[Frame]:
    """One frame of idle for each session that had an orphaned message."""
    sessions = {m["session_id"] for m in store["message"] if m["id"] in messages}
    curl.wait(lambda: len(_types(curl, "session.idle")) >= len(sessions), "idle")
    return _types(curl, "session.idle")


def agent_run(conn: Connection, epoch: int, session: str, parts: int = 1) -> None:
    """A turn with tools that run."""
    conn.execute(
        "insert into agent.session (id, time_created, time_updated) values (%s, 1, 1)", [session]
    )
    conn.execute(
        "insert into agent.message (id, session_id, time_created, time_updated, data, server_epoch)"
        ' values (%s, %s, 1, 1, \'{"role": "assistant", "time": {"created": 1}}\', %s)',
        [f"msg_{session}", session, epoch],
    )
    conn.execute(
        "insert into agent.part"
        " (id, message_id, session_id, time_created, time_updated, data, server_epoch)"
        " select format('prt_%%s_%%s', %s::text, n), %s, %s, 1, 1,"
        ' \'{"type": "tool", "tool": "bash", "state": {"status": "running", "input": {}}}\', %s'
        " from generate_series(1, %s) as n",
        [session, f"msg_{session}", session, epoch, parts],
    )


def test_a_client_of_one_session(dsn: str, conn: Connection, serve: Serve) -> None:
    epoch = recovery.boot(dsn, "agent-1").epoch
    url = serve(Hub(dsn).agent_events(authorize=anyone))
    with Curl(f"{url}/?session=ses_2") as one, Curl(f"{url}/?session=ses_1&session=ses_2") as two:
        one.connected()
        two.connected()
        agent_run(conn, epoch, "ses_1")
        agent_run(conn, epoch, "ses_2")
        agent_run(conn, epoch, "ses_3")
        assert len(two.wait_rows(4)) == 4
        assert {f.data["properties"]["sessionID"] for f in one.wait_rows(2)} == {"ses_2"}
        assert [f.type for f in one.rows] == ["message.updated", "message.part.updated"]


def test_rows_that_are_gone(dsn: str, conn: Connection, serve: Serve) -> None:
    epoch = recovery.boot(dsn, "agent-1").epoch
    url = serve(Hub(dsn).agent_events(authorize=anyone))
    with Curl(url) as curl:
        curl.connected()
        agent_run(conn, epoch, "ses_1")
        curl.wait_rows(2)
        conn.execute("delete from agent.session where id = 'ses_1'")
        gone = curl.wait_rows(4)[2:]
    assert {f.type: f.data["properties"] for f in gone} == {
        "message.removed": {"sessionID": "ses_1", "messageID": "msg_ses_1"},
        "message.part.removed": {"sessionID": "ses_1", "partID": "prt_ses_1_1"},
    }


def test_a_session_as_opencode_shows_it(dsn: str, conn: Connection, serve: Serve) -> None:
    """With a compaction, the only thing of a session that begins and ends."""
    recovery.boot(dsn, "agent-1")
    [theirs, *_] = [f for f in captured(CAPTURES[0]) if f["type"] == "session.updated"]
    info = theirs["properties"]["info"]
    tokens = info["tokens"]
    url = serve(Hub(dsn).agent_events(authorize=anyone))
    with Curl(url) as curl:
        curl.connected()
        conn.execute(
            "insert into agent.session (id, slug, project_id, directory, path, title, agent, model,"
            " version, cost, tokens_input, tokens_output, tokens_reasoning, tokens_cache_read,"
            " tokens_cache_write, time_created, time_updated, time_compacting)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 5)",
            [
                *(info["id"], info["slug"], info["projectID"], info["directory"], info["path"]),
                *(info["title"], info["agent"], json.dumps(info["model"]), info["version"]),
                *(info["cost"], tokens["input"], tokens["output"], tokens["reasoning"]),
                *(tokens["cache"]["read"], tokens["cache"]["write"]),
                *(info["time"]["created"], info["time"]["updated"]),
            ],
        )
        [frame] = curl.wait_rows(1)
        assert frame.data["properties"]["info"].pop("time") == {**info["time"], "compacting": 5}
        wanted = {**theirs["properties"], "info": {k: v for k, v in info.items() if k != "time"}}
        assert frame.data["properties"] == wanted
        conn.execute("update agent.session set model = '{broken', time_compacting = null")
        assert curl.wait_rows(2)[1].data["properties"]["info"]["model"] == "{broken"


def test_a_malformed_row_is_shown_and_stops_nothing(
    dsn: str, conn: Connection, serve: Serve
) -> None:
    """P14, and row 33."""
    epoch = recovery.boot(dsn, "agent-1").epoch
    agent_run(conn, epoch, "ses_1", 2)
    url = serve(Hub(dsn).agent_events(authorize=anyone))
    with Curl(url) as curl:
        curl.connected()
        conn.execute("update agent.part set data = '[1]' where id = 'prt_ses_1_1'")
        [frame] = curl.wait_rows(1)
        assert frame.data["properties"]["part"] == {
            "id": "prt_ses_1_1",
            "messageID": "msg_ses_1",
            "sessionID": "ses_1",
        }
        recovery.boot(dsn, "agent-1")
        curl.wait(lambda: _types(curl, "session.idle"), "idle")


def test_row_38_turns_of_opencode_2(dsn: str, conn: Connection, serve: Serve) -> None:
    """The whole turn, as its API shows it; then the session, as one of opencode 1."""
    opencode.load_store(conn, {"message": [], "part": [], **turns.load()})
    url = serve(Hub(dsn).agent_events(authorize=anyone))
    with Curl(url) as curl:
        curl.connected()
        calls.run(conn, calls.server.boot("opencode", lease=timedelta(seconds=15)))
        curl.wait(lambda: len(_types(curl, "session.idle")) == 3, "all are idle")
        rows = turns.read(conn)
        changed = _types(curl, "session.message.updated")
        assert [f.data["properties"] for f in changed] == [
            {
                "sessionID": rows[id_]["session_id"],
                "message": {**rows[id_]["data"], "id": id_, "type": "assistant"},
            }
            for id_ in (f.data["properties"]["message"]["id"] for f in changed)
        ]
        assert len(changed) == 3
        epoch = recovery.boot(dsn, "agent-1").epoch
        conn.execute(
            "insert into agent.session_message"
            " (id, session_id, type, seq, time_created, time_updated, data, server_epoch)"
            " select 'msg_new', session_id, type, 9, 1, 1, '[]', %s"
            " from agent.session_message where type = 'assistant' limit 1",
            [epoch],
        )
        curl.wait(lambda: len(_types(curl, "session.message.updated")) == 4, "one is new")
        [new] = _types(curl, "session.message.updated")[3:]
        assert new.data["properties"]["message"] == {"id": "msg_new", "type": "assistant"}
        conn.execute("delete from agent.session_message where id = 'msg_new'")
        curl.wait(lambda: _types(curl, "session.message.removed"), "gone")


def test_many_events_cost_one_look_up(dsn: str, conn: Connection, serve: Serve) -> None:
    epoch = recovery.boot(dsn, "agent-1").epoch
    agent_run(conn, epoch, "ses_1", 2000)
    url = serve(Hub(dsn).agent_events(authorize=anyone))
    scans = (
        "select coalesce(sum(calls), 0) from (select n_tup_ins as calls from pg_stat_user_tables"
        " where relid = 'agent.part'::regclass) as s"
    )
    assert value(conn, scans) is not None
    looked = "select backend_xid is null and query like '%from agent.part%' from pg_stat_activity"
    with Curl(f"{url}/") as one, Curl(url) as two:
        one.connected()
        two.connected()
        recovery.boot(dsn, "agent-1")
        for curl in (one, two):
            curl.wait(lambda curl=curl: _types(curl, "session.idle"), "idle", 30)
            assert len(_types(curl, "message.part.updated")) == 2000
        assert (True,) in conn.execute(
            f"{looked} where application_name = 'recovery:sse-rows'".encode()
        ).fetchall()


def test_a_subscription_of_the_host_shows_one_session(
    dsn: str, conn: Connection, serve: Serve
) -> None:
    epoch = recovery.boot(dsn, "agent-1").epoch
    url = serve(Hub(dsn).agent_events(authorize=anyone, session="ses_2"))
    with Curl(url) as curl, Curl(f"{url}/?session=ses_1") as refused:
        curl.connected()
        assert refused.ended().status == 400
        agent_run(conn, epoch, "ses_1")
        agent_run(conn, epoch, "ses_2")
        assert {f.data["properties"]["sessionID"] for f in curl.wait_rows(2)} == {"ses_2"}


def test_a_hold_is_shown(dsn: str, conn: Connection, serve: Serve) -> None:
    """Row 18: what waits for a human, and that it does no more."""
    epoch = recovery.boot(dsn, "agent-1").epoch
    agent_run(conn, epoch, "ses_1")
    url = serve(Hub(dsn).agent_events(authorize=anyone))
    with Curl(url) as curl:
        curl.connected()
        conn.execute(
            "insert into agent.hold (id, session_id, kind, data, server_epoch)"
            " values ('per_1', 'ses_1', 'permission', '{\"tool\": \"bash\"}', %s)",
            [epoch],
        )
        [asked] = curl.wait_rows(1)
        conn.execute("update agent.hold set time_ended = 7")
        answered = curl.wait_rows(2)[1]
    assert asked.type == answered.type == "hold.updated"
    assert asked.data["properties"]["sessionID"] == "ses_1"
    assert asked.data["properties"]["hold"]["data"] == {"tool": "bash"}
    assert (asked.data["properties"]["hold"]["time_ended"]) is None
    assert answered.data["properties"]["hold"]["time_ended"] == 7


def test_a_gap_in_opencodes_shape(dsn: str, conn: Connection, serve: Serve) -> None:
    """What could not be told: a client of one session has to look anew, too."""
    epoch = recovery.boot(dsn, "agent-1").epoch
    agent_run(conn, epoch, "ses_1")
    url = serve(Hub(dsn).agent_events(authorize=lambda request: ["ses_2"]))
    with Curl(url) as curl:
        curl.connected()
        conn.execute("alter table agent.part disable trigger all")
        gap = curl.wait_type("server.gap")
    assert gap.data["properties"]["watch"] == "agent.part"
    assert gap.data["properties"]["why"] == "triggers_disabled"
    assert curl.rows == []
