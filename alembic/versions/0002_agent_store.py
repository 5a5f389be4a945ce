"""Schema agent: sessions, messages and parts of an agent server, and their watches.

Revision ID: agent_store_0001
Revises:
Depends on: recovery_0001

A branch of its own: `alembic upgrade recovery@head` leaves it out. The SQL lies
beside this file, frozen by tools/freeze.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision: str = "agent_store_0001"
down_revision: str | Sequence[str] | None = None
branch_labels: str | Sequence[str] | None = ("agent_store",)
depends_on: str | Sequence[str] | None = ("recovery_0001",)

_HERE = Path(__file__).resolve().parent


def upgrade() -> None:
    """Creates the tables and watches them."""
    _run("0002_agent_store.sql")


def downgrade() -> None:
    """Detaches the tables and drops them with all they hold."""
    _run("0002_agent_store.down.sql")


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
