"""Real processes: killed, stopped, cut off; the database restarted under them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest

import recovery
from chaos.actors import Actor, Refused, live, reason, rows, value, warm
from helpers import wait_for
from recovery import schema
from recovery.cluster import Cluster
from sql.jobs import TABLE, Connection, attach, events
from tcp_proxy import Proxy

pytestmark = pytest.mark.majors("newest")

Start = Callable[..., Actor]


def two(start: Start, **options: Any) -> tuple[Actor, Actor]:
    """Two servers that are up; `options` are the first one's."""
    one, other = start("one", **options), start("two")
    return one.ready(), other.ready()


def refused(actor: Actor, what: str, **arguments: Any) -> str:
    with pytest.raises(Refused) as caught:
        actor.do(what, **arguments)
    return caught.value.code


@pytest.mark.parametrize(
    ("host", "why"), [(None, "process_dead"), ("another-host", "connection_lost")]
)
def test_kill_9_without_restart(
    jobs: Connection, dsn: str, start: Start, host: str | None, why: str
) -> None:
    """Two servers on one store, one dies: the other closes its rows, a client hears it."""
    dead, alive = two(start, host=host)
    lost, kept = dead.open(20), alive.open(20)
    warm(jobs)
    with recovery.listen(dsn) as bus, bus.subscribe(kind="closed") as heard:
        dead.kill()
        told = [heard.get(10) for _ in lost]
    assert sorted(int(event.key) for event in told) == lost
    assert {(event.reason, event.server_epoch) for event in told} == {(why, dead.epoch)}
    assert {event.detector for event in told} == {"sweep:two"}
    assert (rows(jobs, lost), rows(jobs, kept)) == ({"failed"}, {"running"})
    assert reason(jobs, dead.epoch) == why
    assert live(jobs) == [alive.epoch]
    assert alive.do("finish", key=kept[0]) == 1
    assert alive.fences() == []


def test_stopped_past_its_lease(jobs: Connection, start: Start) -> None:
    """SIGSTOP: the process is there, its connections too, and it says nothing."""
    stopped, alive = two(start)
    lost, kept = stopped.open(3), alive.open(3)
    assert stopped.do("finish", key=lost[0]) == 1
    warm(jobs)
    stopped.pause()
    wait_for(lambda: rows(jobs, lost[1:]) == {"failed"}, 15)
    assert reason(jobs, stopped.epoch) == "lease_expired"
    before = jobs.execute("select * from app.job order by id").fetchall()
    closed = len(events(jobs))

    stopped.go_on()
    wait_for(lambda: stopped.fences()[-1:] == ["EpochEnded"])
    assert stopped.do("fenced") is True
    overwrite = "update app.job set status = 'done', note = 'late' where id = :id"
    # By the process itself, and by the database for whoever asks nobody.
    assert refused(stopped, "open") == "RC001"
    assert refused(stopped, "open", blind=True) == "RC001"
    assert (
        refused(stopped, "sql", text=overwrite, parameters={"id": lost[1]}, blind=True) == "RC001"
    )
    assert refused(stopped, "finish", key=lost[2], blind=True) == "RC001"
    take = "update app.job set server_epoch = current_setting('recovery.server_epoch')::bigint where id = :id"
    assert refused(stopped, "sql", text=take, parameters={"id": kept[0]}, blind=True) == "RC001"

    assert jobs.execute("select * from app.job order by id").fetchall() == before
    assert len(events(jobs)) == closed
    assert rows(jobs, kept) == {"running"}
    stopped.leave()  # its shutdown has nothing to say
    assert reason(jobs, stopped.epoch) == "lease_expired"


def test_backend_of_the_keeper_terminated(jobs: Connection, start: Start) -> None:
    """It connects again at once: long before the default grace is over."""
    one, other = start("one", grace=3), start("two", grace=3)
    one.ready()
    other.ready()
    kept = one.open()
    warm(jobs)
    keeper = """
        select pid from pg_stat_activity as a
        where a.datname = current_database() and application_name like 'recovery:keeper:one#%%'
          and exists (select from pg_locks as l where l.pid = a.pid and l.locktype = 'advisory')
    """
    for _ in range(3):
        pid = wait_for(lambda: value(jobs, keeper), what="the keeper holds its lock")
        jobs.execute("select pg_terminate_backend(%s)", (pid,))
        wait_for(lambda pid=pid: value(jobs, keeper) not in (pid, None), 3)  # type: ignore[misc]
    swept = "select swept from recovery.observation"
    for _ in range(3):
        seen = value(jobs, swept)
        wait_for(lambda seen=seen: value(jobs, swept) > seen)  # type: ignore[misc]
    assert live(jobs) == sorted([one.epoch, other.epoch])
    assert rows(jobs, kept) == {"running"}
    assert one.fences() == []
    assert one.do("finish", key=kept[0]) == 1


