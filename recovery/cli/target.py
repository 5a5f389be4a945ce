"""Which database a command is for, and what is said when it can't be had."""

from __future__ import annotations

import os
import re
from typing import Any

import psycopg
import typer
from psycopg.conninfo import conninfo_to_dict

from recovery import errors
from recovery.cli import FAILED, SCHEMA, UNREACHABLE, USAGE
from recovery.database.connect import check_schema, connect
from recovery.run.environment import Unrunnable

__all__ = ["database", "explain", "is_named", "opened", "remember"]

_dsn: str | None = None
"""What --dsn before the command said; then, the database of this run."""


def remember(dsn: str | None) -> None:
    """Takes note of --dsn before the command."""
    global _dsn
    _dsn = dsn


def is_named(dsn: str | None) -> bool:
    """Whether --dsn was given, before the command or after it."""
    return dsn is not None or _dsn is not None


def database(dsn: str | None) -> str:
    """Which database: --dsn, else RECOVERY_DSN, else libpq's own variables."""
    global _dsn
    _dsn = next((d for d in (dsn, _dsn, os.environ.get("RECOVERY_DSN")) if d is not None), "")
    given = _given()
    port, name = (str(given.get(key) or "") for key in ("port", "dbname"))
    if "://" in _dsn and (
        _dsn.partition("?")[0].count("@") > 1
        or not re.fullmatch(r"[\d,]*", port)
        or ("@" in name and "user" not in given)
    ):
        # libpq takes a part of the password for something else, and would show it.
        raise typer.BadParameter(
            "the password in the DSN must be percent-encoded: @ is %40, / is %2F, : is %3A"
        )
    return _dsn


def opened(dsn: str | None) -> psycopg.Connection[Any]:
    """A connection to that database, once its schema proves to be ours."""
    conn = connect(database(dsn), "cli")
    check_schema(conn)
    return conn


def explain(error: Exception) -> tuple[str, int]:
    """One line for a failure, and the exit code."""
    if hasattr(error, "format_message"):  # of click, or of typer's copy of it
        return f"{error.format_message()} (see recovery --help)", USAGE
    if isinstance(error, Unrunnable):
        return str(error), error.code
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", FAILED
    known = errors.from_driver(error)
    if isinstance(known, errors.ConnectionFailed):
        begun = known.hint in (errors.STANDBY, errors.READ_ONLY)
        where = _where() if begun else f"cannot connect to {_where()}"
        return f"{where}: {_redacted(str(known))}", UNREACHABLE
    if isinstance(known, errors.SchemaMismatch):
        return str(known), SCHEMA
    if isinstance(known, errors.InvalidArgument | errors.InvalidName):
        return _redacted(str(known)), USAGE
    if known is not None:
        return _redacted(str(known)), FAILED
    name = "" if isinstance(error, ValueError | OSError | RuntimeError) else type(error).__name__
    text = str(error).strip() or type(error).__name__
    return _redacted(f"{name}: {text}" if name else text), FAILED


def _given() -> dict[str, Any]:
    """What the DSN says; nothing if it can't be read."""
    try:
        return dict(conninfo_to_dict(re.sub(r"^(\w+)\+\w+://", r"\1://", _dsn or "")))
    except psycopg.Error:
        return {}


def _where() -> str:
    """The database as far as we know it, without the password."""
    given = _given()
    host = given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST")
    port = given.get("port") or os.environ.get("PGPORT") or 5432
    name = given.get("dbname") or os.environ.get("PGDATABASE")
    where = f"{host}:{port}" if host else "the local server (no host was given)"
    return where + (f", database {name}" if name else "")


def _redacted(text: str) -> str:
    """Without the password, should a driver's message hold it."""
    given = _given()
    for secret in {given.get("password"), os.environ.get("PGPASSWORD")} - {None, ""}:
        if secret not in (given.get("user"), given.get("dbname"), given.get("host")):
            text = text.replace(str(secret), "…")
    return text
