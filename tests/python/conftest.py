"""A small watched table, and a zombie's work in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

from node import NodeMissing, install
from pgbouncer import PgBouncer
from recovery import calls
from tcp_proxy import Proxy

Insert = Callable[..., list[int]]


@pytest.fixture
def jobs(conn: psycopg.Connection[Any]) -> Insert:
    """Table ``public.job``; ``jobs(epoch, count=1, session="s1")`` inserts and returns ids."""
    conn.execute(
        "create table public.job (id bigint generated always as identity primary key,"
        " session text not null default 's1', status text not null default 'running', error text)"
    )
    call = calls.watch.attach(
        "public.job",
        "status = 'running'",
        {"status": "'failed'", "error": "c.reason"},
        group="session",
        topic="job",
    )
    assert calls.run(conn, call) == "public.job"

    def insert(epoch: int | None, count: int = 1, session: str = "s1") -> list[int]:
        rows = conn.execute(
            "insert into public.job (server_epoch, session)"
            " select %s, %s from generate_series(1, %s) returning id",
            [epoch, session, count],
        ).fetchall()
        return [row[0] for row in rows]

    return insert


@pytest.fixture
def states(conn: psycopg.Connection[Any]) -> Callable[[], dict[int, tuple[str, str | None]]]:
    """``states() -> {id: (status, error)}`` of public.job."""
    return lambda: {
        row[0]: (row[1], row[2])
        for row in conn.execute("select id, status, error from public.job order by id")
    }


@pytest.fixture
def proxy(dsn: str) -> Iterator[Proxy]:
    """A TCP proxy before ``dsn``."""
    with Proxy(dsn) as running:
        yield running


@pytest.fixture
def bouncer(dsn: str) -> Iterator[Callable[..., PgBouncer]]:
    """``bouncer(mode="transaction", **settings)``: a PgBouncer before ``dsn``."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(PgBouncer(dsn, *args, **options))


@pytest.fixture(scope="session")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with node-postgres from npm; skips without node, npm or a registry."""
    try:
        return install(tmp_path_factory.mktemp("node"))
    except NodeMissing as missing:
        pytest.skip(str(missing))
