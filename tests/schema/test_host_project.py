"""A project with an Alembic of its own runs our revisions: its env.py, its version table."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from recovery import errors, schema
from schema.catalog import OURS, catalog, watches

INI = """
[alembic]
script_location = %(here)s
path_separator = newline
version_locations =
    %(here)s/versions
    {location}
"""

# As `alembic init` writes it, for any driver.
ENV = """
import asyncio

import sqlalchemy as sa
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

metadata = sa.MetaData()
sa.Table(
    "job",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True),
    sa.Column("status", sa.Text, nullable=False),
)
url = sa.make_url(context.config.attributes["url"])


def run(connection):
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()


async def run_async():
    engine = create_async_engine(url, poolclass=sa.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)


if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, **context.config.attributes["offline"])
    with context.begin_transaction():
        context.run_migrations()
elif url.get_dialect().is_async:
    asyncio.run(run_async())
else:
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        run(connection)
"""

MAKO = (Path(schema.location()).parent / "script.py.mako").read_text()

WATCH = '''
from alembic import op

revision = "host_watch"
down_revision = "host_job"
branch_labels = None
depends_on = "recovery_0001"


def upgrade():
    op.execute("""
        select recovery.attach('public.job', $$status = 'running'$$,
                               $${"status": "'failed'"}$$, p_group => 'id')
    """)


def downgrade():
    op.execute("select recovery.detach('public.job')")
'''


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Config]:
    """``project(dsn, driver)``: the host's Alembic.

    Its first revision, which creates table job, was generated before it knew of us.
    """
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(ENV)
    (tmp_path / "script.py.mako").write_text(MAKO)
    (tmp_path / "alembic.ini").write_text(INI.format(location=schema.location()))

    def configure(dsn: str, driver: str = "psycopg", **offline: Any) -> Config:
        config = Config(tmp_path / "alembic.ini", stdout=io.StringIO())
        url = sa.make_url(dsn).set(drivername=f"postgresql+{driver}")
        config.attributes["url"] = url.render_as_string(hide_password=False)
        config.attributes["offline"] = offline
        if not any((tmp_path / "versions").glob("*.py")):
            ours = config.get_main_option("version_locations")
            config.set_main_option("version_locations", str(tmp_path / "versions"))
            command.revision(
                config, "job", autogenerate=True, branch_label="host", rev_id="host_job"
            )
            config.set_main_option("version_locations", str(ours))
        return config

    return configure


def scalar(dsn: str, query: str) -> Any:
    with psycopg.connect(dsn) as conn:
        row = conn.execute(query.encode()).fetchone()
    return row and row[0]


def left(dsn: str) -> Any:
    """Which schemas of ours there are."""
    names = ", ".join(f"'{name}'" for name in OURS)
    query = f"select array_agg(nspname::text order by nspname) from pg_namespace where nspname in ({names})"
    return scalar(dsn, query)


def versions(dsn: str) -> list[str]:
    query = "select array_agg(version_num::text order by version_num) from public.alembic_version"
    return list(scalar(dsn, query) or [])


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_up_and_down(
    project: Callable[..., Config], empty_dsn: str, dsn: str, driver: str, tmp_path: Path
) -> None:
    pytest.importorskip(driver)
    config = project(empty_dsn, driver)
    generated = (tmp_path / "versions" / "host_job_job.py").read_text()
    assert "create_table('job'" in generated
    before = catalog(empty_dsn)

    command.upgrade(config, "heads")
    assert catalog(empty_dsn, *OURS) == catalog(dsn, *OURS)
    assert watches(empty_dsn) == watches(dsn)
    assert versions(empty_dsn) == ["agent_store_0001", "host_job"]
    assert scalar(empty_dsn, "select to_regclass('recovery.alembic_version')::text") is None
    schema.check(empty_dsn)
    assert schema.current(empty_dsn)["managed"] == "host"

    command.upgrade(config, "heads")
    command.check(config)  # autogenerate sees nothing of ours
    command.downgrade(config, "base")
    assert catalog(empty_dsn) == before
    assert versions(empty_dsn) == []


@pytest.mark.majors("newest")
def test_a_revision_of_the_host_watches_its_table(
    project: Callable[..., Config], empty_dsn: str, tmp_path: Path
) -> None:
    config = project(empty_dsn)
    (tmp_path / "versions" / "host_watch.py").write_text(WATCH)
    command.upgrade(config, "host@head")  # brings the core along, by depends_on
    assert versions(empty_dsn) == ["host_watch"]
    assert [watch["name"] for watch in watches(empty_dsn)] == ["public.job"]
    assert scalar(empty_dsn, "select to_regnamespace('agent')::text") is None
    command.downgrade(config, "host_job")
    assert watches(empty_dsn) == []
    command.upgrade(config, "heads")
    assert left(empty_dsn) == sorted(OURS)
    command.downgrade(config, "base")
    assert left(empty_dsn) is None
    assert scalar(empty_dsn, "select to_regclass('public.job')::text") is None


@pytest.mark.majors("newest")
@pytest.mark.parametrize("named", [True, False], ids=["named", "driver's paramstyle"])
def test_offline(
    project: Callable[..., Config], empty_dsn: str, dsn: str, named: bool, tmp_path: Path
) -> None:
    """Byte for byte, even where the host's env.py keeps a paramstyle that doubles `%`."""
    project(empty_dsn)  # the first revision is generated from an empty database
    config = project(empty_dsn, **({"dialect_opts": {"paramstyle": "named"}} if named else {}))

    def script(step: Callable[..., None], revision: str) -> bytes:
        config.output_buffer = io.StringIO()
        step(config, revision, sql=True)
        return config.output_buffer.getvalue().encode()

    before = catalog(empty_dsn)
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute("drop table alembic_version")  # `alembic revision` made it
        conn.execute(script(command.upgrade, "heads"))
        assert catalog(empty_dsn, *OURS) == catalog(dsn, *OURS)
        conn.execute(script(command.downgrade, "agent_store_0001:base"))
        conn.execute(script(command.downgrade, "host_job:base"))
    assert catalog(empty_dsn) == before
    assert left(empty_dsn) is None


