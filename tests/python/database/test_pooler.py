"""A server behind a real PgBouncer, whose server connections come and go."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

import recovery
from helpers import wait_for
from pgbouncer import PgBouncer
from recovery.database import pooler
from recovery.database.connect import connect as own
from recovery.database.pooler import is_shared

WARNING = "through a pooler in transaction mode: dead servers are found by their lease alone"


@pytest.fixture(autouse=True)
def fresh() -> None:
    """What is said once in a process, each test may hear."""
    for once in (pooler.warn, pooler.warn_of_autocommit, pooler._warn_of_timeout):
        once.cache_clear()


def engine_of(dsn: str, **options: Any) -> sa.Engine:
    url = sa.make_url(dsn).set(drivername="postgresql+psycopg")
    return sa.create_engine(url, **options)


def reasons(conn: psycopg.Connection[Any]) -> dict[str, list[str | None]]:
    found: dict[str, list[str | None]] = {}
    for name, reason in conn.execute("select name, reason from recovery.server order by epoch"):
        found.setdefault(name, []).append(reason)
    return found


def locks(conn: psycopg.Connection[Any]) -> list[int]:
    return [row[0] for row in conn.execute("select epoch from recovery.keeper_lock order by 1")]


def beats(conn: psycopg.Connection[Any], server: recovery.Server) -> Any:
    row = conn.execute("select heartbeat from recovery.server where epoch = %s", [server.epoch])
    return row.fetchone()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Ours; as a superuser there is another one up to PostgreSQL 17."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("recovery")
        and record.levelno >= logging.WARNING
        and "superuser" not in record.getMessage()
    ]


def left_behind(dsn: str, clients: int = 4) -> None:
    """Other clients of the pool find nothing of ours on any server connection."""
    held = [psycopg.connect(dsn, prepare_threshold=None) for _ in range(clients)]
    try:
        seen = set()
        for conn in held:  # each holds its own, in a transaction
            row = conn.execute(
                "select pg_backend_pid(), coalesce(current_setting('recovery.server_epoch', true), ''),"
                " current_setting('application_name'), current_setting('default_transaction_isolation'),"
                " current_setting('statement_timeout'), current_setting('lock_timeout'),"
                " current_setting('datestyle'), current_setting('intervalstyle'),"
                " array(select objid from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()),"
                " array(select name from pg_prepared_statements)"
            ).fetchone()
            assert row is not None
            seen.add(row[0])
            assert row[1:] == ("", "", "serializable", "7min", "0", "ISO, MDY", "iso_8601", [], [])
        assert len(seen) == clients
    finally:
        for conn in held:
            conn.close()


@pytest.fixture
def strange(conn: psycopg.Connection[Any]) -> None:
    """Settings of the database by which a leak of ours would show."""
    for setting in (
        "default_transaction_isolation = serializable",
        "statement_timeout = '7min'",
        "intervalstyle = iso_8601",
    ):
        conn.execute(f"alter database {conn.info.dbname} set {setting}".encode())


# In transaction mode


def test_two_servers_through_one_pool(
    dsn: str,
    conn: psycopg.Connection[Any],
    bouncer: Callable[..., PgBouncer],
    jobs: Any,
    states: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = bouncer("transaction")
    engines = [engine_of(pool.dsn) for _ in range(2)]
    options: dict[str, Any] = {"lease": 4, "heartbeat": 0.2, "sweep": 0.1}
    insert = sa.text("insert into public.job (session) values (:name) returning id, server_epoch")
    with (
        recovery.serve(engines[0], "api-1", **options) as one,
        recovery.serve(engines[1], "api-2", **options) as two,
    ):
        opened = one.bus.subscribe(kind="opened")
        servers = (one, engines[0]), (two, engines[1])
        written: dict[int, int] = {}
        for round_ in range(35):
            before = beats(conn, one)
            for server, engine in servers:
                with engine.begin() as connection:
                    row = connection.execute(insert, {"name": f"s{round_}"}).one()
                    assert row[1] == server.epoch
                    written[row[0]] = server.epoch
            pool.recycle()
            wait_for(lambda before=before: beats(conn, one) != before)  # type: ignore[misc]
        assert {opened.get(5).server_epoch for _ in written} == {one.epoch, two.epoch}
        assert locks(conn) == []
        assert not one.fenced
        assert not two.fenced
        assert (one._epoch.direct, two._epoch.direct) == (False, False)
        assert reasons(conn) == {"api-1": [None], "api-2": [None]}
        assert states() == dict.fromkeys(written, ("running", None))
        outsider = psycopg.connect(pool.dsn, prepare_threshold=None)
        outsider.execute("insert into public.job default values")
        row = outsider.execute("select server_epoch from public.job order by id desc").fetchone()
        assert row == (None,)
        outsider.rollback()
        outsider.close()
        said = warnings(caplog)
        assert [WARNING in line for line in said] == [True], said
    assert reasons(conn) == {"api-1": ["shutdown"], "api-2": ["shutdown"]}
    assert set(states().values()) == {("failed", "shutdown")}
    for engine in engines:
        engine.dispose()


def test_nothing_is_left_behind_in_the_pool(
    conn: psycopg.Connection[Any],
    bouncer: Callable[..., PgBouncer],
    jobs: Any,
    strange: None,
) -> None:
    pool = bouncer("transaction", server_lifetime=600, server_idle_timeout=600)
    engine = engine_of(pool.dsn, isolation_level="READ COMMITTED")
    with recovery.serve(engine, "api-1", heartbeat=0.05, sweep=0.05, poll=0.05) as server:
        before = beats(conn, server)
        for _ in range(10):
            with engine.begin() as connection:
                connection.execute(sa.text("insert into public.job default values"))
        wait_for(lambda: conn.execute("select from recovery.sweep_run").fetchall())
        wait_for(lambda: beats(conn, server) != before)
        left_behind(pool.dsn)
    left_behind(pool.dsn)
    engine.dispose()


CHILD = """
import json, sys, time, recovery, sqlalchemy as sa
engine = sa.create_engine(sys.argv[1])
options = {"lease": 2, "heartbeat": 0.3, "sweep": 0.2, **json.loads(sys.argv[3])}
with recovery.serve(engine, sys.argv[2], **options) as server:
    with engine.begin() as conn:
        conn.execute(sa.text("insert into public.job (session) values ('child')"))
    print(server.epoch, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def child() -> Iterator[Callable[..., tuple[subprocess.Popen[str], int]]]:
    """``child(dsn, name, **options)``: a served process with one open job, and its epoch."""
    started: list[subprocess.Popen[str]] = []

    def start(dsn: str, name: str, **options: Any) -> tuple[subprocess.Popen[str], int]:
        url = dsn.replace("postgresql:", "postgresql+psycopg:")
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, url, name, json.dumps(options)],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        return process, int(process.stdout.readline())

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_killed_far_away_its_work_closes_after_the_lease(
    conn: psycopg.Connection[Any], bouncer: Any, jobs: Any, states: Any, child: Any
) -> None:
    pool = bouncer("transaction")
    process, _ = child(pool.dsn, "api-1", host="elsewhere")
    with recovery.serve(pool.dsn, "api-2", lease=2, heartbeat=0.3, sweep=0.1):
        process.kill()
        wait_for(lambda: list(states().values()) == [("failed", "lease_expired")], 8)
    assert reasons(conn) == {"api-1": ["lease_expired"], "api-2": ["shutdown"]}


