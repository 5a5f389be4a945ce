"""A FastAPI application with async SQLAlchemy, whose jobs are rows of a table of its own.

    recovery migrate upgrade                       # once, as a DBA
    uvicorn --app-dir examples fastapi_app:app     # kill -9 it, and start it again

What protects the jobs is `__recovery__`, `recovery.sync` and `recovery.lifespan`. The database is
RECOVERY_DSN; the login owns the table, is permitted to (recovery.permit) and is a member of
recovery_server. An application with migrations attaches there, and needs no sync.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
from fastapi import BackgroundTasks, FastAPI, HTTPException
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import recovery

engine = create_async_engine(
    os.environ.get("RECOVERY_DSN", "postgresql://").replace(
        "postgresql://", "postgresql+psycopg://", 1
    )
)
session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "report_job"
    id: Mapped[int] = mapped_column(primary_key=True)
    seconds: Mapped[float]
    status: Mapped[str] = mapped_column()
    error: Mapped[str | None] = mapped_column()

    __recovery__ = recovery.Watch(
        open=status == "running",
        close={"status": sa.literal("failed"), "error": recovery.c.message},
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.run_sync(recovery.sync, Base.metadata)
    async with recovery.lifespan(engine, name="reports")(app):
        yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def work(id_: int, seconds: float) -> None:
    await asyncio.sleep(seconds)
    async with session.begin() as db:
        await db.execute(sa.update(Job).where(Job.id == id_).values(status="done"))


@app.post("/jobs")
async def start(seconds: float, background: BackgroundTasks) -> dict[str, object]:
    async with session.begin() as db:
        job = Job(seconds=seconds, status="running")
        db.add(job)
    background.add_task(work, job.id, seconds)
    return {"id": job.id}


@app.get("/jobs/{id_}")
async def show(id_: int) -> dict[str, object]:
    async with session() as db:
        job = await db.get(Job, id_)
    if job is None:
        raise HTTPException(404)
    return {"status": job.status, "error": job.error}
