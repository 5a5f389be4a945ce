"""Fuses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from recovery.calls.core import Call, one

__all__ = ["cancel", "extend", "extend_all", "light"]


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
