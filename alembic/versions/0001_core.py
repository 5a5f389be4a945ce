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

revision: str = "recovery_0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = ("recovery",)
depends_on: str | Sequence[str] | None = None

_HERE = Path(__file__).resolve().parent


def upgrade() -> None:
    """Creates the roles, the schema and all that is in it, unless there is one already."""
    _run("0001_core.sql")


def downgrade() -> None:
    """Detaches every table, drops the schema and the roles that nobody else uses.

    pg-recovery's own environment keeps its version table in the schema that goes:
    it waits in another one until Alembic has written the last line, and env.py
    drops it then.
    """
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
