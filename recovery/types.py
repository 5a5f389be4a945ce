"""The values that this package hands out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import Enum
from typing import Any, Literal, Self, TypeAlias

__all__ = [
    "Binding",
    "Cancel",
    "ClosedRow",
    "Event",
    "Eviction",
    "Policy",
    "PreviewRow",
    "Report",
    "Scope",
    "Unchanged",
    "from_json",
]

#: What a unit of work is: one row, or a group (session) with all its rows.
Scope: TypeAlias = Literal["row", "group"]

#: What a boot does with those who hold its name, see `recovery.boot`.
Policy: TypeAlias = Literal["supersede", "replace", "wait", "refuse"]


class Unchanged(Enum):
    """Stands for an option that is not given, where None resets it."""

    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return self.name


#: For how long a connection says its epoch, see `Server.bind`.
Binding: TypeAlias = Literal["session", "transaction"]


@dataclass(frozen=True, slots=True)
class Event:
    """One transition of a watched row, or of a group; a row of ``recovery.event``.

    Attributes:
        id: grows in the order of writing, and for one row in the order of its
            changes; drop duplicates by it. After a failover that lost events, a new
            one may have the id of a lost one, but not its `at`.
        at: database clock at the change.
        watch: name of the watch.
        kind: ``opened``, ``reopened``, ``closed``, ``requeued``, ``deleted``, ``adopted``
            (a row); ``failed``, ``idle`` (a group); ``cancel`` (a row or group that its
            owner is asked to stop, see `Server.on_cancel`); ``broken``, ``repaired`` (a watch).
        topic: name of the event, as the watch says.
        key: primary key of the row as text; a JSON array where it has several columns; empty for
            a watch.
        group: group (session) of the row.
        server_epoch: owner of the row; for a closing, the epoch whose work was closed.
        reason: ``superseded``, ``shutdown``, ``lease_expired``, …; None for a write of
            the application that gave none.
        detector: ``writer``, ``boot:<epoch>``, ``sweep:<label>``, ``shutdown:<epoch>``, …
        old: values before, of what changed.
        new: values after.
    """

    id: int
    at: datetime
    watch: str
    kind: str
    topic: str | None
    key: str
    group: str | None
    server_epoch: int | None
    reason: str | None
    detector: str
    old: Mapping[str, Any] | None = field(default=None, hash=False)
    new: Mapping[str, Any] | None = field(default=None, hash=False)

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """From columns in the order of the attributes."""
        return cls(*(*row[:10], from_json(row[10]), from_json(row[11])))

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[Any]]) -> Iterator[Self]:
        """From rows that begin with those columns; images of the same text are one object.

        Most events of a page, and all of a record, have the same ones: so they are parsed once.
        """
        known: dict[str | bytes, Any] = {}

        def image(value: Any) -> Any:
            if not isinstance(value, str | bytes):
                return value
            if value not in known:
                known[value] = _scan(value, 0)[0] if isinstance(value, str) else from_json(value)
            return known[value]

        for row in rows:
            yield cls(*(*row[:10], image(row[10]), image(row[11])))

    def to_json(self) -> str:
        """One line of JSON; `at` in ISO 8601."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["at"] = self.at.isoformat()
        return json.dumps(values, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Report:
    """What a boot, sweep or shutdown did.

    Attributes:
        closed: watch -> rows closed.
        adopted: watch -> rows that got a new owner: guarded (by a fuse, by a sign of life),
            handed to an heir, or written for a server that had not booted yet.
        failed: watch -> rows that could not be closed (see ``recovery.failure``).
        busy: watch -> rows that were left because they were locked; a sweep takes them.
        ended: the epochs that it ended.
        suspected: servers whose keeper connection is gone.
        due: in how many seconds the next server could end, without a sign of life before;
            None: nothing speaks for the death of any. Only a sweep looks.
        ms: how long it took, in milliseconds.
        asked: units of work whose live owner was asked to stop them: their time is up.
        more: it stopped before its end, at its budget or before the caller's
            statement_timeout, or was cancelled: the next sweep does the rest.
        unowned: watch -> open rows that nobody owns, up to 1000 of each: written without an
            epoch, so that nobody notices when their process dies. Only a sweep looks.
    """

    closed: Mapping[str, int] = field(default_factory=dict, hash=False)
    adopted: Mapping[str, int] = field(default_factory=dict, hash=False)
    failed: Mapping[str, int] = field(default_factory=dict, hash=False)
    busy: Mapping[str, int] = field(default_factory=dict, hash=False)
    ended: tuple[int, ...] = ()
    suspected: tuple[int, ...] = ()
    due: float | None = None
    ms: float = 0.0
    asked: int = 0
    more: bool = False
    unowned: Mapping[str, int] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, value: Any) -> Self:
        """From the database's JSON."""
        data = from_json(value) or {}
        return cls(
            closed=dict(data.get("closed") or {}),
            adopted=dict(data.get("adopted") or {}),
            failed=dict(data.get("failed") or {}),
            busy=dict(data.get("busy") or {}),
            ended=tuple(data.get("ended") or ()),
            suspected=tuple(data.get("suspected") or ()),
            due=None if data.get("due") is None else float(data["due"]),
            ms=float(data.get("ms") or 0),
            asked=int(data.get("asked") or 0),
            more=bool(data.get("more")),
            unowned=dict(data.get("unowned") or {}),
        )

    def __str__(self) -> str:
        def counts(what: Mapping[str, int]) -> str:
            return ", ".join(f"{count} {watch}" for watch, count in what.items()) or "nothing"

        parts = [f"closed {counts(self.closed)}"]
        parts += [f"adopted {counts(self.adopted)}"] if self.adopted else []
        parts += [f"failed {counts(self.failed)}"] if self.failed else []
        parts += [f"busy {counts(self.busy)}"] if self.busy else []
        parts += [f"asked to stop {self.asked}"] if self.asked else []
        parts += ["more is left"] if self.more else []
        parts += [f"nobody owns {counts(self.unowned)}"] if self.unowned else []
        return f"{'; '.join(parts)} in {self.ms:.0f} ms"


