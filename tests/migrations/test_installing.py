"""The schema in a revision of the host: one line of revisions, one head, its own downgrade."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from migrations.project import PLAIN, WATCHED, Project, commands, operations
from recovery import schema

pytestmark = pytest.mark.majors("newest")

NOTHING = "No new upgrade operations detected."

BY_HAND = """
from alembic import context, op
import sqlalchemy as sa
import recovery
from recovery import schema

revision = "{revision}"
down_revision = {down!r}


def upgrade():
{up}


def downgrade():
{down_body}
"""


def by_hand(host: Project, revision: str, down: str | None, up: str, back: str = "pass") -> None:
    """A revision that somebody writes."""
    text = BY_HAND.format(
        revision=revision,
        down=down,
        up="\n".join(f"    {line}" for line in up.splitlines()),
        down_body="\n".join(f"    {line}" for line in back.splitlines()),
    )
    (host.folder / "migrations" / "versions" / f"{revision}_by_hand.py").write_text(text)


def installed(host: Project) -> list[str]:
    query = "select nspname from pg_namespace where nspname ~ '^(recovery|agent)' order by 1"
    return [row[0] for row in host.rows(query)]


@pytest.mark.parametrize("line", ["import recovery.migrations  # noqa: F401", ""])
def test_a_revision_goes_on_after_it(project: Callable[..., Project], line: str) -> None:
    """With the operation, and with recovery.schema itself: Alembic's op and context stay."""
    host = project(line=line)
    host.models()
    install = 'op.install_recovery("recovery_0001")' if line else "schema.upgrade(op.get_bind())"
    remove = "op.uninstall_recovery()" if line else "schema.downgrade(op.get_bind())"
    by_hand(
        host,
        "one",
        None,
        'op.execute("create table job (id int primary key, status text)")\n'
        f"{install}\n{install}\n"
        "assert context.get_context() is op.get_context()\n"
        'recovery.attach(op.get_bind(), "job", open="status = \'r\'", close={"status": "\'x\'"})',
        f'recovery.detach(op.get_bind(), "job")\n{remove}\nop.drop_table("job")',
    )
    host("upgrade", "head")
    assert list(host.watches()) == ["job"]
    assert host.rows("select version_num from alembic_version") == [("one",)]
    host("downgrade", "-1")
    assert installed(host) == []
    assert host.rows("select to_regclass('job')") == [(None,)]


def test_in_one_transaction_with_the_rest_of_the_revision(project: Callable[..., Project]) -> None:
    host = project()
    host.models()
    by_hand(host, "one", None, 'op.install_recovery()\nop.execute("select 1 / 0")')
    assert "division by zero" in host("upgrade", "head", ok=False)
    assert installed(host) == []


def test_the_agent_store(project: Callable[..., Project]) -> None:
    host = project()
    host.models()
    back = 'op.uninstall_recovery("agent_store@base")'
    by_hand(host, "one", None, 'op.install_recovery("recovery_0001")', "op.uninstall_recovery()")
    by_hand(host, "two", "one", 'op.install_recovery("agent_store_0001")', back)
    host("upgrade", "head")
    assert installed(host) == ["agent", "recovery", "recovery_private"]
    host("downgrade", "-1")
    assert installed(host) == ["recovery", "recovery_private"]
    host("downgrade", "-1")
    assert installed(host) == []


def test_what_another_project_installed_is_left_alone(project: Callable[..., Project]) -> None:
    other = project(location=schema.location())
    other.models()
    other.configure("version_table='other_version'")
    other("upgrade", "heads")
    host = project()
    host.models()
    by_hand(host, "one", None, "op.install_recovery()")
    assert "another project's Alembic" in host("upgrade", "head", ok=False)
    # Its watches are declared here all the same, and nothing is said about the schema.
    (host.folder / "migrations" / "versions" / "one_by_hand.py").unlink()
    host.models(WATCHED)
    assert "install_recovery" not in host.revise("two")
    host("upgrade", "head")
    assert NOTHING in host("check")


def test_without_the_schema_the_error_says_what_to_type(project: Callable[..., Project]) -> None:
    host = project()
    host.models()
    by_hand(
        host,
        "one",
        None,
        'op.execute("create table job (id int primary key, status text)")\n'
        'op.create_watch("job", open="status = \'r\'", close={"status": "\'x\'"})',
    )
    assert "put op.install_recovery() before it" in host("upgrade", "head", ok=False)