def test_p5_database_restarted_under_two_servers(cluster: Any, actors: Start) -> None:
    """A crash of PostgreSQL: nobody is dead, and the work goes on."""
    with Cluster(cluster.major) as server:
        dsn = server.create_database("store")
        schema.upgrade(dsn)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(TABLE)
            attach(conn)
            one, other = (actors(dsn, name) for name in ("one", "two"))
            kept = one.ready().open(5), other.ready().open(5)
            warm(conn)
        server.restart("immediate")
        with psycopg.connect(dsn, autocommit=True) as conn:
            wait_for(lambda: "restarted" in value(conn, "select because from recovery.observation"))
            beats = "select min(heartbeat) > pg_postmaster_start_time() from recovery.server"
            wait_for(lambda: value(conn, beats))
            # Longer than anything is held back.
            since = "select since + interval '3.5 seconds' < swept from recovery.observation"
            wait_for(lambda: value(conn, since))
            assert live(conn) == sorted([one.epoch, other.epoch])
            assert rows(conn, [*kept[0], *kept[1]]) == {"running"}
            for actor, keys in zip((one, other), kept, strict=True):
                assert actor.fences() == []
                with suppress(Refused):  # the pool's connection did not survive
                    actor.do("sql", text="select 1")
                assert actor.do("finish", key=keys[0]) == 1
                assert actor.open()
            other.leave()
            one.leave()


def test_half_open_link(jobs: Connection, dsn: str, actors: Start, start: Start) -> None:
    """No byte passes any more, and nothing says so: it demotes itself, the other one ends it."""
    with Proxy(dsn) as proxy:
        one, other = actors(proxy.dsn, "one"), start("two")
        lost, kept = one.ready().open(2), other.ready().open(2)
        warm(jobs)
        proxy.freeze()
        wait_for(lambda: one.fences() == ["LeaseLapsed"])
        assert one.do("fenced") is True
        assert refused(one, "open") == "LeaseLapsed"  # at once, although no answer would come
        wait_for(lambda: rows(jobs, lost) == {"failed"})
        assert reason(jobs, one.epoch) == "lease_expired"
        assert rows(jobs, kept) == {"running"}

        proxy.thaw()
        wait_for(lambda: one.fences() == ["LeaseLapsed", "EpochEnded"])
        assert refused(one, "open") == "RC001"
        assert refused(one, "open", blind=True) == "RC001"
        assert refused(one, "finish", key=lost[0], blind=True) == "RC001"
        assert rows(jobs, lost) == {"failed"}
        one.kill()


def test_process_dead_without_a_keeper_lock(jobs: Connection, start: Start) -> None:
    """Nothing but its own host can know: its lease is long, and no lock was ever taken."""
    dead, alive = start("one", lease=600), start("two")
    lost = dead.ready().open()
    alive.ready()
    jobs.execute("update recovery.server set keeper = false where epoch = %s", (dead.epoch,))
    dead.kill()
    wait_for(lambda: rows(jobs, lost) == {"failed"}, 8)
    assert reason(jobs, dead.epoch) == "process_dead"
    assert live(jobs) == [alive.epoch]


@pytest.mark.parametrize("how", ["subprocess", "asyncio"])
def test_fuse(jobs: Connection, start: Start, how: str) -> None:
    """The child lives on while its server dies: the next boot adopts it. Then the child dies, too."""
    first, other = two(start)
    guarded, bare = first.open(2)
    child = first.do("fuse", key=guarded, how=how, ttl=60)
    try:
        first.kill()
        wait_for(lambda: rows(jobs, [bare]) == {"failed"})
        assert reason(jobs, first.epoch) == "process_dead"
        assert rows(jobs, [guarded]) == {"running"}

        again = start("one").ready()
        owner = "select server_epoch from app.job where id = %s"
        assert value(jobs, owner, guarded) == again.epoch
        assert [e["key"] for e in events(jobs) if e["kind"] == "adopted"] == [str(guarded)]
        assert rows(jobs, [guarded]) == {"running"}
    finally:
        os.kill(child, signal.SIGKILL)
    wait_for(lambda: rows(jobs, [guarded]) == {"failed"}, 12)
    last = events(jobs)[-1]
    assert (last["key"], last["reason"], last["kind"]) == (str(guarded), "process_dead", "closed")
    assert live(jobs) == sorted([other.epoch, again.epoch])
    assert value(jobs, "select count(*) from recovery.fuse") == 0


@pytest.mark.parametrize("how", ["subprocess", "asyncio"])
def test_fuse_is_extended_and_cancel(jobs: Connection, start: Start, how: str) -> None:
    """A session much longer than its ttl stays; at its stop the fuse is gone."""
    server = start("one").ready()
    key = server.open()[0]
    child = server.do("fuse", key=key, how=how, ttl=0.9)
    expires = "select expires from recovery.fuse"
    first = value(jobs, expires)
    wait_for(lambda: (value(jobs, expires) - first).total_seconds() > 2)
    assert rows(jobs, [key]) == {"running"}
    if how == "asyncio":
        os.kill(child, signal.SIGKILL)
    else:
        server.do("unfuse")
        os.kill(child, signal.SIGKILL)
    wait_for(lambda: value(jobs, "select count(*) from recovery.fuse") == 0)
    assert server.do("finish", key=key) == 1
