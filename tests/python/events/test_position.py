"""The position against a model of PostgreSQL's transactions, sequences and snapshots."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.events.position import Memory, Position


@dataclass
class Page:
    full: bool
    xmin: int
    mark: int | None


@dataclass
class Writer:
    xid: int
    events: list[tuple[int, int]] = field(default_factory=list)  # id, row


class Database:
    """Ids and transaction ids are given out in order; what commits becomes visible at once."""

    def __init__(self) -> None:
        self.next_xid = 100
        self.next_id = 1
        self.running: list[Writer] = []
        self.visible: dict[int, int] = {}  # id -> row

    def begin(self) -> Writer:
        writer = Writer(self.next_xid)
        self.next_xid += 1
        self.running.append(writer)
        return writer

    def locked(self) -> set[int]:
        return {row for writer in self.running for _, row in writer.events}

    def write(self, writer: Writer, row: int) -> None:
        writer.events.append((self.next_id, row))
        self.next_id += 1

    def end(self, writer: Writer, commit: bool) -> None:
        self.running.remove(writer)
        if commit:
            self.visible.update(writer.events)

    def xmin(self) -> int:
        return min((writer.xid for writer in self.running), default=self.next_xid)

    def read(self, position: Position, limit: int) -> tuple[list[int], Page]:
        """As `recovery.calls.event.read` does it: one snapshot, a page in the order of ids."""
        xmin = self.xmin()
        wanted = sorted(
            id_
            for id_ in self.visible
            if id_ > position.newest or any(low <= id_ <= high for low, high in position.gaps)
        )
        mark = None
        if position.wants_mark:
            mark = self.next_xid
            self.next_xid += 1
        page = Page(len(wanted) >= limit, xmin, mark)
        return wanted[:limit], page


class History:
    """Writers in any order, reads of any size between them; checked after every step."""

    def __init__(self, seed: int, database: type[Database] = Database) -> None:
        self.random = random.Random(seed)
        self.db = database()
        self.position = Position()
        self.delivered: list[int] = []

    def run(self, steps: int) -> None:
        chances = {self.begin: 3, self.write: 5, self.commit: 2, self.abort: 1, self.read: 4}
        for step in self.random.choices(list(chances), list(chances.values()), k=steps):
            step()
            self.check()
        for writer in list(self.db.running):
            self.db.end(writer, commit=True)
        while self.read():
            self.check()
        self.read(1000)  # takes a mark
        self.read(1000)  # sees that all is over
        assert set(self.delivered) == set(self.db.visible)
        assert self.position.gaps == []
        assert self.position.safe_id == self.position.newest

    def begin(self) -> None:
        if len(self.db.running) < 6:
            self.db.begin()

    def write(self) -> None:
        if self.db.running:
            writer = self.random.choice(self.db.running)
            row = self.random.randrange(4)
            others = self.db.locked() - {row for _, row in writer.events}
            if row not in others:  # else it would wait for the row's lock
                self.db.write(writer, row)

    def commit(self) -> None:
        if self.db.running:
            self.db.end(self.random.choice(self.db.running), commit=True)

    def abort(self) -> None:
        if self.db.running:
            self.db.end(self.random.choice(self.db.running), commit=False)

    def read(self, limit: int | None = None) -> bool:
        ids, page = self.db.read(self.position, limit or self.random.choice((1, 2, 3, 1000)))
        self.position.advance(ids, page)
        self.delivered += ids
        return bool(ids)

    def check(self) -> None:
        # No duplicates, and in order for each row.
        assert len(set(self.delivered)) == len(self.delivered)
        for row in range(4):
            ids = [id_ for id_ in self.delivered if self.db.visible[id_] == row]
            assert ids == sorted(ids)
        # Nothing at or below safe_id is still to come.
        coming = set(self.db.visible) - set(self.delivered)
        coming |= {id_ for writer in self.db.running for id_, _ in writer.events}
        assert all(id_ > self.position.safe_id for id_ in coming)
        end = 0
        for low, high in self.position.gaps:
            assert end < low <= high <= self.position.newest
            end = high


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**32))
def test_nothing_is_lost_whatever_the_order_of_commits(seed: int) -> None:
    History(seed).run(80)


def test_the_model_would_notice_a_mark_that_is_too_low() -> None:
    """With pg_snapshot_xmax as the mark, running writers are given up."""

    class Wrong(Database):
        finished = 99

        def end(self, writer: Writer, commit: bool) -> None:
            super().end(writer, commit)
            self.finished = max(self.finished, writer.xid)

        def xmin(self) -> int:
            return min((writer.xid for writer in self.running), default=self.finished + 1)

        def read(self, position: Position, limit: int) -> tuple[list[int], Page]:
            ids, page = super().read(position, limit)
            return ids, replace(page, mark=page.mark and self.finished + 1)

    def run() -> None:
        for seed in range(1000):
            History(seed, Wrong).run(80)

    with pytest.raises(AssertionError):
        run()


def test_a_running_writer_newer_than_the_newest_finished_one_is_not_given_up() -> None:
    """pg_snapshot_xmax as the mark would lose event 1: it would be the writer's own id."""
    db, position = Database(), Position()
    older, newer = db.begin(), db.begin()
    db.write(newer, 1)
    db.write(older, 2)
    db.end(older, commit=True)
    assert db.xmin() == newer.xid  # and so is pg_snapshot_xmax: older.xid + 1
    for _ in range(3):
        position.advance(*db.read(position, 10))
    assert position.gaps == [(1, 1)]
    db.end(newer, commit=True)
    assert db.read(position, 10)[0] == [1]


@dataclass
class Commit:
    events: list[int]
    next_id: int
    next_xid: int


