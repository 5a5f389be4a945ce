"""recovery._open_elsewhere: what a closing asks before it says that a group has nothing open left."""

from __future__ import annotations

import pytest

from sql.jobs import Connection, attach, boot, value


@pytest.fixture
def grouped(app: Connection) -> Connection:
    """app.job in groups; rows that are `other` only look open."""
    app.execute("alter table app.job add column grp text")
    attach(app, group="grp", only="note is distinct from 'other'")
    return app


def work(conn: Connection, epoch: int | None, *groups: str | None, note: str | None = None) -> None:
    conn.execute(
        "insert into app.job (status, grp, note, server_epoch)"
        " select 'running', g, %s, %s::bigint from unnest(%s::text[]) as g",
        (note, epoch, list(groups)),
    )


def elsewhere(
    conn: Connection, epoch: int, groups: list[str], others: list[int]
) -> tuple[set[str], set[int]]:
    """The groups in which others have open work, and the owners that have too much of it."""
    row = conn.execute(
        "select f.o_groups, f.o_epochs from recovery._open_elsewhere('app.job', jsonb_populate_record("
        "null::recovery.task, jsonb_build_object('epoch', %s::bigint, 'keys', %s::text[],"
        " 'epochs', %s::bigint[], 'at', now(), 'written', now()))) as f",
        (epoch, groups, [epoch, *others]),
    ).fetchone()
    assert row is not None
    return set(row[0]), set(row[1])


def test_the_groups_where_others_have_open_work(grouped: Connection) -> None:
    mine, other, third = (boot(grouped, name).epoch for name in ("mine", "other", "third"))
    work(grouped, mine, "a", "b", "c", "d")
    work(grouped, other, "a", "x")
    work(grouped, third, "b", None)
    groups = ["a", "b", "c", "d"]
    assert elsewhere(grouped, mine, groups, [other, third]) == ({"a", "b"}, {mine})
    assert elsewhere(grouped, mine, groups, [other]) == ({"a"}, {mine})
    assert elsewhere(grouped, mine, groups, []) == (set(), {mine})


def test_neither_closed_work_nor_what_only_looks_open(grouped: Connection) -> None:
    mine, other = (boot(grouped, name).epoch for name in ("mine", "other"))
    work(grouped, mine, "a", "b", "c")
    work(grouped, other, "a", note="other")
    work(grouped, other, "b")
    grouped.execute("update app.job set status = 'done' where grp = 'b' and server_epoch = %s", (other,))  # fmt: skip
    assert elsewhere(grouped, mine, ["a", "b", "c"], [other]) == (set(), {mine})


def test_who_has_as_many_rows_as_there_are_groups_is_asked_group_by_group(
    grouped: Connection,
) -> None:
    """So that no more than that is read of any owner, however much it has."""
    mine, other, third = (boot(grouped, name).epoch for name in ("mine", "other", "third"))
    work(grouped, mine, "a", "b", "c")
    work(grouped, other, "x", "y", "z", "a")
    work(grouped, third, "c", "z")
    groups, owners = elsewhere(grouped, mine, ["a", "b", "c"], [other, third])
    assert owners == {mine, other}
    assert {"c"} <= groups <= {"a", "c"}


def test_a_closing_that_asks_it_calls_no_group_idle_that_is_not(app: Connection) -> None:
    """More than three owners, more than a hundred groups: that is when it is asked."""
    app.execute("alter table app.job add column grp text")
    attach(app, group="grp", topic="t", idle_topics=["idle"])
    owners = [boot(app, f"other{n}", lease="1 day").epoch for n in range(4)]
    dead = boot(app, "dead").epoch
    work(app, dead, *(f"g{n}" for n in range(150)))
    for n, owner in enumerate(owners):
        work(app, owner, f"g{n}")
    assert boot(app, "dead").closed == {"app.job": 150}
    idle = value(app, "select array_agg(group_key) from recovery.event where kind = 'idle'")
    assert len(idle) == 146
    assert not {"g0", "g1", "g2", "g3"} & set(idle)
