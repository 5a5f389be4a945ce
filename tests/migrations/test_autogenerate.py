"""Autogenerate: what is declared becomes a revision, and what is ours is never mentioned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import recovery.migrations
from migrations.project import HEAD, LINE, PLAIN, WATCHED, Project, commands, operations
from recovery import schema
from recovery.cluster import Cluster

pytestmark = pytest.mark.majors("newest")

NOTHING = "No new upgrade operations detected."

COLUMNS = (
    "select attname from pg_attribute"
    " where attrelid = 'job'::regclass and attnum > 0 and not attisdropped order by attnum"
)

#: Everything that we can put on a table: both indexes, a group, the watchdog.
FULL = """
class Job(Base):
    __tablename__ = "job"
    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    session: Mapped[str]
    status: Mapped[str] = mapped_column(sa.Text, index=True, server_default="queued")
    tries: Mapped[int] = mapped_column(server_default=sa.text("0"))
    began: Mapped[None] = mapped_column(sa.DateTime(timezone=True), nullable=True)
    __recovery__ = recovery.Watch(
        open=lambda job: job.status == "running",
        close={"status": "'failed'"},
        name="jobs",
        group=lambda job: job.session,
        family="work",
        position=7,
        started=lambda job: job.began,
        launch_grace="1 minute",
        unowned="1 day",
        failed_topics=["a.b", "c"],
        requeue={"status": "'queued'"},
        attempts=lambda job: job.tries,
        max_attempts=5,
        kind="'bash'",
        activity=lambda job: job.began,
    )
"""

INCLUDE = """
def include_object(item, name, type_, reflected, compare_to):
    if name == "unrelated":
        return False
    assert not str(name).startswith(("recovery", "server_epoch")), (name, type_)
    return True

"""


def unfiltered(host: Project) -> str:
    """What Alembic would say without us."""
    host.env(f"^{LINE}", "# " + LINE)
    answer = host("check", ok=False)
    host.env(f"^# {LINE}", LINE)
    return answer


@pytest.mark.parametrize("schemas", [True, False], ids=["include_schemas", "one schema"])
@pytest.mark.parametrize("filtered", [True, False], ids=["include_object", "no filter"])
def test_no_word_about_what_is_ours(
    project: Callable[..., Project], schemas: bool, filtered: bool
) -> None:
    """Today's wrong proposals: indexes, columns, sixteen tables."""
    host = project()
    host.models(FULL)
    options = f"include_schemas={schemas}, compare_type=True, compare_server_default=True"
    if filtered:
        host.env("^def run_migrations_offline", INCLUDE + "def run_migrations_offline")
        options += ", include_object=include_object"
        host.rows("create table unrelated (id int)")
    host.configure(options)
    host.revise("one")
    host("upgrade", "head")
    schema.upgrade(host.dsn)  # the agent store, too
    assert NOTHING in host("check")
    if filtered:
        return
    words = unfiltered(host)
    for word in ("recovery_open_", "recovery_started_", "server_epoch"):
        assert word in words
    assert ("remove_table" in words) == schemas
    for word in ("recovery.event", "'session'"):
        assert not schemas or word in words


def test_what_is_the_hosts_own_is_still_told(project: Callable[..., Project]) -> None:
    """A schema or a table that is only called like ours; a column of a table without a watch."""
    host = project()
    host.models()
    host.configure("include_schemas=True")
    host.revise("one")
    host("upgrade", "head")
    host.rows("create schema recovery; create table recovery.dentist (id int primary key)")
    host.rows("create schema agent; create table agent.smith (id int primary key)")
    host.rows("create table other (id int primary key, server_epoch bigint)")
    host.rows("create index recovery_open_1 on other (server_epoch)")
    words = host("check", ok=False)
    for word in ("dentist", "smith", "recovery_open_1", "server_epoch"):
        assert word in words


def test_a_table_of_the_hosts_in_schema_agent_is_told(project: Callable[..., Project]) -> None:
    host = project()
    host.models()
    host.configure("include_schemas=True")
    host.revise("one")
    host("upgrade", "head")
    schema.upgrade(host.dsn)
    assert NOTHING in host("check")
    host.rows("create table agent.smith (id int primary key)")
    words = host("check", ok=False)
    assert "smith" in words
    assert "'session'" not in words


