"""Every routine of the schema as a call, once: sync and async share it.

    epoch_is_live = calls.assert_live(server.epoch)
    calls.run(conn, epoch_is_live)  # psycopg or SQLAlchemy, the caller's connection
    await calls.arun(aconn, epoch_is_live)

Procedures (`boot`, `sweep`, `shutdown`) commit as they go: they need a connection
in autocommit mode. Everything else takes part in the caller's transaction.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar
from uuid import UUID

import psycopg
from psycopg.rows import tuple_row

from recovery._types import Report
from recovery.errors import InvalidArgument, from_driver

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
    from sqlalchemy.orm import Session

__all__ = ["CHANNEL", "Call", "arun", "one", "run"]

T = TypeVar("T")
Row: TypeAlias = Sequence[Any]
Connection: TypeAlias = "psycopg.Connection[Any] | sa.Connection | Session"
AnyAsyncConnection: TypeAlias = "psycopg.AsyncConnection[Any] | AsyncConnection | AsyncSession"

#: The channel of NOTIFY: a wake-up, nothing more.
CHANNEL = "recovery"


@dataclass(frozen=True)
class Call(Generic[T]):
    """A statement, its parameters (``%(name)s``), and what to make of its rows."""

    sql: str
    params: Mapping[str, Any]
    parse: Callable[[Sequence[Row]], T]


def run(conn: Connection, call: Call[T]) -> T:
    """Executes a call on a psycopg or SQLAlchemy connection (or Session).

    Raises:
        RecoveryError: the class for the SQLSTATE; other errors stay the driver's.
    """
    _check(call.params)
    try:
        if isinstance(conn, psycopg.Connection):
            with conn.cursor(row_factory=tuple_row) as cur:
                # Nothing that stays on the server process: behind a pooler the next one is another.
                cur.execute(call.sql.encode(), call.params or None, prepare=False)
                return call.parse(cur.fetchall() if cur.description else [])
        result: Any = conn.execute(*_for_sqlalchemy(call))
        return call.parse(result.all() if result.returns_rows else [])
    except Exception as error:
        _translate(error, call)
        raise


async def arun(conn: AnyAsyncConnection, call: Call[T]) -> T:
    """`run` for a psycopg AsyncConnection, SQLAlchemy AsyncConnection or AsyncSession."""
    _check(call.params)
    try:
        if isinstance(conn, psycopg.AsyncConnection):
            async with conn.cursor(row_factory=tuple_row) as cur:
                await cur.execute(call.sql.encode(), call.params or None, prepare=False)
                return call.parse(await cur.fetchall() if cur.description else [])
        result: Any = await conn.execute(*_for_sqlalchemy(call))
        return call.parse(result.all() if result.returns_rows else [])
    except Exception as error:
        _translate(error, call)
        raise


def _for_sqlalchemy(call: Call[Any]) -> tuple[sa.TextClause, dict[str, Any]]:
    import sqlalchemy as sa

    # In parentheses, because text() takes `:name::type` for a name that ends early.
    return sa.text(re.sub(r"%\((\w+)\)s", r"(:\1)", call.sql)), dict(call.params)


def _translate(error: Exception, call: Call[Any]) -> None:
    """Raises our exception in place of the driver's, if there is one."""
    found = from_driver(error, call.sql)
    if found is not None and found is not error:
        raise found from error


def _check(params: Mapping[str, Any]) -> None:
    """Refuses text that PostgreSQL can't hold, before a driver does in its own words."""
    for name, value in params.items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(one, str):
                text(one, name)


def text(value: str, what: str) -> str:
    """A text that PostgreSQL can hold.

    Raises:
        InvalidArgument: it holds a NUL, or half of a surrogate pair (RC010).
    """
    if "\0" in value:
        raise InvalidArgument(f"{what} {value[:60]!r} holds a NUL; PostgreSQL's texts can't")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(f"{what} {value[:60]!r} holds half of a surrogate pair") from None
    return value


def key(value: object, what: str) -> str:
    """The key of a row or group as text, 1 to 2000 bytes.

    Raises:
        InvalidArgument: no key can be that (RC010).
    """
    found = text(str(value), f"{what} key")
    if value is None or not 1 <= len(found.encode()) <= 2000:
        raise InvalidArgument(
            f"{what} key {found[:60]!r} has {len(found.encode())} bytes; a key has 1 to 2000"
        )
    return found


def _nothing(rows: Sequence[Row]) -> None:
    return None