@pytest.mark.majors("newest")
def test_our_command_leaves_a_hosts_schema_alone(
    project: Callable[..., Config], empty_dsn: str
) -> None:
    command.upgrade(project(empty_dsn), "heads")
    before = catalog(empty_dsn)
    for step in (schema.upgrade, schema.downgrade):
        with pytest.raises(errors.SchemaMismatch, match="project's `alembic upgrade heads`"):
            step(empty_dsn)
    assert catalog(empty_dsn) == before


@pytest.mark.majors("newest")
def test_a_host_takes_over_what_our_command_installed(
    project: Callable[..., Config], empty_dsn: str
) -> None:
    config = project(empty_dsn)
    schema.upgrade(empty_dsn)
    before = catalog(empty_dsn)
    with pytest.raises(sa.exc.ProgrammingError, match='"recovery" is in use already'):
        command.upgrade(config, "heads")
    assert catalog(empty_dsn) == before
    # As the hint of that error says.
    command.stamp(config, "agent_store_0001")
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("drop table recovery.alembic_version")
    command.upgrade(config, "heads")
    assert versions(empty_dsn) == ["agent_store_0001", "host_job"]
    command.downgrade(config, "base")
    assert left(empty_dsn) is None


@pytest.mark.majors("newest")
def test_a_schema_named_recovery_of_the_hosts_own_is_left_alone(
    project: Callable[..., Config], empty_dsn: str
) -> None:
    config = project(empty_dsn)
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("create schema recovery; create table recovery.dentist (id int)")
    before = catalog(empty_dsn)
    with pytest.raises(sa.exc.ProgrammingError, match='"recovery" is in use already'):
        command.upgrade(config, "heads")
    assert catalog(empty_dsn) == before


@pytest.mark.majors("newest")
def test_a_private_schema_of_the_hosts_own_is_left_alone(
    project: Callable[..., Config], empty_dsn: str
) -> None:
    config = project(empty_dsn)
    with psycopg.connect(empty_dsn) as conn:
        conn.execute("create schema recovery_private")
    before = catalog(empty_dsn)
    with pytest.raises(sa.exc.ProgrammingError, match='"recovery_private" already exists'):
        command.upgrade(config, "heads")
    assert catalog(empty_dsn) == before
