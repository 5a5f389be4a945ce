"""recovery evict: an operator ends a server that hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import psycopg_pool
import pytest
import sqlalchemy as sa

import recovery
from helpers import wait_for

pytestmark = pytest.mark.majors("newest")


def evict(dsn: str, *args: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "RECOVERY_DSN" and k[:2] != "PG"}
    return subprocess.run(
        [sys.executable, "-m", "recovery.cli", "evict", "--dsn", dsn, *args],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("by", ["name", "epoch"])
def test_its_work_is_closed_and_the_others_is_not(
    dsn: str, jobs: Callable[..., list[int]], states: Callable[[], dict[int, Any]], by: str
) -> None:
    hung, other = recovery.boot(dsn, "api-1"), recovery.boot(dsn, "api-2")
    (lost,), (kept,) = jobs(hung.epoch), jobs(other.epoch)
    done = evict(dsn, "api-1" if by == "name" else str(hung.epoch))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"evicted: {hung.epoch}; closed 1 public.job")
    assert states() == {lost: ("failed", "evicted"), kept: ("running", None)}
    with pytest.raises(recovery.EpochEnded, match="evicted"):
        hung.heartbeat()
    other.heartbeat()


def test_json(dsn: str, jobs: Callable[..., list[int]]) -> None:
    hung = recovery.boot(dsn, "api-1")
    done = json.loads(evict(dsn, "api-1", "--json").stdout)
    assert done["evicted"] == [hung.epoch]
    assert done["report"]["closed"] == {}


def test_terminate_backends(
    dsn: str,
    conn: psycopg.Connection[Any],
    connect: Callable[..., psycopg.Connection[Any]],
    jobs: Callable[..., list[int]],
) -> None:
    """A transaction that hangs with open work in it does not hold up the end."""
    hung = recovery.boot(dsn, "api-1")
    busy = connect(autocommit=False)
    hung.configure(busy)
    busy.execute("insert into public.job default values")
    pid = busy.info.backend_pid
    done = evict(dsn, "api-1", "--terminate-backends")
    assert (done.returncode, done.stderr) == (0, "")
    there = "select count(*) from pg_stat_activity where pid = %s"
    wait_for(lambda: conn.execute(there, (pid,)).fetchone() == (0,))
    with pytest.raises(psycopg.OperationalError):
        busy.execute("select 1")
    assert conn.execute("select count(*) from public.job").fetchone() == (0,)


def test_terminate_backends_finds_idle_sessions(
    dsn: str, url: sa.URL, conn: psycopg.Connection[Any]
) -> None:
    """Of a server that lives: its pools, its keeper, its listener; nobody else's."""
    engine = sa.create_engine(url, connect_args={"application_name": "shop"})
    other = sa.create_engine(url, connect_args={"application_name": "shop"})
    with (
        recovery.serve(engine, "api-1") as hung,
        recovery.serve(other, "api-2") as kept,
        psycopg_pool.ConnectionPool(dsn, min_size=1, configure=hung.configure) as pool,
    ):

        def sessions(server: recovery.Server) -> dict[int, str]:
            text = (
                "select pid, split_part(application_name, '#', 1) from pg_stat_activity"
                " where datname = current_database() and application_name like %s"
            )
            return dict(conn.execute(text, (f"%#{server.epoch}",)).fetchall())

        for one in (engine, other):
            with one.connect() as connection:
                connection.execute(sa.text("select 1"))
        pool.wait()
        everything = {"shop", "api-1", "recovery:keeper:api-1", "recovery:listener:api-1"}
        wait_for(lambda: everything <= set(sessions(hung).values()))
        before, others = sessions(hung), sessions(kept)
        done = evict(dsn, "api-1", "--terminate-backends")
        assert (done.returncode, done.stderr) == (0, "")
        wait_for(lambda: not before.keys() & sessions(hung).keys())
        assert others.items() <= sessions(kept).items()
        wait_for(lambda: hung.fenced)
    engine.dispose()
    other.dispose()


def test_nobody(dsn: str) -> None:
    done = evict(dsn, "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("recovery: no live server is called 'nobody'")
    assert done.stderr.count("\n") == 1
