"""Nothing is lost by a crash: dispatchers that are killed, a database that restarts."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from python.webhooks.conftest import Add, one
from python.webhooks.receiver import LOOPBACK, Answer, Got, Receiver, by_row
from recovery import webhooks
from recovery.cluster import Cluster

Connection = psycopg.Connection[Any]
ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def dispatching(dsn: str) -> Iterator[subprocess.Popen[str]]:
    """`recovery webhooks run` as a process."""
    with subprocess.Popen(
        [sys.executable, "-m", "recovery.cli", "webhooks", "run", "--poll", "0.1", "--dsn", dsn],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        try:
            assert process.stderr is not None
            assert "sending" in process.stderr.readline()
            # Else it would wait for us once the pipe is full.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield process
        finally:
            process.kill()


class Writer(threading.Thread):
    """Opens, closes and reopens jobs, and rolls some of it back, until it is told to stop."""

    def __init__(self, dsn: str, seed: int) -> None:
        super().__init__(daemon=True)
        self._dsn, self._random = dsn, random.Random(seed)
        self.stop = threading.Event()

    def run(self) -> None:
        with psycopg.connect(self._dsn) as conn:
            while not self.stop.is_set():
                keys = [
                    row[0]
                    for row in conn.execute(
                        "insert into public.job (session) select 's' || n"
                        " from generate_series(1, 4) as n returning id"
                    )
                ]
                conn.commit()
                for status in ("done", "running", "done"):
                    for key in keys:
                        conn.execute(
                            "update public.job set status = %s where id = %s", [status, key]
                        )
                    if self._random.random() < 0.2:
                        conn.rollback()
                    conn.commit()
                time.sleep(0.2)


def check(conn: Connection, receiver: Receiver) -> int:
    """Every event came, each row's in order; how many there are."""
    wanted: dict[str, list[int]] = {}
    for key, id_ in conn.execute("select key, id from recovery.event order by id"):
        wanted.setdefault(key, []).append(id_)
    assert by_row(receiver.got) == wanted
    return sum(map(len, wanted.values()))


@pytest.mark.timeout(300)
def test_p09_a_dispatcher_that_is_killed_loses_nothing(
    dsn: str, conn: Connection, jobs: Any, add: Add
) -> None:
    """P9: kill -9 in the middle of deliveries, again and again; the receiver has had every event."""
    rng = random.Random(13)

    def answer(_: Got) -> Answer:
        time.sleep(rng.uniform(0, 0.02))
        return (500, {}, b"") if rng.random() < 0.05 else (204, {}, b"")

    writers = [Writer(dsn, seed) for seed in range(2)]
    cut = 0
    with Receiver(answer) as receiver:
        secret = add(receiver, timeout=1, max_attempts=50, concurrency=16)
        for writer in writers:
            writer.start()
        for _ in range(6):
            before = len(receiver.got)
            with dispatching(dsn) as process:
                wait_for(lambda before=before: len(receiver.got) > before + 20, 60)
                process.send_signal(signal.SIGKILL)
                process.wait()
            query = "select count(*) from recovery.webhook_delivery where claim is not null"
            row = conn.execute(query.encode()).fetchone()
            assert row is not None
            cut += row[0]
            # What it had begun counts as under way until its claim ends: that is later now.
            conn.execute("update recovery.clock set shift = shift + interval '15 seconds'")
        assert cut >= 6  # it was in the middle of something
        for writer in writers:
            writer.stop.set()
        for writer in writers:
            writer.join()
        with dispatching(dsn):
            wait_for(lambda: len(set(receiver.events())) == count(conn), 120, interval=0.2)
            wait_for(lambda: one(conn).unfinished == 0, 60, interval=0.2)
        assert check(conn, receiver) > 500
        assert one(conn).dead == 0
        assert len(receiver.got) > len(set(receiver.events()))  # at least once
        for got in receiver.got:
            webhooks.verify(secret, got.headers, got.body)


def count(conn: Connection) -> int:
    row = conn.execute("select count(*) from recovery.event").fetchone()
    assert row is not None
    return int(row[0])