def one(rows: Sequence[Row]) -> Any:
    """The only value of an answer."""
    return rows[0][0]


def _report(rows: Sequence[Row]) -> Report:
    return Report.parse(rows[0][0])


_TEN_YEARS = 10 * 365 * 86400.0


def seconds(value: float | timedelta, what: str) -> timedelta:
    """A positive duration, given in seconds or as a timedelta.

    Raises:
        InvalidArgument: it is no number, not positive, or longer than ten years (RC010).
    """
    if not isinstance(value, timedelta) and not (math.isfinite(value) and value < _TEN_YEARS):
        raise InvalidArgument(f"{what} must be a number of seconds up to ten years, not {value}")
    span = value if isinstance(value, timedelta) else timedelta(seconds=value)
    if span <= timedelta(0):
        raise InvalidArgument(f"{what} must be greater than 0 s, not {span.total_seconds():g} s")
    return span


def version() -> Call[str]:
    """Version of the installed schema. SchemaMismatch (RC009) if there is none."""
    return Call("select recovery.version()", {}, one)


@dataclass(frozen=True)
class Booted:
    """What `boot` returns."""

    epoch: int
    token: UUID
    report: Report


def boot(
    name: str,
    *,
    lease: timedelta,
    grace: timedelta = timedelta(seconds=3),
    policy: str = "supersede",
    wait: timedelta = timedelta(seconds=30),
    host: str | None = None,
    pid: int | None = None,
    process_start: datetime | None = None,
    version: str | None = None,
    batch: int = 10_000,
    lock_wait: timedelta = timedelta(seconds=2),
    beat: timedelta | None = None,
    direct: bool = True,
) -> Call[Booted]:
    """A new epoch; closes what older epochs of the name left. RC004, RC005, RC010.

    With `beat` (its interval) the connection becomes a keeper's: it holds the lock of the epoch,
    unless it is not `direct`.
    """
    return Call(
        "call recovery.boot(p_name => %(name)s::text, p_host => %(host)s::text,"
        " p_pid => %(pid)s::integer, p_process_start => %(process_start)s::timestamptz,"
        " p_version => %(version)s::text, p_lease => %(lease)s::interval,"
        " p_grace => %(grace)s::interval, p_policy => %(policy)s::text,"
        " p_wait => %(wait)s::interval,"
        " p_batch => %(batch)s::integer, p_lock_wait => %(lock_wait)s::interval,"
        " p_beat => %(beat)s::interval, p_direct => %(direct)s::boolean)",
        {
            "beat": beat,
            "direct": direct,
            "name": name,
            "grace": grace,
            "policy": policy,
            "wait": wait,
            "host": host,
            "pid": pid,
            "process_start": process_start,
            "version": version,
            "lease": lease,
            "batch": batch,
            "lock_wait": lock_wait,
        },
        lambda rows: Booted(int(rows[0][0]), UUID(str(rows[0][1])), Report.parse(rows[0][2])),
    )


def heartbeat(epoch: int, token: UUID) -> Call[datetime]:
    """Renews the lease and says until when it holds (database clock). RC001, RC002, RC003."""
    return Call(
        "select recovery.heartbeat(%(epoch)s::bigint, %(token)s::uuid)",
        {"epoch": epoch, "token": token},
        one,
    )


def keep(
    epoch: int, token: UUID, every: timedelta | None = None, direct: bool = True
) -> Call[datetime]:
    """`heartbeat` of a keeper, whose connection holds the lock that says it is there.

    It says how often it beats: the loss of the lock counts once the next beat is missing. With
    `direct` false there is no lock: a pooler is in between. RC010.
    """
    return Call(
        "select recovery.keeper_heartbeat(%(epoch)s::bigint, %(token)s::uuid, %(every)s::interval,"
        " %(direct)s::boolean)",
        {"epoch": epoch, "token": token, "every": every, "direct": direct},
        one,
    )


def claim_sweep(epoch: int, token: UUID, every: timedelta) -> Call[tuple[float, bool]]:
    """Whether this server sweeps for all: (0, …), else in how many seconds to ask again.

    The second: whether nobody has looked at the processes of its host lately.
    RC001, RC002, RC003, RC010.
    """
    return Call(
        "select extract(epoch from c.o_wait)::float8, c.o_look"
        " from recovery.claim_sweep(%(epoch)s::bigint, %(token)s::uuid, %(every)s::interval) as c",
        {"epoch": epoch, "token": token, "every": every},
        lambda rows: (rows[0][0], rows[0][1]),
    )


