"""Upgrade, downgrade, offline SQL, and what is said when something is in the way."""

from __future__ import annotations

import asyncio
import io
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from recovery import _version, errors, schema
from schema.catalog import catalog

HEADS = ["agent_store_0001", "recovery_0001"]


def url(dsn: str, driver: str = "psycopg") -> sa.URL:
    return sa.make_url(dsn).set(drivername=f"postgresql+{driver}")


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        for statement in statements:
            conn.execute(statement.encode())


def dump(cluster: object, dsn: str) -> str | None:
    """What pg_dump says about the schema, where there is a pg_dump of this major."""
    binaries = getattr(cluster, "binaries", None)
    program = binaries and binaries.bin_dir / "pg_dump"
    if not program or not program.is_file():
        return None
    command = [program, "--schema-only", dsn]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # The key of \restrict is drawn anew each time.
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)


def run_script(dsn: str, script: str) -> None:
    if psql := shutil.which("psql"):
        command = [psql, "-X", "-q", "-o", os.devnull, "-v", "ON_ERROR_STOP=1", "-d", dsn]
        env = {**os.environ, "PGOPTIONS": "-c client_min_messages=warning"}
        subprocess.run(command, input=script, text=True, check=True, env=env)
    else:
        run_statements(dsn, script)


def run_statements(dsn: str, script: str) -> None:
    """Without psql; also shows that nothing in the script is psql's own."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(script.encode())


def offline(step: Callable[..., None], *revision: str) -> str:
    out = io.StringIO()
    step(None, *revision, sql=True, output=out)
    return out.getvalue()


HOST = """
create table public.job (id bigint primary key, status text not null, "Group" text);
create table public.own (id uuid primary key, status text, server_epoch bigint default 7);
comment on table public.job is 'A host''s table.';
create index job_status on public.job (status);
create function public.stamp() returns trigger language plpgsql as
    'begin return new; end';
create trigger a_stamp before update on public.job for each row execute function public.stamp();
insert into public.job select n, case when n % 2 = 0 then 'running' else 'done' end from
    generate_series(1, 10) n;
