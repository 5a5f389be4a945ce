from __future__ import annotations

import asyncio
import logging
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest

import recovery
from helpers import wait_for
from recovery import Bus, Event, Lagged


def make(id_: int, **values: Any) -> Event:
    given: dict[str, Any] = {
        "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "watch": "public.job",
        "kind": "closed",
        "topic": "job",
        "key": str(id_),
        "group": "s1",
        "server_epoch": 7,
        "reason": "superseded",
        "detector": "boot:8",
        "old": {"status": "running"},
        "new": {"status": "failed"},
    }
    return Event(id_, **{**given, **values})


def ids(subscription: recovery.Subscription) -> list[int]:
    return [event.id for event in subscription]


def test_event_is_one_line_of_json() -> None:
    event = make(3, new={"error": "a\nb"})
    assert event.to_json() == (
        '{"id": 3, "at": "2026-01-02T03:04:05+00:00", "watch": "public.job", "kind": "closed",'
        ' "topic": "job", "key": "3", "group": "s1", "server_epoch": 7, "reason": "superseded",'
        ' "detector": "boot:8", "old": {"status": "running"}, "new": {"error": "a\\nb"}}'
    )
    assert {event, make(3)}  # can be a member of a set


def test_every_subscriber_gets_what_its_filters_let_through() -> None:
    bus = Bus()
    everything = bus.subscribe()
    group = bus.subscribe(group="s2")
    several = bus.subscribe(group=["s1", "s2"], kind={"closed"})
    writes = bus.subscribe(reason=[None])
    watch = bus.subscribe(watch="public.task", topic=("task", "other"))
    bus.publish(make(1))
    bus.publish(make(2, group="s2"))
    bus.publish(make(3, group="s3"))
    bus.publish(make(4, kind="opened", reason=None))
    bus.publish(make(5, watch="public.task", topic="task"))
    bus.publish(make(6, watch="public.task", topic="no"))
    bus.close()
    assert ids(everything) == [1, 2, 3, 4, 5, 6]
    assert ids(group) == [2]
    assert ids(several) == [1, 2, 5, 6]
    assert ids(writes) == [4]
    assert ids(watch) == [5]


def test_an_overflow_hits_one_subscriber_once_and_it_goes_on() -> None:
    bus = Bus()
    slow, quick = bus.subscribe(maxsize=3), bus.subscribe()
    for id_ in (1, 2, 3, 9, 8, 10):
        bus.publish(make(id_))
    assert [slow.get(0).id for _ in range(3)] == [1, 2, 3]
    bus.publish(make(11))  # room again, but the gap has not been told of yet
    with pytest.raises(Lagged, match="4 events were left out here; they are after id 7") as caught:
        next(slow)
    assert (caught.value.missed, caught.value.resume_after) == (4, 7)
    bus.publish(make(12))
    bus.close()
    assert ids(slow) == [12]
    assert ids(quick) == [1, 2, 3, 9, 8, 10, 11, 12]


def test_get_waits_as_long_as_it_is_told() -> None:
    bus = Bus()
    subscription = bus.subscribe()
    with pytest.raises(TimeoutError, match=r"no event within 0\.05 s"):
        subscription.get(0.05)
    threading.Timer(0.05, bus.publish, (make(1),)).start()
    assert subscription.get(5).id == 1
    threading.Timer(0.05, subscription.close).start()
    assert ids(subscription) == []


def test_closing_a_subscription_leaves_the_others() -> None:
    bus = Bus()
    with bus.subscribe() as first:
        second = bus.subscribe()
        bus.publish(make(1))
    bus.publish(make(2))
    bus.close()
    assert ids(first) == [1]
    assert ids(second) == [1, 2]
    assert ids(bus.subscribe()) == []  # of a closed bus


async def test_async_iteration_from_another_thread() -> None:
    bus = Bus()
    subscription = bus.subscribe(maxsize=2)

    def publish() -> None:
        for id_ in (1, 2):
            bus.publish(make(id_))
            time.sleep(0.02)
        bus.close()

    threading.Thread(target=publish).start()
    assert [event.id async for event in subscription] == [1, 2]


async def test_async_overflow_and_cancellation() -> None:
    bus = Bus()
    async with bus.subscribe(maxsize=1) as subscription:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await anext(subscription)
        bus.publish(make(1))
        bus.publish(make(2))
        assert (await anext(subscription)).id == 1
        with pytest.raises(Lagged):
            await anext(subscription)
        bus.publish(make(3))
        assert (await anext(subscription)).id == 3


def test_a_subscriber_of_a_closed_loop_holds_up_nobody() -> None:
    bus = Bus()

    async def wait() -> None:
        task = asyncio.create_task(anext(bus.subscribe()))  # type: ignore[arg-type]
        await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(wait())
    other = bus.subscribe()
    bus.publish(make(1))
    assert other.get(0).id == 1


def test_a_callback_that_raises_is_logged_and_called_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = Bus()
    seen: list[int] = []

    def callback(event: Event) -> None:
        seen.append(event.id)
        if event.id == 1:
            raise ValueError("no")

    subscription = bus.on(callback, kind="closed")
    for id_ in (1, 2):
        bus.publish(make(id_))
    wait_for(lambda: seen == [1, 2])
    assert "callback" in caplog.text
    assert "ValueError: no" in caplog.text
    subscription.close()
    bus.publish(make(3))
    assert seen == [1, 2]


def test_a_slow_callback_loses_only_its_own_events(caplog: pytest.LogCaptureFixture) -> None:
    bus = Bus()
    began, go = threading.Event(), threading.Event()
    seen: list[int] = []

    def slow(event: Event) -> None:
        began.set()
        go.wait(10)
        seen.append(event.id)

    bus.on(slow, maxsize=1)
    quick = bus.subscribe()
    bus.publish(make(1))
    wait_for(began.is_set)
    for id_ in (2, 3, 4):
        bus.publish(make(id_))
    assert [quick.get(0).id for _ in range(4)] == [1, 2, 3, 4]
    with caplog.at_level(logging.WARNING):
        go.set()
        wait_for(lambda: "too slow" in caplog.text)
    bus.publish(make(5))
    wait_for(lambda: seen == [1, 2, 5])
    bus.close()


async def test_async_callbacks_run_in_the_loop() -> None:
    bus = Bus()
    seen: list[tuple[int, threading.Thread]] = []
    both = asyncio.Event()

    async def callback(event: Event) -> None:
        seen.append((event.id, threading.current_thread()))
        if event.id == 2:
            both.set()
        if event.id == 1:
            raise ValueError("no")

    bus.on(callback, group="s1")
    threading.Thread(target=lambda: [bus.publish(make(i)) for i in (1, 2)]).start()
    await asyncio.wait_for(both.wait(), 5)
    assert seen == [(1, threading.current_thread()), (2, threading.current_thread())]
    bus.close()
    await asyncio.sleep(0.01)


def test_wrong_arguments() -> None:
    async def callback(event: Event) -> None: ...

    with pytest.raises(recovery.InvalidArgument, match="maxsize must be at least 1, not 0"):
        Bus().subscribe(maxsize=0)
    with pytest.raises(recovery.InvalidArgument, match="running event loop"):
        Bus().on(callback)
