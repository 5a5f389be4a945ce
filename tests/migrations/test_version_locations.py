"""Our revisions beside those of the host, in its version_locations."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from migrations.project import PLAIN, WATCHED, Project, operations
from recovery import schema

pytestmark = pytest.mark.majors("newest")

NOTHING = "No new upgrade operations detected."


def header(text: str, name: str) -> str:
    found = re.search(rf"^{name}[^=]*= (.*)$", text, re.M)
    assert found is not None
    return found[1]


def test_a_revision_with_a_watch_depends_on_ours(project: Callable[..., Project]) -> None:
    """And follows the host's head without being told so: in our folder nothing is written."""
    host = project(location=schema.location())
    host.models(PLAIN)
    host("upgrade", "heads")
    first = host.revise("one")  # the host has no revision yet
    assert header(first, "down_revision") == header(first, "depends_on") == "None"
    host("upgrade", "heads")
    host.models(WATCHED)
    text = host.revise("two")
    assert operations(text) == ["create_watch job"]
    assert header(text, "down_revision") == "'one'"
    assert header(text, "depends_on") == "'recovery_0001'"
    host("upgrade", "heads")
    assert NOTHING in host("check")
    host("downgrade", "base")
    assert host.watches() == {}
    # From nothing, and only what the host's own branch needs.
    host("upgrade", "two")
    assert list(host.watches()) == ["job"]
    assert host.rows("select to_regnamespace('agent')") == [(None,)]


def test_upgrade_head_says_what_to_type(project: Callable[..., Project]) -> None:
    host = project(location=schema.location())
    host.models(PLAIN)
    host("upgrade", "heads")
    host.revise("one")
    assert "or 'heads' for all heads" in host("upgrade", "head", ok=False)
    host("upgrade", "heads")


def test_a_host_with_two_heads_has_to_choose(project: Callable[..., Project]) -> None:
    host = project(location=schema.location())
    host.models(PLAIN)
    host("upgrade", "heads")
    host.revise("one")
    host("revision", "--rev-id", "other", "-m", "other", "--head", "base",
         "--version-path", str(host.folder / "migrations" / "versions"))  # fmt: skip
    host("upgrade", "heads")
    host.models(WATCHED)
    said = host("revision", "--autogenerate", "-m", "two", ok=False)
    assert "Multiple heads are present" in said
    assert header(host.revise("two", "--head", "one"), "depends_on") == "'recovery_0001'"


def test_a_step_back_never_removes_the_store(project: Callable[..., Project]) -> None:
    """`downgrade -1` today removes the agent store with all it holds."""
    host = project(location=schema.location())
    host.models(WATCHED)
    host("upgrade", "heads")
    host.revise("one")
    host("upgrade", "heads")
    said = host("downgrade", "-1", ok=False)
    assert "`alembic downgrade one@-1`" in said
    assert "agent_store@base" in said
    assert host.rows("select to_regnamespace('agent')::text") == [("agent",)]
    assert list(host.watches()) == ["job"]
    host("downgrade", "one@-1")
    assert host.watches() == {}
    assert host.rows("select to_regnamespace('agent')::text") == [("agent",)]
    said = host("downgrade", "-1", ok=False)
    assert host.rows("select to_regnamespace('recovery')::text") == [("recovery",)]
    host("downgrade", "agent_store@base")
    assert host.rows("select to_regnamespace('agent')") == [(None,)]
    said = host("downgrade", "-1", ok=False)
    assert "recovery@base" in said
    host("downgrade", "recovery@base")
    assert host.rows("select to_regnamespace('recovery')") == [(None,)]


def test_several_databases(
    project: Callable[..., Project], new_database: Callable[..., str]
) -> None:
    """Today a TypeError: Alembic's template gives upgrade() the name of the engine."""
    second = new_database()
    host = project(second, template="multidb", location=schema.location())
    host.models(WATCHED, "class Other(DeclarativeBase):\n    pass\n")
    host("upgrade", "heads")
    text = host.revise("one")
    assert operations(text, "upgrade_engine1")[-1] == "create_watch job"
    assert header(text, "depends_on") == "'recovery_0001'"
    host("upgrade", "heads")
    assert list(host.watches()) == ["job"]
    for dsn in (host.dsn, second):
        assert host.rows("select recovery.version() is not null", dsn) == [(True,)]
    assert NOTHING in host("check")
    host("downgrade", "base")
    for dsn in (host.dsn, second):
        assert host.rows("select to_regnamespace('recovery')", dsn) == [(None,)]


def test_a_database_that_is_not_postgresql(
    project: Callable[..., Project], new_database: Callable[..., str]
) -> None:
    second = new_database()
    host = project(second, template="multidb", location=schema.location())
    ini = host.folder / "alembic.ini"
    ini.write_text(
        re.sub(r"(?<=\[engine2\]\n)(.*?)sqlalchemy.url = .*?$", r"\1sqlalchemy.url = sqlite:///other.db",
               ini.read_text(), flags=re.S | re.M)
    )  # fmt: skip
    assert "sqlite" in ini.read_text()
    host.models(PLAIN, "class Other(DeclarativeBase):\n    pass\n")
    host("upgrade", "heads")
    assert host.rows("select recovery.version() is not null") == [(True,)]
    host.revise("one")
    host("upgrade", "heads")
    assert NOTHING in host("check")
    host("downgrade", "base")
    assert host.rows("select to_regnamespace('recovery')") == [(None,)]
