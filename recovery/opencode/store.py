"""Loading a store, row by row: from opencode's file, or from what was read elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, Protocol

import psycopg
from psycopg import sql

from recovery import calls
from recovery.errors import NameTaken, SchemaMismatch
from recovery.opencode.file import TABLES, NotAStore, decode, opened

__all__ = ["Imported", "Skipped", "import_store", "load_store"]

#: ``recovery.server.version`` of the servers that only stand for an imported store.
IMPORTED = "imported store"

_BATCH = 500

_Connection = psycopg.Connection[Any]
_Row = Mapping[str, Any]


@dataclass(frozen=True)
class Skipped:
    """A row that could not be loaded."""

    table: str
    id: str
    row: int  #: its place in the table as read, from 1
    problem: str  #: with the place in the JSON text, if that is the problem

    def __str__(self) -> str:
        return f"{self.table} {self.id} (row {self.row}): {self.problem}"


@dataclass
class Imported:
    """What an import did."""

    epochs: dict[str, int] = field(default_factory=dict)  #: of each server named
    loaded: dict[str, int] = field(default_factory=dict)  #: rows, by table
    present: dict[str, int] = field(default_factory=dict)  #: were there before, unchanged
    skipped: list[Skipped] = field(default_factory=list)
    replaced: int = 0  #: characters that PostgreSQL can't hold, now U+FFFD
    ignored: dict[str, list[str]] = field(default_factory=dict)  #: columns we have no place for
    missing: dict[str, list[str]] = field(default_factory=dict)  #: columns that the store lacks


def import_store(
    conn: _Connection,
    path: str | Path,
    *,
    owner: str | int = "opencode",
    owners: Mapping[str, str | int] | None = None,
    on_skip: Callable[[Skipped], None] | None = None,
) -> Imported:
    """Loads opencode's own SQLite file, in one transaction. A second import adds what is new.

    Args:
        conn: in autocommit mode (a server is booted first).
        path: of ``opencode.db``; opencode may be running on it.
        owner: the server that owned the sessions which `owners` does not name: a
            name, or the epoch of a server that the caller booted.
        owners: session id → server, likewise. Child sessions go with their parent.
        on_skip: called for each row that could not be loaded, at once.

    Raises:
        FileNotFoundError: there is no such file.
        NotAStore: it is not SQLite, or lacks the tables.
        NameTaken: `owner` is the name of a live server (RC005).
        SchemaMismatch: schema ``agent`` is not installed (RC009).
    """
    with opened(Path(path).expanduser()) as (source, unchanged):
        return _load(conn, source, owner, owners or {}, on_skip, unchanged)


def load_store(
    conn: _Connection,
    store: Mapping[str, Any],
    *,
    owner: str | int = "opencode",
    owners: Mapping[str, str | int] | None = None,
    on_skip: Callable[[Skipped], None] | None = None,
) -> Imported:
    """Loads rows that are in memory: ``{"session": [...], "message": [...], "part": [...]}``.

    `data` of messages and parts may be parsed or JSON text. Else as `import_store`.
    """
    return _load(conn, _Memory(store), owner, owners or {}, on_skip, lambda: None)


class _Source(Protocol):
    @property
    def lease(self) -> timedelta: ...

    def columns(self, table: str) -> list[str]: ...

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]: ...


class _Memory:
    lease = timedelta(seconds=15)

    def __init__(self, store: Mapping[str, Any]) -> None:
        for table, required in TABLES.items():
            rows = store.get(table)
            if not isinstance(rows, Sequence) or isinstance(rows, str):
                raise NotAStore(f"the store has no list {table!r}")
            if rows and (lacks := set(required) - set(self._columns(rows))):
                raise NotAStore(f"the rows of {table!r} have no {', '.join(sorted(lacks))}")
        self._store: Mapping[str, Sequence[_Row]] = store

    @staticmethod
    def _columns(rows: Iterable[_Row]) -> list[str]:
        return list(dict.fromkeys(name for row in rows for name in row))

    def columns(self, table: str) -> list[str]:
        return self._columns(self._store[table]) or list(TABLES[table])

    def rows(self, table: str, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        return (tuple(map(row.get, columns)) for row in self._store[table])


def _load(
    conn: _Connection,
    source: _Source,
    owner: str | int,
    owners: Mapping[str, str | int],
    on_skip: Callable[[Skipped], None] | None,
    unchanged: Callable[[], None],
) -> Imported:
    done = Imported()
    ours = {table: _target(conn, table) for table in TABLES}
    epoch_of = _epochs(conn, source, owner, owners, source.lease, done)
    with conn.transaction():
        for table in TABLES:
            theirs = source.columns(table)
            types = {name: ours[table][name] for name in theirs if name in ours[table]}
            if extra := [name for name in theirs if name not in types]:
                done.ignored[table] = extra
            if lacking := [n for n in ours[table] if n not in types and n != "server_epoch"]:
                done.missing[table] = lacking
            done.loaded[table] = done.present[table] = 0
            loader = _Loader(conn, table, types, epoch_of, done, on_skip)
            rows = enumerate(source.rows(table, list(types)), start=1)
            while batch := list(islice(rows, _BATCH)):
                loader.load(batch)
        unchanged()
    return done


class _Loader:
    """Loads the rows of one table."""

    def __init__(
        self,
        conn: _Connection,
        table: str,
        types: Mapping[str, str],
        epoch_of: Callable[[str], int],
        done: Imported,
        on_skip: Callable[[Skipped], None] | None,
    ) -> None:
        self._conn, self._table, self._types = conn, table, types
        self._epoch_of, self._done, self._on_skip = epoch_of, done, on_skip
        self._id = list(types).index("id")
        self._session = list(types).index("id" if table == "session" else "session_id")
        columns = {**types, "server_epoch": "bigint"}
        self._insert = sql.SQL(
            "insert into agent.{} ({}) select * from unnest({}) on conflict do nothing"
        ).format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.SQL(f"%b::{type_}[]") for type_ in columns.values()),
        )

    def load(self, batch: Iterable[tuple[int, tuple[Any, ...]]]) -> None:
        """Loads a batch; what PostgreSQL refuses is searched for, reported and left out."""
        by_epoch: dict[int, list[tuple[int, tuple[Any, ...]]]] = {}
        for row, values in batch:
            try:
                ready = tuple(map(self._value, values, self._types.values()))
            except ValueError as problem:
                self._skip(row, values, str(problem))
                continue
            epoch = self._epoch_of(ready[self._session])
            by_epoch.setdefault(epoch, []).append((row, (*ready, epoch)))
        for epoch, rows in by_epoch.items():
            self._conn.execute(calls.session.set_epoch(epoch, local=True).encode())
            self._write(rows)

    def _write(self, rows: list[tuple[int, tuple[Any, ...]]]) -> None:
        try:
            with self._conn.transaction(), self._conn.cursor() as cursor:
                cursor.execute(
                    self._insert, [list(c) for c in zip(*(v for _, v in rows), strict=True)]
                )
                new = cursor.rowcount
        except psycopg.Error as error:
            # Wrong data, a constraint, a limit, a trigger of the host: about one row.
            # Anything else (a lost connection, no privilege, an ended epoch) is not.
            if not (isinstance(error, psycopg.DataError) or _class(error) in {"23", "54", "P0"}):
                raise
            if len(rows) == 1:
                self._skip(*rows[0], error.diag.message_primary or str(error))
                return
            middle = len(rows) // 2
            self._write(rows[:middle])
            self._write(rows[middle:])
        else:
            self._done.loaded[self._table] += new
            self._done.present[self._table] += len(rows) - new

    def _value(self, value: Any, type_: str) -> Any:
        """What PostgreSQL takes for a value of SQLite or of a parsed JSON file."""
        if type_ in {"json", "jsonb"}:
            if value is not None and not isinstance(value, str | bytes):
                value = json.dumps(value)
            return self._clean(value, is_json=True)
        if type_ == "text" and value is not None:
            if isinstance(value, dict | list):
                value = json.dumps(value)
            return self._clean(value if isinstance(value, bytes) else str(value))
        return value

    def _clean(self, value: str | bytes | None, is_json: bool = False) -> str | None:
        if value is None:
            return None
        text = decode(value) if isinstance(value, bytes) else value
        text, count = _RAW.subn("\N{REPLACEMENT CHARACTER}", text)
        if is_json:
            if _SUSPECT.search(text):

                def mend(match: re.Match[str]) -> str:
                    nonlocal count
                    if match["bad"] is None:
                        return match[0]
                    count += 1
                    return r"\ufffd"

                text = _ESCAPE.sub(mend, text)
            try:
                # PostgreSQL would find it as well, but not say where.
                json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
            except json.JSONDecodeError as error:
                raise ValueError(f"not JSON at character {error.pos}: {error.msg}") from None
            except RecursionError:
                pass  # deep is not wrong: PostgreSQL decides
        self._done.replaced += count
        return text

    def _skip(self, row: int, values: tuple[Any, ...], problem: str) -> None:
        id_ = values[self._id]
        if isinstance(id_, bytes):
            id_ = decode(id_)
        skipped = Skipped(self._table, "without an id" if id_ is None else str(id_), row, problem)
        self._done.skipped.append(skipped)
        if self._on_skip is not None:
            self._on_skip(skipped)


#: NUL, and the halves of surrogate pairs (which also stand for bytes that are not UTF-8).
_RAW = re.compile("[\0\ud800-\udfff]")
_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<bad>u0000|u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"not JSON: {name}")


def _class(error: psycopg.Error) -> str:
    return (error.sqlstate or "")[:2]


def _target(conn: _Connection, table: str) -> dict[str, str]:
    """Our columns of a table and their types."""
    columns = calls.run(conn, _columns(f"agent.{table}"))
    if not columns:
        raise SchemaMismatch(
            f"the database has no table agent.{table}", hint="run `recovery migrate upgrade`"
        )
    return columns


def _columns(table: str) -> calls.Call[dict[str, str]]:
    return calls.Call(
        "select attname::text, atttypid::regtype::text from pg_catalog.pg_attribute"
        " where attrelid = to_regclass(%(table)s::text) and attnum > 0 and not attisdropped"
        " order by attnum",
        {"table": table},
        lambda rows: {row[0]: row[1] for row in rows},
    )


def _open_epochs(name: str) -> calls.Call[list[tuple[int, str, str | None]]]:
    """Boots of a name that have not ended: epoch, state, version."""
    return calls.Call(
        "select epoch, state, version from recovery.server_status"
        " where name = %(name)s::text and ended is null order by epoch desc",
        {"name": name},
        lambda rows: [(row[0], row[1], row[2]) for row in rows],
    )


def _stand_in(conn: _Connection, name: str, lease: timedelta) -> int:
    """The epoch of a server that stands for the one which wrote the store.

    A second import finds that of the first: booting again would close its work.
    """
    for epoch, state, version in calls.run(conn, _open_epochs(name)):
        if version == IMPORTED:
            return epoch
        if state != "dead":
            raise NameTaken(
                f"server {name!r} is {state} (epoch {epoch}): booting it for an import would close"
                " its work",
                hint="give the sessions another owner",
            )
    return calls.run(conn, calls.server.boot(name, lease=lease, version=IMPORTED)).epoch


def _epochs(
    conn: _Connection,
    source: _Source,
    owner: str | int,
    owners: Mapping[str, str | int],
    lease: timedelta,
    done: Imported,
) -> Callable[[str], int]:
    """Boots the servers that are needed, and returns: session id → epoch."""
    linked = "parent_id" in source.columns("session")
    rows = source.rows("session", ["id", "parent_id"] if linked else ["id", "id"])
    parents: dict[str, str | None] = dict(rows)

    def owner_of(session: str) -> str | int:
        seen: set[str] = set()
        at: str | None = session
        while at is not None and at not in seen:
            if at in owners:
                return owners[at]
            seen.add(at)
            at = parents.get(at)
        return owner

    of_session = {session: owner_of(session) for session in parents}
    # Rows of a session that is not there are refused anyway, whoever they belong to.
    spare = next(iter(of_session.values()), owner)
    for server in dict.fromkeys([*of_session.values(), spare]):
        if isinstance(server, str):
            done.epochs[server] = _stand_in(conn, server, lease)

    def epoch_of(session: str) -> int:
        server = of_session.get(session, spare)
        return done.epochs[server] if isinstance(server, str) else server

    return epoch_of
