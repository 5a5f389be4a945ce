"""A small agent: sessions, turns, streamed text, tools that are real processes, subagents.

It stands for an application of yours. It writes the shapes that opencode writes,
and knows nothing of recovery: its rows get their epoch from the connection.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

__all__ = ["SCRIPTS", "Agent"]

Json = dict[str, Any]
#: A part of a turn: called with the session and the message.
Step = Callable[[str, str], Awaitable[None]]

_count = itertools.count()


def now() -> int:
    """Milliseconds, as in all of the store."""
    return time.time_ns() // 1_000_000


def new_id(prefix: str) -> str:
    """Ids ascend within a process, as opencode's do."""
    return f"{prefix}_{time.time_ns():016x}{next(_count) % 0x10000:04x}"


class Agent:
    """Runs turns over one connection in autocommit mode, any number at once."""

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        self._conn = conn

    async def session(self, title: str, parent: str | None = None) -> str:
        """Begins a session; a subagent's has a parent."""
        id_, at = new_id("ses"), now()
        await self._conn.execute(
            "insert into agent.session (id, parent_id, project_id, slug, directory, title, version,"
            " time_created, time_updated) values (%s, %s, 'demo', %s, '/demo', %s, '1', %s, %s)",
            (id_, parent, id_[-8:], title, at, at),
        )
        return id_

    async def turn(self, session: str, prompt: str, *steps: Step) -> None:
        """A user's prompt and the assistant's answer, step by step."""
        user = await self._message(session, {"role": "user", "time": {"created": now()}})
        await self._part(session, user, {"type": "text", "text": prompt})
        data: Json = {"role": "assistant", "parentID": user, "time": {"created": now()}}
        message = await self._message(session, data)
        for step in steps:
            await step(session, message)
        data["time"]["completed"] = now()
        data["finish"] = "stop"
        await self._write("message", message, data)

    def says(self, text: str, pause: float = 0.08, kind: str = "text") -> Step:
        """Streams text (or ``kind="reasoning"``), a word every `pause` seconds."""

        async def step(session: str, message: str) -> None:
            data: Json = {"type": kind, "text": "", "time": {"start": now()}}
            part = await self._part(session, message, data)
            for word in text.split(" "):
                await asyncio.sleep(pause)
                data["text"] += word + " "
                await self._write("part", part, data)
            data["time"]["end"] = now()
            await self._write("part", part, data)

        return step

    def runs(self, command: str, seconds: float, arguments: float = 0.1) -> Step:
        """A bash tool. What it really runs is ``sleep``; `arguments`: seconds until it starts."""

        async def work(part: str, state: Json, save: Callable[[], Awaitable[None]]) -> str:
            await self._execute(part, seconds, state, save)
            return "ok"

        return self._tool("bash", {"command": command}, command, work, arguments)

    async def _execute(
        self, part: str, seconds: float, state: Json, save: Callable[[], Awaitable[None]]
    ) -> None:
        process = await asyncio.create_subprocess_exec("sleep", str(seconds))
        state["metadata"] = {"output": "", "pid": process.pid}
        await save()
        await process.wait()

    def delegates(self, title: str, *steps: Step) -> Step:
        """A task tool: a child session that does `steps`."""

        async def work(part: str, state: Json, save: Callable[[], Awaitable[None]]) -> str:
            child = await self.session(title, parent=state["metadata"]["parentSessionId"])
            state["metadata"]["sessionId"] = child
            await save()
            await self.turn(child, title, *steps)
            return "done"

        return self._tool("task", {"description": title}, title, work)

    def together(self, *steps: Step) -> Step:
        """Steps side by side."""

        async def step(session: str, message: str) -> None:
            await asyncio.gather(*(one(session, message) for one in steps))

        return step

    def _tool(
        self,
        tool: str,
        input_: Json,
        title: str,
        work: Callable[[str, Json, Callable[[], Awaitable[None]]], Awaitable[str]],
        arguments: float = 0.1,
    ) -> Step:
        async def step(session: str, message: str) -> None:
            data: Json = {"type": "tool", "tool": tool, "callID": new_id("call")}
            data["state"] = {"status": "pending", "input": {}, "raw": ""}
            part = await self._part(session, message, data)

            async def save() -> None:
                await self._write("part", part, data)

            await asyncio.sleep(arguments)
            state: Json = {"status": "running", "input": input_, "title": title}
            state["time"] = {"start": now()}
            state["metadata"] = {"parentSessionId": session} if tool == "task" else {}
            data["state"] = state
            await save()
            state["output"] = await work(part, state, save)
            state["status"] = "completed"
            state["time"]["end"] = now()
            await save()

        return step

    async def _message(self, session: str, data: Json) -> str:
        id_, at = new_id("msg"), now()
        await self._conn.execute(
            "insert into agent.message (id, session_id, time_created, time_updated, data)"
            " values (%s, %s, %s, %s, %s)",
            (id_, session, at, at, Jsonb(data)),
        )
        return id_

    async def _part(self, session: str, message: str, data: Json) -> str:
        id_, at = new_id("prt"), now()
        await self._conn.execute(
            "insert into agent.part (id, message_id, session_id, time_created, time_updated, data)"
            " values (%s, %s, %s, %s, %s, %s)",
            (id_, message, session, at, at, Jsonb(data)),
        )
        return id_

    async def _write(self, table: str, id_: str, data: Json) -> None:
        await self._conn.execute(
            f"update agent.{table} set data = %s, time_updated = %s where id = %s",
            (Jsonb(data), now(), id_),
        )


