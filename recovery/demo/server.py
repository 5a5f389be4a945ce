"""The process of an agent server: ``python -m recovery.demo.server NAME SCRIPT``.

The database is in RECOVERY_DSN. What it takes to be recoverable are the two
lines with `server` in them.
"""

from __future__ import annotations

import asyncio
import os
import sys

import psycopg

import recovery
from recovery.demo.agent import SCRIPTS, Agent


async def main(name: str, script: str) -> None:
    """Boots, and works until it is told to stop."""
    dsn = os.environ["RECOVERY_DSN"]
    # No sweep, because the play is about the boot: else api-2 would find the process of
    # api-1 dead, and close its work within seconds.
    async with recovery.serve(dsn, name, sweep=None, listen=False, signals=True) as server:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
            await server.aconfigure(conn)
            await SCRIPTS[script](Agent(conn))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
