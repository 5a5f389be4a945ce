"""Rows 38 and 39 of the behaviours, on whole stores: opencode 2's, and imports of one that went on."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from shutil import copyfile
from typing import Any

import psycopg
import pytest

from agent_store import stores, turns
from agent_store.stores import Time
from agent_store.test_real_stores import boot
from recovery import calls, opencode

Connection = psycopg.Connection[Any]
TABLES = ("session", "message", "part")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store of opencode 2."""
    return turns.build(tmp_path / "opencode.db")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """One of opencode 1, in which a task and its child run."""
    return Path(copyfile(stores.FOLDER / "task-subagent.db", tmp_path / "old.db"))


def edit(path: Path, statement: str, **values: Any) -> None:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(statement, values)
    db.close()


def settle(conn: Connection) -> None:
    """Closes what was running, and goes: a live server would keep its name."""
    calls.run(conn, calls.server.shutdown(boot(conn).epoch))


def check_closed(conn: Connection, before: dict[str, stores.Row]) -> None:
    """A boot closes exactly what was open, in opencode 2's own shape."""
    start = stores.now(conn)
    settle(conn)
    after, when = turns.read(conn), Time(start, stores.now(conn))
    assert sum(map(turns.is_open, before.values())) == 3
    for id_, row in before.items():
        assert after[id_] == (turns.closed(row, when) if turns.is_open(row) else row)


def test_row_38_boot_closes_exactly_the_open_turns(conn: Connection, file: Path) -> None:
    done = opencode.import_store(conn, file)
    assert done.loaded == {
        "session": 4,
        "message": 0,
        "part": 0,
        "session_message": 8,
        "session_input": 4,
    }
    assert (done.unknown, done.skipped, done.ignored) == ([], [], {})
    before = turns.read(conn)
    assert before == {row["id"]: row for row in turns.load()["session_message"]}
    check_closed(conn, before)
    again = turns.read(conn)
    assert opencode.import_store(conn, file).kept == {"session_message": 3}
    settle(conn)
    assert turns.read(conn) == again


def test_row_38_from_memory(conn: Connection) -> None:
    opencode.load_store(conn, {"message": [], "part": [], **turns.load()})
    check_closed(conn, turns.read(conn))


def test_row_38_sessions_of_opencode_2_0(conn: Connection, tmp_path: Path) -> None:
    file = turns.build(tmp_path / "opencode.db", sessions="session_v2")
    done = opencode.import_store(conn, file)
    assert done.loaded["session_v2"] == 4
    assert done.loaded["session_message"] == 8
    assert done.ignored == {"session_v2": ["shape"]}
    titles = {row[0] for row in conn.execute("select title from agent.session")}
    assert titles == {row["title"] for row in turns.load()["session"]}
    check_closed(conn, turns.read(conn))


@pytest.mark.parametrize("kind", ["finished", "went on"])
def test_row_39_a_turn_that_changed_since_is_never_closed_wrongly(
    conn: Connection, file: Path, kind: str
) -> None:
    opencode.import_store(conn, file)
    row = next(r for r in turns.read(conn).values() if turns.is_open(r))
    data = row["data"]
    if kind == "finished":
        data["time"]["completed"] = row["time_updated"] + 7
        for entry in data["content"]:
            if entry["type"] == "tool":
                entry["state"] = {"status": "completed", "input": {}, "content": []}
    else:
        data["content"].append({"type": "text", "id": "more", "text": "and more"})
    edit(
        file,
        "update session_message set data = :data, time_updated = time_updated + 7 where id = :id",
        data=json.dumps(data),
        id=row["id"],
    )
    done = opencode.import_store(conn, file)
    assert (done.updated, done.kept) == ({"session_message": 1}, {})
    assert done.present["session_message"] == 7
    start = stores.now(conn)
    settle(conn)
    after, when = turns.read(conn)[row["id"]], Time(start, stores.now(conn))
    changed = {**row, "data": data, "time_updated": row["time_updated"] + 7}
    assert after == (changed if kind == "finished" else turns.closed(changed, when))


def finish(old: Path) -> None:
    """opencode lives, and all that ran has ended."""
    edit(
        old,
        "update part set time_updated = time_updated + 9, data = json_set(data, '$.state.status',"
        " 'completed', '$.state.output', 'done', '$.state.time.end', time_updated + 9)"
        " where json_extract(data, '$.state.status') = 'running'",
    )
    edit(
        old,
        "update message set time_updated = time_updated + 9,"
        " data = json_set(data, '$.time.completed', time_updated + 9, '$.finish', 'stop')"
        " where json_extract(data, '$.role') = 'assistant'"
        " and json_extract(data, '$.time.completed') is null",
    )


def test_row_39_what_finished_since_is_never_closed(conn: Connection, old: Path) -> None:
    opencode.import_store(conn, old)
    finish(old)
    done = opencode.import_store(conn, old)
    assert done.updated == {"message": 2, "part": 2}
    before = stores.read(conn)
    settle(conn)
    assert stores.read(conn) == before
    statuses = [
        p["data"]["state"]["status"] for p in before["part"].values() if "tool" in p["data"]
    ]
    assert set(statuses) == {"completed"}


