"""Looks: the connection, this host, and then what the database says of itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import psycopg

from recovery import calls
from recovery.cli.doctor.finding import SEVERITIES, Finding
from recovery.database.pooler import is_shared

__all__ = ["examine", "limit", "looker"]

#: Seconds that the host's clock and the database's may differ.
_SKEW = 2.0

#: Milliseconds for each subject.
_LIMIT = 30_000

Check = tuple[str, Callable[[], Iterable[Finding]]]


def looker(
    conn: psycopg.Connection[Any],
    patience: timedelta,
    explain: Callable[[Exception], tuple[str, int]],
    more: Iterable[Check] = (),
) -> tuple[list[str], Callable[[], list[Finding]]]:
    """The subjects, and what looks at all of them; a subject that fails stops no other."""
    limit(conn)

    def asks(about: str) -> Check:
        return about, lambda: examine(conn, about, patience)

    checks: list[Check] = [
        ("connection", lambda: _connection(conn)),
        ("clock", lambda: _clock(conn)),
        *(asks(about) for about in calls.run(conn, calls.status.examinations())),
        *more,
    ]

    def look() -> list[Finding]:
        found: list[Finding] = []
        for about, check in checks:
            try:
                found += check()
            except Exception as error:
                if conn.closed:
                    raise
                found.append(_failed(about, explain(error)[0]))
        return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))

    return [about for about, _ in checks], look


def limit(conn: psycopg.Connection[Any], statement: int | None = None, lock: int = 0) -> None:
    """How long a statement may take, by default as looks do, and wait for a lock (ms; 0: any)."""
    if not is_shared(conn):  # there it would stay behind for others
        calls.run(
            conn, calls.session.limit_statements(_LIMIT if statement is None else statement, lock)
        )


def examine(conn: psycopg.Connection[Any], about: str, patience: timedelta) -> list[Finding]:
    """What the database finds."""
    found = calls.run(conn, calls.status.examine(about, patience))
    return [
        Finding(**{**each, "fix": None if each["fix"] is None else tuple(each["fix"])})
        for each in found
    ]


def _failed(about: str, why: str) -> Finding:
    problem = f"could not be done: {why}"
    return Finding("check-failed", "warning", "check", about, problem, "ask again")


def _connection(conn: psycopg.Connection[Any]) -> list[Finding]:
    """Whether a pooler stands between: it makes up the pid that it tells its client."""
    if is_shared(conn):
        return [
            Finding(
                *("connection-pooled", "warning", "database", conn.info.dbname),
                "this connection goes through a pooler in transaction mode: keepers and listeners"
                " that do find deaths by the lease alone, and events by polling",
                "give a DSN that goes to PostgreSQL itself (direct=… in recovery.serve)",
            )
        ]
    if calls.run(conn, calls.session.backend_pid()) != conn.info.backend_pid:
        return [
            Finding(
                *("connection-pooled", "note", "database", conn.info.dbname),
                "this connection goes through a pooler in session mode",
                "nothing, as long as it stays in session mode",
            )
        ]
    return []


def _clock(conn: psycopg.Connection[Any]) -> list[Finding]:
    """This host's clock against the database's, less what the question took."""
    asked = time.time()
    there = calls.run(conn, calls.status.clock())
    answered = time.time()
    if there is None:
        return []  # its row is missing, and the database says so
    ahead = (asked + answered) / 2 - there.timestamp()
    if abs(ahead) - (answered - asked) / 2 <= _SKEW:
        return []
    side = "ahead of" if ahead > 0 else "behind"
    return [
        Finding(
            *("clock-skew", "warning", "host", "this host"),
            f"its clock is {abs(ahead):.0f} s {side} the database's: what it says of processes"
            " and in its logs is off by that",
            "set the clocks (NTP)",
        )
    ]