def test_a_host_may_map_our_tables(project: Callable[..., Project]) -> None:
    """To read events; whether include_schemas shows them or not."""
    host = project()
    host.models(
        WATCHED,
        """
        class Event(Base):
            __tablename__ = "event"
            __table_args__ = {"schema": "recovery"}
            id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
        """,
    )
    text = host.revise("one")
    assert operations(text) == [
        "install_recovery recovery_0001",
        "create_table job",
        "create_index ix_job_status",
        "create_watch job",
    ]
    assert "event" not in text
    host("upgrade", "head")
    assert NOTHING in host("check")
    host.configure("include_schemas=True")
    assert NOTHING in host("check")


@pytest.mark.parametrize("partitioned", [True, False])
def test_leaves_of_a_partitioned_table_too(
    project: Callable[..., Project], partitioned: bool
) -> None:
    host = project()
    host.models(
        """
        class Job(Base):
            __tablename__ = "job"
            id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
            status: Mapped[str]

        class Leaf(Base):
            __tablename__ = "leaf"
            id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
            status: Mapped[str]
        """
    )
    host.configure("include_object=lambda item, name, *_: name != 'leaf_pkey'")
    schema.upgrade(host.dsn)
    if partitioned:
        host.rows(
            "create table job (id bigint primary key, status varchar not null) partition by range (id);"
            "create table leaf partition of job for values from (0) to (100)"
        )
    else:
        host.rows(
            "create table job (id bigint primary key, status varchar not null);"
            "create table leaf (id bigint primary key, status varchar not null)"
        )
    host("stamp", "head")
    assert NOTHING in host("check")
    host.rows("""select recovery.attach('job', 'status = ''running''', '{"status": "''x''"}')""")
    words = host("check", ok=False)
    assert "remove_watch" in words
    for word in ("_idx", "server_epoch", "recovery_open"):
        assert word not in words


def test_a_model_may_map_the_owner(project: Callable[..., Project]) -> None:
    """Whoever made the column: nothing is said about its comment, and no default is needed."""
    mapped = WATCHED.replace(
        "    __recovery__",
        "    server_epoch: Mapped[int | None] = mapped_column(sa.BigInteger)\n    __recovery__",
    )
    host = project()
    host.configure("compare_server_default=True")
    host.models(WATCHED)
    host.revise("one")
    host("upgrade", "head")
    host.models(mapped)
    assert NOTHING in host("check")
    assert host.rows("select own_column from recovery.watch") == [(True,)]
    assert "pg-recovery: epoch" in unfiltered(host)
    # The column goes with the watch; the model still has it.
    host.models(mapped.partition("    __recovery__")[0])
    text = host.revise("two")
    assert operations(text) == ["drop_watch job", "add_column job"]
    assert operations(text, "downgrade") == ["drop_column job", "create_watch job"]
    host("upgrade", "head")
    assert NOTHING in host("check")
    # And from a column of the host's own.
    host.models(mapped)
    assert operations(host.revise("three")) == ["create_watch job"]
    host("upgrade", "head")
    assert NOTHING in host("check")
    assert host.rows("select own_column from recovery.watch") == [(False,)]


def test_the_tool_that_compares_metadata_is_quiet_too(dsn: str, engine: sa.Engine) -> None:
    """As pytest-alembic and others use it: no project, no env.py."""
    with engine.begin() as connection:
        metadata = sa.MetaData()
        sa.Table(
            "job",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("status", sa.Text),
            info={"recovery": recovery.Watch(open="status = 'running'", close={"status": "'x'"})},
        )
        metadata.create_all(connection)
        context = MigrationContext.configure(connection, opts={"include_schemas": True})
        (found,) = compare_metadata(context, metadata)
        assert found[:3] == ("add_watch", None, "job")
        recovery.attach(connection, "job", open="status = 'running'", close={"status": "'x'"})
        assert compare_metadata(context, metadata) == []


