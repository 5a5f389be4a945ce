"""The checker finds what it is there for: each rule has a history that breaks it, and one that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chaos.events.verdict import judge, kind_of, read, row_of

JOB, TASK = "app.job", "app.task"


def tx(name: str, *steps: tuple[Any, ...], end: str | None = "committed") -> list[dict[str, Any]]:
    """A transaction's journal; the watch of a step is app.job."""
    lines: list[dict[str, Any]] = [
        {"tx": name, "steps": [[JOB, *step, f"{name}#{n}"] for n, step in enumerate(steps)]}
    ]
    return lines + ([{"tx": name, "end": end}] if end else [])


def told(*events: tuple[Any, ...], consumer: str = "c") -> list[dict[str, Any]]:
    """A consumer's journal: id, key, kind, and perhaps the mark."""
    names = ("id", "key", "kind", "mark")
    return [
        {"consumer": consumer, "watch": JOB, **dict(zip(names, event, strict=False))}
        for event in events
    ]


#: Opened, closed, reopened; recovery has closed it in the end.
LIFE = [
    *tx("a", (1, 1, None, "running")),
    *tx("b", (1, 2, "running", "running"), (1, 3, "running", "done")),
    *tx("c", (1, 4, "done", "running"), end=None),
    *tx("d", (1, 5, "running", None), end="rolled back"),
    *tx("e", (2, 1, None, "done")),
]
HEARD = told((100, 1, "opened"), (300, 1, "closed"), (200, 1, "reopened"), (437, 1, "closed"))


def verdict(
    heard: list[dict[str, Any]],
    written: list[dict[str, Any]] = LIFE,
    marks: str = "abce",
    rows: dict[int, str] | None = None,
    **options: Any,
) -> list[str]:
    rows = {1: "failed", 2: "done"} if rows is None else rows
    state = {(JOB, str(key)): status for key, status in rows.items()}
    found = judge(written, marks, state, heard, consumers=["c"], **options)
    assert bool(found.missing) == any(" lost " in line for line in found.violations)
    return found.violations


def test_what_was_told_as_it_happened() -> None:
    assert verdict(HEARD) == []


def test_copies_are_dropped() -> None:
    again = [*HEARD[:2], *HEARD[:3], *HEARD]
    assert verdict(again) == []
    assert verdict(HEARD, exact=["c"]) == []
    assert any("came again" in line for line in verdict(again, exact=["c"]))


@pytest.mark.parametrize("left_out", range(4))
def test_lost(left_out: int) -> None:
    heard = HEARD[:left_out] + HEARD[left_out + 1 :]
    (violation,) = verdict(heard)
    assert "('app.job', '1') lost" in violation


def test_one_of_two_consumers_lost_everything() -> None:
    found = judge(LIFE, "abce", {(JOB, "1"): "failed", (JOB, "2"): "done"}, HEARD, consumers="cx")
    assert found.missing == {"x": 4}
    assert all(line.startswith("x: ") for line in found.violations)


def test_a_commit_that_was_not_answered_counts_as_its_mark_says() -> None:
    rows = {1: "done", 2: "done"}
    assert verdict(HEARD[:2], marks="abe", rows=rows) == []
    assert " lost " in verdict(HEARD[:2])[0]
    assert any("ghost" in line for line in verdict(HEARD, marks="abe", rows=rows))


@pytest.mark.parametrize(
    "more",
    [
        (500, 1, "deleted"),  # of a transaction that was rolled back
        (500, 2, "opened"),  # it was never open
        (500, 3, "opened"),  # nobody knows this row
        (500, 1, "gap"),
    ],
)
def test_ghost(more: tuple[Any, ...]) -> None:
    (violation,) = verdict(HEARD + told(more))
    assert " ghost " in violation


def test_a_ghost_of_a_savepoint_takes_the_place_of_a_real_one() -> None:
    """Told apart by the mark alone."""
    written = tx("a", (1, 1, None, "running"))
    rows = {1: "running"}
    assert verdict(told((100, 1, "opened", "a#0")), written, "a", rows) == []
    violations = verdict(told((100, 1, "opened", "a#rolled back")), written, "a", rows)
    assert [" lost " in line or " ghost " in line for line in violations] == [True, True]


def test_twice_under_two_ids() -> None:
    (violation,) = verdict([*HEARD, *told((438, 1, "closed"))])
    assert " twice " in violation


def test_wrong_order() -> None:
    (violation,) = verdict([HEARD[1], HEARD[0], *HEARD[2:]])
    assert " wrong order" in violation


