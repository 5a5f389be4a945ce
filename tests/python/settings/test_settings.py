"""Settings of the watchdog from Python: by connection, by target, at the boot, by the environment."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import recovery
from recovery import calls, settings

Connection = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in settings.VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def live(dsn: str) -> Iterator[recovery.Server]:
    """A server that is live before another boot of its name."""
    server = recovery.boot(dsn, "api", lease=600)
    yield server
    server.bus.close()


def stored(conn: Connection) -> dict[str, str]:
    """What is set for everything."""
    return dict(
        conn.execute("select name, value from recovery.setting where watch = ''").fetchall()
    )


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("10 min", "00:10:00"),
        (timedelta(minutes=10), "00:10:00"),
        (timedelta(hours=36, milliseconds=250), "1 day 12:00:00.25"),
        (timedelta(microseconds=1), "00:00:00.000001"),
        (timedelta(), "off"),
        (0, "off"),
        ("off", "off"),
        (None, None),
    ],
)
def test_what_a_value_can_be(conn: Connection, given: Any, value: str | None) -> None:
    assert recovery.configure(conn, "tool_timeout", given) == value
    assert recovery.setting(conn, "tool_timeout") == (None if value == "off" else value)


def test_a_bool_for_idle_roots(conn: Connection) -> None:
    assert recovery.configure(conn, "idle_roots", True) == "true"
    assert recovery.configure(conn, "idle_roots", False) == "false"


@pytest.mark.parametrize(
    "given", [600, 1.5, True, timedelta(seconds=-1), timedelta(days=366), "ten"]
)
def test_what_a_value_cannot_be(conn: Connection, given: Any) -> None:
    with pytest.raises(
        recovery.InvalidArgument, match=r"setting tool_timeout cannot be .*; Allowed"
    ):
        recovery.configure(conn, "tool_timeout", given)
    assert stored(conn) == {}


def test_a_negative_timedelta_is_named_as_it_is(conn: Connection) -> None:
    with pytest.raises(recovery.InvalidArgument, match=r"'-0 days 1\.5 s', which is negative"):
        recovery.configure(conn, "tool_timeout", timedelta(seconds=-1.5))


def test_the_scope(conn: Connection, jobs: Any) -> None:
    recovery.configure(conn, "tool_timeout", "1 s")
    recovery.configure(conn, "tool_timeout", "2 s", watch="public.job")
    recovery.configure(conn, "tool_timeout", "3 s", watch="public.job", kind="bash")
    recovery.configure(conn, "tool_timeout", "4 s", group="s1")
    assert recovery.setting(conn, "tool_timeout") == "00:00:01"
    assert recovery.setting(conn, "tool_timeout", watch="public.job") == "00:00:02"
    assert recovery.setting(conn, "tool_timeout", watch="public.job", kind="bash") == "00:00:03"
    assert recovery.setting(conn, "tool_timeout", kind="bash", group="s1") == "00:00:04"
    with pytest.raises(recovery.WatchUnknown, match="nosuch"):
        recovery.configure(conn, "tool_timeout", "1 s", watch="nosuch")


def test_a_connection_takes_part_in_its_transaction(dsn: str, engine: sa.Engine) -> None:
    with psycopg.connect(dsn) as conn:
        recovery.configure(conn, "tool_timeout", "1 s")
        conn.rollback()
    with engine.connect() as connection:
        recovery.configure(connection, "tool_timeout", "1 s")
    with Session(engine) as session:
        recovery.configure(session, "tool_timeout", "1 s")
        assert recovery.setting(session, "tool_timeout") == "00:00:01"
    assert recovery.setting(dsn, "tool_timeout") is None
    with Session(engine) as session, session.begin():
        recovery.configure(session, "tool_timeout", "1 s")
    assert recovery.setting(dsn, "tool_timeout") == "00:00:01"


def test_a_target_commits_at_once(dsn: str, engine: sa.Engine) -> None:
    recovery.configure(dsn, "tool_timeout", "1 s")
    assert recovery.setting(engine, "tool_timeout") == "00:00:01"
    recovery.configure(engine, "tool_timeout", "2 s")
    assert recovery.setting(lambda: psycopg.connect(dsn), "tool_timeout") == "00:00:02"


async def test_async(dsn: str, url: sa.URL) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        assert await recovery.aconfigure(conn, "tool_timeout", "1 s", kind="bash") == "00:00:01"
        assert await recovery.asetting(conn, "tool_timeout", kind="bash") == "00:00:01"
    engine = create_async_engine(url)
    try:
        async with AsyncSession(engine) as session:
            assert await recovery.aconfigure(session, "tool_timeout", "2 s") == "00:00:02"
        async with engine.connect() as connection:
            assert await recovery.asetting(connection, "tool_timeout") is None
        assert await recovery.aconfigure(engine, "tool_timeout", "3 s") == "00:00:03"
    finally:
        await engine.dispose()
    assert await recovery.asetting(dsn, "tool_timeout") == "00:00:03"
    with pytest.raises(recovery.InvalidArgument, match="tool_timeout"):
        await recovery.aconfigure(dsn, "tool_timeout", "soon")


def test_a_target_without_the_schema(empty_dsn: str) -> None:
    with pytest.raises(recovery.SchemaMismatch):
        recovery.setting(empty_dsn, "tool_timeout")


def test_a_boot_sets_what_it_is_given(dsn: str, conn: Connection) -> None:
    recovery.configure(conn, "wall_timeout", "1 day")
    server = recovery.boot(
        dsn,
        "api",
        settings={
            "tool_timeout": "10 min",
            "task_timeout": timedelta(hours=1),
            "wall_timeout": None,
            "idle_timeout": "off",
        },
    )
    server.bus.close()
    assert stored(conn) == {
        "tool_timeout": "00:10:00",
        "task_timeout": "01:00:00",
        "idle_timeout": "off",
    }


def test_a_served_process_sets_them_too(dsn: str, conn: Connection) -> None:
    with recovery.serve(dsn, "api", sweep=None, listen=False, settings={"cancel_grace": "2 s"}):
        assert stored(conn) == {"cancel_grace": "00:00:02"}


def test_a_boot_reads_the_environment(
    dsn: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "RECOVERY_TOOL_TIMEOUT": "10 min",
        "RECOVERY_TASK_TIMEOUT": "1h",
        "RECOVERY_IDLE_TIMEOUT": "00:30:00",
        "RECOVERY_WALL_TIMEOUT": "0",
        "RECOVERY_PROPAGATION_GRACE": " 1 min ",
        "RECOVERY_CANCEL_GRACE": "0",
        "RECOVERY_IDLE_ROOTS": "on",
        "RECOVERY_UNOWNED_EXPECTED": "off",
        "RECOVERY_EVENT_RETENTION": "3d",
        "RECOVERY_HISTORY_RETENTION": "1 week",
        "RECOVERY_DROP_UNREAD": "on",
    }
    assert set(given) == set(settings.VARIABLES)
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    recovery.boot(dsn, "api").bus.close()
    assert stored(conn) == {
        "tool_timeout": "00:10:00",
        "task_timeout": "01:00:00",
        "idle_timeout": "00:30:00",
        "wall_timeout": "off",
        "propagation_grace": "00:01:00",
        "cancel_grace": "00:00:00",
        "idle_roots": "true",
        "unowned_expected": "false",
        "event_retention": "3 days",
        "history_retention": "7 days",
        "drop_unread": "true",
    }


def test_what_the_environment_does_not_say_stays(
    dsn: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery.configure(conn, "tool_timeout", "10 min")
    recovery.configure(conn, "task_timeout", "1 h")
    monkeypatch.setenv("RECOVERY_TASK_TIMEOUT", "")
    recovery.boot(dsn, "api").bus.close()
    assert stored(conn) == {"tool_timeout": "00:10:00", "task_timeout": "01:00:00"}


def test_settings_that_are_given_replace_the_environment(
    dsn: str, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECOVERY_TOOL_TIMEOUT", "nonsense")
    monkeypatch.setenv("RECOVERY_TASK_TIMEOUT", "1 h")
    recovery.boot(dsn, "api", settings={}).bus.close()
    recovery.boot(dsn, "api", settings={"tool_timeout": "5 s"}).bus.close()
    assert stored(conn) == {"tool_timeout": "00:00:05"}


def test_a_bad_variable_ends_no_older_epoch(
    dsn: str, conn: Connection, live: recovery.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECOVERY_IDLE_TIMEOUT", "1 h")
    monkeypatch.setenv("RECOVERY_TOOL_TIMEOUT", "10")
    with pytest.raises(
        recovery.InvalidArgument,
        match=r"^RECOVERY_TOOL_TIMEOUT: setting tool_timeout cannot be '10', a number without a"
        r" unit; Allowed is a time",
    ):
        recovery.boot(dsn, "api")
    calls.run(conn, calls.server.assert_live(live.epoch))
    assert stored(conn) == {}


@pytest.mark.parametrize(
    "given", [{"tool_timeout": "-1 s"}, {"nosuch": "1 s"}, {"nosuch": None}, {"cancel_grace": 5}]
)
def test_a_bad_setting_ends_no_older_epoch(
    dsn: str, conn: Connection, live: recovery.Server, given: dict[str, Any]
) -> None:
    with pytest.raises(recovery.InvalidArgument, match=f"setting '?{next(iter(given))}'? "):
        recovery.boot(dsn, "api", settings={"task_timeout": "1 h", **given})
    calls.run(conn, calls.server.assert_live(live.epoch))
    assert stored(conn) == {}


def test_no_variable_is_taken_for_something_else() -> None:
    """Those that mean something else already."""
    others = {"RECOVERY_DSN", "RECOVERY_POSTGRES_PATH", "RECOVERY_TEST_DSN", "RECOVERY_TEST_MAJORS"}
    assert not others & set(settings.VARIABLES)


def test_the_variables_are_the_settings_and_documented(conn: Connection) -> None:
    names = {setting.name for setting in calls.run(conn, calls.settings.status())}
    assert set(settings.VARIABLES.values()) == names
    for variable, name in settings.VARIABLES.items():
        assert variable in (inspect.getdoc(recovery.boot) or "")
        assert name in (settings.__doc__ or "")
