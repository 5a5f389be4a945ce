"""Takes a job, and works on it until it is killed. Knows nothing of recovery."""

import asyncio
import os

import psycopg


async def main():
    conn = await psycopg.AsyncConnection.connect(os.environ["APP_DSN"], autocommit=True)
    cursor = await conn.execute("insert into job (status) values ('running') returning id")
    row = await cursor.fetchone()
    print(row[0], flush=True)
    await asyncio.sleep(600)


asyncio.run(main())
