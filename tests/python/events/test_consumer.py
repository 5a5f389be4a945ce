"""P9: a named consumer goes on where its last process stopped."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for


def keys(events: list[recovery.Event]) -> list[str]:
    return [event.key for event in events]


def take(consumer: recovery.Consumer, count: int) -> list[recovery.Event]:
    return [next(consumer) for _ in range(count)]


def test_p09_what_was_not_done_comes_again(dsn: str, jobs: Any) -> None:
    owner = recovery.boot(dsn, "api-1")
    with recovery.consume(dsn, "mailer", limit=2) as events:
        jobs(owner.epoch, 5)
        assert keys(take(events, 4)) == ["1", "2", "3", "4"]
    # The fourth had been handed out, and nobody had asked for the next one.
    with recovery.consume(dsn, "mailer") as events:
        assert keys(take(events, 2)) == ["4", "5"]


def test_an_error_in_the_loop_acknowledges_nothing_more(dsn: str, jobs: Any) -> None:
    owner = recovery.boot(dsn, "api-1")

    def work() -> None:
        with recovery.consume(dsn, "mailer", limit=2) as events:
            jobs(owner.epoch, 4)
            assert keys(take(events, 3)) == ["1", "2", "3"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    with recovery.consume(dsn, "mailer") as events:
        assert keys(take(events, 2)) == ["3", "4"]


async def test_async(dsn: str, jobs: Any) -> None:
    owner = recovery.boot(dsn, "api-1")
    seen = []
    async with recovery.consume(dsn, "mailer", kind="opened") as events:
        jobs(owner.epoch, 3)
        async for event in events:
            seen.append(event.key)
            if len(seen) == 3:
                break
    assert seen == ["1", "2", "3"]


def test_a_newer_reader_takes_over(dsn: str, jobs: Any) -> None:
    owner = recovery.boot(dsn, "api-1")
    with recovery.consume(dsn, "mailer", limit=1) as old:
        jobs(owner.epoch, 2)
        assert next(old).key == "1"
        with recovery.consume(dsn, "mailer") as new:
            assert keys(take(new, 2)) == ["1", "2"]
            with pytest.raises(recovery.ReceiptStale, match="has taken over"):
                next(old)
        with pytest.raises(recovery.ReceiptStale):  # what it still holds counts for nothing
            old.close()


def test_a_lost_connection_is_made_again(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any
) -> None:
    owner = recovery.boot(dsn, "api-1")
    with recovery.consume(dsn, "mailer") as events:
        for number in range(1, 4):
            jobs(owner.epoch)
            assert next(events).key == str(number)
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name like 'recovery:consumer%' and datname = current_database()"
            )
        jobs(owner.epoch)
        assert next(events).key == "4"
    assert events.failures >= 1


def test_stop_from_another_thread(dsn: str, jobs: Any) -> None:
    with recovery.consume(dsn, "mailer") as events:
        seen: list[recovery.Event] = []
        thread = threading.Thread(target=lambda: seen.extend(events))
        thread.start()
        jobs(recovery.boot(dsn, "api-1").epoch)
        wait_for(lambda: seen)
        events.stop()
        thread.join(10)
        assert not thread.is_alive()


def test_what_cannot_work_is_said_at_the_start(dsn: str, empty_dsn: str) -> None:
    with pytest.raises(recovery.InvalidArgument, match="consumer name '' is not allowed"):
        recovery.consume(dsn).start()
    with pytest.raises(recovery.InvalidArgument, match="poll and patience"):
        recovery.consume(dsn, "mailer", poll=0)
    with (
        recovery.consume(dsn, "mailer", limit=100_001) as events,
        pytest.raises(recovery.InvalidArgument, match="limit 100001 is not allowed"),
    ):
        events.fetch()
    with pytest.raises(recovery.SchemaMismatch):
        recovery.consume(empty_dsn, "mailer").start()
    with pytest.raises(recovery.ConnectionFailed):
        recovery.consume("host=127.0.0.1 port=1", "mailer").start()


async def test_who_is_cancelled_waits_for_no_event(dsn: str, jobs: Any) -> None:
    """Ctrl-C, or a timeout after which the loop goes on."""
    owner = await recovery.aboot(dsn, "api-1")
    async with recovery.consume(dsn, "mailer", kind="opened") as events:
        for key in ("1", "2"):
            begun = time.monotonic()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(events), 0.3)
            assert time.monotonic() - begun < 10
            jobs(owner.epoch)
            assert (await anext(events)).key == key


def test_stop_in_the_loop_leaves_nothing_for_the_next_time(dsn: str, jobs: Any) -> None:
    owner = recovery.boot(dsn, "api-1")
    with recovery.consume(dsn, "mailer", kind="opened") as events:
        jobs(owner.epoch, 2)
        for event in events:
            if event.key == "2":
                events.stop()
    jobs(owner.epoch)
    with recovery.consume(dsn, "mailer") as events:
        assert next(events).key == "3"


def test_who_fetches_by_himself_is_woken(dsn: str, jobs: Any) -> None:
    owner = recovery.boot(dsn, "api-1")
    with recovery.consume(dsn, "mailer", kind="opened") as events:
        assert events.fetch() == []
        assert not events.wait(0.01)
        timer = threading.Timer(0.2, jobs, (owner.epoch,))
        timer.start()
        assert events.wait(30)
        timer.join()
        [fetched] = wait_for(events.fetch)
        events.acknowledge(fetched)
        assert events.fetch() == []
