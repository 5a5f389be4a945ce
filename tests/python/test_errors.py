"""Each SQLSTATE of the schema has an exception, and each exception its SQLSTATE."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

import recovery
from recovery import calls, errors
from recovery.database.connect import check_schema
from recovery.schema import paths

CODES = {
    cls.sqlstate: cls
    for cls in errors.RecoveryError.__subclasses__()
    if cls.sqlstate is not None and cls.sqlstate.startswith("RC")
}


def raised_in_sql() -> set[str]:
    text = "".join(path.read_text() for path in Path(paths.sql_dir()).rglob("*.sql"))
    return set(re.findall(r"'(RC\d{3})'", text))


def test_every_code_that_sql_raises_has_a_class() -> None:
    # RC009 is raised in Python alone: a missing schema can't raise it.
    assert raised_in_sql() <= set(CODES)
    assert set(CODES) - raised_in_sql() <= {"RC009"}


def test_every_class_is_public_and_says_what_it_means() -> None:
    for cls in errors.RecoveryError.__subclasses__():
        assert getattr(recovery, cls.__name__) is cls
        assert cls.__name__ in errors.__all__
    for cls in CODES.values():
        assert str(cls()) == (cls.__doc__ or "").partition("\n")[0].rstrip(".")


@pytest.mark.parametrize(("code", "cls"), CODES.items())
def test_from_psycopg_and_sqlalchemy(
    code: str, cls: type[errors.RecoveryError], conn: psycopg.Connection[Any], engine: sa.Engine
) -> None:
    statement = (
        f"do $$ begin raise exception using errcode = '{code}', message = 'what',"
        " detail = 'where.', hint = 'how.'; end $$"
    )
    with pytest.raises(psycopg.Error) as native:
        conn.execute(statement.encode())
    with engine.connect() as sqlalchemy, pytest.raises(sa.exc.DBAPIError) as wrapped:
        sqlalchemy.exec_driver_sql(statement)
    for error in (native.value, wrapped.value):
        found = errors.from_driver(error)
        assert type(found) is cls
        assert found.__cause__ is error
        assert (found.message, found.detail, found.hint) == ("what", "where.", "how.")
        assert str(found) == "what; where; how"


def test_from_asyncpg_as_sqlalchemy_wraps_it() -> None:
    class Asyncpg(Exception):
        message, detail, hint = "epoch 3 has ended", None, "boot again"

    class Orig(Exception):
        sqlstate = "RC001"

    orig = Orig("<class 'asyncpg…'>: epoch 3 has ended")
    orig.__cause__ = Asyncpg()
    found = errors.from_driver(sa.exc.DBAPIError("select", {}, orig))
    assert type(found) is recovery.EpochEnded
    assert str(found) == "epoch 3 has ended; boot again"


def test_what_is_none_of_ours(conn: psycopg.Connection[Any]) -> None:
    for statement in ("select 1/0", "select * from nothing", "select no_such_function()"):
        with pytest.raises(psycopg.Error) as caught:
            conn.execute(statement.encode())
        assert errors.from_driver(caught.value) is None
        with pytest.raises(type(caught.value)):
            calls.run(conn, calls.Call(statement, {}, lambda rows: rows))
    assert errors.from_driver(ValueError("x")) is None
    assert errors.from_driver(error := recovery.EpochEnded()) is error


def test_call_in_a_transaction(dsn: str, engine: sa.Engine) -> None:
    with psycopg.connect(dsn) as conn:
        with pytest.raises(recovery.NotAutocommit, match="autocommit mode"):
            calls.run(conn, calls.closing.sweep())
    with engine.connect() as sqlalchemy, pytest.raises(recovery.NotAutocommit):
        calls.run(sqlalchemy, calls.closing.sweep())


def test_missing_schema(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        for call in (calls.status.version(), calls.closing.sweep(), calls.server.assert_live(1)):
            with pytest.raises(recovery.SchemaMismatch, match="recovery migrate"):
                calls.run(conn, call)  # type: ignore[arg-type]


@pytest.fixture
def nobody(conn: psycopg.Connection[Any]) -> Iterator[str]:
    """A role without any right; ``conn`` acts as it."""
    role = f"recovery_test_{os.getpid()}_nobody"
    conn.execute(f"create role {role} nologin".encode())
    conn.execute(f"set role {role}".encode())
    yield role
    conn.execute("reset role")
    conn.execute(f"drop owned by {role}".encode())
    conn.execute(f"drop role {role}".encode())


HINT = "ask for membership in recovery_server, or in recovery_listener to read"


def refusal(conn: Any, statement: str) -> errors.RecoveryError:
    with pytest.raises(recovery.PermissionDenied) as caught:
        calls.run(conn, calls.Call(statement, {}, lambda rows: rows))
    return caught.value


def test_no_privilege(nobody: str, conn: psycopg.Connection[Any]) -> None:
    with pytest.raises(recovery.PermissionDenied, match="membership in recovery_server"):
        calls.run(conn, calls.status.version())
    with pytest.raises(recovery.PermissionDenied, match="membership in recovery_server"):
        check_schema(conn)
    for statement, message in {
        "select recovery.assert_live(1)": "permission denied for function assert_live",
        "call recovery.boot('x')": "permission denied for procedure boot",
        "select * from recovery.event": "permission denied for view event",
        'select * from "recovery"."server_status"': "permission denied for view server_status",
    }.items():
        found = refusal(conn, statement)
        assert (found.message, found.hint) == (message, HINT)
    conn.execute("reset role")
    conn.execute("revoke usage on schema recovery from public")
    conn.execute(f"set role {nobody}".encode())
    found = refusal(conn, "select recovery.version()")
    assert (found.message, found.hint) == ("permission denied for schema recovery", HINT)


def test_no_privilege_by_sqlalchemy(nobody: str, engine: sa.Engine) -> None:
    """Its errors bring the statement along, whoever executed it."""
    with engine.connect() as other:
        other.exec_driver_sql(f"set role {nobody}")
        with pytest.raises(sa.exc.DBAPIError) as caught:
            other.exec_driver_sql("select id from recovery.event")
        other.rollback()
        found = errors.from_driver(caught.value)
        assert isinstance(found, recovery.PermissionDenied)
        assert found.hint == HINT


def test_no_privilege_where_membership_would_not_help(
    nobody: str, conn: psycopg.Connection[Any]
) -> None:
    conn.execute("reset role")
    conn.execute("create schema app; create table app.event (id int)")
    conn.execute("create table public.recovery (id int)")
    conn.execute("create function app.version() returns int language sql as 'select 1'")
    conn.execute("revoke all on function app.version() from public")
    conn.execute(f"grant usage on schema app to {nobody}".encode())
    conn.execute(f"set role {nobody}".encode())
    for statement in (
        "select * from app.event",
        "select app.version()",
        "select * from public.recovery",
        "create table app.recovery (id int)",
        "select recovery_private.run_1('select 1', null, 'read')",
        "alter role recovery_owner login",
        "select recovery.detach('app.event')",
    ):
        assert refusal(conn, statement).hint is None
    with pytest.raises(psycopg.Error) as caught:
        conn.execute("select * from recovery.event")
    # Without the statement nobody knows whose event that is.
    found = errors.from_driver(caught.value)
    assert found is not None
    assert found.hint is None
    found = errors.from_driver(caught.value, "select * from recovery.event")
    assert found is not None
    assert found.hint == HINT
    # Who may attach says the database.
    hint = refusal(conn, "select recovery.attach('app.event', 'true', '{}')").hint
    assert hint == f"A DBA runs this once: select recovery.permit('{nobody}');"


def test_the_hint_is_not_for_what_members_may_not_call(conn: psycopg.Connection[Any]) -> None:
    """Of the routines that this package calls."""
    folder = Path(recovery.__file__).parent
    text = "".join(path.read_text() for path in folder.rglob("*.py"))
    called = set(re.findall(r"(?:select|call|from) recovery\.(\w+)\(", text))
    query = """
        select distinct p.proname::text from pg_proc p
        where p.pronamespace = 'recovery'::regnamespace
          and not has_function_privilege('recovery_server', p.oid, 'execute')
          and not has_function_privilege('recovery_listener', p.oid, 'execute')
    """
    closed = {name for (name,) in conn.execute(query.encode())}
    assert called & closed == errors._NOT_FOR_MEMBERS - {"attach"}  # public, and says it itself
    assert "attach" in called


def test_lost_connection(conn: psycopg.Connection[Any], connect: Any) -> None:
    other = connect()
    conn.execute("select pg_terminate_backend(%s)", [other.info.backend_pid])
    for _ in range(2):  # told by the server, then known
        with pytest.raises(recovery.ConnectionFailed):
            calls.run(other, calls.status.version())