def test_a_new_declaration(project: Callable[..., Project]) -> None:
    host = project()
    host.models(PLAIN)
    host.revise("one")
    host("upgrade", "head")
    before = host.rows(COLUMNS)
    host.models(WATCHED)
    text = host.revise("two")
    assert operations(text) == ["install_recovery recovery_0001", "create_watch job"]
    assert operations(text, "downgrade") == ["drop_watch job", "uninstall_recovery"]
    host("upgrade", "head")
    assert list(host.watches()) == ["job"]
    assert NOTHING in host("check")
    host("downgrade", "-1")
    assert host.rows("select nspname from pg_namespace where nspname ~ '^recovery'") == []
    assert host.rows(COLUMNS) == before
    host("upgrade", "head")
    assert NOTHING in host("check")


def test_a_watch_comes_after_its_table_and_goes_before_it(project: Callable[..., Project]) -> None:
    host = project()
    host.models(FULL)
    text = host.revise("one")
    found = operations(text)
    assert found.index("create_table job") < found.index("create_watch job")
    assert found.index("install_recovery recovery_0001") < found.index("create_watch job")
    back = operations(text, "downgrade")
    assert back.index("drop_watch job") < back.index("drop_table job")
    host("upgrade", "head")
    first = host.watches()
    assert NOTHING in host("check")

    host.models()
    text = host.revise("two")
    found = operations(text)
    assert found.index("drop_watch job") < found.index("drop_table job")
    back = operations(text, "downgrade")
    assert back.index("create_table job") < back.index("create_watch job")
    assert "server_epoch" not in text
    host("upgrade", "head")
    assert NOTHING in host("check")
    host("downgrade", "-1")
    assert host.watches() == first
    assert host.rows("select own_column from recovery.watch") == [(True,)]
    host.models(FULL)
    host("stamp", "head")
    assert NOTHING in host("check")


def test_a_changed_declaration_keeps_the_owners(project: Callable[..., Project]) -> None:
    """It stands after the columns that it needs, and before the drop of those it gets rid of."""
    host = project()
    host.models(WATCHED)
    host.revise("one")
    host("upgrade", "head")
    first = host.watches()
    server = recovery.boot(host.dsn, "api-1")
    host.rows(
        f"select set_config('recovery.server_epoch', '{server.epoch}', false);"
        "insert into job (status) values ('running')"
    )
    owner = [(server.epoch,)]
    assert host.rows("select server_epoch from job") == owner
    changed = WATCHED.replace("error: Mapped", "note: Mapped").replace('"error":', '"note":')
    host.models(changed.replace("close=", "topic='job', close="))
    text = host.revise("two")
    assert operations(text) == ["add_column job", "alter_watch job", "drop_column job"]
    assert operations(text, "downgrade") == ["add_column job", "alter_watch job", "drop_column job"]
    assert (
        commands(text, "upgrade")[1]
        == """op.alter_watch(
        "job",
        close={"status": "'failed'", "note": "c.message"},
        topic="job",
    )"""
    )
    assert "topic=None" in commands(text, "downgrade")[1]
    host("upgrade", "head")
    assert host.rows("select server_epoch from job") == owner
    assert NOTHING in host("check")
    host("downgrade", "-1")
    assert host.watches() == first
    assert host.rows("select server_epoch from job") == owner


def test_a_removed_declaration(project: Callable[..., Project]) -> None:
    host = project()
    host.models(FULL)
    host.revise("one")
    host("upgrade", "head")
    first = host.watches()
    host.models(FULL.partition("    __recovery__")[0])
    text = host.revise("two")
    assert operations(text) == ["drop_watch job"]
    assert operations(text, "downgrade") == ["create_watch job"]
    host("upgrade", "head")
    assert host.watches() == {}
    assert NOTHING in host("check")
    host("downgrade", "-1")
    assert host.watches() == first


def test_a_watch_by_hand_stays_if_the_host_says_so(project: Callable[..., Project]) -> None:
    """As with an index: what is not declared is proposed to be dropped, unless filtered."""
    host = project()
    host.models(PLAIN)
    host.revise("one")
    host("upgrade", "head")
    schema.upgrade(host.dsn)
    host.rows("""select recovery.attach('job', 'status = ''running''', '{"status": "''x''"}')""")
    assert "remove_watch" in host("check", ok=False)
    host.configure("include_object=lambda item, name, type_, *_: type_ != 'watch'")
    assert NOTHING in host("check")