"""
ATTACH = """
select recovery.attach('public.job', $$status = 'running'$$, '{"status": "''failed''"}');
select recovery.attach('public.own', $$status = 'running'$$, '{"status": "''failed''"}');
"""


def test_p12_downgrade_leaves_no_trace(cluster: object, empty_dsn: str) -> None:
    execute(empty_dsn, HOST)
    before, dumped = catalog(empty_dsn), dump(cluster, empty_dsn)
    schema.upgrade(empty_dsn)
    execute(empty_dsn, ATTACH)
    execute(empty_dsn, "insert into public.job (id, status) values (11, 'running')")
    assert catalog(empty_dsn) != before
    schema.downgrade(empty_dsn)
    after = catalog(empty_dsn)
    for kind in before:
        assert after[kind] == before[kind], kind
    assert dump(cluster, empty_dsn) == dumped
    # Nor anything in the way of the next time.
    schema.upgrade(empty_dsn)
    execute(empty_dsn, ATTACH)
    schema.downgrade(empty_dsn)
    assert dump(cluster, empty_dsn) == dumped


def test_upgrade_again_does_nothing(dsn: str) -> None:
    def transactions() -> tuple[object, ...] | None:
        with psycopg.connect(dsn) as conn:
            query = "select count(*), max(xmin::text::bigint), max(oid) from pg_class"
            return conn.execute(query).fetchone()

    before, there = transactions(), catalog(dsn)
    schema.upgrade(dsn)
    assert transactions() == before
    assert catalog(dsn) == there


def test_downgrade_of_nothing_does_nothing(empty_dsn: str) -> None:
    before = catalog(empty_dsn)
    schema.downgrade(empty_dsn)
    assert catalog(empty_dsn) == before


def test_the_agent_store_alone_can_go_and_come_back(dsn: str) -> None:
    full = catalog(dsn)
    schema.downgrade(dsn, "agent_store@base")
    assert schema.current(dsn)["revisions"] == ["recovery_0001"]
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select count(*) from recovery.watch").fetchone() == (0,)
        assert conn.execute("select to_regnamespace('agent')").fetchone() == (None,)
    schema.upgrade(dsn)
    # The numbers of the watches, and so the generated names, go on.
    again = catalog(dsn)
    assert [len(rows) for rows in again.values()] == [len(rows) for rows in full.values()]


def test_current_and_check(empty_dsn: str) -> None:
    nothing = {"version": None, "managed": None, "revisions": []}
    known = {"code": _version.SCHEMA, "heads": HEADS}
    assert schema.current(empty_dsn) == nothing | known
    with pytest.raises(errors.SchemaMismatch, match=r"has no schema recovery; run `recovery migr"):
        schema.check(empty_dsn)
    schema.upgrade(empty_dsn)
    installed = {"version": _version.SCHEMA, "managed": "recovery"}
    assert schema.current(empty_dsn) == installed | {"revisions": HEADS[:1]} | known
    schema.check(empty_dsn)
    assert schema.heads() == HEADS


@pytest.mark.majors("newest")
@pytest.mark.parametrize(
    ("version", "words"),
    [("0.0.9", "older than .*; run `recovery migrate upgrade`"), ("99.0.0", "newer .*; upgrade")],
)
def test_check_tells_older_from_newer(
    dsn: str, monkeypatch: pytest.MonkeyPatch, version: str, words: str
) -> None:
    body = f"'select ''{version}''::text'"
    execute(
        dsn,
        "create or replace function recovery.version() returns text"
        f" language sql immutable set search_path = pg_catalog, pg_temp as {body}",
    )
    with pytest.raises(errors.SchemaMismatch, match=f"version {version}, {words}"):
        schema.check(dsn)


@pytest.mark.majors("newest")
def test_a_patch_release_does_not_matter(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_version, "SCHEMA", _version.SCHEMA + "7")
    schema.check(dsn)
    monkeypatch.setattr(_version, "SCHEMA", "9.10.0")
    with pytest.raises(errors.SchemaMismatch, match=r"older than 9\.10\.0"):
        schema.check(dsn)


@pytest.mark.majors("newest")
def test_a_database_ahead_of_the_code_is_left_alone(dsn: str) -> None:
    execute(dsn, "update recovery.alembic_version set version_num = 'recovery_9999'")
    for step in (schema.upgrade, schema.downgrade):
        with pytest.raises(errors.SchemaMismatch, match=r"recovery_9999.*; upgrade pg-recovery"):
            step(dsn)


@pytest.mark.majors("newest")
@pytest.mark.parametrize("revision", ["nosuch", "nosuch@head", "a:b", "+7", ""])
def test_an_unknown_revision_is_named(dsn: str, revision: str) -> None:
    before = catalog(dsn)
    with pytest.raises(errors.InvalidArgument, match=re.escape(repr(revision))):
        schema.upgrade(dsn, revision)
    with pytest.raises(errors.InvalidArgument, match=re.escape(repr(revision))):
        schema.upgrade(None, revision, sql=True, output=io.StringIO())
    assert catalog(dsn) == before


@pytest.mark.majors("newest")
def test_a_schema_of_somebody_else_is_left_alone(empty_dsn: str) -> None:
    execute(empty_dsn, "create schema recovery", "create table recovery.mine (id int)")
    before = catalog(empty_dsn)
    for step in (schema.upgrade, schema.downgrade):
        with pytest.raises(errors.SchemaMismatch, match="not by this environment"):
            step(empty_dsn)
    assert catalog(empty_dsn) == before


@pytest.mark.majors("newest")
def test_an_agent_schema_of_somebody_else_is_left_alone(empty_dsn: str) -> None:
    execute(empty_dsn, "create schema agent", "create table agent.mine (id int)")
    before = catalog(empty_dsn)
    with pytest.raises(errors.SchemaMismatch, match=r'"agent" already exists; nothing.*; rename'):
        schema.upgrade(empty_dsn)
    assert catalog(empty_dsn) == before
    schema.upgrade(empty_dsn, "recovery@head")
    schema.downgrade(empty_dsn)
    assert catalog(empty_dsn) == before


@pytest.mark.majors("newest")
@pytest.mark.parametrize("empty", [True, False], ids=["empty", "used"])
def test_a_private_schema_of_somebody_else_is_left_alone(empty_dsn: str, empty: bool) -> None:
    execute(empty_dsn, "create schema recovery_private")
    if not empty:
        execute(empty_dsn, "create table recovery_private.mine (id int)")
    before = catalog(empty_dsn)
    with pytest.raises(errors.SchemaMismatch) as caught:
        schema.upgrade(empty_dsn)
    assert str(caught.value) == (
        'schema "recovery_private" already exists; nothing was changed; rename or drop it'
    )
    assert catalog(empty_dsn) == before
    with pytest.raises(psycopg.errors.DuplicateSchema, match='"recovery_private" already exists'):
        run_statements(empty_dsn, offline(schema.upgrade))
    assert catalog(empty_dsn) == before
    schema.downgrade(empty_dsn)
    with pytest.raises(psycopg.Error):
        run_statements(empty_dsn, offline(schema.downgrade))
    assert catalog(empty_dsn) == before


def test_offline_sql_gives_the_same_catalog(
    cluster: object, new_database: Callable[[], str], dsn: str
) -> None:
    expected = catalog(dsn)
    for run in (run_script, run_statements):
        target = new_database()
        before, empty = dump(cluster, target), catalog(target)
        run(target, offline(schema.upgrade))
        assert catalog(target) == expected
        assert schema.current(target)["revisions"] == HEADS[:1]
        schema.upgrade(target)
        assert catalog(target) == expected
        run(target, offline(schema.downgrade))
        assert dump(cluster, target) == before
        assert catalog(target) == empty
        assert schema.current(target)["version"] is None


@pytest.mark.majors("newest")
def test_offline_ranges(empty_dsn: str, dsn: str) -> None:
    empty = catalog(empty_dsn)
    run_statements(empty_dsn, offline(schema.upgrade, "recovery@head"))
    assert schema.current(empty_dsn)["revisions"] == ["recovery_0001"]
    run_statements(empty_dsn, offline(schema.upgrade, "recovery_0001:heads"))
    assert catalog(empty_dsn) == catalog(dsn)
    for nothing in (
        offline(schema.upgrade, "heads:heads"),
        offline(schema.downgrade, "heads"),
    ):
        run_statements(empty_dsn, nothing)
        assert catalog(empty_dsn) == catalog(dsn)
    run_statements(empty_dsn, offline(schema.downgrade, "agent_store@base"))
    assert schema.current(empty_dsn)["revisions"] == ["recovery_0001"]
    run_statements(empty_dsn, offline(schema.downgrade, "recovery_0001:base"))
    assert schema.current(empty_dsn)["version"] is None
    assert catalog(empty_dsn) == empty


def test_offline_needs_no_database_and_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "/nowhere")
    first = offline(schema.upgrade)
    assert first == offline(schema.upgrade)
    assert first.startswith("BEGIN;")
    assert first.rstrip().endswith("COMMIT;")


def test_offline_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    schema.upgrade(sql=True)
    assert capsys.readouterr().out == offline(schema.upgrade)


def test_every_kind_of_target(dsn: str, empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = catalog(dsn)
    before = catalog(empty_dsn)
    autocommit = sa.create_engine(
        url(empty_dsn), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )
    serializable = sa.create_engine(
        url(empty_dsn), isolation_level="SERIALIZABLE", poolclass=sa.NullPool
    )
    with psycopg.connect(empty_dsn) as given:
        conninfo = given.info.dsn
        monkeypatch.setenv("RECOVERY_DSN", empty_dsn)
        for target in (
            conninfo,
            url(empty_dsn),
            url(empty_dsn).render_as_string(hide_password=False),
            autocommit,
            serializable,
            given,
            None,
        ):
            schema.upgrade(target)
            assert catalog(empty_dsn) == expected
            schema.check(target)
            schema.downgrade(target)
            assert catalog(empty_dsn) == before
    with autocommit.connect() as connection:
        with pytest.raises(errors.InvalidArgument, match="autocommit"):
            schema.upgrade(connection)
    assert catalog(empty_dsn) == before


@pytest.fixture
def engine_of(empty_dsn: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url(empty_dsn))
    yield engine
    engine.dispose()


@pytest.mark.majors("newest")
def test_a_callers_transaction_stays_the_callers(empty_dsn: str, engine_of: sa.Engine) -> None:
    before = catalog(empty_dsn)
    with engine_of.connect() as connection:
        connection.execute(sa.text("create table public.first (id int)"))
        schema.upgrade(connection)
        assert schema.current(connection)["version"] == _version.SCHEMA
        assert connection.in_transaction()
        connection.rollback()
        assert catalog(empty_dsn) == before
        schema.upgrade(connection)  # no transaction is open: its own, committed
        assert not connection.in_transaction()
        assert connection.get_isolation_level() == "READ COMMITTED"
        connection.rollback()
    schema.check(empty_dsn)


def test_a_failure_leaves_nothing_half_done(empty_dsn: str, engine_of: sa.Engine) -> None:
    """The last statements of the second revision fail; the first is not there either."""
    before = catalog(empty_dsn)

    def fail(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "recovery.attach" in statement and "agent.session" in statement:
            raise RuntimeError("the power went off")

    sa.event.listen(engine_of, "before_cursor_execute", fail)
    with pytest.raises(RuntimeError, match="power"):
        schema.upgrade(engine_of)
    assert catalog(empty_dsn) == before
    sa.event.remove(engine_of, "before_cursor_execute", fail)
    schema.upgrade(engine_of)


@pytest.mark.majors("newest")
@pytest.mark.parametrize("processes", [False, True], ids=["threads", "processes"])
def test_servers_that_start_together(empty_dsn: str, dsn: str, processes: bool) -> None:
    failures: list[str] = []

    def run() -> None:
        if processes:
            program = "import sys; from recovery import schema as m; m.upgrade(sys.argv[1])"
            command = [sys.executable, "-W", "error", "-c", program, empty_dsn]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                failures.append(done.stderr)
            return
        try:
            schema.upgrade(empty_dsn)
        except Exception as error:
            failures.append(repr(error))

    workers = [threading.Thread(target=run) for _ in range(2 if processes else 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert catalog(empty_dsn) == catalog(dsn)


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
async def test_from_asyncio_two_at_once(
    new_database: Callable[[], str], dsn: str, driver: str
) -> None:
    """A task that waits for its turn must not stop the loop that the other one needs."""
    if driver != "psycopg":
        pytest.importorskip(driver)
    targets = [new_database(), new_database()]
    empty = catalog(targets[0])

    async def there_and_back(target: str) -> None:
        engine = create_async_engine(url(target, driver), poolclass=sa.NullPool)
        async with engine.connect() as connection:
            await connection.run_sync(schema.upgrade)
            await connection.run_sync(schema.check)
            assert catalog(target) == catalog(dsn)
            await connection.run_sync(schema.downgrade)

    await asyncio.wait_for(asyncio.gather(*map(there_and_back, targets * 2)), 60)
    assert [catalog(target) for target in targets] == [empty, empty]


@pytest.mark.majors("newest")
def test_psycopg2(empty_dsn: str, dsn: str) -> None:
    pytest.importorskip("psycopg2")
    before = catalog(empty_dsn)
    engine = sa.create_engine(url(empty_dsn, "psycopg2"), poolclass=sa.NullPool)
    schema.upgrade(engine)
    assert catalog(empty_dsn) == catalog(dsn)
    schema.downgrade(engine)
    assert catalog(empty_dsn) == before


@pytest.mark.majors("newest")
def test_a_database_that_is_not_there(dsn: str) -> None:
    nowhere = str(psycopg.conninfo.make_conninfo(dsn, dbname="no_such_database"))
    engine = sa.create_engine(url(dsn).set(database="no_such_database"), poolclass=sa.NullPool)
    for target in (nowhere, engine):
        for step in (schema.upgrade, schema.downgrade, schema.check):
            with pytest.raises(errors.ConnectionFailed, match="no_such_database"):
                step(target)
    with pytest.raises(errors.InvalidArgument, match="PostgreSQL"):
        schema.upgrade("mysql+pymysql://localhost/x")
