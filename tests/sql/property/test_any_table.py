"""Any table of any application: declared, written, crashed, changed, closed, detached.

Hypothesis draws a table (names, keys, types, how it says that a row is open, partitions) and a history of it. A
model in Python, which knows nothing of recovery, says which rows are orphans. A twin of the table, which nobody
watches and which is changed in the same way, says what detaching must leave.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sql.jobs import Connection, attach, boot, fingerprint, sweep, value, write_as

#: Whatever PostgreSQL takes as a name: reserved words, capitals, blanks, quotes, other alphabets.
NAMES = st.sampled_from(
    ["job", "Job", "order", "my task", 'say "x"', "状态", "r", "c", "new", "old", "a.b", "it's", "x" * 63, "select"]
)  # fmt: skip


@dataclass(frozen=True)
class State:
    """A way to say whether a row is open: a column, its values, and the expressions of the watch."""

    type: str
    open: tuple[str, ...]  #: literals of open rows
    closed: tuple[str, ...]
    predicate: str  #: over {c}, the quoted column
    close: str  #: what a closing sets
    types: str = ""  #: what is made before, in schema {s}


STATES = [
    State("text", ("'running'", "'claimed'"), ("'queued'", "'done'"), "{c} in ('running', 'claimed')", "'failed'"),
    State("varchar(20)", ("'running'",), ("'queued'",), "{c} = 'running'", "'failed'"),
    State("boolean", ("true",), ("false", "null"), "{c}", "false"),
    State("smallint", ("1", "2"), ("0", "9"), "{c} between 1 and 2", "9"),
    State("timestamptz", ("null",), ("'2026-01-01'",), "{c} is null", "c.at"),
    State("bigint", ("null",), ("7",), "{c} is null", "c.ms"),
    State("jsonb", ("""'{"state": {"at": "run"}}'""",), ("""'{"state": {}}'""", "null"),
          "{c} -> 'state' ->> 'at' = 'run'", """{c} || '{"state": {"at": "lost"}}'"""),
    State("{s}.state", ("'running'",), ("'queued'", "'done'"), "{c} = 'running'", "'lost'",
          "create type {s}.state as enum ('queued', 'running', 'done', 'lost')"),
    State("text[]", ("array['busy', 'x']",), ("array['x']", "'{}'"), "'busy' = any ({c})",
          "array_remove({c}, 'busy')"),
]  # fmt: skip

KEYS: dict[str, Callable[[int], str]] = {
    "int": str,
    "bigint": lambda n: str(n + 2**40),
    "text": lambda n: f"'key {n} ''quoted'' \"x\"'",
    "uuid": lambda n: f"'{uuid.UUID(int=n)}'",
    "date": lambda n: f"date '2026-01-01' + {n}",
    "numeric(10,2)": lambda n: f"{n}.50",
}

#: A column that a closing does not touch, and what must stay as it is.
CHANGES = st.sampled_from(
    ["column", "note", "key", "table", "schema", "add", "widen", "alter", "again", "partition"]
)
WRITES = st.tuples(
    st.sampled_from(["a", "b", "nobody"]),
    st.sampled_from(["open", "queue", "claim", "finish", "delete", "touch"]),
    st.integers(0, 5),
)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Table:
    """A drawn table, and the names that it has at the moment."""

    state: State
    keys: list[str]
    names: list[str]  #: of the schema, the table, the state, the note, the key columns
    partitions: str | None
    group: bool
    rows: dict[int, tuple[str | None, bool]] = field(
        default_factory=dict
    )  #: number -> (owner, open)
    number: int = 0  #: the last one given

    @property
    def schema(self) -> str:
        return quoted(self.names[0])

    @property
    def name(self) -> str:
        return f"{self.schema}.{quoted(self.names[1])}"

    @property
    def column(self) -> str:
        return quoted(self.names[2])

    def key_columns(self) -> list[str]:
        return [quoted(name) for name in self.names[4 : 4 + len(self.keys)]]

    def key(self, number: int) -> str:
        """The condition that finds a row."""
        pairs = zip(self.key_columns(), self.keys, strict=True)
        return " and ".join(f"{column} = {KEYS[type](number)}" for column, type in pairs)

    def create(self) -> list[str]:
        columns = ", ".join(
            f"{column} {type} not null"
            for column, type in zip(self.key_columns(), self.keys, strict=True)
        )
        by = self.key_columns()[0]
        made = [
            f"create schema {self.schema}",
            self.state.types.format(s=self.schema),
            f"create table {self.name} ({columns}, {self.column} {self.state.type.format(s=self.schema)},"
            f" {quoted(self.names[3])} text, number int not null,"
            f" primary key ({', '.join(self.key_columns())}))"
            + (f" partition by {self.partitions} ({by})" if self.partitions else ""),
        ]
        if self.partitions == "hash":
            made += [
                f"create table {self.schema}.p{n} partition of {self.name} for values with (modulus 2, remainder {n})"
                for n in (0, 1)
            ]
        elif self.partitions:
            made.append(f"create table {self.schema}.p0 partition of {self.name} default")
        return [statement for statement in made if statement]

    def watch(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "open": self.state.predicate.replace("{c}", f"r.{self.column}"),
            "close": json.dumps(
                {
                    self.names[2]: self.state.close.replace("{c}", f"r.{self.column}"),
                    self.names[3]: f"concat(r.{quoted(self.names[3])}, '!', c.reason)",
                }
            ),
        }
        if self.group:
            options["group"] = "r.number % 2"
        return options

    def change(self, what: str, round: int) -> list[str]:
        """Statements for the table and for its twin."""
        new = f"renamed {round}"
        if what in ("column", "note", "key"):
            at = {"column": 2, "note": 3, "key": 4}[what]
            old, self.names[at] = self.names[at], new
            return [f"alter table {self.name} rename {quoted(old)} to {quoted(new)}"]
        if what == "table":
            old_name, self.names[1] = self.name, new
            return [f"alter table {old_name} rename to {quoted(new)}"]
        if what == "schema":
            old_schema, self.names[0] = self.schema, f"{self.names[0][:40]} {round}"
            return [f"alter schema {old_schema} rename to {self.schema}"]
        if what == "add":
            return [f"alter table {self.name} add column more{round} int default 1"]
        if what == "widen" and self.keys[0] == "int" and not self.partitions:
            return [f"alter table {self.name} alter {self.key_columns()[0]} type bigint"]
        if what == "partition" and self.partitions == "list":
            return [
                f"create table {self.schema}.q{round} partition of {self.name}"
                f" for values in ({KEYS[self.keys[0]](1000 + round)})"
            ]
        return []


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = draw(st.lists(NAMES, min_size=4, max_size=6, unique_by=str.lower))
    keys = draw(st.lists(st.sampled_from(sorted(KEYS)), min_size=1, max_size=len(names) - 3))
    keys = keys[: max(1, len(names) - 4)]
    while len(names) < 4 + len(keys):
        names.append(f"key{len(names)}")
    assume("number" not in names)
    return Table(
        draw(st.sampled_from(STATES)),
        keys,
        names,
        draw(st.sampled_from([None, None, None, "hash", "list"])),
        draw(st.booleans()),
    )


def write(table: Table, sessions: dict[str, Connection], who: str, what: str, pick: int) -> None:
    """One write, and what it means."""
    conn, state = sessions[who], table.state
    mine = [
        n for n, (owner, is_open) in table.rows.items()
        if is_open and owner == (None if who == "nobody" else who)
    ]  # fmt: skip
    idle = [n for n, (_, is_open) in table.rows.items() if not is_open]
    if what in ("open", "queue"):
        number = table.number = table.number + 1
        literals = state.open if what == "open" else state.closed
        columns = [*table.key_columns(), table.column, "number"]
        values = [
            *(KEYS[type](number) for type in table.keys),
            literals[pick % len(literals)],
            str(number),
        ]
        conn.execute(
            f"insert into {table.name} ({', '.join(columns)}) values ({', '.join(values)})"  # type: ignore
        )
        table.rows[number] = (who if what == "open" and who != "nobody" else None, what == "open")
        return
    rows = idle if what == "claim" else mine
    if not rows:
        return
    number = rows[pick % len(rows)]
    if what == "delete":
        conn.execute(f"delete from {table.name} where {table.key(number)}")  # type: ignore
        del table.rows[number]
        return
    sets = {
        "claim": f"{table.column} = {state.open[0]}",
        "finish": f"{table.column} = {state.closed[0]}",
        "touch": f"{quoted(table.names[3])} = 'moves'",
    }[what]
    conn.execute(f"update {table.name} set {sets} where {table.key(number)}")  # type: ignore
    if what != "touch":
        # Who is no server leaves the owner that the row carries.
        owner = who if who != "nobody" else table.rows[number][0]
        table.rows[number] = (owner, what == "claim")


def open_rows(conn: Connection, table: Table) -> set[int]:
    found = conn.execute(
        f"select number from {table.name} where {table.state.predicate.replace('{c}', table.column)}"  # type: ignore
    )
    return {row[0] for row in found}


@pytest.fixture
def twin(new_database: Callable[..., str], template: str) -> Iterator[Connection]:
    """A database in which nobody is watched; one for all examples of a test."""
    with psycopg.connect(new_database(template), autocommit=True) as conn:
        yield conn


@settings(
    max_examples=int(os.environ.get("RECOVERY_EXAMPLES", "15")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    table=tables(),
    before=st.lists(WRITES, min_size=2, max_size=8),
    changes=st.lists(CHANGES, max_size=4),
    after=st.lists(WRITES, min_size=1, max_size=6),
)
def test_p01_p02_p12_p13_exactly_the_orphans_close(
    conn: Connection,
    connect: Callable[..., Connection],
    twin: Connection,
    table: Table,
    before: list[Any],
    changes: list[str],
    after: list[Any],
) -> None:
    assume(len({name.lower() for name in table.names}) == len(table.names))
    sessions = {who: connect(autocommit=True) for who in ("a", "b", "nobody")}
    try:
        for statement in table.create():
            conn.execute(statement)  # type: ignore
            twin.execute(statement)  # type: ignore
        name = attach(conn, table.name, **table.watch())
        for who in ("a", "b"):
            write_as(sessions[who], boot(conn, f"{name[:30]} {who}").epoch)
        for one in before:
            write(table, sessions, *one)
        for round, what in enumerate(changes):
            for statement in table.change(what, round):
                conn.execute(statement)  # type: ignore
                twin.execute(statement)  # type: ignore
            if what == "again":
                sweep(conn)
            elif what == "alter":
                conn.execute(
                    "select recovery.alter(%s::text::regclass, %s)",
                    (table.name, json.dumps({"topic": f"topic {round}"})),
                )
        for one in after:
            write(table, sessions, *one)
        assert value(conn, "select array_agg(message) from recovery.broken_watch") is None
        orphans = {n for n, (owner, is_open) in table.rows.items() if is_open and owner == "a"}
        kept = {n for n, (owner, is_open) in table.rows.items() if is_open and owner != "a"}
        assert open_rows(conn, table) == orphans | kept
        closed = boot(conn, f"{name[:30]} a").closed
        assert closed == ({name: len(orphans)} if orphans else {})
        assert open_rows(conn, table) == kept
        marked = conn.execute(
            f"select number from {table.name} where {quoted(table.names[3])} like '%%!superseded'",  # type: ignore
            (),
        )
        assert {row[0] for row in marked} == orphans
        conn.execute("select recovery.detach(%s::text::regclass)", (table.name,))
        found, wanted = fingerprint(conn, table.name), fingerprint(twin, table.name)
        del found["routines"], wanted["routines"]
        assert found == wanted
    finally:
        for session in sessions.values():
            session.close()
        for one in (conn, twin):
            one.execute(f"drop schema if exists {table.schema} cascade")  # type: ignore
        conn.execute("delete from recovery.watch where relation not in (select oid from pg_class)")
        conn.execute(
            "update recovery.server set ended = now(), reason = 'shutdown' where ended is null"
        )