async def long(agent: Agent) -> None:
    """Three sessions that are in the middle of it for a minute: pending and running tools,
    a subagent, streamed text, reasoning."""

    async def login() -> None:
        session = await agent.session("Fix the login page")
        await agent.turn(
            session,
            "The login page is broken.",
            agent.says("I run the tests and the build.", 0.04),
            agent.together(
                agent.runs("git status", 0.3),
                agent.runs("make test", 60),
                agent.runs("npm run build", 60),
                agent.runs("npm run lint", 60, arguments=60),
            ),
        )

    async def usages() -> None:
        session = await agent.session("Who calls login()?")
        await agent.turn(
            session,
            "Find all callers of login().",
            agent.delegates(
                "Search the tree",
                agent.says("Searching.", 0.04, "reasoning"),
                agent.runs("rg 'login\\(' src/", 60),
            ),
        )

    async def notes() -> None:
        session = await agent.session("Release notes")
        words = "This release makes the login page faster and fixes the build. " * 40
        await agent.turn(session, "Write the release notes.", agent.says(words))

    await asyncio.gather(login(), usages(), notes())


async def short(agent: Agent) -> None:
    """Two sessions with a turn of about two seconds after the other, for ever."""

    async def checks() -> None:
        session = await agent.session("Watch the cluster")
        for host in itertools.cycle(["db-1", "db-2", "db-3"]):
            await agent.turn(
                session,
                f"How is {host}?",
                agent.together(agent.runs(f"ping -c1 {host}", 0.7), agent.runs("df -h /", 1.1)),
                agent.says(f"{host} is well, its disk is half full.", 0.06),
            )

    async def review() -> None:
        session = await agent.session("Review the pull requests")
        for number in itertools.count(41):
            await agent.turn(
                session,
                f"Review #{number}.",
                agent.says("Let me read it.", 0.08, "reasoning"),
                agent.delegates(f"Read the diff of #{number}", agent.runs("git diff main", 0.9)),
                agent.says("Looks good to me.", 0.06),
            )

    await asyncio.gather(checks(), review())


#: What a server can be told to do.
SCRIPTS: dict[str, Callable[[Agent], Awaitable[None]]] = {"long": long, "short": short}
