"""The watchdog: putting a table under it, touches, what an owner is asked to stop."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from recovery.calls.core import Call, one
from recovery.types import Cancel, Scope, from_json

__all__ = ["acknowledge", "cancellations", "supervise", "touch", "unsupervise"]


def supervise(
    table: str,
    *,
    kind: str | None = None,
    activity: str | None = None,
    timeout: str | None = None,
    hold: str | None = None,
    child: str | None = None,
    cancel: Scope = "row",
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


def unsupervise(table: str) -> Call[str]:
    """Takes a table from the watchdog; the watch's name. RC008."""
    return Call("select recovery.unsupervise(%(table)s::text::regclass)", {"table": table}, one)


def touch(watch: str, keys: Sequence[str], scope: str = "row") -> Call[int]:
    """Says that rows or groups move; how many touches were written. RC008, RC010."""
    return Call(
        "select recovery.touch(%(watch)s::text, %(keys)s::text[], %(scope)s::text)",
        {"watch": watch, "keys": list(keys), "scope": scope},
        one,
    )


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
