"""A server's life: boot, heartbeat, fence, shutdown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from recovery.calls.core import Call, nothing, one, report
from recovery.types import Report

__all__ = [
    "Booted",
    "assert_live",
    "boot",
    "drain",
    "evict",
    "has_ended",
    "heartbeat",
    "keeper_heartbeat",
    "open_rows",
    "shutdown",
]


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


def keeper_heartbeat(
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


def assert_live(epoch: int) -> Call[None]:
    """The fence, for a side effect: holds until the transaction ends. RC001, RC002."""
    return Call("select recovery.assert_live(%(epoch)s::bigint)", {"epoch": epoch}, nothing)


def drain(epoch: int, token: UUID, limit: timedelta) -> Call[datetime]:
    """No new work from now on; until when it may finish its own. RC001, RC002, RC003, RC010."""
    return Call(
        "select recovery.drain(%(epoch)s::bigint, %(token)s::uuid, %(limit)s::interval)",
        {"epoch": epoch, "token": token, "limit": limit},
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


def shutdown(epoch: int, token: UUID | None = None, heir: int | None = None) -> Call[Report]:
    """Ends the epoch; closes what it owned or hands it to `heir`. RC001 (heir), RC002, RC003."""
    return Call(
        "call recovery.shutdown(p_epoch => %(epoch)s::bigint, p_token => %(token)s::uuid,"
        " p_heir => %(heir)s::bigint)",
        {"epoch": epoch, "token": token, "heir": heir},
        report,
    )


def has_ended(epoch: int) -> Call[bool]:
    """Whether an epoch is known and has ended."""
    return Call(
        "select exists (select from recovery.server"
        " where epoch = %(epoch)s::bigint and ended is not null)",
        {"epoch": epoch},
        one,
    )


def evict(server: str, terminate: bool = False) -> Call[list[int]]:
    """Ends a server by name or epoch; its epochs. RC002 if none is live."""
    return Call(
        "select recovery.evict(%(server)s::text, %(terminate)s::boolean)",
        {"server": server, "terminate": terminate},
        one,
    )
