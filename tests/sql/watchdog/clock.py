"""Time, driven by the clock that only the owner role can move."""

from __future__ import annotations

from typing import Any

from sql.jobs import Connection, sweep, value


def supervise(conn: Connection, table: str = "app.job", **options: Any) -> str:
    """recovery.supervise."""
    given = ", ".join(f"p_{name} => %({name})s" for name in options)
    row = conn.execute(
        f"select recovery.supervise(%(table)s::text::regclass, {given})",  # type: ignore
        {"table": table, **options},
    ).fetchone()
    assert row is not None
    return str(row[0])


def configure(conn: Connection, name: str, to: str | None, **only: str) -> None:
    """recovery.configure."""
    given = "".join(f", p_{key} => %({key})s" for key in only)
    conn.execute(
        f"select recovery.configure(%(name)s, %(to)s{given})",  # type: ignore
        {"name": name, "to": to, **only},
    )


def advance(conn: Connection, by: str) -> None:
    """Time passes; servers went on beating and sweepers sweeping, and nothing else moved."""
    conn.execute("update recovery.clock set shift = shift + %s::interval", (by,))
    conn.execute("update recovery.server set heartbeat = recovery._now() where ended is null")
    conn.execute("update recovery.observation set swept = recovery._now() where swept is not null")


def later(conn: Connection, by: str) -> dict[str, Any]:
    """The sweep after so much time."""
    advance(conn, by)
    return sweep(conn)


def due(conn: Connection) -> dict[str, str]:
    """Key of each unit that is overdue, and why."""
    return dict(conn.execute("select key, reason from recovery._due_units()").fetchall())


def asked(conn: Connection) -> dict[str, int]:
    """Key of each unit whose owner was asked to stop it, and the request's number."""
    return dict(
        conn.execute(
            "select key, id from recovery.cancellation where deadline > recovery._now()"
        ).fetchall()
    )


def reasons(conn: Connection, kind: str = "closed") -> dict[str, str]:
    """Key of each row with such an event, and the reason."""
    return dict(
        conn.execute(
            "select key, reason from recovery.event where kind = %s order by id", (kind,)
        ).fetchall()
    )


__all__ = ["advance", "asked", "configure", "due", "later", "reasons", "supervise", "value"]