def test_a_claim_ends_by_itself(
    dsn: str, conn: Connection, jobs: Any, add: Add, receiver: Receiver
) -> None:
    """And who comes back after that (a stopped process, say) records nothing over it."""
    from uuid import uuid4

    from recovery import calls
    from recovery.calls.webhook import Outcome

    add(receiver)
    jobs(None)
    assert calls.run(conn, calls.webhook.collect("hook")) == 1
    old, new = uuid4(), uuid4()
    [delivery] = calls.run(conn, calls.webhook.claim("hook", old, 10))
    assert calls.run(conn, calls.webhook.claim("hook", new, 10)) == []
    [due] = calls.run(conn, calls.webhook.due())
    assert due.seconds is not None
    assert 11 < due.seconds <= 12  # its timeout and ten seconds
    conn.execute("update recovery.clock set shift = interval '13 seconds'")
    [again] = calls.run(conn, calls.webhook.claim("hook", new, 10))
    assert (again.event, again.attempt) == (delivery.event, 2)
    late = Outcome(delivery.event, old, 500, "late", 0.1, None)
    assert calls.run(conn, calls.webhook.record("hook", [late])) == []
    assert one(conn).error is None
    done = Outcome(delivery.event, new, 200, None, 0.1, None)
    [recorded] = calls.run(conn, calls.webhook.record("hook", [done]))
    assert recorded.state == "delivered"


def test_an_event_that_kills_its_dispatcher_does_not_do_so_for_ever(
    conn: Connection, jobs: Any, add: Add, close: Callable[..., None], receiver: Receiver
) -> None:
    from uuid import uuid4

    from recovery import calls

    add(receiver, max_attempts=2)
    (id_,) = jobs(None)
    close(id_)
    calls.run(conn, calls.webhook.collect("hook"))
    for attempt in (1, 2):
        [delivery] = calls.run(conn, calls.webhook.claim("hook", uuid4(), 10))
        assert (delivery.kind, delivery.attempt) == ("opened", attempt)
        conn.execute("update recovery.clock set shift = shift + interval '1 hour'")
    # The next event of the row has its turn at once.
    [delivery] = calls.run(conn, calls.webhook.claim("hook", uuid4(), 10))
    assert (delivery.kind, delivery.attempt) == ("closed", 1)
    [letter] = webhooks.dead_letters(conn)
    assert letter.error == "the dispatcher died during the last attempt"


def test_who_dies_while_it_collects_has_taken_nothing(
    conn: Connection,
    connect: Callable[..., Connection],
    jobs: Any,
    add: Add,
    receiver: Receiver,
) -> None:
    from recovery import calls

    add(receiver)
    jobs(None, 5)
    with connect(autocommit=False) as dying:
        assert calls.run(dying, calls.webhook.collect("hook")) == 5
        conn.execute("select pg_terminate_backend(%s)", [dying.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            dying.commit()
    assert calls.run(conn, calls.webhook.collect("hook")) == 5
    assert calls.run(conn, calls.webhook.collect("hook")) == 0
    assert one(conn).unfinished == 5


@pytest.mark.majors("newest")
@pytest.mark.timeout(300)
def test_the_database_restarts_in_the_middle(cluster: Any) -> None:
    from recovery.schema import upgrade

    def answer(_: Got) -> Answer:
        time.sleep(0.01)
        return 204, {}, b""

    with Cluster(cluster.major) as mine, Receiver(answer) as receiver:
        dsn = mine.create_database("app")
        upgrade(dsn)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(
                "create table public.job (id bigint generated always as identity primary key,"
                " session text, status text not null default 'running', error text)"
            )
            recovery.attach(conn, "public.job", open="status = 'running'", close={"status": "'x'"})
            webhooks.add(
                conn, "hook", receiver.url, allow=LOOPBACK, timeout=2, backoff=0.1, max_attempts=50
            )
            conn.execute("insert into public.job (session) select 's' from generate_series(1, 300)")
            conn.execute("update public.job set status = 'done'")
        with webhooks.deliver(dsn, poll=0.1) as dispatcher:
            for goal in (100, 300):
                wait_for(lambda goal=goal: dispatcher.delivered >= goal, 60)
                mine.restart()

            def finished() -> bool:
                with contextlib.suppress(psycopg.OperationalError):
                    with psycopg.connect(dsn, autocommit=True) as conn:
                        conn.execute(
                            "update recovery.clock set shift = shift + interval '1 second'"
                        )
                        return one(conn).unfinished == 0
                return False

            wait_for(finished, 60, interval=0.2)
        with psycopg.connect(dsn, autocommit=True) as conn:
            assert check(conn, receiver) == 600
            assert one(conn).dead == 0