def test_the_first_delivery_is_what_counts_for_the_order() -> None:
    assert verdict([*HEARD[:2], HEARD[0], *HEARD[2:], HEARD[1]]) == []
    assert verdict([*HEARD[:1], HEARD[2], *HEARD]) != []


def test_the_order_of_a_key() -> None:
    """All that a webhook promises: a row that has moved on has another one."""
    moved = told((300, "[1, 1]", "closed"), (100, "[1, 0]", "opened"), (200, "[1, 1]", "reopened"),
                 (437, "[1, 1]", "closed"))  # fmt: skip
    assert " wrong order" in verdict(moved)[0]
    assert verdict(moved, by_key=["c"]) == []
    stayed = [{**line, "key": "[1, 0]"} for line in moved]
    (violation,) = verdict(stayed, by_key=["c"])
    assert " wrong order" in violation


def test_what_recovery_did_beside_what_names_its_mark() -> None:
    written = [*tx("a", (1, 1, None, "running")), *tx("b", (1, 2, "failed", "running"), (1, 3, "running", "done"))]  # fmt: skip
    moved = told((100, "[1, 0]", "opened", "a#0"), (400, "[1, 1]", "closed", "b#1"),
                 (200, "[1, 0]", "closed", "a#0"), (300, "[1, 0]", "reopened", "b#0"))  # fmt: skip
    assert verdict(moved, written, "ab", {1: "done"}, by_key=["c"]) == []
    assert verdict(moved, written, "ab", {1: "done"}) != []


def test_an_id_names_one_event() -> None:
    heard = HEARD + told((100, 1, "closed"))
    assert "id 100 names" in verdict(heard)[0]


def test_deleted_is_told_of_open_rows_only() -> None:
    written = [*tx("a", (1, 1, None, "running"), (2, 1, None, "done")), *tx("b", (1, 2, "running", None)),
               *tx("c", (2, 2, "done", None))]  # fmt: skip
    heard = told((100, 1, "opened"), (200, 1, "deleted", "a#0"))
    assert verdict(heard, written, "abc", {}) == []
    assert " ghost " in verdict(heard + told((300, 2, "deleted")), written, "abc", {})[0]
    assert " lost " in verdict(heard[:1], written, "abc", {})[0]


def test_rows_that_were_there_before() -> None:
    written = tx("a", (9, 1, "new", "running"))
    before = {(JOB, "9"): "new", (JOB, "8"): "new"}
    rows = {9: "running", 8: "new"}
    assert verdict(told((100, 9, "reopened")), written, "a", rows, before=before) == []


def at(when: float, *lines: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**line, "at": when} for line in lines]


#: A row was opened; then the primary crashed, and what followed is lost, and another thing was done.
TAIL = [
    *at(1, *tx("a", (1, 1, None, "running"))),
    *at(2, *tx("l", (1, 2, "running", "done"), (2, 1, None, "running"))),
    *at(4, *tx("n", (1, 2, "running", "running"), (1, 3, "running", "done"))),
]
SURVIVED = at(1, *told((100, 1, "opened")))
GONE = at(2, *told((200, 1, "closed"), (300, 2, "opened")))
ANEW = at(4, *told((200, 1, "closed")))


def after_crash(heard: list[dict[str, Any]], exactly: bool = True, **options: Any) -> list[str]:
    """What a consumer is found to have had, beside one that has had what there is."""
    state = {(JOB, "1"): "done"}
    had = [{**line, "consumer": "x"} for line in SURVIVED + ANEW] if exactly else []
    names = "cx" if exactly else "c"
    return judge(
        TAIL, "an", state, had + heard, consumers=names, exact="x", crash=3.0, **options
    ).violations


@pytest.mark.parametrize("exactly", [True, False])
@pytest.mark.parametrize("lost", [[], GONE[:1], GONE, GONE[::-1]])
def test_what_is_lost_may_have_been_told(lost: list[dict[str, Any]], exactly: bool) -> None:
    assert after_crash([*SURVIVED, *lost, *ANEW], exactly) == []
    assert after_crash([*SURVIVED, *lost, *SURVIVED, *lost, *ANEW, *SURVIVED, *ANEW], exactly) == []


@pytest.mark.parametrize("exactly", [True, False])
@pytest.mark.parametrize("lost", [[], GONE])
def test_what_has_its_id_must_be_told_all_the_same(
    lost: list[dict[str, Any]], exactly: bool
) -> None:
    found = after_crash([*SURVIVED, *lost], exactly)
    assert found
    assert all(" lost " in line for line in found)
    assert any(" lost opened" in line for line in after_crash([*lost, *ANEW], exactly))


