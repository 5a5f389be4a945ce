"""Repairing opencode's own SQLite file: what is written back, and what is never touched."""

from __future__ import annotations

import json
import pickle
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent_store import stores, turns
from agent_store.stores import Time
from python.opencode import sqlite_stores
from recovery.cluster import Cluster
from recovery.errors import InvalidArgument
from recovery.opencode.file import NotAStore
from recovery.opencode.holders import holders
from recovery.opencode.plan import plan
from recovery.opencode.write import BackupFailed, StoreInUse, write

pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(300)]

CRASHED = stores.FOLDER / "task-subagent.db"
TOOL = "prt_1fc2c41c6001YHM320Bh2QK4NB"

# opencode at work: holds the database open, in the journal mode that is asked for.
HOLDER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(f"pragma journal_mode = {sys.argv[2]}")
if sys.argv[3] == "reads":
    db.execute("begin")
print(db.execute("select count(*) from session").fetchone()[0], flush=True)
time.sleep(60)
"""


@contextmanager
def holder(store: Path, mode: str = "wal", what: str = "waits") -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(store), mode, what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip().isdigit()
            yield process
        finally:
            process.kill()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A crashed store of one's own."""
    path = Path(shutil.copyfile(CRASHED, tmp_path / "opencode.db"))
    path.chmod(0o600)
    return path


def edit(store: Path, statement: str, *values: Any) -> None:
    db = sqlite3.connect(store)
    db.execute(statement, values)
    db.commit()
    db.close()


def now() -> int:
    return int(time.time() * 1000)


def texts(store: Path, table: str) -> dict[str, str]:
    db = sqlite3.connect(store)
    db.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    found = dict(db.execute(f"select id, data from {table}").fetchall())
    db.close()
    return found


@pytest.mark.parametrize("case", stores.CASES)
def test_rows_01_02_03_06_37_the_store_is_closed_where_it_lives(
    cluster: Cluster, tmp_path: Path, case: str
) -> None:
    """Row by row as opencode's own abort leaves them; everything else byte by byte as it was."""
    captured, expect = stores.load(case)
    path = sqlite_stores.build(tmp_path / "opencode.db", captured)
    before, read, texts_ = sqlite_stores.dump(path), sqlite_stores.read(path), texts(path, "part")
    messages, parts = stores.orphan_ids(expect)
    if expect["live"] is not None:  # its server is dead by now, too
        messages |= {r["id"] for r in captured["message"] if is_open(r["data"])}
        parts |= {
            r["id"] for r in captured["part"] if r["message_id"] in messages and is_open(r["data"])
        }
    start = now()

    found = plan(path, cluster=cluster)
    assert {(c.table, c.id) for c in found.changes} == {
        *(("message", id_) for id_ in messages),
        *(("part", id_) for id_ in parts),
    }
    assert sqlite_stores.dump(path) == before
    if not found.changes:
        return
    done = write(found)

    when, after = Time(start, now()), sqlite_stores.read(path)
    assert not done.left
    for table, ids in (("message", messages), ("part", parts)):
        for id_, row in read[table].items():
            wanted = stores.closed(row, when) if id_ in ids else row
            assert after[table][id_] == wanted
    assert after["session"] == read["session"]
    whole = sqlite_stores.dump(path)
    for table in before.keys() - {"message", "part", "event", "event_sequence"}:
        assert whole[table] == before[table]
    for id_, text in texts(path, "part").items():
        assert keys(json.loads(texts_[id_])) == [
            k for k in keys(json.loads(text)) if k in keys(json.loads(texts_[id_]))
        ]
    check_events(path, after, messages, parts)
    again = plan(path, cluster=cluster)
    assert not again.changes
    assert not again.sessions


def is_open(data: dict[str, Any]) -> bool:
    if data.get("role") == "assistant":
        return "completed" not in data["time"]
    if data.get("type") == "tool":
        return data["state"]["status"] in ("pending", "running")
    return data.get("type") in ("text", "reasoning") and "end" not in data.get("time", {"end": 0})


