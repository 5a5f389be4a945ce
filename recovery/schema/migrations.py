"""The steps of `recovery.schema`, over Alembic."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias, TypedDict

import alembic.context
import alembic.op
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.script.revision import RevisionError
from alembic.util import CommandError, to_tuple

from recovery import _version, errors
from recovery.database.pooler import unprepare
from recovery.schema import paths

if TYPE_CHECKING:
    from recovery.database.connect import Target as Address

__all__ = [
    "Current",
    "Target",
    "check",
    "current",
    "downgrade",
    "heads",
    "location",
    "outdated",
    "upgrade",
]

_log = logging.getLogger(__name__)

#: A database: an engine or a connection of SQLAlchemy, or any address that
#: `recovery.boot` takes: a libpq connection string, a URL, a psycopg pool; None for
#: RECOVERY_DSN or, without it, libpq's own variables.
Target: TypeAlias = "Address | sa.Connection"

#: The advisory lock of a migration: servers of a rolling deployment migrate at the
#: same moment. The ASCII of "recovery".
LOCK = int.from_bytes(b"recovery", "big")

_busy = threading.Lock()

_MIGRATE = "run `recovery migrate upgrade`, or your project's `alembic upgrade heads`"

_ROLES = ("recovery_owner", "recovery_server", "recovery_listener", "recovery_runner")


class Current(TypedDict):
    """What is installed in a database."""

    version: str | None  #: of the schema, as recovery.version() says; None if not installed
    code: str  #: the version that this package needs
    managed: str | None  #: "recovery" (this module), "host" (another project's Alembic) or None
    revisions: list[str]  #: in recovery.alembic_version; empty if a host manages them
    heads: list[str]  #: the newest revisions of this package


def upgrade(
    target: Target = None,
    revision: str = "heads",
    *,
    sql: bool = False,
    output: TextIO | None = None,
    transaction: bool = True,
) -> None:
    """Installs or upgrades the schema, in one transaction; a second run does nothing.

    Several processes may call it at once: one does the work, the others wait for
    it. On a connection that is in a transaction already, the caller commits.

    Args:
        target: the database; not connected to with ``sql``.
        revision: what to reach: ``heads`` (everything), ``recovery@head`` (without
            the agent store), a revision. With ``sql`` also ``<from>:<to>``.
        sql: write the SQL instead of executing it.
        output: where to write it; standard output by default.
        transaction: False leaves BEGIN and COMMIT out of the SQL: it becomes a part of another
            script.

    Raises:
        PermissionDenied: a role or the schema may not be created (SQLSTATE 42501);
            the message lists what an administrator has to run. Nothing was done.
        SchemaMismatch: the database is newer than this package, or a host's
            Alembic manages it (RC009).
        InvalidArgument: no such revision (RC010).
        ConnectionFailed: the database can't be reached.
    """
    if sql:
        _offline(command.upgrade, revision, output, transaction)
    else:
        _online(command.upgrade, target, revision)


def downgrade(
    target: Target = None,
    revision: str = "base",
    *,
    sql: bool = False,
    output: TextIO | None = None,
    transaction: bool = True,
) -> None:
    """Goes back to a revision, in one transaction. ``base`` removes everything.

    Watched tables are detached: their columns, indexes and triggers of this
    package go. The roles go if no other database of the cluster uses them.

    Args:
        target: the database; not connected to with ``sql``.
        revision: what to reach: ``base`` (nothing stays), ``agent_store@base`` (the
            core stays), a revision. With ``sql`` also ``<from>:<to>``; the newest
            revisions are the default for ``<from>``.
        sql: write the SQL instead of executing it.
        output: where to write it; standard output by default.
        transaction: as of `upgrade`.

    Raises:
        As `upgrade`.
    """
    if sql:
        _offline(command.downgrade, revision, output, transaction)
    else:
        _online(command.downgrade, target, revision)


def current(target: Target = None) -> Current:
    """What is installed, and what this package would install.

    Raises:
        PermissionDenied: the role may not use the schema (SQLSTATE 42501).
        ConnectionFailed: the database can't be reached.
    """
    with _connected(target) as connection, _reading(connection):
        version = _installed(connection)
        revisions = _revisions(connection)
    managed = None if version is None and not revisions else "recovery" if revisions else "host"
    return Current(
        version=version,
        code=_version.SCHEMA,
        managed=managed,
        revisions=revisions,
        heads=heads(),
    )


def check(target: Target = None) -> None:
    """Makes sure that the database has the schema that this package was made for.

    Raises:
        SchemaMismatch: it is missing, older or newer (RC009).
        PermissionDenied: the role may not use the schema (SQLSTATE 42501).
        ConnectionFailed: the database can't be reached.
    """
    with _connected(target) as connection, _reading(connection):
        found = _installed(connection)
        database = connection.scalar(sa.text("select current_database()"))
    if found is None:
        raise errors.SchemaMismatch(f"database {database!r} has no schema recovery", hint=_MIGRATE)
    if _version.order(found) == _version.order(_version.SCHEMA):
        return
    newer = _version.order(found) > _version.order(_version.SCHEMA)
    raise errors.SchemaMismatch(
        f"schema recovery of database {database!r} has version {found},"
        f" {'newer' if newer else 'older'} than {_version.SCHEMA}, which this package is made for",
        hint="upgrade pg-recovery" if newer else _MIGRATE,
    )


def heads() -> list[str]:
    """The newest revision of each branch that this package brings."""
    return sorted(ScriptDirectory.from_config(_config()).get_heads())


def outdated(revisions: Sequence[str]) -> list[tuple[str | None, str]]:
    """What a database lacks, a branch each: the revision that it has, and the newest one.

    A branch that it does not have is none that it lacks, but for the core.

    Args:
        revisions: of the database, as `current` says them.
    """
    script = ScriptDirectory.from_config(_config())
    reached: set[str] = set()
    todo = list(revisions)
    while todo:
        one = script.get_revision(todo.pop())
        if one is not None and one.revision not in reached:
            reached.add(one.revision)
            todo += [*to_tuple(one.down_revision, ()), *to_tuple(one.dependencies, ())]
    found: list[tuple[str | None, str]] = []
    for head in sorted(script.get_heads(), key=lambda each: not each.startswith("recovery_")):
        below: Script | None = script.get_revision(head)
        while below is not None and below.revision not in reached:
            below = script.get_revision(str(below.down_revision)) if below.down_revision else None
        there = None if below is None else below.revision
        if there != head and (there or head.startswith("recovery_")):
            found.append((there, head))
    return found


def location() -> str:
    """What a host project adds to its ``version_locations``.

    ``recovery:alembic/versions`` for an installed package, a folder for a source
    tree. The value holds a colon: in an alembic.ini write ``path_separator = newline``
    (or space), not ``os``; a list in pyproject.toml needs nothing.
    """
    versions = paths.alembic_dir() / "versions"
    package = paths.alembic_dir().parent / "__init__.py"
    return "recovery:alembic/versions" if package.is_file() else str(versions)


def _config(*, output: TextIO | None = None) -> Config:
    config = Config(output_buffer=output) if output is not None else Config()
    config.set_main_option("script_location", str(paths.alembic_dir()).replace("%", "%%"))
    return config


def _online(run: Callable[..., None], target: Target, revision: str) -> None:
    config = _config()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with _connected(target) as connection:
        if getattr(connection.connection.dbapi_connection, "autocommit", False):
            raise errors.InvalidArgument(
                "the connection is in autocommit mode; a migration needs a transaction"
            )
        outer = connection.in_transaction()
        try:
            with nullcontext() if outer else connection.begin():
                if not outer:
                    # The statements after the lock must see what its last holder did.
                    connection.execute(sa.text("set transaction isolation level read committed"))
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
                unknown = sorted(set(_revisions(connection)) - known)
                if unknown:
                    raise errors.SchemaMismatch(
                        f"the database is at revision {', '.join(unknown)}, which this package"
                        " does not know: it was migrated by a newer one; upgrade pg-recovery"
                    )
                if run is command.downgrade and not connection.scalar(_EXISTS):
                    _log.info("schema recovery is not installed: nothing to remove")
                    return
                config.attributes["connection"] = connection
                with _alone(connection):
                    _command(run, config, revision)
        except sa.exc.DBAPIError as error:
            found = _taken(error) or errors.from_driver(error)
            if found is None:
                raise
            if isinstance(found, errors.PermissionDenied):
                found.hint = None if outer else _advice(connection)
            found.detail = found.detail or "nothing was changed"
            raise found from error


def _taken(error: sa.exc.DBAPIError) -> errors.SchemaMismatch | None:
    """For "already exists" (of a schema, table, object or routine): it is not ours."""
    code = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    if code not in ("42P06", "42P07", "42710", "42723"):
        return None
    message = str(error.orig).partition("\n")[0]
    core = '"recovery' in message
    hint = "" if core else ", or leave the agent store out (revision recovery@head)"
    return errors.SchemaMismatch(message, hint=f"rename or drop it{hint}")


@contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """One migration at a time in this process: Alembic keeps its context in globals.

    Waits inside the database, so that neither a thread nor an event loop whose
    other task holds the lock is blocked.
    """
    while not _busy.acquire(blocking=False):
        connection.execute(sa.text("select pg_catalog.pg_sleep(0.02)"))
    try:
        yield
    finally:
        _busy.release()


def _offline(
    run: Callable[..., None], revision: str, output: TextIO | None, transaction: bool
) -> None:
    if run is command.downgrade and ":" not in revision:
        revision = f"heads:{revision}"
    config = _config(output=output or sys.stdout)
    config.attributes["transaction"] = transaction
    with _busy:
        _command(run, config, revision, sql=True)


def _command(run: Callable[..., None], config: Config, revision: str, *, sql: bool = False) -> None:
    """Runs an Alembic command; its complaints become ours."""
    try:
        if not revision.strip(":"):
            raise CommandError("no revision is named") from RevisionError()
        with _inside(config):
            run(config, revision, sql=sql)
    except CommandError as error:
        if isinstance(error.__cause__, RevisionError) or ":" in revision:
            raise errors.InvalidArgument(
                f"revision {revision!r}: {error}; known are {', '.join(heads())}, heads, base,"
                " recovery@head, agent_store@head, agent_store@base"
            ) from error
        raise errors.SchemaMismatch(str(error)) from error


@contextmanager
def _inside(config: Config) -> Iterator[None]:
    """Puts back what a host's migration goes on with, if we are called in one.

    Alembic keeps the running migration in the modules `op` and `context`, one at a time: a
    command that ends leaves them empty.
    """
    running = [module.__dict__.get("_proxy") for module in (alembic.context, alembic.op)]
    host = running[0]
    if host is not None and host.config.get_main_option("databases"):
        # One of several that are migrated in one go: revision recovery_0001 asks for it.
        config.set_main_option("databases", "host")
    try:
        yield
    finally:
        for proxy in running:
            if proxy is not None:
                proxy._install_proxy()


@contextmanager
def _connected(target: Target) -> Iterator[sa.Connection]:
    """A connection to the target; closed afterwards unless it is the caller's."""
    if isinstance(target, sa.Connection):
        yield target
        return
    engine = target if isinstance(target, sa.Engine) else _engine(target)
    try:
        try:
            connection = engine.connect()
        except sa.exc.DBAPIError as error:
            raise errors.from_driver(error) or error from error
        with connection:
            unprepare(connection.connection)  # of a pooler's client, who knows what was prepared
            # An engine in autocommit mode would leave half of a failed migration.
            yield connection.execution_options(isolation_level="READ COMMITTED")
    finally:
        if engine is not target:
            engine.dispose()