class Replicated(Database):
    """Its commits are a log; a replica has the log up to some commit, and becomes the database."""

    def __init__(self) -> None:
        super().__init__()
        self.log = [Commit([], self.next_id, self.next_xid)]
        self.stamps: dict[int, int] = {}  # id -> what tells the event from others
        self.stamp = 0

    def write(self, writer: Writer, row: int) -> None:
        self.stamp += 1
        self.stamps[self.next_id] = self.stamp
        super().write(writer, row)

    def end(self, writer: Writer, commit: bool) -> None:
        super().end(writer, commit)
        if commit:
            ids = [id_ for id_, _ in writer.events]
            self.log.append(Commit(ids, self.next_id, self.next_xid))

    def promote(self, log: int, ahead: int) -> None:
        """A sequence is ahead of what was taken from it, as PostgreSQL logs it."""
        self.log = self.log[:log]
        there = {id_ for commit in self.log for id_ in commit.events}
        self.visible = {id_: row for id_, row in self.visible.items() if id_ in there}
        self.next_id, self.next_xid = self.log[-1].next_id + ahead, self.log[-1].next_xid
        self.running = []

    def there(self, memory: Memory) -> dict[int, int]:
        ids = [id_ for id_ in self.visible if memory.floor < id_ <= memory.newest]
        return {id_: self.stamps[id_] for id_ in ids}


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_a_failover_neither_hides_what_is_new_nor_repeats_what_stayed(seed: int) -> None:
    dice = random.Random(seed)
    db = Replicated()

    def work(steps: int) -> None:
        for _ in range(steps):
            step = dice.choice(("begin", "write", "write", "commit", "abort"))
            if step == "begin" or not db.running:
                db.begin()
            elif step == "write":
                db.write(dice.choice(db.running), dice.randrange(10**9))
            else:
                db.end(dice.choice(db.running), step == "commit")

    work(dice.randrange(30))
    now = max(db.visible, default=0)
    gaps = [(id_, id_) for id_ in range(1, now) if id_ not in db.visible]
    position, memory = Position(now, gaps), Memory(0, 10**6)
    unwanted = set()
    for id_ in db.visible:
        unwanted.add(db.stamps[id_])
        memory.add(id_, db.stamps[id_])
    delivered: list[int] = []

    def read(limit: int) -> int:
        ids, page = db.read(position, limit)
        for id_ in ids:
            memory.add(id_, db.stamps[id_])
            delivered.append(db.stamps[id_])
        position.advance(ids, page)
        return len(ids)

    for _ in range(dice.randint(1, 3)):
        for _ in range(dice.randrange(12)):
            work(dice.randrange(8))
            read(dice.choice((1, 3, 1000)))
        db.promote(dice.randint(max(1, len(db.log) - 6), len(db.log)), dice.choice((0, 0, 32)))
        work(dice.randrange(20))  # before anybody is back
        start, sure = memory.restart(db.there(memory), max(db.visible, default=0))
        assert sure
        position.rewind(min(start, position.newest))
    work(20)
    while read(2):
        pass
    assert len(set(delivered)) == len(delivered)
    assert {db.stamps[id_] for id_ in db.visible} <= set(delivered) | unwanted
    assert not unwanted & set(delivered)


def test_memory_forgets_the_lowest_and_knows_that_it_did() -> None:
    memory = Memory(limit=3)
    for id_ in (5, 9, 7, 3, 8, 9):
        memory.add(id_, -id_)
    assert (memory.floor, memory.newest) == (5, 9)  # 7, 8 and 9 are known
    assert memory.restart({7: -7, 8: -8, 9: -9}, 9) == (9, True)
    assert memory.restart({7: -7, 8: 0}, 8) == (7, True)  # another event has the id 8
    memory.add(4, -4)  # from a gap, long after
    assert memory.restart({7: 0}, 20) == (2, False)  # more was lost than is known
    assert memory.restart({}, 4) == (1, False)
    assert memory.restart({}, 0) == (0, False)
    assert Memory().restart({}, 0) == (0, True)
    assert Memory(7).restart({}, 9) == (7, True)  # nothing was there, so nothing was lost


def test_starts_with_gaps_that_are_filled_late() -> None:
    position = Position(10, [(3, 5), (8, 8)])
    assert position.safe_id == 2
    position.advance([4, 11], Page(full=False, xmin=7, mark=9))
    assert position.gaps == [(3, 3), (5, 5), (8, 8)]
    position.advance([8], Page(full=False, xmin=8, mark=None))
    assert position.gaps == [(3, 3), (5, 5)]
    position.advance([], Page(full=False, xmin=9, mark=None))
    assert position.gaps == []
    assert position.safe_id == position.newest == 11


def test_a_cut_page_says_nothing_about_what_follows() -> None:
    position = Position(10, [(2, 6)])
    position.advance([], Page(full=False, xmin=1, mark=5))
    position.advance([3, 4], Page(full=True, xmin=5, mark=None))
    assert position.gaps == [(5, 6)]  # 2 was looked at, 5 and 6 were not
    assert position.newest == 10
    position.advance([5, 14], Page(full=True, xmin=5, mark=None))
    assert position.newest == 14
    assert position.gaps == [(11, 13)]


@given(st.lists(st.integers(1, 60), unique=True), st.integers(1, 60))
def test_gaps_and_ids_together_are_everything(ids: list[int], more: int) -> None:
    position = Position()
    position.advance(sorted(ids), Page(full=False, xmin=0, mark=None))
    position.advance(
        later := [i for i in range(1, 61, more) if i not in ids], Page(False, xmin=0, mark=None)
    )
    missing = {id_ for low, high in position.gaps for id_ in range(low, high + 1)}
    assert missing | set(ids) | set(later) == set(range(1, position.newest + 1))
    assert not missing & (set(ids) | set(later))
