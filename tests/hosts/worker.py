"""A Procrastinate application; as a program it is a worker, until it is killed."""

from __future__ import annotations

import asyncio
import sys

import procrastinate


def app_at(dsn: str) -> procrastinate.App:
    """The application, and what it can do, at a database."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn, min_size=1))

    @app.task(name="add")
    def add(a: int, b: int) -> int:
        return a + b

    @app.task(name="fail")
    async def fail() -> None:
        raise ValueError("as it should")

    @app.task(name="twice", retry=1)
    async def twice() -> None:
        raise ValueError("at the second time, too")

    @app.task(name="hang")
    async def hang() -> None:
        await asyncio.sleep(600)

    @app.task(name="stop", pass_context=True)
    async def stop(context: procrastinate.JobContext) -> None:
        await context.app.job_manager.cancel_job_by_id_async(context.job.id, abort=True)
        raise procrastinate.exceptions.JobAborted

    return app


if __name__ == "__main__":
    app_at(sys.argv[1]).run_worker(queues=sys.argv[2:] or None, install_signal_handlers=False)