def test_row_39_what_began_again_is_the_present_owners(conn: Connection, old: Path) -> None:
    first = opencode.import_store(conn, old).epochs["opencode"]
    open_ = [id_ for id_, p in stores.read(conn)["part"].items() if '"running"' in json.dumps(p)]
    finish(old)
    opencode.import_store(conn, old)
    settle(conn)
    edit(
        old,
        "update part set time_updated = time_updated + 9,"
        " data = json_set(data, '$.state.status', 'running')"
        " where json_extract(data, '$.state.output') = 'done'",
    )
    done = opencode.import_store(conn, old)
    assert done.updated == {"part": 2}
    assert done.epochs["opencode"] > first
    owners = conn.execute(
        "select id, server_epoch from agent.part where id = any(%s)", [open_]
    ).fetchall()
    assert sorted(owners) == sorted((id_, done.epochs["opencode"]) for id_ in open_)
    settle(conn)
    parts = stores.read(conn)["part"]
    assert {parts[id_]["data"]["state"]["status"] for id_ in open_} == {"error"}


@pytest.mark.parametrize("told", [True, False], ids=["events", "no events any more"])
def test_row_39_what_was_closed_here_stays(conn: Connection, old: Path, told: bool) -> None:
    opencode.import_store(conn, old)
    settle(conn)
    before = stores.read(conn)
    if not told:
        conn.execute("delete from recovery.outbox")
    done = opencode.import_store(conn, old)
    assert (done.updated, done.kept) == ({}, {"message": 2, "part": 2})
    assert stores.read(conn) == before
    if told:
        # It had not died after all, and wrote later than the closing.
        finish(old)
        edit(old, "update part set time_updated = 4102444800000")
        edit(old, "update part set data = json_set(data, '$.later', 1)")
        done = opencode.import_store(conn, old)
        assert done.kept == {"message": 2, "part": 2}
        assert done.updated == {"part": 6}


def test_row_39_a_row_that_somebody_touched_after_the_closing_is_theirs(
    conn: Connection, old: Path
) -> None:
    opencode.import_store(conn, old)
    settle(conn)
    finish(old)
    conn.execute("update agent.part set time_updated = 1 where data -> 'state' is not null")
    done = opencode.import_store(conn, old)
    assert done.updated["part"] == 2
    assert done.kept == {"message": 2}


def test_row_39_a_compaction_that_was_closed_here(conn: Connection, old: Path) -> None:
    edit(old, "update session set time_compacting = 5")
    opencode.import_store(conn, old)
    settle(conn)
    edit(old, "update session set title = 'new', time_updated = time_updated + 1")
    done = opencode.import_store(conn, old)
    assert (done.updated["session"], done.kept.get("session")) == (2, None)
    found = conn.execute("select title, time_compacting from agent.session").fetchall()
    assert found == [("new", None)] * 2
    assert opencode.import_store(conn, old).kept["session"] == 2
    edit(old, "update session set time_compacting = 6")
    opencode.import_store(conn, old)
    found = conn.execute("select time_compacting from agent.session").fetchall()
    assert found == [(6,)] * 2


def test_row_39_what_the_store_lost_stays_and_is_named(conn: Connection, old: Path) -> None:
    opencode.import_store(conn, old)
    lost = [row[0] for row in conn.execute("select id from agent.part order by 1 limit 2")]
    edit(old, "delete from part where id in (:a, :b)", a=lost[0], b=lost[1])
    before = stores.read(conn)
    done = opencode.import_store(conn, old)
    assert done.vanished == {"part": lost}
    assert stores.read(conn) == before


def test_only_sessions_that_are_asked_for_with_their_tree(conn: Connection, old: Path) -> None:
    edit(old, "insert into session select 'ses_other', project_id, workspace_id, null, slug, directory,"
              " path, title, version, share_url, summary_additions, summary_deletions, summary_files,"
              " summary_diffs, metadata, cost, tokens_input, tokens_output, tokens_reasoning,"
              " tokens_cache_read, tokens_cache_write, revert, permission, agent, model, time_created,"
              " time_updated, time_compacting, time_archived from session limit 1")  # fmt: skip
    with pytest.raises(LookupError, match="ses_nope"):
        opencode.import_store(conn, old, sessions=["ses_nope"])
    ids = {r[0]: r[1] for r in sqlite3.connect(old).execute("select id, parent_id from session")}
    child = next(id_ for id_, parent in ids.items() if parent is not None)
    for session in (child, ids[child]):
        done = opencode.import_store(conn, old, sessions=[session])
        assert {row[0] for row in conn.execute("select id from agent.session")} == {
            child,
            ids[child],
        }
        assert done.vanished == {}
    done = opencode.import_store(conn, old, sessions=["ses_other"])
    assert done.loaded == {"session": 1, "message": 0, "part": 0}