def test_what_was_lost_is_not_told_after_the_crash() -> None:
    late = at(5, *told((300, 2, "opened")))
    assert any(" ghost " in line for line in after_crash([*SURVIVED, *ANEW, *late]))
    assert any(
        " ghost " in line
        for line in after_crash([*SURVIVED, *at(2, *told((300, 3, "opened"))), *ANEW])
    )
    rolled_back = [line | ({"end": "rolled back"} if "end" in line else {}) for line in TAIL]
    heard = [{**line, "consumer": "c"} for line in [*SURVIVED, *GONE, *ANEW]]
    found = judge(
        [line for line in rolled_back if line["tx"] == "l"] + [line for line in TAIL if line["tx"] != "l"],
        "an", {(JOB, "1"): "done"}, heard, consumers="c", crash=3.0,
    )  # fmt: skip
    assert any(" ghost " in line or " twice " in line for line in found.violations)


def test_a_closing_of_recovery_that_is_done_again() -> None:
    """Nobody has written it down; who has had what there is tells which one counts."""
    written = at(1, *tx("a", (1, 1, None, "running")))
    old, new = at(2, *told((200, 1, "closed"))), at(4, *told((200, 1, "closed")))
    had = [{**line, "consumer": "x"} for line in SURVIVED + new]

    def found(heard: list[dict[str, Any]]) -> list[str]:
        return judge(written, "a", {(JOB, "1"): "failed"}, had + heard, consumers="cx", exact="x",
                     crash=3.0).violations  # fmt: skip

    assert found([*SURVIVED, *old, *new]) == []
    assert found([*SURVIVED, *new]) == []
    assert any(" lost " in line for line in found([*SURVIVED, *old]))


def test_what_was_dropped() -> None:
    """Excused is what a gap names, and nothing beside it."""
    whole = [{**line, "consumer": "w"} for line in HEARD]
    gap = [{"consumer": "c", "id": 250, "watch": "", "key": "", "kind": "gap",
            "new": {"after": 0, "to": 250}}]  # fmt: skip
    state = {(JOB, "1"): "failed", (JOB, "2"): "done"}

    def found(heard: list[dict[str, Any]], **options: Any) -> list[str]:
        return judge(LIFE, "abce", state, heard + whole, consumers="cw", **options).violations

    closed = [HEARD[1], HEARD[3]]  # 300, 437
    assert found(gap + closed, gaps="c") == []
    assert found([*gap, HEARD[0], *closed], gaps="c") == []
    assert any(" ghost " in line for line in found(gap + closed))  # it is to have no gap
    assert any(" lost " in line for line in found(gap + closed[1:], gaps="c"))
    assert any(" lost " in line for line in found(closed, gaps="c"))
    assert found(closed, dropped={"c": 250}) == []
    assert found(closed, dropped={"c": 199}) != []
    assert found(closed[1:], dropped={"c": 250}) != []


def test_who_follows_one_watch() -> None:
    other = [{**line, "watch": TASK} for line in told((900, 7, "opened"))]
    assert verdict(HEARD, only={"c": [JOB]}) == []
    assert verdict(HEARD + other, only={"c": [JOB]}) != []
    assert verdict([], only={"c": [TASK]}) == []


def test_a_journal_that_does_not_hang_together() -> None:
    """Then nothing that follows from it may be believed."""
    torn = [*LIFE[:2], *LIFE[4:]]  # without b
    assert any("torn" in line for line in verdict(HEARD, torn))
    assert any("was left" in line for line in verdict(HEARD, rows={1: "done", 2: "done"}))
    assert any("says otherwise" in line for line in verdict(HEARD, marks="abc"))
    assert any("says otherwise" in line for line in verdict(HEARD, marks="abcde"))


def test_what_a_step_tells() -> None:
    states = (None, "new", "running", "done", "failed")
    told = {(was, now): kind_of(was, now) for was in states for now in states}
    assert {pair: kind for pair, kind in told.items() if kind} == {
        (None, "running"): "opened",
        ("new", "running"): "reopened",
        ("done", "running"): "reopened",
        ("failed", "running"): "reopened",
        ("running", "new"): "closed",
        ("running", "done"): "closed",
        ("running", "failed"): "closed",
        ("running", None): "deleted",
    }


def test_keys_and_torn_lines(tmp_path: Path) -> None:
    assert row_of(TASK, '["17", "2"]') == row_of(TASK, "[17, 2]") == (TASK, "17")
    assert row_of(JOB, 17) == (JOB, "17")
    journal = tmp_path / "journal.jsonl"
    journal.write_text('{"id": 1}\n{"id": 2, "ke\n{"id": 3}\n')
    assert [line["id"] for line in read([journal])] == [1, 3]
