from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import psutil
import psycopg
import psycopg_pool
import pytest
import sqlalchemy as sa

import recovery
from helpers import wait_for
from recovery import calls
from recovery.work.host import host_id


def test_boot_says_who_we_are(dsn: str, conn: psycopg.Connection[Any]) -> None:
    server = recovery.boot(dsn, "api-1", lease=7, version="1.2")
    row = conn.execute(
        "select name, host, pid, process_start, version, lease, token, ended"
        " from recovery.server where epoch = %s",
        [server.epoch],
    ).fetchone()
    started = datetime.fromtimestamp(psutil.Process().create_time(), UTC)
    lease = timedelta(seconds=7)
    assert row == (
        "api-1",
        host_id(),
        os.getpid(),
        started,
        "1.2",
        lease,
        server.token,
        None,
    )
    assert not server.fenced
    assert 6 < server.remaining <= 7
    assert server.report == recovery.Report(ms=server.report.ms)
    assert repr(server) == f"<Server 'api-1' epoch {server.epoch}>"
    server.shutdown()


def test_a_restart_closes_what_the_last_boot_left(dsn: str, jobs: Any, states: Any) -> None:
    first = recovery.boot(dsn, "api-1")
    other = recovery.boot(dsn, "api-2")
    left, alive = jobs(first.epoch, 3), jobs(other.epoch, 2)
    second = recovery.boot(dsn, "api-1")
    assert second.epoch > first.epoch
    assert second.report.closed == {"public.job": 3}
    assert second.report.ended == (first.epoch,)
    assert str(second.report).startswith("closed 3 public.job in ")
    assert states() == {
        **dict.fromkeys(left, ("failed", "superseded")),
        **dict.fromkeys(alive, ("running", None)),
    }


async def test_the_async_twins(dsn: str, jobs: Any) -> None:
    server = await recovery.aboot(dsn, "api-1", lease=timedelta(seconds=9))
    assert await server.aheartbeat() > datetime.now(UTC)
    assert (await server.asweep()).closed == {}
    async with await psycopg.AsyncConnection.connect(dsn) as aconn:
        await server.aassert_live(aconn)
    jobs(server.epoch)
    assert (await server.ashutdown()).closed == {"public.job": 1}
    async with await psycopg.AsyncConnection.connect(dsn) as aconn:
        with pytest.raises(recovery.EpochEnded):
            await server.aassert_live(aconn)


def test_shutdown_hands_over_to_an_heir(dsn: str, jobs: Any, states: Any) -> None:
    old, new = recovery.boot(dsn, "api-1"), recovery.boot(dsn, "api-2")
    (id_,) = jobs(old.epoch)
    old.shutdown(heir=new)
    assert states() == {id_: ("running", None)}
    assert old.fenced
    with pytest.raises(recovery.EpochEnded, match="shut down by this process"):
        old.check()
    new.shutdown()
    assert states() == {id_: ("failed", "shutdown")}
    heir_that_ended = recovery.boot(dsn, "api-3")
    with pytest.raises(recovery.EpochEnded):
        heir_that_ended.shutdown(heir=new.epoch)


def test_a_refused_heartbeat_fences_for_ever(dsn: str) -> None:
    zombie = recovery.boot(dsn, "api-1")
    told: list[recovery.RecoveryError] = []

    def broken(error: recovery.RecoveryError) -> None:
        told.append(error)
        raise ValueError("in a callback")

    zombie.on_fenced(broken)
    zombie.on_fenced(told.append)
    zombie.check()
    recovery.boot(dsn, "api-1")
    for _ in range(2):
        with pytest.raises(recovery.EpochEnded, match="superseded"):
            zombie.heartbeat()
    assert zombie.fenced
    assert [type(error) for error in told] == [recovery.EpochEnded] * 2  # each callback once
    with pytest.raises(recovery.EpochEnded, match="superseded"):
        zombie.check()


def test_a_foreign_token_fences(dsn: str, conn: psycopg.Connection[Any]) -> None:
    server = recovery.boot(dsn, "api-1")
    conn.execute("update recovery.server set token = gen_random_uuid()")
    with pytest.raises(recovery.TokenMismatch):
        server.heartbeat()
    assert server.fenced


