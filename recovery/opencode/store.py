"""Loading a store, row by row: from opencode's file, or from what was read elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from psycopg import sql

from recovery import calls
from recovery.errors import NameTaken, SchemaMismatch
from recovery.opencode.file import LATER, TABLES, NotAStore, decode, opened
from recovery.opencode.holders import holders
from recovery.opencode.unknown import Source, Unknown, find

__all__ = ["Imported", "Skipped", "Unknown", "import_store", "load_store", "with_children"]

#: ``recovery.server.version`` of the servers that only stand for an imported store.
IMPORTED = "imported store"

_BATCH = 1000

_ALL = {**TABLES, **LATER}

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
    """What an import did. The tables are the store's: ``session_v2`` is loaded into ``session``."""

    epochs: dict[str, int] = field(default_factory=dict)  #: of each server named
    loaded: dict[str, int] = field(default_factory=dict)  #: new rows, by table
    present: dict[str, int] = field(default_factory=dict)  #: were there before, unchanged
    updated: dict[str, int] = field(default_factory=dict)  #: had changed in the store since
    kept: dict[str, int] = field(default_factory=dict)  #: differ, for they were closed here
    vanished: dict[str, list[str]] = field(default_factory=dict)  #: ids that the store lost since
    skipped: list[Skipped] = field(default_factory=list)
    replaced: int = 0  #: characters that PostgreSQL can't hold, now U+FFFD
    ignored: dict[str, list[str]] = field(default_factory=dict)  #: columns we have no place for
    missing: dict[str, list[str]] = field(default_factory=dict)  #: columns that the store lacks
    unknown: list[Unknown] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def understood(self) -> bool:
        """Whether all that may be in flight is known, and so will be closed."""
        return not any(each.in_flight for each in self.unknown)


def import_store(
    conn: _Connection,
    path: str | Path,
    *,
    owner: str | int = "opencode",
    owners: Mapping[str, str | int] | None = None,
    sessions: Iterable[str] | None = None,
    on_skip: Callable[[Skipped], None] | None = None,
    on_progress: Callable[[str, int], None] | None = None,
) -> Imported:
    """Loads opencode's own SQLite file, in one transaction.

    A second import adds what is new and updates what has changed in the store since, except
    what recovery has closed here. What the store has lost since stays, and is named.

    Args:
        conn: in autocommit mode (a server is booted first).
        path: of ``opencode.db``; opencode may be running on it.
        owner: the server that owned the sessions which `owners` does not name: a
            name, or the epoch of a server that the caller booted.
        owners: session id → server, likewise. Child sessions go with their parent.
        sessions: only these, with their parents and all their children.
        on_skip: called for each row that could not be loaded, at once.
        on_progress: called after each batch with the table and its rows so far.

    Raises:
        FileNotFoundError: there is no such file.
        NotAStore: it is not SQLite, or lacks the tables.
        LookupError: one of `sessions` is not in the store.
        NameTaken: `owner` is the name of a live server (RC005).
        SchemaMismatch: schema ``agent`` is not installed (RC009).
    """
    path = Path(path).expanduser()
    with opened(path) as (source, unchanged):
        done = _load(conn, source, owner, owners or {}, sessions, on_skip, on_progress, unchanged)
    done.warnings += _warnings(path)
    return done


def load_store(
    conn: _Connection,
    store: Mapping[str, Any],
    *,
    owner: str | int = "opencode",
    owners: Mapping[str, str | int] | None = None,
    sessions: Iterable[str] | None = None,
    on_skip: Callable[[Skipped], None] | None = None,
    on_progress: Callable[[str, int], None] | None = None,
) -> Imported:
    """Loads rows that are in memory: ``{"session": [...], "message": [...], "part": [...]}``.

    And those of opencode 2, ``"session_message"`` and ``"session_input"``. `data` may be parsed
    or JSON text. Else as `import_store`.
    """
    source = _Memory(store)
    return _load(conn, source, owner, owners or {}, sessions, on_skip, on_progress, lambda: None)


def _warnings(path: Path) -> list[str]:
    """What is doubtful about a store that was read."""
    return [
        f"{path} is in use by {holder}: what it does at the moment looks like work in flight"
        for holder in holders(path)
    ]


