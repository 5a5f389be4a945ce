"""Whatever a DBA has set for the database: our own connections set what they need, and the
application's sessions keep what they have."""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from psycopg.conninfo import make_conninfo

import recovery
from helpers import wait_for
from recovery import calls, schema
from recovery.calls.session import _SETTINGS
from recovery.cli import main as cli
from recovery.cluster import Cluster

Connection = psycopg.Connection[Any]

SETTINGS = [
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("statement_timeout", "50ms"),
    ("lock_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "50ms"),
    ("idle_session_timeout", "50ms"),
    ("transaction_timeout", "50ms"),
    ("datestyle", "German"),
    ("datestyle", "SQL, DMY"),
    ("intervalstyle", "iso_8601"),
    ("intervalstyle", "sql_standard"),
    ("timezone", "Asia/Kathmandu"),
    ("client_encoding", "LATIN1"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("search_path", "nowhere"),
    ("search_path", ""),
    ("quote_all_identifiers", "on"),
    ("standard_conforming_strings", "off"),
    ("row_security", "off"),
]
#: With these the host can't do such work itself; its own statements are PostgreSQL's to refuse.
HINDERS = {"default_transaction_read_only", "statement_timeout", "idle_session_timeout",
           "idle_in_transaction_session_timeout", "transaction_timeout"}  # fmt: skip

ENV = """
import sqlalchemy as sa
from alembic import context

with context.config.attributes["engine"].begin() as connection:
    context.configure(connection=connection, version_table_schema="public")
    context.run_migrations()
"""


def run(
    capsys: pytest.CaptureFixture[str], dsn: str, *lines: str, codes: Collection[int] = (0,)
) -> str:
    """Runs commands in this process, whose end usually closes their connections; what they say."""
    capsys.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        ended = {cli._run(["--dsn", dsn, *line.split()]) for line in lines}
        gc.collect()
    told = capsys.readouterr()
    assert ended <= set(codes), told.err
    return told.out


@pytest.fixture
def owner(cluster: Any, new_database: Callable[..., str], empty_dsn: str) -> Iterator[str]:
    """The owner of the host's tables: no superuser."""
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        name = f"host_{conn.info.dbname}"
        conn.execute(f"create role {name} login password 'x'".encode())
    yield name
    cluster.drop_database(name.removeprefix("host_"))
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        for role in (name, f"recovery_runner_{name}"):
            conn.execute(f"drop role if exists {role}".encode())


def alembic(dsn: str, folder: Path) -> Config:
    """The Alembic of a host, whose connections have what the database says."""
    (folder / "env.py").write_text(ENV)
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", schema.location())
    url = sa.make_url(dsn).set(drivername="postgresql+psycopg")
    config.attributes["engine"] = sa.create_engine(url, poolclass=sa.NullPool)
    return config


def settings(conn: Connection) -> list[Any]:
    """What the session has of all that ours set, and a few more."""
    names = [*_SETTINGS, "search_path", "timezone", "extra_float_digits", "recovery.server_epoch",
             "lc_messages", "work_mem", "enable_seqscan", "application_name", "role"]  # fmt: skip
    return conn.execute(
        "select n, current_setting(n, true) from unnest(%s::text[]) as n order by n", [names]
    ).fetchall()


def tables(conn: Connection, owner: str) -> None:
    for name in ("job", "other"):
        conn.execute(
            f"create table public.{name} (id text primary key, status text,"
            " started timestamptz not null default now(), data bytea, took interval, cost float8)".encode()
        )
        conn.execute(f"alter table public.{name} owner to {owner}".encode())
    conn.execute(f"grant create on schema public to {owner}".encode())
    conn.execute(f"select recovery.permit('{owner}')".encode())


def by_sql(conn: Connection, routine: str) -> tuple[Any, ...]:
    row = conn.execute(f"call recovery.{routine}".encode()).fetchone()
    assert row is not None
    return tuple(row)


ATTACH = b"""select recovery.attach('public.job', $$status = 'running'$$,
 $${"status": "'failed'"}$$)"""
SUPERVISE = b"select recovery.supervise('public.job', p_started => 'started')"
CLOSE = {"status": "'failed'"}


@pytest.mark.parametrize(("name", "to"), SETTINGS, ids=lambda word: word.replace(" ", "_"))
def test_a_setting_of_the_database(
    empty_dsn: str,
    owner: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    to: str,
) -> None:
    """Each step in one database: install, attach, serve, sweep, status, listen, detach, remove."""
    dsn = empty_dsn
    with psycopg.connect(dsn, autocommit=True) as dba:
        if dba.execute("select current_setting(%s, true)", [name]).fetchone() == (None,):
            pytest.skip(f"no {name} here")
        value = to if "," in to else f"'{to}'"
        database = f"alter database {dba.info.dbname}"
        on, off = f"{database} set {name} = {value}".encode(), f"{database} reset {name}".encode()
        dba.execute(on)
        # A migration of the host's own may wait longer for a lock than 1 ms.
        if name not in {*HINDERS, "lock_timeout"}:
            config = alembic(dsn, tmp_path)
            command.upgrade(config, "heads")
            command.downgrade(config, "base")
        run(capsys, dsn, "migrate upgrade")
        schema.check(dsn)

        tables(dba, owner)
        dba.execute(off if name in HINDERS else on)
        with psycopg.connect(dsn, user=owner, password="x", autocommit=True) as host:
            before = settings(host)
            host.execute(ATTACH)
            host.execute(SUPERVISE)
            recovery.attach(host, "public.other", open="status = 'running'", close=CLOSE)
            recovery.supervise(host, "public.other", started="started")
            assert settings(host) == before
        dba.execute(on)

        dead = recovery.boot(dsn, "api")
        dba.execute(
            "insert into public.job (id, status, data, took, cost, server_epoch)"
            " values ('k', 'running', %s, '1 day', 0.1, %s)",
            (b"\xff\x00", dead.epoch),
        )
        with recovery.listen(dsn, after=0) as bus, bus.subscribe(kind="closed") as events:
            with recovery.serve(dsn, "api", sweep=0.2) as server:
                assert server.report.closed == {"public.job": 1}
                assert events.get(10).key == "k"
                server.heartbeat()
                server.sweep()
                out = run(capsys, dsn, "sweep", "status", "status --json",
                          "config set tool_timeout 5min", "config unset tool_timeout")  # fmt: skip
                assert '"state": "live"' in out
                told = run(capsys, dsn, "doctor --json", codes=(0, 1))
                assert all(found["code"] in ("login-superuser", "sweep-missing")
                           for found in json.loads(told)["findings"]
                           if found["severity"] != "note" and found["code"] != "server-superuser"), told  # fmt: skip
            assert server.failures == {"heartbeat": 0, "sweep": 0}
        assert dba.execute("select status from public.job").fetchone() == ("failed",)

        with psycopg.connect(dsn, autocommit=True) as host:
            if name in HINDERS - {"default_transaction_read_only"}:
                host.execute(f"set {name} = 0".encode())
            before = settings(host)
            old = by_sql(host, "boot('sql')")
            dba.execute(
                "insert into public.job (id, status, server_epoch) values ('m', 'running', %s)",
                (old[0],),
            )
            new = by_sql(host, "boot('sql')")
            assert new[2]["closed"] == {"public.job": 1}
            by_sql(host, "sweep()")
            by_sql(host, f"shutdown({new[0]}, '{new[1]}')")
            live = "select count(*) from recovery.server_status where state = 'live'"
            assert host.execute(live).fetchone() == (0,)
            assert settings(host) == before

        dba.execute(off if name in HINDERS else on)
        with psycopg.connect(dsn, user=owner, password="x", autocommit=True) as host:
            before = settings(host)
            recovery.detach(host, "public.other")
            host.execute("select recovery.detach('public.job')")
            assert settings(host) == before
        dba.execute(on)
        schema.downgrade(dsn)
        assert dba.execute("select to_regnamespace('recovery')").fetchone() == (None,)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding(empty_dsn: str, encoding: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        name = f"{conn.info.dbname}_{encoding.lower()}"
        conn.execute(
            f"create database {name} template template0 encoding '{encoding}' lc_collate 'C' lc_ctype 'C'".encode()
        )
    other = empty_dsn.replace(empty_dsn.partition("?")[0].rpartition("/")[2], name)
    try:
        schema.upgrade(other)
        with psycopg.connect(other, autocommit=True, client_encoding="utf8") as conn:
            conn.execute("create table job (id text primary key, status text)")
            recovery.attach(conn, "job", open="status = 'running'", close={"status": "'failed'"})
            dead = recovery.boot(other, "api")
            conn.execute("insert into job values ('é', 'running', %s)", (dead.epoch,))
        with recovery.listen(other, after=0) as bus, bus.subscribe(kind="closed") as events:
            with recovery.serve(other, "api") as server:
                assert server.report.closed == {"public.job": 1}
                assert events.get(10).key == "é"
        schema.downgrade(other)
    finally:
        with psycopg.connect(empty_dsn, autocommit=True) as conn:
            conn.execute(f"drop database {name} with (force)".encode())


#: Of a hot standby: refused, with an error that says what it is.
WRITES: dict[str, Callable[[str, Connection], Any]] = {
    "boot": lambda dsn, conn: recovery.boot(dsn, "api-1"),
    "serve": lambda dsn, conn: recovery.serve(dsn, "api-1").__enter__(),
    "consume": lambda dsn, conn: recovery.consume(dsn, "mailer").__enter__(),
    "attach": lambda dsn, conn: recovery.attach(
        conn, "public.other", open="status = 'running'", close=CLOSE
    ),
    "supervise": lambda dsn, conn: recovery.supervise(conn, "public.job", started="started"),
    "detach": lambda dsn, conn: recovery.detach(conn, "public.job"),
    "sweep": lambda dsn, conn: calls.run(conn, calls.closing.sweep()),
    "evict": lambda dsn, conn: calls.run(conn, calls.server.evict("api")),
    "downgrade": lambda dsn, conn: schema.downgrade(dsn),
}
COMMANDS = ["boot api-1", "sweep", "evict api", "consumers create a", "migrate downgrade",
            "config set tool_timeout 5min", "close 1 --reason told"]  # fmt: skip


def test_a_hot_standby_says_so(cluster: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with Cluster(cluster.major) as primary:
        dsn = primary.create_database("app")
        schema.upgrade(dsn)
        with psycopg.connect(dsn, autocommit=True) as conn:
            tables(conn, conn.info.user)
            conn.execute(ATTACH)
            server = recovery.boot(dsn, "api")
            conn.execute(
                "insert into job (id, status, server_epoch) values ('1', 'running', %s)",
                (server.epoch,),
            )
            (written,) = conn.execute("select pg_current_wal_lsn()::text").fetchone() or ("",)
        replica = primary.replica("standby").dsn("app")
        with psycopg.connect(replica, autocommit=True) as conn:
            caught_up = "select pg_last_wal_replay_lsn() >= %s::pg_lsn"
            wait_for(lambda: conn.execute(caught_up, [written]).fetchone() == (True,))
            for step in WRITES.values():
                with pytest.raises(recovery.ConnectionFailed, match="is a hot standby"):
                    step(replica, conn)
            beat = calls.server.heartbeat(server.epoch, server.token)
            with pytest.raises(recovery.ConnectionFailed, match="is a hot standby"):
                calls.run(conn, beat)
        for line in COMMANDS:
            told = run(capsys, replica, line, codes=[3])
            assert told == ""
        # What only looks works.
        schema.check(replica)
        schema.upgrade(replica)
        out = run(capsys, replica, "status", "status --json", "boot api --dry-run",
                  "sweep --dry-run", "migrate upgrade", "consumers", "events", "events --after 0")  # fmt: skip
        assert '"open": 1' in out
        assert "superseded  public.job  1" in out
        assert out.count("opened    public.job  1") == 2
        # Events may be read there, by polling, and known to be settled.
        with recovery.listen(replica, after=0, poll=0.1) as bus, bus.subscribe() as events:
            assert events.get(10).kind == "opened"
            with psycopg.connect(dsn, autocommit=True) as conn:
                conn.execute("update job set status = 'done'")
            assert events.get(10).kind == "closed"
            with psycopg.connect(replica, autocommit=True) as conn:
                read = conn.execute("select kind, settled from recovery.read()").fetchall()
            assert read == [("opened", True), ("closed", True)]
        assert "a standby: servers, sweeps and consumers need the primary" in run(
            capsys, replica, "doctor", codes=[1]
        )


def test_a_read_only_role_of_the_application(empty_dsn: str, owner: str) -> None:
    """Servers say for each transaction what they need; what the host calls itself is told why not."""
    dsn = empty_dsn
    schema.upgrade(dsn)
    with psycopg.connect(dsn, autocommit=True) as dba:
        tables(dba, owner)
        dba.execute(f"grant recovery_server to {owner}".encode())
        dba.execute(f"alter role {owner} set default_transaction_read_only = on".encode())
        dba.execute(ATTACH)
        with psycopg.connect(dsn, user=owner, password="x", autocommit=True) as host:
            first = calls.run(host, calls.server.boot("api", lease=timedelta(seconds=15)))
            dba.execute(
                "insert into job (id, status, server_epoch) values ('1', 'running', %s)",
                (first.epoch,),
            )
            second = calls.run(host, calls.server.boot("api", lease=timedelta(seconds=15)))
            assert second.report.closed == {"public.job": 1}
            calls.run(host, calls.closing.sweep())
            refused: list[calls.Call[Any]] = [
                calls.server.heartbeat(second.epoch, second.token),
                calls.watch.attach("public.other", "status = 'running'", CLOSE),
                calls.watchdog.supervise("public.job", started="started"),
                calls.watch.detach("public.job"),
            ]
            for call in refused:
                with pytest.raises(
                    recovery.ConnectionFailed, match="default_transaction_read_only"
                ) as caught:
                    calls.run(host, call)
                assert getattr(caught.value.__cause__, "sqlstate", None) == "25006"
            calls.run(host, calls.server.shutdown(second.epoch, second.token))
        login = make_conninfo(dsn, user=owner, password="x")
        with recovery.serve(login, "api") as server:
            server.heartbeat()
