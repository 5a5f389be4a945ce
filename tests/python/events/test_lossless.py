"""Lossless subscribers: the reader waits for them, and for nobody who will never read."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from python.events.test_bus import make
from recovery import Bus, Event
from recovery.events import bus as bus_module
from recovery.events.listener import run_between


class Publisher(threading.Thread):
    """Publishes ids in a thread of its own; `done` is the last one that everybody has."""

    def __init__(self, bus: Bus, last: int) -> None:
        super().__init__(daemon=True)
        self._bus, self._last = bus, last
        self.done = 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            for id_ in range(1, self._last + 1):
                self._bus.publish(make(id_))
                self.done = id_
        except Exception as error:
            self.error = error

    def waits_at(self, id_: int) -> None:
        """Until it stands before the event after this one, and stays there."""
        wait_for(lambda: self.done == id_, what=f"published {self.done}")
        time.sleep(0.15)
        assert self.done == id_
        assert self.is_alive()

    def end(self) -> None:
        self.join(5)
        assert not self.is_alive()
        assert self.error is None
        assert self.done == self._last


def test_the_publisher_waits_and_nothing_is_left_out() -> None:
    bus = Bus()
    slow = bus.subscribe(lossless=True, maxsize=10)
    publisher = Publisher(bus, 5000)
    publisher.start()
    publisher.waits_at(10)
    seen = []
    for _ in range(5000):
        seen.append(slow.get(5).id)
        assert len(slow._queue) <= 10
    assert seen == list(range(1, 5001))
    publisher.end()


def test_others_have_each_event_before_anybody_is_waited_for() -> None:
    bus = Bus()
    slow = bus.subscribe(lossless=True, maxsize=1)
    quick = bus.subscribe()
    publisher = Publisher(bus, 3)
    publisher.start()
    publisher.waits_at(1)
    assert [quick.get(5).id for _ in range(2)] == [1, 2]
    assert [slow.get(5).id for _ in range(3)] == [1, 2, 3]
    publisher.end()


def test_what_its_filters_leave_out_is_not_waited_for() -> None:
    bus = Bus()
    slow = bus.subscribe(lossless=True, maxsize=1, kind="opened")
    publisher = Publisher(bus, 50)
    publisher.start()
    publisher.end()
    bus.publish(make(51, kind="opened"))
    assert slow.get(0).id == 51


@pytest.mark.parametrize("end", ["subscription", "block", "bus", "forgotten"])
def test_the_end_of_a_subscription_ends_the_wait(end: str) -> None:
    bus = Bus()
    slow = bus.subscribe(lossless=True, maxsize=3)
    publisher = Publisher(bus, 9)
    publisher.start()
    publisher.waits_at(3)
    if end == "subscription":
        slow.close()
    elif end == "block":
        with slow:
            pass
    elif end == "bus":
        bus.close()
    else:
        del slow
    publisher.end()
    if end != "forgotten":
        assert [event.id for event in slow] == [1, 2, 3]  # what had been queued


def test_a_loop_that_is_left_ends_the_wait() -> None:
    bus = Bus()
    publisher = Publisher(bus, 9)

    def first() -> int:
        for event in bus.subscribe(lossless=True, maxsize=2):
            publisher.waits_at(3)
            return event.id
        return 0

    publisher.start()
    publisher.end()  # there was no subscriber
    publisher = Publisher(bus, 9)
    publisher_started = threading.Timer(0.05, lambda: publisher.start())
    publisher_started.start()
    assert first() == 1
    publisher.end()


def test_a_publisher_that_would_wait_for_itself_is_refused() -> None:
    bus = Bus()
    own = bus.subscribe(lossless=True, maxsize=2)
    bus.publish(make(1))
    assert own.get(0).id == 1
    bus.publish(make(2))
    bus.publish(make(3))
    with pytest.raises(recovery.InvalidArgument, match="a lossless subscriber that this thread"):
        bus.publish(make(4))
    assert [own.get(0).id for _ in range(2)] == [2, 3]
    bus.publish(make(5))


async def test_async_from_another_thread() -> None:
    bus = Bus()
    seen: list[int] = []
    publisher = Publisher(bus, 3000)
    async with bus.subscribe(lossless=True, maxsize=4) as slow:
        publisher.start()
        async for event in slow:
            seen.append(event.id)
            if event.id % 500 == 0:
                await asyncio.sleep(0.01)
            if event.id == 3000:
                break
    assert seen == list(range(1, 3001))
    await asyncio.to_thread(publisher.end)


async def test_async_in_the_publishers_own_loop_is_refused() -> None:
    bus = Bus()
    async with bus.subscribe(lossless=True, maxsize=1) as own:
        bus.publish(make(1))
        assert (await anext(own)).id == 1
        bus.publish(make(2))
        with pytest.raises(recovery.InvalidArgument, match="for ever"):
            bus.publish(make(3))
        assert (await anext(own)).id == 2


async def test_a_task_that_is_cancelled_ends_the_wait() -> None:
    bus = Bus()
    stuck = asyncio.Event()

    async def consume() -> None:
        async for _ in bus.subscribe(lossless=True, maxsize=2):
            await stuck.wait()

    task = asyncio.create_task(consume())
    await asyncio.sleep(0)
    publisher = Publisher(bus, 20)
    publisher.start()
    await asyncio.to_thread(publisher.waits_at, 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    await asyncio.to_thread(publisher.end)


def test_a_loop_that_was_closed_under_it_ends_the_wait() -> None:
    bus = Bus()
    loop = asyncio.new_event_loop()

    async def callback(event: Event) -> None:
        raise AssertionError("nothing runs here any more")

    async def register() -> recovery.Subscription:
        subscription = bus.on(callback, lossless=True, maxsize=1)
        await asyncio.sleep(0.01)  # it waits for its first event
        return subscription

    held = loop.run_until_complete(register())
    [task] = bus._tasks
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    publisher = Publisher(bus, 9)
    publisher.start()
    publisher.end()
    assert held._closed
    task.get_coro().close()  # type: ignore[union-attr]


def test_a_callback_gets_everything_one_after_the_other() -> None:
    bus = Bus()
    seen: list[int] = []

    def slow(event: Event) -> None:
        time.sleep(0.001)
        seen.append(event.id)
        if event.id == 7:
            raise ValueError("no")

    bus.on(slow, maxsize=2, lossless=True)
    publisher = Publisher(bus, 300)
    publisher.start()
    publisher.join(10)
    wait_for(lambda: seen == list(range(1, 301)))
    bus.close()


def test_one_that_holds_up_the_others_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bus_module, "_PATIENCE", 0.2)
    bus = Bus()
    slow = bus.subscribe(lossless=True, maxsize=1, group="s1")
    publisher = Publisher(bus, 2)
    with caplog.at_level(logging.WARNING):
        publisher.start()
        wait_for(lambda: "all others wait" in caplog.text)
    assert "{'group': frozenset({'s1'})}" in caplog.text
    assert [slow.get(5).id for _ in range(2)] == [1, 2]
    publisher.end()
    assert caplog.text.count("all others wait") == 1


# With a listener.


def waits_for(conn: psycopg.Connection[Any]) -> str:
    """For what the listener's backend waits."""
    row = conn.execute(
        "select wait_event from pg_stat_activity"
        " where application_name = 'recovery:listener' and datname = current_database()"
    ).fetchone()
    assert row is not None
    return str(row[0])


