"""Blocking work beside an event loop."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

__all__ = ["Block", "in_thread"]

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Runs `work` in a thread. If cancelled, it is cancelled once that has ended.

    Unlike `asyncio.to_thread`, which would leave it running with nobody to see
    its result: an epoch that was begun would go on without an end.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        task.exception()  # seen, though nobody hears of it
        raise cancelled
    return task.result()


class Block(ABC):
    """What begins and ends with a ``with`` or ``async with`` block, by blocking calls."""

    @abstractmethod
    def _enter(self) -> Self: ...

    @abstractmethod
    def _leave(self) -> None: ...

    def __enter__(self) -> Self:
        return self._enter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()

    async def __aenter__(self) -> Self:
        return await in_thread(self._enter)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await in_thread(self._leave)
