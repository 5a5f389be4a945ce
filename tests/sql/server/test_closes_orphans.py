"""P1, P2: boot closes exactly the orphans of its own name's older epochs."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sql.jobs import (
    Connection,
    add,
    attach,
    boot,
    events,
    kinds,
    last_event,
    shutdown,
    statuses,
    value,
)


def test_p02_orphans_of_an_older_epoch_of_the_name_only(jobs: Connection) -> None:
    dead, other = boot(jobs, "api").epoch, boot(jobs, "worker").epoch
    (orphan,), (live,), (unowned,) = add(jobs, dead), add(jobs, other), add(jobs, None)
    (done,) = add(jobs, dead, status="done")
    booted = boot(jobs, "api")
    assert booted.closed == {"app.job": 1}
    assert booted.report["ended"] == [dead]
    assert statuses(jobs) == {
        orphan: "failed",
        live: "running",
        unowned: "running",
        done: "done",
    }


OWNERS = ["api", "worker", "cron", "stopped", "nobody"]


@settings(
    max_examples=25,
    deadline=timedelta(seconds=30),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(OWNERS), st.sampled_from(["running", "queued", "done"])),
        max_size=40,
    ),
    booting=st.lists(st.sampled_from(["api", "worker"]), min_size=1, max_size=3),
    batch=st.integers(1, 5),
)
def test_p02_any_servers_and_rows(
    jobs: Connection, rows: list[tuple[str, str]], booting: list[str], batch: int
) -> None:
    jobs.execute("delete from app.job where true")
    epochs: dict[str, Any] = {name: boot(jobs, name).epoch for name in OWNERS[:4]}
    shutdown(jobs, epochs["stopped"])
    jobs.execute("alter table app.job disable trigger all")  # a stopped server's late rows
    ids = [add(jobs, epochs.get(owner), status=status)[0] for owner, status in rows]
    jobs.execute("alter table app.job enable trigger all")
    expected = {
        id_: "failed" if owner in booting and status == "running" else status
        for id_, (owner, status) in zip(ids, rows, strict=True)
    }
    before, closed = last_event(jobs), 0
    for name in booting:
        closed += boot(jobs, name, batch=batch).closed.get("app.job", 0)
    assert statuses(jobs) == expected
    assert closed == list(expected.values()).count("failed")
    told = [key for kind, key in kinds(jobs, before) if kind == "closed"]
    assert sorted(map(int, told)) == [id_ for id_ in ids if expected[id_] == "failed"]


def test_the_report_counts_per_watch(jobs: Connection) -> None:
    jobs.execute("create table app.step (id int primary key, status text, error text)")
    attach(jobs, "app.step", name="steps")
    dead = boot(jobs).epoch
    add(jobs, dead, 3)
    jobs.execute("insert into app.step values (1, 'running', null, %s)", (dead,))
    report = boot(jobs).report
    assert report.pop("ms") > 0
    assert report == {
        "more": False,
        "ended": [dead],
        "closed": {"app.job": 3, "steps": 1},
        "adopted": {},
        "failed": {},
        "busy": {},
        "suspected": [],
    }


def test_p08_a_closing_explains_itself(jobs: Connection) -> None:
    dead = boot(jobs).epoch
    (id_,) = add(jobs, dead)
    epoch = boot(jobs).epoch
    closed = events(jobs)[-1]
    assert closed.pop("id") > 0
    assert closed.pop("at") == value(jobs, "select max(at) from recovery.event")
    assert closed == {
        "watch": "app.job",
        "kind": "closed",
        "topic": None,
        "key": str(id_),
        "group_key": None,
        "server_epoch": dead,
        "reason": "superseded",
        "detector": f"boot:{epoch}",
        "old": {"status": "running", "error": None},
        "new": {"status": "failed", "error": "server restart"},
    }


def test_p01_again_changes_nothing(jobs: Connection) -> None:
    add(jobs, boot(jobs).epoch, 3)
    boot(jobs)
    seen, was = last_event(jobs), statuses(jobs)
    for _ in range(3):
        assert boot(jobs).closed == {}
    assert (last_event(jobs), statuses(jobs)) == (seen, was)


@pytest.mark.parametrize("batch", [7, 100_000])
def test_five_thousand_orphans_with_a_composite_key(conn: Connection, batch: int) -> None:
    conn.execute(
        "create schema app; create table app.job"
        " (tenant text, n int, status text, error text, primary key (tenant, n))"
    )
    attach(conn)
    dead, live = boot(conn, "dead").epoch, boot(conn, "live").epoch
    conn.execute(
        "insert into app.job (tenant, n, status, server_epoch)"
        " select chr(97 + n %% 13), n, 'running', case n %% 2 when 0 then %s else %s end::bigint"
        " from generate_series(1, 10000) as n",
        (dead, live),
    )
    assert boot(conn, "dead", batch=batch).closed == {"app.job": 5000}
    assert conn.execute("select status, n % 2, count(*) from app.job group by 1, 2").fetchall() in (
        [("failed", 0, 5000), ("running", 1, 5000)],
        [("running", 1, 5000), ("failed", 0, 5000)],
    )


def test_p01_a_group_expression_that_is_null(app: Connection) -> None:
    attach(app, group="note")
    dead = boot(app).epoch
    app.execute("set statement_timeout = '5s'")
    app.execute(
        "insert into app.job (note, server_epoch) select nullif(n %% 3, 0)::text, %s"
        " from generate_series(1, 9) as n",
        (dead,),
    )
    assert boot(app, batch=2).closed == {"app.job": 9}


def test_p01_only_null_groups(app: Connection) -> None:
    attach(app, group="note")
    dead = boot(app).epoch
    add(app, dead, 3)
    app.execute("set statement_timeout = '5s'")
    assert boot(app).closed == {"app.job": 3}


def test_random_servers_never_share_an_epoch(jobs: Connection) -> None:
    names = [random.choice(["a", "b", "c"]) for _ in range(20)]
    epochs = [boot(jobs, name).epoch for name in names]
    assert epochs == sorted(set(epochs))


def test_p05_the_epoch_is_at_least_the_microsecond_clock(jobs: Connection) -> None:
    before = value(jobs, "select (date_part('epoch', clock_timestamp()) * 1000000)::bigint")
    assert boot(jobs).epoch >= before
    jobs.execute("update recovery.server set epoch = %s", (2 * before,))
    assert 2 * before < boot(jobs).epoch <= 2 * before + 1000
