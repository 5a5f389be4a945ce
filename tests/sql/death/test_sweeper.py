"""One process sweeps for all; others stand by and take over (`recovery.claim_sweep`)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sql.death.test_death import move_clock
from sql.jobs import Booted, Connection, add, boot, refused, shutdown, statuses, sweep, value

Connect = Callable[..., Connection]


def keeper(conn: Connection, name: str, **options: object) -> Booted:
    return boot(conn, name, beat="5 seconds", **options)


def claim(conn: Connection, server: Booted, every: str = "5 s") -> float:
    """Seconds to stand by; 0: sweep."""
    return float(
        value(
            conn,
            "select extract(epoch from o_wait) from recovery.claim_sweep(%s, %s, %s)",
            *(server.epoch, server.token, every),
        )
    )


def test_one_sweeps(jobs: Connection, connect: Connect) -> None:
    first, second = keeper(connect(), "a"), keeper(connect(), "b")
    assert claim(jobs, first) == 0
    sweep(jobs)
    assert 0 < claim(jobs, second) <= 5
    assert claim(jobs, first) == 0


def test_another_when_it_is_late(jobs: Connection, connect: Connect) -> None:
    """By a quarter of its interval: so within two of them."""
    first, second = keeper(connect(), "a"), keeper(connect(), "b")
    claim(jobs, first)
    sweep(jobs)
    move_clock(jobs, "6 s")
    assert 0 < claim(jobs, second) < 0.3
    move_clock(jobs, "0.3 s")
    assert claim(jobs, second) == 0
    sweep(jobs)
    assert claim(jobs, first) > 0  # which comes back


@pytest.mark.parametrize("how", ["shutdown", "connection", "process"])
def test_another_at_once_when_it_is_gone(jobs: Connection, connect: Connect, how: str) -> None:
    old = connect()
    first = keeper(old, "a", host="here", pid=1, process_start="2026-01-01T00:00:00Z")
    second = keeper(jobs, "b")
    claim(jobs, first)
    sweep(jobs)
    assert claim(jobs, second) > 0
    if how == "shutdown":
        shutdown(jobs, first.epoch)
    elif how == "connection":
        old.execute("select pg_advisory_unlock_all()")
    else:
        jobs.execute(
            "select recovery.report_processes('here', '{1}', '{2026-01-01T00:00:00Z}', '{f}')"
        )
    assert claim(jobs, second) == 0


def test_through_a_pooler_only_when_it_is_late(jobs: Connection, connect: Connect) -> None:
    first, second = keeper(jobs, "a", direct=False), keeper(connect(), "b", direct=False)
    claim(jobs, first)
    sweep(jobs)
    assert claim(jobs, second) > 0
    move_clock(jobs, "7 s")
    assert claim(jobs, second) == 0


def test_who_sweeps_more_often_takes_over(jobs: Connection, connect: Connect) -> None:
    first, second = keeper(connect(), "a"), keeper(connect(), "b")
    claim(jobs, first, "1 minute")
    sweep(jobs)
    assert claim(jobs, second, "1 s") == 0
    sweep(jobs)
    assert claim(jobs, first, "1 minute") > 0


def test_who_has_ended_sweeps_for_nobody(jobs: Connection) -> None:
    first = keeper(jobs, "a")
    shutdown(jobs, first.epoch)
    with refused("RC001"):
        claim(jobs, first)
    with refused("RC003"):
        claim(jobs, Booted(keeper(jobs, "a").epoch, first.token, {}))


def test_a_budget_ends_a_sweep_between_two_batches(jobs: Connection) -> None:
    """What is left, the next one takes: nothing is closed twice."""
    first = boot(jobs, "a")
    add(jobs, first.epoch, 1000)
    jobs.execute("update recovery.server set ended = now(), reason = 'evicted'")
    report = sweep(jobs, batch=10, budget="1 ms")
    assert report["more"] is True
    assert 0 < report["closed"]["app.job"] < 1000
    closed = report["closed"]["app.job"]
    while report.get("more"):
        report = sweep(jobs, batch=200, budget="20 ms")
        closed += report["closed"].get("app.job", 0)
    assert closed == 1000
    assert set(statuses(jobs).values()) == {"failed"}


@pytest.mark.parametrize("budget", ["0", "-1 s", "2 days"])
def test_no_such_budget(jobs: Connection, budget: str) -> None:
    with refused("RC010", "budget .* is not allowed"):
        sweep(jobs, budget=budget)


def test_who_stands_by_watches_too(jobs: Connection, connect: Connect) -> None:
    """The death of the one that sweeps is no break in watching: the others judge it at once."""
    old = connect()
    first, second = keeper(old, "a", lease="15 s"), keeper(jobs, "b", lease="15 s")
    lost = add(jobs, first.epoch)
    claim(jobs, first)
    for at in ("0", "20 s", "6 s"):
        move_clock(jobs, at)
        jobs.execute("update recovery.server set heartbeat = recovery._now()")
        sweep(jobs)
    jobs.execute("update recovery.observation set since = recovery._now() - interval '1 minute'")
    old.execute("select pg_advisory_unlock_all()")
    jobs.execute("update recovery.observation set sweeper_every = '7 s'")
    holder = connect()
    holder.execute("select pg_advisory_lock(%s)", (-first.epoch,))  # not found out yet
    move_clock(jobs, "5 s")
    assert claim(jobs, second, "7 s") > 0
    holder.execute("select pg_advisory_unlock_all()")
    move_clock(jobs, "6 s")  # 11 s after the last sweep: more than half a lease
    assert claim(jobs, second, "7 s") == 0
    jobs.execute(
        "update recovery.server set heartbeat = recovery._now() where epoch = %s", (second.epoch,)
    )
    sweep(jobs)
    move_clock(jobs, "6 s")
    report = sweep(jobs)
    assert report["ended"] == [first.epoch]
    assert statuses(jobs)[lost[0]] == "failed"
    assert value(jobs, "select because from recovery.observation") == "first sweep"


def test_a_break_is_one_though_somebody_asks_after_it(jobs: Connection, connect: Connect) -> None:
    """A laptop wakes: the first that asks does not hide that nobody has watched."""
    first, second = keeper(connect(), "a"), keeper(connect(), "b")
    claim(jobs, first)
    sweep(jobs)
    jobs.execute("update recovery.observation set sweeper_every = '1 hour'")
    move_clock(jobs, "30 minutes")
    assert claim(jobs, second, "1 hour") > 0
    sweep(jobs)
    assert "no sweep for" in value(jobs, "select because from recovery.observation")
    assert value(jobs, "select count(*) from recovery.server where ended is null") == 2