@dataclass(frozen=True, slots=True)
class Cancel:
    """A unit of work that this server has to stop; what `Server.on_cancel` hands out.

    Attributes:
        id: of the request; None if an operator has closed the work already.
        watch: name of the watch; for a group, of the row that is overdue.
        scope: ``row`` or ``group``.
        key: of the row or group, as events show it.
        reason: ``tool_timeout``, ``task_timeout``, ``idle_timeout``, ``wall_timeout``, or
            what the operator said.
        detail: row (key of the overdue row), kind, limit, since, child.
        requested: when it was asked, by the database's clock.
        deadline: after that it is closed without an acknowledgement; None for an operator's.
    """

    id: int | None
    watch: str
    scope: str
    key: str
    reason: str
    detail: Mapping[str, Any] = field(hash=False)
    requested: datetime
    deadline: datetime | None

    @property
    def group(self) -> str | None:
        """The group (session), if that is what is to stop."""
        return self.key if self.scope == "group" else None


@dataclass(frozen=True, slots=True)
class ClosedRow:
    """A row that was closed by hand, or would be.

    Attributes:
        watch: name of the watch.
        key: of the row, as events show it.
        group: group (session) of the row.
        epoch: of the server that owned it; None: nobody did.
    """

    watch: str
    key: str
    group: str | None
    epoch: int | None


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What a sweep or boot would do with a row.

    Attributes:
        action: ``close``, ``adopt`` (a fuse burns, or it names a server that lives), ``keep``, or
            ``ask`` (its owner, to stop it).
        reason: with which it would, such as ``lease_expired``.
        watch: name of the watch.
        key: of the row, as events show it.
        group: group (session) of the row.
        epoch: of the server that owns it.
    """

    action: str
    reason: str
    watch: str
    key: str
    group: str | None
    epoch: int | None


@dataclass(frozen=True, slots=True)
class Eviction:
    """What an eviction did.

    Attributes:
        epochs: that it ended.
        report: of the sweep that closed their work, and whatever else was due.
    """

    epochs: tuple[int, ...]
    report: Report


#: json.loads without its look for spaces around the value, of which jsonb prints none.
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().raw_decode


def from_json(value: Any) -> Any:
    """JSON as some drivers give it (decoded) and others (text)."""
    return json.loads(value) if isinstance(value, str | bytes) else value
