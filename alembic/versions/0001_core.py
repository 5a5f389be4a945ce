"""Schema recovery: servers, watches, events and the routines that close orphans.

Revision ID: recovery_0001
Revises:

The SQL lies beside this file, frozen by tools/freeze.py; this file needs nothing
else, so it runs in any project whose version_locations name this folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op
from alembic.util import CommandError

revision: str = "recovery_0001"
down_revision: str | Sequence[str] | None = None
branch_labels: Sequence[str] = ("recovery",)
depends_on: str | Sequence[str] | None = None

_HERE = Path(__file__).resolve().parent


def upgrade(**_: object) -> None:
    """Creates the roles, the schema and all that is in it, unless there is one already."""
    if _is_postgresql():
        _make_roles()
        _run("0001_core.sql")


def downgrade(**_: object) -> None:
    """Detaches every table, drops the schema and the roles that nobody else uses.

    pg-recovery's own environment keeps its version table in the schema that goes:
    it waits in another one until Alembic has written the last line, and env.py
    drops it then.
    """
    _refuse_bare_step()
    if not _is_postgresql():
        return
    context = op.get_context()
    inside = context.version_table_schema == "recovery"
    table = op.f(context.version_table)
    if inside:
        _execute("create schema recovery_downgrade;")
        _execute(f'alter table recovery."{table}" set schema recovery_downgrade;')
        _execute(f'alter table recovery_downgrade."{table}" owner to current_user;')
        # Else the roles would seem to be in use.
        _execute(
            f'revoke all on recovery_downgrade."{table}" from recovery_server, recovery_listener;'
        )
    _run("0001_core.down.sql")
    if inside:
        _execute("create schema recovery;")
        _execute(f'alter table recovery_downgrade."{table}" set schema recovery;')
        _execute("drop schema recovery_downgrade;")


def _make_roles() -> None:
    """Makes the roles ahead, where a host migrates several databases in one go.

    Alembic's template for that leaves the transaction of each open until the last is done: in
    databases of one cluster the second would wait for the roles of the first for ever.
    """
    context = op.get_context()
    if context.as_sql or not (context.config and context.config.get_main_option("databases")):
        return
    with op.get_bind().engine.connect() as own:
        own.execute(sa.text(_ROLES.replace(":", r"\:")))
        own.commit()


#: As 0001_core.sql makes them, with the runner of who installs.
_ROLES = """
do $$
declare
    v_runner text := 'recovery_runner_' || case
        when octet_length(current_user) <= 40 then current_user::text
        else left(current_user, 16) || '_' || left(md5(current_user), 16) end;
    v_role   text;
begin
    foreach v_role in array array[
        'recovery_owner', 'recovery_server', 'recovery_listener', 'recovery_runner', v_runner] loop
        if not exists (select from pg_catalog.pg_roles where rolname = v_role) then
            execute pg_catalog.format('create role %I nologin', v_role);
        end if;
    end loop;
    if not pg_catalog.pg_has_role(current_user, 'recovery_owner', 'usage') then
        execute pg_catalog.format('grant recovery_owner to %I', current_user);
    end if;
    if not pg_catalog.pg_has_role(v_runner, 'recovery_runner', 'member') then
        execute pg_catalog.format('grant recovery_runner to %I', v_runner);
    end if;
end
$$
"""


def _refuse_bare_step() -> None:
    """`alembic downgrade -1` in a host's project means the host's last revision.

    With several heads Alembic takes the one whose row comes first in the version table: that
    may be ours, and all that the schema holds would be gone.
    """
    context = op.get_context()
    steps = str(context.opts.get("destination_rev") or "")
    script = context.script
    if script is None or Path(script.dir).resolve() == _HERE.parent or not steps.startswith("-"):
        return
    known = [script.get_revision(head) for head in context.get_current_heads()]
    others = [one for one in known if one and Path(one.path).resolve().parent != _HERE]
    typed = " or ".join(f"`alembic downgrade {one.revision}@{steps}`" for one in others)
    raise CommandError(
        f"`alembic downgrade {steps}` would remove the schema of revision {revision}, with all it"
        f" holds; say whose steps are meant: {typed + ', or to remove it, ' if typed else ''}"
        f"`alembic downgrade {branch_labels[0]}@base`"
    )


def _is_postgresql() -> bool:
    """A host with several databases runs us in each of them."""
    return op.get_context().dialect.name == "postgresql"


def _run(name: str) -> None:
    """Executes a frozen script, one statement at a time, as it is written."""
    for statement in (_HERE / name).read_text(encoding="utf-8").split("\n--;\n"):
        _execute(statement)


def _execute(statement: str) -> None:
    """Executes one statement byte for byte.

    `:name` would be a parameter to SQLAlchemy, and offline Alembic replaces tabs
    and doubles `%` for some drivers.
    """
    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(statement.strip())
    else:
        op.execute(sa.text(statement.replace(":", r"\:")))
