"""Each SQLSTATE of the schema has an exception, and each exception its SQLSTATE."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

import recovery
from recovery import _paths, calls, errors

CODES = {
    cls.sqlstate: cls
    for cls in errors.RecoveryError.__subclasses__()
    if cls.sqlstate is not None and cls.sqlstate.startswith("RC")
}


def raised_in_sql() -> set[str]:
    text = "".join(path.read_text() for path in Path(_paths.sql_dir()).rglob("*.sql"))
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
            calls.run(conn, calls.sweep())
    with engine.connect() as sqlalchemy, pytest.raises(recovery.NotAutocommit):
        calls.run(sqlalchemy, calls.sweep())


def test_missing_schema(empty_dsn: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        for call in (calls.version(), calls.sweep(), calls.assert_live(1)):
            with pytest.raises(recovery.SchemaMismatch, match="recovery migrate"):
                calls.run(conn, call)  # type: ignore[arg-type]


def test_no_privilege(dsn: str, conn: psycopg.Connection[Any]) -> None:
    conn.execute("create role nobody_special nologin")
    try:
        conn.execute("set role nobody_special")
        with pytest.raises(recovery.PermissionDenied, match="membership in recovery_server"):
            calls.run(conn, calls.version())
    finally:
        conn.execute("reset role")
        conn.execute("drop role nobody_special")


def test_lost_connection(conn: psycopg.Connection[Any], connect: Any) -> None:
    other = connect()
    conn.execute("select pg_terminate_backend(%s)", [other.info.backend_pid])
    for _ in range(2):  # told by the server, then known
        with pytest.raises(recovery.ConnectionFailed):
            calls.run(other, calls.version())
