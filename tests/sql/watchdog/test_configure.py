"""What recovery.configure stores, what it refuses, and who may call it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from sql.jobs import Connection, refused, value

TIMEOUTS = ["tool_timeout", "task_timeout", "idle_timeout", "wall_timeout"]
GRACES = ["propagation_grace", "cancel_grace"]


def configure(conn: Connection, name: str | None, given: str | None, **scope: Any) -> Any:
    """recovery.configure with watch, kind, group."""
    options = "".join(f", p_{key} => %({key})s" for key in scope)
    row = conn.execute(
        f"select recovery.configure(%(name)s, %(given)s{options})",  # type: ignore
        {"name": name, "given": given, **scope},
    ).fetchone()
    assert row
    return row[0]


def rows(conn: Connection) -> list[tuple[Any, ...]]:
    return conn.execute(
        "select name, watch, kind, group_key, value from recovery.setting order by 1, 2, 3, 4"
    ).fetchall()


def error(conn: Connection, name: str | None, given: str | None, **scope: Any) -> Any:
    """The diagnostics of a refusal with RC010."""
    before = rows(conn)
    with pytest.raises(psycopg.Error) as caught:
        configure(conn, name, given, **scope)
    assert caught.value.sqlstate == "RC010"
    assert rows(conn) == before
    return caught.value.diag


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("10 min", "00:10:00"),
        ("1h", "01:00:00"),
        ("90s", "00:01:30"),
        ("1 h 30 min", "01:30:00"),
        ("1h30min", "01:30:00"),
        ("250ms", "00:00:00.25"),
        ("1.5 h", "01:30:00"),
        ("2 days", "2 days"),
        ("1 day", "1 day"),
        ("1 week", "7 days"),
        ("48 h", "48:00:00"),
        ("1.5 days", "1 day 12:00:00"),
        ("1 day 12:00:00", "1 day 12:00:00"),
        ("00:10:00", "00:10:00"),
        ("00:00:00.25", "00:00:00.25"),
        (" 10 MIN\n", "00:10:00"),
        ("1 us", "00:00:00.000001"),
        ("365 days", "365 days"),
        ("8760 h", "8760:00:00"),
    ],
)
def test_a_time_is_stored_as_postgresql_prints_it(
    conn: Connection, given: str, stored: str
) -> None:
    for name in TIMEOUTS + GRACES:
        assert configure(conn, name, given) == stored
        assert configure(conn, name, stored) == stored
    assert value(conn, "select (value::interval)::text from recovery.setting limit 1") == stored


def test_the_session_style_of_intervals_changes_nothing(conn: Connection) -> None:
    for style in ("iso_8601", "sql_standard", "postgres_verbose"):
        conn.execute(f"set intervalstyle = {style}")  # type: ignore
        assert configure(conn, "tool_timeout", "1 day 90 min") == "1 day 01:30:00"


@pytest.mark.parametrize("given", ["0", "off", "OFF", "0 s", "0 days", "00:00:00"])
def test_a_timeout_is_switched_off(conn: Connection, given: str) -> None:
    for name in TIMEOUTS:
        assert configure(conn, name, given) == "off"


def test_a_grace_may_be_zero(conn: Connection) -> None:
    for name in GRACES:
        assert configure(conn, name, "0") == "00:00:00"
        assert configure(conn, name, "0 s") == "00:00:00"
        assert "0 for none" in str(error(conn, name, "off").message_hint)


@pytest.mark.parametrize(
    ("given", "stored"),
    [("true", "true"), ("on", "true"), ("ON", "true"), ("false", "false"), (" off ", "false")],
)
def test_idle_roots_is_true_or_false(conn: Connection, given: str, stored: str) -> None:
    assert configure(conn, "idle_roots", given) == stored


@pytest.mark.parametrize("given", ["1", "0", "yes", "t", "10 min", "null"])
def test_idle_roots_is_nothing_else(conn: Connection, given: str) -> None:
    diag = error(conn, "idle_roots", given)
    assert diag.message_primary == f"setting idle_roots cannot be '{given}'"
    assert diag.message_hint == "Allowed are true (on) and false (off)."


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("10", "a number without a unit"),
        ("1.5", "a number without a unit"),
        ("-10 min", "which is negative"),
        ("-0", "which is negative"),
        ("10 min ago", "which is negative"),
        ("366 days", "which is more than 365 days"),
        ("365 days 1 us", "which is more than 365 days"),
        ("9999:00:00", "which is more than 365 days"),
        ("999999999999999 weeks", "which is more than 365 days"),
        ("2 months", "whose unit has no fixed length or is not clear"),
        ("1 mon 3 h", "whose unit has no fixed length or is not clear"),
        ("1 year", "whose unit has no fixed length or is not clear"),
        ("5 m", "whose unit has no fixed length or is not clear"),
        ("0.0000001 s", "which is less than a microsecond"),
        ("infinity", ""),
        ("-infinity", "which is negative"),
        ("1 h 30", ""),
        ("1 h -5 min", ""),
        ("10:30", ""),
        ("00:99:00", ""),
        ("h", ""),
        ("10 mins!", ""),
        ("5 parsecs", ""),
        ("1e3 s", ""),
        ("P1D", ""),
        ("true", ""),
        ("10 min; drop", ""),
        ("o'clock", ""),
    ],
)
def test_a_time_that_cannot_be_is_refused_and_named(conn: Connection, given: str, why: str) -> None:
    configure(conn, "tool_timeout", "1 s")
    for name in TIMEOUTS + GRACES:
        diag = error(conn, name, given)
        quoted = "'" + given.replace("'", "''") + "'"
        assert diag.message_primary == f"setting {name} cannot be {quoted}" + (
            f", {why}" if why else ""
        )
        assert "10 min, 1 h 30 min or 00:10:00" in diag.message_hint


@pytest.mark.parametrize("name", ["nosuch", "", "TOOL_TIMEOUT", None])
def test_an_unknown_setting_is_refused(conn: Connection, name: str | None) -> None:
    for given in ("10 min", None):
        diag = error(conn, name, given)
        assert (
            diag.message_primary == f"setting {'null' if name is None else repr(name)} is not known"
        )
        assert "tool_timeout" in diag.message_hint
    with refused("RC010"):
        conn.execute("select recovery.get_setting(%s)", (name,))


def test_an_unknown_watch_is_refused_but_can_be_removed(jobs: Connection) -> None:
    with refused("RC008"):
        configure(jobs, "tool_timeout", "10 min", watch="app.jobs")
    assert configure(jobs, "tool_timeout", "10 min", watch="app.job") == "00:10:00"
    jobs.execute("drop table app.job")
    with refused("RC008"):
        configure(jobs, "tool_timeout", "20 min", watch="app.job")
    assert configure(jobs, "tool_timeout", None, watch="app.job") is None
    assert rows(jobs) == []


def test_a_kind_that_no_index_could_hold_is_refused(conn: Connection) -> None:
    diag = error(conn, "tool_timeout", "1 s", kind="ä" * 1001)
    assert "too long" in diag.message_primary
    assert configure(conn, "tool_timeout", "1 s", kind="ä" * 500, group="g" * 1000) == "00:00:01"


@pytest.mark.parametrize("given", [None, "", " "])
def test_null_or_nothing_removes_only_that_row(jobs: Connection, given: str | None) -> None:
    scopes = [
        {},
        {"watch": "app.job"},
        {"kind": "bash"},
        {"watch": "app.job", "kind": "bash", "group": "s"},
    ]
    for scope in scopes:
        configure(jobs, "tool_timeout", "10 min", **scope)
    for left, scope in zip((3, 2, 1, 0), scopes, strict=True):
        assert configure(jobs, "tool_timeout", given, **scope) is None
        assert len(rows(jobs)) == left
        assert configure(jobs, "tool_timeout", given, **scope) is None


def test_null_and_the_empty_string_name_the_same_scope(conn: Connection) -> None:
    configure(conn, "tool_timeout", "10 min")
    configure(conn, "tool_timeout", "20 min", watch="", kind="", group=None)
    assert rows(conn) == [("tool_timeout", "", "", "", "00:20:00")]


def test_a_row_tells_who_changed_it_and_when(conn: Connection) -> None:
    query = "select changed_at, changed_by from recovery.setting"
    configure(conn, "tool_timeout", "10 min")
    [first] = conn.execute(query).fetchall()
    assert first[1] == value(conn, "select session_user::text")
    configure(conn, "tool_timeout", "600 s")  # the same
    assert conn.execute(query).fetchall() == [first]
    configure(conn, "tool_timeout", "11 min")
    assert value(conn, query) > first[0]


def test_checking_stores_nothing(conn: Connection) -> None:
    assert value(conn, "select recovery.check_setting('tool_timeout', '10 min')") == "00:10:00"
    assert value(conn, "select recovery.check_setting('tool_timeout', '')") is None
    with refused("RC010"):
        conn.execute("select recovery.check_setting('tool_timeout', '10')")
    assert rows(conn) == []


def test_a_setting_is_transactional(conn: Connection, connect: Callable[..., Connection]) -> None:
    other = connect()
    with conn.transaction(force_rollback=True):
        configure(conn, "tool_timeout", "10 min")
        assert value(conn, "select recovery.get_setting('tool_timeout')") == "00:10:00"
        assert value(other, "select recovery.get_setting('tool_timeout')") is None
    assert value(conn, "select recovery.get_setting('tool_timeout')") is None


@pytest.mark.parametrize(
    ("role", "may"),
    [("recovery_server", "configure read"), ("recovery_listener", "read"), ("", "")],
)
def test_who_may(conn: Connection, connect: Callable[..., Connection], role: str, may: str) -> None:
    login = f"recovery_test_settings_{os.getpid()}"
    conn.execute(f"create role {login} login")  # type: ignore
    try:
        if role:
            conn.execute(f"grant {role} to {login}")  # type: ignore
        acting = connect()
        acting.execute(f"set session authorization {login}")  # type: ignore
        if "configure" in may:
            assert configure(acting, "tool_timeout", "10 min") == "00:10:00"
            assert value(conn, "select changed_by from recovery.setting") == login
            with refused("RC010"):
                configure(acting, "tool_timeout", "10")
        else:
            with refused("42501"):
                configure(acting, "tool_timeout", "10 min")
        if "read" in may:
            assert value(acting, "select recovery.get_setting('cancel_grace')") == "00:00:10"
            assert value(acting, "select count(*) from recovery.setting_status") == 11
            with refused("RC010"):
                acting.execute("select recovery.get_setting('nosuch')")
        else:
            for statement in (
                "select recovery.get_setting('cancel_grace')",
                "select * from recovery.setting_status",
            ):
                with refused("42501"):
                    acting.execute(statement)  # type: ignore
        for statement in (
            "insert into recovery.setting (name, value) values ('tool_timeout', 'x')",
            "update recovery.setting set value = 'x'",
            "delete from recovery.setting",
        ):
            with refused("42501"):
                acting.execute(statement)  # type: ignore
    finally:
        conn.execute(f"drop owned by {login}; drop role {login}")  # type: ignore
