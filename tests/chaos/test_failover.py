"""A replica is promoted that never received the last transactions: an older state of the store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

import recovery
from chaos.actors import Actor, Refused, live, reason, rows, value, warm
from helpers import children, wait_for
from recovery import schema
from recovery.calls.event import RECORD
from recovery.cluster import Cluster
from sql.jobs import TABLE, Connection, add, attach, last_event
from sql.jobs import events as events_of
from tcp_proxy import Proxy

pytestmark = pytest.mark.majors("newest")


@pytest.fixture
def pair(cluster: Any) -> Iterator[tuple[Cluster, Cluster]]:
    """A primary with the store, and its replica."""
    with Cluster(cluster.major) as primary:
        dsn = primary.create_database("store")
        schema.upgrade(dsn)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(TABLE)
            attach(conn)
        yield primary, primary.replica("standby")


def cut_off(primary: Connection, replica: Cluster) -> None:
    """The replica has everything until now, and receives nothing more."""
    here = value(primary, "select pg_current_wal_flush_lsn()::text")
    with psycopg.connect(replica.dsn(), autocommit=True) as conn:
        wait_for(lambda: value(conn, "select pg_last_wal_replay_lsn() >= %s::pg_lsn", here))
        conn.execute("alter system set primary_conninfo = ''")
        conn.execute("select pg_reload_conf()")
        wait_for(lambda: value(conn, "select count(*) from pg_stat_wal_receiver") == 0)


def test_failover_to_an_older_state(
    pair: tuple[Cluster, Cluster], actors: Callable[..., Actor]
) -> None:
    primary, replica = pair
    with Proxy(primary.dsn("store")) as proxy:
        names = ("steady", "api", "silent")
        steady, first, silent = started = [
            actors(proxy.dsn, name, lease=4, host="elsewhere" if name == "silent" else None)
            for name in names
        ]
        kept, old, others = (actor.ready().open(2) for actor in started)
        with psycopg.connect(primary.dsn("store"), autocommit=True) as conn:
            warm(conn)
            cut_off(conn, replica)
            # What is lost: another boot of api, which closes what the first one left, and its rows.
            first.kill()
            second = actors(proxy.dsn, "api", lease=4).ready()
            second.open(5)
            assert rows(conn, old) == {"failed"}
        silent.kill()
        primary.kill()
        replica.promote()
        proxy.aim(replica.dsn("store"))

        with psycopg.connect(replica.dsn("store"), autocommit=True) as conn:
            promoted = value(conn, "select clock_timestamp()")
            wait_for(lambda: second.fences()[-1:] == ["EpochUnknown"], 20)
            assert second.do("fenced") is True
            assert refusal(second) == refusal(second, blind=True) == "RC002"
            because = "select because from recovery.observation"
            wait_for(lambda: value(conn, because).startswith("the database "))

            # Rows of an epoch that nobody knows, as a restored dump may hold them.
            with conn.transaction():
                conn.execute("set local session_replication_role = replica")
                text = "insert into app.job (server_epoch) values (%s) returning id"
                lost = value(conn, text, second.epoch)
            wait_for(lambda: rows(conn, [lost]) == {"failed"})
            assert reason(conn, second.epoch) == "epoch_lost"

            third = actors(proxy.dsn, "api", lease=4).ready()
            assert third.epoch > second.epoch > first.epoch
            assert rows(conn, old) == {"failed"}
            assert reason(conn, first.epoch) in ("superseded", "process_dead")

            wait_for(lambda: rows(conn, others) == {"failed"}, 30)
            ended = value(conn, "select ended from recovery.server where epoch = %s", silent.epoch)
            assert (ended - promoted).total_seconds() > 4
            assert reason(conn, silent.epoch) in ("connection_lost", "lease_expired")
            assert live(conn) == sorted([steady.epoch, third.epoch])
            assert rows(conn, kept) == {"running"}
            assert "EpochEnded" not in steady.fences()
            wait_for(lambda: refusal(steady) is None)
            second.kill()
            third.leave()
            steady.leave()


def test_a_consumer_after_a_failover(pair: tuple[Cluster, Cluster]) -> None:
    """Its fetch was lost: what still exists comes again, what the lost one gave counts for nothing."""
    primary, replica = pair
    dsn = primary.dsn("store")
    owner = recovery.boot(dsn, "api", lease=600)
    with Proxy(dsn) as proxy, recovery.consume(proxy.dsn, "mailer") as events:
        with psycopg.connect(dsn, autocommit=True) as conn:
            kept = list(map(str, add(conn, owner.epoch, 3)))
            cut_off(conn, replica)
            lost = list(map(str, add(conn, owner.epoch, 2)))
        assert [next(events).key for _ in kept] == kept
        primary.kill()
        replica.promote()
        proxy.aim(replica.dsn("store"))
        assert [next(events).key for _ in lost] == lost  # it had fetched all
        assert [next(events).key for _ in kept] == kept
        with psycopg.connect(replica.dsn("store"), autocommit=True) as conn:
            new = list(map(str, add(conn, owner.epoch, 2)))
            assert [next(events).key for _ in new] == new
    assert events.failures >= 1


@pytest.mark.parametrize("way", ["promote", "crash"])
def test_a_listener_after_a_failover(
    pair: tuple[Cluster, Cluster], way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What was lost is written over with other events; it hears those, and nothing twice."""
    primary, replica = pair
    dsn = primary.dsn("store")
    owner = recovery.boot(dsn, "api", lease=600)
    with psycopg.connect(dsn, autocommit=True) as conn:
        add(conn, owner.epoch, 5)  # before: not delivered
        if way == "promote":
            before = add(conn, owner.epoch, 5)
            begun = last_event(conn)
            cut_off(conn, replica)
        else:  # a crash loses what was committed asynchronously and nobody has flushed
            for child in children(primary.pid, "walwriter"):
                child.suspend()
            before, begun = add(conn, owner.epoch, 5), last_event(conn)
    with Proxy(dsn) as proxy, contextlib.ExitStack() as stack:
        heard = []
        for after in (begun - 5 * RECORD, None):  # one has the last events already, one begins now
            bus = stack.enter_context(recovery.listen(proxy.dsn, after=after))
            heard.append(stack.enter_context(bus.subscribe()))
        assert [heard[0].get(5).key for _ in before] == list(map(str, before))
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(f"set synchronous_commit = {'on' if way == 'promote' else 'off'}")
            lost = add(conn, owner.epoch, 100)
            for events in heard:
                ids = [events.get(5).id for _ in lost]
                assert ids == list(range(begun + RECORD, begun + 101 * RECORD, RECORD))
            primary.kill()
        if way == "promote":
            replica.promote()
            dsn = replica.dsn("store")
            proxy.aim(dsn)
        else:
            primary.start()
        with psycopg.connect(dsn, autocommit=True) as conn:
            assert last_event(conn) == begun
            new = add(conn, owner.epoch, 50)
            numbers = [event["id"] for event in events_of(conn, begun)]
            assert min(numbers) <= begun + 33 * RECORD  # the sequence was logged 32 ahead
            for events in heard:
                told = [events.get(15) for _ in new]
                assert [event.id for event in told] == numbers
                assert [event.key for event in told] == list(map(str, new))
            add(conn, owner.epoch, 1)
            for events in heard:
                assert events.get(5).id == numbers[-1] + RECORD
                with pytest.raises(TimeoutError):
                    events.get(0)
    lost_and_found = f"lost events up to {begun + 100 * RECORD}; reading on after {begun}"
    assert caplog.text.count(lost_and_found) == 2
    assert "may come again" not in caplog.text


