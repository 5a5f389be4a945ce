"""The routines of the watchdog as calls: timeouts, cancelling, closing by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from recovery._types import from_json
from recovery.calls import Call, one

__all__ = [
    "Cancel",
    "Closed",
    "Foreseen",
    "acknowledge",
    "cancellations",
    "close",
    "preview",
    "supervise",
    "touch",
]


def supervise(
    table: str,
    *,
    kind: str | None = None,
    activity: str | None = None,
    timeout: str | None = None,
    hold: str | None = None,
    child: str | None = None,
    cancel: str = "row",
    started: str | None = None,
) -> Call[str]:
    """Puts a watched table under the watchdog; the watch's name. RC006, RC008."""
    return Call(
        "select recovery.supervise(p_table => %(table)s::text::regclass, p_kind => %(kind)s::text,"
        " p_activity => %(activity)s::text, p_timeout => %(timeout)s::text,"
        " p_hold => %(hold)s::text, p_child => %(child)s::text, p_cancel => %(cancel)s::text,"
        " p_started => %(started)s::text)",
        {
            "table": table,
            "kind": kind,
            "activity": activity,
            "timeout": timeout,
            "hold": hold,
            "child": child,
            "cancel": cancel,
            "started": started,
        },
        one,
    )


def touch(watch: str, keys: Sequence[str], scope: str = "row") -> Call[int]:
    """Says that rows or groups move; how many touches were written. RC008, RC010."""
    return Call(
        "select recovery.touch(%(watch)s::text, %(keys)s::text[], %(scope)s::text)",
        {"watch": watch, "keys": list(keys), "scope": scope},
        one,
    )


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


def cancellations(epoch: int) -> Call[list[tuple[Cancel, float]]]:
    """What a server is asked to stop and has not acknowledged, with the seconds left."""
    return Call(
        "select id, watch, scope, key, reason, detail::text, requested, deadline,"
        " extract(epoch from deadline - recovery._now())::float8"
        " from recovery.pending_cancellations(%(epoch)s::bigint)",
        {"epoch": epoch},
        lambda rows: [
            (Cancel(r[0], r[1], r[2], r[3], r[4], from_json(r[5]) or {}, r[6], r[7]), r[8])
            for r in rows
        ],
    )


def acknowledge(id_: int, epoch: int, token: UUID) -> Call[dict[str, int]]:
    """The owner has stopped what it was asked to: closes the rest; watch -> rows.

    Harmless when repeated. RC001, RC002, RC003.
    """
    return Call(
        "select recovery.acknowledge_cancellation("
        "%(id)s::bigint, %(epoch)s::bigint, %(token)s::uuid)::text",
        {"id": id_, "epoch": epoch, "token": token},
        lambda rows: dict(from_json(rows[0][0]) or {}),
    )


@dataclass(frozen=True)
class Closed:
    """A row that `close` closed, or would close."""

    watch: str
    key: str
    group: str | None
    epoch: int | None


def close(
    key: str,
    *,
    reason: str = "operator",
    watch: str | None = None,
    scope: str | None = None,
    dry: bool = False,
) -> Call[list[Closed]]:
    """Closes one open row or group (session), whoever owns it; its rows. RC008, RC010."""
    return Call(
        "select watch, key, group_key, server_epoch from recovery.close(%(key)s::text,"
        " %(reason)s::text, %(watch)s::text, %(scope)s::text, %(dry)s::boolean)",
        {"key": key, "reason": reason, "watch": watch, "scope": scope, "dry": dry},
        lambda rows: [Closed(*row) for row in rows],
    )


@dataclass(frozen=True)
class Foreseen:
    """What a sweep or boot would do with a row: ``close``, ``adopt``, ``keep`` or ``ask``."""

    action: str
    reason: str
    watch: str
    key: str
    group: str | None
    epoch: int | None


def preview(boot: str | None = None) -> Call[list[Foreseen]]:
    """What a sweep would do now, or a boot of that name; nothing is done."""
    return Call(
        "select action, reason, watch, key, group_key, server_epoch"
        " from recovery.preview(%(boot)s::text)",
        {"boot": boot},
        lambda rows: [Foreseen(*row) for row in rows],
    )
