"""P9: whoever reads gets every committed event, whatever the order of commits, and none that was rolled back.

Real sessions write in random order: transactions, savepoints, rollbacks, closings of a hundred rows and more. Between any
two steps the readers read: all that must hold is checked after each step, by what the sessions committed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import wait_for
from sql.jobs import Connection, boot, shutdown, value, write_as

Row = dict[str, Any]


def query(conn: Connection, text: str, *parameters: Any) -> list[Row]:
    with conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(text, parameters).fetchall()  # type: ignore


class Reader:
    """One way to read; it remembers what it got."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.got: list[Row] = []

    def read(self, limit: int) -> bool:
        raise NotImplementedError


class ByPage(Reader):
    """Keeps its position itself."""

    newest, gaps = 0, "{}"

    def read(self, limit: int) -> bool:
        state, *found = query(
            self.conn,
            "select *, gaps::text as gaps from recovery.page(%s, %s::text::int8multirange, %s)",
            self.newest,
            self.gaps,
            limit,
        )
        self.newest, self.gaps = state["newest"], state["gaps"]
        self.got += found
        return bool(found)


class BySettled(Reader):
    """Keeps the last id: what is settled, and nothing else."""

    def read(self, limit: int) -> bool:
        after = self.got[-1]["id"] if self.got else 0
        found = query(self.conn, "select * from recovery.read(%s, %s)", after, limit)
        assert all(row["settled"] for row in found)
        self.got += found
        return bool(found)


class ByName(Reader):
    """A named consumer, which acknowledges any part of what it fetched."""

    def __init__(self, conn: Connection, dice: random.Random) -> None:
        super().__init__(conn)
        self.dice = dice
        conn.execute("select recovery.create_consumer('reader', 0)")

    def read(self, limit: int) -> bool:
        found = query(self.conn, "select * from recovery.fetch('reader', %s)", limit)
        done = self.dice.choice((0, 1, len(found), self.dice.randint(0, len(found))))
        done = min(done, len(found))
        for row in found[max(0, done - 1) : done]:
            self.conn.execute("select recovery.acknowledge(%s)", (row["receipt"],))
        self.got += found[:done]
        return bool(found)


class Writers:
    """Sessions in the middle of transactions."""

    def __init__(self, sessions: list[Connection], dice: random.Random) -> None:
        self.sessions, self.dice = sessions, dice
        self.open: dict[int, list[int]] = {}  # session -> jobs written and not committed
        self.committed: list[int] = []
        self.next = 0

    def step(self) -> None:
        n = self.dice.randrange(len(self.sessions))
        conn = self.sessions[n]
        if n not in self.open:
            conn.execute("begin")
            self.open[n] = []
        what = self.dice.choice(
            ("write", "write", "many", "savepoint", "commit", "commit", "rollback")
        )
        if what in ("write", "many"):
            self.open[n] += self.insert(conn, 1 if what == "write" else self.dice.randint(2, 5))
        elif what == "savepoint":
            conn.execute("savepoint s")
            self.insert(conn, 1)
            conn.execute("rollback to s")
            self.open[n] += self.insert(conn, 1)
        else:
            conn.execute(what)  # type: ignore
            written = self.open.pop(n)
            self.committed += written if what == "commit" else []

    def insert(self, conn: Connection, count: int) -> list[int]:
        ids = list(range(self.next, self.next + count))
        self.next += count
        conn.execute(
            "insert into app.job (id, status) select n, 'running' from unnest(%s::bigint[]) as n",
            (ids,),
        )
        return ids

    def end(self) -> None:
        for n, written in list(self.open.items()):
            self.sessions[n].execute("commit")
            self.committed += written
        self.open.clear()


@settings(
    max_examples=int(os.environ.get("RECOVERY_EXAMPLES", "10")), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(seed=st.integers(0, 2**32))
def test_p09_every_reader_gets_every_committed_event_once(
    jobs: Connection, connect: Callable[..., Connection], seed: int
) -> None:
    dice = random.Random(seed)
    start = value(jobs, "select coalesce(max(id), 0) from app.job") + 1
    first = value(jobs, "select recovery.tail()::text")
    assert first
    after = value(jobs, "select newest from recovery.tail()")
    readers = [ByPage(connect()), BySettled(connect()), ByName(connect(), dice)]
    readers[0].newest = after  # type: ignore[attr-defined]
    jobs.execute("select recovery.move_consumer('reader', %s)", (after,))
    readers[1].got = [{"id": after, "key": None, "settled": True}]
    sessions = [connect() for _ in range(4)]
    writers = Writers(sessions, dice)
    writers.next = start
    try:
        for _ in range(60):
            writers.step()
            if dice.random() < 0.4:
                owner = boot(jobs, "dying")
                with jobs.transaction():
                    write_as(jobs, owner.epoch)
                    writers.committed += writers.insert(jobs, dice.choice((1, 99, 100, 101, 250)))
                write_as(jobs, None)
                shutdown(jobs, owner.epoch)
            if dice.random() < 0.6:
                reader = dice.choice(readers)
                reader.read(dice.choice((1, 7, 100, 1000)))
                assert_in_order(reader)
        writers.end()
        for reader in readers:
            wait_for(partial(has_all, reader, writers.committed))
            assert_in_order(reader)
            opened = [int(row["key"]) for row in reader.got if row.get("kind") == "opened"]
            assert (type(reader), sorted(opened)) == (type(reader), sorted(writers.committed))
            closed = [row["key"] for row in reader.got if row.get("kind") == "closed"]
            assert len(closed) == len(set(closed))
        assert (
            len({len(reader.got) for reader in readers}) <= 2
        )  # one of them began with a made-up row
    finally:
        for reader in readers:
            reader.conn.close()
        for session in sessions:
            session.close()
        jobs.execute("select recovery.drop_consumer('reader')")


def has_all(reader: Reader, committed: list[int]) -> bool:
    """After one more look."""
    while reader.read(1000):
        pass
    return len([row for row in reader.got if row.get("kind") == "opened"]) >= len(committed)


def assert_in_order(reader: Reader) -> None:
    ids = [row["id"] for row in reader.got]
    assert len(ids) == len(set(ids))
    last: dict[str, int] = {}
    for row in reader.got:
        if row["key"] is not None:
            assert last.get(row["key"], 0) < row["id"]
            last[row["key"]] = row["id"]


def test_unsettled_events_are_looked_for_among_those_that_nobody_wants(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    late = connect(autocommit=False)
    late.execute("insert into app.job (status) values ('running')")
    jobs.execute("insert into app.job (status) select 'running' from generate_series(1, 20)")
    jobs.execute("update app.job set status = 'done'")
    read = "select count(*), bool_or(settled) from recovery.read(0, 5, p_kind => '{closed}', p_unsettled => %s)"
    count, settled = jobs.execute(read, (True,)).fetchone() or (0, None)
    assert count > 0
    assert settled is False
    assert jobs.execute(read, (False,)).fetchone() == (0, None)
    late.commit()
    count, settled = jobs.execute(read, (False,)).fetchone() or (0, None)
    assert count > 0
    assert settled
