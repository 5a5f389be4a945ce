"""The closing table: what happened, as the tables say and not as the package says.

These queries know the three tables and two epochs and nothing else: no view,
routine, event or report of recovery is asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from rich.table import Table
from rich.text import Text

__all__ = [
    "Figures",
    "Watched",
    "answer",
    "end_of",
    "interrupted_since",
    "moves_since",
    "open_of",
]

_OPEN_MESSAGE = "m.data->>'role' = 'assistant' and m.data #> '{time,completed}' is null"
_OPEN_PART = f"""
(p.data->>'type' = 'tool' and p.data #>> '{{state,status}}' in ('pending', 'running')
 or p.data->>'type' in ('text', 'reasoning') and p.data #> '{{time,end}}' is null
    and {_OPEN_MESSAGE})
"""
_OPEN = f"""
select m.id from agent.message m where m.server_epoch = %(epoch)s and {_OPEN_MESSAGE}
union all
select p.id from agent.part p join agent.message m on m.id = p.message_id
 where p.server_epoch = %(epoch)s and {_OPEN_PART}
"""
# The golden shapes. Text and reasoning only get an end, which must not be older than the kill.
_INTERRUPTED = """
select id from agent.message
 where server_epoch = %(epoch)s and data #>> '{error,name}' = 'MessageAbortedError'
   and (data #>> '{time,completed}')::bigint >= %(since)s and not data ? 'finish'
union all
select id from agent.part
 where server_epoch = %(epoch)s and data->>'type' = 'tool'
   and data #>> '{state,status}' = 'error' and data #>> '{state,metadata,interrupted}' = 'true'
   and data #>> '{state,error}' = 'Tool execution was interrupted (server restart)'
   and (data #>> '{state,time,end}')::bigint >= %(since)s
"""
_ENDED_TEXT = """
select id from agent.part
 where id = any(%(ids)s) and data->>'type' in ('text', 'reasoning')
   and (data #>> '{time,end}')::bigint >= %(since)s
"""
_MOVES = """
select (select count(*) from agent.part where server_epoch = %(epoch)s
         and (time_created > %(since)s or data #>> '{state,status}' = 'completed'
              and (data #>> '{state,time,end}')::bigint > %(since)s))
     + (select count(*) from agent.message where server_epoch = %(epoch)s
         and data->>'finish' = 'stop' and (data #>> '{time,completed}')::bigint > %(since)s)
"""

_Connection = psycopg.AsyncConnection[Any]


async def open_of(conn: _Connection, epoch: int) -> set[str]:
    """Open messages and parts of an epoch."""
    cursor = await conn.execute(_OPEN, {"epoch": epoch})
    return {row[0] for row in await cursor.fetchall()}


async def interrupted_since(
    conn: _Connection, epoch: int, since: int, texts: set[str] | None = None
) -> set[str]:
    """What carries the marks of a closing that is not older than `since` (ms).

    Text has no mark but its end: `texts` are the parts for which that will do.
    """
    cursor = await conn.execute(_INTERRUPTED, {"epoch": epoch, "since": since})
    found = {row[0] for row in await cursor.fetchall()}
    if texts:
        cursor = await conn.execute(_ENDED_TEXT, {"ids": list(texts), "since": since})
        found |= {row[0] for row in await cursor.fetchall()}
    return found


async def moves_since(conn: _Connection, epoch: int, since: int) -> int:
    """How much an epoch began and finished after `since` (ms)."""
    cursor = await conn.execute(_MOVES, {"epoch": epoch, "since": since})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def end_of(conn: _Connection, part: str) -> tuple[str | None, str | None, int]:
    """State and error of a tool, and how many milliseconds it took."""
    cursor = await conn.execute(
        "select data #>> '{state,status}', data #>> '{state,error}', coalesce("
        "(data #>> '{state,time,end}')::bigint - (data #>> '{state,time,start}')::bigint, 0)"
        " from agent.part where id = %s",
        (part,),
    )
    row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1], int(row[2])


async def answer(conn: _Connection, session: str) -> None:
    """What a human does who is asked for a permission."""
    await conn.execute(
        "update agent.hold set time_ended = (extract(epoch from clock_timestamp()) * 1000)::bigint"
        " where session_id = %s and time_ended is null",
        (session,),
    )


@dataclass
class Watched:
    """What the last act found; each should be true."""

    cancelled: bool  #: the stuck tool is closed, and says why
    reaped: bool  #: its process has ended
    waited: bool  #: the task that waited for its subagent was left alone, and has completed
    held: bool  #: so was the tool that waited for a human


@dataclass
class Figures:
    """What the play found."""

    orphans: int  #: open rows of the dead epoch, after the kill and before the boot
    closed: int  #: of these, rows in the shape of a closing
    falsely: int  #: rows of the healthy server in that shape
    remaining: int  #: open rows of the dead epoch, at the end
    spinners: int  #: of the dead server, still on the client's screen
    untold: int  #: orphaned parts whose end did not come to the client as an event
    took: float  #: seconds from boot to the client's last event of a closing
    moves: int  #: what the healthy server began and finished after the kill
    watched: Watched | None = None  #: the last act

    def rows(self) -> list[tuple[str, str, bool, str]]:
        """Name, value, whether it is right, what would be."""
        return [
            ("rows that the crash left open", f"{self.orphans}", self.orphans > 0, "> 0"),
            ("closed by the next boot", f"{self.closed}", self.closed == self.orphans, "all"),
            ("falsely closed (work of api-2)", f"{self.falsely}", self.falsely == 0, "0"),
            ("still open of the dead server", f"{self.remaining}", self.remaining == 0, "0"),
            ("spinners left on the client's screen", f"{self.spinners}", self.spinners == 0, "0"),
            ("ends that the client was not told", f"{self.untold}", self.untold == 0, "0"),
            (
                "from boot to the client's last event",
                f"{self.took * 1000:.0f} ms",
                0 <= self.took < 2,
                "< 2000 ms",
            ),
            ("steps of api-2 since the kill", f"{self.moves}", self.moves > 0, "> 0"),
            *self._last_act(),
        ]

    def _last_act(self) -> list[tuple[str, str, bool, str]]:
        seen = self.watched
        if seen is None:
            return []
        found = {
            "stuck tool: cancelled after its timeout": seen.cancelled,
            "stuck tool: its process is gone": seen.reaped,
            "task that waits for its subagent: untouched": seen.waited,
            "tool that waits for a human: untouched": seen.held,
        }
        return [(name, "yes" if true else "no", true, "yes") for name, true in found.items()]

    @property
    def right(self) -> bool:
        return all(right for _, _, right, _ in self.rows())

    def table(self) -> Table:
        """For a terminal; in plain text as well."""
        table = Table(title="What the tables say", title_justify="left", title_style="bold")
        table.add_column("")
        table.add_column("found", justify="right")
        table.add_column("wanted", justify="right", style="dim")
        table.add_column("")
        for name, value, right, wanted in self.rows():
            mark = Text("✔", style="green") if right else Text("✘ wrong", style="bold red")
            table.add_row(name, value, wanted, mark)
        return table
