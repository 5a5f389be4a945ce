"""The command: connects, looks, repairs if it is to, shows, and says how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import psycopg

from recovery import calls
from recovery.cli.doctor import report
from recovery.cli.doctor.compare import compare, declared
from recovery.cli.doctor.finding import Finding, Seen
from recovery.cli.doctor.fix import repair
from recovery.cli.doctor.look import looker
from recovery.database.connect import check_schema, connect
from recovery.errors import PermissionDenied, SchemaMismatch

__all__ = ["ILL", "UNSEEN", "run"]

#: Exit codes: something is wrong; nobody could look.
ILL, UNSEEN = 1, 2

Explain = Callable[[Exception], tuple[str, int]]


def run(
    dsn: str,
    *,
    explain: Explain,
    as_json: bool = False,
    strict: bool = False,
    fix: bool = False,
    app: str | None = None,
    patience: timedelta,
) -> int:
    """Shows what is wrong; the exit code.

    Args:
        dsn: the database.
        explain: one line for an error.
        as_json: JSON instead of text.
        strict: warnings fail, too.
        fix: repairs what loses nothing.
        app: ``module:metadata`` whose declarations are compared with what is attached.
        patience: how long a transaction may be open, and a sweep not come.
    """
    found = None if app is None else declared(app)
    seen = _see(dsn, explain, fix, app, found, patience)
    code = UNSEEN if not seen.looked else ILL if seen.fails(strict) else 0
    if as_json:
        report.as_json(seen, code)
    else:
        report.as_text(seen)
    return code


def _see(
    dsn: str,
    explain: Explain,
    fix: bool,
    app: str | None,
    declarations: list[Any] | None,
    patience: timedelta,
) -> Seen:
    try:
        conn = connect(dsn, "cli")
    except Exception as error:
        said = explain(error)[0]
        return _unseen({}, "connection-failed", "database", "?", said, "see --dsn and RECOVERY_DSN")
    with conn:
        database: dict[str, Any] = {
            "name": conn.info.dbname,
            "server": conn.info.parameter_status("server_version") or "",
            "schema": None,
        }
        name, login = conn.info.dbname, conn.info.user
        try:
            check_schema(conn)
            database["schema"] = calls.run(conn, calls.status.version())

            def comparison() -> Iterable[Finding]:
                return compare(conn, str(app), declarations or [])

            more = [] if declarations is None else [("declarations", comparison)]
            examined, look = looker(conn, patience, explain, more)
            findings = look()
            if not fix:
                return Seen(True, database, examined, findings)
            return Seen(True, database, examined, *repair(conn, findings, look, explain))
        except SchemaMismatch as error:
            remedy = error.hint or "recovery migrate upgrade"
            return _unseen(database, "schema-mismatch", "database", name, error.message, remedy)
        except PermissionDenied as error:
            remedy = f"grant recovery_listener to {_identifier(login, conn)};"
            return _unseen(database, "rights-missing", "role", login, explain(error)[0], remedy)
        except Exception as error:
            said = explain(error)[0]
            return _unseen(database, "connection-failed", "database", name, said, "ask again")


def _unseen(
    database: dict[str, Any], code: str, kind: str, subject: str, problem: str, remedy: str
) -> Seen:
    return Seen(False, database, (), [Finding(code, "error", kind, subject, problem, remedy)])


def _identifier(name: str, conn: psycopg.Connection[Any]) -> str:
    plain = name.isascii() and name.isidentifier() and name == name.lower()
    return name if plain else psycopg.sql.Identifier(name).as_string(conn)
