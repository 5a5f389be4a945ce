"""`recovery doctor`: what is wrong, and what to type. The database looks (recovery.examine)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from rich.console import Console
from rich.text import Text

from recovery import calls
from recovery.cli import FAILED, show
from recovery.database.connect import check_schema, connect
from recovery.errors import PermissionDenied, SchemaMismatch

__all__ = ["run"]

_COLOURS = {"ok": "green", "note": "yellow", "problem": "bold red"}


def run(dsn: str, as_json: bool, explain: Callable[[Exception], tuple[str, int]]) -> int:
    """Shows the checks; the exit code."""
    found = [*_look(dsn, explain)]
    failed = any(check["state"] == "problem" for check in found)
    if as_json:
        show.as_json({"ok": not failed, "checks": found})
    else:
        console = Console(highlight=False, soft_wrap=True)
        for check in found:
            what = ": ".join(part for part in (check["subject"], check["finding"]) if part)
            todo = f"  → {check['remedy']}" if check["remedy"] else ""
            line = Text(f"{check['state']:8}", style=_COLOURS[check["state"]])
            console.print(line.append(f" {check['name']:12} {what}{todo}", style="default"))
    return FAILED if failed else 0


def _look(dsn: str, explain: Callable[[Exception], tuple[str, int]]) -> Sequence[dict[str, Any]]:
    """The checks of the database, behind those without which it can't be asked."""
    try:
        conn = connect(dsn, "cli")
    except Exception as error:
        return [_check("connection", explain(error)[0], "see --dsn and RECOVERY_DSN")]
    with conn:
        found = [_check("connection", f"PostgreSQL {_version(conn)}")]
        try:
            check_schema(conn)
            found.append(_check("schema", calls.run(conn, calls.status.version())))
            return found + calls.run(conn, calls.status.checks())
        except SchemaMismatch as error:
            remedy = error.hint or "recovery migrate upgrade"
            return [*found, _check("schema", error.message, remedy)]
        except PermissionDenied as error:
            login = conn.info.user
            remedy = f"grant recovery_listener to {login};"
            return [*found, _check("login", f"{login}: {error}", remedy)]


def _check(name: str, finding: str, remedy: str | None = None) -> dict[str, Any]:
    state = "ok" if remedy is None else "problem"
    return {"name": name, "state": state, "subject": None, "finding": finding, "remedy": remedy}


def _version(conn: psycopg.Connection[Any]) -> str:
    return conn.info.parameter_status("server_version") or ""
