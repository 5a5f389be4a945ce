"""A publisher and its subscriber: two databases, both with recovery attached."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from helpers import wait_for
from recovery import schema
from recovery.cluster import Cluster
from sql.jobs import TABLE, Connection, value

SETTINGS = {
    "wal_level": "logical",
    "max_replication_slots": 40,
    "max_wal_senders": 40,
    "max_logical_replication_workers": 40,
    "max_sync_workers_per_subscription": 8,
    "max_worker_processes": 60,
    "wal_retrieve_retry_interval": "100ms",
}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(cluster: Any) -> Iterator[Cluster]:
    """A server that decodes its log, with the database `blank` to copy."""
    with Cluster(cluster.major, settings=SETTINGS) as mine:
        schema.upgrade(mine.create_database("blank"))
        yield mine


class Pair:
    """Two databases of one server, each with the table app.job."""

    def __init__(self, server: Cluster, stack: ExitStack) -> None:
        self.server = server
        self.number = next(_numbers)
        self.names = [f"{kind}_{self.number}" for kind in ("publisher", "subscriber")]
        self.dsns = [server.create_database(name, "blank") for name in self.names]
        self.publisher, self.subscriber = (
            stack.enter_context(psycopg.connect(dsn, autocommit=True)) for dsn in self.dsns
        )
        for conn in self.both:
            conn.execute(TABLE)

    @property
    def both(self) -> tuple[Connection, Connection]:
        return self.publisher, self.subscriber

    def publish(self, what: str = "table app.job", options: str = "", back: bool = False) -> None:
        """Makes a publication and a subscription of it; the first copy is there when it returns."""
        source, target = self.both[::-1] if back else self.both
        dsn = self.dsns[1] if back else self.dsns[0]
        name = f"link_{self.number}{'_back' if back else ''}"
        source.execute(f"create publication p for {what}")  # type: ignore
        # Within one server CREATE SUBSCRIPTION would wait for itself if it made the slot.
        source.execute("select pg_create_logical_replication_slot(%s, 'pgoutput')", (name,))
        target.execute(
            f"create subscription {name} connection '{dsn}' publication p"  # type: ignore
            f" with (create_slot = false, slot_name = '{name}'{options})"
        )
        self.wait_ready(target)

    def wait_ready(self, target: Connection) -> None:
        """Until no table is being copied any more."""
        wait_for(
            lambda: (
                not value(
                    target,
                    # Its owner may not read the names of all watched tables: that copy is tried for ever.
                    "select array_agg(srrelid::regclass) from pg_subscription_rel"
                    " where srsubstate <> 'r' and srrelid <> 'recovery.watch'::regclass",
                )
            ),
            30,
            what="the tables are copied",
        )

    def follow(self, back: bool = False) -> None:
        """Until the other side has all that was written."""
        source, target = self.both[::-1] if back else self.both
        count = "select count(*), coalesce(md5(string_agg(j::text, ',' order by id)), '') from app.job j"
        wait_for(
            lambda: source.execute(count).fetchone() == target.execute(count).fetchone(),
            30,
            what="the subscriber has caught up",
        )


@pytest.fixture
def pair(server: Cluster) -> Iterator[Pair]:
    """Nothing is attached, nothing published yet."""
    with ExitStack() as stack:
        pair = Pair(server, stack)
        yield pair
        for conn in pair.both:
            for (name,) in conn.execute(
                "select subname from pg_subscription join pg_database d on d.oid = subdbid"
                " where datname = current_database()"
            ).fetchall():
                conn.execute(f"drop subscription {name}")  # type: ignore


Pairs = Callable[[], Pair]