def _engine(target: Address) -> sa.Engine:
    from recovery.database.connect import connect

    def creator() -> Any:
        connection = connect(target, "migrate")
        connection.autocommit = False
        return connection

    return sa.create_engine("postgresql+psycopg://", creator=creator, poolclass=sa.NullPool)


@contextmanager
def _reading(connection: sa.Connection) -> Iterator[None]:
    """Leaves no transaction behind, unless the caller's is open; explains a refusal."""
    outer = connection.in_transaction()
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise errors.from_driver(error) or error from error
    finally:
        if not outer:
            connection.rollback()


_EXISTS = sa.text("select pg_catalog.to_regnamespace('recovery') is not null")


def _installed(connection: sa.Connection) -> str | None:
    """The version of the schema, or None; asks the catalog first, so that nothing fails."""
    there = sa.text(
        "select exists (select from pg_catalog.pg_proc p"
        " join pg_catalog.pg_namespace n on n.oid = p.pronamespace"
        " where n.nspname = 'recovery' and p.proname = 'version' and p.pronargs = 0)"
    )
    if not connection.scalar(there):
        return None
    return str(connection.scalar(sa.text("select recovery.version()")))


def _revisions(connection: sa.Connection) -> list[str]:
    """What recovery.alembic_version says; nothing if a host's own table says it."""
    there = sa.text(
        "select exists (select from pg_catalog.pg_tables"
        " where schemaname = 'recovery' and tablename = 'alembic_version')"
    )
    if not connection.scalar(there):
        return []
    table = sa.text("select version_num from recovery.alembic_version order by 1")
    return list(connection.scalars(table))


