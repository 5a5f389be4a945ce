"""Real crashed stores: boot closes exactly the orphans, each into the golden shape.

The rows of the behaviour table that a test covers are in its name.
"""

from __future__ import annotations

import contextlib
import copy
import json
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from agent_store import stores
from agent_store.stores import CASES, Row, Time
from recovery import calls, errors, opencode

Connection = psycopg.Connection[Any]
Store = dict[str, Any]


def boot(conn: Connection, name: str = "opencode") -> calls.server.Booted:
    return calls.run(conn, calls.server.boot(name, lease=timedelta(seconds=15)))


def write_as(conn: Connection, epoch: int, local: bool = False) -> None:
    """The connection hook, or with `local` the one for a transaction."""
    conn.execute(calls.session.set_epoch(epoch, local=local).encode())


def heartbeat(conn: Connection, server: calls.server.Booted) -> None:
    calls.run(conn, calls.server.heartbeat(server.epoch, server.token))


def topics_by_session(conn: Connection, after: int = 0) -> dict[str, list[str]]:
    """What a client hears, in order."""
    heard: dict[str, list[str]] = defaultdict(list)
    for session, topic in conn.execute(
        "select group_key, topic from recovery.event"
        " where id > %s and kind not in ('opened') order by id",
        (after,),
    ):
        heard[session].append(topic)
    return dict(heard)


def last_event(conn: Connection) -> int:
    row = conn.execute("select coalesce(max(id), 0) from recovery.event").fetchone()
    assert row is not None
    return int(row[0])


def closing_topics(parts: int, messages: int) -> list[str]:
    return [
        *["message.part.updated"] * parts,
        *["message.updated"] * messages,
        "session.error",
        "session.status",
        "session.idle",
    ]


def crash(conn: Connection, store: Store, expect: Store) -> Callable[[], None]:
    """Loads a store as its server left it. Returns: how that server boots again."""
    if expect["live"] is None:
        opencode.load_store(conn, store)
        return lambda: boot(conn) and None
    dead, living = boot(conn, "A"), boot(conn, "B")
    owners: dict[str, str | int] = dict.fromkeys(expect["live"]["sessions"], living.epoch)
    opencode.load_store(conn, store, owner=dead.epoch, owners=owners)
    heartbeat(conn, living)

    def again() -> None:
        boot(conn, "A")
        heartbeat(conn, living)

    return again


def changed(before: stores.Rows, after: stores.Rows) -> dict[str, set[str]]:
    assert {t: set(rows) for t, rows in before.items()} == {t: set(r) for t, r in after.items()}
    return {t: {i for i in rows if rows[i] != after[t][i]} for t, rows in before.items()}


@pytest.mark.parametrize("case", CASES)
def test_rows_01_02_03_04_05_06_07_08_20_26_29_boot_closes_exactly_the_orphans(
    conn: Connection, case: str
) -> None:
    store, expect = stores.load(case)
    again = crash(conn, store, expect)
    before, start, seen = stores.read(conn), stores.now(conn), last_event(conn)

    again()

    after, when = stores.read(conn), Time(start, stores.now(conn))
    messages, parts = stores.orphan_ids(expect)
    assert changed(before, after) == {"session": set(), "message": messages, "part": parts}
    for table, ids in (("message", messages), ("part", parts)):
        for id_ in ids:
            assert after[table][id_] == stores.closed(before[table][id_], when)
    for id_ in messages:
        assert "finish" not in after["message"][id_]["data"]

    wanted = {}
    for session in expect["affected_sessions"]:
        wanted[session] = closing_topics(
            sum(before["part"][id_]["session_id"] == session for id_ in parts),
            sum(before["message"][id_]["session_id"] == session for id_ in messages),
        )
    assert topics_by_session(conn, after=seen) == wanted

    seen = last_event(conn)
    again()
    assert stores.read(conn) == after
    assert last_event(conn) == seen


