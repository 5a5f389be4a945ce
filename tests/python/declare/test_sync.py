"""What is declared is put in place without migrations, changed and taken away."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import recovery
from python.declare.conftest import Servers
from sql.jobs import value

#: What SQLAlchemy and Alembic do does not depend on the server.
pytestmark = pytest.mark.majors("newest")

OPEN = "status = 'running'"
CLOSE = {"status": "'failed'"}


def table(name: str, metadata: sa.MetaData, **options: Any) -> sa.Table:
    """A table that is declared; without options it is not."""
    watch = {"recovery": recovery.Watch(**{"open": OPEN, "close": CLOSE, **options})}
    return sa.Table(
        name,
        metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("status", sa.Text),
        sa.Column("tool", sa.Text),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column("tries", sa.Integer),
        info=watch if options else {},
    )


def did(changes: list[recovery.Change]) -> list[tuple[str, str]]:
    return [(one.action, one.relation) for one in changes]


def declare(table: sa.Table, **options: Any) -> None:
    table.info["recovery"] = recovery.Watch(**{"open": OPEN, "close": CLOSE, **options})


@pytest.fixture
def nobody(servers_of: Servers) -> sa.Engine:
    """An engine of the tables' owner."""
    return servers_of.engine(None)


@pytest.fixture
def job(nobody: sa.Engine) -> sa.Table:
    """A table without a declaration."""
    job = table("job", sa.MetaData())
    job.metadata.create_all(nobody)
    return job


def watch_of(conn: psycopg.Connection[Any], name: str = "job") -> Any:
    return value(
        conn, "select to_jsonb(w) from recovery.watch as w where w.relation = %s::regclass", name
    )


def test_attach_keep_and_repair(
    nobody: sa.Engine, job: sa.Table, conn: psycopg.Connection[Any]
) -> None:
    assert recovery.sync(nobody, job.metadata) == []
    declare(job, events="closed", launch_grace="90 seconds", started=job.c.at, kind=job.c.tool)
    [would] = recovery.sync(nobody, job.metadata, dry_run=True)
    assert (would.action, would.name, would.relation) == ("attach", "public.job", "public.job")
    assert watch_of(conn) is None
    assert recovery.sync(nobody, job.metadata) == [would]
    watch = watch_of(conn)
    assert (watch["events"], watch["kind"]) == ("closed", "r.tool")
    declare(job, events="closed", launch_grace="00:01:30", started=job.c.at, kind=job.c.tool)
    assert did(recovery.sync(nobody, job.metadata)) == [("keep", "public.job")]
    assert watch_of(conn)["id"] == watch["id"]


def test_what_is_missing_is_repaired(
    nobody: sa.Engine, job: sa.Table, conn: psycopg.Connection[Any]
) -> None:
    declare(job)
    recovery.sync(nobody, job.metadata)

    def index() -> Any:
        return value(conn, "select to_regclass('recovery_open_' || %s)::text", watch_of(conn)["id"])

    name = index()
    conn.execute(f"drop index {name}")  # type: ignore[arg-type]
    assert did(recovery.sync(nobody, job.metadata, dry_run=True)) == [("keep", "public.job")]
    assert index() is None
    assert did(recovery.sync(nobody, job.metadata)) == [("keep", "public.job")]
    assert index() == name


def test_another_search_path_is_no_change(
    nobody: sa.Engine, job: sa.Table, conn: psycopg.Connection[Any]
) -> None:
    declare(job)
    recovery.sync(nobody, job.metadata)
    path = watch_of(conn)["path"]
    with nobody.begin() as other:
        other.execute(sa.text("set local search_path = public, pg_temp"))
        assert did(recovery.sync(other, job.metadata)) == [("keep", "public.job")]
    assert watch_of(conn)["path"] == path
    declare(job, search_path="public")
    [change] = recovery.sync(nobody, job.metadata, dry_run=True)
    assert (change.action, change.why) == ("alter", "declared otherwise: search_path")


