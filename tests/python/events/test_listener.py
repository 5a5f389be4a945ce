"""Nothing is lost: late commits, lost connections, dead links, silent writers, restarts."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import recovery
from helpers import wait_for
from recovery.cluster import Cluster

Connect = Callable[..., psycopg.Connection[Any]]


def test_events_of_any_writer_arrive_in_order(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any
) -> None:
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch)  # before: not delivered
    with recovery.listen(dsn) as bus, bus.subscribe() as events:
        (id_,) = jobs(owner.epoch, session="s2")
        conn.execute("update public.job set status = 'done' where id = %s", [id_])
        recovery.boot(dsn, "api-1")
        seen = [events.get(5) for _ in range(3)]
    assert [(e.kind, e.group, e.reason) for e in seen] == [
        ("opened", "s2", None),
        ("closed", "s2", None),
        ("closed", "s1", "superseded"),
    ]
    assert seen[0].key == seen[1].key == str(id_)
    assert seen[2].detector.startswith("boot:")
    assert seen[2].old == {"status": "running", "error": None}
    assert seen[2].new == {"status": "failed", "error": "superseded"}
    assert [e.id for e in seen] == sorted(e.id for e in seen)


def test_events_arrive_over_the_edge_of_a_partition(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any
) -> None:
    """The wake-up is enough: it does not take the next look, a minute later."""
    conn.execute("select setval('recovery.outbox_id_seq', 1999999700)")
    with recovery.listen(dsn, poll=60) as bus, bus.subscribe() as events:
        for number in range(8):
            if number == 6:  # a sweep begins the next partition early
                conn.execute("select setval('recovery.outbox_id_seq', 4000000000)")
            jobs(None)
            assert events.get(5).kind == "opened"


async def test_async(dsn: str, jobs: Any) -> None:
    owner = await recovery.aboot(dsn, "api-1")
    async with recovery.listen(dsn) as bus:
        events = bus.subscribe(kind="closed")
        jobs(owner.epoch, 3)
        await asyncio.to_thread(recovery.boot, dsn, "api-1")
        async with asyncio.timeout(5):
            assert [(await anext(events)).kind for _ in range(3)] == ["closed"] * 3
    assert [event async for event in events] == []  # the end of the block ends the loop


def test_a_transaction_that_commits_late_is_delivered(
    dsn: str, connect: Connect, jobs: Any
) -> None:
    owner = recovery.boot(dsn, "api-1")
    insert = "insert into public.job (server_epoch, session) values (%s, %s)"
    early = connect(autocommit=False)
    early.execute(insert, [owner.epoch, "in flight before"])
    jobs(owner.epoch)
    listener = recovery.Listener(dsn)
    with listener as bus, bus.subscribe() as events:
        late = connect(autocommit=False)
        late.execute(insert, [owner.epoch, "late"])
        undone = connect(autocommit=False)
        undone.execute(insert, [owner.epoch, "undone"])
        jobs(owner.epoch, session="quick")
        assert events.get(5).group == "quick"
        safe = listener.safe_id
        undone.rollback()
        late.commit()
        assert events.get(5).group == "late"
        early.commit()
        first = events.get(5)
        assert first.group == "in flight before"
        assert safe < first.id
        jobs(owner.epoch, session="last")
        last = events.get(5)
        wait_for(lambda: listener.safe_id == last.id + 99)  # what was rolled back is given up


def test_replay_waits_for_the_first_subscriber(dsn: str, jobs: Any) -> None:
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch, 1500)
    with recovery.listen(dsn, after=0) as bus:
        time.sleep(0.2)
        with bus.subscribe(maxsize=5000) as events:
            assert [events.get(5).id for _ in range(1500)] == list(range(100, 150_001, 100))
            jobs(owner.epoch)
            assert events.get(5).id == 150_100


def test_resuming_from_safe_id(dsn: str, jobs: Any) -> None:
    owner = recovery.boot(dsn, "api-1")
    first = recovery.Listener(dsn)
    with first as bus, bus.subscribe() as events:
        jobs(owner.epoch, 3)
        seen = [events.get(5).id for _ in range(3)]
        wait_for(lambda: first.safe_id == seen[-1] + 99)
    jobs(owner.epoch, 2)
    with recovery.listen(dsn, after=first.safe_id) as bus, bus.subscribe() as events:
        assert [events.get(5).id for _ in range(2)] == [seen[-1] + 100, seen[-1] + 200]


def test_an_id_above_all_events_hides_nothing(dsn: str, jobs: Any) -> None:
    """Of a state that a failover has lost: the ids up to it will be given out again."""
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch, 2)
    listener = recovery.Listener(dsn, after=10_000)
    with listener as bus, bus.subscribe() as events:
        assert listener.safe_id == 299
        jobs(owner.epoch)
        assert events.get(5).id == 300


@pytest.mark.parametrize(("timeline", "again"), [(None, False), (1, False), (7, True)])
def test_a_position_of_another_timeline(
    dsn: str, jobs: Any, timeline: int | None, again: bool
) -> None:
    """Ids may have been given out again since it was noted: what stands below comes again."""
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch, 3)
    with recovery.listen(dsn, after=399, timeline=timeline) as bus, bus.subscribe() as events:
        jobs(owner.epoch)
        found = [events.get(5).id for _ in range(4 if again else 1)]
    assert found == ([100, 200, 300, 400] if again else [400])


def test_writers_that_do_not_ring_are_found_by_polling(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any
) -> None:
    owner = recovery.boot(dsn, "api-1")
    conn.execute("set recovery.notify = 'off'")
    with recovery.listen(dsn, poll=0.1) as bus, bus.subscribe() as events:
        time.sleep(0.3)
        jobs(owner.epoch)
        assert events.get(2).kind == "opened"


def test_terminated_backend(dsn: str, conn: psycopg.Connection[Any], jobs: Any) -> None:
    owner = recovery.boot(dsn, "api-1")
    listener = recovery.Listener(dsn)
    with listener as bus, bus.subscribe() as events:
        for round_ in range(3):
            wait_for(lambda: listener.connected)
            killed = conn.execute(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity"
                " where application_name = 'recovery:listener' and datname = current_database()"
            ).fetchone()
            assert killed == (1,)
            jobs(owner.epoch, session=f"r{round_}")
            assert events.get(5).group == f"r{round_}"
            wait_for(lambda round_=round_: listener.failures == round_ + 1)  # type: ignore[misc]


def test_half_open_link(dsn: str, proxy: Any, jobs: Any, caplog: pytest.LogCaptureFixture) -> None:
    """As after a pulled cable: nobody says that the connection is gone."""
    owner = recovery.boot(dsn, "api-1")
    listener = recovery.Listener(proxy.dsn, poll=0.2, patience=0.5)
    with listener as bus, bus.subscribe() as events:
        jobs(owner.epoch, session="before")
        assert events.get(5).group == "before"
        proxy.freeze()
        jobs(owner.epoch, session="meanwhile")
        wait_for(lambda: not listener.connected, 3)
        proxy.cut()
        proxy.thaw()
        assert events.get(10).group == "meanwhile"
    assert "connecting again" in caplog.text


def test_postgres_is_restarted(jobs_on: Any) -> None:
    with Cluster() as cluster:
        insert = jobs_on(cluster.dsn())
        owner = recovery.boot(cluster.dsn(), "api-1")
        with recovery.listen(cluster.dsn()) as bus, bus.subscribe() as events:
            insert(owner.epoch, session="before")
            assert events.get(5).group == "before"
            cluster.restart("immediate")
            insert(owner.epoch, session="after")
            assert events.get(10).group == "after"


@pytest.fixture
def jobs_on() -> Callable[[str], Any]:
    from recovery import calls
    from recovery.schema import upgrade

    def prepare(dsn: str) -> Any:
        upgrade(dsn)
        with psycopg.connect(dsn) as conn:
            conn.execute(
                "create table public.job (id bigint generated always as identity primary key,"
                " session text not null default 's1', status text not null default 'running')"
            )
            attach = calls.watch.attach(
                "public.job", "status = 'running'", {"status": "'failed'"}, group="session"
            )
            calls.run(conn, attach)

        def insert(epoch: int, session: str) -> None:
            with psycopg.connect(dsn) as conn:
                conn.execute(
                    "insert into public.job (server_epoch, session) values (%s, %s)",
                    [epoch, session],
                )

        return insert

    return prepare


def test_nothing_is_lost_under_load_and_disconnections(
    dsn: str, conn: psycopg.Connection[Any], connect: Connect, jobs: Any
) -> None:
    owner = recovery.boot(dsn, "api-1")
    stop = threading.Event()

    def write(seed: int) -> None:
        own = connect(autocommit=False)
        for n in range(10_000):
            if stop.is_set():
                return
            own.execute("insert into public.job (server_epoch) values (%s)", [owner.epoch])
            if (n + seed) % 3 == 0:
                time.sleep(0.003)
            if (n + seed) % 7 == 0:
                own.rollback()
            else:
                own.commit()

    listener = recovery.Listener(dsn)
    with listener as bus, bus.subscribe(maxsize=10**6) as events:
        threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(4):
            time.sleep(0.4)
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'recovery:listener' and datname = current_database()"
            )
        stop.set()
        for thread in threads:
            thread.join()
        rows = conn.execute("select id from recovery.event order by id").fetchall()
        wanted = {row[0] for row in rows}
        assert len(wanted) > 100
        wait_for(lambda: listener.safe_id >= max(wanted))
        seen = [events.get(1).id for _ in wanted]
        assert len(seen) == len(set(seen))
        assert set(seen) == wanted
        with pytest.raises(TimeoutError):
            events.get(0)
    assert listener.failures >= 1  # of four: a busy machine may still be connecting


def test_the_first_connection_fails_clearly(empty_dsn: str) -> None:
    with pytest.raises(recovery.SchemaMismatch):
        recovery.Listener(empty_dsn).start()
    with pytest.raises(recovery.ConnectionFailed), recovery.listen("host=127.0.0.1 port=1"):
        pass


def test_a_listener_needs_no_more_than_its_role(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any
) -> None:
    role = f"hears_{os.getpid()}"
    conn.execute(f"create role {role} login in role recovery_listener")
    try:
        owner = recovery.boot(dsn, "api-1")
        with recovery.listen(make_conninfo(dsn, user=role)) as bus, bus.subscribe() as events:
            jobs(owner.epoch)
            assert events.get(5).kind == "opened"
    finally:
        conn.execute(f"drop role {role}")


def test_wrong_arguments(dsn: str) -> None:
    for options in ({"poll": 0}, {"patience": -1}, {"after": -1}):
        with pytest.raises(recovery.InvalidArgument):
            recovery.listen(dsn, **options)
    with recovery.listen(dsn):
        pass
    listener = recovery.Listener(dsn)
    with listener, pytest.raises(recovery.InvalidArgument, match="started once"):
        listener.start()


def test_without_subscribers_the_end_comes_at_once(dsn: str) -> None:
    begun = time.monotonic()
    with recovery.listen(dsn):
        pass
    assert time.monotonic() - begun < 1
    assert not [t for t in threading.enumerate() if t.name == "recovery-listener"]


def test_a_pooler_is_named(
    dsn: str, jobs: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """LISTEN through a transaction pool: nothing comes; polling does."""
    from recovery import calls

    owner = recovery.boot(dsn, "api-1")
    nothing = calls.Call("select 1", {}, lambda rows: None)
    monkeypatch.setattr(calls.event, "listen", lambda channel="": nothing)
    monkeypatch.setattr("recovery.events.listener._TEST_SECONDS", 0.1)
    with caplog.at_level(logging.WARNING):
        with recovery.listen(dsn, poll=0.1) as bus, bus.subscribe() as events:
            jobs(owner.epoch)
            assert events.get(5).kind == "opened"
    assert "a notification did not come back" in caplog.text


def test_a_fork_leaves_the_parents_listener_alone(dsn: str, jobs: Any) -> None:
    owner = recovery.boot(dsn, "api-1")
    listener = recovery.Listener(dsn)
    with listener as bus, bus.subscribe() as events:
        child = os.fork()
        if child == 0:
            listener.stop()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        jobs(owner.epoch)
        assert events.get(5).kind == "opened"
    assert listener.failures == 0