def keys(value: Any, at: str = "") -> list[str]:
    """All keys in their order, each with its way."""
    if not isinstance(value, dict):
        return []
    return [
        name
        for key, inner in value.items()
        for name in (f"{at}.{key}", *keys(inner, f"{at}.{key}"))
    ]


def check_events(path: Path, after: stores.Rows, messages: set[str], parts: set[str]) -> None:
    """Each row that was closed is told once, as it is now, and the sequence goes on."""
    told: set[tuple[str, str]] = set()
    for session, appended in sqlite_stores.events(path).items():
        assert [seq for seq, _, _ in appended] == list(range(8, 8 + len(appended)))
        for _, type_, data in appended:
            assert data["sessionID"] == session
            table, name = {
                "message.part.updated.1": ("part", "part"),
                "message.updated.1": ("message", "info"),
            }[type_]
            row = after[table][data[name]["id"]]
            ids = {"id": row["id"], "sessionID": session}
            if table == "part":
                ids["messageID"] = row["message_id"]
            assert data[name] == {**ids, **clean(row["data"])}
            assert list(data[name])[: len(ids)] == list(ids)
            told.add((table, row["id"]))
    assert told == {*(("message", i) for i in messages), *(("part", i) for i in parts)}


def clean(data: dict[str, Any]) -> dict[str, Any]:
    """What opencode's schema of events knows of a closed tool: else a replay diverges."""
    if data.get("type") != "tool":
        return data
    known = ("status", "input", "error", "metadata", "time")
    return {**data, "state": {k: v for k, v in data["state"].items() if k in known}}


def test_the_events_go_on_where_opencode_stopped(cluster: Cluster, store: Path) -> None:
    db = sqlite3.connect(store)
    before = dict(db.execute("select aggregate_id, seq from event_sequence").fetchall())
    old = {row[0] for row in db.execute("select id from event")}
    write(plan(store, cluster=cluster))
    for session, seq in db.execute("select aggregate_id, seq from event_sequence"):
        kinds = [
            row[0]
            for row in db.execute(
                "select type from event where aggregate_id = ? and seq > ? order by seq",
                [session, before[session]],
            )
        ]
        assert kinds == ["message.part.updated.1", "message.updated.1"]
        assert seq == before[session] + 2
    new = {row[0] for row in db.execute("select id from event")} - old
    assert len(new) == 4
    assert all(len(id_) == 30 and id_.startswith("evt_") and id_.isascii() for id_ in new)
    db.close()


def test_a_store_without_events_gets_none(cluster: Cluster, store: Path) -> None:
    edit(store, "delete from event_sequence where aggregate_id = 'ses_e03d3bf5bffe7IxZtnlv1GmrLS'")
    edit(store, "delete from event where aggregate_id = 'ses_e03d3bf5bffe7IxZtnlv1GmrLS'")
    assert write(plan(store, cluster=cluster)).events == 2
    edit(store, "drop table event")
    edit(
        store,
        "update part set data = json_set(data, '$.state.status', 'running') where id = ?",
        TOOL,
    )
    done = write(plan(store, cluster=cluster), backup=store.with_name("second"))
    assert (done.events, done.rows) == (0, {"part": 1})


# What others hold.


@pytest.mark.parametrize(
    ("mode", "what"), [("wal", "waits"), ("wal", "reads"), ("delete", "waits"), ("delete", "reads")]
)
def test_row_08_refused_while_a_process_has_it_open(
    cluster: Cluster, store: Path, mode: str, what: str
) -> None:
    """A holder is named in every journal mode, whether it is in a transaction or not."""
    edit(store, f"pragma journal_mode = {mode}")
    found = plan(store, cluster=cluster)
    with holder(store, mode, what) as process:
        before = sqlite_stores.dump(store)
        assert [h.pid for h in holders(store)] == [process.pid]
        with pytest.raises(StoreInUse, match=f"process {process.pid} ") as refused:
            write(found)
        assert sys.executable in str(refused.value)
        assert sqlite_stores.dump(store) == before
        assert not list(store.parent.glob("*before-repair*"))
    assert holders(store) == []
    assert write(found).rows == {"part": 2, "message": 2}