@pytest.mark.parametrize(
    ("before", "after", "options"),
    [
        ({}, {"open": "status in ('running', 'begun')"}, "open"),
        ({}, {"close": {"status": "'crashed'"}}, "close"),
        ({"name": "jobs"}, {}, "name"),
        ({"events": "closed"}, {}, "events"),
        ({"position": 5}, {"position": 100}, "position"),
        (
            {"requeue": {"status": "'queued'"}, "attempts": "tries", "max_attempts": 5},
            {"requeue": {"status": "'queued'"}, "attempts": "tries"},
            "max_attempts",
        ),
        (
            {"requeue": {"status": "'queued'"}, "attempts": "tries"},
            {},
            "attempts, free_reasons, max_attempts, requeue",
        ),
        ({}, {"group": "id", "idle_topics": ["idle"]}, "group, idle_topics"),
        ({"started": "at", "unowned": "1 hour"}, {"started": "at"}, "unowned"),
    ],
)
def test_a_changed_declaration(
    before: dict[str, Any],
    after: dict[str, Any],
    options: str,
    nobody: sa.Engine,
    servers_of: Servers,
    job: sa.Table,
    conn: psycopg.Connection[Any],
) -> None:
    """The watch is altered, what is in flight keeps its owner, and then it is as it was declared."""
    declare(job, **before)
    recovery.sync(nobody, job.metadata)
    with servers_of.session("a") as session:
        session.execute(sa.insert(job).values(status="running"))
        session.commit()
    declare(job, **after)
    [would] = recovery.sync(nobody, job.metadata, dry_run=True)
    assert (would.action, would.why) == ("alter", f"declared otherwise: {options}")
    assert recovery.sync(nobody, job.metadata) == [would]
    assert did(recovery.sync(nobody, job.metadata)) == [("keep", "public.job")]
    assert value(conn, "select server_epoch from job") == servers_of.epochs["a"]
    assert sum(servers_of.crash("a").values()) == 1
    wanted = after.get("close", CLOSE)["status"].strip("'")
    assert value(conn, "select status from job") == ("queued" if "requeue" in after else wanted)


def test_every_option_of_attach_can_be_declared_and_altered() -> None:
    import dataclasses
    import inspect

    def options(function: Any) -> set[str]:
        return set(inspect.signature(function).parameters)

    how = {"conn", "table", "concurrently", "lock_timeout", "patience", "progress"}
    attach, alter = options(recovery.attach), options(recovery.alter)
    watchdog = options(recovery.supervise)
    declared = {field.name for field in dataclasses.fields(recovery.Watch)}
    assert alter == attach
    assert declared == (attach | watchdog) - how


SELDOM: dict[str, Any] = {
    "owner": "r.tool",
    "alive": "r.at is not null",
    "alive_lease": "2 minutes",
    "requeue": {"status": "'queued'"},
    "attempts": "tries",
    "free_reasons": ["shutdown", "evicted"],
    "not_before": "at",
    "backoff": "3 seconds",
    "max_backoff": "1 hour",
}


def test_seldom_options_come_change_and_go(
    nobody: sa.Engine, job: sa.Table, conn: psycopg.Connection[Any]
) -> None:
    declare(job)
    recovery.sync(nobody, job.metadata)
    plain = watch_of(conn)["spec"]
    declare(job, **SELDOM)
    assert did(recovery.sync(nobody, job.metadata)) == [("alter", "public.job")]
    spec = watch_of(conn)["spec"]
    assert {name: spec[name] for name in SELDOM if isinstance(SELDOM[name], (list, dict))} == {
        name: given for name, given in SELDOM.items() if isinstance(given, (list, dict))
    }
    assert did(recovery.sync(nobody, job.metadata)) == [("keep", "public.job")]
    declare(job)
    assert did(recovery.sync(nobody, job.metadata)) == [("alter", "public.job")]
    assert watch_of(conn)["spec"] == plain
    with nobody.begin() as connection:
        recovery.alter(connection, "job", not_before=None, owner="r.tool", alive_lease=None)
    assert watch_of(conn)["spec"] == {**plain, "owner": "r.tool"}


