"""A process that was demoted writes no more: refused here, before the database hears of it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import psycopg_pool
import pytest
import sqlalchemy as sa
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session

import recovery
from helpers import wait_for
from recovery.errors import from_driver

INSERT = "insert into public.note default values"
COUNT = "select count(*) from public.note"


@pytest.fixture(autouse=True)
def note(request: pytest.FixtureRequest) -> Callable[[], int]:
    """A table that nobody watches: the database lets zombies write there. How many rows it has."""
    if "cluster" not in request.fixturenames:
        return lambda: 0
    conn: psycopg.Connection[Any] = request.getfixturevalue("conn")
    conn.execute("create table public.note (id bigint generated always as identity)")
    return lambda: conn.execute(COUNT).fetchall()[0][0]


@pytest.fixture
def engine(url: sa.URL) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url, pool_size=1, max_overflow=0)
    yield engine
    engine.dispose()


def supersede(server: recovery.Server, dsn: Any) -> None:
    """Declares it dead, and lets it know."""
    recovery.boot(dsn, server.name)
    with pytest.raises(recovery.EpochEnded):
        server.heartbeat()


def test_nothing_is_sent(dsn: str, proxy: Any, note: Callable[[], int]) -> None:
    """Not even to a database that does not answer."""
    engine = sa.create_engine(sa.make_url(proxy.dsn).set(drivername="postgresql+psycopg"))
    server = recovery.boot(dsn, "api-1")
    server.bind(engine)
    with engine.begin() as conn:
        conn.execute(sa.text(INSERT))
    supersede(server, dsn)
    proxy.freeze()
    begun = time.monotonic()
    with pytest.raises(recovery.EpochEnded, match="superseded"), engine.begin() as conn:
        conn.execute(sa.text(INSERT))
    assert time.monotonic() - begun < 1
    proxy.thaw()
    engine.dispose()
    assert note() == 1


@pytest.mark.parametrize("scope", ["session", "transaction"])
@pytest.mark.parametrize("isolation", ["READ COMMITTED", "AUTOCOMMIT"])
def test_who_tries_again_is_refused_again(
    dsn: str, url: sa.URL, note: Callable[[], int], scope: Any, isolation: Any
) -> None:
    engine = sa.create_engine(url, isolation_level=isolation)
    server = recovery.boot(dsn, "api-1")
    server.bind(engine, scope)
    supersede(server, dsn)
    with engine.connect() as conn:
        with pytest.raises(recovery.EpochEnded):
            conn.execute(sa.text(INSERT))
        with pytest.raises(sa.exc.ResourceClosedError):  # SQLAlchemy would not ask again
            conn.execute(sa.text(INSERT))
    with pytest.raises(recovery.EpochEnded), engine.connect() as conn:
        conn.begin_twophase()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()
    assert note() == 0


def test_orm_sessions(dsn: str, engine: sa.Engine, note: Callable[[], int]) -> None:
    server = recovery.boot(dsn, "api-1")
    server.bind(engine)
    with Session(engine) as session:
        session.execute(sa.text(INSERT))
        supersede(server, dsn)
        session.commit()  # what had begun before is the database's to judge
        for _ in range(2):
            with pytest.raises(recovery.EpochEnded):
                session.execute(sa.text(INSERT))
            session.rollback()
    with Session(engine.execution_options(postgresql_readonly=True)) as session:
        assert session.scalar(sa.text(COUNT)) == 1


def test_reading_goes_on(dsn: str, engine: sa.Engine, note: Callable[[], int]) -> None:
    server = recovery.boot(dsn, "api-1")
    server.bind(engine)
    supersede(server, dsn)
    status = engine.execution_options(postgresql_readonly=True)
    with status.connect() as conn:
        assert conn.scalar(sa.text(COUNT)) == 0
        with pytest.raises(sa.exc.DBAPIError, match="read-only transaction"):
            conn.execute(sa.text(INSERT))
    with engine.connect().execution_options(postgresql_readonly=True) as conn:
        assert conn.scalar(sa.text(COUNT)) == 0
    with pytest.raises(recovery.EpochEnded), engine.begin():
        pass


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
@pytest.mark.parametrize("scope", ["session", "transaction"])
async def test_async_engines(
    dsn: str, url: sa.URL, note: Callable[[], int], driver: str, scope: Any
) -> None:
    if driver == "asyncpg":
        pytest.importorskip("asyncpg")
    engine = create_async_engine(url.set(drivername=f"postgresql+{driver}"))
    server = await recovery.aboot(dsn, "api-1")
    server.bind(engine, scope)
    async with engine.begin() as conn:
        await conn.execute(sa.text(INSERT))
    supersede(server, dsn)
    for _ in range(2):
        with pytest.raises(recovery.EpochEnded):
            async with engine.begin() as conn:
                await conn.execute(sa.text(INSERT))
    async with engine.connect() as conn:
        await conn.execution_options(postgresql_readonly=True)
        assert await conn.scalar(sa.text(COUNT)) == 1
    await engine.dispose()


def test_a_lapsed_lease_refuses_until_a_heartbeat_is_answered(
    dsn: str, engine: sa.Engine, note: Callable[[], int]
) -> None:
    server = recovery.boot(dsn, "api-1", lease=1)
    server.bind(engine)
    wait_for(lambda: server.fenced, 3)
    with pytest.raises(recovery.LeaseLapsed), engine.begin() as conn:
        conn.execute(sa.text(INSERT))
    server.heartbeat()
    with engine.begin() as conn:
        conn.execute(sa.text(INSERT))
    assert note() == 1


def test_a_later_boot_takes_the_engine_over(dsn: str, engine: sa.Engine) -> None:
    first = recovery.boot(dsn, "api-1")
    first.bind(engine)
    second = recovery.boot(dsn, "api-1")
    with pytest.raises(recovery.EpochEnded):
        first.heartbeat()
    second.bind(engine)
    with engine.begin() as conn:
        second.assert_live(conn)


def test_an_orderly_end_is_no_demotion(
    engine: sa.Engine, note: Callable[[], int], jobs: Any
) -> None:
    """What the application does afterwards is its own affair; work it can't open, still."""
    with recovery.serve(engine, "api-1"):
        pass
    with engine.begin() as conn:
        conn.execute(sa.text(INSERT))
    assert note() == 1
    with pytest.raises(sa.exc.DBAPIError) as caught, engine.begin() as conn:
        conn.execute(sa.text("insert into public.job default values"))
    assert type(from_driver(caught.value)) is recovery.EpochEnded


