"""Takes a job, and works on it until it is killed. Knows nothing of recovery."""

import asyncio
import os

import asyncpg


async def main():
    conn = await asyncpg.connect(os.environ["APP_DSN"])
    print(
        await conn.fetchval("insert into job (status) values ('running') returning id"), flush=True
    )
    await asyncio.sleep(600)


asyncio.run(main())