def test_the_watchdog(nobody: sa.Engine, job: sa.Table, conn: psycopg.Connection[Any]) -> None:
    declare(job, started=job.c.at)
    recovery.sync(nobody, job.metadata)
    assert watch_of(conn)["supervised"] is None
    declare(job, started=job.c.at, kind=job.c.tool, timeout="'1 h'::interval")
    [change] = recovery.sync(nobody, job.metadata)
    assert change.why == "declared otherwise: kind, timeout"
    watch = watch_of(conn)
    assert (watch["kind"], watch["timeout"]) == ("r.tool", "'01:00:00'::interval")
    declare(job, started=job.c.at, hold=job.c.tool.is_(None))
    [change] = recovery.sync(nobody, job.metadata)
    assert change.why == "declared otherwise: hold, kind, timeout"
    declare(job, started=job.c.at)
    [change] = recovery.sync(nobody, job.metadata)
    assert change.why == "declared otherwise: hold"
    assert (watch_of(conn)["hold"], watch_of(conn)["supervised"]) == (None, None)
    assert recovery.unsupervise(conn, "job") == "public.job"
    assert did(recovery.sync(nobody, job.metadata)) == [("keep", "public.job")]


def test_the_watchdog_and_the_group_it_needs(
    nobody: sa.Engine, job: sa.Table, conn: psycopg.Connection[Any]
) -> None:
    group = {"group": job.c.tool, "child": job.c.tool, "cancel": "group"}
    for options in ({}, group, {"kind": job.c.tool}, group, {}):
        declare(job, **({"started": job.c.at, **options} if options else {}))
        recovery.sync(nobody, job.metadata)
        assert did(recovery.sync(nobody, job.metadata)) == [("keep", "public.job")]
    assert watch_of(conn)["started"] is None


def test_what_is_not_declared_any_more(nobody: sa.Engine, conn: psycopg.Connection[Any]) -> None:
    metadata = sa.MetaData()
    one, two = table("one", metadata, topic="x"), table("two", metadata, topic="x")
    other = table("other", sa.MetaData(), topic="x")
    for each in (metadata, other.metadata):
        each.create_all(nobody)
        recovery.sync(nobody, each)
    del one.info["recovery"]
    assert did(recovery.sync(nobody, metadata)) == [("keep", "public.two")]
    assert watch_of(conn, "one") is not None
    wanted = [("keep", "public.two"), ("detach", "public.one")]
    assert did(recovery.sync(nobody, metadata, detach=True, dry_run=True)) == wanted
    assert watch_of(conn, "one") is not None
    assert did(recovery.sync(nobody, metadata, detach=True)) == wanted
    assert watch_of(conn, "one") is None
    assert watch_of(conn, "two") is not None
    assert watch_of(conn, "other") is not None, "of no table of this metadata"
    assert two.info["recovery"].topic == "x"


def test_one_transaction(nobody: sa.Engine, conn: psycopg.Connection[Any]) -> None:
    """What can't work takes back the others; a connection's transaction is the caller's."""
    metadata = sa.MetaData()
    good, bad = table("a_good", metadata, topic="x"), table("bad", metadata, open="nonsense")
    metadata.create_all(nobody)
    with pytest.raises(recovery.WatchInvalid, match="nonsense"):
        recovery.sync(nobody, metadata)
    assert watch_of(conn, "a_good") is None
    with nobody.connect() as caller:
        assert did(recovery.sync(caller, [good])) == [("attach", "public.a_good")]
        caller.rollback()
    assert watch_of(conn, "a_good") is None
    declare(bad)
    with nobody.begin() as caller:
        recovery.sync(caller, metadata)
    assert watch_of(conn, "a_good") is not None