def test_a_subscriber_that_is_far_behind_gets_everything(dsn: str, jobs: Any) -> None:
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch, 30_000)
    with recovery.listen(dsn, after=0) as bus:
        with bus.subscribe(lossless=True, maxsize=50) as events:
            keys = []
            for number in range(30_000):
                keys.append(int(events.get(10).key))
                if number in (100, 10_000):
                    time.sleep(0.3)
            assert keys == list(range(1, 30_001))
            (last,) = jobs(owner.epoch)
            assert events.get(5).key == str(last)


@pytest.mark.parametrize("how", ["stop", "close"])
def test_a_listener_stops_though_it_waits(dsn: str, jobs: Any, how: str) -> None:
    """And does not say that it has delivered what it has not."""
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch, 100)
    listener = recovery.Listener(dsn, after=0)
    events = listener.bus.subscribe(lossless=True, maxsize=10)
    listener.start()
    wait_for(lambda: len(events._queue) == 10)
    began = time.monotonic()
    if how == "stop":
        listener.stop()
    else:
        listener.bus.close()
        listener.stop()
    assert time.monotonic() - began < 2
    assert listener._thread is not None
    assert not listener._thread.is_alive()
    got = list(events)
    assert len(got) == 10
    if how == "stop":
        assert listener.safe_id == got[-1].id
        with recovery.listen(dsn, after=listener.safe_id) as bus:
            with bus.subscribe(lossless=True) as rest:
                keys = [event.key for event in got] + [rest.get(5).key for _ in range(90)]
        assert keys == [str(n) for n in range(1, 101)]


