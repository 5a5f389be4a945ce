"""The operations: as Python, as SQL, and taken back."""

from __future__ import annotations

import ast
import io
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations, ops
from alembic.util import CommandError
from hypothesis import given
from hypothesis import strategies as st

import recovery.migrations
from recovery.migrations import (
    AlterWatchOp,
    CreateWatchOp,
    DropWatchOp,
    InstallRecoveryOp,
    UninstallRecoveryOp,
)
from recovery.migrations.literals import literal
from recovery.migrations.rendering import python

#: What SQLAlchemy and Alembic do does not depend on the server.
pytestmark = pytest.mark.majors("newest")

LONG = "status = 'running' and " * 8 + "true"
#: What has broken texts on their way: parameters, formats, quotes, escapes, tabs, line ends.
NASTY = (
    "x:name",
    "a::text",
    r"\:x",
    "100%",
    "%s %(x)s %%",
    "it's",
    'say "x"',
    """both ' and " """,
    "back\\slash",
    "tab\there",
    "one\ntwo",
    "$1 $$ {} ${x}",
    "ünï ☃ 🦉",
)


def rendered(*operations: ops.MigrateOperation) -> str:
    return render_python_code(ops.UpgradeOps(list(operations)))


@pytest.mark.parametrize("prefix", ["op.", "alembic_op."])
def test_a_short_operation_is_one_line(prefix: str) -> None:
    text = render_python_code(
        ops.UpgradeOps([DropWatchOp("job", schema="app"), InstallRecoveryOp("recovery_0001")]),
        alembic_module_prefix=prefix,
    )
    assert f'{prefix}drop_watch("job", schema="app")' in text
    assert f'{prefix}install_recovery("recovery_0001")' in text


def test_a_watch_is_an_option_a_line_and_no_line_is_too_long() -> None:
    close = {f"column_{n}": LONG for n in range(3)} | {"status": "'failed'"}
    text = rendered(
        CreateWatchOp("job", {"open": LONG, "close": close, "failed_topics": ["a.b"] * 12}),
        AlterWatchOp("job", {"group": None, "launch_grace": timedelta(minutes=1)}),
    )
    assert max(map(len, text.splitlines())) <= 88
    assert '\n        "job",\n        open=(\n' in text
    assert '\n            "status": "\'failed\'",\n' in text
    assert "group=None" in text
    assert 'launch_grace="60 seconds"' in text


@given(st.one_of(st.text(), st.sampled_from(NASTY), st.text(" ab'\"\\\n", min_size=80)))
def test_a_text_is_read_as_it_was(value: str) -> None:
    assert ast.literal_eval(python(value)) == value
    assert ast.literal_eval(python({"key": value, value: [value]}, 8)) == {
        "key": value,
        value: [value],
    }


@pytest.mark.majors("newest")
@pytest.mark.parametrize("strict", ["on", "off"])
def test_a_literal_is_read_as_it_was(conn: psycopg.Connection[Any], strict: str) -> None:
    conn.execute(f"set standard_conforming_strings = {strict}".encode())
    conn.execute("set escape_string_warning = off")
    for value in (*NASTY, None, True, 100, list(NASTY), {"a": NASTY[0], "b": None, "c": [1]}):
        row = conn.execute(f"select {literal(value)}".encode()).fetchone()
        assert row == (value,)
    row = conn.execute(f"select {literal(timedelta(-1, 5, 7))}::interval".encode()).fetchone()
    assert row == (timedelta(-1, 5, 7),)
    with pytest.raises(recovery.InvalidArgument, match="NUL"):
        literal("a\0b")


