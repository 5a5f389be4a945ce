"""Every connection of an engine says which epoch writes."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import recovery

SHOW = sa.text("select nullif(current_setting('recovery.server_epoch', true), '')::bigint")
PID = sa.text("select pg_backend_pid()")
NAME = sa.text("select application_name from pg_stat_activity where pid = pg_backend_pid()")


def test_connections_made_before_and_after_a_boot(url: sa.URL) -> None:
    engine = sa.create_engine(url, pool_size=2)
    with engine.connect() as conn:
        before = conn.scalar(PID)
        assert conn.scalar(SHOW) is None
    first = recovery.boot(url, "api-1")
    first.bind(engine)
    with engine.connect() as conn, engine.connect() as other:
        assert conn.scalar(PID) == before
        assert conn.scalar(SHOW) == other.scalar(SHOW) == first.epoch
        conn.rollback()
        assert conn.scalar(SHOW) == first.epoch
    second = recovery.boot(url, "api-1")
    second.bind(engine)
    with engine.connect() as conn, engine.connect() as other:
        assert conn.scalar(SHOW) == other.scalar(SHOW) == second.epoch
    engine.dispose()
    with engine.begin() as conn:
        assert conn.scalar(PID) != before
        assert conn.scalar(SHOW) == second.epoch
    engine.dispose()


def test_a_checkout_costs_nothing_once_the_epoch_is_set(
    url: sa.URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recovery.hooks import sqlalchemy as binding

    sent: list[str] = []
    execute = binding._execute
    monkeypatch.setattr(
        binding, "_execute", lambda conn, text: (sent.append(text), execute(conn, text))[1]
    )
    engine = sa.create_engine(url, pool_size=1)
    recovery.boot(url, "api-1").bind(engine)
    for _ in range(3):
        with engine.connect() as conn:
            conn.scalar(PID)
    assert len(sent) == 2  # by whom the connection is answered, and who writes
    engine.dispose()


def test_rows_get_their_owner(url: sa.URL, conn: Any, jobs: Any) -> None:
    engine = sa.create_engine(url)
    server = recovery.boot(url, "api-1")
    server.bind(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("insert into public.job default values"))
    assert conn.execute("select server_epoch from public.job").fetchone() == (server.epoch,)
    recovery.boot(url, "api-1")
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError) as caught:
        connection.execute(sa.text("insert into public.job default values"))
    assert type(recovery.errors.from_driver(caught.value)) is recovery.EpochEnded
    engine.dispose()


def test_transaction_scope(url: sa.URL) -> None:
    engine = sa.create_engine(url, pool_size=1)
    server = recovery.boot(url, "api-1")
    server.bind(engine, "session")
    with engine.connect() as conn:
        assert conn.scalar(SHOW) == server.epoch
    server.bind(engine, per="transaction")
    with engine.connect() as conn:
        assert conn.scalar(SHOW) == server.epoch
        with conn.begin_nested():
            assert conn.scalar(SHOW) == server.epoch
        conn.commit()
        raw = conn.connection.cursor()
        raw.execute("select nullif(current_setting('recovery.server_epoch', true), '')")
        assert raw.fetchone() == (None,)  # nothing stays for the next client of a pooler
        raw.close()
        conn.rollback()
        assert conn.scalar(SHOW) == server.epoch
    engine.dispose()


@pytest.mark.parametrize(
    ("name", "said", "shown"),
    [
        ("api-1", None, "api-1"),
        ("api-1", "shop", "shop"),
        ("api-1", "shop #7 of 'us'", "shop #7 of 'us'"),
        ("api-1", "s" * 63, "s" * 46),
        ("api-1", "shop#7", "shop#7"),
        ("a'p\\i%s:x" + "ü" * 80, None, "a?p?i?s:x" + "?" * 37),
    ],
)
def test_the_session_says_whose_it_is(url: sa.URL, name: str, said: str | None, shown: str) -> None:
    """So that an eviction finds it; what the application said of itself stays."""
    arguments = {} if said is None else {"application_name": said}
    engine = sa.create_engine(url, pool_size=1, connect_args=arguments)
    with engine.connect() as conn:  # before the boot
        assert (conn.scalar(NAME) == said) == (said is not None)
    for server in recovery.boot(url, name), recovery.boot(url, name):
        assert len(f"#{server.epoch}") == 17
        server.bind(engine)
        for _ in range(2):
            with engine.connect() as conn:
                assert conn.scalar(NAME) == f"{shown}#{server.epoch}"
                conn.rollback()
    server.bind(engine, "transaction")  # the session may be another client's next
    with engine.connect() as conn:
        assert conn.scalar(NAME) == shown
    engine.dispose()


async def test_the_session_says_whose_it_is_through_asyncpg(url: sa.URL) -> None:
    pytest.importorskip("asyncpg")
    engine = create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        connect_args={"server_settings": {"application_name": "shop"}},
    )
    server = await recovery.aboot(url, "api-1")
    server.bind(engine)
    async with engine.connect() as conn:
        assert await conn.scalar(NAME) == f"shop#{server.epoch}"
    await engine.dispose()


def test_autocommit_engines_have_the_session(url: sa.URL) -> None:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    server = recovery.boot(engine, "api-1")
    server.bind(engine)
    with engine.connect() as conn:
        assert conn.scalar(SHOW) == server.epoch
    engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
@pytest.mark.parametrize("scope", ["session", "transaction"])
async def test_async_engines(cluster: Any, url: sa.URL, driver: str, scope: Any) -> None:
    if driver == "asyncpg":
        pytest.importorskip("asyncpg")
    engine = create_async_engine(url.set(drivername=f"postgresql+{driver}"))
    async with engine.connect() as conn:
        assert await conn.scalar(SHOW) is None
    server = await recovery.aboot(engine, "api-1")
    server.bind(engine, scope)
    async with engine.connect() as conn:
        assert await conn.scalar(SHOW) == server.epoch
        await conn.rollback()
        assert await conn.scalar(SHOW) == server.epoch
    second = await recovery.aboot(engine, "api-1")
    second.bind(engine, scope)
    async with engine.begin() as conn:
        assert await conn.scalar(SHOW) == second.epoch
    await engine.dispose()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_pooler_in_between_means_transaction_scope(
    bouncer: Any, caplog: pytest.LogCaptureFixture, driver: str
) -> None:
    """A pooler shows itself by a backend pid that is not the server's."""
    caplog.set_level("INFO", "recovery")
    dsn = bouncer("transaction").dsn
    engine = sa.create_engine(sa.make_url(dsn).set(drivername=f"postgresql+{driver}"), pool_size=1)
    server = recovery.boot(dsn, "api-1")
    for _ in range(2):
        server.bind(engine)
        with engine.connect() as conn:
            assert conn.scalar(SHOW) == server.epoch
            conn.commit()
            raw = conn.connection.cursor()
            raw.execute("select nullif(current_setting('recovery.server_epoch', true), '')")
            assert raw.fetchone() == (None,)
            raw.close()
    assert caplog.text.count("a pooler shares the engine's connections") == 1
    engine.dispose()


def test_no_such_way(url: sa.URL, engine: sa.Engine) -> None:
    server = recovery.boot(url, "api-1")
    with pytest.raises(recovery.InvalidArgument, match="per 'connection'"):
        server.bind(engine, "connection")  # type: ignore[arg-type]