def drain(epoch: int, token: UUID, limit: timedelta) -> Call[datetime]:
    """No new work from now on; until when it may finish its own. RC001, RC002, RC003, RC010."""
    return Call(
        "select recovery.drain(%(epoch)s::bigint, %(token)s::uuid, %(limit)s::interval)",
        {"epoch": epoch, "token": token, "limit": limit},
        one,
    )


def evict(server: str, terminate: bool = False) -> Call[list[int]]:
    """Ends a server by name or epoch; its epochs. RC002 if none is live."""
    return Call(
        "select recovery.evict(%(server)s::text, %(terminate)s::boolean)",
        {"server": server, "terminate": terminate},
        one,
    )


def open_rows(epoch: int) -> Call[int]:
    """Open rows that an epoch owns."""
    return Call(
        "select coalesce(sum(open_rows), 0)::bigint from recovery.open_work()"
        " where server_epoch = %(epoch)s::bigint",
        {"epoch": epoch},
        one,
    )


def light(
    watch: str,
    key: str,
    ttl: timedelta,
    host: str | None,
    pid: int | None,
    process_start: datetime | None,
    scope: str = "row",
    nonce: UUID | None = None,
) -> Call[int]:
    """Lights a fuse on a row or group; its id, the same one for the same nonce. RC008, RC010."""
    return Call(
        "select recovery.light_fuse("
        "%(watch)s::text, %(key)s::text, %(ttl)s::interval, %(host)s::text,"
        " %(pid)s::integer, %(process_start)s::timestamptz, %(scope)s::text, %(nonce)s::uuid)",
        {
            "watch": watch,
            "key": key,
            "ttl": ttl,
            "host": host,
            "pid": pid,
            "process_start": process_start,
            "scope": scope,
            "nonce": nonce,
        },
        one,
    )


def extend(fuse: int) -> Call[datetime]:
    """Lets a fuse burn for its ttl from now. RC012 if it is out."""
    return Call("select recovery.extend_fuse(%(fuse)s::bigint)", {"fuse": fuse}, one)


def extend_all(fuses: Sequence[int]) -> Call[dict[int, datetime | None]]:
    """`extend` for many: until when each burns now, None if it is out."""
    return Call(
        "select fuse, until from recovery.extend_fuses(%(fuses)s::bigint[])",
        {"fuses": list(fuses)},
        lambda rows: {row[0]: row[1] for row in rows},
    )


def cancel(fuse: int) -> Call[bool]:
    """Puts a fuse out; False if it was out."""
    return Call("select recovery.cancel_fuse(%(fuse)s::bigint)", {"fuse": fuse}, one)


def local_processes(host: str) -> Call[list[tuple[int, datetime | None]]]:
    """(pid, start) of the processes that servers and fuses name on a host."""
    return Call(
        "select pid, process_start from recovery.host_processes(%(host)s::text)",
        {"host": host},
        lambda rows: [(row[0], row[1]) for row in rows],
    )


def report_processes(host: str, seen: Sequence[tuple[int, datetime | None, bool]]) -> Call[int]:
    """Says of (pid, start) whether it lives; how many servers and fuses are found dead. RC010."""
    return Call(
        "select recovery.report_processes(%(host)s::text, %(pids)s::integer[],"
        " %(starts)s::timestamptz[], %(alive)s::boolean[])",
        {
            "host": host,
            "pids": [pid for pid, _, _ in seen],
            "starts": [start for _, start, _ in seen],
            "alive": [lives for _, _, lives in seen],
        },
        one,
    )


@dataclass(frozen=True)
class Process:
    """An entry of ``recovery.process``: a process that does a row or a group."""

    id: int
    epoch: int
    watch: str  #: empty for a group
    scope: str
    key: str
    host: str
    pid: int
    start: datetime


def _processes(rows: Sequence[Row]) -> list[Process]:
    return [Process(*row) for row in rows]


_PROCESS = "select id, server_epoch, watch, scope, key, host, pid, process_start from"


