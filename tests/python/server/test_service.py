"""`serve` and `lifespan`: the whole life of a server, also in processes of their own."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

import recovery
from helpers import wait_for

SHOW = sa.text("select nullif(current_setting('recovery.server_epoch', true), '')::bigint")


def servers(conn: psycopg.Connection[Any]) -> list[tuple[str, str | None]]:
    return conn.execute("select name, reason from recovery.server order by epoch").fetchall()


def threads() -> list[str]:
    names = {t.name for t in threading.enumerate() if t.name.startswith("recovery-")}
    return sorted(names - {"recovery-deadline"})  # of a call that is under way


def test_the_whole_life(
    engine: sa.Engine, conn: psycopg.Connection[Any], jobs: Any, states: Any
) -> None:
    left = jobs(recovery.boot(engine, "api-1").epoch, 2)
    with recovery.serve(engine, "api-1", lease=5) as server:
        assert server.report.closed == {"public.job": 2}
        assert len(threads()) == 4
        events = server.bus.subscribe(kind="opened")
        with engine.begin() as connection:
            assert connection.scalar(SHOW) == server.epoch
            connection.execute(sa.text("insert into public.job default values"))
        assert events.get(5).server_epoch == server.epoch
    assert threads() == []
    assert server.fenced
    assert list(events) == []
    (mine,) = set(states()) - set(left)
    assert states()[mine] == ("failed", "shutdown")
    assert servers(conn) == [("api-1", "superseded"), ("api-1", "shutdown")]


async def test_the_whole_life_async(url: sa.URL, conn: psycopg.Connection[Any], jobs: Any) -> None:
    engine = create_async_engine(url)
    async with recovery.serve(engine, "api-1") as server:
        async with engine.begin() as connection:
            assert await connection.scalar(SHOW) == server.epoch
            await connection.execute(sa.text("insert into public.job default values"))
    assert servers(conn) == [("api-1", "shutdown")]
    await engine.dispose()


async def test_a_blocked_event_loop_is_not_dead(dsn: str) -> None:
    async with recovery.serve(dsn, "api-1", lease=1, sweep=0.2) as server:
        time.sleep(2)  # noqa: ASYNC251 - this is the point
        assert not server.fenced
        server.check()


def test_handing_over_at_the_end(dsn: str, jobs: Any, states: Any) -> None:
    with recovery.serve(dsn, "api-2") as heir:
        with recovery.serve(dsn, "api-1", heir=lambda: heir) as server:
            (id_,) = jobs(server.epoch)
        assert states() == {id_: ("running", None)}
    assert states() == {id_: ("failed", "shutdown")}


def test_one_that_was_superseded_ends_quietly(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, states: Any
) -> None:
    with recovery.serve(dsn, "api-1"):
        second = recovery.boot(dsn, "api-1", policy="replace")
        (id_,) = jobs(second.epoch)
    assert states() == {id_: ("running", None)}
    assert servers(conn) == [("api-1", "superseded"), ("api-1", None)]


def test_an_exception_in_the_block_shuts_down_and_goes_on(
    dsn: str, conn: psycopg.Connection[Any]
) -> None:
    with pytest.raises(ZeroDivisionError), recovery.serve(dsn, "api-1"):
        raise ZeroDivisionError
    assert servers(conn) == [("api-1", "shutdown")]


def test_a_failing_start_leaves_nothing(dsn: str, empty_dsn: str) -> None:
    with pytest.raises(recovery.SchemaMismatch), recovery.serve(empty_dsn, "api-1"):
        pass
    with pytest.raises(recovery.InvalidName), recovery.serve(dsn, ""):
        pass
    service = recovery.serve(dsn, "api-1")
    with service, pytest.raises(recovery.InvalidArgument, match="entered once"):
        service.__enter__()
    assert threads() == []


async def test_lifespan(url: sa.URL, conn: psycopg.Connection[Any], jobs: Any) -> None:
    async def epoch(request: Any) -> JSONResponse:
        return JSONResponse(request.app.state.recovery.epoch)

    engine = create_async_engine(url)
    app = Starlette(
        routes=[Route("/", epoch)], lifespan=recovery.lifespan(engine, name="api-1", lease=5)
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            server = app.state.recovery
            assert (await client.get("/")).json() == server.epoch
            async with engine.begin() as connection:
                await connection.execute(sa.text("insert into public.job default values"))
    assert servers(conn) == [("api-1", "shutdown")]
    assert conn.execute("select status, error from public.job").fetchall() == [
        ("failed", "shutdown")
    ]
    await engine.dispose()


PROCESS = """
import asyncio, os, signal, sys, time
import recovery

def handler(number, frame):
    print("the application's own", flush=True)
    raise SystemExit(3)

def plain(dsn):
    with recovery.serve(dsn, "api-1", signals=True) as server:
        print(server.epoch, flush=True)
        while True:
            time.sleep(0.05)

def own_handler(dsn):
    signal.signal(signal.SIGTERM, handler)
    plain(dsn)

