"""Processes: of servers and fuses, and those that do a unit of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from recovery.calls.core import Call, Row, one

__all__ = [
    "Process",
    "left_processes",
    "local_processes",
    "may_be_left",
    "processes_of",
    "prune_processes",
    "report_processes",
    "track",
    "untrack",
]


@dataclass(frozen=True)
class Process:
    """An entry of ``recovery.process``: a process that does a row or a group."""

    id: int
    epoch: int
    watch: str  #: of a group, the one through which it was named
    scope: str
    key: str
    host: str
    pid: int
    start: datetime


def _processes(rows: Sequence[Row]) -> list[Process]:
    return [Process(*row) for row in rows]


_PROCESS = "select id, server_epoch, watch, scope, key, host, pid, process_start from"


def track(
    epoch: int,
    token: UUID,
    watch: str,
    key: str,
    scope: str,
    host: str,
    pid: int,
    process_start: datetime,
) -> Call[int]:
    """Registers a process that does a unit; its number. RC001, RC002, RC003, RC008, RC010."""
    return Call(
        "select recovery.track_process("
        "%(epoch)s::bigint, %(token)s::uuid, %(watch)s::text, %(key)s::text,"
        " %(scope)s::text, %(host)s::text, %(pid)s::integer, %(process_start)s::timestamptz)",
        {
            "epoch": epoch,
            "token": token,
            "watch": watch,
            "key": key,
            "scope": scope,
            "host": host,
            "pid": pid,
            "process_start": process_start,
        },
        one,
    )


def untrack(process: int) -> Call[bool]:
    """Forgets a process, by its number; False if it was forgotten."""
    return Call("select recovery.untrack_process(%(process)s::bigint)", {"process": process}, one)


def processes_of(watch: str, key: str, scope: str = "row") -> Call[list[Process]]:
    """The processes of a row, or of a group with its rows and descendants. RC008, RC010."""
    return Call(
        f"{_PROCESS} recovery.work_processes(%(watch)s::text, %(scope)s::text, %(key)s::text)",
        {"watch": watch, "scope": scope, "key": key},
        _processes,
    )


def left_processes(host: str, epoch: int | None = None) -> Call[list[Process]]:
    """Processes on a host whose server has ended (or of one epoch) and that nobody goes on with."""
    return Call(
        f"{_PROCESS} recovery.orphaned_processes(%(host)s::text, %(epoch)s::bigint)",
        {"host": host, "epoch": epoch},
        _processes,
    )


def may_be_left(host: str) -> Call[bool]:
    """Whether `left_processes` is worth asking; waits for no watched table."""
    return Call(
        "select exists (select from recovery.process as p where p.host = %(host)s::text"
        " and not exists (select from recovery.server as s"
        " where s.epoch = p.server_epoch and s.ended is null))",
        {"host": host},
        one,
    )


def prune_processes(age: timedelta = timedelta(days=7)) -> Call[int]:
    """Forgets processes of servers that ended longer ago; how many. RC010 below an hour."""
    return Call("select recovery.prune_processes(%(age)s::interval)", {"age": age}, one)


def local_processes(host: str) -> Call[list[tuple[int, datetime | None]]]:
    """(pid, start) of the processes that servers and fuses name on a host."""
    return Call(
        "select pid, process_start from recovery.host_processes(%(host)s::text)",
        {"host": host},
        lambda rows: [(row[0], row[1]) for row in rows],
    )


def report_processes(host: str, seen: Sequence[tuple[int, datetime | None, bool]]) -> Call[int]:
    """Says of (pid, start) whether it lives; how many servers and fuses are found dead. RC010."""
    return Call(
        "select recovery.report_processes(%(host)s::text, %(pids)s::integer[],"
        " %(starts)s::timestamptz[], %(alive)s::boolean[])",
        {
            "host": host,
            "pids": [pid for pid, _, _ in seen],
            "starts": [start for _, start, _ in seen],
            "alive": [lives for _, _, lives in seen],
        },
        one,
    )