def track(
    epoch: int,
    token: UUID,
    watch: str,
    key: str,
    scope: str,
    host: str,
    pid: int,
    process_start: datetime,
) -> Call[int]:
    """Registers a process that does a unit; its number. RC001, RC002, RC003, RC008, RC010."""
    return Call(
        "select recovery.track_process("
        "%(epoch)s::bigint, %(token)s::uuid, %(watch)s::text, %(key)s::text,"
        " %(scope)s::text, %(host)s::text, %(pid)s::integer, %(process_start)s::timestamptz)",
        {
            "epoch": epoch,
            "token": token,
            "watch": watch,
            "key": key,
            "scope": scope,
            "host": host,
            "pid": pid,
            "process_start": process_start,
        },
        one,
    )


def untrack(process: int) -> Call[bool]:
    """Forgets a process, by its number; False if it was forgotten."""
    return Call("select recovery.untrack_process(%(process)s::bigint)", {"process": process}, one)


def processes_of(watch: str, key: str, scope: str = "row") -> Call[list[Process]]:
    """The processes of a row, or of a group with its rows and descendants. RC008, RC010."""
    return Call(
        f"{_PROCESS} recovery.work_processes(%(watch)s::text, %(scope)s::text, %(key)s::text)",
        {"watch": watch, "scope": scope, "key": key},
        _processes,
    )


def left_processes(host: str, epoch: int | None = None) -> Call[list[Process]]:
    """Processes on a host whose server has ended (or of one epoch) and that nobody goes on with."""
    return Call(
        f"{_PROCESS} recovery.orphaned_processes(%(host)s::text, %(epoch)s::bigint)",
        {"host": host, "epoch": epoch},
        _processes,
    )


def may_be_left(host: str) -> Call[bool]:
    """Whether `left_processes` is worth asking; waits for no watched table."""
    return Call(
        "select exists (select from recovery.process as p where p.host = %(host)s::text"
        " and not exists (select from recovery.server as s"
        " where s.epoch = p.server_epoch and s.ended is null))",
        {"host": host},
        one,
    )


def prune_processes(age: timedelta = timedelta(days=7)) -> Call[int]:
    """Forgets processes of servers that ended longer ago; how many. RC010 below an hour."""
    return Call("select recovery.prune_processes(%(age)s::interval)", {"age": age}, one)


def shutdown(epoch: int, token: UUID | None = None, heir: int | None = None) -> Call[Report]:
    """Ends the epoch; closes what it owned or hands it to `heir`. RC001 (heir), RC002, RC003."""
    return Call(
        "call recovery.shutdown(p_epoch => %(epoch)s::bigint, p_token => %(token)s::uuid,"
        " p_heir => %(heir)s::bigint)",
        {"epoch": epoch, "token": token, "heir": heir},
        _report,
    )


def sweep(
    label: str | None = None, batch: int = 10_000, budget: timedelta | None = None
) -> Call[Report]:
    """Ends servers whose lease has lapsed; closes the orphans of every ended epoch. RC010.

    With a budget it stops after that time, and its report may say `more`.
    """
    return Call(
        "call recovery.sweep(p_label => %(label)s::text, p_batch => %(batch)s::integer,"
        " p_budget => %(budget)s::interval)",
        {"label": label, "batch": batch, "budget": budget},
        _report,
    )


def assert_live(epoch: int) -> Call[None]:
    """The fence, for a side effect: holds until the transaction ends. RC001, RC002."""
    return Call("select recovery.assert_live(%(epoch)s::bigint)", {"epoch": epoch}, _nothing)


def attach(table: str, open: str, close: Mapping[str, str], **options: Any) -> Call[str]:
    """Watches a table; returns the watch's name. RC006, RC007, RC010.

    Args:
        table: as SQL writes it, with its schema.
        open: SQL condition over the row ``r``: the row is work in flight.
        close: column -> SQL expression that a closing sets.
        **options: the parameters of ``recovery.attach``, without their ``p_``.
    """
    wrong = sorted(set(options) - _ATTACH_OPTIONS.keys())
    if wrong:
        allowed = ", ".join(_ATTACH_OPTIONS)
        raise InvalidArgument(f"attach has no option {', '.join(wrong)}; there are {allowed}")
    given = "".join(f", p_{name} => %({name})s::{_ATTACH_OPTIONS[name]}" for name in options)
    return Call(
        "select recovery.attach(p_table => %(table)s::text::regclass, p_open => %(open)s::text,"
        f" p_close => %(close)s::text::jsonb{given})",
        {
            "table": table,
            "open": open,
            "close": json.dumps(dict(close)),
            **{name: _as_json(value) for name, value in options.items()},
        },
        one,
    )