@pytest.mark.majors("newest")
@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize("value", NASTY)
def test_what_is_executed_and_what_is_written_is_the_same_watch(
    url: sa.URL, value: str, driver: str
) -> None:
    """Whatever stands in an expression, `:name` and `%` too."""
    watch = CreateWatchOp(
        "Job",
        {
            "open": f"r.status <> {literal(value)}",
            "close": {"status": literal(value), "odd \"%:n'": "null"},
            "topic": "a.b",
            "started": "r.began",
            "launch_grace": timedelta(seconds=90),
            "supervise": {"kind": literal(value), "cancel": "row"},
        },
        schema="my app",
    )
    found = []
    engine = sa.create_engine(url.set(drivername=f"postgresql+{driver}"), poolclass=sa.NullPool)
    for offline in (False, True):
        with engine.begin() as connection:
            connection.exec_driver_sql('create schema "my app"')
            connection.exec_driver_sql(
                'create table "my app"."Job" (id int primary key, status text,'
                ' began timestamptz, "odd ""%%:n\'" text)'
            )
            script = io.StringIO()
            options: dict[str, Any] = {"as_sql": offline, "output_buffer": script}
            context = MigrationContext.configure(
                connection=None if offline else connection,
                dialect=connection.dialect,
                opts=options,
            )
            Operations(context).invoke(watch)
            if offline:
                raw: Any = connection.connection.dbapi_connection
                raw.cursor().execute(script.getvalue())
            found.append(
                connection.exec_driver_sql(
                    "select spec, supervised from recovery.watch where name = 'my app.Job'"
                )
                .mappings()
                .all()
            )
            connection.rollback()
    assert found[0] == found[1]
    assert value in str(found[0][0]["spec"]["open"]).replace("\\\\", "\\").replace("''", "'")


def test_each_operation_can_be_taken_back() -> None:
    options = {"open": "o", "close": {"a": "b"}, "supervise": {"kind": "k"}}
    create = CreateWatchOp("job", options, schema="app")
    drop = create.reverse()
    assert isinstance(drop, DropWatchOp)
    again = drop.reverse()
    assert isinstance(again, CreateWatchOp)
    assert (again.table_name, again.schema, again.options) == ("job", "app", options)

    alter = AlterWatchOp("job", {"open": "new"}, existing={"open": "old"})
    back = alter.reverse()
    assert isinstance(back, AlterWatchOp)
    assert (back.changes, back.existing) == ({"open": "old"}, {"open": "new"})

    newer = InstallRecoveryOp("recovery_0002", existing="recovery_0001")
    older = newer.reverse()
    assert isinstance(older, UninstallRecoveryOp)
    assert (older.revision, older.existing) == ("recovery_0001", "recovery_0002")
    first = InstallRecoveryOp("recovery_0001").reverse()
    assert isinstance(first, UninstallRecoveryOp)
    assert first.revision == "base"
    assert first.reverse().to_diff_tuple() == ("install_recovery", "recovery_0001")


def test_what_is_not_known_is_not_taken_back() -> None:
    for operation in (DropWatchOp("job"), AlterWatchOp("job", {"open": "x"})):
        with pytest.raises(CommandError, match="is not known"):
            operation.reverse()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"open": "a", "close": {"a": "b"}, "opne": "x"}, "no such option: opne; there are"),
        (
            {"open": "a", "close": {"a": "b"}, "supervise": {"kid": "x"}},
            r"no such option: supervise\['kid'\]",
        ),
        ({"open": "a"}, "open and close are needed"),
    ],
)
def test_a_mistake_is_told_before_anything_is_done(options: Any, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        CreateWatchOp("job", options)
    with pytest.raises(CommandError, match="nothing is changed"):
        AlterWatchOp("job", {})


@pytest.mark.majors("newest")
def test_what_postgresql_refuses_comes_with_its_hint(empty_dsn: str, url: sa.URL) -> None:
    operation = CreateWatchOp("job", {"open": "nothing", "close": {"a": "b"}})
    empty = sa.make_url(empty_dsn).set(drivername="postgresql+psycopg")
    for where, error, message in (
        (empty, recovery.SchemaMismatch, r"put op\.install_recovery\(\) before it"),
        (url, recovery.WatchInvalid, "nothing"),
    ):
        engine = sa.create_engine(where, poolclass=sa.NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("create table job (id int primary key, a text)")
            operations = Operations(MigrationContext.configure(connection))
            with pytest.raises(error, match=message):
                operations.invoke(operation)
            connection.rollback()


def test_importing_it_again_registers_nothing_twice() -> None:
    from alembic.autogenerate import comparators

    def count() -> int:
        return sum(len(found) for found in comparators._registry.values())

    before = count()
    recovery.migrations.comparing.register()
    recovery.migrations.executing.register()
    recovery.migrations.rendering.register()
    assert count() == before
