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

Where events may be gone for good the rules say how far:

5.  *A replica that lost its tail is promoted.* Transactions whose mark is not there any more count
    as lost, if they were written down before the moment of the crash; what they told, consumers may
    have had. Ids come again, so an event is known by its id and its time. Of each row a consumer
    gets what has survived, then perhaps what is lost, in order, and then all that was told after
    the crash.
6.  *Old events are dropped.* Who is told of a gap need not have had what was in it, and who keeps
    its position itself, what was dropped; everything else, and that in order. What stood where is
    known from a consumer that has had everything.
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
#: An event: its id, and where ids may come again its time.
Name = int | tuple[int, float]


@dataclass(frozen=True)
class Told:
    """A transition, as it has to be told."""

    kind: str
    #: What the writer had put into the row; None if a consumer can't know.
    mark: str | None = None
    #: When the writer wrote it down; None: recovery did it.
    at: float | None = None

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
    only: Mapping[str, Iterable[str]] | None = None,
    before: Mapping[Row, str] | None = None,
    crash: float | None = None,
    gaps: Iterable[str] = (),
    dropped: Mapping[str, int] | None = None,
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
        only: of these, who follows some watches only, and which.
        before: rows that were there at the beginning.
        crash: seconds since 1970 at which a replica that had lost the newest events took over;
            the writers' journals say "at" then, and the consumers'.
        gaps: of these, who may be told of a gap.
        dropped: of these, who keeps its position itself, and up to which id events were dropped.
    """
    found = Verdict()
    expected, lost = _expected(found, written, set(marks), rows, before or {}, crash)
    found.figures["transitions"] = sum(map(len, expected.values()))
    here: set[Name] = set()  # that still exists after a crash: what was told exactly once
    wanted = {name: set(watches) for name, watches in (only or {}).items()}

    by_consumer: dict[str, list[Mapping[str, Any]]] = {name: [] for name in consumers}
    for line in delivered:
        by_consumer.setdefault(line["consumer"], []).append(line)
    names: dict[Name, tuple[Row, str]] = {}
    exactly, loosely, told_of_gaps = set(exact), set(by_key), set(gaps)
    #: Of each row, the ids of what was told, as a consumer had them that had everything.
    whole: dict[Row, list[int]] | None = None
    partly = [name for name in by_consumer if name in told_of_gaps or name in (dropped or {})]
    for consumer in sorted(by_consumer, key=lambda name: (name in partly, name not in exactly)):
        seen: dict[Row, list[Mapping[str, Any]]] = defaultdict(list)
        had: set[Name] = set()
        holes = [(0, dropped[consumer])] if dropped and consumer in dropped else []
        for line in by_consumer[consumer]:
            if line["kind"] == "gap" and consumer in told_of_gaps and line["new"].get("to"):
                holes.append((line["new"]["after"], line["new"]["to"]))
                found.figures[f"{consumer}: gaps"] += 1
                continue
            row = row_of(line["watch"], line["key"])
            id_ = line["id"] if crash is None else (line["id"], line["at"])
            name = names.setdefault(id_, (row, line["kind"]))
            if name != (row, line["kind"]):
                found.violations.append(
                    f"{consumer}: id {id_} names {row} {line['kind']}, and {name}"
                )
            if id_ in had:
                found.figures[f"{consumer}: copies"] += 1
                if consumer in exactly:
                    found.violations.append(f"{consumer}: id {id_} came again")
                continue
            had.add(id_)
            seen[row].append(line)
        found.figures[f"{consumer}: events"] = len(had)
        broken = len(found.violations)
        for row in expected.keys() | seen.keys() | lost.keys():
            if row[0] not in wanted.get(consumer, {row[0]}):
                if row in seen:
                    found.violations.append(
                        f"{consumer}: {row} is of a watch that it does not want"
                    )
                continue
            due, lines = expected.get(row, []), seen.get(row, [])
            if holes:
                due = _without_holes(found, whole, consumer, row, due, lines, holes)
            if crash is not None:
                due, lines = _after_crash(found, due, lines, lost.get(row, []), crash)
            _compare(found, consumer, row, due, lines, consumer in loosely)
        if crash is not None and consumer in exactly:
            here |= had
        for gone in {
            one
            for one in here - had
            if names[one][0][0] in wanted.get(consumer, {names[one][0][0]})
        }:
            found.missing[consumer] += 1
            found.violations.append(f"{consumer}: {names[gone][0]} lost {names[gone][1]} {gone}")
        if (
            len(found.violations) == broken
            and whole is None
            and not holes
            and consumer not in wanted
        ):
            whole = {row: [line["id"] for line in lines] for row, lines in seen.items()}
    return found


def _without_holes(
    found: Verdict,
    whole: Mapping[Row, list[int]] | None,
    consumer: str,
    row: Row,
    due: list[Told],
    lines: list[Mapping[str, Any]],
    holes: Iterable[tuple[int, int]],
) -> list[Told]:
    """What is due without what was dropped and has not come."""
    ids = (whole or {}).get(row, [])
    if len(ids) != len(due):
        found.violations.append(f"{consumer}: {row}: nobody knows what was dropped")
        return due
    came = {line["id"] for line in lines}
    kept = [
        told
        for id_, told in zip(ids, due, strict=True)
        if id_ in came or not any(after < id_ <= to for after, to in holes)
    ]
    found.figures[f"{consumer}: dropped"] += len(due) - len(kept)
    return kept


def _after_crash(
    found: Verdict,
    due: list[Told],
    lines: list[Mapping[str, Any]],
    lost: list[tuple[int, Told]],
    crash: float,
) -> tuple[list[Told], list[Mapping[str, Any]]]:
    """What is due and what came, without what came of lost transactions.

    That stands between what survived and what was told after the crash. It is taken away only if
    something lost is as it says, in order; else it is left, for everybody to see.
    """
    old = [line for line in lines if line["at"] <= crash]
    new = [line for line in lines if line["at"] > crash]
    if old + new != lines:
        return due, lines  # what is new came before what is old
    # Who closed a row between what is old for sure and what is new for sure, did it either way.
    sure = [n for n, told in enumerate(due) if told.at is not None and told.at <= crash]
    survived = sure[-1] + 1 if sure else 0
    if due[survived:] and due[survived].at is None and len(new) < len(due) - survived:
        survived += 1
    rest, number = [], 0
    for line in old[survived:]:
        fitting = [n for n, told in lost if n > number and told.fits(line)]
        if fitting:
            number = min(fitting)
        elif line["kind"] != "closed":  # which recovery may have done, and nobody has written down
            rest.append(line)
        found.figures["lost, and had been told"] += 1
    return due, [*old[:survived], *rest, *new]


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
    crash: float | None,
) -> tuple[dict[Row, list[Told]], dict[Row, list[tuple[int, Told]]]]:
    """What has to be told of each row, in order; and what a crash has lost, by number of the step."""
    steps: dict[Row, list[tuple[int, str | None, str | None, str, float]]] = defaultdict(list)
    lost: dict[str, list[tuple[Row, int, Told]]] = {}
    ends: dict[str, str] = {}
    for line in written:
        if "steps" not in line:
            ends[line["tx"]] = line["end"]
            continue
        at = line.get("at", 0.0)
        if line["tx"] in marks:
            for watch, key, number, was, now, mark in line["steps"]:
                steps[row_of(watch, key)].append((number, was, now, mark, at))
            found.figures["transactions"] += 1
        elif crash is not None and at <= crash:
            lost[line["tx"]] = [
                (row_of(watch, key), number, Told(kind, None if now is None else mark, at))
                for watch, key, number, was, now, mark in line["steps"]
                if (kind := kind_of(was, now))
            ]
        else:
            found.figures["transactions rolled back"] += 1
    for tx, end in ends.items():
        if tx in lost and end == "committed":
            found.figures["transactions lost"] += 1
        elif (end == "committed") != (tx in marks):
            found.violations.append(f"transaction {tx} was {end}, and the database says otherwise")
        elif tx in lost:  # it was rolled back: nothing of it may be told
            found.figures["transactions rolled back"] += 1
            del lost[tx]

    expected: dict[Row, list[Told]] = {}
    for row in steps.keys() | rows.keys() | before.keys():
        told: list[Told] = []
        state, last, mark_before = before.get(row), 0, None
        for number, was, now, mark, at in sorted(steps.get(row, []), key=lambda step: step[0]):
            if number != last + 1:
                found.violations.append(f"{row}: step {number} follows {last}: a journal is torn")
            _between(found, told, row, state, was)
            if kind := kind_of(was, now):
                told.append(Told(kind, mark_before if now is None else mark, at))
            state, last, mark_before = now, number, mark
        _between(found, told, row, state, rows.get(row))
        expected[row] = told
    gone: dict[Row, list[tuple[int, Told]]] = defaultdict(list)
    for each in lost.values():
        for row, number, one in each:
            gone[row].append((number, one))
    return expected, gone


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
        # What names its mark before what nobody knows: they may have come in another order.
        fitting = sorted((t for t in missing if t.fits(line)), key=lambda told: told.mark is None)
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