def test_a_table_that_is_not_there(nobody: sa.Engine) -> None:
    with pytest.raises(sa.exc.ProgrammingError, match=r'relation "public.job" does not exist'):
        recovery.sync(nobody, table("job", sa.MetaData(), topic="x").metadata)


def test_tenants(nobody: sa.Engine, conn: psycopg.Connection[Any]) -> None:
    """A schema_translate_map says where the tables are; so does a search_path."""
    metadata = sa.MetaData()
    job = table("job", metadata, topic="x")
    step = sa.Table("step", metadata, sa.Column("job_id", sa.Integer, primary_key=True))
    declare(job, only=lambda t: sa.exists().where(step.c.job_id == t.c.id))
    for tenant in ("Tenant 1", "tenant_2"):
        with nobody.begin() as connection:
            connection.execute(sa.schema.CreateSchema(tenant))
        moved = nobody.execution_options(schema_translate_map={None: tenant})
        metadata.create_all(moved)
        assert [one.name for one in recovery.sync(moved, metadata)] == [f"{tenant}.job"]
        assert did(recovery.sync(moved, metadata)) != []
    with nobody.begin() as connection:
        connection.execute(sa.text("set local search_path = tenant_2"))
        assert did(recovery.sync(connection, metadata)) == [("keep", "tenant_2.job")]
    only = dict(
        conn.execute(
            "select name, only_if from recovery.watch where name like '%enant%'"
        ).fetchall()
    )
    assert '"Tenant 1".step' in only["Tenant 1.job"]
    assert "tenant_2.step" in only["tenant_2.job"]


def test_concurrently_needs_autocommit(nobody: sa.Engine, job: sa.Table) -> None:
    declare(job)
    with nobody.connect() as caller:
        with pytest.raises(recovery.NotAutocommit, match="commits as it goes"):
            recovery.sync(caller, job.metadata, concurrently=True)


def test_concurrently(
    nobody: sa.Engine, servers_of: Servers, job: sa.Table, conn: psycopg.Connection[Any]
) -> None:
    """Each step commits: nothing waits for a long one, and what it makes is the same."""
    wanted = [("attach", "public.job"), ("keep", "public.job")]
    declare(job, started=job.c.at, kind=job.c.tool)
    assert [
        did(recovery.sync(nobody, job.metadata, concurrently=True))[0] for _ in wanted
    ] == wanted
    assert watch_of(conn)["kind"] == "r.tool"
    with servers_of.session("a") as session:
        session.execute(sa.insert(job).values(status="begun"))
        session.execute(sa.insert(job).values(status="running"))
        session.commit()
    declare(job, open="status in ('running', 'begun')")
    with nobody.connect().execution_options(isolation_level="AUTOCOMMIT") as caller:
        [change] = recovery.sync(caller, job.metadata, concurrently=True)
    assert change.why == "declared otherwise: kind, open, started"
    assert servers_of.crash("a") == {"public.job": 1}
    del job.info["recovery"]
    changes = recovery.sync(nobody, job.metadata, concurrently=True, detach=True)
    assert did(changes) == [("detach", "public.job")]
    assert watch_of(conn) is None


async def test_with_an_async_engine(
    servers_of: Servers, nobody: sa.Engine, job: sa.Table, conn: psycopg.Connection[Any]
) -> None:
    declare(job, kind=job.c.tool, started=job.c.at)
    for driver in ("psycopg", "asyncpg"):
        engine = create_async_engine(nobody.url.set(drivername=f"postgresql+{driver}"))
        async with engine.begin() as connection:
            changes = await connection.run_sync(recovery.sync, job.metadata)
        await engine.dispose()
        assert did(changes) == [("attach" if driver == "psycopg" else "keep", "public.job")]
    assert watch_of(conn)["kind"] == "r.tool"
