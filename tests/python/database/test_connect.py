from __future__ import annotations

import threading
import time
from typing import Any

import psycopg
import psycopg_pool
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import recovery
from recovery import calls
from recovery.database.connect import check_schema, connect
from recovery.database.deadline import deadline
from recovery.database.link import Link, backoff


def application_name(conn: psycopg.Connection[Any]) -> str:
    row = conn.execute("show application_name").fetchone()
    assert row is not None
    return str(row[0])


def database(conn: psycopg.Connection[Any]) -> str:
    row = conn.execute("select current_database()").fetchone()
    assert row is not None
    return str(row[0])


def test_every_kind_of_target(dsn: str, url: sa.URL, engine: sa.Engine) -> None:
    name = sa.make_url(dsn).database
    pool: Any = psycopg_pool.ConnectionPool(dsn, open=False)
    with psycopg.connect(dsn) as theirs:
        targets = {
            "DSN": dsn,
            "libpq": theirs.info.dsn,
            "URL": url,
            "asyncpg URL": url.set(drivername="postgresql+asyncpg"),
            "text": url.render_as_string(),
            "engine": engine,
            "async engine": create_async_engine(url),
            "connection": theirs,
            "pool": pool,
            "function": lambda: psycopg.connect(dsn),
        }
        for kind, target in targets.items():
            with connect(target, "test", "api-1") as conn:
                assert conn.autocommit, kind
                assert conn is not theirs
                assert database(conn) == name, kind
                assert application_name(conn) == "recovery:test:api-1"
                check_schema(conn)


def test_no_target_means_the_environment(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOVERY_DSN", dsn)
    with connect(None, "test") as conn:
        assert database(conn) == sa.make_url(dsn).database
        assert application_name(conn) == "recovery:test"
    monkeypatch.delenv("RECOVERY_DSN")
    info = psycopg.conninfo.conninfo_to_dict(dsn)
    for key, variable in (("host", "PGHOST"), ("port", "PGPORT"), ("user", "PGUSER")):
        monkeypatch.setenv(variable, str(info[key]))
    monkeypatch.setenv("PGDATABASE", str(info["dbname"]))
    with connect(None, "test") as conn:
        assert database(conn) == info["dbname"]


def test_a_long_name_is_cut_and_never_the_epoch(dsn: str) -> None:
    """PostgreSQL keeps 63 bytes of it, and writes what is not ASCII in four each."""
    for name in ("ü" * 60, "x" * 200):
        with connect(dsn, "test", name) as conn:
            assert application_name(conn) == f"recovery:test:{name}".replace("ü", "?")[:63]
        with connect(dsn, "test", name, 1795251741270557) as conn:
            said = application_name(conn)
            assert said == f"recovery:test:{name}".replace("ü", "?")[:46] + "#1795251741270557"
            shown = "select application_name from pg_stat_activity where pid = pg_backend_pid()"
            assert conn.execute(shown).fetchone() == (said,)


def test_an_exhausted_pool_and_the_engines_own_hooks(url: sa.URL) -> None:
    engine = sa.create_engine(url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    seen = []

    @sa.event.listens_for(engine, "do_connect")
    def token(dialect: Any, record: Any, args: Any, options: dict[str, Any]) -> None:
        options["options"] = "-c app.token=fresh"  # as a cloud's access token would be
        seen.append(options)

    with engine.connect():
        with connect(engine, "test") as conn:
            assert conn.execute("show app.token").fetchone() == ("fresh",)
    assert len(seen) == 2
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()

    asynchronous = create_async_engine(url)
    sa.event.listen(asynchronous.sync_engine, "do_connect", token)
    with connect(asynchronous, "test") as conn:
        assert conn.execute("show app.token").fetchone() == ("fresh",)


def test_tcp_links_notice_that_they_are_dead(cluster: Any, dsn: str) -> None:
    import socket

    name = str(sa.make_url(dsn).database)
    try:
        tcp = cluster.dsn(name, host="tcp")
    except TypeError:
        pytest.skip("an existing server")
    engine = sa.create_engine(sa.make_url(tcp).set(drivername="postgresql+psycopg"))
    for target in (tcp, engine):
        with connect(target, "test") as conn:
            link = socket.socket(fileno=conn.fileno())
            assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
            link.detach()
    engine.dispose()


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("host=127.0.0.1 port=1 password=s3cret", recovery.ConnectionFailed, "Connection refused"),
        ("postgresql://u:s3cret@127.0.0.1:1/x", recovery.ConnectionFailed, "Connection refused"),
        ("postgresql+asyncpg://u:s3cret@127.0.0.1:1/x", recovery.ConnectionFailed, "refused"),
        ("s3cret", recovery.InvalidArgument, "the DSN can't be read"),
        ("postgres//u:s3cret@host/x", recovery.InvalidArgument, "the DSN can't be read"),
        ("sqlite+pysqlite:///x", recovery.InvalidArgument, "is not PostgreSQL"),
        (sa.create_engine("sqlite://"), recovery.InvalidArgument, "is not PostgreSQL"),
        (42, recovery.InvalidArgument, "int is not a DSN"),
    ],
)
def test_clear_errors_without_the_password(
    target: Any, error: type[recovery.RecoveryError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        connect(target, "test")
    assert "s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_schema_of_another_version(conn: psycopg.Connection[Any]) -> None:
    for version, advice in (("0.0.9", "recovery migrate"), ("0.2.0", "upgrade pg-recovery")):
        conn.execute(
            "create or replace function recovery.version() returns text language sql"
            f" immutable as $$ select '{version}'::text $$".encode()
        )
        with pytest.raises(recovery.SchemaMismatch, match=rf"{version}.*0\.1\.0.*{advice}"):
            check_schema(conn)


def test_deadline_ends_what_waits_for_a_dead_link(proxy: Any) -> None:
    with connect(proxy.dsn, "test") as conn:
        proxy.freeze()
        begun = time.monotonic()
        with pytest.raises(recovery.ConnectionFailed):
            with deadline(conn, 0.2):
                calls.run(conn, calls.status.version())
        assert time.monotonic() - begun < 1
        proxy.thaw()


def test_link_replaces_a_lost_connection(dsn: str, conn: psycopg.Connection[Any]) -> None:
    link = Link(dsn, "test", "api-1")
    first = link.run(calls.session.backend_pid())
    assert link.run(calls.session.backend_pid()) == first
    conn.execute("select pg_terminate_backend(%s)", [first])
    assert link.run(calls.session.backend_pid()) != first
    with pytest.raises(recovery.EpochUnknown):
        link.run(calls.server.assert_live(1))
    link.close()


def test_link_serves_threads_one_at_a_time(dsn: str) -> None:
    link = Link(dsn, "test", "")
    pids: list[int] = []
    threads = [
        threading.Thread(target=lambda: pids.append(link.run(calls.session.backend_pid())))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 5
    assert len(set(pids)) == 1
    link.close()


def test_backoff_begins_at_once_and_ends_at_its_limit() -> None:
    assert backoff(1) == 0
    assert 0.05 <= backoff(2) <= 0.1
    assert all(2.5 <= backoff(failures) <= 5 for failures in (9, 50, 10**9))
