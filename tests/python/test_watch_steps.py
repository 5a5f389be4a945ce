"""attach, alter and detach in steps from Python: locks are asked for briefly, and by turns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import recovery
from helpers import wait_for, wait_for_lock
from sql.jobs import in_background

WATCH: dict[str, Any] = {"open": "status = 'running'", "close": {"status": "'failed'"}}


@pytest.fixture
def table(conn: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    conn.execute("create table public.task (id int primary key, status text, at timestamptz)")
    conn.execute("insert into public.task select n, 'done' from generate_series(1, 100) as n")
    return conn


def watch(conn: psycopg.Connection[Any]) -> Any:
    return conn.execute(
        "select attached is not null, topic, launch_grace from recovery.watch where name = 'public.task'"
    ).fetchone()


def test_attach_alter_detach(table: psycopg.Connection[Any]) -> None:
    said: list[tuple[int, int, str, float]] = []
    name = recovery.attach(
        table, "task", **WATCH, concurrently=True, progress=lambda *step: said.append(step)
    )
    assert name == "public.task"
    assert [(step, of, done) for step, of, _, done in said] == [
        (n, 3, done) for n in (1, 2, 3) for done in (0.0, 1.0)
    ]
    assert said[0][2] == "add column server_epoch"
    said.clear()
    recovery.attach(
        table, "task", **WATCH, concurrently=True, progress=lambda *step: said.append(step)
    )
    assert said == []
    grace = timedelta(minutes=1)
    recovery.alter(table, "task", topic="t", started="at", launch_grace=grace, concurrently=True)
    assert watch(table) == (True, "t", grace)
    recovery.alter(table, "task", topic=None)
    assert watch(table) == (True, None, grace)
    recovery.detach(table, "task", concurrently=True, lock_timeout=timedelta(milliseconds=20))
    assert watch(table) is None
    with pytest.raises(recovery.WatchUnknown):
        recovery.detach(table, "task", concurrently=True)


def test_sqlalchemy(table: psycopg.Connection[Any], engine: sa.Engine) -> None:
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as conn:
        recovery.attach(
            conn, "task", open="status = ':running%'", close={"status": "':x'"}, concurrently=True
        )
        recovery.alter(conn, "task", open="status = 'running'", concurrently=True)
    with Session(autocommit) as session:
        recovery.detach(session, "task", lock_timeout="50ms")
    assert watch(table) is None


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_async(table: psycopg.Connection[Any], url: sa.URL, driver: str) -> None:
    pytest.importorskip(driver)
    engine = create_async_engine(
        url.set(drivername=f"postgresql+{driver}"), isolation_level="AUTOCOMMIT"
    )
    async with engine.connect() as conn:
        await recovery.aattach(conn, "task", **WATCH, concurrently=True)
        await recovery.aalter(conn, "task", open="status in ('running', 'x')", concurrently=True)
    async with AsyncSession(engine) as session:
        await recovery.adetach(session, "task", concurrently=True)
    await engine.dispose()
    assert watch(table) is None


async def test_psycopg_async(table: psycopg.Connection[Any], dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await recovery.aattach(conn, "task", **WATCH, concurrently=True)
        await recovery.adetach(conn, "task", lock_timeout="50ms")
    assert watch(table) is None


def test_a_connection_that_begins_transactions(
    table: psycopg.Connection[Any], dsn: str, engine: sa.Engine
) -> None:
    recovery.attach(table, "task", **WATCH)
    with psycopg.connect(dsn) as conn:
        with pytest.raises(recovery.NotAutocommit, match="autocommit mode"):
            recovery.detach(conn, "task", lock_timeout="1s")
    with psycopg.connect(dsn, autocommit=True) as conn, conn.transaction():
        with pytest.raises(recovery.NotAutocommit):
            recovery.alter(conn, "task", topic="x", concurrently=True)
    with engine.connect() as sa_conn, pytest.raises(recovery.NotAutocommit, match="AUTOCOMMIT"):
        recovery.detach(sa_conn, "task", concurrently=True)


def test_nothing_is_registered_on_a_connection_that_begins_transactions(
    table: psycopg.Connection[Any], dsn: str
) -> None:
    with psycopg.connect(dsn) as conn, pytest.raises(recovery.NotAutocommit):
        recovery.attach(conn, "task", **WATCH, concurrently=True)
    assert watch(table) is None


def test_p13_it_steps_back_and_who_waited_behind_it_goes_on(
    table: psycopg.Connection[Any], connect: Callable[..., psycopg.Connection[Any]]
) -> None:
    """P13: a forgotten transaction holds the table; attach gives way to everybody behind it."""
    holder, reader, attacher = connect(), connect(), connect()
    holder.execute("begin")
    holder.execute("select * from task")
    attaching = in_background(
        recovery.attach, attacher, "task", **WATCH, concurrently=True, lock_timeout="200ms"
    )
    wait_for_lock(table, attacher.info.backend_pid)
    # Reads behind it, and is served although the holder goes on.
    assert reader.execute("select count(*) from task").fetchone() == (100,)
    wait_for_lock(table, attacher.info.backend_pid)  # again
    holder.execute("commit")
    assert attaching.result(20) == "public.task"
    assert watch(table) == (True, None, None)


def test_p13_in_the_end_it_says_who_holds_the_table_and_goes_on_when_repeated(
    table: psycopg.Connection[Any], connect: Callable[..., psycopg.Connection[Any]]
) -> None:
    holder = connect()
    holder.execute("set application_name = 'a-report'")
    holder.execute("begin")
    holder.execute("select * from task")
    with pytest.raises(recovery.TableBusy, match="add column server_epoch of task") as caught:
        recovery.attach(table, "task", **WATCH, concurrently=True, patience=0.3)
    assert "a-report" in str(caught.value)
    assert str(holder.info.backend_pid) in str(caught.value)
    assert isinstance(caught.value.__cause__, psycopg.errors.LockNotAvailable)
    assert watch(table) == (False, None, None)
    holder.execute("commit")
    recovery.attach(table, "task", **WATCH, concurrently=True)
    assert watch(table) == (True, None, None)
    assert wait_for(lambda: watch(table))


def test_the_session_keeps_its_own_lock_timeout(table: psycopg.Connection[Any]) -> None:
    table.execute("set lock_timeout = '7s'")
    recovery.attach(table, "task", **WATCH, concurrently=True)
    assert table.execute("show lock_timeout").fetchone() == ("7s",)
