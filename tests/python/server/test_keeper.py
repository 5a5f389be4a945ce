"""The heartbeat and the sweep: they go on, they notice, they never give up too early."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from recovery.server.keeper import Keeper


@pytest.fixture
def keep() -> Any:
    keepers: list[Keeper] = []

    def start(server: recovery.Server, **options: Any) -> Keeper:
        keepers.append(keeper := Keeper(server, **options))
        keeper.start()
        return keeper

    yield start
    for keeper in keepers:
        keeper.stop()


def heartbeat_of(conn: psycopg.Connection[Any], server: recovery.Server) -> Any:
    row = conn.execute(
        "select heartbeat from recovery.server where epoch = %s", [server.epoch]
    ).fetchone()
    assert row is not None
    return row[0]


def test_a_lease_is_kept_much_longer_than_it_lasts(
    dsn: str, conn: psycopg.Connection[Any], keep: Any
) -> None:
    server = recovery.boot(dsn, "api-1", lease=1)
    keep(server, sweep=0.2)  # sweeps that would reap it
    end = time.monotonic() + 2.5
    while time.monotonic() < end:
        assert not server.fenced
        time.sleep(0.05)
    names = conn.execute(
        "select application_name from pg_stat_activity where datname = current_database()"
        " and application_name like 'recovery:%' order by 1"
    ).fetchall()
    assert names == [(f"recovery:keeper:api-1#{server.epoch}",)]


def ours(conn: psycopg.Connection[Any]) -> list[str]:
    """The connections of ours to this database."""
    return [
        row[0]
        for row in conn.execute(
            "select split_part(application_name, ':', 2) from pg_stat_activity"
            " where datname = current_database() and application_name like 'recovery:%' order by 1"
        )
    ]


@pytest.mark.parametrize("listen", [True, False])
def test_a_process_needs_two_connections_or_one(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, listen: bool
) -> None:
    """However many fuses, processes and subscribers it has; at no moment more."""
    seen: set[tuple[str, ...]] = set()
    with (
        recovery.serve(dsn, "api-1", lease=3, sweep=0.1, listen=listen) as server,
        contextlib.ExitStack() as stack,
    ):
        server.on_cancel(lambda cancel: None)
        for _ in range(5):
            server.bus.subscribe()
        for id_ in jobs(server.epoch, 20):
            server.touch("public.job", id_)
            stack.enter_context(server.fuse("public.job", id_, os.getpid(), ttl=3))
            stack.enter_context(server.process("public.job", id_, os.getpid()))
            seen.add(tuple(ours(conn)))
        end = time.monotonic() + 3
        while time.monotonic() < end:
            seen.add(tuple(ours(conn)))
    assert seen == {("keeper", "listener") if listen else ("keeper",)}


@pytest.mark.parametrize("listen", [True, False])
def test_a_closing_that_takes_longer_than_the_lease(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, listen: bool
) -> None:
    """A trigger of the host holds up the shared connection: the heart beats beside it."""
    conn.execute(
        "create function slow() returns trigger language plpgsql as $$ begin"
        " perform pg_sleep(4); return new; end $$"
    )
    dead = recovery.boot(dsn, "api-2")
    (lost,) = jobs(dead.epoch)
    conn.execute(
        "create trigger slow before update on public.job for each row execute function slow()"
    )
    with recovery.serve(dsn, "api-1", lease=2, sweep=0.1, listen=listen) as server:
        (mine,) = jobs(server.epoch)
        conn.execute(
            "update recovery.server set ended = now(), reason = 'evicted' where epoch = %s",
            [dead.epoch],
        )
        wait_for(lambda: server._link.busy and server.remaining < 1.4, 5)
        counts = set()
        while not (
            row := conn.execute(
                "select status from public.job where id = %s and status <> 'running'", [lost]
            ).fetchone()
        ):
            assert not server.fenced
            counts.add(len(ours(conn)))
            time.sleep(0.02)
        assert row == ("failed",)
        assert max(counts) <= 2
        assert not server.fenced
        assert conn.execute("select status from public.job where id = %s", [mine]).fetchone() == (
            "running",
        )
        conn.execute("drop trigger slow on public.job")


def test_many_rows_close_in_turns_with_beats_between(
    dsn: str, conn: psycopg.Connection[Any], keep: Any, jobs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recovery.server import keeper as module

    monkeypatch.setattr(module, "_BUDGET", 0.001)
    dead, server = recovery.boot(dsn, "api-2"), recovery.boot(dsn, "api-1", lease=1)
    for session in "abcdef":
        jobs(dead.epoch, 5_000, session)
    conn.execute(
        "update recovery.server set ended = now(), reason = 'evicted' where epoch = %s",
        [dead.epoch],
    )
    calls_seen: list[str] = []
    run = server._link.run
    monkeypatch.setattr(
        server._link, "run", lambda call, *a: (calls_seen.append(call.sql), run(call, *a))[1]
    )
    keep(server, heartbeat=0.05, sweep=0.1)
    wait_for(
        lambda: (
            not conn.execute("select 1 from public.job where status = 'running' limit 1").fetchone()
        )
    )
    sweeps = [n for n, sql in enumerate(calls_seen) if "recovery.sweep" in sql]
    assert len(sweeps) > 2
    assert any("recovery.keeper_heartbeat" in sql for sql in calls_seen[sweeps[0] : sweeps[-1]])


def test_a_neighbour_that_dies_is_swept(dsn: str, keep: Any, jobs: Any, states: Any) -> None:
    dead, alive = recovery.boot(dsn, "api-1", lease=1), recovery.boot(dsn, "api-2", lease=1)
    (lost,), (live,) = jobs(dead.epoch), jobs(alive.epoch)
    keep(alive, heartbeat=0.2, sweep=0.2)
    wait_for(lambda: states()[lost] == ("failed", "lease_expired"), 5)
    assert states()[live] == ("running", None)


def test_being_superseded_is_noticed(dsn: str, keep: Any) -> None:
    server = recovery.boot(dsn, "api-1", lease=1)
    told: list[recovery.RecoveryError] = []
    server.on_fenced(told.append)
    keep(server, sweep=None)
    recovery.boot(dsn, "api-1", policy="replace")
    wait_for(lambda: told, 2)
    assert server.fenced
    time.sleep(0.5)
    assert [type(error) for error in told] == [recovery.EpochEnded]


def test_a_frozen_process_demotes_itself_when_it_wakes(
    dsn: str, conn: psycopg.Connection[Any], keep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sleeping laptop: the clock has moved, nothing else."""
    from recovery.database import link as links
    from recovery.fence import epoch as module

    server = recovery.boot(dsn, "api-1", lease=10)
    told: list[recovery.RecoveryError] = []
    server.on_fenced(told.append)
    recovery.boot(dsn, "api-1")
    monkeypatch.setattr(module, "clock", lambda: links.clock() + 60)
    assert server.fenced  # at once, before any thread has run
    keep(server, heartbeat=0.05, sweep=None)
    wait_for(lambda: recovery.EpochEnded in map(type, told), 2)
    assert [type(error) for error in told][-2:-1] in ([], [recovery.LeaseLapsed])


