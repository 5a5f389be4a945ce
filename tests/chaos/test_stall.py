"""The database stands still while everything else goes on: nobody is dead, and no work is over."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest

from chaos.actors import live, rows, standing_still, value, warm
from chaos.conftest import Start
from helpers import wait_for
from recovery import schema
from recovery.cluster import Cluster
from sql.jobs import TABLE, attach


@pytest.mark.parametrize("sweep", [0.5, 4])
def test_p15_a_stall_of_two_ttls_closes_nothing(cluster: Any, actors: Start, sweep: float) -> None:
    """row of the stall: fuses that nobody could extend, servers that could not beat; sweeps come first or late."""
    with Cluster(cluster.major) as server:
        dsn = server.create_database("store")
        schema.upgrade(dsn)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(TABLE)
            attach(conn)
            one, other = (actors(dsn, name, sweep=sweep) for name in ("one", "two"))
            keys = one.ready().open(3)
            other.ready()
            for key in keys[:2]:
                one.do("fuse", key=key, how="subprocess", ttl=2)
            # Of the second nobody but its server knows.
            conn.execute(
                "update recovery.fuse set host = 'elsewhere' where key = %s", (str(keys[1]),)
            )
            warm(conn)
            for _ in range(2):
                with standing_still(conn):
                    time.sleep(4)
                resumed = value(conn, "select clock_timestamp()")
                extended = "select min(expires - ttl) > %s from recovery.fuse"
                wait_for(lambda: value(conn, extended, resumed), 20)  # noqa: B023
                swept = "select swept > %s from recovery.observation"
                wait_for(lambda: value(conn, swept, resumed), 20)  # noqa: B023
            assert value(conn, "select count(*) from recovery.fuse") == 2
            assert rows(conn, keys) == {"running"}
            assert live(conn) == sorted([one.epoch, other.epoch])
            other.leave()
            one.leave()


def test_p15_a_boot_after_a_restart_ends_nobody(cluster: Any, actors: Start) -> None:
    """All keepers' locks went with the old postmaster; a replica boots before the first has come back."""
    with Cluster(cluster.major) as server:
        dsn = server.create_database("store")
        schema.upgrade(dsn)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(TABLE)
            attach(conn)
        one = actors(dsn, "one", host="a", lease=30)
        keys = one.ready().open(3)
        one.pause()
        server.restart("immediate")
        other = actors(dsn, "one", host="b", lease=30).ready()
        with psycopg.connect(dsn, autocommit=True) as conn:
            assert live(conn) == [one.epoch, other.epoch]
            assert rows(conn, keys) == {"running"}
            one.go_on()
            beaten = "select heartbeat > pg_postmaster_start_time() from recovery.server where epoch = %s"
            wait_for(lambda: value(conn, beaten, one.epoch), 20)
        for actor in (one, other):
            actor.leave()
