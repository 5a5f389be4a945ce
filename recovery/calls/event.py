"""The events, where they end, and the wake-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from recovery.calls.core import Call, Row, nothing
from recovery.types import Event

__all__ = [
    "CHANNEL",
    "Page",
    "Tail",
    "fingerprint",
    "fingerprints",
    "listen",
    "notify",
    "read",
    "tail",
    "timeline",
    "unlisten",
]

#: The channel of NOTIFY: a wake-up, nothing more.
CHANNEL = "recovery"


@dataclass(frozen=True)
class Tail:
    """Where the events end, and which ids below are not visible (ranges, inclusive)."""

    newest: int
    gaps: tuple[tuple[int, int], ...]


def tail(depth: int = 10_000) -> Call[Tail]:
    """Where "now" is. Ids among the last `depth` that are missing may be in flight."""
    return Call(
        "with last as materialized (select coalesce(max(id), 0) as id,"
        " greatest(coalesce(max(id), 0) - %(depth)s::bigint, 0) as floor from recovery.event),"
        " seen as (select e.id, lag(e.id, 1, l.floor) over (order by e.id) + 1 as low"
        " from last as l join recovery.event as e on e.id > l.floor)"
        " select l.id, s.low, s.id - 1 from last as l left join seen as s on s.low < s.id"
        " order by s.low",
        {"depth": depth},
        lambda rows: Tail(
            int(rows[0][0]), tuple((int(r[1]), int(r[2])) for r in rows if r[1] is not None)
        ),
    )


def timeline() -> Call[tuple[str | None, datetime]]:
    """Timeline and start of the database: if both are the same, nothing can be lost."""
    return Call(
        "select recovery.timeline(), pg_postmaster_start_time()",
        {},
        lambda rows: (rows[0][0], rows[0][1]),
    )


def fingerprint(at: datetime, watch: str, kind: str, key: str) -> int:
    """Tells an event from another one that was given its id after a failover."""
    return hash((at, watch, kind, key))


def fingerprints(above: int, to: int) -> Call[dict[int, int]]:
    """Id and fingerprint of the events above an id, up to another one (inclusive)."""
    return Call(
        "select id, at, watch, kind, key from recovery.event"
        " where id > %(above)s::bigint and id <= %(to)s::bigint",
        {"above": above, "to": to},
        lambda rows: {int(row[0]): fingerprint(*row[1:]) for row in rows},
    )


@dataclass(frozen=True)
class Page:
    """One read of the events, in one snapshot.

    Attributes:
        events: in the order of their ids.
        full: it was cut at the limit; ids above the last one were not looked at.
        xmin: every transaction below had ended.
        mark: every transaction id below was assigned before this read; None unless asked for.
    """

    events: tuple[Event, ...]
    full: bool
    xmin: int
    mark: int | None


_COLUMNS = (
    "id, at, watch, kind, topic, key, group_key, server_epoch, reason, detector,"
    " old::text as old, new::text as new"
)


def read(
    newest: int, gaps: Sequence[tuple[int, int]] = (), *, mark: bool = False, limit: int = 1000
) -> Call[Page]:
    """Events above `newest` and in the gaps, and the horizon, in one snapshot.

    With `mark` the read takes a transaction id of its own: that is what bounds the
    ids assigned before it (``pg_snapshot_xmax`` does not: it ends at the newest
    *finished* transaction). It writes nothing and needs no flush.
    """

    def parse(rows: Sequence[Row]) -> Page:
        events = tuple(Event.from_row(row[2:]) for row in rows if row[2] is not None)
        taken = rows[0][1]
        return Page(
            events, len(events) >= limit, int(rows[0][0]), None if taken is None else int(taken)
        )

    return Call(
        "with horizon as materialized ("
        "select pg_snapshot_xmin(pg_current_snapshot())::text as xmin,"
        " case when %(mark)s::boolean then pg_current_xact_id()::text end as mark)"
        " select h.xmin, h.mark, e.* from horizon as h left join lateral ("
        f"select * from ((select {_COLUMNS} from recovery.event"
        " where id > %(newest)s::bigint order by id limit %(limit)s::bigint)"
        " union all (select f.*"
        " from unnest(%(lows)s::bigint[], %(highs)s::bigint[]) as g (low, high)"
        f" cross join lateral (select {_COLUMNS} from recovery.event"
        " where id between g.low and g.high order by id limit %(limit)s::bigint) as f)"
        ") as u order by id limit %(limit)s::bigint) as e on true order by e.id",
        {
            "newest": newest,
            "lows": [low for low, _ in gaps],
            "highs": [high for _, high in gaps],
            "mark": mark,
            "limit": limit,
        },
        parse,
    )


def listen(channel: str = CHANNEL) -> Call[None]:
    """Hears a channel from now on."""
    return Call(f'listen "{channel}"', {}, nothing)


def unlisten(channel: str) -> Call[None]:
    """No longer hears a channel."""
    return Call(f'unlisten "{channel}"', {}, nothing)


def notify(channel: str) -> Call[None]:
    """Rings a channel."""
    return Call("select pg_notify(%(channel)s::text, '')", {"channel": channel}, nothing)
