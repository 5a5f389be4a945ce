"""What comes, to clients that are there: filters, slow ones, the end of a stream, the database."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

import recovery
from helpers import wait_for
from python.asgi.clients import Curl
from python.asgi.conftest import Serve
from recovery.asgi import Hub, anyone
from recovery.cluster import Cluster
from sql.jobs import value


def wordy(conn: psycopg.Connection[Any], epoch: int, count: int) -> None:
    """Jobs whose events are large: soon no socket holds them any more."""
    conn.execute(
        "insert into public.job (server_epoch, error)"
        " select %s, repeat('x', 3000) from generate_series(1, %s)",
        [epoch, count],
    )


def keys(curl: Curl) -> list[str]:
    return [frame.data["key"] for frame in curl.rows]


def test_rows_come_as_they_are(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, serve: Serve
) -> None:
    owner = recovery.boot(dsn, "api-1")
    url = serve(Hub(dsn).events(authorize=anyone))
    with Curl(url) as curl:
        curl.connected()
        assert curl.status == 200
        assert "content-type: text/event-stream; charset=utf-8" in curl.head
        assert "cache-control: no-store, no-transform" in curl.head
        (id_,) = jobs(owner.epoch)
        recovery.boot(dsn, "api-1")
        opened, closed = curl.wait_rows(2)
    rows = conn.execute("select id, key, reason, new from recovery.event order by id").fetchall()
    assert [
        (f.data["id"], f.data["key"], f.data["reason"], f.data["new"]) for f in curl.rows
    ] == rows
    assert (opened.data["kind"], closed.data["kind"]) == ("opened", "closed")
    assert opened.data["key"] == str(id_)
    assert opened.event == closed.event == "message"
    assert curl.frames[0].event == "server.connected"
    assert (opened.id, closed.id) == (str(opened.data["id"]), str(closed.data["id"]))


def test_each_filter(dsn: str, conn: psycopg.Connection[Any], jobs: Any, serve: Serve) -> None:
    conn.execute("create table public.task (id int primary key, done boolean not null)")
    recovery.attach(conn, "task", open="not done", close={"done": "true"}, topic="task")
    owner = recovery.boot(dsn, "api-1")
    url = serve(Hub(dsn).events(authorize=anyone))
    wanted = {
        "": 8,
        "?watch=public.job": 6,
        "?watch=public.job&watch=public.task": 8,
        "?group=s2": 2,
        "?group=s1&group=s2": 6,
        "?group=s1&kind=closed": 2,
        "?topic=task": 2,
        "?reason=superseded": 4,
        "?reason=": 4,
        "?reason=&reason=superseded": 8,
        "?kind=closed&topic=job&watch=public.job&group=s2&reason=superseded": 1,
        "?group=none": 0,
    }
    clients = {query: Curl(url + "/" + query) for query in wanted}
    try:
        for curl in clients.values():
            curl.__enter__()
        for curl in clients.values():
            curl.connected()
        jobs(owner.epoch, 2, session="s1")
        jobs(owner.epoch, 1, session="s2")
        conn.execute(
            "insert into task (id, done, server_epoch) values (1, false, %s)", [owner.epoch]
        )
        recovery.boot(dsn, "api-1")
        clients[""].wait_rows(8)
        for query, curl in clients.items():
            curl.wait_rows(wanted[query])
            assert len(curl.rows) == wanted[query], query
    finally:
        for curl in clients.values():
            curl.__exit__(None, None, None)


def test_what_the_host_shows_at_all(dsn: str, jobs: Any, serve: Serve) -> None:
    owner = recovery.boot(dsn, "api-1")
    hub = Hub(dsn)
    shown = hub.events(authorize=anyone, watch="public.job", kind=["closed", "requeued"])
    app = Starlette(routes=[Route("/events", shown), Mount("/under", shown)])
    url = serve(app, hub)
    with Curl(f"{url}/events") as every, Curl(f"{url}/under/?kind=requeued") as fewer:
        every.connected()
        fewer.connected()
        jobs(owner.epoch)
        recovery.boot(dsn, "api-1")
        assert [frame.type for frame in every.wait_rows(1)] == ["closed"]
        assert fewer.rows == []
    with Curl(f"{url}/events?kind=opened") as refused:
        assert refused.ended().status == 400


def test_heartbeats_say_where_it_stands(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, serve: Serve
) -> None:
    owner = recovery.boot(dsn, "api-1")
    url = serve(Hub(dsn, heartbeat=0.2).events(authorize=anyone))
    with Curl(f"{url}/?group=other") as curl:
        began = int(curl.connected().last_id)
        jobs(owner.epoch, 5)
        newest = value(conn, "select max(id) from recovery.event")
        assert newest > began
        # Nothing of it is for this client, but it need not look at it again.
        curl.wait(lambda: int(curl.last_id) >= newest, "a heartbeat with the position")
        assert curl.rows == []
        assert {frame.event for frame in curl.frames} == {"server.connected", "server.heartbeat"}


def test_what_is_in_flight_shows_in_the_id(
    dsn: str, conn: psycopg.Connection[Any], connect: Any, jobs: Any, serve: Serve
) -> None:
    """An id below the newest may still appear: a client that goes on must not pass over it."""
    owner = recovery.boot(dsn, "api-1")
    jobs(owner.epoch)
    url = serve(Hub(dsn, heartbeat=0.2).events(authorize=anyone))
    with Curl(url) as curl:
        curl.connected()
        late = connect(autocommit=False)
        late.execute(
            "insert into public.job (server_epoch, session) values (%s, 'late')", [owner.epoch]
        )
        jobs(owner.epoch, session="quick")
        (quick,) = curl.wait_rows(1)
        assert quick.data["group"] == "quick"
        assert quick.id is not None
        safe, _, above = quick.id.partition("~")
        assert int(safe) < quick.data["id"]
        assert int(safe) + int(above) == quick.data["id"]
        late.commit()
        assert curl.wait_rows(2)[1].data["group"] == "late"
        jobs(owner.epoch, session="last")
        last = curl.wait_rows(3)[2]
        curl.wait(lambda: int(curl.last_id) >= last.data["id"], "all is settled")


def test_a_slow_client_is_told_where_to_go_on(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, serve: Serve
) -> None:
    """And holds up nobody."""
    owner = recovery.boot(dsn, "api-1")
    hub = Hub(dsn, maxsize=500)
    url = serve(hub.events(authorize=anyone))
    with Curl(url) as slow, Curl(url) as quick:
        slow.connected()
        quick.connected()
        slow.process.send_signal(signal.SIGSTOP)
        for turn in range(1, 41):  # more than sockets and queue hold
            wordy(conn, owner.epoch, 250)
            quick.wait_rows(250 * turn)
        total = len(quick.rows)
        slow.process.send_signal(signal.SIGCONT)
        slow.ended(20)
        end = slow.frames[-1]
        assert (end.event, end.data["reason"]) == ("stream.end", "slow")
        got = keys(slow)
        assert got == [str(n) for n in range(1, len(got) + 1)]  # without a hole
        assert 500 <= len(got) < total
        assert end.data["after"] == end.id == slow.rows[-1].id
        jobs(owner.epoch)
        quick.wait_rows(total + 1)
        wait_for(lambda: hub.connected == 1)


def test_a_client_that_takes_nothing_at_all_is_dropped(
    dsn: str,
    conn: psycopg.Connection[Any],
    jobs: Any,
    serve: Serve,
    caplog: pytest.LogCaptureFixture,
) -> None:
    owner = recovery.boot(dsn, "api-1")
    hub = Hub(dsn, maxsize=500, patience=0.5)
    url = serve(hub.events(authorize=anyone))
    with caplog.at_level(logging.INFO, "recovery"), Curl(url) as stuck:
        stuck.connected()
        stuck.process.send_signal(signal.SIGSTOP)
        for _ in range(40):
            wordy(conn, owner.epoch, 250)
        wait_for(lambda: hub.connected == 0, 20)
        assert "takes nothing any more" in caplog.text


def test_a_client_that_goes_is_forgotten(dsn: str, serve: Serve) -> None:
    hub = Hub(dsn)
    url = serve(hub.events(authorize=anyone))
    with Curl(url) as curl:
        curl.connected()
        assert hub.connected == 1
    wait_for(lambda: hub.connected == 0)


def test_a_stream_has_its_time(dsn: str, jobs: Any, serve: Serve) -> None:
    owner = recovery.boot(dsn, "api-1")
    url = serve(Hub(dsn, lifetime=0.7, heartbeat=30).events(authorize=anyone))
    with Curl(url) as curl:
        curl.connected()
        jobs(owner.epoch)
        curl.ended()
    assert curl.frames[-1].data == {"reason": "lifetime", "after": curl.rows[-1].id}


async def test_the_end_of_the_hub_is_told(dsn: str, jobs: Any, serve: Serve) -> None:
    hub = Hub(dsn)
    inner = hub.events(authorize=anyone)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/end":
            await hub.close()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await inner(scope, receive, send)

    url = serve(app, hub)
    owner = await recovery.aboot(dsn, "api-1")
    with Curl(url) as curl:
        await asyncio.to_thread(curl.connected)
        with Curl(f"{url}/end") as end:
            await asyncio.to_thread(end.ended)
        await asyncio.to_thread(curl.ended)
        assert curl.frames[-1].data["reason"] == "shutdown"
    with Curl(url) as again:  # it starts anew
        await asyncio.to_thread(again.connected)
        jobs(owner.epoch)
        await asyncio.to_thread(again.wait_rows, 1)


def test_too_many(dsn: str, serve: Serve) -> None:
    url = serve(Hub(dsn, clients=1).events(authorize=anyone))
    with Curl(url) as first, Curl(url) as _:
        first.connected()
        with Curl(url) as third:
            assert third.ended().status == 503
            assert "retry-after: 5" in third.head


def test_one_connection_listens_for_all(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, serve: Serve
) -> None:
    owner = recovery.boot(dsn, "api-1")
    hub = Hub(dsn)
    app = Starlette(
        routes=[
            Route("/rows", hub.events(authorize=anyone)),
            Route("/event", hub.agent_events(authorize=anyone)),
        ]
    )
    url = serve(app, hub)
    with Curl(f"{url}/rows") as one, Curl(f"{url}/rows") as two, Curl(f"{url}/event") as three:
        for curl in (one, two, three):
            curl.connected()
        jobs(owner.epoch)
        one.wait_rows(1)
        two.wait_rows(1)
        names = conn.execute(
            "select application_name from pg_stat_activity where datname = current_database()"
            " and application_name like '%sse%'"
        ).fetchall()
    assert names == [("recovery:listener:sse",)]
    assert three.rows == []


# The database.


def test_the_database_is_down_and_comes_back(jobs_on: Any, serve: Serve) -> None:
    """Streams stay open meanwhile, those of clients that come now, too."""
    with Cluster() as cluster:
        dsn = cluster.dsn()
        jobs = jobs_on(dsn)
        owner = recovery.boot(dsn, "api-1")
        hub = Hub(dsn, heartbeat=0.3)
        url = serve(hub.events(authorize=anyone))
        with Curl(url) as early:
            early.connected()
            jobs(owner.epoch)
            early.wait_rows(1)
            cluster.stop()
            beats = len(early.frames)
            early.wait(lambda: len(early.frames) > beats + 2, "heartbeats go on")
            with Curl(url) as late:
                late.connected()
                cluster.start()
                recovery.boot(dsn, "api-1")
                assert early.wait_rows(2, 30)[1].data["kind"] == "closed"
                assert late.wait_rows(1, 30)[0].data["kind"] == "closed"


def test_a_database_that_is_not_there_yet(jobs_on: Any, serve: Serve) -> None:
    with Cluster() as cluster:
        dsn = cluster.dsn()
        jobs = jobs_on(dsn)
        owner = recovery.boot(dsn, "api-1")
        cluster.stop()
        url = serve(Hub(dsn, heartbeat=0.2).events(authorize=anyone))
        with Curl(url) as curl:
            assert curl.status == 200
            curl.wait(lambda: "the database can't be reached" in curl.comments, "a comment")
            cluster.start()
            curl.connected()
            jobs(owner.epoch)
            curl.wait_rows(1)


def test_a_database_without_the_schema(
    empty_dsn: str, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    url = serve(Hub(empty_dsn).events(authorize=anyone))
    with Curl(url) as curl:
        assert curl.ended().status == 500
    assert "recovery migrate upgrade" in caplog.text


def test_wrong_numbers(dsn: str) -> None:
    for wrong in (
        {"heartbeat": 0},
        {"clients": 0},
        {"maxsize": 0},
        {"max_bytes": -1},
        {"patience": 0},
        {"lifetime": 0},
        {"poll": 0},
    ):
        with pytest.raises(recovery.InvalidArgument, match="greater than 0"):
            Hub(dsn, **wrong)
    with pytest.raises(recovery.InvalidArgument, match="authorize"):
        Hub(dsn).events(authorize=None)  # type: ignore[arg-type]
    with pytest.raises(recovery.InvalidArgument, match="that parameter is ours"):
        Hub(dsn).events(authorize=anyone, parameters=["after"])