PART = {"type": "tool", "tool": "x", "state": {"status": "running", "time": {"start": 1}}}


@pytest.mark.parametrize(
    ("data", "what", "in_flight"),
    [
        ({"type": "dream", "time": {"start": 1}}, "part of type dream", True),
        ({"type": "dream", "time": {"start": 1, "end": 2}}, "part of type dream", False),
        ({"type": "dream"}, "part of type dream", False),
        ({"type": "dream", "state": {"status": "running"}}, "part of type dream", True),
        ({**PART, "state": {"status": "paused", "time": {"start": 1}}}, "tool with status paused", True),
        ({**PART, "state": {"status": "denied", "time": {"end": 1}}}, "tool with status denied", False),
        ({**PART, "state": "running"}, "tool with status ?", True),
    ],
)  # fmt: skip
def test_row_33_parts_that_we_do_not_know_are_named(
    conn: Connection, old: Path, data: Any, what: str, in_flight: bool
) -> None:
    edit(old, "update part set data = :data where rowid = 1", data=json.dumps(data))
    done = opencode.import_store(conn, old)
    assert done.unknown == [opencode.Unknown(what, 1, in_flight)]
    assert done.understood is not in_flight


@pytest.mark.parametrize(
    ("type_", "data", "what", "in_flight"),
    [
        ("dream", {"time": {"created": 1}}, "message of type dream", True),
        ("dream", {"time": {"created": 1, "completed": 2}}, "message of type dream", False),
        ("assistant", {"time": {"completed": 2}, "content": [{"type": "tool", "state": {"status": "paused"}}]},
         "tool of opencode 2 with status paused", True),
        ("assistant", {"time": {"completed": 2}, "content": [{"type": "image"}]},
         "content of type image", False),
        ("assistant", {"time": {"completed": 2}, "content": [5]}, "content of type ?", False),
        ("assistant", {"time": {"completed": 2}, "content": [{"type": "image", "time": {"created": 1}}]},
         "content of type image", True),
    ],
)  # fmt: skip
def test_row_38_turns_that_we_do_not_know_are_named(
    conn: Connection, file: Path, type_: str, data: Any, what: str, in_flight: bool
) -> None:
    edit(
        file,
        "update session_message set type = :type, data = :data where rowid = 1",
        type=type_,
        data=json.dumps(data),
    )
    done = opencode.import_store(conn, file)
    assert done.unknown == [opencode.Unknown(what, 1, in_flight)]
    assert done.understood is not in_flight


@pytest.mark.parametrize(
    ("columns", "row", "in_flight"),
    [
        ("id text, status text", ("1", "running"), True),
        ("id text, status text", ("1", "done"), False),
        ("id text, data text", ("1", '{"time": {"start": 1}}'), True),
        ("id text, data text", ("1", '{"time": {"start": 1, "end": 2}}'), False),
        ("id text, data text", ("1", '{"state": {"status": "pending"}}'), True),
        ("id text, data text", ("1", "{broken"), False),
        ("id text, time_completed int", ("1", None), True),
        ("id text, time_completed int", ("1", 5), False),
        ('id text, "a""b" text', ("1", "x"), False),
    ],
)
def test_row_38_tables_that_we_do_not_know_are_named(
    conn: Connection, old: Path, columns: str, row: Any, in_flight: bool
) -> None:
    edit(old, f"create table dream ({columns})")
    assert opencode.import_store(conn, old).unknown == []
    edit(old, "insert into dream values (:a, :b)", a=row[0], b=row[1])
    done = opencode.import_store(conn, old)
    assert done.unknown == [opencode.Unknown("table dream", 1, in_flight)]


def test_row_38_a_later_opencode_is_named(conn: Connection, old: Path) -> None:
    edit(old, "insert into migration values ('29990101000000_dreams', 1)")
    (unknown,) = opencode.import_store(conn, old).unknown
    assert "29990101000000_dreams" in str(unknown)
    assert not unknown.in_flight


def test_row_38_a_table_without_what_a_row_needs(conn: Connection, file: Path) -> None:
    edit(file, "alter table session_message rename column seq to place")
    done = opencode.import_store(conn, file)
    assert done.unknown == [opencode.Unknown("table session_message without column seq", 8, True)]


def test_progress_is_told_batch_by_batch(conn: Connection, old: Path) -> None:
    edit(
        old,
        "insert into part with recursive n (i) as (select 1 union all select i + 1 from n"
        " where i < 1500) select 'prt_' || i, message_id, session_id, time_created, time_updated,"
        " data from n, (select * from part where data like '%step-start%' limit 1)",
    )
    told: list[tuple[str, int]] = []
    opencode.import_store(conn, old, on_progress=lambda table, rows: told.append((table, rows)))
    assert told == [("session", 2), ("message", 4), ("part", 1000), ("part", 1508)]