async def test_async_a_listener_is_stopped_in_the_loop_of_its_subscriber(
    dsn: str, jobs: Any
) -> None:
    owner = await recovery.aboot(dsn, "api-1")
    jobs(owner.epoch, 100)
    listener = recovery.Listener(dsn, after=0)
    async with listener as bus:
        events = bus.subscribe(lossless=True, maxsize=10)
        await anext(events)
        # And more to come, once half is taken.
        await asyncio.to_thread(wait_for, lambda: len(events._queue) >= 9)
    assert listener._thread is not None
    assert not listener._thread.is_alive()
    listener = recovery.Listener(dsn, after=0)
    with listener as bus:  # blocks the loop
        events = bus.subscribe(lossless=True, maxsize=10)
        await anext(events)


def test_while_it_waits_a_listener_does_what_else_it_has_to(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any
) -> None:
    """Heartbeats go over its connection, and its notifications are taken off the queue."""
    owner = recovery.boot(dsn, "api-1")
    listener = recovery.Listener(dsn)
    with listener as bus, bus.subscribe(lossless=True, maxsize=1) as events:
        jobs(owner.epoch, 3)
        wait_for(lambda: len(events._queue) == 1)
        time.sleep(0.1)
        from recovery import calls

        assert run_between(listener, calls.status.version(), 2)
        for _ in range(400):
            conn.execute("select pg_notify('recovery', repeat('x', 7000))")
        # More than fits into a socket: a backend that is not rid of them waits for ClientWrite.
        wait_for(lambda: waits_for(conn) == "ClientRead")
        assert [events.get(5).key for _ in range(3)] == ["1", "2", "3"]


def test_a_connection_that_is_lost_while_it_waits_changes_nothing(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any
) -> None:
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch, 500)
    listener = recovery.Listener(dsn, after=0)
    with listener as bus, bus.subscribe(lossless=True, maxsize=10) as events:
        wait_for(lambda: len(events._queue) == 10)
        killed = conn.execute(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity"
            " where application_name = 'recovery:listener' and datname = current_database()"
        ).fetchone()
        assert killed == (1,)
        jobs(owner.epoch, 5)
        assert [int(events.get(5).key) for _ in range(505)] == list(range(1, 506))
        with pytest.raises(TimeoutError):
            events.get(0.3)
    assert listener.failures == 1


def test_a_servers_heartbeat_goes_on_though_a_subscriber_is_stuck(dsn: str, jobs: Any) -> None:
    """P14: who hangs in reading events does not die of it."""
    with recovery.serve(dsn, "api-1", lease=1.5, grace=0.5) as server:
        with server.bus.subscribe(lossless=True, maxsize=1) as events:
            jobs(server.epoch, 10)
            wait_for(lambda: len(events._queue) == 1)
            time.sleep(2.5)
            assert server.heartbeat()
            assert server.failures == {"heartbeat": 0, "sweep": 0}
            assert [int(events.get(5).key) for _ in range(10)] == list(range(1, 11))
