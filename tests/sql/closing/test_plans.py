"""Cost follows open rows: the partial index serves every search, whatever the table's size."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sql.jobs import Connection, attach, boot, value

#: Most of it is the catalog, for each of six watches: what they use is looked at, and what their tables are like. It
#: must not grow with the table.
PAGES = 900


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def scans(plan: dict[str, Any], table: str = "job") -> set[str]:
    """How a plan reads a table."""
    return {
        node["Node Type"]
        for node in nodes(plan)
        if node.get("Relation Name", "").startswith(table) and "Scan" in node["Node Type"]
    }


def explain(conn: Connection, statement: str, *, analyze: bool = False) -> dict[str, Any]:
    options = "analyze, buffers, " if analyze else ""
    plan = value(conn, f"explain ({options}format json) {statement}")
    return dict(plan[0]["Plan"])


def buffers(plan: dict[str, Any]) -> int:
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])


def fill(conn: Connection, rows: int, group: str | None = None, open_rows: int = 0) -> int:
    """A large table of finished jobs of an ended epoch, a few of them open. Returns the epoch."""
    conn.execute(
        "create schema app; create table app.job"
        " (id bigint primary key, session text, status text, error text)"
    )
    attach(conn, group=group)
    dead = boot(conn, "dead").epoch
    conn.execute(
        "insert into app.job (id, session, status, server_epoch)"
        " select n, 's' || n %% 1000,"
        "  case when n %% greatest(%s / greatest(%s, 1), 1) = 0 and %s > 0"
        "  then 'running' else 'done' end, %s from generate_series(1, %s) as n",
        (rows, open_rows, open_rows, dead, rows),
    )
    conn.execute("update recovery.server set ended = now(), reason = 'superseded'")
    conn.execute("vacuum analyze app.job")
    return dead


def planned(
    conn: Connection, statement: str, *, analyze: bool = False, **task: Any
) -> dict[str, Any]:
    """The plan of a statement about watched rows, as recovery._run_as_owner has it executed: its one
    parameter is a task, whose fields the planner knows. With `analyze` it runs, too."""
    fields = [
        name
        for (name,) in conn.execute(
            "select attname from pg_attribute where attrelid = 'recovery.task'::regclass"
            " and attnum > 0 order by attnum"
        )
    ]
    assert set(task) <= set(fields)
    conn.execute(
        "create or replace function pg_temp.planned(p_sql text, p_task recovery.task)"
        " returns json language plpgsql as $$ declare v json; begin"
        f" execute 'explain ({'analyze, ' if analyze else ''}format json) ' || p_sql"
        " into v using p_task; return v; end $$"
    )
    plan = value(
        conn,
        "select pg_temp.planned(%s, row(" + ", ".join(["%s"] * len(fields)) + ")::recovery.task)",
        statement,
        *(task.get(name) for name in fields),
    )
    return dict(plan[0]["Plan"])


def close_plan(conn: Connection, scope: str) -> dict[str, Any]:
    """The plan of the closing statement."""
    statement = str(value(conn, "select recovery._close_sql('app.job', %s)", scope))
    dead = value(conn, "select max(epoch) from recovery.server")
    return planned(
        conn,
        statement,
        epoch=dead,
        keys=["s1", "s2"] if scope == "groups" else ["0"],
        bound=["30000"],
        max_rows=2000,
        reason="superseded",
        message="words",
        detector="boot:1",
        at=datetime.now(UTC),
        written=datetime.now(UTC),
        epochs=[dead],
    )


@pytest.mark.parametrize("open_rows", [100, 30_000])
@pytest.mark.parametrize(("group", "scope"), [(None, "range"), ("session", "groups")])
def test_closing_reads_the_table_by_indexes(
    conn: Connection, group: str | None, scope: str, open_rows: int
) -> None:
    """And never by the watchdog's index, which holds every open row of every server."""
    fill(conn, 30_000, group, open_rows)
    conn.execute("select recovery.supervise('app.job', p_started => 'to_timestamp(id)')")
    conn.execute("vacuum analyze app.job")
    for name in ("hashjoin", "mergejoin", "seqscan"):  # as recovery._close_selection has it
        conn.execute(f"set enable_{name} = off")
    plan = close_plan(conn, scope)
    how = scans(plan)
    assert how
    assert how <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan"}
    names = {str(node["Index Name"]) for node in nodes(plan) if "Index Name" in node}
    assert names
    assert not {name for name in names if name.startswith("recovery_started")}


def test_the_search_for_orphans_uses_the_partial_index(conn: Connection) -> None:
    dead = fill(conn, 30_000, open_rows=100)
    plan = explain(
        conn, f"select id from app.job as r where server_epoch = {dead} and status = 'running'"
    )
    index = value(conn, "select 'recovery_open_' || id from recovery.watch where name = 'app.job'")
    assert index in {node.get("Index Name") for node in nodes(plan)}