def test_two_servers_of_which_one_lives(cluster: Cluster, store: Path) -> None:
    edit(store, "pragma journal_mode = wal")
    with holder(store) as dead, holder(store) as living:
        assert {h.pid for h in holders(store)} == {dead.pid, living.pid}
        dead.kill()
        dead.wait()
        with pytest.raises(StoreInUse, match=f"process {living.pid} "):
            write(plan(store, cluster=cluster))


def test_nobody_can_open_it_meanwhile(
    cluster: Cluster, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own exclusive lock has the last word, should a holder be found by nothing else."""
    edit(store, "pragma journal_mode = wal")
    found = plan(store, cluster=cluster)
    met: list[str] = []

    def meanwhile(step: str, done: int, of: int) -> None:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite3.connect(store, timeout=0).execute("select * from session")
        met.append(step)

    assert write(found, progress=meanwhile).left == []
    assert {"looking for damage", "writing the backup", "writing"} <= set(met)

    again = plan(Path(shutil.copyfile(CRASHED, store)), cluster=cluster)
    edit(store, "pragma journal_mode = wal")
    with holder(store) as process:
        monkeypatch.setattr("recovery.opencode.write.refuse_if_held", lambda path: None)
        with pytest.raises(StoreInUse, match=f"process {process.pid} "):
            write(again)


# What changed meanwhile.


@pytest.mark.parametrize("what", ["data", "time_updated", "deleted"])
def test_a_row_that_changed_since_is_left(cluster: Cluster, store: Path, what: str) -> None:
    found = plan(store, cluster=cluster)
    statement = {
        "data": "update part set data = json_set(data, '$.state.status', 'completed') where id = ?",
        "time_updated": "update part set time_updated = time_updated + 1 where id = ?",
        "deleted": "delete from part where id = ?",
    }[what]
    edit(store, statement, TOOL)
    before = sqlite_stores.read(store)["part"].get(TOOL)
    done = write(found)
    assert [(row.table, row.id, row.problem) for row in done.left] == [
        ("part", TOOL, "changed since it was read")
    ]
    assert done.rows == {"part": 1, "message": 2}
    assert sqlite_stores.read(store)["part"].get(TOOL) == before
    assert done.events == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            '"output":""',
            r'"output":"a\u0000b \ud83d\ude00 \ud83d é 😀 1e5","n":1.50,"big":12345678901234567890123',
        ),
        ('"output":""', '"output":"tab\\t\\"quoted\\" \\/ back\\\\"'),
        ('"output":""', '"output": 5'),
        ('"metadata":{"output":""}', '"metadata" : [ 1, 2 ]'),
        ('"metadata":{"output":""},', ""),
    ],
)
def test_unusual_json_keeps_its_letters(cluster: Cluster, store: Path, old: str, new: str) -> None:
    """What a closing does not change stays as it was written: escapes, numbers, keys."""
    text = texts(store, "part")[TOOL]
    assert old in text
    edit(store, "update part set data = ? where id = ?", text.replace(old, new), TOOL)
    assert write(plan(store, cluster=cluster)).left == []
    after = texts(store, "part")[TOOL]
    for piece in (
        '"command":"sleep 600","description":"sleep","timeout":700000',
        '"n":1.50,"big":12345678901234567890123',
    ):
        assert (piece in after) == (piece in text.replace(old, new))
    state = json.loads(after)["state"]
    assert (state["status"], state["error"]) == ("error", stores.WORDS)
    assert state["metadata"]["interrupted"] is True
    if isinstance(state["metadata"].get("output"), str):
        assert state["metadata"]["output"].endswith(
            f"<shell_metadata>\n{stores.WORDS}\n</shell_metadata>"
        )
    if r"\u0000" in new:
        assert state["metadata"]["output"].startswith("a\0b 😀 \ud83d é 😀 1e5\n\n<shell_metadata>")


def test_bytes_that_are_no_utf_8_stay(cluster: Cluster, store: Path) -> None:
    edit(
        store,
        "update part set data = cast(replace(data, 'sleep 600', x'ff80') as text) where id = ?",
        TOOL,
    )
    assert write(plan(store, cluster=cluster)).left == []
    db = sqlite3.connect(store)
    (raw,) = db.execute("select cast(data as blob) from part where id = ?", [TOOL]).fetchone()
    db.close()
    assert b'"command":"\xff\x80"' in raw
    assert b'"status":"error"' in raw


def test_a_key_that_is_there_twice_is_left(cluster: Cluster, store: Path) -> None:
    """The last one counts for opencode; SQLite edits the first."""
    text = texts(store, "part")[TOOL].replace('"status":', '"status":"completed","status":')
    edit(store, "update part set data = ? where id = ?", text, TOOL)
    done = write(plan(store, cluster=cluster))
    assert [row.id for row in done.left] == [TOOL]
    assert texts(store, "part")[TOOL] == text


def test_row_33_malformed_rows_do_not_stop_the_rest(cluster: Cluster, store: Path) -> None:
    edit(store, "update part set data = '{\"type\": ' where id = ?", TOOL)
    found = plan(store, cluster=cluster)
    assert [row.id for row in found.imported.skipped] == [TOOL]
    assert write(found).rows == {"part": 1, "message": 2}


# The backup.


def test_the_backup_is_the_store_as_it_was(cluster: Cluster, store: Path) -> None:
    before = sqlite_stores.dump(store)
    done = write(plan(store, cluster=cluster))
    assert sqlite_stores.dump(done.backup) == before
    assert stat.S_IMODE(done.backup.stat().st_mode) == 0o600
    assert {p.name for p in store.parent.iterdir()} == {"opencode.db", done.backup.name}
    assert done.backup.name.startswith("opencode.db.before-repair-")


def test_a_store_that_may_not_be_written(
    cluster: Cluster, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write all: so the answer of the kernel is given here."""
    found = plan(store, cluster=cluster)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="may not be written"):
        write(found)


