"""Attaching and detaching a large table in use: for how long a reader or a writer waits at most."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter, sleep
from typing import Any

import psycopg

import recovery
from bench import _setup
from bench._setup import Options
from recovery.schema.paths import sql_dir

_TABLE = """
    create table public.job (id bigint primary key, status text not null, payload text not null,
        error text, moved_at timestamptz not null default now())
"""
_FILL = """
    insert into public.job (id, status, payload)
    select n, case when n % 3000 = 0 then 'running' else 'completed' end, repeat(md5(n::text), 4)
    from generate_series(1, {rows}) as n
"""
_WATCH: Mapping[str, Any] = {
    "open": "status = 'running'",
    "close": {"status": "'failed'", "error": "c.message"},
}
#: What the table's users do, each on a connection of its own.
_CLIENTS: Mapping[str, str] = {
    "read": "select status, payload from public.job where id = {id}",
    "write": "update public.job set moved_at = now() where id = {id}",
    "claim": "update public.job set status = 'running' where id = {id}",
}


def run(options: Options) -> None:
    """Both ways, in turn, with the clients running all the while."""
    size = max(options.sizes)
    with _setup.cluster(options) as server:
        dsn = server.create_database("attach")
        _setup.install(dsn, sql_dir())
        with _setup.connect(dsn) as conn:
            conn.execute(_TABLE)
            conn.execute(_FILL.format(rows=size).encode())
            conn.execute("vacuum (analyze) public.job")
            conn.execute("checkpoint")
        waits: dict[str, list[Mapping[str, float]]] = {}
        for number in range(options.rounds):
            for name, work in _ways().items():
                with _setup.connect(dsn) as conn, _clients(dsn, size) as longest:
                    sleep(1)
                    longest.clear()
                    start = perf_counter()
                    work(conn)
                    took = perf_counter() - start
                    sleep(0.2)
                    found = {kind: longest.get(kind, 0.0) for kind in _CLIENTS}
                waits.setdefault(name, []).append({**found, "took": took * 1000})
                _setup.say(f"  {number + 1}. {name}: {max(found.values()):.0f} ms, in {took:.1f} s")
        _setup.show(
            f"The longest wait of a statement, {size} rows (PostgreSQL {server.major}), ms: median, max",
            ["", *_CLIENTS, "any", "took"],
            [
                [
                    name,
                    *(_two([each[kind] for each in runs]) for kind in _CLIENTS),
                    _two([max(each[kind] for kind in _CLIENTS) for each in runs]),
                    _two([each["took"] for each in runs]),
                ]
                for name, runs in waits.items()
            ],
        )


def _ways() -> Mapping[str, Callable[[psycopg.Connection[Any]], object]]:
    return {
        "nothing": lambda conn: sleep(3),
        "attach at once": lambda conn: recovery.attach(conn, "job", **_WATCH),
        "detach at once": lambda conn: recovery.detach(conn, "job"),
        "attach concurrently": lambda conn: recovery.attach(
            conn, "job", **_WATCH, concurrently=True
        ),
        "alter concurrently": lambda conn: recovery.alter(
            conn, "job", open="status in ('running', 'started')", concurrently=True
        ),
        "detach concurrently": lambda conn: recovery.detach(conn, "job", concurrently=True),
    }


@contextmanager
def _clients(dsn: str, size: int) -> Iterator[dict[str, float]]:
    """Runs the clients; the longest statement of each kind since `clear`, in ms."""
    longest: dict[str, float] = {}
    stop = threading.Event()

    def client(kind: str, statement: str) -> None:
        with _setup.connect(dsn) as conn:
            while not stop.is_set():
                text = statement.format(id=random.randint(1, size))
                took, _ = _setup.timed(conn, text)
                longest[kind] = max(longest.get(kind, 0.0), took)
                sleep(0.002)

    threads = [
        threading.Thread(target=client, args=(kind, statement))
        for kind, statement in _CLIENTS.items()
    ]
    for thread in threads:
        thread.start()
    try:
        yield longest
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _two(values: list[float]) -> str:
    return f"{_setup.median(values):.0f} {max(values):.0f}"
