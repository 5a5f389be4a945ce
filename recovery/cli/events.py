"""`recovery events`: what has happened, and what happens."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import Annotated, Any

import psycopg
import typer

from recovery import calls
from recovery.cli import show, target
from recovery.cli.choices import (
    After,
    AsJson,
    Dsn,
    Epochs,
    Groups,
    Kinds,
    Reasons,
    Since,
    Topics,
    Watches,
)
from recovery.types import Event

__all__ = ["begin", "events", "filters"]

#: So many are shown where nothing says how many.
_FEW = 50

#: Events of one read.
_PAGE = 1000

#: Events that wait for a slow reader of the pipe.


def events(
    watch: Watches = None,
    group: Groups = None,
    kind: Kinds = None,
    reason: Reasons = None,
    topic: Topics = None,
    epoch: Epochs = None,
    after: After = None,
    since: Since = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            metavar="N",
            min=1,
            max=100_000,
            help="The newest N; with --after or --since the first N. By default the newest"
            f" {_FEW}, and with these all.",
        ),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            "-f",
            help="Go on with what happens, at once, until Ctrl-C. Begins with now, unless"
            " --limit, --after or --since say otherwise.",
        ),
    ] = False,
    as_json: AsJson = False,
    dsn: Dsn = None,
) -> None:
    """Shows what has happened to watched rows, a line each; with --follow what happens.

    With --json a line is an object. To act on events use a consumer, which loses none.
    """
    if after is not None and since is not None:
        raise typer.BadParameter("give --after or --since, not both")
    from_there = after is not None or since is not None
    if follow and from_there and limit is not None:
        raise typer.BadParameter("--follow has no end: give --limit, or --after, or --since")
    wanted = filters(watch=watch, group=group, kind=kind, reason=reason, topic=topic, epoch=epoch)
    with target.opened(dsn) as conn:
        start = begin(conn, after, since)
        if start is None and (limit is not None or not follow):
            found = calls.run(conn, calls.event.latest((limit or _FEW) + 1, filters=wanted))
            shown = found[-(limit or _FEW) :]
            start = (shown[0].id - 1) if shown else 0
            if not follow:
                for event in shown:
                    _print(event, as_json)
                if limit is None and len(found) > _FEW:
                    _hint(f"the newest {_FEW}; --limit shows more, --after 0 all")
                return
        elif not follow:
            assert start is not None
            for event in _history(conn, start, since, limit, wanted):
                _print(event, as_json)
            return
    _follow(target.database(dsn), start, wanted, as_json)


def filters(**given: Any) -> dict[str, list[Any]]:
    """Those that were given."""
    return {name: list(values) for name, values in given.items() if values}


def begin(conn: psycopg.Connection[Any], after: int | None, since: str | None) -> int | None:
    """The id to begin after, if one was asked for; says so where events are not kept any more."""
    if after is None and since is None:
        return None
    floor = calls.run(conn, calls.event.since())
    if since is not None:
        try:
            after = calls.run(conn, _since(since))
        except (ValueError, psycopg.DataError):
            raise typer.BadParameter(
                f"{since!r} is no time: 10min, '2 hours', 04:58 (today), 2026-11-26T04:58"
            ) from None
    assert after is not None
    if after < floor or (since is not None and after == floor > 0):
        _hint(f"events up to {floor} are no longer kept (recovery config get event_retention)")
    return max(after, floor)


def _since(text: str) -> calls.Call[int]:
    """Where a time begins: one of a day, one that was last at that hour, or so long ago."""
    given = text.strip()
    return calls.event.since(ago=given) if (at := _moment(given)) is None else calls.event.since(at)


def _moment(text: str) -> datetime | None:
    """The time that was meant, by the clock of this place; None: a span, for PostgreSQL to read.

    Raises:
        ValueError: it looks like a time, and is none.
    """
    now = datetime.now().astimezone()
    if re.match(r"\d{4}-", text):
        at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.astimezone()
    if re.match(r"\d\d?:", text):
        at = datetime.combine(now.date(), time.fromisoformat(text.zfill(5))).astimezone()
        return at if at <= now else at - timedelta(days=1)
    return None


def _history(
    conn: psycopg.Connection[Any],
    start: int,
    since: str | None,
    limit: int | None,
    wanted: calls.event.Filters,
) -> Iterator[Event]:
    """What is visible after an id, page by page."""
    left = limit
    first = None if since is None else _moment(since.strip())
    while left is None or left > 0:
        size = _PAGE if left is None else min(left, _PAGE)
        page = calls.run(conn, calls.event.read(start, limit=size, filters=wanted, unsettled=True))
        if not page:
            return
        start = page[-1][0].id
        shown = [event for event, _ in page if first is None or event.at >= first][:left]
        left = None if left is None else left - len(shown)
        yield from shown


def _follow(database: str, after: int | None, wanted: dict[str, Any], as_json: bool) -> None:
    from recovery.events.listener import listen

    epochs = wanted.pop("epoch", None)
    with listen(database, after=after) as bus:
        # Whoever reads the pipe may be slow: the reading of events waits.
        for event in bus.subscribe(**wanted, lossless=True):
            if epochs is None or event.server_epoch in epochs:
                _print(event, as_json, flush=True)


def _print(event: Event, as_json: bool, flush: bool = False) -> None:
    print(event.to_json() if as_json else show.event(event), flush=flush)


def _hint(text: str) -> None:
    sys.stdout.flush()
    print(f"recovery: {text}", file=sys.stderr, flush=True)