@pytest.mark.parametrize("rows", [30_000, pytest.param(300_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("group", [None, "session"])
def test_a_boot_without_orphans_reads_a_few_pages(
    conn: Connection, rows: int, group: str | None
) -> None:
    fill(conn, rows, group)
    for routine in (
        "recovery._open_epochs('app.job')",
        "recovery._orphaned_epochs('dead')",
        "recovery.open_work()",
    ):
        explain(conn, f"select * from {routine}", analyze=True)  # fills the caches
        assert buffers(explain(conn, f"select * from {routine}", analyze=True)) < PAGES


def test_the_probe_steps_over_live_rows(conn: Connection) -> None:
    """Many open rows of few owners: the probe reads a few pages for each owner."""
    fill(conn, 30_000, open_rows=10_000)
    plan = explain(conn, "select recovery._open_epochs('app.job')", analyze=True)
    assert buffers(explain(conn, "select recovery._open_epochs('app.job')", analyze=True)) < PAGES
    assert plan


def test_a_live_epochs_rows_do_not_slow_a_boot_down(conn: Connection) -> None:
    fill(conn, 30_000)
    live = boot(conn, "live").epoch
    conn.execute(
        "insert into app.job (id, status, server_epoch)"
        " select 100000 + n, 'running', %s from generate_series(1, 5000) as n",
        (live,),
    )
    conn.execute("vacuum analyze app.job")
    explain(conn, "select * from recovery._orphaned_epochs('dead')", analyze=True)
    plan = explain(conn, "select * from recovery._orphaned_epochs('dead')", analyze=True)
    assert buffers(plan) < PAGES


@pytest.mark.parametrize("rows", [3_000, pytest.param(300_000, marks=pytest.mark.slow)])
def test_the_watchdog_looks_at_what_is_due_not_at_what_is_open(conn: Connection, rows: int) -> None:
    """Open work, none of it due: an index scan that finds nothing, whatever there is."""
    conn.execute(
        "create schema app; create table app.job (id bigint primary key, session text, status text,"
        " error text, started timestamptz not null default clock_timestamp(), moved timestamptz)"
    )
    attach(conn)
    conn.execute(
        "select recovery.supervise('app.job', p_started => 'started', p_activity => 'moved')"
    )
    conn.execute("select recovery.configure('tool_timeout', '10 min')")
    conn.execute(
        "insert into app.job (id, status, server_epoch) select n, 'running', %s from generate_series(1, %s) as n",
        (boot(conn).epoch, rows),
    )
    conn.execute("vacuum analyze app.job")
    index = value(
        conn, "select 'recovery_started_' || id from recovery.watch where name = 'app.job'"
    )
    statement = str(
        value(conn, "select recovery._due_sql(w) from recovery.watch as w where w.name = 'app.job'")
    )
    plan = planned(
        conn,
        statement,
        at=datetime.now(UTC),
        since=datetime(1970, 1, 1, tzinfo=UTC),
        span=timedelta(minutes=10),
    )
    assert index in {node.get("Index Name") for node in nodes(plan)}
    assert "Seq Scan" not in scans(plan)
    explain(conn, "select * from recovery._due_units()", analyze=True)  # fills the caches
    assert buffers(explain(conn, "select * from recovery._due_units()", analyze=True)) < PAGES
    # An index on what began, not on what moves: a row that moves stays HOT.
    assert not value(
        conn,
        "select bool_or(pg_get_indexdef(indexrelid) like '%%moved%%') from pg_index where indrelid = 'app.job'::regclass",
    )


def test_moving_work_stays_hot(conn: Connection) -> None:
    conn.execute(
        "create schema app; create table app.job (id bigint primary key, status text, error text,"
        " started timestamptz not null default clock_timestamp(), moved timestamptz) with (fillfactor = 50)"
    )
    attach(conn)
    conn.execute(
        "select recovery.supervise('app.job', p_started => 'started', p_activity => 'moved')"
    )
    conn.execute(
        "insert into app.job (id, status, server_epoch) values (1, 'running', %s)",
        (boot(conn).epoch,),
    )
    hot = "select n_tup_hot_upd from pg_stat_user_tables where relname = 'job'"
    conn.execute("select pg_stat_force_next_flush()")
    before = value(conn, hot)  # a rehearsal has been here
    for _ in range(20):
        conn.execute("update app.job set moved = clock_timestamp()")
    conn.execute("select pg_stat_force_next_flush()")
    assert value(conn, hot) - before == 20


def test_unowned_work_is_read_by_the_partial_index(conn: Connection) -> None:
    """Every sweep asks; a large table of finished work costs nothing."""
    fill(conn, 30_000)
    conn.execute(
        "insert into app.job (id, status) select 100000 + n, 'running' from generate_series(1, 5) as n"
    )
    conn.execute("vacuum analyze app.job")
    before = counters(conn)
    assert value(conn, "select recovery._unowned_work()") == {"app.job": 5}
    after = counters(conn)
    assert after["seq_scan"] == before["seq_scan"]
    assert after["open_scans"] > before["open_scans"]
    assert after["idx_read"] - before["idx_read"] <= 5


@pytest.mark.parametrize("group", [None, "session"])
@pytest.mark.parametrize("open_rows", [100, 10_000])
def test_evidence_of_the_host_is_asked_of_open_rows(
    conn: Connection, group: str | None, open_rows: int
) -> None:
    """The look at each sweep, the search for rows to adopt, and the closing: by the partial index,
    whatever the table's size; and the evidence is read of open rows only."""
    fill(conn, 30_000, group, open_rows)
    conn.execute("select recovery.detach('app.job')")
    attach(conn, group=group, alive="id % 2 = 0", owner="error")
    conn.execute("vacuum analyze app.job")
    index = value(conn, "select 'recovery_open_' || id from recovery.watch where name = 'app.job'")
    for name in ("hashjoin", "mergejoin", "seqscan"):
        conn.execute(f"set enable_{name} = off")
    look = str(
        value(
            conn, "select recovery._look_sql(w) from recovery.watch as w where w.name = 'app.job'"
        )
    )
    scope = "groups" if group else "range"
    close = str(value(conn, "select recovery._close_sql('app.job', %s, 'lifeless')", scope))
    task = {
        "epochs": [1, 2],
        "key": "app.job",
        "marked": [str(n) for n in range(0, 3000, 300)],
        "at": datetime.now(UTC),
        "written": datetime.now(UTC),
        "reason": "not_alive",
        **({"keys": ["s0", "s300"]} if group else {}),
    }
    for statement in (look, close):
        plan = planned(conn, statement, **task)
        assert index in {node.get("Index Name") for node in nodes(plan)}, statement
        assert "Seq Scan" not in scans(plan)
    before = counters(conn)
    conn.execute("select recovery._look_at_rows()")
    conn.execute("select recovery._adopt_named('sweep:x')")
    after = counters(conn)
    assert after["seq_scan"] == before["seq_scan"]
    assert after["idx_read"] - before["idx_read"] <= 2 * open_rows + 10


@pytest.mark.parametrize("analyzed", [False, True])
def test_the_bound_of_a_batch_of_groups_is_computed_once(conn: Connection, analyzed: bool) -> None:
    """40,000 groups of one row, of which the planner may know nothing: no step of the plan meets a
    row more than a few times."""
    conn.execute(
        "create schema app; create table app.job"
        " (id bigint primary key, session text, status text, error text)"
    )
    attach(conn, group="session")
    dead = boot(conn, "dead").epoch
    conn.execute("alter table app.job set (autovacuum_enabled = off)")
    conn.execute(
        "insert into app.job (id, session, status, server_epoch)"
        " select n, 's' || n, 'running', %s from generate_series(1, 40000) as n",
        (dead,),
    )
    if analyzed:
        conn.execute("analyze app.job")
    conn.execute("update recovery.server set ended = now(), reason = 'superseded'")
    statement = told(
        conn, f"select recovery._next_groups('app.job', {dead}, 'ignore', null, 10000)"
    )
    plan = planned(conn, statement, analyze=True, epoch=dead, max_rows=10_000, at=datetime.now(UTC))
    met = [node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan)]
    assert max(met) <= 40_000, met


def told(conn: Connection, call: str) -> str:
    """The first statement about watched rows that a routine has executed."""
    heard: list[str] = []
    conn.add_notice_handler(lambda said: heard.append(said.message_primary or ""))
    signature = "integer, text, recovery.task, text"
    with conn.transaction(force_rollback=True):
        conn.execute(
            f"alter function recovery._run_as_owner({signature}) rename to run_it".encode()
        )
        conn.execute(
            "create function recovery._run_as_owner(p_runner integer, p_sql text,"
            " p_task recovery.task default null, p_mode text default 'read') returns setof jsonb"
            " language plpgsql as $$ begin raise notice '%', p_sql;"
            " return query select * from recovery.run_it(p_runner, p_sql, p_task, p_mode); end $$"
        )
        conn.execute(call.encode())
    return heard[0]


def counters(conn: Connection) -> dict[str, int]:
    """What was read of app.job since the start: without an index, and by indexes."""
    conn.execute("select pg_stat_force_next_flush()")
    row = conn.execute(
        "select t.seq_scan, i.read, i.open from pg_stat_user_tables as t,"
        " lateral (select sum(s.idx_tup_read) as read,"
        "  sum(s.idx_scan) filter (where s.indexrelname like 'recovery_open_%') as open"
        "  from pg_stat_user_indexes as s where s.relid = t.relid) as i"
        " where t.relid = 'app.job'::regclass"
    ).fetchone()
    assert row is not None
    return dict(zip(("seq_scan", "idx_read", "open_scans"), map(int, row), strict=True))
