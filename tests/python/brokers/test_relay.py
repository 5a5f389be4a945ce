"""Events reach a real broker, whoever dies in between."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

import recovery
from brokers import Broker
from helpers import wait_for
from python.brokers.conftest import (
    Command,
    Place,
    arguments,
    transitions,
    wait_until_done,
)
from python.conftest import Insert
from recovery.brokers import Relay
from recovery.brokers.message import Message, Template
from recovery.brokers.publisher import in_order

pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(240)]

#: Of the advisory lock behind which acknowledgements wait.
LOCK = 4712


def finish(conn: psycopg.Connection[Any], keys: list[int]) -> None:
    conn.execute("update job set status = 'done' where id = any(%s)", [keys])


def test_p09_each_event_reaches_the_broker(
    place: Place, relay: Callable[..., Relay], jobs: Insert, conn: psycopg.Connection[Any]
) -> None:
    """P9: all that was written before it began and after, with what to drop duplicates by."""
    early = jobs(None, 5)
    running = relay(place.broker.url, name="r", **place.options)
    wait_for(lambda: len(place.received()) >= 5, 20)
    late = jobs(None, 3)
    finish(conn, early + late)
    wait_until_done(conn)

    received = place.received()
    rows = {
        row[0]: row[1:]
        for row in conn.execute("select id, watch, kind, key, at from recovery.event")
    }
    assert {one.event["id"] for one in received} == set(rows)
    assert len({one.id for one in received}) == len(received) == 16 == running.published
    for one in received:
        watch, kind, key, at = rows[one.event["id"]]
        assert one.id == one.headers["recovery-id"]
        assert one.headers["event-id"] == str(one.event["id"])
        assert (one.headers["watch"], one.headers["kind"], one.headers["key"]) == (watch, kind, key)
        assert one.event["at"] == at.isoformat()
        assert one.subject == place.options["subject"].format(watch=watch, kind=kind)
    for key in map(str, early + late):
        assert [k for k, of in transitions(received) if of == key] == ["opened", "closed"]


def test_p09_killed_between_its_work_and_the_acknowledgement(
    place: Place,
    command: Callable[..., Command],
    jobs: Insert,
    conn: psycopg.Connection[Any],
) -> None:
    """P9: with kill -9. What was not acknowledged is published again, with the same id."""
    conn.execute(
        f"""
        create function wait_for_test() returns trigger language plpgsql as $$
        begin
            perform pg_advisory_xact_lock_shared({LOCK});
            return new;
        end $$;
        create trigger wait_for_test before update on recovery.consumer
        for each row when (new.page = old.page) execute function wait_for_test();
        """
    )
    conn.execute("select pg_advisory_lock(%s)", [LOCK])
    keys = jobs(None, 4)
    args = [*arguments(place), "--name=r", "--after=0"]
    first = command(*args)
    waiting = wait_for(lambda: acknowledging(conn), 30, what="an acknowledgement waits")
    published = [one.id for one in place.received()]
    assert len(published) == 4
    first.kill()
    conn.execute("select pg_terminate_backend(%s, 10000)", [waiting])
    conn.execute("select pg_advisory_unlock(%s)", [LOCK])

    command(*args)
    wait_until_done(conn)
    count = Counter(one.id for one in place.received())
    assert set(count) == set(published)
    assert set(count.values()) == ({1} if place.broker.DROPS else {2})
    assert set(transitions(place.received())) == {("opened", str(key)) for key in keys}


def test_p09_a_failover_has_lost_its_fetch(
    place: Place, relay: Callable[..., Relay], jobs: Insert, conn: psycopg.Connection[Any]
) -> None:
    """P9: its receipts are refused; it fetches again and goes on."""
    conn.execute(
        """
        create sequence fetches;
        grant usage on sequence fetches to public;
        create function lose_first() returns trigger language plpgsql as $$
        begin
            return case when nextval('public.fetches') > 1 then new end;
        end $$;
        create trigger lose_first before update on recovery.consumer
        for each row when (new.page <> old.page) execute function lose_first();
        """
    )
    keys = jobs(None, 3)
    relay(place.broker.url, name="r", **place.options)
    wait_until_done(conn)
    later = jobs(None, 1)
    wait_until_done(conn)
    count = Counter(int(one.event["key"]) for one in place.received())
    again = 1 if place.broker.DROPS else 2
    assert count == {**dict.fromkeys(keys, again), **dict.fromkeys(later, 1)}


@pytest.mark.slow
def test_p09_killed_again_and_again(
    place: Place,
    command: Callable[..., Command],
    jobs: Insert,
    connect: Callable[..., psycopg.Connection[Any]],
    conn: psycopg.Connection[Any],
) -> None:
    """P9: writers that commit late or never; at least once, in order for each row."""
    committed: dict[str, list[str]] = {}

    def write(seed: int) -> None:
        draw = random.Random(seed)
        mine = connect(autocommit=False)
        for _ in range(30):
            [key] = mine.execute(
                "insert into job (status) values ('running') returning id"
            ).fetchone()
            story = ["opened"]
            if draw.random() < 0.7:
                mine.commit()
                committed[str(key)] = list(story)
                for status, kind in (("done", "closed"), ("running", "reopened")):
                    mine.execute("update job set status = %s where id = %s", [status, key])
                    story.append(kind)
            fails = draw.random() < 0.3
            (mine.rollback if fails else mine.commit)()
            if not fails:
                committed[str(key)] = story

    args = [*arguments(place), "--name=r", "--after=0", "--limit=7"]
    writers = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    current = command(*args)
    for writer in writers:
        writer.start()
    for _ in range(3):
        before = len(place.received())
        wait_for(
            lambda b=before: (
                len(place.received()) > b + 10 or not any(w.is_alive() for w in writers)
            ),
            60,
        )
        current.kill()
        current = command(*args)
    for writer in writers:
        writer.join()
    wait_until_done(conn, 90)
    stories: dict[str, list[str]] = {}
    for kind, key in transitions(place.received()):
        stories.setdefault(key, []).append(kind)
    assert stories == committed
    if place.broker.DROPS:
        assert len({one.id for one in place.received()}) == len(place.received())


@pytest.mark.parametrize("kind", ["nats", "redis", "rabbitmq"])
def test_p09_the_broker_is_killed_and_comes_back(
    kind: str,
    own: Callable[..., Broker],
    relay: Callable[..., Relay],
    jobs: Insert,
    conn: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """P9: what is written meanwhile waits in the database; the relay holds one page of it."""
    broker = own(kind)
    broker.prepare()
    running = relay(broker.url, limit=10)
    before = jobs(None, 5)
    wait_until_done(conn)
    broker.kill()
    meanwhile = jobs(None, 200)
    wait_for(lambda: "events wait in the database" in caplog.text, 20)
    assert running.published == 5
    broker.start()
    wait_until_done(conn, 60)
    assert running.published == 205
    got = Counter(transitions(broker.received()))
    assert got == Counter(("opened", str(key)) for key in before + meanwhile)
    assert "is there again, after" in caplog.text
    assert len([r for r in caplog.records if "wait in the database" in r.message]) <= 3


def test_the_broker_is_not_there_yet(
    own: Callable[..., Broker],
    command: Callable[..., Command],
    jobs: Insert,
    conn: psycopg.Connection[Any],
) -> None:
    broker = own("nats")
    broker.stop()
    running = command(broker.url, "--after=0")
    jobs(None, 2)
    # It has made its consumer, and waits.
    wait_for(lambda: conn.execute("select from recovery.consumer_status").rowcount, 20)
    broker.start()
    wait_until_done(conn)
    assert len(broker.received()) == 2
    code, out, errors = running.end(signal.SIGTERM)
    assert code == 0, errors
    assert out == f"relay: {broker.url}, stream recovery, subjects recovery.{{watch}}.{{kind}}\n"
    assert "no servers available" in errors
    assert "is there again" in errors
    assert "Traceback" not in errors


def test_a_broker_that_says_nothing(
    own: Callable[..., Broker],
    relay: Callable[..., Relay],
    jobs: Insert,
    conn: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is stopped, and keeps its connections: each attempt has its end, and no writer waits."""
    broker = own("nats")
    relay(broker.url, patience=1.0)
    jobs(None)
    wait_until_done(conn)
    broker.freeze(True)
    conn.execute("set statement_timeout = '5s'")
    jobs(None, 3)
    wait_for(lambda: "no answer for 1 s" in caplog.text, 20)
    broker.freeze(False)
    wait_until_done(conn)
    assert Counter(key for _, key in transitions(broker.received())) == Counter("1234")


