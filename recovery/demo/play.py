"""The play: start everything, kill -9, boot again, and look at what the client saw."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from rich.console import Console
from rich.live import Live

import recovery
from recovery import schema
from recovery.cluster import Cluster
from recovery.demo import timeouts, verdict
from recovery.demo.client import Client, Screen, Server
from recovery.demo.processes import Process, Processes

__all__ = ["run"]

#: Open parts that api-1 must have before it is killed: see `recovery.demo.agent.long`.
_ENOUGH = 6


def run(dsn: str | None, major: int | None) -> int:
    """Plays; 0 if every figure is right, else 1.

    Args:
        dsn: a database to play in: the schema is installed there and stays, the
            sessions of the play go. Without it a PostgreSQL is started, for the play.
        major: its major version.

    Raises:
        PostgresUnavailable, PostgresFailed: there is none, or it does not start.
        RecoveryError: of the database of `dsn`.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    console = Console(highlight=False)
    started = time.monotonic()
    with ExitStack() as stack:
        with console.status("PostgreSQL starts"):
            database = dsn or stack.enter_context(Cluster(major)).create_database("demo")
            schema.upgrade(database)
        servers = database if dsn is not None else _login(database)
        with Processes() as processes:
            play = Play(database, servers, processes, console, started)
            figures = asyncio.run(play.run())
            console.print()
            console.print(figures.table())
        if dsn is not None:
            play.tidy_up()
    return 0 if figures.right else 1


def _login(database: str) -> str:
    """What the servers connect with: a login that is a member of recovery_server, and no more."""
    with psycopg.connect(database, autocommit=True) as conn:
        conn.execute("create role demo_server login in role recovery_server")
    there = urlsplit(database)
    return urlunsplit(there._replace(netloc="demo_server@" + there.netloc.rpartition("@")[2]))


