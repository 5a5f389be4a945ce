"""Boot policies for a live holder of the name, drain, eviction."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helpers import wait_for
from sql.death.test_death import move_clock, watch_for
from sql.jobs import (
    Connection,
    add,
    boot,
    events,
    heartbeat,
    in_background,
    refused,
    shutdown,
    statuses,
    sweep,
    value,
    write_as,
)


def test_refuse(jobs: Connection) -> None:
    first = boot(jobs, "api", host="here", pid=1)
    with refused("RC005", f'"api" is held by epoch {first.epoch} \\(host here, pid 1\\)'):
        boot(jobs, "api", policy="refuse")
    assert value(jobs, "select count(*) from recovery.server") == 1
    move_clock(jobs, "1 minute")  # its lease is over
    assert boot(jobs, "api", policy="refuse").report["ended"] == [first.epoch]


def test_refuse_after_shutdown(jobs: Connection) -> None:
    first = boot(jobs, "api")
    shutdown(jobs, first.epoch)
    boot(jobs, "api", policy="refuse")


def test_wait_until_it_shuts_down(jobs: Connection, connect: Callable[..., Connection]) -> None:
    first = boot(jobs, "api")
    other = connect()
    second = in_background(boot, other, "api", policy="wait", wait="20 seconds")
    wait_for(
        lambda: (
            value(
                jobs,
                "select wait_event from pg_stat_activity where pid = %s",
                other.info.backend_pid,
            )
            == "PgSleep"
        )
    )
    shutdown(jobs, first.epoch)
    assert second.result(timeout=20).epoch > first.epoch


def test_wait_has_a_limit(jobs: Connection) -> None:
    first = boot(jobs, "api")
    with refused("RC005"):
        boot(jobs, "api", policy="wait", wait="200 milliseconds")
    heartbeat(jobs, first)


@pytest.mark.parametrize("policy", ["", "kill", None])
def test_unknown_policy(jobs: Connection, policy: str | None) -> None:
    with refused("RC010", "Allowed are supersede, wait and refuse|is not known"):
        boot(jobs, "api", policy=policy)


def test_rolling_deploy_with_one_name(jobs: Connection, connect: Callable[..., Connection]) -> None:
    """The old server drains: what it owns stays its own, the new one takes new work, nothing is stranded."""
    old = boot(jobs, "api")
    done, slow = add(jobs, old.epoch, 2)
    value(jobs, "select recovery.drain(%s, %s, '10 minutes')", old.epoch, old.token)
    new = boot(jobs, "api")
    assert new.report["ended"] == []
    writer = connect()
    write_as(writer, old.epoch)
    with refused("RC011", "is draining: it opens no new work"):
        add(writer, old.epoch)
    writer.execute("update app.job set status = 'done' where id = %s", (done,))
    heartbeat(jobs, old)
    assert statuses(jobs) == {done: "done", slow: "running"}
    shutdown(jobs, old.epoch)
    assert statuses(jobs) == {done: "done", slow: "failed"}
    write_as(writer, new.epoch)
    assert len(add(writer, new.epoch)) == 1


def test_drain_has_a_limit(jobs: Connection) -> None:
    old = boot(jobs, "api", lease="1 hour")
    row = add(jobs, old.epoch)[0]
    value(jobs, "select recovery.drain(%s, %s, '1 minute')", old.epoch, old.token)
    sweep(jobs)
    move_clock(jobs, "2 minutes")
    assert sweep(jobs)["ended"] == [old.epoch]
    assert statuses(jobs) == {row: "failed"}
    assert events(jobs)[-1]["reason"] == "drain_expired"


def test_rolling_deploy_with_unique_names(jobs: Connection) -> None:
    """Replicas without stable names: a new one touches nothing of the old; its lease ends it."""
    old, new = boot(jobs, "api-aaaa"), boot(jobs, "api-bbbb")
    orphan, live = add(jobs, old.epoch)[0], add(jobs, new.epoch)[0]
    assert statuses(jobs) == {orphan: "running", live: "running"}
    assert watch_for(jobs, 40, new) == [old.epoch]
    assert statuses(jobs) == {orphan: "failed", live: "running"}


@pytest.mark.parametrize("by", ["name", "epoch"])
def test_evict(jobs: Connection, by: str) -> None:
    server, other = boot(jobs, "api"), boot(jobs, "other")
    row, live = add(jobs, server.epoch)[0], add(jobs, other.epoch)[0]
    evicted = value(jobs, "select recovery.evict(%s)", "api" if by == "name" else str(server.epoch))
    assert evicted == [server.epoch]
    sweep(jobs)
    assert statuses(jobs) == {row: "failed", live: "running"}
    assert events(jobs)[-1]["reason"] == "evicted"
    with refused("RC001"):
        heartbeat(jobs, server)


def test_evict_nobody(jobs: Connection) -> None:
    with refused("RC002", "no live server is called 'nobody'"):
        jobs.execute("select recovery.evict('nobody')")


def test_evict_with_its_sessions(jobs: Connection, connect: Callable[..., Connection]) -> None:
    server = boot(jobs, "api")
    keeper, busy = connect(), connect(autocommit=False)
    value(keeper, "select recovery.keeper_heartbeat(%s, %s)", server.epoch, server.token)
    write_as(busy, server.epoch)
    add(busy, server.epoch)
    assert value(jobs, "select recovery.evict('api', true)") == [server.epoch]
    pids = [keeper.info.backend_pid, busy.info.backend_pid]
    wait_for(
        lambda: value(jobs, "select count(*) from pg_stat_activity where pid = any(%s)", pids) == 0
    )
    assert statuses(jobs) == {}
