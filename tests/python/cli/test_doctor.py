"""`recovery doctor`: a line a check, what to type, and its exit code."""

from __future__ import annotations

import json
import os
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from python.cli.test_cli import FAILED, OK, run
from sql.jobs import TABLE, add, attach, boot, sweep, write_as

pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(300)]

Connection = psycopg.Connection[Any]


def lines(dsn: str, code: int) -> list[str]:
    """What it prints."""
    done = run("doctor", "--dsn", dsn)
    assert (done.returncode, done.stderr) == (code, ""), done
    return done.stdout.splitlines()


def test_all_is_well(dsn: str, conn: Connection) -> None:
    conn.execute(TABLE)
    attach(conn)
    write_as(conn, boot(conn).epoch)
    conn.execute("insert into app.job default values")
    sweep(conn)
    found = [line.split() for line in lines(dsn, OK)]
    assert {state for state, *_ in found} == {"ok"}
    assert [name for _, name, *_ in found][:3] == ["connection", "schema", "login"]


def test_it_names_what_is_wrong_and_what_to_type(dsn: str, conn: Connection) -> None:
    conn.execute(TABLE)
    attach(conn)
    add(conn, None)
    conn.execute("alter table app.job disable trigger recovery_20_update")
    said = "\n".join(lines(dsn, FAILED))
    for part in (
        "problem",
        "alter table app.job enable trigger recovery_20_update;",
        "1 open rows belong to nobody",
        "nobody has swept yet",
    ):
        assert part in said
    found = json.loads(run("doctor", "--json", "--dsn", dsn).stdout)
    assert found["ok"] is False
    assert {c["name"] for c in found["checks"] if c["state"] == "problem"} == {
        "sweeper",
        "triggers",
        "owners",
    }
    conn.execute(next(c["remedy"] for c in found["checks"] if c["name"] == "triggers"))
    found = json.loads(run("doctor", "--json", "--dsn", dsn).stdout)
    assert "triggers" not in {c["name"] for c in found["checks"] if c["state"] == "problem"}


def test_without_a_connection() -> None:
    (line,) = lines("postgresql://me:secret@127.0.0.1:1/nowhere", FAILED)
    assert line.startswith("problem  connection   cannot connect to 127.0.0.1:1")
    assert "secret" not in line


def test_without_the_schema(empty_dsn: str) -> None:
    said = lines(empty_dsn, FAILED)
    assert said[0].startswith("ok       connection")
    assert said[1].startswith("problem  schema")
    assert "recovery migrate upgrade" in said[1]


def test_a_login_without_rights(dsn: str, conn: Connection) -> None:
    role = f"nobody_{os.getpid()}"
    conn.execute(f"create role {role} login")  # type: ignore
    other = make_conninfo(dsn, user=role)
    try:
        said = "\n".join(lines(other, FAILED))
        assert f"grant recovery_listener to {role};" in said
        conn.execute(f"grant recovery_listener to {role}")  # type: ignore
        sweep(conn)
        said = "\n".join(lines(other, OK))
        assert f"{role}: may look, but neither boot nor sweep" in said
    finally:
        conn.execute(f"drop role {role}")  # type: ignore