def test_only_tables_of_this_metadata(project: Callable[..., Project]) -> None:
    """Others may share the database; and filters of the host count."""
    host = project()
    host.models(WATCHED)
    host.revise("one")
    host("upgrade", "head")
    host.rows("create table theirs (id int primary key, status text)")
    host.rows("create schema theirs; create table theirs.job (id int primary key, status text)")
    for table in ("theirs", "theirs.job"):
        host.rows(
            f"""select recovery.attach('{table}', 'status = ''r''', '{{"status": "''x''"}}')"""
        )
    host.configure(
        "include_name=lambda name, type_, parents: (type_ != 'table' or name != 'theirs')"
        " and (type_ != 'schema' or name != 'theirs')"
    )
    for schemas in (False, True):
        host.configure(f"include_schemas={schemas}") if schemas else None
        assert NOTHING in host("check")
    # A declaration on a table that a filter hides is not compared.
    hidden = WATCHED.replace("Job", "Theirs").replace('"job"', '"hidden"')
    host.models(WATCHED, hidden)
    assert "hidden" in host("check", ok=False)
    host.configure("include_object=lambda item, name, *_: name != 'hidden'")
    assert NOTHING in host("check")


def test_other_schemas_and_names_that_need_quotes(project: Callable[..., Project]) -> None:
    host = project()
    host.rows('create schema "my app"')
    host.configure("include_schemas=True")
    host.models(
        """
        class Job(Base):
            __tablename__ = "Job"
            __table_args__ = {"schema": "my app"}
            key: Mapped[int] = mapped_column("Key", primary_key=True)
            status: Mapped[str] = mapped_column("Status")
            __recovery__ = recovery.Watch(
                open=lambda job: job.status == "100% :running", close={"Status": "'it''s \\\\ over'"}
            )
        """
    )
    text = host.revise("one")
    assert "create_watch" in text
    host("upgrade", "head")
    assert list(host.watches()) == ['"my app"."Job"']
    assert NOTHING in host("check")
    script = host("upgrade", "base:head", "--sql")
    assert 'recovery.attach(\'"my app"."Job"\'' in script


@pytest.mark.parametrize(
    ("option", "words"),
    [("naming", "pk_job"), ("version_table_schema", "meta"), ("render_as_batch", "create_watch")],
)
def test_settings_of_the_host(project: Callable[..., Project], option: str, words: str) -> None:
    host = project()
    models = WATCHED
    if option == "naming":
        head = "    metadata = sa.MetaData(naming_convention={'pk': 'pk_%(table_name)s', 'ix': 'ix_%(table_name)s_%(column_0_name)s'})"
        host.models(models)
        path = host.folder / "models.py"
        path.write_text(
            path.read_text().replace(
                "class Base(DeclarativeBase):\n    pass", f"class Base(DeclarativeBase):\n{head}"
            )
        )
    else:
        host.models(models)
    if option == "version_table_schema":
        host.rows("create schema meta")
        host.configure("version_table_schema='meta', include_schemas=True")
    if option == "render_as_batch":
        host.configure("render_as_batch=True")
    text = host.revise("one")
    assert words in text or option == "version_table_schema"
    host("upgrade", "head")
    assert NOTHING in host("check")
    if option == "version_table_schema":
        assert host.rows("select version_num from meta.alembic_version") == [("one",)]
    assert host.rows("select version_num from recovery.alembic_version") == [("recovery_0001",)]
    host("downgrade", "base")
    assert host.watches() == {}


@pytest.mark.parametrize("template", ["generic", "async", "pyproject", "pyproject_async"])
def test_templates(project: Callable[..., Project], template: str) -> None:
    driver = "asyncpg" if "async" in template else "psycopg2"
    pytest.importorskip(driver)
    host = project(template=template, driver=driver)
    host.models(FULL)
    host.revise("one")
    host("upgrade", "head")
    assert list(host.watches()) == ["job"]
    assert NOTHING in host("check")
    script = host("upgrade", "base:head", "--sql")
    host("downgrade", "base")
    assert host.watches() == {}
    assert "recovery.attach('job'" in script


def test_several_databases(tmp_path: Path, cluster: Any) -> None:
    """The template for several databases: each has the watches of its own metadata.

    In a cluster of its own that does not have our roles yet: Alembic leaves the transaction of
    the first database open while it migrates the second, which must not wait for its roles.
    """
    with Cluster(cluster.major) as mine:
        first, second = mine.create_database("first"), mine.create_database("second")
        several_databases(Project(tmp_path / "host", first, second, template="multidb"), second)