# The runner of the role that installs, named as by recovery._make_runner: it owns the tables
# of the agent store.
_LACKS = """
with runner as (
    select 'recovery_runner_' || t.tag as role
    from (select case when octet_length(current_user) <= 40 then current_user::text
                 else left(current_user, 16) || '_' || left(md5(current_user), 16) end) as t (tag)
),
known as (
    select r.role,
           (select oid from pg_catalog.pg_roles where rolname = r.role) as role_id,
           (select oid from pg_catalog.pg_roles where rolname = 'recovery_runner') as group_id
    from runner as r
)
select quote_ident(current_user) as me, quote_ident(current_database()) as db,
       quote_ident(k.role) as runner,
       pg_catalog.has_database_privilege(current_database(), 'create') as may_create,
       array(select r from unnest(cast(:roles as text[])) as r where not exists (
           select from pg_catalog.pg_roles where rolname = r)) as missing,
       exists (select from pg_catalog.pg_roles where rolname = 'recovery_owner'
               and pg_catalog.pg_has_role(oid, 'usage')) as is_owner,
       k.role_id is not null as has_runner,
       coalesce(pg_catalog.pg_has_role(k.role_id, k.group_id, 'member'), false) as is_runner,
       coalesce(pg_catalog.pg_has_role(k.role_id, 'member'), false) as is_member,
       coalesce(pg_catalog.has_database_privilege(k.role_id, current_database(), 'temporary'),
                pg_catalog.has_database_privilege('public', current_database(), 'temporary'))
           as may_temporary
from known as k
"""


def _advice(connection: sa.Connection) -> str | None:
    """What an administrator has to run before this role can install the schema."""
    with _reading(connection):
        lacks = connection.execute(
            sa.text(_LACKS.replace("::", r"\:\:")), {"roles": list(_ROLES)}
        ).one()
    todo = [f"create role {role};" for role in lacks.missing]
    if not lacks.has_runner:
        todo.append(f"create role {lacks.runner};")
    if not lacks.is_runner:
        todo.append(f"grant recovery_runner to {lacks.runner};")
    if not lacks.is_member:
        todo.append(f"grant {lacks.runner} to {lacks.me} with admin option;")
    if not lacks.is_owner:
        todo.append(f"grant recovery_owner to {lacks.me};")
    if not lacks.may_create:
        todo.append(f"grant create on database {lacks.db} to {lacks.me};")
    if not lacks.may_temporary:
        todo.append(f"grant temporary on database {lacks.db} to {lacks.runner};")
    if not todo:
        return None
    return f"let an administrator run {' '.join(todo)} or run this as a superuser"
