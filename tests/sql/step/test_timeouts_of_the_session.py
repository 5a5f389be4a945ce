"""Timeouts that a DBA has set, and a caller that is not our Python: refused before anything changed, or completed."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from helpers import wait_for, wait_for_lock
from sql.jobs import (
    Connection,
    add,
    attach,
    boot,
    in_background,
    lapse,
    refused,
    shutdown,
    statuses,
    sweep,
    value,
)

#: Each of them ends or fails a statement, a transaction or a session of whoever does not expect it.
HARMLESS = [
    ("lock_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "50ms"),
    ("idle_session_timeout", "50s"),
    ("transaction_timeout", "300ms"),
    ("statement_timeout", "1min"),
]


def set_for_database(conn: Connection, name: str, to: str) -> None:
    if value(conn, "select count(*) from pg_settings where name = %s", name) == 0:
        pytest.skip(f"no {name} before PostgreSQL 17")
    conn.execute(f"alter database {conn.info.dbname} set {name} = '{to}'".encode())


def slow(conn: Connection, seconds: float) -> None:
    """Each closing takes that long."""
    conn.execute(
        "create function app.dawdle() returns trigger language plpgsql as"
        f" 'begin perform pg_sleep({seconds}); return new; end'".encode()
    )
    conn.execute(
        "create trigger dawdle before update on app.job for each row execute function app.dawdle()"
    )


@pytest.mark.parametrize(("name", "to"), HARMLESS)
def test_timeouts_that_do_not_matter(
    jobs: Connection, connect: Callable[..., Connection], name: str, to: str
) -> None:
    set_for_database(jobs, name, to)
    slow(jobs, 0.1)
    with connect() as caller:
        old = boot(caller)
        add(caller, old.epoch, 5)
        new = boot(caller)
        assert new.closed == {"app.job": 5}
        add(caller, new.epoch, 5)
        assert shutdown(caller, new.epoch, token=new.token)["closed"] == {"app.job": 5}
        last = boot(caller)
        add(caller, last.epoch, 5)
        lapse(jobs, last.epoch)
        assert sweep(caller)["closed"] == {"app.job": 5}
        # It is the caller's session: what it has is what it keeps.
        assert value(caller, f"show {name}") == to


@pytest.mark.parametrize("procedure", ["boot", "sweep", "shutdown"])
def test_p14_too_short_a_statement_timeout_is_refused_before_anything_changed(
    jobs: Connection, connect: Callable[..., Connection], procedure: str
) -> None:
    server = boot(jobs)
    add(jobs, server.epoch)
    lapse(jobs, server.epoch)
    set_for_database(jobs, "statement_timeout", "100ms")
    before = jobs.execute("select epoch, ended, pending from recovery.server").fetchall()
    with connect() as caller:
        with refused("RC010", "statement_timeout of 100ms is too short"):
            if procedure == "boot":
                boot(caller)
            elif procedure == "sweep":
                sweep(caller)
            else:
                shutdown(caller, server.epoch, token=server.token)
        assert (
            jobs.execute("select epoch, ended, pending from recovery.server").fetchall() == before
        )
        assert statuses(jobs) == {1: "running"}
        # What the hint says.
        caller.execute("set statement_timeout = 0")
        assert boot(caller).closed == {"app.job": 1}


def test_p14_a_boot_that_waits_too_long_has_changed_nothing(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    boot(jobs)
    caller, other = connect(), connect()
    other.execute("begin")
    other.execute("select pg_advisory_xact_lock(hashtextextended('recovery.boot:api', 0))")
    caller.execute("set statement_timeout = '2s'")
    waits = in_background(boot, caller, lock_wait="100 milliseconds")
    wait_for_lock(jobs, caller.info.backend_pid)
    wait_for(lambda: value(jobs, "select clock_timestamp() - query_start > interval '1.2 seconds'"
                                 " from pg_stat_activity where pid = %s",
                           caller.info.backend_pid))  # fmt: skip
    other.execute("rollback")
    error = waits.exception(10)
    assert isinstance(error, psycopg.errors.QueryCanceled)
    assert jobs.execute("select name, ended from recovery.server").fetchall() == [("api", None)]


@pytest.mark.parametrize("procedure", ["boot", "sweep", "shutdown"])
def test_p14_what_does_not_fit_is_left_to_the_next_sweep(
    jobs: Connection, connect: Callable[..., Connection], procedure: str
) -> None:
    server = boot(jobs)
    add(jobs, server.epoch, 30)
    slow(jobs, 0.1)
    caller = connect()
    caller.execute("set statement_timeout = '2s'")
    bounds = {"batch": 5, "lock_wait": "100 milliseconds"}
    if procedure == "boot":
        new = boot(caller, **bounds)
        report = new.report
        assert value(jobs, "select ended from recovery.server where epoch = %s", new.epoch) is None
    elif procedure == "sweep":
        lapse(jobs, server.epoch)
        report = sweep(caller, **bounds)
    else:
        report = shutdown(caller, server.epoch, token=server.token, **bounds)
    assert report["more"] is True
    assert 0 < report["closed"]["app.job"] < 30
    assert list(statuses(jobs).values()).count("failed") == report["closed"]["app.job"]
    report = sweep(jobs)
    assert report["more"] is False
    assert set(statuses(jobs).values()) == {"failed"}


def test_p14_a_batch_that_the_timeout_hits_is_taken_back_alone(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    server = boot(jobs)
    add(jobs, server.epoch, 30)
    slow(jobs, 0.1)
    caller = connect()
    caller.execute("set statement_timeout = '2s'")
    new = boot(caller, lock_wait="100 milliseconds")
    assert new.report["more"] is True
    assert new.closed == {}
    assert set(statuses(jobs).values()) == {"running"}
    sweep(jobs)
    assert set(statuses(jobs).values()) == {"failed"}


def older(conn: Connection, count: int) -> list[int]:
    """Older epochs of api, each with a row; none of them is alive."""
    first = boot(conn).epoch
    conn.execute(
        "insert into recovery.server (epoch, name, lease, grace, booted, heartbeat)"
        " select s.epoch - n * 1000, s.name, s.lease, s.grace, s.booted, s.heartbeat"
        " from recovery.server as s, generate_series(1, %s) as n where s.epoch = %s",
        (count - 1, first),
    )
    conn.execute("insert into app.job (server_epoch) select epoch from recovery.server")
    return [one for (one,) in conn.execute("select epoch from recovery.server order by 1")]


def hold(conn: Connection, epochs: list[int]) -> None:
    """As transactions of writers do: whoever ends these epochs has to wait."""
    conn.execute("begin")
    conn.execute("select pg_advisory_xact_lock_shared(e) from unnest(%s::bigint[]) as e", (epochs,))


def test_p14_many_older_epochs_fit_or_the_error_says_what_to_do(
    jobs: Connection, writer: Connection, connect: Callable[..., Connection]
) -> None:
    """None of them may stay, so a boot that can't end all ends none."""
    epochs = older(jobs, 30)
    hold(writer, epochs)
    caller = connect()
    caller.execute("set statement_timeout = '2s'")
    with refused("57014", "statement_timeout of 2s is over: nothing was changed"):
        boot(caller)
    assert value(jobs, "select count(*) from recovery.server where ended is null") == 30
    assert set(statuses(jobs).values()) == {"running"}
    caller.execute("set statement_timeout = 0")  # what the hint says
    assert boot(caller, lock_wait="1 millisecond").closed == {"app.job": 30}
    writer.execute("rollback")


