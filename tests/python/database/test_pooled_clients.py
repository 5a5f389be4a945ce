"""The application's own connections through PgBouncer: engines and pools that are bound."""

from __future__ import annotations

from typing import Any

import psycopg
import psycopg_pool
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

import recovery
from recovery.database import pooler
from recovery.hooks import psycopg as cursors

INSERT = "insert into public.job default values returning server_epoch"
SESSION = "select coalesce(current_setting('recovery.server_epoch', true), '')"


@pytest.fixture(autouse=True)
def fresh() -> None:
    """What is said once in a process, each test may hear."""
    pooler.warn_of_autocommit.cache_clear()
    cursors._modes.clear()


def owners(conn: psycopg.Connection[Any]) -> dict[int | None, int]:
    return dict(conn.execute("select server_epoch, count(*) from public.job group by 1").fetchall())


def outside(dsn: str) -> tuple[str, str]:
    """What another client of the pool finds in its session."""
    with psycopg.connect(dsn, prepare_threshold=None) as client:
        row = client.execute(SESSION + ", current_setting('application_name')").fetchone()
        assert row is not None
        return row


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_an_engine(
    conn: psycopg.Connection[Any], bouncer: Any, jobs: Any, url: sa.URL, driver: str
) -> None:
    """Nobody has to know of prepare_threshold."""
    pool = bouncer("transaction", size=3)
    engine = sa.create_engine(sa.make_url(pool.dsn).set(drivername=f"postgresql+{driver}"))
    with engine.begin() as connection:  # before it is bound
        for _ in range(3):
            connection.execute(sa.text("select 1"))
    server = recovery.boot(pool.dsn, "api-1")
    server.bind(engine)
    for round_ in range(30):
        with engine.begin() as connection:
            assert connection.scalar(sa.text(INSERT)) == server.epoch
        assert outside(pool.dsn) == ("", "")
        if round_ % 3 == 0:
            pool.recycle()
    assert owners(conn) == {server.epoch: 30}
    engine.dispose()


async def test_an_async_engine(conn: psycopg.Connection[Any], bouncer: Any, jobs: Any) -> None:
    pool = bouncer("transaction", size=3)
    engine = create_async_engine(sa.make_url(pool.dsn).set(drivername="postgresql+psycopg"))
    server = await recovery.aboot(pool.dsn, "api-1")
    server.bind(engine)
    for round_ in range(30):
        async with engine.begin() as connection:
            assert await connection.scalar(sa.text(INSERT)) == server.epoch
        if round_ % 3 == 0:
            pool.recycle()
    assert owners(conn) == {server.epoch: 30}
    assert outside(pool.dsn) == ("", "")
    await engine.dispose()


async def test_asyncpg_as_its_documentation_says(
    conn: psycopg.Connection[Any], bouncer: Any, jobs: Any
) -> None:
    """It prepares every statement: with names of their own, and no cache, it works."""
    pytest.importorskip("asyncpg")
    import uuid

    pool = bouncer("transaction", size=3)
    engine = create_async_engine(
        sa.make_url(pool.dsn).set(drivername="postgresql+asyncpg"),
        poolclass=NullPool,
        connect_args={
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: f"__asyncpg_{uuid.uuid4()}__",
        },
    )
    server = await recovery.aboot(pool.dsn, "api-1")
    server.bind(engine)
    for round_ in range(20):
        async with engine.begin() as connection:
            assert await connection.scalar(sa.text(INSERT)) == server.epoch
        if round_ % 3 == 0:
            pool.recycle()
    assert owners(conn) == {server.epoch: 20}
    assert outside(pool.dsn) == ("", "")
    await engine.dispose()


