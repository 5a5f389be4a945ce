"""What a repair would change: found by the real thing, in a PostgreSQL that is gone afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from recovery import calls, schema
from recovery.cluster import Cluster
from recovery.errors import InvalidArgument
from recovery.opencode.edits import Edit, differences
from recovery.opencode.file import LATER, TABLES, SQLiteStore, is_alone, opened
from recovery.opencode.store import Imported, import_store, with_children
from recovery.opencode.where import default_path

__all__ = ["Change", "Plan", "Session", "Tool", "plan"]

#: Name of the server that stands for the one which died.
_OWNER = "opencode"

_Rows = dict[tuple[str, str], dict[str, Any]]

#: What is going on, how much of it is done, and how much there is; 0: nobody knows.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Tool:
    """A tool that was in flight."""

    name: str
    since: datetime | None


@dataclass
class Session:
    """A session that has something in flight."""

    id: str
    title: str
    directory: str | None
    parent: str | None
    since: datetime | None = None  #: the oldest of what is in flight
    messages: int = 0  #: turns of the assistant without an end
    parts: int = 0  #: texts and reasonings without an end
    tools: list[Tool] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """A row of the store that is to be closed."""

    table: str
    id: str
    session: str
    data: bytes | None  #: the JSON text as it was read; None: the table has none
    edits: tuple[Edit, ...]  #: of that text
    old: Mapping[str, Any]  #: of the other columns that change
    new: Mapping[str, Any]


@dataclass
class Plan:
    """What would be closed, and what was noticed while looking."""

    path: Path
    imported: Imported
    sessions: list[Session] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    unknown: list[str] = field(
        default_factory=list
    )  #: what may be in flight and was not understood


def plan(
    path: str | Path,
    *,
    sessions: Iterable[str] = (),
    cluster: Cluster | None = None,
    progress: Progress = lambda step, done, of: None,
) -> Plan:
    """Loads the store into a PostgreSQL of its own, boots there, and reads what that closed.

    Args:
        path: of ``opencode.db``; it is only read.
        sessions: ids; only these are closed, with the sessions below them. None: all.
        cluster: that runs, to use instead of one of its own; a database is made in it, and dropped.
        progress: called now and then.

    Raises:
        FileNotFoundError: there is no such file.
        NotAStore: it is not SQLite, or lacks the tables.
        InvalidArgument: the store has no such session (RC010).
        PostgresUnavailable: there is no PostgreSQL to start.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(2, "no such file", str(path))
    with opened(path) as (store, _):
        known = _sessions(store)
        sessions = list(sessions)
        wanted = _wanted(known, sessions)
        progress("starting PostgreSQL", 0, 0)
        with _database(cluster) as dsn, psycopg.connect(dsn, autocommit=True) as conn:
            rows = {
                table: store.count(table) for table in (*TABLES, *LATER) if store.columns(table)
            }

            def tell(table: str, count: int) -> None:
                progress(f"reading {table}s", count, rows.get(table, 0))

            done = import_store(
                conn, path, owner=_OWNER, sessions=wanted if sessions else None, on_progress=tell
            )
            progress("closing", 0, 0)
            before, after = _close(conn)
        found = Plan(
            path,
            done,
            warnings=list(done.warnings),
            unknown=[str(each) for each in done.unknown if each.in_flight],
        )
        keys = [key for key, row in before.items() if _session_of(key, row) in wanted]
        texts = _texts(store, keys, before)
    for key in keys:
        change = _change(key, before[key], after[key], texts.get(key))
        if change is not None:
            if change.table == "session":
                change = replace(change, table=known[change.id]["table"])
            found.changes.append(change)
    found.sessions = _summary(known, [(key[0], before[key]) for key in keys])
    if is_alone(path) and (found.changes or path.resolve() != default_path().resolve()):
        found.warnings.append(
            f"{path} has no {path.name}-wal beside it. If it is a copy, copy that file, too: what"
            " opencode wrote last is only there"
        )
    return found


@contextmanager
def _database(cluster: Cluster | None) -> Iterator[str]:
    """A new database with the schema; it is gone afterwards."""
    with nullcontext(cluster) if cluster is not None else Cluster() as found:
        name = f"opencode_{secrets.token_hex(4)}"
        dsn = found.create_database(name)
        try:
            schema.upgrade(dsn)
            yield dsn
        finally:
            if cluster is not None:
                found.drop_database(name)