def test_a_fork_hears_no_heartbeats_and_asks_the_database(dsn: str, engine: sa.Engine) -> None:
    server = recovery.boot(dsn, "api-1", lease=1)
    server.bind(engine)
    engine.dispose()
    wait_for(lambda: server.fenced, 3)
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            with engine.begin() as conn:
                code = conn.execute(sa.text("select 0")).scalar_one()
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(recovery.LeaseLapsed), engine.begin():
        pass


@pytest.mark.parametrize("autocommit", [False, True])
def test_psycopg_pool(dsn: str, note: Callable[[], int], autocommit: bool) -> None:
    server = recovery.boot(dsn, "api-1")
    with psycopg_pool.ConnectionPool(
        dsn,
        min_size=1,
        configure=server.configure,
        check=psycopg_pool.ConnectionPool.check_connection,
        kwargs={"autocommit": autocommit, "row_factory": dict_row},
        open=True,
    ) as pool:
        with pool.connection() as conn:
            conn.execute(INSERT)
            assert conn.execute("select 1 as one").fetchone() == {"one": 1}
            assert type(conn.cursor()).__name__ == "Cursor"
        supersede(server, dsn)
        with pool.connection() as conn:
            with pytest.raises(recovery.EpochEnded, match="superseded"):
                conn.execute(INSERT)
            with conn.cursor() as cursor:
                with pytest.raises(recovery.EpochEnded):
                    cursor.executemany("select %s", [(1,)])
                with pytest.raises(recovery.EpochEnded), cursor.copy("copy public.note from stdin"):
                    pass
                with pytest.raises(recovery.EpochEnded):
                    next(cursor.stream(INSERT))
            with conn.transaction(), conn.cursor("named") as cursor:
                with pytest.raises(recovery.EpochEnded):
                    cursor.execute("select 1")
            assert conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            conn.read_only = True
            assert conn.execute(COUNT).fetchone() == {"count": 1}
            if not autocommit:
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    conn.execute(INSERT)
            conn.rollback()
            conn.read_only = None
    assert note() == 1