def in_asyncio(dsn):
    async def main():
        async with recovery.serve(dsn, "api-1", signals=True) as server:
            print(server.epoch, flush=True)
            await asyncio.sleep(60)
    asyncio.run(main())

def frozen(dsn):
    with recovery.serve(dsn, "api-1", lease=1) as server:
        server.on_fenced(lambda error: print(type(error).__name__, flush=True))
        print(server.epoch, flush=True)
        time.sleep(60)

globals()[sys.argv[1]](sys.argv[2])
"""


@pytest.fixture
def process(dsn: str) -> Any:
    started: list[subprocess.Popen[str]] = []

    def start(what: str) -> tuple[subprocess.Popen[str], int]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(PROCESS), what, dsn],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        return process, int(line)

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("what", "number", "status", "output"),
    [
        ("plain", signal.SIGTERM, 128 + signal.SIGTERM, ""),
        ("plain", signal.SIGINT, -signal.SIGINT, ""),
        ("own_handler", signal.SIGTERM, 3, "the application's own\n"),
        ("in_asyncio", signal.SIGTERM, 128 + signal.SIGTERM, ""),
        ("in_asyncio", signal.SIGINT, -signal.SIGINT, ""),
    ],
)
def test_signals(
    process: Any,
    conn: psycopg.Connection[Any],
    jobs: Any,
    states: Any,
    what: str,
    number: int,
    status: int,
    output: str,
) -> None:
    child, epoch = process(what)
    (id_,) = jobs(epoch)
    child.send_signal(number)
    out, err = child.communicate(timeout=10)
    assert (child.returncode, out) == (status, output), err
    assert "SystemExit" not in err
    assert states() == {id_: ("failed", "shutdown")}
    assert servers(conn) == [("api-1", "shutdown")]


def test_a_stopped_process_finds_itself_demoted(
    process: Any, dsn: str, jobs: Any, states: Any
) -> None:
    child, epoch = process("frozen")
    (id_,) = jobs(epoch)
    child.send_signal(signal.SIGSTOP)
    with recovery.serve(dsn, "api-2", lease=2, sweep=0.1):
        wait_for(lambda: states() == {id_: ("failed", "lease_expired")}, 5)
    child.send_signal(signal.SIGCONT)
    said = [child.stdout.readline()]
    if said == ["LeaseLapsed\n"]:  # by its own clock, before the database has answered
        said.append(child.stdout.readline())
    assert said[-1] == "EpochEnded\n"


def test_a_killed_process_is_recovered_by_its_next_boot(
    process: Any, dsn: str, jobs: Any, states: Any
) -> None:
    child, epoch = process("plain")
    ids = jobs(epoch, 5)
    child.send_signal(signal.SIGKILL)
    child.wait()
    server = recovery.boot(dsn, "api-1")
    assert server.report.closed == {"public.job": 5}
    assert states() == dict.fromkeys(ids, ("failed", "superseded"))


def test_signals_need_the_main_thread(dsn: str) -> None:
    failed: list[Exception] = []

    def enter() -> None:
        try:
            recovery.serve(dsn, "api-1", signals=True).__enter__()
        except recovery.InvalidArgument as error:
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert "main thread" in str(failed[0])


def test_handlers_are_restored(dsn: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with recovery.serve(dsn, "api-1", signals=True):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_fork_does_not_end_its_parents_epoch(dsn: str, conn: psycopg.Connection[Any]) -> None:
    with recovery.serve(dsn, "api-1") as server:
        child = os.fork()
        if child == 0:
            try:
                assert not server._epoch.here
                raise SystemExit  # leaves the block
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

        def leave() -> None:
            server.heartbeat()  # over a connection of its own
            service.__exit__(None, None, None)

        service = recovery.serve(dsn, "api-2")
        service.__enter__()
        other = multiprocessing.get_context("fork").Process(target=leave)
        other.start()
        other.join()
        assert other.exitcode == 0
        assert servers(conn) == [("api-1", None), ("api-2", None)]
        server.heartbeat()
        service.__exit__(None, None, None)


def test_cancelled_while_it_ends(dsn: str, conn: psycopg.Connection[Any]) -> None:
    async def main() -> None:
        async with recovery.serve(dsn, "api-1"):
            entered.set()
            await asyncio.sleep(60)

    async def run() -> None:
        task = asyncio.create_task(main())
        await entered.wait()
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.001)
        with pytest.raises(asyncio.CancelledError):
            await task

    entered = asyncio.Event()
    asyncio.run(run())
    assert servers(conn) == [("api-1", "shutdown")]
    assert threads() == []


def test_cancelled_while_it_begins(dsn: str, conn: psycopg.Connection[Any]) -> None:
    async def main() -> None:
        async with recovery.serve(dsn, "api-1"):
            raise AssertionError("not reached")

    async def run() -> None:
        task = asyncio.create_task(main())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert servers(conn) == [("api-1", "shutdown")]
    assert threads() == []
