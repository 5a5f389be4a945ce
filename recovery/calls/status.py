"""What stands in the database: its version, and what `recovery status` and `doctor` show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from recovery.calls.core import Call, Row, nothing, one
from recovery.types import from_json

__all__ = [
    "cancellations",
    "clock",
    "examinations",
    "examine",
    "failures",
    "fix",
    "fuses",
    "open_transactions",
    "problems",
    "servers",
    "settings",
    "sweeps",
    "version",
    "watches",
]

Records = list[dict[str, Any]]


def version() -> Call[str]:
    """Version of the installed schema. SchemaMismatch (RC009) if there is none."""
    return Call("select recovery.version()", {}, one)


def servers(ended: int = 5) -> Call[Records]:
    """Every server that has not ended, and the last ones that have."""
    names = "epoch name host pid version lease booted heartbeat ended reason state".split()
    names += ["held_until", "held_because", "open_rows"]
    return _records(
        f"select {', '.join(names)}, clock_timestamp() - heartbeat from ("
        " select *, row_number() over (partition by ended is null order by epoch desc) as place"
        " from recovery.server_status) as s"
        " where ended is null or open_rows > 0 or place <= %(ended)s::bigint"
        " order by ended is not null, name, epoch desc",
        {"ended": ended},
        *names,
        "heartbeat_age",
    )


def watches() -> Call[Records]:
    """Each watched table with its open rows."""
    return _records(
        "select watch, relation::text, open_rows, waiting, orphans, unowned, failures, stale,"
        " elsewhere from recovery.watch_status",
        {},
        *"watch relation open_rows waiting orphans unowned failures stale elsewhere".split(),
    )


def failures(limit: int = 20) -> Call[Records]:
    """Orphans that could not be closed, the newest first."""
    return _records(
        "select watch, key, server_epoch, attempts, sqlstate, message, last_at, next_at,"
        " next_at - clock_timestamp() from recovery.failure"
        " order by last_at desc limit %(limit)s::bigint",
        {"limit": limit},
        *"watch key server_epoch attempts sqlstate message last_at next_at next_in".split(),
    )


def cancellations(limit: int = 20) -> Call[Records]:
    """What live owners are asked to stop, the most urgent first."""
    return _records(
        "select c.id, coalesce(nullif(c.watch, ''), c.detail ->> 'watch'), c.scope, c.key,"
        " c.reason, c.server_epoch, s.name, c.requested, c.deadline, c.deadline - recovery._now()"
        " from recovery.cancellation as c"
        " left join recovery.server as s on s.epoch = c.server_epoch"
        " order by c.deadline, c.id limit %(limit)s::bigint",
        {"limit": limit},
        *"id watch scope key reason server_epoch server requested deadline closes_in".split(),
    )


def fuses(limit: int = 20) -> Call[Records]:
    """Fuses, those that burn out first at the top."""
    return _records(
        # An infinite time got in past the checks: no client could read it.
        "select id, case scope when 'row' then watch else family end, scope, key, pid, host, lit,"
        " case when isfinite(expires) then expires end,"
        " case when isfinite(expires) then expires - recovery._now() end, process_dead, case"
        " when not burns and not spent then 'impossible'"
        " when process_dead is not null then 'process dead'"
        " when spent then 'burnt out'"
        " when pid is null then 'no process'"
        " when expires < recovery._now() then 'late' else 'burns' end"
        " from recovery.fuse_state order by expires, id limit %(limit)s::bigint",
        {"limit": limit},
        *"id watch scope key pid host lit expires burns_for process_dead state".split(),
    )


def problems(limit: int = 20) -> Call[Records]:
    """What stands in our tables and cannot be, and what takes the fence from a table."""
    return _records(
        "select kind, name, problem, remedy from recovery.problem"
        " order by 1, 2 limit %(limit)s::bigint",
        {"limit": limit},
        *"kind name problem remedy".split(),
    )


def open_transactions(limit: int) -> Call[Records]:
    """What keeps events from being settled for 5 s or longer, the oldest first."""
    return _records(
        "select pid, gid, who, database, begun, clock_timestamp() - begun, query, remedy"
        " from recovery.open_transaction where begun < clock_timestamp() - interval '5 s'"
        " order by older desc limit %(limit)s::bigint",
        {"limit": limit},
        *"pid gid who database begun age query remedy".split(),
    )


def examinations() -> Call[list[str]]:
    """What `examine` can look at, in its order."""
    return Call(
        "select name from recovery._examinations()", {}, lambda rows: [row[0] for row in rows]
    )


def examine(about: str | None, patience: timedelta) -> Call[Records]:
    """What is wrong with a subject of `examinations`, or with all; what `recovery doctor` shows."""
    return _records(
        "select code, severity, kind, subject, problem, remedy, fix"
        " from recovery.examine(%(about)s::text, %(patience)s::interval)",
        {"about": about, "patience": patience},
        *"code severity kind subject problem remedy fix".split(),
    )


def fix(statement: str) -> Call[None]:
    """One of the statements of a finding's `fix`."""
    return Call(statement, {}, nothing)


def clock() -> Call[datetime | None]:
    """The clock by which leases and fuses are judged; None: its row is missing."""
    return Call("select recovery._now()", {}, one)


def settings() -> Call[Records]:
    """Settings of the watchdog that were set."""
    return _records(
        "select name, value, watch, kind, group_key from recovery.setting_status"
        " where source = 'set'",
        {},
        *"name value watch kind group".split(),
    )


def sweeps(limit: int = 5) -> Call[Records]:
    """The last sweep of each sweeper, the newest first."""
    return _records(
        "select label, at, took, report::text, clock_timestamp() - at from recovery.sweep_run"
        " order by at desc limit %(limit)s::bigint",
        {"limit": limit},
        *"label at took report age".split(),
    )


def _records(sql: str, params: dict[str, Any], *names: str) -> Call[Records]:
    def parse(rows: Sequence[Row]) -> Records:
        found = [dict(zip(names, row, strict=True)) for row in rows]
        for record in found:
            if "report" in record:
                record["report"] = from_json(record["report"])
        return found

    return Call(sql, params, parse)