_ATTACH_OPTIONS = {
    **dict.fromkeys(("name", "group", "family", "parent", "order", "only", "image"), "text"),
    **dict.fromkeys(("topic", "started", "events", "search_path"), "text"),
    **dict.fromkeys(("failed_topics", "idle_topics"), "text[]"),
    "position": "integer",
    "requeue": "jsonb",
    "attempts": "text",
    "max_attempts": "integer",
    **dict.fromkeys(("unowned", "launch_grace"), "interval"),
}


def _as_json(value: Any) -> Any:
    return json.dumps(dict(value)) if isinstance(value, Mapping) else value


def permit(owner: str) -> Call[None]:
    """Lets the owner of tables attach them; for a DBA. 42704 no such role, 42501."""
    return Call("select recovery.permit(%(owner)s::text::regrole)", {"owner": owner}, _nothing)


def detach(table: str) -> Call[None]:
    """No longer watches a table; restores it. RC008."""
    return Call("select recovery.detach(%(table)s::text::regclass)", {"table": table}, _nothing)


def set_epoch(epoch: int | None, *, local: bool, name: str | None = None) -> str:
    """Statement that says who writes: for the session, or for the transaction (`local`).

    Without parameters, so that it is the same for every driver. With the `name` of the
    server, application_name says the epoch, too: after what it said before, else the name.
    """
    value = "" if epoch is None else str(int(epoch))
    statement = f"select set_config('recovery.server_epoch', '{value}', {str(local).lower()})"
    if name is None:
        return statement
    mark = "" if epoch is None else f"#{epoch}"
    plain = re.sub(r"[^\w .:/@+-]", "?", name, flags=re.ASCII)  # nothing that needs quotes
    said = "regexp_replace(current_setting('application_name'), '#[0-9]{16,}$', '')"
    label = f"left(coalesce(nullif({said}, ''), '{plain}'), {63 - len(mark)}) || '{mark}'"
    return f"{statement}, set_config('application_name', {label}, {str(local).lower()})"


#: What a connection of ours needs, whatever the database, the role or PGOPTIONS say: our
#: procedures need READ COMMITTED, a heartbeat may wait, and psycopg reads ISO dates.
_SETTINGS = {
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "row_security": "on",
    "jit": "off",  # compiling takes longer than any of our statements
}


def prepare_session(name: str, pid: int | None = None) -> Call[bool]:
    """Makes a connection one of ours, and says who it is in pg_stat_activity.

    With a pid only if that is the server process; whether it was.
    """
    return Call(
        # Whose names are whose is not settled yet. Not every server has every setting.
        "select pg_catalog.set_config(s.key, s.value, false)"
        " from pg_catalog.jsonb_each_text(%(settings)s::pg_catalog.text::pg_catalog.jsonb) as s"
        " where pg_catalog.current_setting(s.key, true) is not null"
        " and pg_catalog.pg_backend_pid() operator(pg_catalog.=)"
        " coalesce(%(pid)s::pg_catalog.int4, pg_catalog.pg_backend_pid())",
        {"settings": json.dumps({"application_name": name, **_SETTINGS}), "pid": pid},
        bool,
    )


def prepare_transaction(name: str) -> str:
    """Statements that do the same for a transaction that has just begun, and end with it."""
    settings = {"application_name": name, **_SETTINGS}
    text = json.dumps({k: v for k, v in settings.items() if not k.startswith("default_")})
    return (
        "set transaction isolation level read committed, read write, not deferrable;"
        " select pg_catalog.set_config(s.key, s.value, true)"
        f" from pg_catalog.jsonb_each_text({_quoted(text)}::pg_catalog.jsonb) as s"
        " where pg_catalog.current_setting(s.key, true) is not null"
    )


def _quoted(text: str) -> str:
    """A literal, whatever standard_conforming_strings says; of ASCII."""
    return "E'" + text.replace("\\", r"\\").replace("'", "''") + "'"


def listen(channel: str = CHANNEL) -> Call[None]:
    """Hears a channel from now on."""
    return Call(f'listen "{channel}"', {}, _nothing)


def unlisten(channel: str) -> Call[None]:
    """No longer hears a channel."""
    return Call(f'unlisten "{channel}"', {}, _nothing)


def notify(channel: str) -> Call[None]:
    """Rings a channel."""
    return Call("select pg_notify(%(channel)s::text, '')", {"channel": channel}, _nothing)


def backend_pid() -> Call[int]:
    """The pid of the server process."""
    return Call("select pg_backend_pid()", {}, one)
