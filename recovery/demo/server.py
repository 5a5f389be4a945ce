"""The process of an agent server: ``python -m recovery.demo.server NAME SCRIPT``.

The database is in RECOVERY_DSN. What it takes to be recoverable are the two
lines with `server` in them; what it takes to be watched is in `watched`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import psycopg

import recovery
from recovery.demo.agent import SCRIPTS, Agent
from recovery.demo.watched import Watched


async def main(name: str, script: str) -> None:
    """Boots, and works until it is told to stop."""
    dsn = os.environ["RECOVERY_DSN"]
    watched = script == "watched"
    # No sweep, because the play is about the boot: else api-2 would find the process of
    # api-1 dead, and close its work within seconds. The last act is about the sweep.
    options: dict[str, Any] = {"sweep": 0.25} if watched else {"sweep": None, "listen": False}
    async with recovery.serve(dsn, name, signals=True, **options) as server:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
            await server.aconfigure(conn)
            if watched:
                await Watched(conn, server).work()
            else:
                await SCRIPTS[script](Agent(conn))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
