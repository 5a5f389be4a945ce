"""Real stores as SQLite files: the captured rows in the tables of opencode 1.18.33."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent_store import stores

#: What the captured rows leave out and the tables demand.
_DEFAULTS = {
    "project_id": "global",
    "slug": "a",
    "directory": "/",
    "title": "",
    "version": "1.18.33",
}

Rows = dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]


def build(path: Path, store: Mapping[str, Any]) -> Path:
    """A closed, whole file with the tables of the captured database and the rows of a case."""
    pattern = sqlite3.connect(f"{(stores.FOLDER / 'task-subagent.db').as_uri()}?mode=ro", uri=True)
    tables = pattern.execute(
        "select sql from sqlite_master where sql is not null order by type desc"
    )
    db = sqlite3.connect(path)
    for (statement,) in tables.fetchall():
        db.execute(statement)
    pattern.close()
    for id_ in {row.get("project_id", "global") for row in store["session"]}:
        db.execute(
            "insert into project (id, worktree, time_created, time_updated, sandboxes)"
            " values (?, '/', 0, 0, '[]')",
            [id_],
        )
    for table, rows in store.items():
        if not isinstance(rows, list):
            continue
        known = [row[1] for row in db.execute(f"pragma table_info({table})")]
        for row in rows:
            values = {**{n: v for n, v in _DEFAULTS.items() if n in known}, **row}
            db.execute(
                f"insert into {table} ({', '.join(values)}) values ({', '.join('?' * len(values))})",
                [compact(v) if isinstance(v, dict | list) else v for v in values.values()],
            )
    if "event_sequence" not in store:
        db.execute("insert into event_sequence select id, 7, null from session")
    db.commit()
    db.execute("pragma journal_mode = wal")
    db.close()
    return path


def compact(value: Any) -> str:
    """JSON as JavaScript writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def dump(path: Path) -> Rows:
    """All rows of all tables by their rowid, each value as bytes or number."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    db.text_factory = bytes
    tables = [
        row[0].decode() for row in db.execute("select name from sqlite_master where type = 'table'")
    ]
    found = {
        table: {
            tuple(row[:1]): tuple(row[1:]) for row in db.execute(f"select rowid, * from {table}")
        }
        for table in tables
    }
    db.close()
    return found


def read(path: Path) -> stores.Rows:
    """Sessions, messages and parts as the captured cases have them."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    db.row_factory = sqlite3.Row
    found: stores.Rows = {}
    for table in ("session", "message", "part", "session_message"):
        found[table] = {}
        for row in db.execute(f"select * from {table}"):
            values = dict(row)
            if "data" in values:
                values["data"] = json.loads(values["data"])
            found[table][values["id"]] = values
    db.close()
    return found


def events(path: Path, after: int = 7) -> dict[str, list[tuple[int, str, dict[str, Any]]]]:
    """What was appended to opencode's own log, by session."""
    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    found: dict[str, list[tuple[int, str, dict[str, Any]]]] = {}
    for session, seq, type_, data in db.execute(
        "select aggregate_id, seq, type, data from event where seq > ? order by aggregate_id, seq",
        [after],
    ):
        found.setdefault(session, []).append((seq, type_, json.loads(data)))
    db.close()
    return found
