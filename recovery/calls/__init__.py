"""Every routine of the schema as a call, once: sync and async share it.

    epoch_is_live = calls.server.assert_live(server.epoch)
    calls.run(conn, epoch_is_live)  # psycopg or SQLAlchemy, the caller's connection
    await calls.arun(aconn, epoch_is_live)

The modules have the names of the folders of ``sql/``. Procedures (`server.boot`,
`closing.sweep`, `server.shutdown`) commit as they go: they need a connection in
autocommit mode. Everything else takes part in the caller's transaction.
"""

from __future__ import annotations

from recovery.calls import (
    agent_store,
    closing,
    consumer,
    event,
    fuse,
    process,
    server,
    session,
    settings,
    status,
    watch,
    watchdog,
    webhook,
)
from recovery.calls.core import (
    AnyAsyncConnection,
    Call,
    Connection,
    Row,
    arun,
    key,
    one,
    run,
    seconds,
    text,
    translate,
)

__all__ = [
    "AnyAsyncConnection",
    "Call",
    "Connection",
    "Row",
    "agent_store",
    "arun",
    "closing",
    "consumer",
    "event",
    "fuse",
    "key",
    "one",
    "process",
    "run",
    "seconds",
    "server",
    "session",
    "settings",
    "status",
    "text",
    "translate",
    "watch",
    "watchdog",
    "webhook",
]
