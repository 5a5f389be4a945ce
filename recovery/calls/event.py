"""The events, where they end, and the wake-up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from recovery.calls.core import Call, Row, nothing, one
from recovery.errors import InvalidArgument
from recovery.types import Event

__all__ = [
    "CHANNEL",
    "COLUMNS",
    "FILTERS",
    "KINDS",
    "RECORD",
    "Filters",
    "Page",
    "Tail",
    "ahead",
    "check_kinds",
    "fingerprint",
    "fingerprints",
    "floor",
    "latest",
    "listen",
    "notify",
    "page",
    "read",
    "since",
    "standby",
    "tail",
    "timeline",
    "unlisten",
]

#: The channel of NOTIFY: a wake-up, nothing more.
CHANNEL = "recovery"
#: Of events, as sql/event/_check_kinds.sql has them.
KINDS = (
    "opened",
    "reopened",
    "closed",
    "requeued",
    "deleted",
    "adopted",
    "failed",
    "idle",
    "cancel",
    "broken",
    "repaired",
    "gap",
)


def check_kinds(kinds: Iterable[str | None]) -> None:
    """Refuses kinds that there are not, where the database is not asked.

    Raises:
        InvalidArgument: one is unknown (RC010).
    """
    for kind in kinds:
        if kind is not None and kind not in KINDS:
            raise InvalidArgument(
                f"there are no events of kind {kind[:60]!r}", hint=f"Kinds are {', '.join(KINDS)}."
            )


@dataclass(frozen=True)
class Tail:
    """A position: every event that was visible up to `newest` was delivered, except in the gaps.

    Attributes:
        newest: an id.
        gaps: ids below that may still appear, as an int8multirange prints them.
    """

    newest: int
    gaps: str


def tail() -> Call[Tail]:
    """The position of a consumer that wants what becomes visible from now on."""
    return Call(
        "select newest, gaps::text from recovery.tail()",
        {},
        lambda rows: Tail(int(rows[0][0]), rows[0][1]),
    )


def floor() -> Call[int]:
    """Up to which id events were dropped."""
    return Call("select id from recovery.event_floor", {}, lambda rows: int(rows[0][0]))


def timeline() -> Call[tuple[str | None, datetime]]:
    """Timeline and start of the database: if both are the same, nothing can be lost."""
    return Call(
        "select recovery.timeline(), pg_postmaster_start_time()",
        {},
        lambda rows: (rows[0][0], rows[0][1]),
    )


#: Ids of the records in which events are stored are multiples of this: sql/event/outbox.sql.
RECORD = 100


def fingerprint(at: datetime, watch: str, kind: str) -> int:
    """Tells a record from another one that was given its id after a failover."""
    return hash((at, watch, kind))


def fingerprints(above: int, to: int) -> Call[dict[int, int]]:
    """Id and fingerprint of the records above an id, up to another one (inclusive)."""
    return Call(
        "select id, at, watch, kind"
        " from recovery.event_range(%(above)s::bigint + 1, %(to)s::bigint)"
        " where id %% %(record)s = 0",
        {"above": above, "to": to, "record": RECORD},
        lambda rows: {int(row[0]): fingerprint(*row[1:]) for row in rows},
    )


@dataclass(frozen=True)
class Page:
    """What has become visible since a position, and the position to go on from.

    Attributes:
        events: in the order of their ids.
        newest, gaps: the next position: see `Tail`.
        full: there is more.
    """

    events: tuple[Event, ...]
    newest: int
    gaps: str
    full: bool


COLUMNS = (
    "id, at, watch, kind, topic, key, group_key, server_epoch, reason, detector,"
    " old::text as old, new::text as new"
)


def page(
    newest: int,
    gaps: str = "{}",
    *,
    limit: int = 1000,
    watch: Sequence[str | None] | None = None,
    group: Sequence[str | None] | None = None,
    reason: Sequence[str | None] | None = None,
    kind: Sequence[str | None] | None = None,
    topic: Sequence[str | None] | None = None,
) -> Call[Page]:
    """Events that have become visible since a position, about `limit` of them.

    Those of the watches, groups, … that are given; and `gap` events of all groups.

    Raises:
        InvalidArgument: limit is not from 1 to 100000 (RC010).
    """

    def parse(rows: Sequence[Row]) -> Page:
        state, *found = rows
        return Page(tuple(Event.from_rows(found)), int(state[12]), state[13], state[14])

    return Call(
        f'select {COLUMNS}, newest, gaps::text, "full"'
        " from recovery.page(%(newest)s::bigint, %(gaps)s::int8multirange, %(limit)s::integer,"
        " row(%(watch)s::text[], %(group)s::text[], %(reason)s::text[], %(kind)s::text[],"
        " %(topic)s::text[], null)::recovery.event_filter)",
        {
            "newest": newest,
            "gaps": gaps,
            "limit": limit,
            "watch": watch,
            "group": group,
            "reason": reason,
            "kind": kind,
            "topic": topic,
        },
        parse,
    )


#: So many records are read ahead; more than these are a page's business.
_AHEAD = 10
_AHEAD_SQL = (
    f"select {COLUMNS}, several"
    f" from recovery.record where id > %(newest)s::bigint{{}} order by id limit {_AHEAD}"
)
#: So many ids are in one partition, before the next of the four begins (sql/event/outbox.sql).
_SLOT = 2_000_000_000


def ahead(newest: int, *, heard: bool = False) -> Call[Page | None]:
    """What usually follows a position without gaps: nothing, or the next few records of one event.

    The table itself, for the way through `recovery.page` costs three times as much. None: it is
    something else, `page` has to look.

    Args:
        newest: the last id of a record.
        heard: a notification says that there is something. So it is looked for only where the
            next record has its place, in one partition, which spares the time to open the
            others; and nothing there may mean that it is in another one: None.
    """

    def parse(rows: Sequence[Row]) -> Page | None:
        if len(rows) >= _AHEAD or (heard and not rows):
            return None
        expected = newest + 1
        for row in rows:
            if row[0] != expected or row[12]:
                return None
            expected += RECORD
        return Page(tuple(Event.from_rows(rows)), expected - 1, "{}", False)

    place = f" and slot = {(newest + 1) // _SLOT % 4}" if heard else ""
    return Call(_AHEAD_SQL.format(place), {"newest": newest}, parse)


def standby() -> Call[bool]:
    """Whether the database is a standby: there nobody can LISTEN."""
    return Call("select pg_is_in_recovery()", {}, lambda rows: bool(rows[0][0]))


def listen(channel: str = CHANNEL) -> Call[None]:
    """Hears a channel from now on."""
    return Call(f'listen "{channel}"', {}, nothing)


def unlisten(channel: str) -> Call[None]:
    """No longer hears a channel."""
    return Call(f'unlisten "{channel}"', {}, nothing)


def notify(channel: str) -> Call[None]:
    """Rings a channel."""
    return Call("select pg_notify(%(channel)s::text, '')", {"channel": channel}, nothing)


#: Which events: each must be in every list that is given.
FILTERS = ("watch", "group", "reason", "kind", "topic", "epoch")

Filters = Mapping[str, Sequence[object]]


def _array(name: str) -> str:
    return f"%({name})s::{'bigint' if name == 'epoch' else 'text'}[]"


def _lists(filters: Filters | None) -> dict[str, list[object]]:
    given = dict(filters or {})
    if unknown := given.keys() - set(FILTERS):
        raise TypeError(f"unknown filters: {', '.join(sorted(unknown))}")
    return {name: list(values) for name, values in given.items()}


def read(
    after: int = 0,
    *,
    limit: int = 1000,
    filters: Filters | None = None,
    unsettled: bool = False,
) -> Call[list[tuple[Event, bool]]]:
    """Events after an id, in order, about `limit` of them; each with whether it is settled.

    Args:
        after: the last id that the caller has.
        limit: how many, about.
        filters: an event must be in each list: of `watch`, `group`, `reason`, `kind`, `topic`,
            `epoch`.
        unsettled: also those below which others may still appear.

    Raises:
        InvalidArgument: limit is not from 1 to 100000, or after is negative (RC010).
    """
    given = _lists(filters)
    lists = "".join(f", p_{name} => {_array(name)}" for name in given)
    return Call(
        f"select {COLUMNS}, settled"
        f" from recovery.read(%(after)s::bigint, %(limit)s::integer{lists},"
        " p_unsettled => %(unsettled)s::boolean)",
        {"after": after, "limit": limit, "unsettled": unsettled, **given},
        lambda rows: [(Event.from_row(row[:12]), row[12]) for row in rows],
    )


def latest(limit: int = 20, *, filters: Filters | None = None) -> Call[list[Event]]:
    """The newest events that are visible, in order; filters as of `read`.

    Raises:
        InvalidArgument: limit is not from 1 to 100000 (RC010).
    """
    given = _lists(filters)
    lists = "".join(f", p_{name} => {_array(name)}" for name in given)
    return Call(
        f"select {COLUMNS} from recovery.latest(%(limit)s::integer{lists})",
        {"limit": limit, **given},
        lambda rows: [Event.from_row(row) for row in rows],
    )


def since(at: datetime | None = None, *, ago: str | None = None) -> Call[int]:
    """The id after which the events of a time on are, with some of the minute before.

    Args:
        at: the time; None without `ago`: the last id that is not kept any more.
        ago: how long before now, as PostgreSQL reads an interval.
    """
    return Call(
        "select recovery.event_since(case when %(ago)s::text is null"
        " then coalesce(%(at)s::timestamptz, '-infinity')"
        " else clock_timestamp() - %(ago)s::text::interval end)",
        {"at": at, "ago": ago},
        one,
    )