def test_a_backup_without_room(
    cluster: Cluster, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")
    found, before = plan(store, cluster=cluster), sqlite_stores.dump(store)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, old[1]))
    try:
        with pytest.raises(BackupFailed, match="before-repair"):
            write(found)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert sqlite_stores.dump(store) == before
    assert [path.name for path in store.parent.iterdir()] == ["opencode.db"]
    assert write(found).left == []


def test_no_file_is_overwritten_by_the_backup(cluster: Cluster, store: Path) -> None:
    mine = store.with_name("mine")
    mine.write_text("precious")
    before = sqlite_stores.dump(store)
    with pytest.raises(FileExistsError, match="mine"):
        write(plan(store, cluster=cluster), backup=mine)
    with pytest.raises(OSError, match="nowhere"):
        write(plan(store, cluster=cluster), backup=store.parent / "nowhere" / "x")
    assert mine.read_text() == "precious"
    assert sqlite_stores.dump(store) == before


# What is no whole store.


def test_a_copy_without_its_wal_is_noticed(cluster: Cluster, tmp_path: Path, store: Path) -> None:
    edit(store, "pragma journal_mode = wal")
    assert any("-wal" in warning for warning in plan(store, cluster=cluster).warnings)
    with holder(store):
        edit(store, "update session set title = 'later'")
    copy = Path(shutil.copyfile(store, tmp_path / "copy.db"))
    assert any("copy.db-wal" in warning for warning in plan(copy, cluster=cluster).warnings)
    assert plan(store, cluster=cluster).warnings == []