def _close(conn: psycopg.Connection[Any]) -> tuple[_Rows, _Rows]:
    """The rows that a boot closes, as they were and as they are then."""
    keys: dict[str, list[str]] = {}
    for row in calls.run(conn, calls.closing.preview(_OWNER)):
        if row.action == "close":
            keys.setdefault(row.watch.removeprefix("agent."), []).append(row.key)
    before = _rows(conn, keys)
    calls.run(conn, calls.server.boot(_OWNER, lease=timedelta(days=1)))
    return before, _rows(conn, keys)


def _rows(conn: psycopg.Connection[Any], keys: Mapping[str, Sequence[str]]) -> _Rows:
    found: _Rows = {}
    for table, ids in keys.items():
        statement = sql.SQL(
            "select t.id, to_jsonb(t) - 'server_epoch' from agent.{} as t where t.id = any(%s)"
        ).format(sql.Identifier(table))
        for id_, row in conn.execute(statement, [ids]):
            found[table, id_] = row
    return found


def _session_of(key: tuple[str, str], row: Mapping[str, Any]) -> str:
    return str(row.get("session_id", key[1]))


def _change(
    key: tuple[str, str], before: dict[str, Any], after: dict[str, Any], text: bytes | None
) -> Change | None:
    old, new = dict(before), dict(after)
    edits = tuple(differences(old.pop("data", None), new.pop("data", None)))
    names = [name for name in new if old[name] != new[name]]
    if not edits and not names:
        return None
    return Change(
        *key,
        _session_of(key, before),
        text,
        edits,
        {name: old[name] for name in names},
        {name: new[name] for name in names},
    )


def _texts(
    store: SQLiteStore, keys: Sequence[tuple[str, str]], rows: _Rows
) -> dict[tuple[str, str], bytes]:
    """The JSON texts as they lie in the store, in the state that was read before the import."""
    by_table: dict[str, list[str]] = {}
    for table, id_ in keys:
        if "data" in rows[table, id_]:
            by_table.setdefault(table, []).append(id_)
    return {
        (table, id_): text
        for table, ids in by_table.items()
        for id_, text in store.texts(table, ids)
    }


def _sessions(store: SQLiteStore) -> dict[str, dict[str, Any]]:
    """What is told of the sessions, and in which table each lies."""
    found = {}
    for table in ("session_v2", "session"):
        there = store.columns(table)
        columns = [name for name in ("id", "parent_id", "title", "directory") if name in there]
        for row in store.rows(table, columns) if columns else ():
            found[row[0]] = {**dict(zip(columns, row, strict=True)), "table": table}
    return found


def _wanted(known: Mapping[str, Mapping[str, Any]], sessions: Iterable[str]) -> frozenset[str]:
    """The sessions and all below them; without any: all there are."""
    wanted = dict.fromkeys(sessions)
    if not wanted:
        return frozenset(known)
    if missing := [id_ for id_ in wanted if id_ not in known]:
        raise InvalidArgument(f"the store has no session {', '.join(missing)}")
    parents = {id_: row.get("parent_id") for id_, row in known.items()}
    return frozenset(with_children(parents, wanted))


def _summary(
    known: Mapping[str, Mapping[str, Any]], rows: Iterable[tuple[str, Mapping[str, Any]]]
) -> list[Session]:
    found: dict[str, Session] = {}
    for table, row in rows:
        id_ = str(row.get("session_id", row["id"]))
        about = known[id_]
        session = found.setdefault(
            id_,
            Session(id_, about.get("title") or "", about.get("directory"), about.get("parent_id")),
        )
        data = row.get("data") or {}
        times = [_time(row.get("time_compacting") if table == "session" else row["time_created"])]
        if table == "part" and data.get("type") == "tool":
            state = data.get("state")
            started = _deep(state, "time", "start")
            session.tools.append(Tool(str(data.get("tool")), _time(started) or times[0]))
        elif table == "part":
            session.parts += 1
        elif table in ("message", "session_message"):
            session.messages += 1
            for name, since in _tools_v2(data) if table == "session_message" else ():
                session.tools.append(Tool(name, since or times[0]))
        session.since = min((t for t in (session.since, *times) if t is not None), default=None)
    return sorted(found.values(), key=lambda s: (s.since is None, s.since, s.id))


def _tools_v2(data: Mapping[str, Any]) -> Iterator[tuple[str, datetime | None]]:
    """Of a turn of opencode 2, whose tools are in the row."""
    content = data.get("content")
    for item in content if isinstance(content, list) else []:
        if _deep(item, "type") == "tool" and _deep(item, "time", "completed") is None:
            yield str(item.get("name")), _time(_deep(item, "time", "ran"))


def _deep(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _time(milliseconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
