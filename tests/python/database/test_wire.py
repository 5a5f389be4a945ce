"""Asking libpq itself: the same answers as by a cursor, a deadline, and no notification lost."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from helpers import wait_for
from recovery import calls
from recovery.calls.core import nothing
from recovery.database.wire import Wire
from recovery.errors import ConnectionFailed, ConsumerUnknown, InvalidArgument
from tcp_proxy import Proxy

Connection = psycopg.Connection[Any]


@pytest.fixture
def ours(connect: Callable[..., Connection]) -> Connection:
    made = connect()
    made.autocommit = True
    return made


def test_the_answer_is_that_of_a_cursor(ours: Connection, jobs: Callable[..., list[int]]) -> None:
    jobs(None, 3)
    wire = Wire(ours)
    for call in (calls.event.page(0), calls.event.page(99, "{[200,300)}"), calls.event.tail()):
        assert wire.run(call, 5) == calls.run(ours, call)
        assert wire.run(call, 5) == calls.run(ours, call)


def test_errors_are_those_of_a_cursor(ours: Connection) -> None:
    wire = Wire(ours)
    with pytest.raises(ConsumerUnknown):
        wire.run(calls.consumer.fetch("nobody"), 5)
    with pytest.raises(InvalidArgument):
        wire.run(calls.event.page(0, limit=0), 5)
    assert wire.run(calls.event.floor(), 5) == 0
    with pytest.raises(TypeError, match="watch"):
        wire.run(calls.event.page(0, watch=["x"]), 5)
    assert wire.run(calls.event.floor(), 5) == 0


def test_a_dead_link_ends_at_the_deadline(proxy: Proxy) -> None:
    with psycopg.connect(proxy.dsn, autocommit=True) as conn:
        wire = Wire(conn)
        assert wire.run(calls.event.floor(), 5) == 0
        proxy.freeze()
        with pytest.raises(ConnectionFailed, match="in time"):
            wire.run(calls.event.floor(), 0.3)
        assert conn.closed


def test_who_is_interrupted_leaves_no_answer_to_the_next_question(
    ours: Connection, conn: Connection
) -> None:
    """Ctrl-C while it waits: what comes later must not be taken for another answer."""
    wire = Wire(ours)
    slow = calls.Call("select pg_sleep(20)", {}, nothing)
    pid = ours.info.backend_pid

    def interrupt() -> None:
        def sleeps() -> bool:
            row = conn.execute(
                "select wait_event = 'PgSleep' from pg_stat_activity where pid = %s", (pid,)
            ).fetchone()
            return bool(row and row[0])

        wait_for(sleeps, 10, what="the question is being answered")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        wire.run(slow, 60)
    thread.join()
    assert ours.closed


@pytest.mark.parametrize("how", ["wire", "cursor", "idle"])
def test_no_notification_is_lost(ours: Connection, conn: Connection, how: str) -> None:
    """Whether it comes while the wire asks, while somebody else does, or while nobody does."""
    wire = Wire(ours)
    ours.execute("listen recovery")
    assert not wire.wait(0)
    conn.execute("select pg_notify('recovery', '')")
    if how == "wire":
        wire.run(calls.event.floor(), 5)
    elif how == "cursor":
        calls.run(ours, calls.event.floor())
    assert wire.wait(5)
    assert not wire.wait(0)


def test_what_is_read_ahead_is_what_a_page_gives(
    ours: Connection, conn: Connection, jobs: Callable[..., list[int]]
) -> None:
    wire = Wire(ours)

    def both(newest: int) -> tuple[calls.event.Page | None, calls.event.Page]:
        ahead, page = wire.run(calls.event.ahead(newest), 5), wire.run(calls.event.page(newest), 5)
        heard = wire.run(calls.event.ahead(newest, heard=True), 5)
        assert heard == (ahead if page.events else None)
        return ahead, page

    jobs(None)
    newest = wire.run(calls.event.page(0), 5).newest
    ahead, page = both(newest)
    assert ahead == page
    assert page.events == ()
    jobs(None, 3)
    ahead, page = both(newest)
    assert ahead == page
    assert len(page.events) == 3
    # A gap, many, several in a record: a page has to look.
    conn.execute("select nextval('recovery.outbox_id_seq')")
    jobs(None)
    assert both(newest)[0] is None
    newest = both(newest)[1].newest
    jobs(None, 12)
    ahead, page = both(newest)
    assert ahead is None
    assert len(page.events) == 12
    (epoch, *_) = conn.execute("call recovery.boot('api')").fetchone() or ()
    conn.execute("alter table public.job alter session drop not null")
    conn.execute(
        "insert into public.job (server_epoch, session) values (%(e)s, null), (%(e)s, null)",
        {"e": epoch},
    )
    newest = both(page.newest)[1].newest
    conn.execute("call recovery.boot('api')")
    ahead, page = both(newest)
    assert ahead is None
    assert [event.kind for event in page.events].count("closed") == 2


def test_what_was_heard_of_may_be_in_the_next_partition(
    ours: Connection, conn: Connection, jobs: Callable[..., list[int]]
) -> None:
    """Each takes two billion ids; the next one also begins when a sweep leaves ids out."""
    wire = Wire(ours)

    def heard(newest: int) -> calls.event.Page | None:
        return wire.run(calls.event.ahead(newest, heard=True), 5)

    for turn in (1, 3, 4):  # the ring of four begins anew with the last
        edge = turn * 2_000_000_000
        conn.execute("select setval('recovery.outbox_id_seq', %s)", [edge - 200])
        jobs(None, 2)
        first, second = heard(edge - 101), heard(edge - 1)
        assert first is not None
        assert second is not None
        assert [event.id for event in first.events + second.events] == [edge - 100, edge]
        assert first.newest == edge - 1
        (ahead, page) = (
            wire.run(call(edge - 101), 5) for call in (calls.event.ahead, calls.event.page)
        )
        assert [event.id for event in page.events] == [edge - 100, edge]
        assert ahead == page
    newest = edge + 99
    conn.execute("select setval('recovery.outbox_id_seq', %s)", [edge + 2_000_000_000])
    jobs(None)
    assert heard(newest) is None
    assert wire.run(calls.event.ahead(newest), 5) is None
    assert len(wire.run(calls.event.page(newest), 5).events) == 1
