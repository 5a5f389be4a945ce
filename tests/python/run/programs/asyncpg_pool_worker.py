"""Takes a job, and works on it until it is killed. Knows nothing of recovery."""

import asyncio
import os

import asyncpg


async def main():
    # Each release resets the session.
    async with asyncpg.create_pool(os.environ["APP_DSN"], min_size=1, max_size=1) as pool:
        for _ in range(3):
            assert await pool.fetchval("select 1") == 1
        async with pool.acquire() as conn, conn.transaction():
            number = await conn.fetchval("insert into job (status) values ('running') returning id")
        print(number, flush=True)
        await asyncio.sleep(600)


asyncio.run(main())