def several_databases(host: Project, second: str) -> None:
    host.models(
        WATCHED,
        """
        class OtherBase(DeclarativeBase):
            pass

        Other = OtherBase

        class Task(OtherBase):
            __tablename__ = "task"
            id: Mapped[int] = mapped_column(primary_key=True)
            state: Mapped[str]
            __recovery__ = recovery.Watch(open=lambda t: t.state == "busy", close={"state": "'lost'"})
        """,
    )
    text = host.revise("one")
    assert operations(text, "upgrade_engine1")[-1] == "create_watch job"
    assert operations(text, "upgrade_engine2")[-1] == "create_watch task"
    host("upgrade", "head")
    assert list(host.watches()) == ["job"]
    assert list(host.watches(second)) == ["task"]
    assert NOTHING in host("check")
    host("upgrade", "base:head", "--sql")
    assert "recovery.attach('task'" in (host.folder / "engine2.sql").read_text()
    host("downgrade", "base")
    assert host.watches() == host.watches(second) == {}


def test_a_role_that_may_not_read_our_tables(project: Callable[..., Project]) -> None:
    """It is told what a DBA has to run; a host that declares nothing hears nothing."""
    host = project()
    host.models(PLAIN)
    host.revise("one")
    host("upgrade", "head")
    schema.upgrade(host.dsn)
    with psycopg.connect(host.dsn, autocommit=True) as conn:
        conn.execute("drop role if exists plain_migrator")
        conn.execute("create role plain_migrator login")
    try:
        host.rows("grant all on schema public to plain_migrator")
        host.rows("alter table job owner to plain_migrator")
        host.rows("alter table alembic_version owner to plain_migrator")
        env = "connection.execute(sa_text('set role plain_migrator')); connection.commit(); "
        host.env("^target_metadata", "from sqlalchemy import text as sa_text\n\ntarget_metadata")
        host.env(
            r"        context\.configure\(\n\s+connection",
            f"        {env}context.configure(connection",
        )
        assert NOTHING in host("check")
        host.models(WATCHED)
        said = host("check", ok=False)
        assert "select recovery.permit('plain_migrator')" in said
        host.rows("select recovery.permit('plain_migrator')")
        assert operations(host.revise("two")) == ["create_watch job"]
        host("upgrade", "head")
        assert list(host.watches()) == ["job"]
        assert NOTHING in host("check")
    finally:
        host.rows("drop table job, alembic_version cascade")
        host.rows("drop owned by plain_migrator")


def test_offline_makes_what_online_makes(
    project: Callable[..., Project], new_database: Callable[..., str]
) -> None:
    """`--sql` today writes NULL arguments, and then an AttributeError."""
    host = project()
    host.models(FULL.replace('"running"', '"run:ning 100%"'))
    host.revise("one")
    host("upgrade", "head")
    host.models(PLAIN.replace("error", "began"))
    text = host.revise("two")
    assert "drop_watch" in text
    other = new_database()
    script = host("upgrade", "base:one", "--sql")
    assert "NULL" not in script.partition("recovery.attach")[2].partition(");")[0]
    host.rows(script, other)
    assert host.watches(other) == host.watches()
    script = host("downgrade", "one:base", "--sql")
    host.rows(script, other)
    assert host.watches(other) == {}
    assert host.rows("select nspname from pg_namespace where nspname ~ '^recovery'", other) == []


def test_what_is_written_is_written_like_the_rest(project: Callable[..., Project]) -> None:
    host = project()
    host.models(FULL)
    text = host.revise("one")
    (watch,) = [each for each in commands(text, "upgrade") if each.startswith("op.create_watch")]
    assert (
        watch
        == """op.create_watch(
        "job",
        open="r.status = 'running'",
        close={"status": "'failed'"},
        name="jobs",
        group="r.session",
        family="work",
        position=7,
        failed_topics=["a.b", "c"],
        started="r.began",
        launch_grace="1 minute",
        unowned="1 day",
        requeue={"status": "'queued'"},
        attempts="tries",
        max_attempts=5,
        supervise={"kind": "'bash'", "activity": "r.began"},
    )"""
    )
    assert HEAD  # the project is a host's, with models of its own
