"""Where a consumer of the events stands. Pure: no database, no clock.

Ids are given out in the order of writing but become visible in the order of
commit, so ``id > last`` would pass over what commits late. A position delivers what
is visible at once and remembers the ids that were not: *gaps*. A gap is given up
only when no transaction can fill it any more, which is known in two steps:

1. after the gap was seen, a read takes a transaction id of its own, the *mark*.
   Whoever took an id in the gap had its transaction id before (the event is
   written after the row that it tells of), so that is below the mark;
2. a later read in whose snapshot every transaction below the mark had ended
   (``xmin >= mark``) looked once more and found nothing: rolled back.

A promoted replica that lost the tail, or a crash that did, gives out the lost ids of events
and transactions again. `Memory` knows what there was and says from where to read anew.

``pg_snapshot_xmax`` instead of the mark would lose events: it ends at the newest
*finished* transaction, and the writer may be a newer one that still runs.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Memory", "Position"]


class _Page(Protocol):
    """What a position needs of a read (`recovery.calls.Page`)."""

    @property
    def full(self) -> bool: ...
    @property
    def xmin(self) -> int: ...
    @property
    def mark(self) -> int | None: ...


@dataclass(slots=True)
class _Gap:
    low: int
    high: int
    mark: int | None = None


class Position:
    """The newest id that was delivered, and the gaps below it.

    Args:
        newest: everything up to here was delivered, or is not wanted.
        gaps: except these ids (ranges, inclusive), which may still appear.
    """

    def __init__(self, newest: int = 0, gaps: Iterable[tuple[int, int]] = ()) -> None:
        self.newest = newest
        self._gaps = [_Gap(low, high) for low, high in sorted(gaps)]

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """The ids below `newest` that may still appear: ranges, inclusive, ascending."""
        return [(gap.low, gap.high) for gap in self._gaps]

    @property
    def wants_mark(self) -> bool:
        """Whether the next read should take a mark."""
        return any(gap.mark is None for gap in self._gaps)

    @property
    def safe_id(self) -> int:
        """Where another position may begin: nothing at or below is still to come."""
        return self._gaps[0].low - 1 if self._gaps else self.newest

    def rewind(self, newest: int) -> None:
        """Goes back: the database is another one, which has lost what is above `newest`.

        Gaps below stay; when they are to be given up is seen anew, by the transactions
        of this database.
        """
        self.newest = newest
        self._gaps = [_Gap(g.low, min(g.high, newest)) for g in self._gaps if g.low <= newest]

    def advance(self, ids: Sequence[int], page: _Page) -> None:
        """Takes note of one read: of everything above `newest` and in `gaps`.

        Args:
            ids: what was read, ascending; all of it is new.
            page: whether it was cut at a limit (then nothing is known of greater
                ids), and the horizon of its snapshot.
        """
        # Up to here the read was complete.
        reach = ids[-1] if page.full and ids else max(self.newest, ids[-1] if ids else 0)
        known = []
        for gap in self._gaps:
            known += _without(gap, ids[bisect_left(ids, gap.low) : bisect_right(ids, gap.high)])
        if reach > self.newest:
            known += _without(_Gap(self.newest + 1, reach), ids[bisect_right(ids, self.newest) :])
            self.newest = reach
        self._gaps = [
            gap
            for gap in known
            if gap.mark is None or gap.mark > page.xmin or (page.full and gap.high > reach)
        ]
        if page.mark is not None:
            for gap in self._gaps:
                if gap.mark is None:
                    gap.mark = page.mark


class Memory:
    """What stood at the highest ids: enough to see which of it a failover has lost.

    Ids lower than that of an event which is still there are not given out again: its
    commit was in the log after the sequence had passed them. So everything new stands
    above the highest event that is still there as it was, or in a gap.

    Args:
        floor: nothing is known of ids up to here.
        limit: how many events to remember.
    """

    def __init__(self, floor: int = 0, limit: int = 10_000) -> None:
        self.floor = floor
        self._limit = limit
        self._prints: dict[int, int] = {}
        self._ids: list[int] = []  # a heap

    @property
    def newest(self) -> int:
        """The highest id that is remembered; `floor` if there is none."""
        return max(self._prints, default=self.floor)

    def add(self, id_: int, fingerprint: int) -> None:
        """Remembers an event by a number that no other one has; forgets the lowest."""
        if id_ <= self.floor:
            return
        if id_ not in self._prints:
            heapq.heappush(self._ids, id_)
        self._prints[id_] = fingerprint
        if len(self._ids) > self._limit:
            self.floor = heapq.heappop(self._ids)
            del self._prints[self.floor]

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
        return max(0, min(self.floor, newest) - self._limit), False


def _without(gap: _Gap, ids: Sequence[int]) -> list[_Gap]:
    """What is left of a gap when these of its ids have appeared."""
    left = []
    low = gap.low
    for id_ in ids:
        if id_ > low:
            left.append(_Gap(low, id_ - 1, gap.mark))
        low = id_ + 1
    if low <= gap.high:
        left.append(_Gap(low, gap.high, gap.mark))
    return left