def test_a_restart_and_siblings(
    conn: psycopg.Connection[Any], bouncer: Any, jobs: Any, states: Any, child: Any
) -> None:
    """On one host the process shows who lives; so it is through a pooler, too."""
    pool = bouncer("transaction")
    first, _ = child(pool.dsn, "api-1")
    second, _ = child(pool.dsn, "api-1")
    assert reasons(conn) == {"api-1": [None, None]}
    first.kill()
    first.wait()
    third, _ = child(pool.dsn, "api-1")
    wait_for(lambda: conn.execute("select reason from recovery.server").fetchone() != (None,))
    assert reasons(conn)["api-1"][1:] == [None, None]
    assert sorted(states().values()) in (
        [("failed", "superseded"), ("running", None), ("running", None)],
        [("failed", "process_dead"), ("running", None), ("running", None)],
    )
    # Elsewhere the lease shows it, since there is no lock.
    with recovery.serve(pool.dsn, "api-1", host="elsewhere", policy="supersede") as fourth:
        assert reasons(conn)["api-1"][1:] == [None, None, None]
        assert fourth.report.closed == {}
    for process in second, third:
        assert process.poll() is None


async def test_lifespan(
    conn: psycopg.Connection[Any], bouncer: Any, jobs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    pool = bouncer("transaction")
    url = sa.make_url(pool.dsn).set(drivername="postgresql+psycopg")
    engine = create_async_engine(url)
    app = Starlette(lifespan=recovery.lifespan(engine, name="api-1", lease=5))
    async with app.router.lifespan_context(app):
        server = app.state.recovery
        for _ in range(25):
            async with engine.begin() as connection:
                await connection.execute(sa.text("insert into public.job default values"))
            pool.recycle()
        owners = conn.execute("select server_epoch, count(*) from public.job group by 1").fetchall()
        assert owners == [(server.epoch, 25)]
    assert reasons(conn) == {"api-1": ["shutdown"]}
    assert len(warnings(caplog)) == 1
    await engine.dispose()


# Round the pooler


def test_direct(
    dsn: str,
    conn: psycopg.Connection[Any],
    bouncer: Any,
    jobs: Any,
    states: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = bouncer("transaction")
    engine = engine_of(pool.dsn)
    with recovery.serve(engine, "api-1", direct=dsn) as server:
        assert server._epoch.direct
        assert locks(conn) == [server.epoch]
        events = server.bus.subscribe(kind="opened")
        for _ in range(25):
            with engine.begin() as connection:
                connection.execute(sa.text("insert into public.job default values"))
            pool.recycle()
            assert events.get(5).server_epoch == server.epoch
        (name,) = conn.execute(
            "select application_name from pg_stat_activity where application_name ~ 'listener'"
        ).fetchall()
        assert name == (f"recovery:listener:api-1#{server.epoch}",)
    assert warnings(caplog) == []
    engine.dispose()


def test_direct_death_is_found_by_the_lock(
    dsn: str, conn: psycopg.Connection[Any], bouncer: Any, jobs: Any, states: Any, child: Any
) -> None:
    """Far away, and long before the lease has run out."""
    pool = bouncer("transaction")
    options = {"lease": 5, "heartbeat": 0.2, "grace": 0.2, "host": "elsewhere", "direct": dsn}
    with recovery.serve(dsn, "api-2", lease=1, sweep=0.05):
        process, epoch = child(pool.dsn, "api-1", **options)
        assert epoch in locks(conn)
        # Nobody is declared dead before a full lease has been watched.
        watched = "select now() - since > interval '5 s' from recovery.observation"
        wait_for(lambda: conn.execute(watched).fetchone() == (True,), 15)
        process.kill()
        wait_for(lambda: list(states().values()) == [("failed", "connection_lost")], 4)
    assert reasons(conn)["api-1"] == ["connection_lost"]


# In session mode


def test_session_mode_is_as_without_a_pooler(
    conn: psycopg.Connection[Any],
    bouncer: Any,
    jobs: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = bouncer("session", size=6)
    engine = engine_of(pool.dsn, pool_size=1)
    with recovery.serve(engine, "api-1", lease=3, heartbeat=0.1, sweep=0.1) as server:
        assert server._epoch.direct
        assert locks(conn) == [server.epoch]
        events = server.bus.subscribe(kind="opened")
        for _ in range(5):
            pool.recycle()
            before = beats(conn, server)
            with engine.connect() as connection:
                connection.execute(sa.text("insert into public.job default values"))
                connection.commit()
                raw = connection.connection.cursor()
                raw.execute("select current_setting('recovery.server_epoch', true)")
                assert raw.fetchone() == (str(server.epoch),)  # of the session
                raw.close()
            engine.dispose()  # the client leaves, so its server connection goes
            wait_for(lambda before=before: beats(conn, server) != before)  # type: ignore[misc]
            assert events.get(5).server_epoch == server.epoch
        assert locks(conn) == [server.epoch]
        assert reasons(conn) == {"api-1": [None]}
    assert warnings(caplog) == []
    engine.dispose()


def test_a_full_pool_holds_no_boot_up(bouncer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from recovery.database import connect as connecting

    pool = bouncer("session", size=1)
    with recovery.serve(pool.dsn, "api-1", listen=False) as server:
        assert server._epoch.direct
        monkeypatch.setattr(connecting, "_PATIENCE", 1.0)
        with pytest.raises(recovery.ConnectionFailed, match="no answer for 1 s"):
            recovery.boot(pool.dsn, "api-2")
        server.heartbeat()


@pytest.mark.parametrize(("size", "turns"), [(1, 0), (2, 1), (4, 0)])
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_the_modes_are_told_apart(bouncer: Any, mode: str, size: int, turns: int) -> None:
    pool = bouncer(mode, size=size, server_round_robin=turns)
    warm = [psycopg.connect(pool.dsn) for _ in range(size)]  # as many server connections
    for client in warm:
        client.execute("select 1")
    for client in warm:
        client.close()
    for _ in range(3):
        with own(pool.dsn, "test") as conn:
            assert is_shared(conn) == (mode == "transaction")
    engine = engine_of(pool.dsn, pool_size=1)
    recovery.boot(pool.dsn, "api-1").bind(engine)
    with engine.connect() as connection:
        raw = connection.connection.cursor()
        raw.execute("select coalesce(current_setting('recovery.server_epoch', true), '') <> ''")
        assert raw.fetchone() == (mode == "session",)
        raw.close()
    engine.dispose()


def test_while_other_clients_use_the_pool(bouncer: Any) -> None:
    pool = bouncer("transaction", size=3, server_lifetime=600)
    stop = threading.Event()

    def busy() -> None:
        with psycopg.connect(pool.dsn, prepare_threshold=None) as client:
            while not stop.is_set():
                client.execute("select pg_sleep(0.002)")
                client.commit()

    threads = [threading.Thread(target=busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(20):
            with own(pool.dsn, "test") as conn:
                assert is_shared(conn)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_without_a_second_client_it_is_careful(bouncer: Any) -> None:
    with own(bouncer("session", max_client_conn=1).dsn, "test") as conn:
        assert is_shared(conn)


def test_statement_mode_is_refused(bouncer: Any) -> None:
    with pytest.raises(recovery.ConnectionFailed, match="statement pooling mode"):
        recovery.boot(bouncer("statement").dsn, "api-1")


def test_no_pooler(dsn: str) -> None:
    with own(dsn, "test") as conn:
        assert not is_shared(conn)


# The lock's loss alone ends nobody


def test_a_server_side_that_is_lost_alone(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, states: Any
) -> None:
    """Before a beat was due, and did not come, the loss of the lock says nothing."""
    with (
        recovery.serve(dsn, "api-1", lease=6, heartbeat=0.5, grace=0.1, sweep=None) as server,
        recovery.serve(dsn, "api-2", lease=6, sweep=0.05),
    ):
        (id_,) = jobs(server.epoch)
        for _ in range(10):
            before = beats(conn, server)
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name like 'recovery:keeper:api-1%'"
            )
            wait_for(lambda before=before: beats(conn, server) != before)  # type: ignore[misc]
        assert states() == {id_: ("running", None)}
        assert reasons(conn)["api-1"] == [None]


def test_a_link_whose_server_side_alone_is_lost(
    conn: psycopg.Connection[Any], proxy: Any, dsn: str, jobs: Any, states: Any
) -> None:
    """The client side stays: it finds out when it beats, in time."""
    with recovery.serve(proxy.dsn, "api-1", lease=9, heartbeat=2, grace=0.1, sweep=None) as server:
        (id_,) = jobs(server.epoch)
        with recovery.serve(dsn, "api-2", lease=9, sweep=0.05):
            proxy.freeze()
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name like 'recovery:keeper:api-1%'"
            )
            wait_for(lambda: locks(conn) != [] and server.epoch not in locks(conn))
            suspected = "select suspected is not null from recovery.server where epoch = %s"
            wait_for(lambda: conn.execute(suspected, [server.epoch]).fetchone() == (True,))
            before = beats(conn, server)
            proxy.thaw()
            wait_for(lambda: beats(conn, server) != before)
            assert states() == {id_: ("running", None)}
            assert reasons(conn)["api-1"] == [None]


# Commands and the rest


def test_the_commands(
    conn: psycopg.Connection[Any], bouncer: Any, jobs: Any, states: Any, strange: None
) -> None:
    """Whatever the server connections say, and nothing of ours stays with them."""
    pool = bouncer("transaction", server_lifetime=600, server_idle_timeout=600)

    def run(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "recovery.cli", "--dsn", pool.dsn, *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        left_behind(pool.dsn)
        return json.loads(done.stdout) if "--json" in words else done.stdout

    epoch = run("boot", "api-1", "--json")["epoch"]
    (id_,) = jobs(epoch)
    assert run("boot", "api-1", "--json")["report"]["closed"] == {"public.job": 1}
    assert states() == {id_: ("failed", "superseded")}
    run("sweep")
    run("config", "set", "tool_timeout", "10 min")
    assert {one["name"] for one in run("status", "--json")["servers"]} == {"api-1"}
    with recovery.listen(pool.dsn, after=0) as bus, bus.subscribe(kind="closed") as events:
        assert events.get(5).key == str(id_)
    left_behind(pool.dsn)
    run("migrate", "downgrade")
    run("migrate", "upgrade")


def test_migrations_with_an_engine_that_has_prepared(empty_dsn: str) -> None:
    from recovery import schema

    with PgBouncer(empty_dsn, "transaction") as pool:
        engine = engine_of(pool.dsn, connect_args={"prepare_threshold": 0})
        for _ in range(2):
            schema.upgrade(engine)
            pool.recycle()
            schema.check(engine)
            schema.downgrade(engine)
        engine.dispose()


def test_attach_and_settings(conn: psycopg.Connection[Any], bouncer: Any, strange: None) -> None:
    pool = bouncer("transaction")
    conn.execute("create table public.task (id int primary key, status text)")
    with psycopg.connect(pool.dsn) as client:
        recovery.attach(
            client, "public.task", open="status = 'running'", close={"status": "'failed'"}
        )
    for _ in range(10):
        recovery.configure(pool.dsn, "tool_timeout", "10 min")
        pool.recycle()
        assert recovery.setting(pool.dsn, "tool_timeout") == "00:10:00"
    with recovery.serve(pool.dsn, "api-1") as server:
        conn.execute("insert into task values (1, 'running', %s)", [server.epoch])
    assert conn.execute("select status from task").fetchone() == ("failed",)


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("default_transaction_isolation", "repeatable read"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_deferrable", "on"),
        ("lock_timeout", "1ms"),
        ("idle_in_transaction_session_timeout", "500ms"),
        ("datestyle", "German"),
        ("intervalstyle", "iso_8601"),
        ("search_path", "nowhere"),
        ("quote_all_identifiers", "on"),
        ("row_security", "off"),
    ],
)
def test_a_setting_of_the_database(
    conn: psycopg.Connection[Any], bouncer: Any, jobs: Any, states: Any, name: str, to: str
) -> None:
    conn.execute(f"alter database {conn.info.dbname} set {name} = '{to}'".encode())
    pool = bouncer("transaction")
    jobs(recovery.boot(pool.dsn, "api-1").epoch)
    with recovery.serve(pool.dsn, "api-1", sweep=0.1, heartbeat=0.1) as server:
        assert server.report.closed == {"public.job": 1}
        events = server.bus.subscribe(kind="opened")
        before = beats(conn, server)
        jobs(server.epoch)
        assert events.get(5).server_epoch == server.epoch
        pool.recycle()
        wait_for(lambda: beats(conn, server) != before)
        wait_for(lambda: conn.execute("select from recovery.sweep_run").fetchall())
        assert server.failures == {"heartbeat": 0, "sweep": 0}
    assert set(states().values()) == {("failed", "superseded"), ("failed", "shutdown")}


def test_a_statement_timeout_is_told(
    conn: psycopg.Connection[Any], bouncer: Any, jobs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    conn.execute(f"alter database {conn.info.dbname} set statement_timeout = '5s'".encode())
    pool = bouncer("transaction")
    for _ in range(2):
        with recovery.serve(pool.dsn, "api-1"):
            pass
    assert caplog.text.count("statement_timeout is 5s") == 1
