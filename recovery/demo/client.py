"""The client: reads the sessions once, then follows events. It never reloads.

What begins and what ends comes to it only by events, so a spinner that turns
into an error has come through the bus. Progress (titles, streamed text) is no
transition and makes no event; the client looks for it in the rows that spin.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from recovery import Event

__all__ = ["Client", "Screen", "Server"]

_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

_PARTS = """
select p.id, p.session_id, p.message_id, p.data, p.server_epoch
  from agent.part p join agent.message m on m.id = p.message_id
 where m.data->>'role' = 'assistant' and {} order by p.id collate "C"
"""
_SESSIONS = "select id, parent_id, title from agent.session where {}"


@dataclass(slots=True)
class Part:
    """One line of the screen."""

    id: str
    session: str
    message: str
    data: dict[str, Any]
    epoch: int | None
    reason: str | None = None  #: why it was closed, if not by its own server

    @property
    def kind(self) -> str:
        """``tool``, ``text``, ``reasoning``; others have no line."""
        return str(self.data.get("type"))

    @property
    def state(self) -> str:
        """pending, running, completed or error."""
        if self.kind == "tool":
            return str(self.data["state"]["status"])
        return "completed" if "end" in self.data.get("time", {}) else "running"

    @property
    def spins(self) -> bool:
        return self.kind in {"tool", "text", "reasoning"} and self.state in {"pending", "running"}

    @property
    def start(self) -> int | None:
        """Milliseconds, of pending tools unknown."""
        times = (self.data["state"] if self.kind == "tool" else self.data).get("time", {})
        start = times.get("start")
        return start if isinstance(start, int) else None

    @property
    def label(self) -> str:
        if self.kind != "tool":
            words = str(self.data.get("text", "")).split()[-4:]
            return " ".join(["writes" if self.kind == "text" else "thinks", *words])
        title = self.data["state"].get("title") or "…"
        return f"{self.data['tool']} {title}"

    @property
    def error(self) -> str:
        if self.kind == "tool":
            return str(self.data["state"].get("error", ""))
        return "" if self.reason is None else f"interrupted ({self.reason})"


class Client:
    """What a client knows of the sessions."""

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        self._conn = conn
        self.sessions: dict[str, tuple[str | None, str]] = {}  # id -> parent, title
        self.parts: dict[str, Part] = {}
        #: When the news of a part's end came to this client, by part; seconds since 1970.
        self.told: dict[str, float] = {}

    async def read(self) -> None:
        """The first read."""
        await self._fetch_sessions("true", ())
        await self._fetch("true", ())

    async def on(self, event: Event) -> Part | None:
        """An event: the row it names is read again. Returns the part, if it is one."""
        came = time.time()
        if event.watch != "agent.part":
            return None
        await self._fetch("p.id = %s", (event.key,))
        part = self.parts.get(event.key)
        if part is not None and not part.spins:
            part.reason = event.reason
            self.told.setdefault(part.id, came)
        return part

    async def progress(self) -> None:
        """Reads what spins again. An end that is not announced yet is not taken from here."""
        spinning = [part.id for part in self.parts.values() if part.spins]
        if spinning:
            await self._fetch("p.id = any(%s)", (spinning,), only_spinning=True)

    def spinning(self, epoch: int) -> list[Part]:
        """The spinners of a server."""
        return [part for part in self.parts.values() if part.epoch == epoch and part.spins]

    async def _fetch(
        self, where: str, values: tuple[Any, ...], only_spinning: bool = False
    ) -> None:
        cursor = await self._conn.execute(_PARTS.format(where), values)
        for row in await cursor.fetchall():
            part = Part(*row)
            if only_spinning and not part.spins:
                continue
            if part.session not in self.sessions:
                await self._fetch_sessions("id = %s", (part.session,))
            if part.epoch is not None:
                part.epoch = abs(part.epoch)  # negative: the watchdog took it from this owner
            self.parts[part.id] = part

    async def _fetch_sessions(self, where: str, values: tuple[Any, ...]) -> None:
        cursor = await self._conn.execute(_SESSIONS.format(where), values)
        for id_, parent, title in await cursor.fetchall():
            self.sessions[id_] = parent, title


@dataclass
class Server:
    """What the screen shows of a server."""

    name: str
    pid: int = 0
    state: str = "starts"  #: shown as it is; red if it begins with "killed"
    epochs: list[int] = field(default_factory=list)  #: the newest last


class Screen:
    """Draws the client's sessions; give it to ``rich.live.Live``."""

    def __init__(self, client: Client, servers: list[Server], notes: list[str]) -> None:
        self.client, self.servers, self.notes = client, servers, notes

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        blocks = [list(self._server(s)) for s in self.servers if s.state != "has shut down"]
        # Besides there are the line, three notes and the cursor.
        room = max(6, (console.height or 24) - 5)
        if options.max_width >= 100:
            grid = Table.grid(padding=(0, 2), expand=True)
            for _ in blocks:
                grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
            height = min(room, max(map(len, blocks)))
            grid.add_row(*(_joined(_cut(block, height)) for block in blocks))
            yield grid
        else:
            share = room // len(blocks)
            left = room - sum(min(len(block), share) for block in blocks)
            for block in blocks:
                more = min(left, max(0, len(block) - share))
                left -= more
                yield _joined(_cut(block, min(len(block), share) + more))
        yield Text("─" * options.max_width, style="dim", no_wrap=True)
        for note in self.notes[-3:]:
            yield Text(note, no_wrap=True, overflow="ellipsis")

    def _server(self, server: Server) -> Iterator[Text]:
        dead = server.state.startswith("killed")
        head = Text("● ", style="red" if dead else "green")
        head.append(server.name, style="bold not dim")
        head.append(f"  pid {server.pid}  {server.state}", style="red" if dead else "dim")
        yield head
        by_session: dict[str, list[Part]] = {}
        for part in self.client.parts.values():
            by_session.setdefault(part.session, []).append(part)
        for session, parts in by_session.items():
            parent, title = self.client.sessions[session]
            if parent is None and parts[-1].epoch in server.epochs:
                yield Text(f" {title}", style="bold")
                yield from self._turn(parts, by_session, "  ")

    def _turn(
        self, parts: list[Part], by_session: dict[str, list[Part]], indent: str
    ) -> Iterator[Text]:
        for part in parts:
            if part.message != parts[-1].message or part.kind not in {"tool", "text", "reasoning"}:
                continue
            if part.kind != "tool" and not part.spins and part is not parts[-1]:
                continue  # finished text makes room
            yield _line(part, indent)
            metadata = part.data.get("state", {}).get("metadata", {})
            if child := by_session.get(metadata.get("sessionId", "")):
                yield from self._turn(child, by_session, indent + "  ")


def _line(part: Part, indent: str) -> Text:
    line = Text(indent)
    if part.spins:
        frame = _SPINNER[int(time.time() * 10) % len(_SPINNER)]
        line.append(frame, style="cyan" if part.state == "running" else "dim cyan")
    elif part.error:
        line.append("✘", style="red")
    else:
        line.append("✔", style="green")
    line.append(" " + part.label, style="" if part.spins else "dim")
    if part.spins and part.start is not None:
        line.append(f"  {max(0.0, time.time() - part.start / 1000):.1f} s", style="dim")
    elif part.state == "pending":
        line.append("  arguments arrive", style="dim")
    elif part.error:
        line.append(f"  {part.error}", style="red")
    return line


def _cut(lines: list[Text], height: int) -> list[Text]:
    if len(lines) <= height:
        return lines
    return [*lines[: height - 1], Text(f"  … {len(lines) - height + 1} more", style="dim")]


def _joined(lines: Iterable[Text]) -> Text:
    text = Text("\n").join(lines)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text
