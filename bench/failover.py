"""kill -9 of a server that is not started again: when its work is closed, and a client has heard it."""

from __future__ import annotations

import json
import random
import signal
import statistics
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import psycopg

import recovery
from bench import _setup
from bench._setup import Options
from recovery import schema
from recovery.cluster import Cluster

_TABLE = """
    create table public.job (id bigint generated always as identity primary key,
        status text not null default 'running', error text)
"""
_ATTACH = """
    select recovery.attach('public.job', p_open => 'status = ''running''',
        p_close => jsonb_build_object('status', '''failed''', 'error', 'c.message'))
"""
#: Rows that the dying server has in flight.
_OPEN = 100

#: Settings of `serve`, and the median in seconds that is wanted.
_SETTINGS: Mapping[str, tuple[Mapping[str, float], float]] = {
    "fast": ({"lease": 3.0, "grace": 0.5, "sweep": 0.5}, 1.0),
    "default": ({}, 7.0),
}

#: What the survivor knows: it can look for the process, or only miss its connection.
_HOSTS: Mapping[str, str | None] = {"same host": None, "another host": "elsewhere"}

_VICTIM = """
import json, sys, psycopg, recovery
dsn, options, count = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
with recovery.serve(dsn, "victim", listen=False, **options) as server:
    with psycopg.connect(dsn, autocommit=True) as conn:
        server.configure(conn)
        conn.execute("insert into public.job select from generate_series(1, %s)", (count,))
        # Its keeper has its connection: without it nobody could miss it.
        while not conn.execute("select keeper from recovery.server where epoch = %s", (server.epoch,)).fetchone()[0]:
            pass
        print("ready", flush=True)
        sys.stdin.read()
"""


def run(options: Options) -> None:
    """Each setting, with a dead server on the survivor's host and on another."""
    rows: list[list[object]] = []
    with _setup.cluster(options) as server:
        for setting, (given, target) in _SETTINGS.items():
            for where, host in _HOSTS.items():
                took = _measure(server, given, host, options.rounds)
                middle = statistics.median(took)
                rows.append([f"{setting}, {where}", f"{middle:.2f}", f"{max(took):.2f}",
                             f"{target:g}", "yes" if middle <= target else "NO"])  # fmt: skip
                _setup.say(f"  {rows[-1][0]}: {', '.join(f'{t:.2f}' for t in took)}")
        _setup.show(
            f"kill -9 → {_OPEN} rows closed and heard (PostgreSQL {server.major}, {options.rounds} rounds)",
            ["", "median s", "max s", "wanted s", "reached"],
            rows,
        )


def _measure(
    server: Cluster, given: Mapping[str, float], host: str | None, rounds: int
) -> list[float]:
    dsn = server.create_database("failover")
    schema.upgrade(dsn)
    took = []
    with _setup.connect(dsn) as conn:
        conn.execute(_TABLE)
        conn.execute(_ATTACH)
        conn.execute("call recovery.sweep()")  # the first one begins to watch
        with recovery.serve(dsn, "survivor", listen=False, **given):
            with recovery.listen(dsn) as bus, bus.subscribe(kind="closed") as heard:
                for _ in range(rounds):
                    took.append(_round(dsn, conn, heard, given, host))
    server.drop_database("failover")
    return took


def _round(
    dsn: str,
    conn: psycopg.Connection[Any],
    heard: recovery.Subscription,
    given: Mapping[str, float],
    host: str | None,
) -> float:
    options = json.dumps({**given, "host": host})
    with subprocess.Popen(
        [sys.executable, "-c", _VICTIM, dsn, options, str(_OPEN)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1],
    ) as victim:  # fmt: skip
        assert victim.stdout is not None
        assert victim.stdout.readline() == "ready\n"
        # The store has been watched for long: what is held back at its start is not measured.
        conn.execute(
            "update recovery.observation set since = coalesce(since, swept, clock_timestamp()) - interval '1 hour', mass_since = null"
        )
        # The last round ended with a sweep: without this it would always be the same time until the next.
        sleep(random.uniform(0, given.get("sweep", 5.0)))
        start = perf_counter()
        victim.send_signal(signal.SIGKILL)
        for _ in range(_OPEN):
            heard.get(60)
        return perf_counter() - start
