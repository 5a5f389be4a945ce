"""Who may see what: the host decides, once for a stream, and group by group."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Collection
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from recovery.errors import InvalidArgument
from recovery.types import Event

__all__ = ["Access", "Allowed", "Authorize", "anyone"]

#: What a client may see: everything (True), nothing (False, None), these groups, or what a
#: function says of a group (a session; None: the row has no group).
Access: TypeAlias = bool | Collection[str] | Callable[[str | None], bool | Awaitable[bool]] | None

#: Decides about a request. It may raise starlette's HTTPException, or return a response that
#: is sent instead.
Authorize: TypeAlias = Callable[[Request], "Access | Response | Awaitable[Access | Response]"]

#: Seconds for which an answer about a group holds.
_HOLDS = 30.0
_MOST = 10_000


def anyone(request: Request) -> bool:
    """No authentication: whoever can reach the address sees everything."""
    return True


class Allowed:
    """What one client may see.

    Raises:
        InvalidArgument: the host's function has returned something else (RC010).
    """

    def __init__(self, access: Access) -> None:
        self._everything = access is True
        self._groups: frozenset[str] = frozenset()
        self._ask: Callable[[str | None], bool | Awaitable[bool]] | None = None
        self._answers: dict[str | None, tuple[bool, float]] = {}
        if isinstance(access, bool) or access is None:
            return
        if callable(access):
            self._ask = access
        elif isinstance(access, Collection) and not isinstance(access, str | bytes):
            self._groups = frozenset(access)
        else:
            raise InvalidArgument(
                f"authorize returned {type(access).__name__}; it returns True, False, groups,"
                " a function of a group, or a response"
            )

    @property
    def groups(self) -> frozenset[str] | None:
        """The groups, if they are all known."""
        return None if self._everything or self._ask is not None else self._groups

    async def allows(self, event: Event) -> bool:
        """Whether the client may see an event. All may know that they have to look anew."""
        if self._everything or event.kind == "gap":
            return True
        return await self.allows_group(event.group)

    async def allows_group(self, group: str | None) -> bool:
        """Whether the client may see what happens in a group."""
        if self._ask is None:
            return self._everything or group in self._groups
        now = time.monotonic()
        answer, until = self._answers.get(group, (False, 0.0))
        if now >= until:
            found = self._ask(group)
            answer = bool(await found if inspect.isawaitable(found) else found)
            if len(self._answers) >= _MOST:
                self._answers.clear()
            self._answers[group] = answer, now + _HOLDS
        return answer
