"""Real crashed stores of opencode, and what a closing must make of each of their rows."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

FOLDER = Path(__file__).parent.parent / "fixtures" / "opencode"
CASES = sorted(p.name.removesuffix(".expect.json") for p in FOLDER.glob("*.expect.json"))
WORDS = "Tool execution was interrupted (server restart)"

Row = dict[str, Any]
Rows = dict[str, dict[str, Row]]


def load(case: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A store and its expectation."""
    store = json.loads((FOLDER / f"{case}.json").read_text())
    return store, json.loads((FOLDER / f"{case}.expect.json").read_text())


def orphan_ids(expect: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Messages and parts that the crash left open."""
    parts = {id_ for ids in expect["orphan_parts"].values() for id_ in ids}
    return set(expect["orphan_messages"]), parts


def read(conn: psycopg.Connection[Any]) -> Rows:
    """The three tables, without the owner."""
    found: Rows = {}
    with conn.cursor(row_factory=dict_row) as cursor:
        for table in ("session", "message", "part"):
            cursor.execute(f"select * from agent.{table}")
            found[table] = {row["id"]: row for row in cursor}
    for rows in found.values():
        for row in rows.values():
            del row["server_epoch"]
    return found


def now(conn: psycopg.Connection[Any]) -> int:
    """Milliseconds of the database clock."""
    row = conn.execute("select (extract(epoch from clock_timestamp()) * 1000)::bigint").fetchone()
    assert row is not None
    return int(row[0])


def lapse(conn: psycopg.Connection[Any]) -> None:
    """As if no server had been heard of for an hour, and sweepers had watched all the while, and looked."""
    conn.execute(
        "update recovery.observation set since = clock_timestamp() - interval '1 hour',"
        " swept = clock_timestamp(), gap = interval '10 minutes',"
        " postmaster = pg_postmaster_start_time(), timeline = recovery.timeline()"
    )
    conn.execute(
        "update recovery.server set booted = booted - interval '1 hour',"
        " heartbeat = heartbeat - interval '1 hour', looked_beat = heartbeat - interval '1 hour',"
        " looked_at = clock_timestamp() - interval '30 minutes'"
    )


class Time:
    """Equal to any time in milliseconds from `start` to `end`."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end

    def __eq__(self, other: object) -> bool:
        return type(other) is int and self.start <= other <= self.end

    def __hash__(self) -> int:
        raise TypeError

    def __repr__(self) -> str:
        return f"<{self.start}…{self.end}>"


class Words:
    """Equal to any text that says something."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and bool(other.strip())

    def __hash__(self) -> int:
        raise TypeError


class Told:
    """Equal to an output behind which the model reads that the tool was interrupted."""

    def __init__(self, output: str, words: str | Words) -> None:
        self.output, self.words = output, words

    def __eq__(self, other: object) -> bool:
        before = f"{self.output}\n\n" if self.output else ""
        start, end = f"{before}<shell_metadata>\n", "\n</shell_metadata>"
        return (
            isinstance(other, str)
            and other.startswith(start)
            and other.endswith(end)
            and other[len(start) : -len(end)] == self.words
        )

    def __hash__(self) -> int:
        raise TypeError

    def __repr__(self) -> str:
        return f"<{self.output!r}, then {self.words!r}>"


_GOLDEN = json.loads((FOLDER / "golden.json").read_text())


def closed(row: Row, when: Time, words: str | Words = WORDS) -> Row:
    """The row as opencode's own abort would have left it: the golden pair's change, on this row.

    Only the words differ: at boot a tool says WORDS, a message any text. And where a tool had an
    output, which is all that opencode then shows the model, the words stand behind it, too.
    """
    pair = _GOLDEN[_pair(row["data"])]
    assert not list(_changes(pair["after"], pair["before"], removed=True)), "golden removes a key"
    expected = copy.deepcopy(row)
    for path, value in _changes(pair["before"], pair["after"]):
        if path == ("data", "text"):  # what was streamed: only opencode's memory had it
            continue
        if path[0] == "time_updated" or path[-2] == "time":
            value = when
        elif path == ("data", "state", "error"):
            value = words
        elif path == ("data", "error", "data", "message"):
            value = Words()
        at = expected
        for name in path[:-1]:
            at = at.setdefault(name, {})
        at[path[-1]] = value
    metadata = expected["data"].get("state", {}).get("metadata", {})
    if isinstance(metadata.get("output"), str):
        metadata["output"] = Told(metadata["output"], words)
    return expected


def _pair(data: Row) -> str:
    if "role" in data:
        return "message"
    if data["type"] != "tool":
        return f"{data['type']}_open"
    if data["state"]["status"] == "pending":
        return "tool_pending"
    with_metadata = "metadata" in data["state"]
    return "tool_running_with_metadata" if with_metadata else "tool_running_waiting_for_permission"


def _changes(
    before: Row, after: Row, path: tuple[str, ...] = (), removed: bool = False
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Leaves of `after` that are new or different (only new ones, if `removed`)."""
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, dict) and value:
            nested = old if isinstance(old, dict) else {}
            yield from _changes(nested, value, (*path, name), removed)
        elif name not in before or (value != old and not removed):
            yield (*path, name), value