async def test_psycopg_async_pool(dsn: str, note: Callable[[], int]) -> None:
    server = await recovery.aboot(dsn, "api-1")
    async with psycopg_pool.AsyncConnectionPool(
        dsn,
        min_size=1,
        configure=server.aconfigure,
        check=psycopg_pool.AsyncConnectionPool.check_connection,
        open=False,
    ) as pool:
        async with pool.connection() as conn:
            await conn.execute(INSERT)
        supersede(server, dsn)
        async with pool.connection() as conn:
            with pytest.raises(recovery.EpochEnded):
                await conn.execute(INSERT)
            async with conn.cursor() as cursor:
                with pytest.raises(recovery.EpochEnded):
                    await cursor.executemany("select %s", [(1,)])
                with pytest.raises(recovery.EpochEnded):
                    async with cursor.copy("copy public.note from stdin"):
                        pass
            await conn.set_read_only(True)
            assert await (await conn.execute(COUNT)).fetchone() == (1,)
            await conn.rollback()
            await conn.set_read_only(None)
    assert note() == 1


def test_a_fenced_server_configures_and_a_later_one_takes_over(
    dsn: str, connect: Callable[..., psycopg.Connection[Any]]
) -> None:
    first = recovery.boot(dsn, "api-1")
    supersede(first, dsn)
    second = recovery.boot(dsn, "api-1")
    conn = connect()
    first.configure(conn)  # a pool that could not would try for ever
    with pytest.raises(recovery.EpochEnded):
        conn.execute(INSERT)
    second.configure(conn)
    second.assert_live(conn)
    conn.execute(INSERT)


PROCESS = """
import logging, sys, threading
import recovery

class Slow(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines = []
    def emit(self, record):
        self.lines.append(record.getMessage())
    def flush(self):
        while self.lines:
            print("log:", self.lines.pop(0), file=sys.stderr)

class Stuck(Slow):
    def flush(self):
        threading.Event().wait()

dsn, wanted, handler = sys.argv[1:]
logging.basicConfig(handlers=[Stuck() if handler == "stuck" else Slow()], level=logging.ERROR)
with recovery.serve(dsn, "api-1", lease=1.5, heartbeat=0.1, exit_on_fenced=eval(wanted)) as server:
    server.on_fenced(lambda error: print("told:", type(error).__name__))  # not flushed
    print(server.epoch, flush=True)
    threading.Event().wait(20 if eval(wanted) else 1)
    print("stayed")
"""


@pytest.fixture
def process(dsn: str) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    with contextlib.ExitStack() as stack:

        def start(wanted: str, handler: str = "slow", where: str = dsn) -> subprocess.Popen[str]:
            child = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(PROCESS), where, wanted, handler],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(child)
            stack.callback(child.kill)
            assert child.stdout is not None
            assert child.stdout.readline().strip().isdigit()
            return child

        yield start


@pytest.mark.parametrize(
    ("wanted", "handler", "code"),
    [("True", "slow", 70), ("3", "slow", 3), ("True", "stuck", 70), ("False", "slow", 0)],
)
def test_exit_on_fenced(process: Any, dsn: str, wanted: str, handler: str, code: int) -> None:
    child = process(wanted, handler)
    recovery.boot(dsn, "api-1", policy="replace")
    out, err = child.communicate(timeout=15)
    assert child.returncode == code
    assert out.splitlines() == ["told: EpochEnded"] + ["stayed"] * (code == 0)
    assert ("log: server api-1 must stop its work" in err) == (handler == "slow")


def test_exit_when_the_lease_has_lapsed(process: Any, proxy: Any) -> None:
    child = process("True", where=proxy.dsn)
    proxy.freeze()
    out, _ = child.communicate(timeout=15)
    assert (child.returncode, out) == (70, "told: LeaseLapsed\n")


@pytest.mark.parametrize("wanted", [0, -1, 256])
def test_no_such_exit_code(wanted: int) -> None:
    with pytest.raises(recovery.InvalidArgument, match=f"1 to 255, not {wanted}"):
        recovery.serve("", "api-1", exit_on_fenced=wanted)