def refusal(actor: Actor, blind: bool = False) -> str | None:
    try:
        actor.do("open", blind=blind)
    except Refused as error:
        return error.code
    return None


def test_a_prepared_transaction_whose_end_was_lost(cluster: Any) -> None:
    """Rolled back in the primary that is no more, it commits in the new one: a listener hears it."""
    with Cluster(cluster.major, settings={"max_prepared_transactions": 2}) as primary:
        dsn = primary.create_database("store")
        schema.upgrade(dsn)
        replica = primary.replica("standby")
        with Proxy(dsn) as proxy, contextlib.ExitStack() as stack:
            with psycopg.connect(dsn, autocommit=True) as conn:
                conn.execute(TABLE)
                attach(conn)
                listener = recovery.listen(proxy.dsn, after=0, poll=0.1)
                events = stack.enter_context(stack.enter_context(listener).subscribe())
                conn.execute("begin; set local recovery.notify = 'off'")
                (prepared,) = add(conn, None)
                conn.execute("prepare transaction 'p'")
                (later,) = add(conn, None)
                assert events.get(10).key == str(later)
                assert listener.safe_id < RECORD  # there is a gap
                cut_off(conn, replica)
                conn.execute("rollback prepared 'p'")
                (lost,) = add(conn, None)
                assert events.get(10).key == str(lost)
                wait_for(lambda: listener.safe_id >= 3 * RECORD)  # and it was given up
            primary.kill()
            replica.promote()
            proxy.aim(replica.dsn("store"))
            with psycopg.connect(replica.dsn("store"), autocommit=True) as conn:
                conn.execute("commit prepared 'p'")
                event = events.get(15)
                assert (event.id, event.key, event.kind) == (RECORD, str(prepared), "opened")
                (new,) = add(conn, None)
                assert events.get(10).key == str(new)
