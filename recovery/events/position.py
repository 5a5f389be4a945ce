"""Where a consumer of the events stands. Pure: no database, no clock.

Ids are given out in the order of writing but become visible in the order of
commit, so ``id > last`` would pass over what commits late. ``recovery.page`` gives
what is visible at once and remembers the ids that were not, the *gaps*, until no
transaction can fill them any more.

A promoted replica that lost the tail, or a crash that did, gives out the lost ids of events
and transactions again. `Memory` knows what there was and says from where to read anew.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recovery.calls.event import RECORD

__all__ = ["Memory", "Position"]

_RANGE = re.compile(r"\[(\d+),(\d+)\)")


@dataclass(slots=True)
class Position:
    """The newest id that was delivered, and the gaps below it.

    Attributes:
        newest: everything that was visible up to here was delivered, or is not wanted.
        gaps: except these ids, which may still appear; an int8multirange as text.
    """

    newest: int = 0
    gaps: str = "{}"

    @property
    def safe_id(self) -> int:
        """Where another position may begin: nothing at or below is still to come."""
        lowest = _RANGE.search(self.gaps)
        return int(lowest[1]) - 1 if lowest else self.newest

    @property
    def is_plain(self) -> bool:
        """Whether nothing is missing below, and the next record is wholly to come."""
        return self.gaps == "{}" and self.newest % RECORD == RECORD - 1

    def take(self, newest: int, gaps: str, ids: Sequence[int], count: int) -> None:
        """Takes note of the first events of a page.

        Args:
            newest, gaps: the position after all of it.
            ids: of its events, ascending.
            count: how many of these were delivered; the others are still to come.
        """
        if count == 0:
            return
        reach = max(self.newest, ids[count - 1])
        left = [(int(low), min(int(high), reach + 1)) for low, high in _RANGE.findall(gaps)]
        left += [(id_, id_ + 1) for id_ in ids[count:]]
        kept = sorted((low, high) for low, high in left if low <= reach)
        self.newest = reach
        self.gaps = "{" + ",".join(f"[{low},{high})" for low, high in kept) + "}"

    def rewind(self, newest: int, unknown: Iterable[tuple[int, int]] = ()) -> None:
        """Goes back: the database is another one, which has lost what is above `newest`.

        Gaps below stay; when they are to be given up is seen anew, by the transactions
        of this database.

        Args:
            newest: where to go on.
            unknown: ranges of ids in which nothing was delivered: they are gaps again, also those
                that were given up. A prepared transaction may have been rolled back in the
                database that was lost, and commit in this one.
        """
        given = [(int(low), int(high)) for low, high in _RANGE.findall(self.gaps)]
        kept: list[tuple[int, int]] = []
        for low, high in sorted([*given, *unknown]):
            high = min(high, newest + 1)
            if low >= high:
                continue
            if kept and low <= kept[-1][1]:
                kept[-1] = (kept[-1][0], max(high, kept[-1][1]))
            else:
                kept.append((low, high))
        self.newest = newest
        self.gaps = "{" + ",".join(f"[{low},{high})" for low, high in kept) + "}"


class Memory:
    """What stood at the highest ids: enough to see which of it a failover has lost.

    Ids lower than that of an event which is still there are not given out again: its
    commit was in the log after the sequence had passed them. So everything new stands
    above the highest event that is still there as it was, or in a gap: also in one that was given
    up, for a prepared transaction whose end was lost may end in another way.

    Args:
        floor: nothing is known of ids up to here.
        limit: how many records to remember.
        record: how many ids one takes.
    """

    def __init__(self, floor: int = 0, limit: int = 10_000, record: int = RECORD) -> None:
        self.floor = floor
        self._limit, self._record = limit, record
        self._prints: dict[int, int] = {}
        self._ids: list[int] = []  # a heap

    @property
    def newest(self) -> int:
        """The highest id that is remembered; `floor` if there is none."""
        return max(self._prints, default=self.floor)

    def add(self, id_: int, fingerprint: int) -> None:
        """Remembers a record by a number that no other one has; forgets the lowest."""
        if id_ <= self.floor:
            return
        if id_ not in self._prints:
            heapq.heappush(self._ids, id_)
        self._prints[id_] = fingerprint
        if len(self._ids) > self._limit:
            self.floor = heapq.heappop(self._ids)
            del self._prints[self.floor]

    def forget(self, above: int) -> None:
        """Records above an id are lost; others will stand there."""
        self._prints = {id_: print_ for id_, print_ in self._prints.items() if id_ <= above}
        self._ids = sorted(self._prints)

    def unknown(self, newest: int) -> list[tuple[int, int]]:
        """Ranges above `floor`, up to `newest`, in which there is nothing that is remembered."""
        found, low = [], self.floor // self._record * self._record + self._record
        for id_ in sorted(self._prints):
            if id_ > newest:
                break
            if low < id_:
                found.append((low, id_))
            low = id_ + self._record
        if low <= newest:
            found.append((low, newest + 1))
        return found

    def restart(self, there: Mapping[int, int], newest: int) -> tuple[int, bool]:
        """Where a position has to begin anew, and whether that is sure to be right.

        Args:
            there: fingerprints of what stands now above `floor`, up to `newest`.
            newest: the highest id that there is now at all.

        Returns:
            The highest remembered id that is still there as it was. If there is none,
            more was lost than is remembered: then as far below as the memory is long,
            so that some events come again rather than not at all.
        """
        for id_ in sorted(self._prints, reverse=True):
            if there.get(id_) == self._prints[id_]:
                return id_, True
        if self.floor == 0 or not self._prints:
            return min(self.floor, newest), True
        return max(0, min(self.floor, newest) - self._limit * self._record), False
