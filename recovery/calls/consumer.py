"""Named consumers, whose position the database keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from recovery.calls.core import Call, Row, nothing, one
from recovery.calls.event import COLUMNS
from recovery.types import Event

__all__ = ["Fetched", "Status", "acknowledge", "create", "drop", "fetch", "move", "status"]

#: Filters by their names in Python and in SQL.
_FILTERS = ("watch", "group", "reason", "kind", "topic", "epoch")


def create(
    name: str,
    after: int | None = None,
    filters: Mapping[str, Sequence[object]] | None = None,
    expires: timedelta | str = timedelta(days=7),
) -> Call[int]:
    """Makes a consumer, or gives one that exists these filters; the id after which it reads.

    Raises:
        InvalidArgument: the name, the id, the interval or a filter is not allowed (RC010).
    """
    given = dict(filters or {})
    if unknown := given.keys() - set(_FILTERS):
        raise TypeError(f"unknown filters: {', '.join(sorted(unknown))}")
    lists = ", ".join(
        f"p_{name} => %({name})s::{'bigint' if name == 'epoch' else 'text'}[]"
        for name in _FILTERS
        if name in given
    )
    return Call(
        "select recovery.create_consumer(%(name)s::text, %(after)s::bigint,"
        f" p_expires => %(expires)s::interval{', ' if lists else ''}{lists})",
        {"name": name, "after": after, "expires": expires}
        | {name: list(values) for name, values in given.items()},
        lambda rows: int(rows[0][0]),
    )


@dataclass(frozen=True, slots=True)
class Fetched:
    """An event of a fetch.

    Attributes:
        event: the event.
        settled: no event can appear below it any more.
        receipt: for `acknowledge`.
    """

    event: Event
    settled: bool
    receipt: str


def fetch(name: str, limit: int = 1000) -> Call[list[Fetched]]:
    """What has become visible and was not acknowledged, in order, about `limit` events.

    Raises:
        ConsumerUnknown: there is no such consumer (RC014).
        InvalidArgument: limit is not from 1 to 100000 (RC010).
    """

    def parse(rows: Sequence[Row]) -> list[Fetched]:
        return [
            Fetched(event, row[12], row[13])
            for event, row in zip(Event.from_rows(rows), rows, strict=True)
        ]

    return Call(
        f"select {COLUMNS}, settled, receipt"
        " from recovery.fetch(%(name)s::text, %(limit)s::integer) order by id",
        {"name": name, "limit": limit},
        parse,
    )


def acknowledge(receipt: str) -> Call[None]:
    """That event and all before it in the same fetch are done.

    Raises:
        ReceiptStale: a newer fetch of the consumer has taken over (RC015).
        ReceiptLost: this one was lost in a failover (RC016): fetch again.
        ConsumerUnknown: there is no such consumer (RC014).
    """
    return Call("select recovery.acknowledge(%(receipt)s::text)", {"receipt": receipt}, nothing)


def move(name: str, after: int | None) -> Call[int]:
    """Lets it read after another id; None: from now on. RC014, RC010."""
    return Call(
        "select recovery.move_consumer(%(name)s::text, %(after)s::bigint)",
        {"name": name, "after": after},
        one,
    )


def drop(name: str) -> Call[None]:
    """Forgets a consumer. RC014."""
    return Call("select recovery.drop_consumer(%(name)s::text)", {"name": name}, nothing)


@dataclass(frozen=True, slots=True)
class Status:
    """How far a consumer has come; as ``recovery.consumer_status`` explains."""

    name: str
    position: int
    newest: int
    gaps: int
    behind: int
    lag: timedelta
    seen: datetime
    expires: timedelta
    state: str
    filters: Mapping[str, Any]
    age: timedelta


def status() -> Call[list[Status]]:
    """All consumers, by name."""
    return Call(
        "select name, position, newest, gaps, behind, lag, seen, expires, state, filters,"
        " clock_timestamp() - seen"
        " from recovery.consumer_status order by name",
        {},
        lambda rows: [Status(*row) for row in rows],
    )