def test_many_older_epochs_in_a_short_time(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    older(jobs, 300)
    caller = connect()
    caller.execute("set statement_timeout = '20s'")
    new = boot(caller)
    assert len(new.report["ended"]) == 300
    sweep(jobs)
    assert set(statuses(jobs).values()) == {"failed"}


def test_p14_many_dead_servers_end_a_few_at_each_sweep(
    jobs: Connection, writer: Connection, connect: Callable[..., Connection]
) -> None:
    epochs = older(jobs, 20)
    jobs.execute("update recovery.server set process_dead = booted")
    hold(writer, epochs)
    caller = connect()
    caller.execute("set statement_timeout = '2s'")
    before = 20
    while before:
        sweep(caller)
        left = value(jobs, "select count(*) from recovery.server where ended is null")
        assert left < before
        before = left
    writer.execute("rollback")
    sweep(jobs)
    assert set(statuses(jobs).values()) == {"failed"}


def test_an_operator_may_cancel_a_sweep(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    jobs.execute("create table app.other (like app.job including all)")
    attach(jobs, "app.other", family="other")
    server = boot(jobs)
    add(jobs, server.epoch, 2)
    jobs.execute("insert into app.other (server_epoch) values (%s)", (server.epoch,))
    lapse(jobs, server.epoch)
    slow(jobs, 60)
    caller = connect()
    swept = in_background(sweep, caller)
    wait_for(lambda: value(jobs, "select wait_event = 'PgSleep' from pg_stat_activity"
                                 " where pid = %s", caller.info.backend_pid))  # fmt: skip
    jobs.execute("select pg_cancel_backend(%s)", (caller.info.backend_pid,))
    assert swept.result(10)["more"] is True
    assert set(statuses(jobs).values()) == {"running"}


def test_p06_a_lock_on_a_watched_table_does_not_hang_a_boot(
    jobs: Connection, writer: Connection, connect: Callable[..., Connection]
) -> None:
    jobs.execute("create table app.other (like app.job including all)")
    attach(jobs, "app.other")
    server = boot(jobs)
    add(jobs, server.epoch)
    jobs.execute("insert into app.other (server_epoch) values (%s)", (server.epoch,))
    writer.execute("begin")
    writer.execute("lock table app.other in access exclusive mode")
    caller = connect()
    caller.execute("set statement_timeout = '30s'")
    assert boot(caller, lock_wait="100 milliseconds").closed == {"app.job": 1}
    writer.execute("rollback")
    assert sweep(jobs)["closed"] == {"app.other": 1}


@pytest.mark.parametrize("procedure", ["boot", "sweep"])
def test_a_read_only_default_is_no_hindrance(
    jobs: Connection, connect: Callable[..., Connection], procedure: str
) -> None:
    set_for_database(jobs, "default_transaction_read_only", "on")
    caller = connect()
    boot(caller) if procedure == "boot" else sweep(caller)
    assert value(caller, "show default_transaction_read_only") == "on"
