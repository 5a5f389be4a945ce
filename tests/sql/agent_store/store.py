"""Sessions, messages and parts made by hand, as a server of a given epoch writes them."""

from __future__ import annotations

import json
from typing import Any

from psycopg.rows import dict_row

from sql.jobs import Connection, boot, events, write_as

START = 1_795_000_000_000


class Store:
    """Writes rows one after the other, a millisecond apart."""

    def __init__(self, conn: Connection, epoch: int | None) -> None:
        self.conn = conn
        self.epoch = epoch
        self.time = START

    def _insert(self, table: str, at: int | None, **columns: Any) -> None:
        self.time += 1
        at = at or self.time
        row = {"time_created": at, "time_updated": at, "server_epoch": self.epoch, **columns}
        row = {n: json.dumps(v) if isinstance(v, dict) else v for n, v in row.items()}
        values = ", ".join(f"%({name})s" for name in row)
        self.conn.execute(f"insert into agent.{table} ({', '.join(row)}) values ({values})", row)  # type: ignore

    def session(self, id_: str, parent: str | None = None, **columns: Any) -> str:
        self._insert("session", None, id=id_, parent_id=parent, **columns)
        return id_

    def message(self, id_: str, session: str = "ses_1", at: int | None = None, **data: Any) -> str:
        """An assistant's message in flight, unless `data` says otherwise."""
        data = {"role": "assistant", "time": {"created": self.time}, **data}
        self._insert("message", at, id=id_, session_id=session, data=data)
        return id_

    def part(
        self,
        id_: str,
        message: str = "msg_1",
        session: str = "ses_1",
        at: int | None = None,
        **data: Any,
    ) -> str:
        self._insert("part", at, id=id_, message_id=message, session_id=session, data=data)
        return id_

    def tool(self, id_: str, message: str = "msg_1", session: str = "ses_1", **more: Any) -> str:
        """A running tool; `tool`, `at` and keys of its state may be given."""
        at, tool = more.pop("at", None), more.pop("tool", "bash")
        state = {"status": "running", "input": {"command": "ls"}, "time": {"start": START}, **more}
        return self.part(id_, message, session, at, type="tool", tool=tool, callID=id_, state=state)

    def turn(self, id_: str, *content: Any, session: str = "ses_1", **more: Any) -> str:
        """A message of opencode 2: of an assistant and in flight, unless `more` says otherwise."""
        kind = more.pop("type", "assistant")
        more = {"time": {"created": self.time}, **more}
        if kind == "assistant":
            more = {"agent": "build", "content": list(content), **more}
        self._insert(
            "session_message", None, id=id_, session_id=session, type=kind, seq=self.time, data=more
        )
        return id_

    def text(self, id_: str, message: str = "msg_1", session: str = "ses_1", **more: Any) -> str:
        """Text that is being streamed."""
        data = {"type": "text", "text": "so far", "time": {"start": START}, **more}
        return self.part(id_, message, session, **data)


def crash(conn: Connection, name: str = "agent") -> int:
    """The server dies and boots again; its epoch before."""
    dead = conn.execute(
        "select max(epoch) from recovery.server where name = %s", (name,)
    ).fetchone()
    write_as(conn, None)
    boot(conn, name)
    assert dead is not None
    return int(dead[0])


def rows(conn: Connection, table: str) -> dict[str, dict[str, Any]]:
    """Id -> row, without the owner."""
    with conn.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(f"select * from agent.{table}").fetchall()  # type: ignore
    return {row["id"]: {n: v for n, v in row.items() if n != "server_epoch"} for row in found}


def data(conn: Connection, table: str, id_: str) -> dict[str, Any]:
    """The JSON of one row."""
    return dict(rows(conn, table)[id_]["data"])


def told(conn: Connection, after: int) -> list[tuple[str, str]]:
    """(topic, key) in order."""
    return [(event["topic"], event["key"]) for event in events(conn, after)]