def test_an_engine_in_autocommit_mode_is_told(
    conn: psycopg.Connection[Any], bouncer: Any, jobs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pool = bouncer("transaction")
    url = sa.make_url(pool.dsn).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    recovery.boot(pool.dsn, "api-1").bind(engine)
    for _ in range(2):
        with engine.connect() as connection:
            assert connection.scalar(sa.text(INSERT)) is None
    assert caplog.text.count("what it opens belongs to nobody") == 1
    engine.dispose()


def test_a_psycopg_pool(conn: psycopg.Connection[Any], bouncer: Any, jobs: Any) -> None:
    pool = bouncer("transaction", size=3)
    server = recovery.boot(pool.dsn, "api-1")
    other = recovery.boot(pool.dsn, "api-2")
    count = 0
    with (
        psycopg_pool.ConnectionPool(pool.dsn, configure=server.configure, min_size=2) as clients,
        psycopg_pool.ConnectionPool(pool.dsn, configure=other.configure, min_size=1) as others,
    ):
        for round_ in range(25):
            with clients.connection() as client:
                assert client.execute(INSERT).fetchone() == (server.epoch,)
                client.commit()
                with client.transaction():  # begins without a cursor
                    with client.transaction():
                        assert client.execute(INSERT).fetchone() == (server.epoch,)
                with client.cursor() as cursor:
                    cursor.executemany("insert into public.job (session) values (%s)", [["x"]])
            with clients.connection() as client, client.cursor() as cursor:
                with cursor.copy("copy public.job (session) from stdin") as copy:
                    copy.write_row(["y"])
            with clients.connection() as client, client.cursor() as cursor:
                assert list(cursor.stream(INSERT)) == [(server.epoch,)]
            with clients.connection() as client, client.cursor("named") as named:
                named.execute("select current_setting('recovery.server_epoch')")
                assert named.fetchone() == (str(server.epoch),)
            with others.connection() as client:
                assert client.execute(INSERT).fetchone() == (other.epoch,)
            count += 1
            assert outside(pool.dsn) == ("", "")
            if round_ % 3 == 0:
                pool.recycle()
        assert owners(conn) == {server.epoch: 5 * count, other.epoch: count}
        with clients.connection() as client:
            with pytest.raises(psycopg.errors.DivisionByZero), client.transaction():
                client.execute(INSERT + ", 1 / 0")
            with client.transaction() as block:
                client.execute(INSERT)
                raise psycopg.Rollback(block)
        assert owners(conn)[server.epoch] == 5 * count
        recovery.boot(pool.dsn, "api-1")
        with pytest.raises(recovery.EpochEnded):
            server.heartbeat()
        with clients.connection() as client, pytest.raises(recovery.EpochEnded):
            client.execute(INSERT)


async def test_an_async_psycopg_pool(
    conn: psycopg.Connection[Any], bouncer: Any, jobs: Any
) -> None:
    pool = bouncer("transaction", size=3)
    server = await recovery.aboot(pool.dsn, "api-1")
    async with psycopg_pool.AsyncConnectionPool(
        pool.dsn, configure=server.aconfigure, min_size=2
    ) as clients:
        for round_ in range(25):
            async with clients.connection() as client:
                cursor = await client.execute(INSERT)
                assert await cursor.fetchone() == (server.epoch,)
                await client.commit()
                async with client.transaction():
                    await client.execute(INSERT)
                async with client.cursor() as cursor:
                    await cursor.executemany(
                        "insert into public.job (session) values (%s)", [["x"]]
                    )
            async with clients.connection() as client, client.cursor() as cursor:
                async with cursor.copy("copy public.job (session) from stdin") as copy:
                    await copy.write_row(["y"])
            async with clients.connection() as client, client.cursor() as cursor:
                assert [row async for row in cursor.stream(INSERT)] == [(server.epoch,)]
            if round_ % 3 == 0:
                pool.recycle()
    assert owners(conn) == {server.epoch: 5 * 25}
    assert outside(pool.dsn) == ("", "")


@pytest.mark.parametrize("mode", ["session", "direct"])
def test_a_psycopg_pool_that_keeps_its_sessions(
    dsn: str, bouncer: Any, jobs: Any, mode: str
) -> None:
    address = dsn if mode == "direct" else bouncer("session", size=6).dsn
    server = recovery.boot(dsn, "api-1")
    with psycopg_pool.ConnectionPool(address, configure=server.configure, min_size=1) as clients:
        with clients.connection() as client:
            client.autocommit = True
            assert client.execute(INSERT).fetchone() == (server.epoch,)
            assert client.execute(SESSION).fetchone() == (str(server.epoch),)
            assert client.prepare_threshold == 5
            client.autocommit = False


def test_a_psycopg_pool_in_autocommit_mode_is_told(
    bouncer: Any, jobs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pool = bouncer("transaction")
    server = recovery.boot(pool.dsn, "api-1")
    with psycopg_pool.ConnectionPool(
        pool.dsn, configure=server.configure, min_size=1, kwargs={"autocommit": True}
    ) as clients:
        for _ in range(2):
            with clients.connection() as client:
                assert client.execute(INSERT).fetchone() == (None,)
                with client.transaction():
                    assert client.execute(INSERT).fetchone() == (server.epoch,)
    assert caplog.text.count("what it opens belongs to nobody") == 1


def test_our_own_statements_are_not_prepared(bouncer: Any, jobs: Any) -> None:
    """On a connection of the application, which may be behind a pooler."""
    pool = bouncer("transaction", size=3)
    server = recovery.boot(pool.dsn, "api-1")
    with psycopg.connect(pool.dsn) as client:
        for _ in range(20):
            server.assert_live(client)
            client.commit()
            pool.recycle()