NEWER = '''
"""A later release."""
from alembic import op

revision = "recovery_0002"
down_revision = "recovery_0001"
branch_labels = None
depends_on = None


def upgrade(**_):
    op.execute("create function recovery.newer() returns int language sql as 'select 1'")


def downgrade(**_):
    op.execute("drop function recovery.newer()")
'''


def test_a_newer_release_becomes_a_revision(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    """And what the older revisions do does not change by it."""
    host = project()
    host.models(WATCHED)
    host.revise("one")
    host("upgrade", "head")
    later = tmp_path / "later"
    source = Path(schema.location())
    shutil.copytree(source.parent, later, ignore=shutil.ignore_patterns("__pycache__"))
    (later / "versions" / "0003_newer.py").write_text(NEWER)
    host.env(
        "^import recovery.migrations",
        "import pathlib\nimport recovery.schema.paths\n"
        f"recovery.schema.paths.alembic_dir = lambda: pathlib.Path({str(later)!r})\n"
        "import recovery.migrations",
    )
    text = host.revise("two")
    assert commands(text, "upgrade") == [
        'op.install_recovery("recovery_0002", existing="recovery_0001")'
    ]
    assert commands(text, "downgrade") == [
        'op.uninstall_recovery("recovery_0001", existing="recovery_0002")'
    ]
    newer = "select to_regprocedure('recovery.newer()') is not null"
    host("upgrade", "head")
    assert host.rows(newer) == [(True,)]
    assert NOTHING in host("check")
    script = host("upgrade", "one:two", "--sql")
    assert "recovery.newer" in script
    assert "create schema recovery;" not in script
    assert script.count("BEGIN;") == script.count("COMMIT;") == 1
    host("downgrade", "-1")
    assert host.rows(newer) == [(False,)]
    assert list(host.watches()) == ["job"]
    host("downgrade", "-1")
    host("upgrade", "one")
    assert host.rows("select version_num from recovery.alembic_version") == [("recovery_0001",)]
    assert host.rows(newer) == [(False,)]


def test_concurrently(project: Callable[..., Project], new_database: Callable[..., str]) -> None:
    """One option in env.py, and what is created or changed does not block a table in use."""
    host = project()
    host.configure("recovery_concurrently=True")
    host.models(PLAIN)
    host.revise("one")
    host("upgrade", "head")
    host.models(WATCHED)
    text = host.revise("two")
    assert "concurrently=True" in commands(text, "upgrade")[-1]
    assert commands(text, "downgrade")[0] == 'op.drop_watch("job", concurrently=True)'
    with sa.create_engine(
        sa.make_url(host.dsn).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool
    ).connect() as reader:
        # Somebody reads all the time: in one transaction the attach would wait for it.
        for _ in range(2):
            reader.exec_driver_sql("select count(*) from job")
            reader.rollback()
        host("upgrade", "head")
    assert list(host.watches()) == ["job"]
    assert host.rows(
        "select indisvalid from pg_index where indexrelid::regclass::text ~ 'recovery_open'"
    ) == [(True,)]
    assert NOTHING in host("check")
    first = host.watches()
    host.models(WATCHED.replace('"running"', '"busy"'))
    assert operations(host.revise("three")) == ["alter_watch job"]
    host("upgrade", "head")
    assert NOTHING in host("check")
    host("downgrade", "-1")
    assert host.watches() == first
    script = host("upgrade", "base:head", "--sql")
    assert r"\gexec" in script
    host("downgrade", "one")
    assert host.watches() == {}
    psql = shutil.which("psql")
    if psql is not None:
        other = new_database()
        subprocess.run(
            [psql, "-v", "ON_ERROR_STOP=1", "-d", other],
            input=script,
            text=True,
            check=True,
            capture_output=True,
        )
        assert "busy" in str(host.watches(other))


def test_a_table_that_the_same_revision_makes_is_attached_at_once(
    project: Callable[..., Project],
) -> None:
    host = project()
    host.configure("recovery_concurrently=True")
    host.models(WATCHED)
    assert "concurrently" not in host.revise("one")
