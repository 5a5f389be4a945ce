"""Blocking work beside an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_thread"]

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