class _Memory:
    lease = timedelta(seconds=15)

    def __init__(self, store: Mapping[str, Any]) -> None:
        for table, required in _ALL.items():
            rows = store.get(table)
            if rows is None and table in LATER:
                continue
            if not isinstance(rows, Sequence) or isinstance(rows, str):
                raise NotAStore(f"the store has no list {table!r}")
            if rows and (lacks := set(required) - set(self._columns(rows))):
                raise NotAStore(f"the rows of {table!r} have no {', '.join(sorted(lacks))}")
        self._store = store

    @staticmethod
    def _columns(rows: Iterable[_Row]) -> list[str]:
        return list(dict.fromkeys(name for row in rows for name in row))

    def columns(self, table: str) -> list[str]:
        return self._columns(self._store.get(table, ())) or list(_ALL[table])

    def tables(self) -> list[str]:
        return [
            name
            for name, rows in self._store.items()
            if isinstance(rows, Sequence) and not isinstance(rows, str) and rows
        ]

    def count(self, table: str) -> int:
        return len(self._store.get(table, ()))

    def rows(
        self, table: str, columns: Sequence[str], sessions: Collection[str] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        for row in self._store.get(table, ()):
            if sessions is None or row.get("session_id", row.get("id")) in sessions:
                yield tuple(map(row.get, columns))


#: Where a store's tables go.
_INTO = {"session_v2": "session"}

_TIMES = ("time_created", "time_updated")


def _load(
    conn: _Connection,
    source: Source,
    owner: str | int,
    owners: Mapping[str, str | int],
    sessions: Iterable[str] | None,
    on_skip: Callable[[Skipped], None] | None,
    on_progress: Callable[[str, int], None] | None,
    unchanged: Callable[[], None],
) -> Imported:
    done = Imported(loaded=dict.fromkeys(TABLES, 0), present=dict.fromkeys(TABLES, 0))
    filled = set(source.tables())
    tables = [*TABLES, *(table for table in LATER if table in filled)]
    lacks: dict[str, list[str]] = {}
    for table in tables[len(TABLES) :]:
        columns = source.columns(table)
        if lacking := [name for name in LATER[table] if name not in columns]:
            lacks[table] = lacking
    tables = [table for table in tables if table not in lacks and source.columns(table)]
    ours = {table: _target(conn, _INTO.get(table, table)) for table in tables}
    parents = _parents(source, tables)
    chosen = None if sessions is None else _chosen(parents, list(sessions))
    if chosen is not None:
        parents = {id_: parent for id_, parent in parents.items() if id_ in chosen}
    epoch_of = _epochs(conn, parents, owner, owners, source.lease, done)
    with conn.transaction():
        seen: dict[str, set[str]] = {}
        for table in tables:
            target = _INTO.get(table, table)
            theirs = source.columns(table)
            types = {name: ours[table][name] for name in theirs if name in ours[table]}
            if extra := [name for name in theirs if name not in types]:
                done.ignored[table] = extra
            if lacking := [n for n in ours[table] if n not in types and n != "server_epoch"]:
                done.missing[table] = lacking
            # A later opencode may keep its times elsewhere.
            fill = [n for n in _TIMES if table in LATER and n in ours[table] and n not in types]
            all_types = types | dict.fromkeys(fill, "bigint")
            loader = _Loader(
                conn,
                table,
                target,
                all_types,
                "server_epoch" in ours[table],
                list(parents),
                epoch_of,
                done,
                on_skip,
            )
            # A session of 1.x may have its row in both tables.
            done_before = seen.get(target, set())
            rows = enumerate(source.rows(table, list(types), chosen), start=1)
            count = 0
            while batch := list(islice(rows, _BATCH)):
                loader.load(
                    (row, (*values, *[0] * len(fill)))
                    for row, values in batch
                    if values[loader.id] not in done_before
                )
                count += len(batch)
                if on_progress is not None:
                    on_progress(table, count)
            seen[target] = done_before | loader.seen
            if table == "session":
                continue
            if gone := sorted(loader.before - seen[target]):
                done.vanished[table] = gone
        done.unknown = find(conn, source, lacks, list(parents))
        unchanged()
    return done


class _Loader:
    """Loads the rows of one table."""

    def __init__(
        self,
        conn: _Connection,
        table: str,
        target: str,
        types: Mapping[str, str],
        watched: bool,
        sessions: list[str],
        epoch_of: Callable[[str], int],
        done: Imported,
        on_skip: Callable[[Skipped], None] | None,
    ) -> None:
        self._conn, self._table, self._types = conn, table, types
        self._epoch_of, self._done, self._on_skip = epoch_of, done, on_skip
        names = list(types)
        self.id = names.index("id")
        self._session = names.index("id" if target == "session" else "session_id")
        self._compacting = (
            names.index("time_compacting")
            if target == "session" and "time_compacting" in types
            else None
        )
        self.seen: set[str] = set()
        #: What was there of these sessions before.
        self.before: set[str] = calls.run(conn, _there(target, sessions))
        #: What recovery has closed of it, and with which time it did.
        self._closed = calls.run(conn, _closings(target)) if self.before else {}
        for counts in (done.loaded, done.present):
            counts[table] = 0
        self._merge = _merge(target, types, watched)

    def load(self, batch: Iterable[tuple[int, tuple[Any, ...]]]) -> None:
        """Loads a batch; what PostgreSQL refuses is searched for, reported and left out."""
        by_epoch: dict[int, list[tuple[int, tuple[Any, ...]]]] = {}
        for row, values in batch:
            ready = tuple(self._ready(values))
            self.seen.add(ready[self.id])
            epoch = self._epoch_of(ready[self._session])
            by_epoch.setdefault(epoch, []).append((row, ready))
        for epoch, rows in by_epoch.items():
            # The trigger of an open row writes the owner; for all others none has to fire.
            self._conn.execute(calls.session.set_epoch(epoch, local=True).encode())
            self._write(rows)

    def _write(self, rows: list[tuple[int, tuple[Any, ...]]]) -> None:
        closed = {id_: self._closed[id_] for _, v in rows if (id_ := v[self.id]) in self._closed}
        kept: set[str] = set()
        if self._compacting is not None and closed:
            rows = [(row, self._settled(values, closed, kept)) for row, values in rows]
            closed = {}
        parameters: list[Any] = [list(c) for c in zip(*(v for _, v in rows), strict=True)]
        try:
            with self._conn.transaction(), self._conn.cursor() as cursor:
                cursor.execute(self._merge, [*parameters, list(closed), list(closed.values())])
                found = cursor.fetchone()
        except psycopg.Error as error:
            # Wrong data, a constraint, a limit, a trigger of the host: about one row.
            # Anything else (a lost connection, no privilege, an ended epoch) is not.
            if not (isinstance(error, psycopg.DataError) or _class(error) in {"23", "54", "P0"}):
                raise
            if len(rows) == 1:
                problem = self._no_json(rows[0][1]) or error.diag.message_primary or str(error)
                self._skip(*rows[0], problem)
                return
            middle = len(rows) // 2
            self._write(rows[:middle])
            self._write(rows[middle:])
        else:
            assert found is not None
            new, updated, same = found[0], set(found[1]), found[2]
            kept = (kept | set(found[3])) - updated
            counts = self._done
            counts.loaded[self._table] += new
            counts.present[self._table] += same - len(kept - set(found[3]))
            for name, ids in ((counts.updated, updated), (counts.kept, kept)):
                if ids:
                    name[self._table] = name.get(self._table, 0) + len(ids)

    def _settled(
        self, values: tuple[Any, ...], closed: Mapping[str, int], kept: set[str]
    ) -> tuple[Any, ...]:
        """A session whose compaction was closed here; one that began since goes on."""
        at, id_ = self._compacting, values[self.id]
        assert at is not None
        if values[at] is None or closed.get(id_) != values[at]:
            return values
        kept.add(id_)
        return (*values[:at], None, *values[at + 1 :])

    def _ready(self, values: tuple[Any, ...]) -> Iterator[Any]:
        for value, type_ in zip(values, self._types.values(), strict=True):
            # Nearly all is plain, and this is asked of each value of a store.
            if value is None or (
                type(value) is str and value.isascii() and "\0" not in value and "\\u" not in value
            ):
                yield value
            else:
                yield self._value(value, type_)

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
        count = 0
        if "\0" in text or not text.isascii():
            text, count = _RAW.subn("\N{REPLACEMENT CHARACTER}", text)
        if is_json and "\\u" in text and _SUSPECT.search(text):

            def mend(match: re.Match[str]) -> str:
                nonlocal count
                if match["bad"] is None:
                    return match[0]
                count += 1
                return r"\ufffd"

            text = _ESCAPE.sub(mend, text)
        self._done.replaced += count
        return text

    def _no_json(self, values: tuple[Any, ...]) -> str | None:
        """Where a value stops being JSON; PostgreSQL does not say."""
        for value, type_ in zip(values, self._types.values(), strict=True):
            if type_ in {"json", "jsonb"} and value is not None:
                try:
                    json.loads(value, parse_int=str, parse_float=str, parse_constant=_no_constant)
                except json.JSONDecodeError as error:
                    return f"not JSON at character {error.pos}: {error.msg}"
                except RecursionError:
                    pass  # deep is not wrong: PostgreSQL decides
                except ValueError as error:
                    return str(error)
        return None

    def _skip(self, row: int, values: tuple[Any, ...], problem: str) -> None:
        id_ = values[self.id]
        if isinstance(id_, bytes):
            id_ = decode(id_)
        skipped = Skipped(self._table, "without an id" if id_ is None else str(id_), row, problem)
        self._done.skipped.append(skipped)
        if self._on_skip is not None:
            self._on_skip(skipped)


def _merge(table: str, types: Mapping[str, str], watched: bool) -> sql.Composed:
    """Loads a batch: how many were new, which were updated, how many are the same, which were kept.

    What differs and is newer here was changed here; so was what recovery has closed since and
    nobody has touched after that, whatever its time.
    """
    columns = sql.SQL(", ").join(map(sql.Identifier, types))
    there = sql.SQL(", ").join(sql.SQL("t.") + sql.Identifier(name) for name in types)
    given = sql.SQL(", ").join(sql.SQL("g.") + sql.Identifier(name) for name in types)
    kept = sql.SQL(
        "(t.time_updated > g.time_updated or exists (select from closed as c"
        " where c.id = t.id and c.at = t.time_updated))"
        if "time_updated" in types and table != "session"
        else "false and exists (select from closed)"
    )
    # What goes on is the present owner's, whoever had it before.
    owner = sql.SQL(
        ", server_epoch = case when t.server_epoch is not null"
        " then nullif(current_setting('recovery.server_epoch', true), '')::bigint end"
        if watched
        else ""
    )
    return sql.SQL(
        "with given as (select * from unnest({arrays}) as g ({columns})),"
        " closed as (select * from unnest(%b::text[], %b::bigint[]) as c (id, at)),"
        " found as materialized ("
        "  select g.*, t.id is not null as there, t.id is not null and {kept} as kept,"
        "         t.id is not null and ({mine}) is distinct from ({given}) as differs"
        "  from given as g left join agent.{table} as t on t.id = g.id),"
        " updated as (update agent.{table} as t set ({columns}) = row({given}){owner}"
        "  from found as g where t.id = g.id and g.differs and not g.kept returning t.id),"
        " inserted as (insert into agent.{table} ({columns}) select {given} from found as g"
        "  where not g.there on conflict do nothing returning id)"
        " select (select count(*) from inserted),"
        "  coalesce((select array_agg(u.id) from updated as u), '{{}}'),"
        "  count(*) filter (where g.there and not g.differs),"
        "  coalesce(array_agg(g.id) filter (where g.differs and g.kept), '{{}}')"
        " from found as g"
    ).format(
        arrays=sql.SQL(", ").join(sql.SQL(f"%b::{type_}[]") for type_ in types.values()),
        table=sql.Identifier(table),
        columns=columns,
        owner=owner,
        mine=there,
        given=given,
        kept=kept,
    )


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


def _there(table: str, sessions: list[str]) -> calls.Call[set[str]]:
    """The rows of a table that belong to some sessions."""
    of = "id" if table == "session" else "session_id"
    return calls.Call(
        f"select id from agent.{table} where {of} = any(%(sessions)s::text[])",
        {"sessions": sessions},
        lambda rows: {row[0] for row in rows},
    )


def _closings(table: str) -> calls.Call[dict[str, int]]:
    """What recovery has closed of a table: id → the time that the closing wrote.

    Of a session: the compaction that it ended. Events are kept for some days; what was closed
    before that is still known by its time, which is later than the store's.
    """
    time = "old ->> 'time_compacting'" if table == "session" else "new ->> 'time_updated'"
    return calls.Call(
        f"select key, max(({time})::bigint) from recovery.event where watch = %(watch)s::text"
        f" and kind = 'closed' and detector <> 'writer' group by key having count({time}) > 0",
        {"watch": f"agent.{table}"},
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


def _parents(source: Source, tables: Collection[str]) -> dict[str, str | None]:
    """Session → its parent, of all sessions in the store."""
    parents: dict[str, str | None] = {}
    for table in ("session_v2", "session"):
        if table in tables:
            columns = source.columns(table)
            if "id" in columns:
                linked = "parent_id" if "parent_id" in columns else None
                for row in source.rows(table, ["id", linked] if linked else ["id"]):
                    parents[row[0]] = row[1] if linked else None
    return parents


def with_children(parents: Mapping[str, str | None], sessions: Iterable[str]) -> set[str]:
    """These sessions, and all below them."""
    children: dict[str, list[str]] = {}
    for id_, parent in parents.items():
        if parent is not None:
            children.setdefault(parent, []).append(id_)
    found: set[str] = set()
    waiting = list(sessions)
    while waiting:
        if (id_ := waiting.pop()) not in found:
            found.add(id_)
            waiting += children.get(id_, ())
    return found


def _chosen(parents: Mapping[str, str | None], sessions: list[str]) -> set[str]:
    """These sessions, with their parents and all their children."""
    if lost := [id_ for id_ in sessions if id_ not in parents]:
        raise LookupError(f"the store has no session {', '.join(lost)}")
    above: set[str] = set()
    for session in sessions:
        at: str | None = session
        while at is not None and at in parents and at not in above:
            above.add(at)
            at = parents[at]
    return with_children(parents, sessions) | above


def _epochs(
    conn: _Connection,
    parents: Mapping[str, str | None],
    owner: str | int,
    owners: Mapping[str, str | int],
    lease: timedelta,
    done: Imported,
) -> Callable[[str], int]:
    """Boots the servers that are needed, and returns: session id → epoch."""

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
