"""`lifespan`: a served process for ASGI applications."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

from recovery.calls.settings import Value
from recovery.database.connect import Target
from recovery.server.service import Heir, serve
from recovery.types import Binding, Policy

__all__ = ["lifespan"]


def lifespan(
    target: Target,
    *,
    name: str,
    heartbeat: float | None = None,
    sweep: float | None = 5.0,
    listen: bool = True,
    poll: float = 1.0,
    webhooks: bool = False,
    bind: Binding | None = "session",
    heir: Heir = None,
    signals: bool = False,
    exit_on_fenced: bool | int = False,
    direct: Target = None,
    lease: float | timedelta = 15.0,
    grace: float | timedelta = 3.0,
    policy: Policy = "supersede",
    wait: float | timedelta = 30.0,
    version: str | None = None,
    host: str | None = None,
    batch: int = 10_000,
    lock_wait: float | timedelta = 2.0,
    reap_processes: bool = True,
    settings: Mapping[str, Value] | None = None,
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """An ASGI lifespan: ``Starlette(lifespan=recovery.lifespan(engine, name="api-1"))``.

    The server is at ``app.state.recovery``. Arguments and errors as of `serve`.
    """

    @asynccontextmanager
    async def run(app: Any) -> AsyncIterator[None]:
        async with serve(
            target,
            name,
            heartbeat=heartbeat,
            sweep=sweep,
            listen=listen,
            poll=poll,
            webhooks=webhooks,
            bind=bind,
            heir=heir,
            signals=signals,
            exit_on_fenced=exit_on_fenced,
            direct=direct,
            lease=lease,
            grace=grace,
            policy=policy,
            wait=wait,
            version=version,
            host=host,
            batch=batch,
            lock_wait=lock_wait,
            reap_processes=reap_processes,
            settings=settings,
        ) as server:
            app.state.recovery = server
            yield

    return run
