"""A replica is promoted that never received the last transactions: an older state of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from chaos.actors import Actor, Refused, live, reason, rows, value, warm
from helpers import wait_for
from recovery import migrations
from recovery._postgres import Cluster
from sql.jobs import TABLE, Connection, attach
from tcp_proxy import Proxy

pytestmark = pytest.mark.majors("newest")


@pytest.fixture
def pair(cluster: Any) -> Iterator[tuple[Cluster, Cluster]]:
    """A primary with the store, and its replica."""
    with Cluster(cluster.major) as primary:
        dsn = primary.create_database("store")
        migrations.upgrade(dsn)
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
            codes = {refusal(second) for _ in range(3)}  # the first finds a connection that is gone
            assert "RC002" in codes
            assert codes <= {"RC002", "57P01", "OperationalError"}
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


def refusal(actor: Actor) -> str | None:
    try:
        actor.open()
    except Refused as error:
        return error.code
    return None