def test_a_damaged_store_is_not_written(cluster: Cluster, store: Path) -> None:
    found = plan(store, cluster=cluster)
    with store.open("r+b") as file:
        file.seek(store.stat().st_size - 40 * 4096)
        file.write(b"\xff" * 4096 * 30)
    raw = store.read_bytes()
    with pytest.raises(NotAStore, match=r"damaged|malformed|can't be"):
        write(found)
    assert store.read_bytes() == raw


def test_only_the_sessions_asked_for_with_those_below(cluster: Cluster, store: Path) -> None:
    child, parent = "ses_e03d3bf5bffe7IxZtnlv1GmrLS", "ses_e03d3cf64ffeETiasW3eDpUKPI"
    assert {c.session for c in plan(store, sessions=[child], cluster=cluster).changes} == {child}
    found = plan(store, sessions=[parent], cluster=cluster)
    assert {c.session for c in found.changes} == {child, parent}
    assert [s.id for s in found.sessions] == [parent, child]
    assert [[t.name for t in s.tools] for s in found.sessions] == [["task"], ["bash"]]
    with pytest.raises(InvalidArgument, match="no session ses_nope"):
        plan(store, sessions=[child, "ses_nope"], cluster=cluster)


# A repair that is killed.

# For each number that it reads, a child repairs, and kills itself before it asks for the so-manieth
# thing of SQLite or of the file system; 0: it says how many there are.
KILLED = """
import os, pickle, signal, sys
from recovery.opencode import write as module
plan, count = pickle.load(open(sys.argv[1], "rb")), 0
ACTS = {"execute", "fetchone", "backup", "fsync", "close", "unlink", "link", "connect", "chown", "open"}

def acts(frame, event, arg):
    global count
    if event == "c_call" and arg.__name__ in ACTS and frame.f_code.co_filename == module.__file__:
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:
    at, child = int(line), os.fork()
    if child == 0:
        sys.setprofile(acts)
        module.write(plan)
        sys.setprofile(None)
        if at == 0:
            print(count, flush=True)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(status, flush=True)
"""


