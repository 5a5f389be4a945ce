"""A real crashed store of opencode 2, as its SQLite file, and what a closing makes of its messages."""

from __future__ import annotations

import copy
import json
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from agent_store.stores import FOLDER, Row, Time

INTERRUPTED = {"type": "unknown", "message": "Tool execution interrupted"}


def load() -> dict[str, Any]:
    """The rows of each table, and ``schema``: the SQL of those of opencode 2."""
    return dict(json.loads((FOLDER / "v2" / "crashed.json").read_text()))


def build(path: Path, store: dict[str, Any] | None = None, sessions: str = "session") -> Path:
    """Writes the file. `sessions` names the table in which they are: ``session_v2`` in 2.0."""
    store = load() if store is None else store
    old = sqlite3.connect(FOLDER / "task-subagent.db")
    found = dict(old.execute("select name, sql from sqlite_master where type = 'table'"))
    old.close()
    tables = {name: found[name] for name in ("session", "message", "part")} | store["schema"]
    if sessions == "session_v2":
        like = {"id": "text primary key", "parent_id": "text", "title": "text", "shape": "text"}
        columns = ", ".join(f"{name} {type_}" for name, type_ in like.items())
        tables = {**store["schema"], "session_v2": f"create table session_v2 ({columns})"}
        tables = {n: s.replace("`session`", "`session_v2`") for n, s in tables.items()}
    db = sqlite3.connect(path)
    for statement in tables.values():
        db.execute(statement)
    for table in tables:
        known = [row[1] for row in db.execute(f"pragma table_info({table})")]
        for row in store.get("session" if table == "session_v2" else table, ()):
            values = {n: json.dumps(v) if n == "data" else v for n, v in row.items() if n in known}
            marks = ", ".join("?" * len(values))
            insert = f"insert into {table} ({', '.join(values)}) values ({marks})"
            db.execute(insert, list(values.values()))
    db.commit()
    db.close()
    return path


def read(conn: psycopg.Connection[Any]) -> dict[str, Row]:
    """Messages of opencode 2, without the owner."""
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute("select * from agent.session_message").fetchall()
    return {row["id"]: {n: v for n, v in row.items() if n != "server_epoch"} for row in found}


def is_open(row: Row) -> bool:
    """Whether the crash left it so."""
    return row["type"] == "assistant" and "completed" not in row["data"]["time"]


def closed(row: Row, when: Time) -> Row:
    """The message as opencode 2 itself leaves it, at the next prompt of its session."""
    row = copy.deepcopy(row)
    for entry in row["data"]["content"]:
        if entry["type"] == "tool" and entry["state"]["status"] in ("pending", "running"):
            input_ = entry["state"]["input"]
            entry["state"] = {
                "status": "error",
                "input": input_ if isinstance(input_, dict) else {},
                "content": [],
                "structured": {},
                "error": INTERRUPTED,
            }
            entry["time"]["completed"] = when
    row["data"]["time"]["completed"] = when
    row["time_updated"] = when
    return row
