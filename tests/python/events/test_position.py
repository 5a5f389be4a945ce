"""The position and its memory against a model of sequences, commits and failovers."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from recovery.events.position import Memory, Position


@dataclass(eq=False)
class Writer:
    events: list[tuple[int, int]] = field(default_factory=list)  # id, row


class Database:
    """Ids are given out in order; what commits becomes visible at once."""

    def __init__(self) -> None:
        self.next_id = 1
        self.running: list[Writer] = []
        self.visible: dict[int, int] = {}  # id -> row

    def begin(self) -> Writer:
        writer = Writer()
        self.running.append(writer)
        return writer

    def write(self, writer: Writer, row: int) -> None:
        writer.events.append((self.next_id, row))
        self.next_id += 1

    def end(self, writer: Writer, commit: bool) -> None:
        self.running.remove(writer)
        if commit:
            self.visible.update(writer.events)

    def read(self, position: Position, limit: int) -> list[int]:
        """As recovery.page does it, but that it gives no gap up: tests/sql/event/test_reading.py."""
        missing = {
            id_
            for low, high in re.findall(r"(\d+),(\d+)", position.gaps)
            for id_ in range(int(low), int(high))
        }
        ids = sorted(id_ for id_ in self.visible if id_ > position.newest or id_ in missing)[:limit]
        newest = max([position.newest, *ids])
        missing |= set(range(position.newest + 1, newest))
        position.newest = newest
        left = ",".join(f"[{id_},{id_ + 1})" for id_ in sorted(missing - set(ids)))
        position.gaps = "{" + left + "}"
        return ids


@dataclass
class Entry:
    """Of the log: a transaction was prepared, committed, or a prepared one rolled back."""

    what: str
    writer: Writer
    next_id: int


class Replicated(Database):
    """Its commits are a log; a replica has the log up to some commit, and becomes the database."""

    def __init__(self) -> None:
        super().__init__()
        self.log = [Entry("commit", Writer(), self.next_id)]
        self.stamps: dict[int, int] = {}  # id -> what tells the event from others
        self.stamp = 0
        self.prepared: list[Writer] = []

    def write(self, writer: Writer, row: int) -> None:
        self.stamp += 1
        self.stamps[self.next_id] = self.stamp
        super().write(writer, row)

    def prepare(self, writer: Writer) -> None:
        self.running.remove(writer)
        self.prepared.append(writer)
        self.log.append(Entry("prepare", writer, self.next_id))

    def end(self, writer: Writer, commit: bool) -> None:
        if writer in self.prepared:
            self.prepared.remove(writer)
            self.running.append(writer)
            self.log.append(Entry("commit" if commit else "abort", writer, self.next_id))
        elif commit:
            self.log.append(Entry("commit", writer, self.next_id))
        super().end(writer, commit)

    def promote(self, log: int, ahead: int) -> None:
        """A sequence is ahead of what was taken from it, as PostgreSQL logs it."""
        self.log = self.log[:log]
        self.visible, self.running, self.prepared = {}, [], []
        for entry in self.log:
            if entry.what == "prepare":
                self.prepared.append(entry.writer)
                continue
            if entry.writer in self.prepared:
                self.prepared.remove(entry.writer)
            if entry.what == "commit":
                self.visible.update(entry.writer.events)
        self.next_id = self.log[-1].next_id + ahead

    def read(self, position: Position, limit: int) -> list[int]:
        """Gives up the gaps that no transaction can fill any more."""
        ids = super().read(position, limit)
        held = {id_ for writer in self.running + self.prepared for id_, _ in writer.events}
        given = [int(low) for low in re.findall(r"\[(\d+),", position.gaps)]
        # Cut at the limit, it says nothing of the gaps.
        kept = given if len(ids) == limit else [id_ for id_ in given if id_ in held]
        position.gaps = "{" + ",".join(f"[{id_},{id_ + 1})" for id_ in kept) + "}"
        return ids

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
            step = dice.choice(("begin", "write", "write", "commit", "abort", "prepare", "finish"))
            if step == "finish":
                if db.prepared:
                    db.end(dice.choice(db.prepared), dice.random() < 0.5)
            elif step == "begin" or not db.running:
                db.begin()
            elif step == "write":
                db.write(dice.choice(db.running), dice.randrange(10**9))
            elif step == "prepare":
                db.prepare(dice.choice(db.running))
            else:
                db.end(dice.choice(db.running), step == "commit")

    work(dice.randrange(30))
    now = max(db.visible, default=0)
    gaps = [f"[{id_},{id_ + 1})" for id_ in range(1, now) if id_ not in db.visible]
    position, memory = Position(now, "{" + ",".join(gaps) + "}"), Memory(0, 10**6, 1)
    unwanted = set()
    for id_ in db.visible:
        unwanted.add(db.stamps[id_])
        memory.add(id_, db.stamps[id_])
    delivered: list[int] = []
    undone: set[int] = set()  # commits that were lost; a prepared one may be done again

    def read(limit: int) -> int:
        ids = db.read(position, limit)
        for id_ in ids:
            memory.add(id_, db.stamps[id_])
            delivered.append(db.stamps[id_])
        return len(ids)

    for _ in range(dice.randint(1, 3)):
        for _ in range(dice.randrange(12)):
            work(dice.randrange(8))
            read(dice.choice((1, 3, 1000)))
        before = {db.stamps[id_] for id_ in db.visible}
        db.promote(dice.randint(max(1, len(db.log) - 6), len(db.log)), dice.choice((0, 0, 32)))
        undone |= before - {db.stamps[id_] for id_ in db.visible}
        work(dice.randrange(20))  # before anybody is back
        start, sure = memory.restart(db.there(memory), max(db.visible, default=0))
        assert sure
        memory.forget(start)
        newest = min(start, position.newest)
        position.rewind(newest, memory.unknown(newest))
    work(20)
    while read(2):
        pass
    assert {stamp for stamp in delivered if delivered.count(stamp) > 1} <= undone
    assert {db.stamps[id_] for id_ in db.visible} <= set(delivered) | unwanted
    assert (unwanted & set(delivered)) <= undone


def test_memory_forgets_the_lowest_and_knows_that_it_did() -> None:
    memory = Memory(limit=3)
    for id_ in (500, 900, 700, 300, 800, 900):
        memory.add(id_, -id_)
    assert (memory.floor, memory.newest) == (500, 900)  # 700, 800 and 900 are known
    assert memory.restart({700: -700, 800: -800, 900: -900}, 900) == (900, True)
    assert memory.restart({700: -700, 800: 0}, 800) == (700, True)  # another event has the id 800
    memory.add(400, -400)  # from a gap, long after
    assert memory.restart({700: 0}, 2000) == (200, False)  # more was lost than is known
    assert memory.restart({}, 400) == (100, False)
    assert memory.restart({}, 0) == (0, False)
    assert Memory().restart({}, 0) == (0, True)
    assert Memory(700).restart({}, 900) == (700, True)  # nothing was there, so nothing was lost


def test_a_position_is_safe_below_its_first_gap() -> None:
    assert Position(599).safe_id == 599
    assert Position(599, "{[200,300),[401,500)}").safe_id == 199


def test_going_back_keeps_the_gaps_below() -> None:
    position = Position(999, "{[200,300),[400,600),[700,800)}")
    position.rewind(499)
    assert (position.newest, position.gaps) == (499, "{[200,300),[400,500)}")


def test_a_page_that_was_delivered_in_part() -> None:
    """A reader that is stopped in the middle of it: the rest is still to come."""
    position = Position(1099, "{[300,400),[700,800)}")
    position.take(1499, "{[1200,1300)}", [300, 700, 1100, 1300, 1400], 0)
    assert position == Position(1099, "{[300,400),[700,800)}")
    position.take(1499, "{[1200,1300)}", [300, 700, 1100, 1300, 1400], 1)
    assert position == Position(1099, "{[700,701)}")
    assert position.safe_id == 699
    position.take(1499, "{[1200,1300)}", [700, 1100, 1300, 1400], 3)
    assert position == Position(1300, "{[1200,1300)}")


def test_what_was_given_up_is_a_gap_again() -> None:
    """A prepared transaction whose end was lost may end in another way."""
    memory = Memory(limit=4)
    for id_ in (100, 300, 400, 900, 1200):
        memory.add(id_, -id_)
    assert memory.floor == 100
    assert memory.unknown(1299) == [(200, 300), (500, 900), (1000, 1200)]
    assert memory.unknown(450) == [(200, 300)]
    position = Position(1299, "{[150,200),[250,350),[1000,1100)}")
    position.rewind(999, memory.unknown(999))
    assert (position.newest, position.gaps) == (999, "{[150,350),[500,900)}")
    memory.forget(400)
    assert memory.newest == 400
    assert memory.unknown(999) == [(200, 300), (500, 1000)]
    assert Memory().unknown(150) == [(100, 151)]
    assert Memory().unknown(99) == []