def test_killed_at_any_moment_it_leaves_the_old_or_the_new_state(
    cluster: Cluster, store: Path, tmp_path: Path
) -> None:
    """After a crash of opencode, too, whose -wal and -shm lie there."""
    with holder(store) as process:
        edit(store, "update session set title = 'from the wal'")
        process.kill()
        process.wait()
    lying = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(lying) == {"opencode.db", "opencode.db-wal", "opencode.db-shm"}
    found = plan(store, cluster=cluster)
    pickled = tmp_path / "plan"
    pickled.write_bytes(pickle.dumps(found))

    def lay() -> None:
        for path in tmp_path.glob("opencode.db*"):
            path.unlink()
        for name, raw in lying.items():
            (tmp_path / name).write_bytes(raw)

    old = rows(store)
    command = [sys.executable, "-c", KILLED, str(pickled)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(at: int) -> int:
            lay()
            print(at, file=process.stdin, flush=True)
            return int(process.stdout.readline())  # type: ignore[union-attr]

        count = run(0)
        assert int(process.stdout.readline()) == 0
        new, seen = rows(store), set()
        assert new != old
        assert count > 30
        for at in range(1, count + 1):
            assert run(at) == -signal.SIGKILL
            left = rows(store)
            assert left in (old, new), at
            seen.add(left == new)
            for backup in tmp_path.glob("*.before-repair-*[0-9]"):
                assert rows(backup) == old
        process.stdin.close()
    assert seen == {False, True}


def rows(path: Path) -> dict[str, Any]:
    """What the store holds, without what differs from run to run: when an event was written."""
    found: dict[str, Any] = sqlite_stores.read(path)
    found["event"] = {
        session: [event[:2] for event in events]
        for session, events in sqlite_stores.events(path, 0).items()
    }
    return found


# opencode 2.


@pytest.mark.parametrize("sessions", ["session", "session_v2"])
def test_row_38_turns_of_opencode_2_are_closed_in_their_own_shape(
    cluster: Cluster, tmp_path: Path, sessions: str
) -> None:
    store = turns.load()
    path = turns.build(tmp_path / "opencode.db", store, sessions)
    before = sqlite_stores.dump(path)
    start = now()
    found = plan(path, cluster=cluster)
    assert len(found.changes) == 3
    assert {s.id: [t.name for t in s.tools] for s in found.sessions} == {
        "ses_dea6e4259ffeEQQD1HZ1qczyvI": ["bash", "bash"],
        "ses_dea6e44c1ffeaR5LQRIpV2GJbD": [],
        "ses_dea6e454cffe4YwSLekQl6RfZ7": ["bash"],
    }
    done = write(found)
    assert (done.rows, done.left, done.events) == ({"session_message": 3}, [], 3)
    when, data = Time(start, now()), texts(path, "session_message")
    failed = {}
    for row in store["session_message"]:
        if turns.is_open(row):
            assert json.loads(data[row["id"]]) == turns.closed(row, when)["data"]
            for tool in row["data"]["content"]:
                if tool["type"] == "tool" and tool["state"]["status"] == "running":
                    failed[row["session_id"], row["id"], tool["id"]] = tool["provider"]
        else:
            assert data[row["id"]] == json.dumps(row["data"])
    told = sqlite_stores.events(path, after=-1)
    for session in {session for session, _, _ in failed}:
        seq = next(s["seq"] for s in store["event_sequence"] if s["aggregate_id"] == session)
        new = [event for event in told[session] if event[0] > seq]
        assert [event[0] for event in new] == [seq + 1 + i for i in range(len(new))]
        for _, type_, event in new:
            assert type_ == "session.next.tool.failed.1"
            assert event.pop("timestamp") == when
            ids = event["sessionID"], event["assistantMessageID"], event["callID"]
            assert event == {
                **dict(zip(("sessionID", "assistantMessageID", "callID"), ids, strict=True)),
                "error": turns.INTERRUPTED,
                "provider": failed.pop(ids),
            }
    assert not failed
    after = sqlite_stores.dump(path)
    for table in before.keys() - {"session_message", "event", "event_sequence"}:
        assert after[table] == before[table]
    assert plan(path, cluster=cluster).changes == []


def test_row_38_a_tool_whose_arguments_are_still_arriving_and_a_shell(
    cluster: Cluster, tmp_path: Path
) -> None:
    store = turns.load()
    path = turns.build(tmp_path / "opencode.db", store)
    (message,) = [
        row["id"]
        for row in store["session_message"]
        if turns.is_open(row) and row["session_id"] == "ses_dea6e454cffe4YwSLekQl6RfZ7"
    ]
    pending = '{"type":"tool","id":"call_p","name":"read","state":{"status":"pending","input":""},"time":{"created":5}}'
    edit(
        path,
        "update session_message set data = json_set(data, '$.content[2]', json(?)) where id = ?",
        pending,
        message,
    )
    shell = '{"callID":"call_s","command":"make","output":"half","time":{"created":7}}'
    edit(
        path,
        "insert into session_message values ('msg_shell', ?, 'shell', 99, 7, 7, ?)",
        "ses_dea6e4b6cffeXjtuRPPVtKSixz",
        shell,
    )
    assert write(plan(path, cluster=cluster)).left == []
    data = texts(path, "session_message")
    tool = json.loads(data[message])["content"][2]
    assert tool["state"] == {
        "status": "error",
        "input": {},
        "content": [],
        "structured": {},
        "error": turns.INTERRUPTED,
    }
    closed = json.loads(data["msg_shell"])
    assert closed["output"].startswith("half\n\n<shell_metadata>\n")
    assert list(closed["time"]) == ["created", "completed"]
    (ended,) = (
        event
        for _, type_, event in sqlite_stores.events(path, -1)["ses_dea6e4b6cffeXjtuRPPVtKSixz"]
        if type_ == "session.next.shell.ended.1"
    )
    assert (ended["callID"], ended["output"]) == ("call_s", closed["output"])