@pytest.mark.parametrize("case", CASES)
def test_row_25_a_store_loads_as_it_is(conn: Connection, case: str) -> None:
    store, _ = stores.load(case)
    opencode.load_store(conn, store)
    loaded = stores.read(conn)
    for table in ("session", "message", "part"):
        assert len(loaded[table]) == len(store[table])
        for row in store[table]:
            found = loaded[table][row["id"]]
            assert {name: value for name, value in found.items() if value is not None} == row


def test_row_06_a_stuck_tool_under_a_completed_message_is_closed(conn: Connection) -> None:
    store, expect = stores.load("bash-running")
    (message,) = expect["orphan_messages"]
    (tool,) = expect["orphan_parts"]["tool_running"]
    row = next(row for row in store["message"] if row["id"] == message)
    row["data"]["time"]["completed"] = row["time_updated"]
    row["data"]["finish"] = "tool-calls"
    opencode.load_store(conn, store)
    before, start = stores.read(conn), stores.now(conn)
    boot(conn)
    after = stores.read(conn)
    assert changed(before, after) == {"session": set(), "message": set(), "part": {tool}}
    when = Time(start, stores.now(conn))
    assert after["part"][tool] == stores.closed(before["part"][tool], when)


def test_row_07_every_row_has_an_owner_before_work_starts(conn: Connection) -> None:
    epoch = boot(conn, "api-1").epoch
    write_as(conn, epoch)
    store, _ = stores.load("bash-running")
    for table in ("session", "message", "part"):
        for row in store[table]:
            names = [*row]
            values = [json.dumps(v) if isinstance(v, dict) else v for v in row.values()]
            conn.execute(
                f"insert into agent.{table} ({', '.join(names)})"
                f" values ({', '.join(['%s'] * len(names))})",
                values,
            )
    owners = conn.execute("select distinct server_epoch from recovery.open_work()").fetchall()
    assert owners == [(epoch,)]


def test_row_09_a_late_writer_neither_revives_nor_overwrites(conn: Connection) -> None:
    store, expect = stores.load("bash-running")
    done = opencode.load_store(conn, store)
    (tool,) = expect["orphan_parts"]["tool_running"]
    (message,) = expect["orphan_messages"]
    running = json.dumps(next(row["data"] for row in store["part"] if row["id"] == tool))
    boot(conn)
    after = stores.read(conn)

    write_as(conn, done.epochs["opencode"])
    codes = []
    late = [
        ("update agent.part set data = %s where id = %s", (running, tool)),
        (
            "update agent.part set data = jsonb_set(data, '{state,status}', '\"completed\"')"
            " where id = %s and data #>> '{state,status}' in ('pending', 'running')",
            (tool,),
        ),
        (
            "insert into agent.part (id, message_id, session_id, time_created, time_updated, data)"
            " select 'prt_late', message_id, session_id, time_created, time_updated, %s"
            " from agent.part where id = %s",
            (running, tool),
        ),
        ("update agent.message set data = data #- '{time,completed}' where id = %s", (message,)),
    ]
    for statement, values in late:
        try:
            conn.execute(statement, values)
        except psycopg.Error as error:
            codes.append(error.sqlstate)
    assert stores.read(conn) == after
    assert set(codes) == {"RC001"}


def test_row_10_many_boots_at_once_do_no_harm(conn: Connection, dsn: str) -> None:
    store, expect = stores.load("task-subagent")
    opencode.load_store(conn, store)
    before, start, seen = stores.read(conn), stores.now(conn), last_event(conn)

    def one() -> None:
        # A boot that is superseded by the next one while it closes is told so.
        with contextlib.suppress(errors.EpochEnded), psycopg.connect(dsn, autocommit=True) as own:
            boot(own)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    after, when = stores.read(conn), Time(start, stores.now(conn))
    messages, parts = stores.orphan_ids(expect)
    assert changed(before, after) == {"session": set(), "message": messages, "part": parts}
    for id_ in parts:
        assert after["part"][id_] == stores.closed(before["part"][id_], when)
    assert topics_by_session(conn, after=seen) == {
        session: closing_topics(1, 1) for session in expect["affected_sessions"]
    }
    live = conn.execute("select count(*) from recovery.server where ended is null").fetchone()
    assert live == (1,)


