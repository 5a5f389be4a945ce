"""What a session of ours says first, and whose it is."""

from __future__ import annotations

import json
import re

from recovery.calls.core import Call, nothing, one

__all__ = [
    "backend_pid",
    "limit_statements",
    "pin_search_path",
    "prepare_session",
    "prepare_transaction",
    "set_epoch",
]


def set_epoch(epoch: int | None, *, local: bool, name: str | None = None) -> str:
    """Statement that says who writes: for the session, or for the transaction (`local`).

    Without parameters, so that it is the same for every driver. With the `name` of the
    server, application_name says the epoch, too: after what it said before, else the name.
    """
    value = "" if epoch is None else str(int(epoch))
    statement = f"select set_config('recovery.server_epoch', '{value}', {str(local).lower()})"
    if name is None:
        return statement
    mark = "" if epoch is None else f"#{epoch}"
    plain = re.sub(r"[^\w .:/@+-]", "?", name, flags=re.ASCII)  # nothing that needs quotes
    said = "regexp_replace(current_setting('application_name'), '#[0-9]{16,}$', '')"
    label = f"left(coalesce(nullif({said}, ''), '{plain}'), {63 - len(mark)}) || '{mark}'"
    return f"{statement}, set_config('application_name', {label}, {str(local).lower()})"


#: What a connection of ours needs, whatever the database, the role or PGOPTIONS say: our
#: procedures need READ COMMITTED, a heartbeat may wait, and psycopg reads ISO dates.
_SETTINGS = {
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "row_security": "on",
    "jit": "off",  # compiling takes longer than any of our statements
}


def prepare_session(name: str, pid: int | None = None) -> Call[bool]:
    """Makes a connection one of ours, and says who it is in pg_stat_activity.

    With a pid only if that is the server process; whether it was.
    """
    return Call(
        # Whose names are whose is not settled yet. Not every server has every setting.
        "select pg_catalog.set_config(s.key, s.value, false)"
        " from pg_catalog.jsonb_each_text(%(settings)s::pg_catalog.text::pg_catalog.jsonb) as s"
        " where pg_catalog.current_setting(s.key, true) is not null"
        " and pg_catalog.pg_backend_pid() operator(pg_catalog.=)"
        " coalesce(%(pid)s::pg_catalog.int4, pg_catalog.pg_backend_pid())",
        {"settings": json.dumps({"application_name": name, **_SETTINGS}), "pid": pid},
        bool,
    )


def prepare_transaction(name: str) -> str:
    """Statements that do the same for a transaction that has just begun, and end with it."""
    settings = {"application_name": name, **_SETTINGS}
    text = json.dumps({k: v for k, v in settings.items() if not k.startswith("default_")})
    return (
        "set transaction isolation level read committed, read write, not deferrable;"
        " select pg_catalog.set_config(s.key, s.value, true)"
        f" from pg_catalog.jsonb_each_text({_quoted(text)}::pg_catalog.jsonb) as s"
        " where pg_catalog.current_setting(s.key, true) is not null"
    )


def _quoted(text: str) -> str:
    """A literal, whatever standard_conforming_strings says; of ASCII."""
    return "E'" + text.replace("\\", r"\\").replace("'", "''") + "'"


def backend_pid() -> Call[int]:
    """The pid of the server process."""
    return Call("select pg_backend_pid()", {}, one)


def limit_statements(statement: int, lock: int = 0) -> Call[None]:
    """How long a statement of this session may take, and wait for a lock; in ms, 0: no limit."""
    return Call(
        "select pg_catalog.set_config('statement_timeout', %(statement)s::pg_catalog.text, false),"
        " pg_catalog.set_config('lock_timeout', %(lock)s::pg_catalog.text, false)",
        {"statement": str(statement), "lock": str(lock)},
        nothing,
    )


def pin_search_path() -> Call[None]:
    """From now on names in statements of this session are PostgreSQL's, or say their schema."""
    return Call(
        "select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)", {}, nothing
    )
