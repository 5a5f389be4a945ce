"""What the tests of recovery.examine share: what it finds, and a doctor who types what it says."""

from __future__ import annotations

from typing import Any, NamedTuple

from sql.jobs import Connection, sweep, value

#: What is so in every database of the tests, because their login is a superuser.
USUAL = {"login-superuser", "server-superuser"}


class Found(NamedTuple):
    """A finding, as SQL gives it."""

    code: str
    severity: str
    kind: str
    subject: str
    problem: str
    remedy: str
    fix: list[str] | None


def examine(conn: Connection, about: str | None = None, patience: str = "1 min") -> list[Found]:
    """All findings but the usual ones."""
    rows = conn.execute(
        "select code, severity, kind, subject, problem, remedy, fix from recovery.examine(%s, %s)",
        (about, patience),
    ).fetchall()
    return [found for found in (Found(*row) for row in rows) if found.code not in USUAL]


def codes(conn: Connection, **how: Any) -> set[str]:
    """Their codes."""
    return {found.code for found in examine(conn, **how)}


def only(conn: Connection, code: str, **how: Any) -> Found:
    """The one finding with that code."""
    (found,) = [found for found in examine(conn, **how) if found.code == code]
    return found


def fix(conn: Connection, found: Found) -> None:
    """Executes its statements, as recovery doctor --fix does."""
    assert found.fix, found
    before = value(conn, "show search_path")
    conn.execute("set search_path = pg_catalog, pg_temp")
    for statement in found.fix:
        conn.execute(statement.encode())
    conn.execute("select set_config('search_path', %s, false)", (before,))


def type_in(conn: Connection, found: Found) -> None:
    """Types its remedy as it stands."""
    assert found.remedy, found
    for statement in found.fix or [found.remedy]:
        assert statement in found.remedy
        conn.execute(statement.encode())


def well(conn: Connection) -> None:
    """Sweeps, and finds nothing wrong."""
    sweep(conn)
    assert examine(conn) == []


def number(conn: Connection) -> int:
    """Of the watch of app.job."""
    return int(value(conn, "select id from recovery.watch where name = 'app.job'"))


def runner(conn: Connection) -> str:
    """The runner of app.job."""
    return str(
        value(
            conn,
            "select r.role from recovery.runner r join recovery.watch w on w.runner = r.id"
            " where w.name = 'app.job'",
        )
    )
