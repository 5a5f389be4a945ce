"""`lifespan`: a served process for ASGI applications."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from recovery.database.connect import Target
from recovery.server.service import serve

__all__ = ["lifespan"]


def lifespan(
    target: Target, *, name: str, **options: Any
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """An ASGI lifespan: ``Starlette(lifespan=recovery.lifespan(engine, name="api-1"))``.

    The server is at ``app.state.recovery``. Options and errors as of `serve`.
    """

    @asynccontextmanager
    async def run(app: Any) -> AsyncIterator[None]:
        async with serve(target, name, **options) as server:
            app.state.recovery = server
            yield

    return run
