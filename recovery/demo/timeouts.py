"""The last act: a stuck tool is cancelled, and what only looks stuck is not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import psutil
import psycopg

import recovery
from recovery.demo import verdict
from recovery.demo.client import Client, Part
from recovery.demo.watched import HUMAN, STUCK, WAITS

__all__ = ["act"]

#: Seconds.
_TIMEOUT = 2
#: For each session of the play, so that nobody else's work in the database is concerned.
_SETTINGS = (
    ("tool_timeout", f"{_TIMEOUT} s", "bash"),
    ("task_timeout", f"{_TIMEOUT} s", None),
    ("idle_timeout", f"{_TIMEOUT} s", None),
    ("cancel_grace", "5 s", None),
)
#: Seconds after which the human answers: more than two timeouts.
_ANSWERS = 4.5


async def act(
    client: Client,
    conn: psycopg.AsyncConnection[Any],
    epoch: int,
    note: Callable[[str], None],
    check: Callable[[], None],
) -> verdict.Watched:
    """Watches the watchdog of a server that does `recovery.demo.watched`.

    Args:
        client: which follows the events.
        conn: of the play, in autocommit mode.
        epoch: of that server.
        note: tells the audience.
        check: raises if the server has ended.

    Raises:
        TimeoutError: the server did not begin its work.
    """

    def tool(title: str) -> Part | None:
        """The first tool of a session, once it runs."""
        for part in client.parts.values():
            session = client.sessions[part.session]
            if part.epoch == epoch and session == (None, title) and part.kind == "tool":
                return part if part.state != "pending" else None
        return None

    def found() -> list[Part]:
        return [part for title in (STUCK, WAITS, HUMAN) if (part := tool(title)) is not None]

    async def until(true: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not true():
            check()
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.02)
        return True

    def ready() -> bool:
        stuck, waits = tool(STUCK), tool(WAITS)
        return (
            len(found()) == 3
            and stuck is not None
            and waits is not None
            and "pid" in stuck.data["state"]["metadata"]
            and "sessionId" in waits.data["state"]["metadata"]
        )

    if not await until(ready, 20):
        raise TimeoutError("api-3 works: not within 20 s")
    begun = time.monotonic()
    stuck, waits, human = (part.id for part in found())
    pid = int(client.parts[stuck].data["state"]["metadata"]["pid"])
    process = psutil.Process(pid)  # with its start: the pid alone could become another's
    child = str(client.parts[waits].data["state"]["metadata"]["sessionId"])
    sessions = [*(client.parts[id_].session for id_ in (stuck, waits, human)), child]
    try:
        for session in sessions:
            for name, value, kind in _SETTINGS:
                await recovery.aconfigure(conn, name, value, kind=kind, group=session)
        note(f"timeouts of {_TIMEOUT} s; stuck: {STUCK!r}, a process {pid} that never ends")
        await until(lambda: not client.parts[stuck].spins, 15)
        note(f"{STUCK!r}: {client.parts[stuck].error or 'goes on'}")
        gone = not (process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        await until(lambda: time.monotonic() > begun + _ANSWERS, 2 * _ANSWERS)
        note("the human answers; the task and the tool that waited are still there")
        await verdict.answer(conn, client.parts[human].session)
        await until(lambda: not client.parts[human].spins, 15)
        await until(lambda: not client.parts[waits].spins, 15)
    finally:
        for session in sessions:
            for name, _, kind in _SETTINGS:
                await recovery.aconfigure(conn, name, None, kind=kind, group=session)
    state, error, _ = await verdict.end_of(conn, stuck)
    untouched = []
    for id_ in (waits, human):
        *end, took = await verdict.end_of(conn, id_)
        untouched.append(end == ["completed", None] and took > 2 * _TIMEOUT * 1000)
    return verdict.Watched(
        cancelled=(state, error) == ("error", "Tool execution was interrupted (tool timed out)"),
        reaped=gone,
        waited=untouched[0],
        held=untouched[1],
    )
