"""Where a stream stands: what a client gives back to go on. Pure.

Ids become visible out of order, so the id of the last event is not enough: one below it may
still be in flight. A cursor is an id at and below which nothing can appear any more, and the
events above it that were delivered already: ``1200``, or ``1200~10.34`` with their distances.
After a failover ids may be given out again; so it says in which timeline of the database it was
made: ``1200@2``, and nothing in the first one.
"""

from __future__ import annotations

import re
from bisect import bisect_right, insort
from dataclasses import dataclass
from typing import Self

from recovery.errors import InvalidArgument

__all__ = ["Cursor", "Track"]

_CURSOR = re.compile(r"(\d{1,18})(?:~(\d{1,18}(?:\.\d{1,18})*))?(?:@([1-9]\d{0,9}))?", re.ASCII)
#: Ids that a cursor names at most: a header has its limits. Those beyond come a second time.
_MOST = 64
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position; `above` ascends, and every one of it is greater than `safe`.

    A timeline of None: it does not say in which one it was made.
    """

    safe: int
    above: tuple[int, ...] = ()
    timeline: int | None = 1

    def __str__(self) -> str:
        above = ".".join(str(id_ - self.safe) for id_ in self.above)
        mark = "" if self.timeline in (None, 1) else f"@{self.timeline}"
        return f"{self.safe}{'~' if above else ''}{above}{mark}"

    @classmethod
    def parse(cls, text: str, *, timeline: int | None = 1) -> Self:
        """What `str` made, or the id of an event; `timeline` is meant if it names none.

        Raises:
            InvalidArgument: it is neither (RC010).
        """
        found = _CURSOR.fullmatch(text) if len(text) <= _LONGEST else None
        if found is None:
            raise InvalidArgument(
                f"{text[:60]!r} is no position: it is the id that came with an event, or 0"
            )
        safe = int(found[1])
        above = {safe + int(each) for each in found[2].split(".")} if found[2] else set()
        return cls(safe, tuple(sorted(above - {safe})), int(found[3]) if found[3] else timeline)


class Track:
    """What was delivered: moves on by `deliver` and `settle`, and is told by `cursor`.

    Args:
        safe: nothing at or below is still to come.
        timeline: of the database.
    """

    def __init__(self, safe: int, timeline: int = 1) -> None:
        self.safe = safe
        self.timeline = timeline
        self._above: list[int] = []

    def deliver(self, id_: int) -> None:
        """This event has been handed out."""
        if id_ > self.safe:
            insort(self._above, id_)

    def settle(self, safe: int) -> None:
        """Nothing at or below this id is still to come; a lower one than before: begins anew.

        The database may have lost events in a failover: what was above is not known then.
        """
        if safe < self.safe:
            self._above.clear()
        else:
            del self._above[: bisect_right(self._above, safe)]
        self.safe = safe

    @property
    def cursor(self) -> Cursor:
        """Where it stands."""
        return Cursor(self.safe, tuple(self._above[:_MOST]), self.timeline)