def test_an_unknown_epoch_fences(dsn: str, conn: psycopg.Connection[Any]) -> None:
    server = recovery.boot(dsn, "api-1")
    conn.execute("delete from recovery.server")
    with pytest.raises(recovery.EpochUnknown):
        server.heartbeat()
    assert server.fenced


def test_a_lapsed_lease_fences_until_a_heartbeat_is_answered(dsn: str) -> None:
    server = recovery.boot(dsn, "api-1", lease=1)
    told: list[recovery.RecoveryError] = []
    server.on_fenced(told.append)
    time.sleep(1.05)
    assert server.fenced
    server._epoch.notice()
    server._epoch.notice()
    assert [type(error) for error in told] == [recovery.LeaseLapsed]
    with pytest.raises(recovery.LeaseLapsed, match="lease of 1 s"):
        server.check()
    server.heartbeat()  # nobody had swept
    assert not server.fenced
    server.check()


def test_sweep_ends_servers_whose_lease_lapsed(dsn: str, jobs: Any, states: Any) -> None:
    dead, sweeper = recovery.boot(dsn, "api-1", lease=1), recovery.boot(dsn, "api-2")
    (id_,) = jobs(dead.epoch)
    reports: list[recovery.Report] = []

    def swept() -> bool:
        reports.append(sweeper.sweep())
        return bool(reports[-1].ended)

    wait_for(swept, interval=0.1)  # not before a full lease was observed
    assert reports[-1].ended == (dead.epoch,)
    assert reports[-1].closed == {"public.job": 1}
    assert states() == {id_: ("failed", "lease_expired")}


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("", {}, recovery.InvalidName, "empty"),
        ("x" * 300, {}, recovery.InvalidName, "300 bytes"),
        ("a", {"lease": 0}, recovery.InvalidArgument, "lease must be greater than 0 s, not 0 s"),
        ("a", {"lease": 10**6}, recovery.InvalidArgument, "lease 11 days 13:46:40 is not allowed"),
        ("a", {"batch": 0}, recovery.InvalidArgument, "batch"),
        ("a", {"lock_wait": -2}, recovery.InvalidArgument, "lock_wait must be greater than 0"),
    ],
)
def test_wrong_arguments(
    dsn: str,
    conn: psycopg.Connection[Any],
    name: str,
    options: dict[str, Any],
    error: type[recovery.RecoveryError],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        recovery.boot(dsn, name, **options)
    assert conn.execute("select count(*) from recovery.server").fetchone() == (0,)


def test_missing_schema(empty_dsn: str) -> None:
    with pytest.raises(recovery.SchemaMismatch, match="recovery migrate"):
        recovery.boot(empty_dsn, "api-1")


def test_assert_live_on_the_callers_connection(dsn: str, engine: sa.Engine) -> None:
    server = recovery.boot(dsn, "api-1")
    with engine.begin() as conn:
        server.assert_live(conn)
    recovery.boot(dsn, "api-1")
    with engine.begin() as conn, pytest.raises(recovery.EpochEnded):
        server.assert_live(conn)


def epoch_of(row: Any) -> int | None:
    return int(row[0]) if row[0] else None


SHOW = "select current_setting('recovery.server_epoch', true)"


def test_psycopg_pool(dsn: str) -> None:
    server = recovery.boot(dsn, "api-1")
    for autocommit in (False, True):
        with psycopg_pool.ConnectionPool(
            dsn, configure=server.configure, kwargs={"autocommit": autocommit}, open=True
        ) as pool:
            with pool.connection() as conn:
                assert epoch_of(conn.execute(SHOW).fetchone()) == server.epoch
                conn.rollback()
                assert epoch_of(conn.execute(SHOW).fetchone()) == server.epoch


async def test_psycopg_async_pool(dsn: str) -> None:
    server = await recovery.aboot(dsn, "api-1")
    async with psycopg_pool.AsyncConnectionPool(
        dsn, configure=server.aconfigure, open=False
    ) as pool:
        async with pool.connection() as conn:
            await conn.rollback()
            assert epoch_of(await (await conn.execute(SHOW)).fetchone()) == server.epoch


def test_calls_are_what_the_methods_send(dsn: str, conn: psycopg.Connection[Any]) -> None:
    server = recovery.boot(dsn, "api-1")
    assert calls.run(conn, calls.server.heartbeat(server.epoch, server.token))
