"""Three sessions for the watchdog: one that is stuck, and two that only look so.

The agent of `agent` with what a watchdog needs from an application: it registers its
processes, says what moves, keeps a row for what waits for a human, and stops when asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import psycopg

import recovery
from recovery.demo.agent import Agent, Json, Step, new_id, now

__all__ = ["HUMAN", "STUCK", "WAITS", "Watched"]

STUCK, WAITS, HUMAN = "Follow the log", "Translate the manual", "Clean up the disk"


class Watched(Agent):
    """An agent of a server whose watchdog has timeouts."""

    def __init__(self, conn: psycopg.AsyncConnection[Any], server: recovery.Server) -> None:
        super().__init__(conn)
        self._server = server
        self._turns: dict[str, asyncio.Task[None]] = {}
        server.on_cancel(self._cancelled)

    async def work(self) -> None:
        """Begins the three turns; returns when the server is told to stop."""
        # A real process that nobody will ever end, unless the watchdog does.
        await self._begin(STUCK, self.runs("tail -f build.log", 3600))
        # Silent for longer than any timeout: nothing of it is in the database until its end.
        words = "The text streams to the client, and its row is written when it is complete. " * 3
        child = self.delegates("Translate chapter 1", self.streams(words))
        await self._begin(WAITS, child, self.says("The manual is translated."))
        await self._begin(HUMAN, self.asks("rm -rf build"), self.says("The disk is clean."))
        await asyncio.Event().wait()

    def streams(self, text: str, pause: float = 0.1) -> Step:
        """Streams text to the client alone, a word every `pause` seconds."""

        async def step(session: str, message: str) -> None:
            data: Json = {"type": "text", "text": "", "time": {"start": now()}}
            part = await self._part(session, message, data)
            for word in text.split():
                await asyncio.sleep(pause)
                data["text"] += word + " "
                self._server.touch("agent.session", session, "group")
            data["time"]["end"] = now()
            await self._write("part", part, data)

        return step

    def asks(self, command: str) -> Step:
        """A bash tool that asks a human first."""

        async def work(part: str, state: Json, save: Callable[[], Awaitable[None]]) -> str:
            hold = new_id("per")
            await self._conn.execute(
                "insert into agent.hold (id, session_id, part_id, kind)"
                " select %s, session_id, id, 'permission' from agent.part where id = %s",
                (hold, part),
            )
            while not await self._answered(hold):  # noqa: ASYNC110, the answer is in a row
                await asyncio.sleep(0.1)
            await self._execute(part, 0.3, state, save)
            return "ok"

        return self._tool("bash", {"command": command}, command, work)

    async def _execute(
        self, part: str, seconds: float, state: Json, save: Callable[[], Awaitable[None]]
    ) -> None:
        process = await asyncio.create_subprocess_exec("sleep", str(seconds), process_group=0)
        async with self._server.process("agent.part", part, process):
            state["metadata"] = {"output": "", "pid": process.pid}
            await save()
            await process.wait()

    async def _begin(self, title: str, *steps: Step) -> None:
        session = await self.session(title)
        turn: Coroutine[Any, Any, None] = self.turn(session, title + ".", *steps)
        self._turns[session] = asyncio.create_task(turn)

    async def _answered(self, hold: str) -> bool:
        cursor = await self._conn.execute(
            "select time_ended is not null from agent.hold where id = %s", (hold,)
        )
        row = await cursor.fetchone()
        return row is not None and bool(row[0])

    async def _cancelled(self, cancel: recovery.Cancel) -> None:
        if turn := self._turns.get(cancel.key):
            turn.cancel()