def test_only_what_was_asked_for(
    place: Place,
    relay: Callable[..., Relay],
    jobs: Insert,
    conn: psycopg.Connection[Any],
) -> None:
    keys = jobs(None, 2, session="s1") + jobs(None, 2, session="s2")
    finish(conn, keys)
    relay(place.broker.url, name="r", kind="closed", group=["s2", "s3"], **place.options)
    wait_for(lambda: len(place.received()) >= 2, 20)
    wait_until_done(conn)
    assert sorted(transitions(place.received())) == [("closed", str(key)) for key in keys[2:]]


def test_a_message_that_no_queue_takes_waits(
    shared: Callable[[str], Broker],
    relay: Callable[..., Relay],
    jobs: Insert,
    conn: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """RabbitMQ would drop it."""
    broker = shared("rabbitmq")
    running = relay(broker.url, stream="unbound")
    keys = jobs(None, 2)
    wait_for(lambda: "no queue takes recovery.public.job.opened" in caplog.text, 20)
    assert running.published == 0
    broker.prepare("unbound")
    wait_until_done(conn)
    assert set(transitions(broker.received("unbound"))) == {("opened", str(k)) for k in keys}


def test_what_is_too_large_comes_without_its_values(
    own: Callable[..., Broker],
    relay: Callable[..., Relay],
    jobs: Insert,
    conn: psycopg.Connection[Any],
) -> None:
    """A broker has a limit, and one message may not hold up all that follow."""
    broker = own("nats", max_payload="4KB")
    keys = jobs(None, 2)
    conn.execute(
        "update job set status = 'done', error = repeat('x', 7000) where id = %s", keys[:1]
    )
    finish(conn, keys[1:])
    relay(broker.url, kind="closed")
    wait_until_done(conn)
    large, small = (one.event for one in sorted(broker.received(), key=lambda r: r.event["id"]))
    assert (large["key"], large["old"]) == (str(keys[0]), None)
    assert large["new"] == {"cut": "too large for the broker"}
    assert small["new"]["status"] == "done"


def test_p09_its_connection_to_the_database_is_cut(
    own: Callable[..., Broker],
    relay: Callable[..., Relay],
    jobs: Insert,
    conn: psycopg.Connection[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """P9: while it waits, and again."""
    broker = own("nats")
    relay(broker.url, limit=10)
    for count in range(1, 4):
        jobs(None, 30)
        wait_until_done(conn)
        cut = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where pid = %s"
        pid = wait_for(lambda: listening(conn), 20)
        conn.execute(cut, [pid])
        wait_for(lambda n=count: caplog.text.count("the database is there again") == n, 20)
    jobs(None, 30)
    wait_until_done(conn)
    assert len(broker.received()) == 120


@pytest.mark.parametrize(
    ("kind", "login", "said"),
    [
        ("rabbitmq", "guest:wr0ng", "ACCESS_REFUSED"),
        ("redis", "nobody:wr0ng", "invalid username-password pair"),
    ],
)
def test_a_wrong_password_is_told_and_not_shown(
    kind: str,
    login: str,
    said: str,
    shared: Callable[[str], Broker],
    relay: Callable[..., Relay],
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = shared(kind).port
    scheme = "amqp" if kind == "rabbitmq" else "redis"
    running = relay(f"{scheme}://{login}@127.0.0.1:{port}")
    wait_for(lambda: "events wait in the database" in caplog.text, 20)
    [first, *_] = [r.getMessage() for r in caplog.records if r.name.startswith("recovery.")]
    assert said in first
    assert f"{scheme}://127.0.0.1:{port}" in first
    assert "wr0ng" not in "".join(r.getMessage() for r in caplog.records if "recovery" in r.name)
    assert "wr0ng" not in str(running)


def test_a_newer_relay_of_the_name_takes_over(
    own: Callable[..., Broker],
    command: Callable[..., Command],
    jobs: Insert,
    conn: psycopg.Connection[Any],
) -> None:
    """The older one ends as soon as it notices, and nothing is lost by that."""
    broker = own("nats")
    older = command(broker.url, "--after=0")
    jobs(None)
    wait_until_done(conn)
    broker.freeze(True)
    jobs(None)
    wait_for(
        lambda: (
            conn.execute("select from recovery.consumer_status where state = 'reading'").rowcount
        ),
        20,
    )
    conn.execute("select from recovery.fetch('relay')")  # as the newer one does
    broker.freeze(False)
    code, _, errors = older.end()
    assert code == 1
    assert "a newer fetch of consumer 'relay' has taken over" in errors
    command(broker.url)
    jobs(None)
    wait_until_done(conn)
    assert set(transitions(broker.received())) == {("opened", str(key)) for key in (1, 2, 3)}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nat://localhost"], "'nat://localhost' is no URL of a broker; it begins with nats://"),
        (["nats://u:secret@localhost/x"], "a URL of nats ends after host and port"),
        (["nats://localhost", "--subject={wach}"], "{wach} is not one of {watch}"),
        (["nats://localhost", "--kind=close"], "'close' is not one of"),
        (["redis://localhost", "--stream=x"], "has no stream beside the subject"),
        (["nats://localhost", "--maxlen=5"], "maxlen is for Redis alone"),
        ([], "Missing argument 'URL'"),
    ],
)
def test_a_typo(args: list[str], said: str, command: Callable[..., Command]) -> None:
    code, _, errors = command(*args).end()
    assert code == 2, errors
    assert said in errors
    assert len(errors.splitlines()) == 1
    assert "secret" not in errors


def test_interrupted(
    own: Callable[..., Broker], command: Callable[..., Command], jobs: Insert, conn: Any
) -> None:
    broker = own("nats")
    running = command(broker.url, "--after=0")
    jobs(None)
    wait_until_done(conn)
    code, _, errors = running.end(signal.SIGINT)
    assert (code, errors) == (130, "")
    # Also while the broker is gone.
    broker.stop()
    running = command(broker.url)
    assert running.process.stderr is not None
    running.process.stderr.readline()
    assert running.end(signal.SIGINT)[0] == 130
    running = command(broker.url)
    assert running.process.stderr is not None
    running.process.stderr.readline()
    assert running.end(signal.SIGTERM)[0] == 0


def test_a_broker_of_ones_own_making_and_a_subscriber(
    shared: Callable[[str], Broker],
    relay: Callable[..., Relay],
    jobs: Insert,
    conn: psycopg.Connection[Any],
) -> None:
    """FastStream on both sides: what a URL can't say, and a subscriber that gets the event."""
    from faststream.redis import RedisBroker, StreamSub

    url = shared("redis").url

    def make() -> RedisBroker:
        return RedisBroker(url, client_name="mine", logger=None)

    relay(make, subject="own.{watch}", maxlen=1000)
    keys = jobs(None, 3)
    wait_until_done(conn)
    got: list[dict[str, Any]] = []
    whole = asyncio.Event()

    async def subscribe() -> None:
        broker = make()

        @broker.subscriber(stream=StreamSub("own.public.job", last_id="0"))
        async def handle(event: dict[str, Any]) -> None:
            got.append(event)
            if len(got) == 3:
                whole.set()

        async with broker:
            await broker.start()
            await asyncio.wait_for(whole.wait(), 20)

    asyncio.run(subscribe())
    assert [(event["kind"], event["key"]) for event in got] == [("opened", str(k)) for k in keys]


async def test_what_a_driver_cancels_counts_as_lost() -> None:
    """Not as confirmed, and not as if somebody had stopped the relay."""

    async def send(message: Any) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    at = datetime.now(UTC)
    event = recovery.Event(1, at, "w", "closed", None, "1", None, None, None, "x")
    message = Template("r").message(event)
    assert json.loads(message.body)["id"] == 1
    with pytest.raises(ConnectionError, match="lost"):
        await in_order([message], send)
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


async def test_the_first_failure_ends_a_page_and_leaves_no_mark() -> None:
    """Python 3.11's TaskGroup leaves the task that has it marked as cancelled."""
    sent: list[str] = []

    async def send(message: Message) -> None:
        if message.row == "w:3":
            raise OSError("refused")
        await asyncio.sleep(0 if message.row == "w:1" else 60)
        sent.append(message.row)

    at = datetime.now(UTC)
    messages = [
        Template("r").message(
            recovery.Event(n, at, "w", "closed", None, str(n), None, None, None, "x")
        )
        for n in (1, 2, 3)
    ]
    with pytest.raises(OSError, match="refused"):
        await in_order(messages, send)
    assert sent in ([], ["w:1"])
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


def acknowledging(conn: psycopg.Connection[Any]) -> int | None:
    """The backend that waits in an acknowledgement."""
    row = conn.execute(
        "select pid from pg_stat_activity where datname = current_database()"
        " and wait_event_type = 'Lock' and query like '%acknowledge%' and pid <> pg_backend_pid()"
    ).fetchone()
    return None if row is None else row[0]


def listening(conn: psycopg.Connection[Any]) -> int | None:
    """The backend of the relay."""
    row = conn.execute(
        "select pid from pg_stat_activity where datname = current_database()"
        " and application_name like '%consumer%' and pid <> pg_backend_pid()"
    ).fetchone()
    return None if row is None else row[0]
