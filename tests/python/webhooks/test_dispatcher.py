"""Deliveries end to end: a real dispatcher, a real receiver, a real database."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from python.webhooks.conftest import Add, one
from python.webhooks.receiver import Answer, Got, Receiver, by_row, ok
from recovery import webhooks

Connection = psycopg.Connection[Any]
Close = Callable[..., None]


def ids(conn: Connection, where: str = "true") -> list[int]:
    """Ids of the events."""
    query = f"select id from recovery.event where {where} order by id"
    return [row[0] for row in conn.execute(query.encode())]


def value(conn: Connection, query: str) -> Any:
    """The first column of the first row."""
    row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def kinds(receiver: Receiver) -> list[tuple[str, str]]:
    data = [got.json["data"] for got in list(receiver.got)]
    return [(each["kind"], each["key"]) for each in data]


def test_an_event_arrives_signed_and_as_it_was(
    dsn: str, conn: Connection, jobs: Any, add: Add, close: Close, receiver: Receiver
) -> None:
    secret = add(receiver, watch="public.job")
    (id_,) = jobs(None)
    close(id_)
    with webhooks.deliver(dsn):
        wait_for(lambda: len(receiver.got) == 2)
        wait_for(lambda: one(conn).unfinished == 0)
    for got, event in zip(receiver.got, ids(conn), strict=True):
        assert webhooks.verify(secret, got.headers, got.body) == got.headers["webhook-id"]
        assert got.event == event
    opened, closed = (got.json for got in receiver.got)
    assert (opened["type"], opened["attempt"]) == ("job", 1)
    assert opened["data"]["kind"] == "opened"
    # It was sent when the job had ended already, and says so.
    assert opened["current"]["state"] == "closed"
    assert closed["data"] == {
        "id": ids(conn)[1],
        "at": closed["timestamp"],
        "watch": "public.job",
        "kind": "closed",
        "topic": "job",
        "key": str(id_),
        "group": "s1",
        "server_epoch": None,
        "reason": None,
        "detector": "writer",
        "old": {"status": "running", "error": None},
        "new": {"status": "done", "error": None},
    }
    assert closed["current"]["scope"] == "row"
    hook = one(conn)
    assert (hook.state, hook.dead, hook.error, hook.secrets) == ("active", 0, None, 1)
    assert hook.delivered is not None


async def test_async(dsn: str, jobs: Any, add: Add, receiver: Receiver) -> None:
    add(receiver)
    async with webhooks.deliver(dsn) as dispatcher:
        jobs(None, 3)
        import asyncio

        for _ in range(500):
            if dispatcher.delivered == 3:
                break
            await asyncio.sleep(0.02)
    assert len(receiver.got) == 3


def test_it_is_woken_and_does_not_wait_for_its_poll(
    dsn: str, conn: Connection, jobs: Any, add: Add, receiver: Receiver
) -> None:
    add(receiver)
    with webhooks.deliver(dsn, poll=60):
        listens = (
            "select count(*) from pg_stat_activity where state = 'idle' and query <> ''"
            " and application_name = 'recovery:webhooks-bell' and query !~ 'set_config'"
        )
        wait_for(lambda: value(conn, listens))
        jobs(None)
        wait_for(lambda: receiver.got, 20)


def test_only_what_passes_the_filters(
    dsn: str, conn: Connection, jobs: Any, add: Add, close: Close, receiver: Receiver
) -> None:
    add(receiver, watch=["public.job"], kind="closed", group=["s2", "s3"])
    first, second = jobs(None), jobs(None, session="s2")
    close(*first, *second)
    with webhooks.deliver(dsn):
        wait_for(lambda: receiver.got)
        wait_for(lambda: one(conn).unfinished == 0)
    assert kinds(receiver) == [("closed", str(second[0]))]


def test_the_truth_at_delivery(
    dsn: str, conn: Connection, jobs: Any, add: Add, close: Close
) -> None:
    """P9: who gets a stop late learns that the work goes on."""
    down = True
    with Receiver(lambda _: (500, {}, b"") if down else (200, {}, b"")) as receiver:
        add(receiver, kind="closed")
        reopened, deleted, closed = jobs(None, 3)
        close(reopened, deleted, closed)
        with webhooks.deliver(dsn):
            wait_for(lambda: len({got.event for got in receiver.got}) == 3)
            assert {got.json["current"]["state"] for got in receiver.got} == {"closed"}
            conn.execute("update public.job set status = 'running' where id = %s", [reopened])
            conn.execute("delete from public.job where id = %s", [deleted])
            down = False
            wait_for(lambda: one(conn).unfinished == 0)
    last = {int(got.json["data"]["key"]): got.json for got in receiver.got}
    assert {key: body["current"]["state"] for key, body in last.items()} == {
        reopened: "open",
        deleted: "deleted",
        closed: "closed",
    }
    assert {body["data"]["kind"] for body in last.values()} == {"closed"}
    assert all(body["current"]["at"] > body["timestamp"] for body in last.values())


def test_a_table_that_cannot_be_asked_holds_up_nothing(
    dsn: str,
    connect: Callable[..., Connection],
    jobs: Any,
    add: Add,
    receiver: Receiver,
) -> None:
    add(receiver)
    jobs(None)
    with connect(autocommit=False) as other:
        other.execute("lock table public.job in access exclusive mode")
        with webhooks.deliver(dsn):
            wait_for(lambda: receiver.got)
        other.rollback()
    assert receiver.got[0].json["current"]["state"] == "unknown"


def test_a_row_that_fails_holds_up_itself_alone(
    dsn: str, conn: Connection, jobs: Any, add: Add, close: Close
) -> None:
    bad, *good = jobs(None, 5)
    refuse = True

    def answer(got: Got) -> Answer:
        mine = got.json["data"]["key"] == str(bad)
        return (400, {}, b"not this one") if refuse and mine else (200, {}, b"")

    with Receiver(answer) as receiver:
        add(receiver, after=0, max_attempts=50)
        close(bad, *good)
        with webhooks.deliver(dsn):
            wait_for(lambda: len({got.event for got in receiver.got}) == 9)
            # What is left is the bad one, and what comes after it.
            wait_for(lambda: one(conn).unfinished == 2)
            tried = {got.event for got in receiver.got if got.json["data"]["key"] == str(bad)}
            assert tried == {ids(conn)[0]}
            refuse = False
            wait_for(lambda: one(conn).unfinished == 0)
    assert by_row(receiver.got) == {str(key): ids(conn, f"key = '{key}'") for key in (bad, *good)}


def test_by_group_a_failing_row_holds_up_its_session(
    dsn: str, conn: Connection, jobs: Any, add: Add, close: Close
) -> None:
    first, second = jobs(None, 2, session="s1")
    (other,) = jobs(None, session="s2")
    refuse = True

    def answer(got: Got) -> Answer:
        mine = got.json["data"]["key"] == str(first)
        return (400, {}, b"") if refuse and mine else (200, {}, b"")

    with Receiver(answer) as receiver:
        add(receiver, after=0, order_by="group", max_attempts=50)
        close(first, second, other)
        with webhooks.deliver(dsn):
            wait_for(lambda: ("closed", str(other)) in kinds(receiver))
            assert {key for _, key in kinds(receiver)} == {str(first), str(other)}
            refuse = False
            wait_for(lambda: one(conn).unfinished == 0)
    mine = [got.event for got in receiver.got if got.json["data"]["group"] == "s1"]
    assert list(dict.fromkeys(mine)) == ids(conn, "group_key = 's1'")


def test_one_webhook_that_hangs_does_not_hold_up_another(
    dsn: str, conn: Connection, jobs: Any, add: Add, receiver: Receiver
) -> None:
    free = threading.Event()

    def hang(_: Got) -> Answer:
        free.wait(30)
        return None

    with Receiver(hang) as stuck:
        add(stuck, "a-stuck", timeout=20)
        add(receiver, "hook")
        jobs(None, 40)
        with webhooks.deliver(dsn, drain=0):
            wait_for(lambda: one(conn).unfinished == 0 and len(receiver.got) == 40)
            wait_for(lambda: stuck.most == 8)
            assert len(stuck.got) == 8  # its own limit
        free.set()


def test_dead_letter_and_redelivery(
    dsn: str, conn: Connection, jobs: Any, add: Add, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[Answer] = [(503, {}, b"later")] * 3
    with Receiver(lambda _: answers.pop(0) if answers else (200, {}, b"")) as receiver:
        add(receiver, max_attempts=3)
        (id_,) = jobs(None)
        with caplog.at_level(logging.WARNING), webhooks.deliver(dsn):
            wait_for(lambda: one(conn).dead == 1)
            [letter] = webhooks.dead_letters(conn)
            assert (letter.webhook, letter.key, letter.kind) == ("hook", str(id_), "opened")
            assert (letter.attempts, letter.status) == (3, 503)
            assert letter.error == "answered 503 Service Unavailable: later"
            assert [got.json["attempt"] for got in receiver.got] == [1, 2, 3]
            assert one(conn).error == letter.error
            assert webhooks.redeliver(conn, "hook") == 1
            wait_for(lambda: one(conn).unfinished == 0 and one(conn).dead == 0)
    assert len(receiver.got) == 4
    # The receiver can drop what it has had: the id is the same each time.
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert f"event {letter.event} is a dead letter: answered 503" in caplog.text
    assert webhooks.redeliver(conn, "hook") == 0
    # Also what was delivered can be had again, by its id.
    assert webhooks.redeliver(conn, "hook", [letter.event]) == 1
    with pytest.raises(recovery.InvalidArgument, match="no delivery of event 999999"):
        webhooks.redeliver(conn, "hook", [999999])


def test_what_comes_after_a_dead_letter_goes_on(
    dsn: str, conn: Connection, jobs: Any, add: Add, close: Close
) -> None:
    def answer(got: Got) -> Answer:
        return (400, {}, b"") if got.json["data"]["kind"] == "opened" else (200, {}, b"")

    with Receiver(answer) as receiver:
        add(receiver, max_attempts=2)
        (id_,) = jobs(None)
        close(id_)
        with webhooks.deliver(dsn):
            wait_for(lambda: one(conn).dead == 1 and one(conn).unfinished == 0)
    assert kinds(receiver) == [("opened", str(id_))] * 2 + [("closed", str(id_))]


def test_retry_after_is_heard(dsn: str, conn: Connection, jobs: Any, add: Add) -> None:
    with Receiver(lambda _: (429, {"Retry-After": "3600"}, b"")) as receiver:
        add(receiver)
        jobs(None)
        with webhooks.deliver(dsn):
            wait_for(lambda: one(conn).failures == 1)
    wait = "select extract(epoch from next_at - recovery._now()) from recovery.webhook_delivery"
    assert 3500 < value(conn, wait) <= 3600


def test_gone_pauses_and_loses_nothing(dsn: str, conn: Connection, jobs: Any, add: Add) -> None:
    gone = True
    with Receiver(lambda _: (410, {}, b"") if gone else (200, {}, b"")) as receiver:
        add(receiver)
        jobs(None, 3)
        with webhooks.deliver(dsn):
            wait_for(lambda: one(conn).state == "paused")
            assert one(conn).paused_because == "the receiver answered 410 Gone"
            # All that was under way is over, so that nothing pauses it once more.
            wait_for(lambda: not value(conn, "select count(claim) from recovery.webhook_delivery"))
            jobs(None, 3)
            gone = False
            webhooks.resume(conn, "hook")
            wait_for(lambda: len({g.event for g in receiver.got}) == 6 and not one(conn).unfinished)
    assert (one(conn).state, one(conn).dead) == ("active", 0)


def test_pause_and_resume(dsn: str, conn: Connection, jobs: Any, add: Add) -> None:
    with Receiver() as receiver, webhooks.deliver(dsn, poll=0.1) as dispatcher:
        add(receiver)
        webhooks.pause(conn, "hook", "maintenance")
        add(receiver, "other")
        jobs(None, 3)
        wait_for(lambda: dispatcher.delivered == 3)
        hook = one(conn)
        assert (hook.state, hook.paused_because, hook.unfinished) == ("paused", "maintenance", 0)
        webhooks.resume(conn, "hook")
        wait_for(lambda: dispatcher.delivered == 6)
    assert len(receiver.got) == 6


def test_an_outage_is_probed_gently_and_over_at_once(
    dsn: str, conn: Connection, jobs: Any, add: Add
) -> None:
    down = True
    with Receiver(lambda _: (503, {}, b"") if down else (200, {}, b"")) as receiver:
        # Pauses of minutes, so that only the return of the receiver can end them in time.
        add(receiver, backoff=60, max_backoff=600)
        jobs(None, 30)
        with webhooks.deliver(dsn):
            wait_for(lambda: one(conn).state == "down" and len(receiver.got) == 30)
            down = False
            jobs(None)  # this one finds it up again
            wait_for(lambda: one(conn).unfinished == 0, 20)
    assert len({got.event for got in receiver.got}) == 31
    assert one(conn).state == "active"


def test_rotation_of_the_secret(
    dsn: str, conn: Connection, jobs: Any, add: Add, receiver: Receiver
) -> None:
    old = add(receiver)
    with webhooks.deliver(dsn) as dispatcher:
        jobs(None)
        wait_for(lambda: dispatcher.delivered == 1)
        new = webhooks.rotate(conn, "hook")
        assert one(conn).secrets == 2
        jobs(None)
        wait_for(lambda: dispatcher.delivered == 2)
        assert webhooks.rotate(conn, "hook", finish=True) == new
        jobs(None)
        wait_for(lambda: dispatcher.delivered == 3)

    def fits(secret: str, got: Got) -> bool:
        try:
            webhooks.verify(secret, got.headers, got.body)
        except recovery.SignatureInvalid:
            return False
        return True

    assert [fits(old, got) for got in receiver.got] == [True, True, False]
    assert [fits(new, got) for got in receiver.got] == [False, True, True]


def test_a_large_value_is_left_out_with_a_mark(
    dsn: str, conn: Connection, jobs: Any, add: Add, receiver: Receiver
) -> None:
    add(receiver, max_body=16384, kind="closed")
    (id_,) = jobs(None)
    conn.execute(
        "update public.job set status = 'failed', error = repeat('x', 1000000) where id = %s", [id_]
    )
    with webhooks.deliver(dsn):
        wait_for(lambda: receiver.got)
    [got] = receiver.got
    assert len(got.body) <= 16384
    data = got.json["data"]
    assert data["cut"] == ["new.error"]
    assert data["new"] == {"status": "failed", "error": None}


def test_a_redirect_to_a_private_address_is_a_failure(
    dsn: str, conn: Connection, jobs: Any, add: Add, receiver: Receiver
) -> None:
    with Receiver(lambda _: (302, {"Location": receiver.url}, b"")) as outer:
        add(outer, max_attempts=1)
        jobs(None)
        with webhooks.deliver(dsn):
            wait_for(lambda: one(conn).dead == 1)
    assert receiver.got == []
    assert "redirects are not followed" in str(webhooks.dead_letters(conn)[0].error)


def test_a_name_that_turns_private_is_not_reached(
    dsn: str, conn: Connection, jobs: Any, receiver: Receiver
) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        return ["::ffff:127.0.0.1", "10.0.0.7"]

    webhooks.add(conn, "hook", f"https://hook.test:{receiver.port}/", max_attempts=1)
    jobs(None)
    with webhooks.deliver(dsn, resolver=resolver):
        wait_for(lambda: one(conn).dead == 1)
    assert receiver.connections == 0
    assert webhooks.dead_letters(conn)[0].error == "not sent: 10.0.0.7 is private"
    attempt = webhooks.send_test(conn, "hook", resolver=resolver)
    assert (attempt.status, attempt.error) == (None, "not sent: 10.0.0.7 is private")


def test_two_dispatchers_share_the_work(
    dsn: str, conn: Connection, jobs: Any, add: Add, close: Close
) -> None:
    with Receiver() as receiver:
        add(receiver)
        # Each has less room than the webhook, so neither can take all.
        some: dict[str, Any] = {"concurrency": 2, "poll": 0.05}
        with webhooks.deliver(dsn, **some) as one_, webhooks.deliver(dsn, **some) as other:
            for _ in range(10):
                close(*jobs(None, 20))
            wait_for(lambda: len(receiver.got) >= 400, 60)
            wait_for(lambda: one(conn).unfinished == 0)
        assert one_.delivered + other.delivered == 400
        assert one_.delivered > 0
        assert other.delivered > 0
        assert sorted(receiver.events()) == ids(conn)  # and none twice
        for key, found in by_row(receiver.got).items():
            assert found == ids(conn, f"key = '{key}'")


def test_removed_while_it_is_under_way(dsn: str, conn: Connection, jobs: Any, add: Add) -> None:
    free, begun = threading.Event(), threading.Event()

    def answer(_: Got) -> Answer:
        begun.set()
        free.wait(20)
        return 200, {}, b""

    with Receiver(answer) as receiver:
        add(receiver, timeout=10)
        jobs(None, 20)
        with webhooks.deliver(dsn):
            assert begun.wait(10)
            assert webhooks.remove(conn, "hook") == 20
            free.set()
            add(receiver, "next")
            jobs(None)
            wait_for(lambda: one(conn, "next").delivered is not None)
    assert [hook.name for hook in webhooks.status(conn)] == ["next"]
    left = conn.execute("select name from recovery.consumer_status").fetchall()
    assert left == [("webhook:next",)]


def test_the_end_of_the_block_finishes_what_is_under_way(
    dsn: str, conn: Connection, jobs: Any, add: Add
) -> None:
    begun = threading.Event()

    def answer(got: Got) -> Answer:
        begun.set()
        threading.Event().wait(0.5)
        return ok(got)

    with Receiver(answer) as receiver:
        add(receiver)
        jobs(None)
        with webhooks.deliver(dsn):
            assert begun.wait(10)
        assert one(conn).unfinished == 0
    assert len(receiver.got) == 1


def test_send_test(conn: Connection, add: Add, receiver: Receiver) -> None:
    secret = add(receiver)
    attempt = webhooks.send_test(conn, "hook")
    assert (attempt.status, attempt.error, attempt.address) == (204, None, "127.0.0.1")
    [got] = receiver.got
    assert webhooks.verify(secret, got.headers, got.body).startswith("test-")
    assert json.loads(got.body)["type"] == "recovery.test"
    with pytest.raises(recovery.InvalidArgument, match="no webhook is called 'other'"):
        webhooks.send_test(conn, "other")


def test_beside_a_server(
    dsn: str, conn: Connection, jobs: Any, add: Add, receiver: Receiver
) -> None:
    add(receiver)
    with recovery.serve(dsn, "api-1", webhooks=True) as server:
        (id_,) = jobs(server.epoch)
        wait_for(lambda: receiver.got)
        wait_for(lambda: one(conn).unfinished == 0)
    assert kinds(receiver)[0] == ("opened", str(id_))
    # What the end of the server closed waits for the next one who sends.
    with recovery.serve(dsn, "api-1", webhooks=True):
        wait_for(lambda: ("closed", str(id_)) in kinds(receiver))
    assert receiver.got[-1].json["data"]["reason"] == "shutdown"


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_through_a_pooler(
    conn: Connection, jobs: Any, add: Add, close: Close, receiver: Receiver, bouncer: Any, mode: str
) -> None:
    add(receiver)
    (id_,) = jobs(None)
    with webhooks.deliver(bouncer(mode).dsn, poll=0.1):
        close(id_)
        wait_for(lambda: len(receiver.got) == 2)
        wait_for(lambda: one(conn).unfinished == 0)
    assert kinds(receiver) == [("opened", str(id_)), ("closed", str(id_))]
