"""What happened to watched rows, and what consumers were told, judged without our code.

The witnesses: each writer's journal (what it did in a transaction, by its own knowledge), the marks
of transactions in a table that nobody watches, the rows as they stand when all is over, and each
consumer's journal: a line of JSON for each event, in the order in which it had them:

    {"consumer": …, "id": …, "key": …, "kind": …, "watch": …}

and, if it knows it, "mark": what the writer had put into the row. Anything that appends such lines
is a consumer. The table of events is no witness.

1.  What has to be told follows from the state of a row before and after each committed step: open
    at its insert ``opened``, open to not open ``closed``, not open to open ``reopened``, open and
    gone ``deleted``, and else nothing. A row that was running when a writer left it and failed when
    the next one came, or at the end, was closed by recovery: ``closed``.
2.  Each consumer gets every one of them at least once, and once the copies of an id are dropped,
    no other: none of a transaction or savepoint that was rolled back, none twice under two ids,
    none of a row that nobody knows.
3.  In the order of the steps, for each row. Where only the order of a key is promised (a webhook), a
    row whose key changes, as when it moves to another partition, counts as several.
4.  An id names one event, for all consumers. Who asks for exactly once gets no copies.

A transaction whose COMMIT was not answered counts as its mark says.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: The state of a row in which work is in flight.
OPEN = "running"
#: What recovery makes of it.
FAILED = "failed"

#: A watch and a row of it.
Row = tuple[str, str]


@dataclass(frozen=True)
class Told:
    """A transition, as it has to be told."""

    kind: str
    #: What the writer had put into the row; None if a consumer can't know.
    mark: str | None = None

    def fits(self, line: Mapping[str, Any]) -> bool:
        said = line.get("mark")
        return bool(
            self.kind == line["kind"] and (said is None or self.mark is None or said == self.mark)
        )

    def __str__(self) -> str:
        return self.kind if self.mark is None else f"{self.kind} ({self.mark})"


@dataclass
class Verdict:
    """What an independent look found."""

    violations: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)
    #: By consumer, transitions that it has not been told (yet).
    missing: Counter[str] = field(default_factory=Counter)


def read(paths: Iterable[Path]) -> list[dict[str, Any]]:
    """The lines of journals; what kill -9 has cut off is left out."""
    lines = []
    for path in paths:
        for line in path.read_text().split("\n"):
            try:
                lines.append(json.loads(line))
            except ValueError:
                pass
    return lines


def row_of(watch: str, key: object) -> Row:
    """The row that a key names: of several columns the first one is its name."""
    text = str(key)
    if text.startswith("["):
        text = str(json.loads(text)[0])
    return watch, text


def judge(
    written: Iterable[Mapping[str, Any]],
    marks: Iterable[str],
    rows: Mapping[Row, str],
    delivered: Iterable[Mapping[str, Any]],
    *,
    consumers: Iterable[str],
    exact: Iterable[str] = (),
    by_key: Iterable[str] = (),
    before: Mapping[Row, str] | None = None,
) -> Verdict:
    """The rules above.

    Args:
        written: the writers' journals: {"tx", "steps"} before COMMIT, {"tx", "end"} after; a step
            is watch, key, number, state before, state after (null: no such row), mark.
        marks: the transactions that are in the table.
        rows: the state of each row at the end.
        delivered: the consumers' journals.
        consumers: who has to have had everything.
        exact: of these, who must not get copies.
        by_key: of these, who is promised the order of each key only.
        before: rows that were there at the beginning.
    """
    found = Verdict()
    expected = _expected(found, written, set(marks), rows, before or {})
    found.figures["transitions"] = sum(map(len, expected.values()))

    by_consumer: dict[str, list[Mapping[str, Any]]] = {name: [] for name in consumers}
    for line in delivered:
        by_consumer.setdefault(line["consumer"], []).append(line)
    names: dict[int, tuple[Row, str]] = {}
    exactly, loosely = set(exact), set(by_key)
    for consumer, lines in by_consumer.items():
        seen: dict[Row, list[Mapping[str, Any]]] = defaultdict(list)
        had: set[int] = set()
        for line in lines:
            row = row_of(line["watch"], line["key"])
            name = names.setdefault(line["id"], (row, line["kind"]))
            if name != (row, line["kind"]):
                found.violations.append(
                    f"{consumer}: id {line['id']} names {row} {line['kind']}, and {name}"
                )
            if line["id"] in had:
                found.figures[f"{consumer}: copies"] += 1
                if consumer in exactly:
                    found.violations.append(f"{consumer}: id {line['id']} came again")
                continue
            had.add(line["id"])
            seen[row].append(line)
        found.figures[f"{consumer}: events"] = len(had)
        for row in expected.keys() | seen.keys():
            _compare(
                found, consumer, row, expected.get(row, []), seen.get(row, []), consumer in loosely
            )
    return found


def kind_of(was: str | None, now: str | None) -> str | None:
    """What a step tells."""
    if was == OPEN:
        return "deleted" if now is None else None if now == OPEN else "closed"
    if now == OPEN:
        return "opened" if was is None else "reopened"
    return None


def _expected(
    found: Verdict,
    written: Iterable[Mapping[str, Any]],
    marks: set[str],
    rows: Mapping[Row, str],
    before: Mapping[Row, str],
) -> dict[Row, list[Told]]:
    """What has to be told of each row, in order."""
    steps: dict[Row, list[tuple[int, str | None, str | None, str]]] = defaultdict(list)
    ends: dict[str, str] = {}
    for line in written:
        if "steps" not in line:
            ends[line["tx"]] = line["end"]
            continue
        if line["tx"] in marks:
            for watch, key, number, was, now, mark in line["steps"]:
                steps[row_of(watch, key)].append((number, was, now, mark))
            found.figures["transactions"] += 1
        else:
            found.figures["transactions rolled back"] += 1
    for tx, end in ends.items():
        if (end == "committed") != (tx in marks):
            found.violations.append(f"transaction {tx} was {end}, and the database says otherwise")

    expected: dict[Row, list[Told]] = {}
    for row in steps.keys() | rows.keys() | before.keys():
        told: list[Told] = []
        state, last, mark_before = before.get(row), 0, None
        for number, was, now, mark in sorted(steps.get(row, []), key=lambda step: step[0]):
            if number != last + 1:
                found.violations.append(f"{row}: step {number} follows {last}: a journal is torn")
            _between(found, told, row, state, was)
            if kind := kind_of(was, now):
                told.append(Told(kind, mark_before if now is None else mark))
            state, last, mark_before = now, number, mark
        _between(found, told, row, state, rows.get(row))
        expected[row] = told
    return expected


def _between(
    found: Verdict, told: list[Told], row: Row, state: str | None, then: str | None
) -> None:
    """What nobody has written down: only recovery may have done it, and only to open rows."""
    if state == then:
        return
    if (state, then) == (OPEN, FAILED):
        told.append(Told("closed"))
        found.figures["closed by recovery"] += 1
    else:
        found.violations.append(f"{row}: was left {state}, and is {then}")


def _compare(
    found: Verdict,
    consumer: str,
    row: Row,
    expected: list[Told],
    seen: list[Mapping[str, Any]],
    by_key: bool,
) -> None:
    if len(expected) == len(seen) and all(map(Told.fits, expected, seen)):
        return
    missing, surplus = list(expected), []
    for line in seen:
        fitting = [told for told in missing if told.fits(line)]
        if fitting:
            missing.remove(fitting[0])
        else:
            surplus.append(line)
    if missing:
        found.missing[consumer] += len(missing)
    what = f"expected {', '.join(map(str, expected)) or 'nothing'}; had " + (
        ", ".join(f"{line['id']} {line['kind']}" for line in seen) or "nothing"
    )
    for told in missing:
        found.violations.append(f"{consumer}: {row} lost {told}: {what}")
    for line in surplus:
        twice = any(told.fits(line) for told in expected)
        found.violations.append(
            f"{consumer}: {row} {'twice' if twice else 'ghost'} {dict(line)}: {what}"
        )
    if not missing and not surplus and not (by_key and _ordered_by_key(expected, seen)):
        found.violations.append(f"{consumer}: {row} wrong order: {what}")


def _ordered_by_key(expected: list[Told], seen: list[Mapping[str, Any]]) -> bool:
    """Whether what was told of each key is in the order of the steps."""
    by_key: dict[object, list[Mapping[str, Any]]] = defaultdict(list)
    for line in seen:
        by_key[line["key"]].append(line)
    for lines in by_key.values():
        rest = iter(expected)
        if not all(any(told.fits(line) for told in rest) for line in lines):
            return False
    return True