def test_row_20_a_subagent_is_told_before_its_parent_and_stays_linked(conn: Connection) -> None:
    store, expect = stores.load("task-subagent")
    (link,) = expect["links"]
    opencode.load_store(conn, store)
    seen = last_event(conn)
    boot(conn)
    child, parent = link["child_session"], link["parent_session"]
    told = conn.execute(
        "select group_key, kind from recovery.event where id > %s order by id", (seen,)
    ).fetchall()
    order = [session for session, _ in told]
    assert order == [child] * (len(order) // 2) + [parent] * (len(order) // 2)
    task = stores.read(conn)["part"][link["task_part"]]["data"]
    assert task["state"]["metadata"]["sessionId"] == child


def test_row_20_a_child_without_a_link_is_closed_as_well(conn: Connection) -> None:
    store, expect = stores.load("task-subagent")
    (link,) = expect["links"]
    task = next(row for row in store["part"] if row["id"] == link["task_part"])
    del task["data"]["state"]["metadata"]
    opencode.load_store(conn, store)
    before = stores.read(conn)
    boot(conn)
    messages, parts = stores.orphan_ids(expect)
    assert changed(before, stores.read(conn)) == {
        "session": set(),
        "message": messages,
        "part": parts,
    }


def test_row_25_revert_snapshots_and_patches_stay(conn: Connection) -> None:
    store, expect = stores.load("bash-running")
    store["session"][0]["revert"] = '{"messageID":"msg_1", "snapshot" : "abc"}'
    extra = [
        {"type": "snapshot", "snapshot": "9f3c"},
        {"type": "patch", "hash": "9f3c", "files": ["/home/user/project/a.py"]},
        {"type": "step-start", "snapshot": "9f3c"},
        {"type": "file", "mime": "text/plain", "url": "file:///a"},
        {"type": "agent", "name": "general"},
        {"type": "retry", "attempt": 1, "error": {"name": "APIError"}, "time": {"created": 1}},
        {"type": "subtask", "prompt": "p", "description": "d", "agent": "general"},
    ]
    like = next(row for row in store["part"] if row["message_id"] == expect["orphan_messages"][0])
    for i, data in enumerate(extra):
        store["part"].append({**like, "id": f"prt_extra{i}", "data": data})
    opencode.load_store(conn, store)
    before = stores.read(conn)
    boot(conn)
    messages, parts = stores.orphan_ids(expect)
    after = stores.read(conn)
    assert changed(before, after) == {"session": set(), "message": messages, "part": parts}
    assert after["session"][store["session"][0]["id"]]["revert"] == store["session"][0]["revert"]


def test_row_26_queued_prompts_stay_and_no_answer_is_invented(conn: Connection) -> None:
    store, expect = stores.load("bash-running")
    user = next(row for row in store["message"] if row["data"]["role"] == "user")
    text = next(row for row in store["part"] if row["message_id"] == user["id"])
    store["message"].append({**copy.deepcopy(user), "id": "msg_zqueued"})
    store["part"].append({**copy.deepcopy(text), "id": "prt_zq", "message_id": "msg_zqueued"})
    opencode.load_store(conn, store)
    before = stores.read(conn)
    boot(conn)
    messages, parts = stores.orphan_ids(expect)
    assert changed(before, stores.read(conn)) == {
        "session": set(),
        "message": messages,
        "part": parts,
    }


def _cancel(conn: Connection, epoch: int, tool: str) -> None:
    with conn.transaction():
        write_as(conn, epoch, local=True)
        conn.execute("set local recovery.reason = 'cancelled'")
        conn.execute(
            "update agent.part set data = jsonb_set(data, '{state,status}', '\"error\"')"
            " where id = %s",
            (tool,),
        )


def _shutdown(conn: Connection, epoch: int, tool: str) -> None:
    calls.run(conn, calls.server.shutdown(epoch))


def _crash(conn: Connection, epoch: int, tool: str) -> None:
    boot(conn)


def _lapse(conn: Connection, epoch: int, tool: str) -> None:
    stores.lapse(conn)
    calls.run(conn, calls.closing.sweep())


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        (_cancel, "cancelled"),
        (_shutdown, "shutdown"),
        (_crash, "superseded"),
        (_lapse, "lease_expired"),
    ],
)
def test_row_28_the_reason_tells_cancel_shutdown_crash_and_silence_apart(
    conn: Connection, how: Callable[[Connection, int, str], None], reason: str
) -> None:
    store, expect = stores.load("bash-running")
    (tool,) = expect["orphan_parts"]["tool_running"]
    epoch = opencode.load_store(conn, store).epochs["opencode"]
    how(conn, epoch, tool)
    told = conn.execute(
        "select reason from recovery.event where kind = 'closed' and key = %s", (tool,)
    ).fetchall()
    assert told == [(reason,)]


