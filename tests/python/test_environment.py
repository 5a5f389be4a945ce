"""Whatever a DBA has set for the database: our own connections set what they need."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from recovery import calls, migrations
from recovery._connect import connect
from recovery._postgres import Cluster

SETTINGS = [
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("statement_timeout", "50ms"),
    ("lock_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "50ms"),
    ("datestyle", "German"),
    ("datestyle", "SQL, DMY"),
    ("intervalstyle", "iso_8601"),
    ("intervalstyle", "sql_standard"),
    ("timezone", "Asia/Kathmandu"),
    ("bytea_output", "escape"),
    ("search_path", "nowhere"),
    ("quote_all_identifiers", "on"),
    ("row_security", "off"),
]


def run(dsn: str, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "recovery.cli", "--dsn", dsn, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("name", "to"), SETTINGS, ids=lambda word: word.replace(" ", "_"))
def test_a_setting_of_the_database(
    dsn: str, conn: psycopg.Connection[Any], name: str, to: str
) -> None:
    database = conn.info.dbname
    conn.execute("create table job (id int primary key, status text)")
    recovery.attach(conn, "public.job", open="status = 'running'", close={"status": "'failed'"})
    conn.execute(f"alter database {database} set {name} = {to if ',' in to else repr(to)}".encode())
    dead = recovery.boot(dsn, "api")
    conn.execute("insert into job values (1, 'running', %s)", (dead.epoch,))
    with recovery.listen(dsn, after=0) as bus, bus.subscribe(kind="closed") as events:
        with recovery.serve(dsn, "api", sweep=0.2) as server:
            assert server.report.closed == {"public.job": 1}
            assert events.get(10).key == "1"
            server.heartbeat()
            server.sweep()
            found = run(dsn, "status", "--json")
            assert [one["state"] for one in found["servers"] if one["reason"] is None] == ["live"]
        assert conn.execute("select status from job").fetchone() == ("failed",)


@pytest.mark.parametrize(("name", "to"), SETTINGS, ids=lambda word: word.replace(" ", "_"))
def test_the_applications_own_connections_keep_theirs(dsn: str, name: str, to: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as mine:
        mine.execute(f"set {name} = {to if ',' in to else repr(to)}".encode())
        before = mine.execute(f"show {name}".encode()).fetchone()
        with connect(dsn, "test") as ours:
            calls.run(ours, calls.version())
        assert mine.execute(f"show {name}".encode()).fetchone() == before


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding(empty_dsn: str, encoding: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        name = f"{conn.info.dbname}_{encoding.lower()}"
        conn.execute(
            f"create database {name} template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'".encode()
        )
    other = empty_dsn.replace(empty_dsn.partition("?")[0].rpartition("/")[2], name)
    try:
        migrations.upgrade(other)
        with psycopg.connect(other, autocommit=True, client_encoding="utf8") as conn:
            conn.execute("create table job (id text primary key, status text)")
            recovery.attach(conn, "job", open="status = 'running'", close={"status": "'failed'"})
            dead = recovery.boot(other, "api")
            conn.execute("insert into job values ('é', 'running', %s)", (dead.epoch,))
        with recovery.listen(other, after=0) as bus, bus.subscribe(kind="closed") as events:
            with recovery.serve(other, "api") as server:
                assert server.report.closed == {"public.job": 1}
                assert events.get(10).key == "é"
        migrations.downgrade(other)
    finally:
        with psycopg.connect(empty_dsn, autocommit=True) as conn:
            conn.execute(f"drop database {name} with (force)".encode())


def test_a_hot_standby_says_so(cluster: Any) -> None:
    with Cluster(cluster.major) as primary:
        migrations.upgrade(primary.create_database("app"))
        replica = primary.replica("standby")
        with psycopg.connect(primary.dsn("app")) as conn:
            (written,) = conn.execute("select pg_current_wal_lsn()::text").fetchone() or ("",)
        with psycopg.connect(replica.dsn("app"), autocommit=True) as conn:
            caught_up = "select pg_last_wal_replay_lsn() >= %s::pg_lsn"
            wait_for(lambda: conn.execute(caught_up, [written]).fetchone() == (True,))
        with pytest.raises(recovery.ConnectionFailed, match="during recovery"):
            recovery.boot(replica.dsn("app"), "api-1")
