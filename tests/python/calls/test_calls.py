"""Every call of the one module, by each kind of connection."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import recovery
from recovery import calls
from recovery._version import SCHEMA


@pytest.fixture
async def async_engine(url: sa.URL) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(url)
    yield engine
    await engine.dispose()


def test_psycopg_with_a_row_factory_of_the_caller(dsn: str, jobs: Any) -> None:
    with psycopg.connect(dsn, autocommit=True, row_factory=psycopg.rows.dict_row) as conn:
        assert calls.run(conn, calls.status.version()) == SCHEMA
        booted = calls.run(conn, calls.server.boot("a", lease=timedelta(seconds=9)))
        calls.run(conn, calls.server.assert_live(booted.epoch))
        assert (
            calls.run(conn, calls.server.heartbeat(booted.epoch, booted.token)).tzinfo is not None
        )
        jobs(booted.epoch, 3)
        assert calls.run(conn, calls.closing.sweep()).closed == {}
        report = calls.run(conn, calls.server.shutdown(booted.epoch, booted.token))
        assert report.closed == {"public.job": 3}
        assert report.ended == (booted.epoch,)
        assert report.ms > 0
        with pytest.raises(recovery.EpochEnded, match=str(booted.epoch)):
            calls.run(conn, calls.server.assert_live(booted.epoch))
        with pytest.raises(recovery.EpochUnknown):
            calls.run(conn, calls.server.assert_live(1))


def test_sqlalchemy(engine: sa.Engine) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        booted = calls.run(conn, calls.server.boot("a", lease=timedelta(seconds=9), version="1:2"))
        assert isinstance(booted.token, uuid.UUID)
        with pytest.raises(recovery.TokenMismatch):
            calls.run(conn, calls.server.heartbeat(booted.epoch, uuid.uuid4()))
    with Session(engine) as session:
        calls.run(session, calls.server.assert_live(booted.epoch))
        version = session.scalar(sa.text("select version from recovery.server"))
    assert version == "1:2"


async def test_psycopg_async(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        booted = await calls.arun(conn, calls.server.boot("a", lease=timedelta(seconds=9)))
        await calls.arun(conn, calls.server.assert_live(booted.epoch))
        assert (await calls.arun(conn, calls.closing.sweep("me"))).ended == ()
        with pytest.raises(recovery.EpochUnknown):
            await calls.arun(conn, calls.server.assert_live(1))


async def test_sqlalchemy_async(async_engine: AsyncEngine) -> None:
    autocommit = async_engine.execution_options(isolation_level="AUTOCOMMIT")
    async with autocommit.connect() as conn:
        booted = await calls.arun(conn, calls.server.boot("a", lease=timedelta(seconds=9)))
    async with AsyncSession(async_engine) as session:
        await calls.arun(session, calls.server.assert_live(booted.epoch))
        with pytest.raises(recovery.EpochUnknown):
            await calls.arun(session, calls.server.assert_live(1))


def test_attach_and_detach(conn: psycopg.Connection[Any]) -> None:
    conn.execute("create table public.task (id int primary key, done boolean not null)")
    columns = "select array_agg(attname order by attnum) from pg_attribute where attnum > 0"
    columns += " and attrelid = 'public.task'::regclass and not attisdropped"
    before = conn.execute(columns.encode()).fetchall()
    attach = calls.watch.attach(
        "public.task", "not done", {"done": "true"}, name="tasks", failed_topics=["a", "b"]
    )
    assert calls.run(conn, attach) == "tasks"
    assert calls.run(conn, attach) == "tasks"  # the same again changes nothing
    with pytest.raises(recovery.WatchExists):
        calls.run(conn, calls.watch.attach("public.task", "done", {"done": "false"}))
    calls.run(conn, calls.watch.detach("public.task"))
    assert conn.execute(columns.encode()).fetchall() == before
    with pytest.raises(recovery.WatchUnknown):
        calls.run(conn, calls.watch.detach("public.task"))


def test_attach_refuses_what_cannot_work(conn: psycopg.Connection[Any]) -> None:
    conn.execute("create table public.task (id int primary key, done boolean not null)")
    for wrong in (
        calls.watch.attach("public.task", "no_such_column", {"done": "true"}),
        calls.watch.attach("public.task", "not done", {"nothing": "true"}),
        calls.watch.attach("public.task", "not done", {}),
    ):
        with pytest.raises(recovery.WatchInvalid):
            calls.run(conn, wrong)
    with pytest.raises(TypeError, match="colour"):
        calls.watch.attach("public.task", "not done", {"done": "true"}, colour="red")  # type: ignore[call-arg]


def test_position_and_page(
    conn: psycopg.Connection[Any], connect: Callable[..., psycopg.Connection[Any]], jobs: Any
) -> None:
    assert calls.run(conn, calls.event.tail()) == calls.event.Tail(0, "{}")
    empty = calls.run(conn, calls.event.page(0))
    assert (empty.events, empty.newest, empty.gaps, empty.full) == ((), 0, "{}", False)
    booted = calls.run(conn, calls.server.boot("a", lease=timedelta(seconds=9)))
    other = connect()
    write = f"insert into public.job (server_epoch) values ({booted.epoch})".encode()
    with other.transaction():
        other.execute(write)
        jobs(booted.epoch)
        other.execute(write)
        other.execute(write)
        jobs(booted.epoch, 2)
        # What is in the other transaction may still appear; each record has a hundred ids.
        tail = calls.run(conn, calls.event.tail())
        assert tail == calls.event.Tail(699, "{[100,200),[300,500)}")
        page = calls.run(conn, calls.event.page(0))
        assert [event.id for event in page.events] == [200, 500, 600]
        assert (page.newest, page.gaps, page.full) == (699, "{[100,200),[300,500)}", False)
    later = calls.run(conn, calls.event.page(page.newest, page.gaps))
    assert [event.id for event in later.events] == [100, 300, 400]
    assert (later.newest, later.gaps, later.full) == (699, "{}", False)
    assert calls.run(conn, calls.event.tail()) == calls.event.Tail(699, "{}")
    event = page.events[0]
    assert (event.kind, event.watch, event.topic, event.group) == (
        "opened",
        "public.job",
        "job",
        "s1",
    )
    assert (event.reason, event.detector, event.server_epoch) == (None, "writer", booted.epoch)
    cut = calls.run(conn, calls.event.page(0, limit=2))
    assert [event.id for event in cut.events] == [100, 200]
    assert cut.full
    rest = calls.run(conn, calls.event.page(cut.newest, cut.gaps))
    assert [event.id for event in rest.events] == [300, 400, 500, 600]


def test_a_read_touches_only_what_it_delivers(conn: psycopg.Connection[Any]) -> None:
    """Index probes, however many events there are."""
    conn.execute(
        "insert into recovery.outbox (watch, kind, key, detector)"
        " select 'w', 'opened', n::text, 'writer' from generate_series(1, 20000) as n"
    )
    conn.execute("analyze recovery.outbox")
    read = """
        select sum(seq_tup_read), sum(idx_tup_fetch) from pg_stat_xact_user_tables
        where schemaname = 'recovery' and relname like 'outbox%'"""
    for call, told in (
        (calls.event.page(1_999_000, "{[500,1000),[10000,12100)}"), 10 + 5 + 21),
        (calls.event.fingerprints(1_997_000, 2_000_000), 30),
    ):
        with conn.transaction():
            found = calls.run(conn, call)
            row = conn.execute(read.encode()).fetchone()
        assert told == len(found.events if isinstance(found, calls.event.Page) else found)
        assert row is not None
        whole, probed = row
        assert whole == 0
        assert told <= probed <= 3 * told


def test_durations() -> None:
    assert calls.seconds(1.5, "lease") == timedelta(seconds=1.5)
    assert calls.seconds(timedelta(minutes=1), "lease") == timedelta(minutes=1)
    with pytest.raises(recovery.InvalidArgument, match="lease must be greater than 0 s, not -1 s"):
        calls.seconds(-1, "lease")