def test_a_dead_link_demotes_when_the_lease_ends_and_not_for_ever(
    dsn: str, proxy: Any, keep: Any
) -> None:
    server = recovery.boot(proxy.dsn, "api-1", lease=1.5)
    told: list[tuple[recovery.RecoveryError, float]] = []
    server.on_fenced(lambda error: told.append((error, server.remaining)))
    keep(server, heartbeat=0.3, sweep=0.3)
    time.sleep(0.5)
    proxy.freeze()
    wait_for(lambda: told, 6)
    error, remaining = told[0]
    assert isinstance(error, recovery.LeaseLapsed)
    assert -0.5 < remaining <= 0  # when the lease ended, although an attempt was still waiting
    assert server.fenced
    proxy.cut()
    proxy.thaw()
    wait_for(lambda: not server.fenced, 8)  # nobody had swept meanwhile
    assert len(told) == 1


def test_a_terminated_backend_is_replaced_before_anybody_notices(
    dsn: str, conn: psycopg.Connection[Any], keep: Any
) -> None:
    server = recovery.boot(dsn, "api-1", lease=2)
    keep(server, heartbeat=0.1, sweep=0.1)
    for _ in range(5):
        before = heartbeat_of(conn, server)
        wait_for(lambda before=before: heartbeat_of(conn, server) > before)  # type: ignore[misc]
        conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name like 'recovery:%' and datname = current_database()"
        )
    assert not server.fenced
    assert server.remaining > 1.5


def test_a_failing_sweep_is_repeated_and_counted(
    dsn: str, conn: psycopg.Connection[Any], keep: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = recovery.boot(dsn, "api-1", lease=2)
    conn.execute("alter table recovery.sweep_run rename to gone")
    keeper = keep(server, sweep=0.05)
    wait_for(lambda: keeper.failures["sweep"] >= 2)
    assert "sweep of api-1 failed, will be repeated" in caplog.text
    conn.execute("alter table recovery.gone rename to sweep_run")
    wait_for(lambda: conn.execute("select from recovery.sweep_run").fetchall())
    assert not server.fenced


def test_a_sweep_that_blocks_does_not_stop_the_heartbeat(
    dsn: str, connect: Any, conn: psycopg.Connection[Any], keep: Any
) -> None:
    server = recovery.boot(dsn, "api-1", lease=1)
    with connect(autocommit=False) as blocker:
        blocker.execute("lock table recovery.sweep_run")
        keep(server, heartbeat=0.2, sweep=0.05)
        time.sleep(1.5)
        assert not server.fenced
        blocker.rollback()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heartbeat": 8.0}, r"heartbeat every 8 s: with a lease of 15 s .* at most 7\.5 s"),
        ({"heartbeat": 0}, "more than 0"),
        ({"sweep": 0}, "sweep every 0 s"),
    ],
)
def test_intervals_that_do_not_fit(dsn: str, options: Any, message: str) -> None:
    server = recovery.boot(dsn, "api-1")
    with pytest.raises(recovery.InvalidArgument, match=message):
        Keeper(server, **options)
    with pytest.raises(recovery.InvalidArgument, match=message):
        recovery.serve(dsn, "api-2", **options)


def test_stopping_is_quick_and_complete(dsn: str) -> None:
    keeper = Keeper(recovery.boot(dsn, "api-1"))
    keeper.start()
    begun = time.monotonic()
    keeper.stop()
    assert time.monotonic() - begun < 1
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("recovery-")], 1)
