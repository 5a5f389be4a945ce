"""Repairs what loses nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

from recovery import calls
from recovery.cli.doctor.finding import Finding
from recovery.cli.doctor.look import limit

__all__ = ["repair"]

#: What one repair uncovers is repaired, too; so often.
_PASSES = 5

#: A table's users wait no longer behind us (milliseconds); then we try again, so often.
_LOCK, _TRIES, _PAUSE = 100, 50, 0.2


def repair(
    conn: psycopg.Connection[Any],
    found: list[Finding],
    look: Callable[[], list[Finding]],
    explain: Callable[[Exception], tuple[str, int]],
) -> tuple[list[Finding], list[Finding], dict[tuple[str, ...], str]]:
    """Executes the fixes of what was found.

    Returns:
        What is found now, what was fixed, and why what was not.
    """
    tried: dict[tuple[str, ...], Finding] = {}
    errors: dict[tuple[str, ...], str] = {}
    calls.run(conn, calls.session.pin_search_path())
    for _ in range(_PASSES):
        due = [each for each in found if each.fix and each.identity not in tried]
        if not due:
            break
        done: set[str] = set()
        # Indexes first: here they are built beside the writers, in recovery.alter() not.
        for each in sorted(due, key=lambda each: not each.code.startswith("index-")):
            tried[each.identity] = each
            try:
                for statement in each.fix or ():
                    if statement not in done:
                        _execute(conn, statement)
                        done.add(statement)
            except Exception as error:
                if conn.closed:
                    raise
                errors[each.identity] = explain(error)[0]
        found = look()
    left = {each.identity for each in found}
    return found, [each for each in tried.values() if each.identity not in left], errors


def _execute(conn: psycopg.Connection[Any], statement: str) -> None:
    """In a transaction of its own; what takes a strong lock asks for it briefly, and again."""
    slow = " concurrently " in statement  # waits for transactions, and blocks nobody
    for left in reversed(range(1 if slow else _TRIES)):
        limit(conn, 0, 0 if slow else _LOCK)
        try:
            calls.run(conn, calls.status.fix(statement))
            return
        except psycopg.errors.LockNotAvailable:
            if not left:
                raise
            time.sleep(_PAUSE)
        finally:
            if not conn.closed:
                limit(conn)
