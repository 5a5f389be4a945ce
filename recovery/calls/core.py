"""What a call is, and how it is executed: sync and async share it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import psycopg
from psycopg.rows import tuple_row

from recovery.errors import InvalidArgument, from_driver
from recovery.types import Report

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
    from sqlalchemy.orm import Session

__all__ = [
    "AnyAsyncConnection",
    "Call",
    "Connection",
    "Row",
    "arun",
    "key",
    "nothing",
    "one",
    "report",
    "run",
    "seconds",
    "text",
    "translate",
]

T = TypeVar("T")
Row: TypeAlias = Sequence[Any]
Connection: TypeAlias = "psycopg.Connection[Any] | sa.Connection | Session"
AnyAsyncConnection: TypeAlias = "psycopg.AsyncConnection[Any] | AsyncConnection | AsyncSession"


@dataclass(frozen=True)
class Call(Generic[T]):
    """A statement, its parameters (``%(name)s``), and what to make of its rows."""

    sql: str
    params: Mapping[str, Any]
    parse: Callable[[Sequence[Row]], T]


def run(conn: Connection, call: Call[T], *, prepare: bool = False) -> T:
    """Executes a call on a psycopg or SQLAlchemy connection (or Session).

    Args:
        prepare: keep the statement on the server process, if the connection's
            ``prepare_threshold`` allows it. Behind a pooler the next process is another one.

    Raises:
        RecoveryError: the class for the SQLSTATE; other errors stay the driver's.
    """
    _check(call.params)
    try:
        if isinstance(conn, psycopg.Connection):
            with conn.cursor(row_factory=tuple_row) as cur:
                cur.execute(call.sql.encode(), call.params or None, prepare=prepare)
                return call.parse(cur.fetchall() if cur.description else [])
        result: Any = conn.execute(*_for_sqlalchemy(call))
        return call.parse(result.all() if result.returns_rows else [])
    except Exception as error:
        translate(error, call)
        raise


async def arun(conn: AnyAsyncConnection, call: Call[T], *, prepare: bool = False) -> T:
    """`run` for a psycopg AsyncConnection, SQLAlchemy AsyncConnection or AsyncSession."""
    _check(call.params)
    try:
        if isinstance(conn, psycopg.AsyncConnection):
            async with conn.cursor(row_factory=tuple_row) as cur:
                await cur.execute(call.sql.encode(), call.params or None, prepare=prepare)
                return call.parse(await cur.fetchall() if cur.description else [])
        result: Any = await conn.execute(*_for_sqlalchemy(call))
        return call.parse(result.all() if result.returns_rows else [])
    except Exception as error:
        translate(error, call)
        raise


def _for_sqlalchemy(call: Call[Any]) -> tuple[sa.TextClause, dict[str, Any]]:
    import sqlalchemy as sa

    if not call.params:
        return sa.text(call.sql.replace(":", r"\:")), {}
    # In parentheses, because text() takes `:name::type` for a name that ends early.
    return sa.text(re.sub(r"%\((\w+)\)s", r"(:\1)", call.sql)), dict(call.params)


def translate(error: Exception, call: Call[Any]) -> None:
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


def nothing(rows: Sequence[Row]) -> None:
    """An answer without a value."""


def one(rows: Sequence[Row]) -> Any:
    """The only value of an answer."""
    return rows[0][0]


def report(rows: Sequence[Row]) -> Report:
    """What a boot, sweep or shutdown did."""
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
