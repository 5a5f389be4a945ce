"""Inside of the hosts' own applications, and at the end of their servers."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route

import recovery
from helpers import wait_for
from python.asgi.clients import Curl
from python.asgi.conftest import Process, Serve
from recovery.asgi import Hub, anyone


def test_in_fastapi_with_a_middleware_of_its_own(dsn: str, jobs: Any, serve: Serve) -> None:
    fastapi = pytest.importorskip("fastapi")
    hub = Hub(dsn, heartbeat=0.3)
    app = fastapi.FastAPI()
    app.add_route("/events", hub.events(authorize=anyone))
    app.mount("/under", hub.events(authorize=anyone, kind="closed"))

    @app.middleware("http")
    async def stamp(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-host"] = "yes"
        return response

    url = serve(app, hub)
    owner = recovery.boot(dsn, "api-1")
    with Curl(f"{url}/events") as every, Curl(f"{url}/under/") as closed:
        every.connected()
        closed.connected()
        assert "x-host: yes" in every.head
        jobs(owner.epoch, 2)
        recovery.boot(dsn, "api-1")
        assert len(every.wait_rows(4)) == 4
        assert {frame.type for frame in closed.wait_rows(2)} == {"closed"}
        every.wait_type("server.heartbeat")
    wait_for(lambda: hub.connected == 0)


def test_behind_gzip_nothing_is_held_back(dsn: str, jobs: Any, serve: Serve) -> None:
    hub = Hub(dsn)
    app = Starlette(
        routes=[Route("/events", hub.events(authorize=anyone))],
        middleware=[Middleware(GZipMiddleware, minimum_size=1)],
    )
    url = serve(app, hub)
    owner = recovery.boot(dsn, "api-1")
    with Curl(f"{url}/events", options=("--compressed",)) as curl:
        curl.connected()
        jobs(owner.epoch)
        curl.wait_rows(1)


def test_a_websocket_is_refused(dsn: str, serve: Serve) -> None:
    sent: list[Any] = []
    stream = Hub(dsn).events(authorize=anyone)

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is asked")

    asyncio.run(stream({"type": "websocket"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_another_event_loop_begins_anew(dsn: str, conn: psycopg.Connection[Any], jobs: Any) -> None:
    """As in test suites; and the connections of the old one do not stay."""
    hub = Hub(dsn)
    stream = hub.events(authorize=anyone)
    owner = recovery.boot(dsn, "api-1")

    async def visit() -> bytes:
        got = b""
        arrived = asyncio.Event()

        async def receive() -> Any:
            await arrived.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            nonlocal got
            got += message.get("body", b"")
            if b"server.connected" in message.get("body", b""):
                await asyncio.to_thread(jobs, owner.epoch)
            if b'"kind": "opened"' in got:
                arrived.set()

        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
        await asyncio.wait_for(stream(scope, receive, send), 20)
        return got

    for _ in range(3):
        assert b'"kind": "opened"' in asyncio.run(visit())
    listening = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and application_name = 'recovery:listener:sse'"
    )
    wait_for(lambda: conn.execute(listening).fetchone() == (1,))
    asyncio.run(hub.close())
    wait_for(lambda: conn.execute(listening).fetchone() == (0,))


def test_what_authorize_raises_goes_to_the_hosts_handlers(dsn: str, serve: Serve) -> None:
    from starlette.exceptions import HTTPException
    from starlette.responses import PlainTextResponse

    def authorize(request: Any) -> bool:
        raise HTTPException(401, "no")

    async def handler(request: Any, error: Any) -> PlainTextResponse:
        return PlainTextResponse("the host's own words", 418)

    hub = Hub(dsn)
    app = Starlette(
        routes=[
            Route("/events", hub.events(authorize=authorize)),
            Mount("/under", hub.events(authorize=authorize)),
        ],
        exception_handlers={401: handler},
    )
    url = serve(app, hub)
    for path in ("/events", "/under/"):
        with Curl(url + path) as curl:
            assert curl.ended().status == 418


def test_sigterm_ends_a_server_that_has_clients(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, process: Callable[..., Process]
) -> None:
    server = process()
    owner = recovery.boot(dsn, "api-1")
    with Curl(f"{server.url}/rows") as curl:
        curl.connected()
        jobs(owner.epoch)
        curl.wait_rows(1)
        server.process.send_signal(signal.SIGTERM)
        try:
            server.process.wait(15)
        except subprocess.TimeoutExpired:
            raise AssertionError(server.output) from None
        curl.ended()
    connections = "select count(*) from pg_stat_activity where application_name like '%sse%'"
    wait_for(
        lambda: (
            conn.execute(f"{connections} and datname = current_database()".encode()).fetchone()
            == (0,)
        )
    )