def test_row_29_a_closing_that_rolls_back_tells_nobody(conn: Connection) -> None:
    store, expect = stores.load("bash-running")
    epoch = opencode.load_store(conn, store).epochs["opencode"]
    (tool,) = expect["orphan_parts"]["tool_running"]
    seen = last_event(conn)
    with conn.transaction():
        write_as(conn, epoch, local=True)
        conn.execute("delete from agent.part where id = %s", (tool,))
        assert last_event(conn) > seen
        raise psycopg.Rollback
    assert last_event(conn) == seen


def test_row_32_events_follow_time_then_id_where_ids_have_wrapped(conn: Connection) -> None:
    store, expect = stores.load("parallel-tools")
    ids = expect["orphan_parts"]["tool_running"]
    rows = [row for row in store["part"] if row["id"] in ids]
    like = copy.deepcopy(rows[0])
    late = max(row["time_created"] for row in store["part"])
    # A wrapped id sorts first, but came last; upper case is before lower case in "C".
    wanted = []
    for id_, at in (("prt_ffB", late + 1), ("prt_ffa", late + 1), ("prt_000", late + 2)):
        store["part"].append({**copy.deepcopy(like), "id": id_, "time_created": at})
        wanted.append(id_)
    opencode.load_store(conn, store)
    seen = last_event(conn)
    boot(conn)
    told = [
        row[0]
        for row in conn.execute(
            "select key from recovery.event where id > %s and watch = 'agent.part' order by id",
            (seen,),
        )
    ]
    by_time = sorted(rows, key=lambda row: (row["time_created"], row["id"]))
    assert told == [row["id"] for row in by_time] + wanted


@pytest.mark.parametrize(
    "bad",
    [
        {"type": "tool", "tool": "bash", "state": {"status": "running", "time": "soon"}},
        {"type": "tool", "tool": "bash", "state": {"status": "running", "metadata": [1]}},
        {"type": "tool", "tool": "bash", "state": {"status": "pending", "time": {"start": "x"}}},
        {"type": "tool", "state": {"status": "running", "input": None, "time": None}},
    ],
)
def test_row_33_a_row_of_another_shape_stops_no_other(conn: Connection, bad: Row) -> None:
    store, expect = stores.load("task-subagent")
    like = next(row for row in store["part"] if row["data"]["type"] == "tool")
    store["part"].append({**like, "id": "prt_bad", "data": bad})
    opencode.load_store(conn, store)
    before = stores.read(conn)
    boot(conn)
    messages, parts = stores.orphan_ids(expect)
    touched = changed(before, stores.read(conn))
    assert touched["message"] == messages
    assert parts <= touched["part"] <= parts | {"prt_bad"}
    if "prt_bad" in touched["part"]:
        assert stores.read(conn)["part"]["prt_bad"]["data"]["state"]["status"] == "error"
    else:
        failures = conn.execute("select key from recovery.failure").fetchall()
        assert failures == [("prt_bad",)]


def test_a_live_server_keeps_its_name(conn: Connection) -> None:
    store, _ = stores.load("bash-running")
    boot(conn)
    with pytest.raises(errors.NameTaken, match="opencode"):
        opencode.load_store(conn, store)
