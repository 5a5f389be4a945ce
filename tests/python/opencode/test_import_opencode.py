"""Loading opencode's own SQLite file: what it reads, what it leaves alone, what it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agent_store import stores
from recovery import calls, errors, opencode
from recovery.opencode.store import _Loader

Connection = psycopg.Connection[Any]
FIXTURE = stores.FOLDER / "task-subagent.db"

# Writes in WAL mode and then waits for its end; nothing is checkpointed.
WRITER = """
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("pragma journal_mode = wal")
db.execute("pragma wal_autocheckpoint = 0")
db.execute("update session set title = 'from the wal'")
print(db.execute("select count(*) from session").fetchone()[0], flush=True)
time.sleep(60)
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of one's own."""
    folder = tmp_path / "share"
    folder.mkdir()
    return Path(shutil.copyfile(FIXTURE, folder / "opencode.db"))


@contextmanager
def writer(store: Path) -> Iterator[subprocess.Popen[str]]:
    """opencode at work; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, store], stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "2\n"
            yield process
        finally:
            process.kill()


def crashed(store: Path) -> Path:
    with writer(store):
        pass
    assert {p.name for p in store.parent.iterdir()} == {
        "opencode.db",
        "opencode.db-wal",
        "opencode.db-shm",
    }
    return store


def prints(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def titles(conn: Connection) -> set[str]:
    return {row[0] for row in conn.execute("select title from agent.session")}


def edit(store: Path, *statements: str, **values: Any) -> None:
    db = sqlite3.connect(store, isolation_level=None)
    for statement in statements:
        db.execute(statement, values)
    db.close()


def test_a_file_loads_as_the_json_of_the_same_store(conn: Connection) -> None:
    done = opencode.import_store(conn, FIXTURE)
    assert done.loaded == {"session": 2, "message": 4, "part": 8}
    assert not done.skipped
    assert not done.ignored
    expected, _ = stores.load("task-subagent")
    found = stores.read(conn)
    for table, rows in found.items():
        plain = {id_: {k: v for k, v in row.items() if v is not None} for id_, row in rows.items()}
        assert plain == {row["id"]: row for row in expected[table]}


def test_a_second_import_changes_nothing(conn: Connection) -> None:
    first = opencode.import_store(conn, FIXTURE)
    before = stores.read(conn)
    second = opencode.import_store(conn, FIXTURE)
    assert second.loaded == {"session": 0, "message": 0, "part": 0}
    assert second.present == first.loaded
    assert second.epochs == first.epochs
    assert stores.read(conn) == before


def test_rows_that_came_later_are_added(conn: Connection, store: Path) -> None:
    opencode.import_store(conn, store)
    edit(
        store,
        "insert into part select 'prt_new', message_id, session_id, time_created, time_updated,"
        " data from part limit 1",
    )
    assert opencode.import_store(conn, store).loaded == {"session": 0, "message": 0, "part": 1}


def test_an_import_after_the_boot_does_not_reopen(conn: Connection) -> None:
    opencode.import_store(conn, FIXTURE)
    epoch = calls.run(conn, calls.server.boot("opencode", lease=timedelta(seconds=15))).epoch
    calls.run(conn, calls.server.shutdown(epoch))
    before = stores.read(conn)
    opencode.import_store(conn, FIXTURE)
    assert stores.read(conn) == before


@pytest.mark.parametrize("kind", ["crashed", "without shm", "empty main file", "live", "clean"])
def test_the_wal_is_read_and_no_file_is_touched(conn: Connection, store: Path, kind: str) -> None:
    if kind == "live":
        with writer(store):
            before = prints(store.parent)
            opencode.import_store(conn, store)
            assert prints(store.parent) == before
    else:
        if kind == "empty main file":
            # As a young opencode leaves it: not one page has been checkpointed.
            fresh = store.with_name("opencode.db.new")
            script = (
                "import os, sqlite3, sys; d = sqlite3.connect(sys.argv[1]);"
                "d.execute('pragma journal_mode = wal');"
                "d.execute('pragma wal_autocheckpoint = 0');"
                "d.executescript(sys.stdin.read());"
                "d.execute(\"update session set title = 'from the wal'\"); d.commit();"
                "os.kill(os.getpid(), 9)"
            )
            old = sqlite3.connect(store)
            dump = "\n".join(old.iterdump())
            old.close()
            store.unlink()
            command = [sys.executable, "-c", script, fresh]
            subprocess.run(command, input=dump, text=True, check=False)
            for path in list(store.parent.iterdir()):
                path.rename(path.with_name(path.name.replace("opencode.db.new", "opencode.db")))
            assert b"session" not in store.read_bytes()
        else:
            crashed(store)
        if kind in ("without shm", "empty main file"):
            store.with_name("opencode.db-shm").unlink()
        if kind == "clean":
            edit(store, "pragma wal_checkpoint(truncate)")
            assert [p.name for p in store.parent.iterdir()] == ["opencode.db"]
        before = prints(store.parent)
        opencode.import_store(conn, store)
        assert prints(store.parent) == before
    assert titles(conn) == {"from the wal"}
    leftovers = conn.execute("select count(*) from agent.part").fetchone()
    assert leftovers == (8,)


def test_an_import_of_a_live_store_warns(conn: Connection, store: Path) -> None:
    with writer(store) as process:
        (warning,) = opencode.import_store(conn, store).warnings
        assert f"in use by process {process.pid} " in warning
        process.kill()
        process.wait()
        assert opencode.import_store(conn, store).warnings == []


def test_a_bad_row_is_named_and_all_others_load(conn: Connection, store: Path) -> None:
    bad = "prt_1fc2c41b1001GXAkPgqoY35lbc"
    edit(store, "update part set data = :data where id = :id", id=bad, data='{"type": "step-start"')
    told: list[opencode.Skipped] = []
    done = opencode.import_store(conn, store, on_skip=told.append)
    assert told == done.skipped
    (skipped,) = told
    assert (skipped.table, skipped.id, skipped.row) == ("part", bad, 6)
    assert "character 21" in skipped.problem
    assert done.loaded == {"session": 2, "message": 4, "part": 7}


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{'type': 'text'}",
        '{"type": "text", "n": NaN}',
        '{"type": "text", "n": 1e999999}',
        '{"type": "text"} x',
        '{"type": "text", "t": "a\tb"}',
        None,
        b"\xff\xfe",
        '{"n": ' + "9" * 200_000 + "}",
    ],
)
def test_what_is_no_json_to_postgres_is_skipped(conn: Connection, store: Path, data: Any) -> None:
    edit(store, "create table part2 as select * from part", "drop table part")
    edit(store, "alter table part2 rename to part")
    edit(store, "update part set data = :data where rowid in (2, 5)", data=data)
    done = opencode.import_store(conn, store)
    assert [skipped.row for skipped in done.skipped] == [2, 5]
    assert done.loaded["part"] == 6


def test_a_message_that_is_skipped_takes_only_its_parts_along(
    conn: Connection, store: Path
) -> None:
    edit(store, "update message set data = '{' where id = 'msg_1fc2c4130001D6XTxj9Ujf3PLD'")
    done = opencode.import_store(conn, store)
    assert [s.table for s in done.skipped] == ["message", "part", "part", "part"]
    assert done.loaded == {"session": 2, "message": 3, "part": 5}


@pytest.mark.parametrize(
    ("data", "text", "count"),
    [
        (r'{"type":"text","text":"a\u0000b"}', "a\ufffdb", 1),
        (r'{"type":"text","text":"a\\u0000b"}', r"a\u0000b", 0),
        (r'{"type":"text","text":"a\\\u0000b"}', "a\\\ufffdb", 1),
        (r'{"type":"text","text":"\ud83d\ude00 \ud83d \ude00"}', "😀 \ufffd \ufffd", 2),
        (r'{"type":"text","text":"\uD83D\uDE00"}', "😀", 0),
        (b'{"type":"text","text":"a\xffb"}', "a\ufffdb", 1),
        (b'{"type":"text","text":"a\x00b"}', "a\ufffdb", 1),
    ],
)
def test_what_jsonb_cannot_hold_is_replaced_and_counted(
    conn: Connection, store: Path, data: Any, text: str, count: int
) -> None:
    edit(store, "update part set data = :data where rowid = 1", data=data)
    done = opencode.import_store(conn, store)
    assert done.replaced == count
    first = "prt_1fc2c311d001zlnVNtRMECWH1U"
    assert stores.read(conn)["part"][first]["data"]["text"] == text


def test_columns_of_another_version_are_named(conn: Connection, store: Path) -> None:
    edit(store, "alter table message add column colour text default 'red'")
    edit(store, "alter table session drop column agent")
    done = opencode.import_store(conn, store)
    assert done.ignored == {"message": ["colour"]}
    assert done.missing == {"session": ["agent"]}
    assert done.loaded["message"] == 4


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        ("drop table part", "no table 'part'"),
        ("alter table message rename column data to body", "'message' of .* has no column data"),
    ],
)
def test_a_store_of_another_shape_is_refused(
    conn: Connection, store: Path, how: str, problem: str
) -> None:
    edit(store, how)
    with pytest.raises(opencode.NotAStore, match=problem):
        opencode.import_store(conn, store)
    assert not titles(conn)
    assert conn.execute("select count(*) from recovery.server").fetchone() == (0,)


def test_what_is_no_store_is_refused(conn: Connection, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        opencode.import_store(conn, tmp_path / "nope.db")
    with pytest.raises(opencode.NotAStore, match="is a folder"):
        opencode.import_store(conn, tmp_path)
    for content in (b"", b"hello", b"SQLite format 3\0" + bytes(200)):
        (tmp_path / "x.db").write_bytes(content)
        with pytest.raises(opencode.NotAStore, match=r"x\.db"):
            opencode.import_store(conn, tmp_path / "x.db")


def test_owners_by_name_by_epoch_and_by_parent(conn: Connection) -> None:
    store, expect = stores.load("task-subagent")
    (link,) = expect["links"]
    done = opencode.load_store(conn, store, owners={link["parent_session"]: "A"})
    assert list(done.epochs) == ["A"]
    owners = conn.execute("select distinct server_epoch from recovery.open_work()").fetchall()
    assert owners == [(done.epochs["A"],)]

    store, expect = stores.load("two-servers-one-db")
    sessions = [row["id"] for row in store["session"]]
    mine = calls.run(conn, calls.server.boot("mine", lease=timedelta(seconds=15))).epoch
    done = opencode.load_store(conn, store, owner="B", owners={sessions[0]: mine})
    assert list(done.epochs) == ["B"]
    owners = conn.execute(
        "select distinct session_id, server_epoch from agent.message"
        " where session_id = any(%s) and server_epoch is not null",
        (sessions,),
    ).fetchall()
    expected = {**dict.fromkeys(sessions, done.epochs["B"]), sessions[0]: mine}
    assert dict(owners).items() <= expected.items()
    assert {owner for _, owner in owners} == {done.epochs["B"], mine}


def test_a_live_server_of_that_name_is_not_superseded(conn: Connection) -> None:
    calls.run(conn, calls.server.boot("opencode", lease=timedelta(seconds=15)))
    with pytest.raises(errors.NameTaken, match="opencode"):
        opencode.import_store(conn, FIXTURE)
    assert not titles(conn)


def test_a_failing_import_leaves_nothing(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    write: Callable[..., None] = _Loader._write

    def lost(self: Any, rows: Any) -> None:
        if self._table == "part":
            raise psycopg.OperationalError("the connection is lost")
        write(self, rows)

    monkeypatch.setattr(_Loader, "_write", lost)
    with pytest.raises(psycopg.OperationalError):
        opencode.import_store(conn, FIXTURE)
    assert not titles(conn)


def test_without_the_tables_it_says_what_to_run(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        with pytest.raises(errors.SchemaMismatch, match="recovery migrate upgrade"):
            opencode.import_store(conn, FIXTURE)


def test_parsed_and_unparsed_data_are_the_same(conn: Connection) -> None:
    store, _ = stores.load("bash-running")
    for table in ("message", "part"):
        for row in store[table]:
            row["data"] = json.dumps(row["data"])
    opencode.load_store(conn, store)
    expected, _ = stores.load("bash-running")
    found = stores.read(conn)
    for row in expected["part"]:
        assert found["part"][row["id"]]["data"] == row["data"]