class Play:
    """One run."""

    def __init__(
        self, dsn: str, servers: str, processes: Processes, console: Console, started: float
    ) -> None:
        self._dsn, self._for_servers = dsn, servers
        self._processes, self._console = processes, console
        self._started = started
        self._plain = not console.is_terminal or os.environ.get("CI", "") not in ("", "false", "0")
        self._servers = [Server("api-1"), Server("api-2")]
        self._notes: list[str] = []

    async def run(self) -> verdict.Figures:
        connect = psycopg.AsyncConnection.connect
        async with (
            await connect(self._dsn, autocommit=True) as reading,
            await connect(self._dsn, autocommit=True) as judging,
            recovery.listen(self._dsn) as bus,
        ):
            await self._nobody(judging)
            client = Client(reading)
            with bus.subscribe(maxsize=100_000) as events:
                await client.read()  # after subscribing: what comes in between comes twice
                async with asyncio.TaskGroup() as tasks:
                    following = tasks.create_task(self._follow(client, events))
                    drawing = tasks.create_task(self._draw(client))
                    try:
                        return await self._acts(client, judging)
                    finally:
                        following.cancel()
                        drawing.cancel()

    def tidy_up(self) -> None:
        """Takes the play's sessions out of the database; its events stay."""
        epochs = [epoch for server in self._servers for epoch in server.epochs]
        with psycopg.connect(self._dsn, autocommit=True) as conn:
            conn.execute(
                "delete from agent.session where project_id = 'demo' and server_epoch = any(%s)",
                (epochs,),
            )
            conn.execute("delete from agent.hold where server_epoch = any(%s)", (epochs,))

    async def _acts(self, client: Client, judge: psycopg.AsyncConnection[Any]) -> verdict.Figures:
        version = judge.info.server_version // 10000
        self._note(f"PostgreSQL {version} is up, schema recovery installed; two servers start")
        one, two = self._servers
        first = await self._boot(judge, one, "long")
        second = await self._boot(judge, two, "short")
        dead, healthy = one.epochs[-1], two.epochs[-1]
        await _until(lambda: _enough(client, dead), 20, "api-1 works", first.check)
        await asyncio.sleep(1.5)
        first.check()

        spinners = len(client.spinning(dead))
        first.kill()
        killed = await _clock(judge)
        one.state = "killed -9"
        self._note(f"kill -9 {first.pid} (api-1): {spinners} spinners that nobody will ever stop")
        await asyncio.sleep(1.5)
        orphans = await verdict.open_of(judge, dead)

        self._note("api-1 starts again, under the same name")
        again = await self._boot(judge, one, "short")
        booted = await _booted(judge, one.epochs[-1])
        parts = {part.id for part in client.parts.values() if part.epoch == dead} & orphans

        def told() -> bool:
            return parts <= client.told.keys()

        try:
            await _until(told, 5, "the client hears of every closing", second.check)
        except TimeoutError:
            pass  # the figures will say so
        took = max((client.told.get(part, booted + 99) for part in parts), default=booted) - booted
        self._note(
            f"{len(parts)} spinners are gone {took * 1000:.0f} ms after the boot; api-2 works on"
        )
        await asyncio.sleep(2)
        second.check()

        texts = {id_ for id_ in parts if client.parts[id_].kind != "tool"}
        figures = verdict.Figures(
            orphans=len(orphans),
            closed=len(await verdict.interrupted_since(judge, dead, killed, texts) & orphans),
            falsely=len(await verdict.interrupted_since(judge, healthy, 0)),
            remaining=len(await verdict.open_of(judge, dead)),
            spinners=len(client.spinning(dead)),
            untold=len(parts - client.told.keys()),
            took=took,
            moves=await verdict.moves_since(judge, healthy, killed),
        )
        for server, process in ((one, again), (two, second)):
            process.stop()
            server.state = "shuts down"
        for server, process in ((one, again), (two, second)):
            await asyncio.to_thread(process.wait, 10)
            server.state = "has shut down"
        figures.watched = await self._last_act(client, judge)
        return figures

    async def _last_act(
        self, client: Client, judge: psycopg.AsyncConnection[Any]
    ) -> verdict.Watched:
        self._note("both have shut down; api-3 starts, and its sweeps look for what is stuck")
        server = Server("api-3")
        self._servers.append(server)
        process = await self._boot(judge, server, "watched")
        return await timeouts.act(client, judge, server.epochs[-1], self._note, process.check)

    async def _nobody(self, conn: psycopg.AsyncConnection[Any]) -> None:
        """A name that is in use must not be booted here: that would close its work."""
        cursor = await conn.execute(
            "select name from recovery.server_status"
            " where name in ('api-1', 'api-2', 'api-3') and state not in ('dead', 'ended')"
        )
        if row := await cursor.fetchone():
            raise recovery.NameTaken(
                f"a live server of this database is called {row[0]}, as in the demo",
                hint="use another database, or leave --dsn out",
            )

    async def _boot(
        self, conn: psycopg.AsyncConnection[Any], server: Server, script: str
    ) -> Process:
        """Starts a server's process and waits for its epoch."""
        process = self._processes.start(server.name, script, self._for_servers)
        server.pid, server.state = process.pid, "boots"

        async def epoch() -> int | None:
            process.check()
            cursor = await conn.execute(
                "select epoch from recovery.server where name = %s and pid = %s and ended is null",
                (server.name, process.pid),
            )
            row = await cursor.fetchone()
            return row[0] if row else None

        deadline = time.monotonic() + 30
        while (found := await epoch()) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{server.name} did not boot within 30 s")
            await asyncio.sleep(0.02)
        server.epochs.append(found)
        server.state = f"epoch {found}"
        return process

    async def _follow(self, client: Client, events: recovery.Subscription) -> None:
        async for event in events:
            part = await client.on(event)
            if self._plain and part is not None and part.kind == "tool" and not part.spins:
                names = {epoch: server.name for server in self._servers for epoch in server.epochs}
                mark = f"✘ {part.label}  {part.error}" if part.error else f"✔ {part.label}"
                self._note(f"  {names.get(part.epoch or 0, '?')}  {mark}")

    async def _draw(self, client: Client) -> None:
        if self._plain:
            while True:
                await client.progress()
                await asyncio.sleep(0.25)
        screen = Screen(client, self._servers, self._notes)
        with Live(screen, console=self._console, auto_refresh=False) as live:
            while True:
                await client.progress()
                for _ in range(3):
                    live.refresh()
                    await asyncio.sleep(0.08)

    def _note(self, text: str) -> None:
        text = f"{time.monotonic() - self._started:5.1f} s  {text}"
        self._notes.append(text)
        if self._plain:
            self._console.print(text, soft_wrap=True)


def _enough(client: Client, epoch: int) -> bool:
    spinning = client.spinning(epoch)
    states = [part.state for part in spinning]
    return len(spinning) >= _ENOUGH and states.count("pending") <= 1


async def _until(
    true: Callable[[], bool], seconds: float, what: str, check: Callable[[], None]
) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        await asyncio.sleep(0.01)


async def _clock(conn: psycopg.AsyncConnection[Any]) -> int:
    """Milliseconds of the database clock."""
    cursor = await conn.execute("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def _booted(conn: psycopg.AsyncConnection[Any], epoch: int) -> float:
    """When an epoch began, in seconds since 1970."""
    cursor = await conn.execute("select booted from recovery.server where epoch = %s", (epoch,))
    row = await cursor.fetchone()
    assert row is not None
    return float(row[0].timestamp())
