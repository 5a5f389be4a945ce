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
from alembic.util import CommandError

revision: str = "agent_store_0001"
down_revision: str | Sequence[str] | None = None
branch_labels: Sequence[str] = ("agent_store",)
depends_on: str | Sequence[str] | None = ("recovery_0001",)

_HERE = Path(__file__).resolve().parent


def upgrade(**_: object) -> None:
    """Creates the tables and watches them."""
    if _is_postgresql():
        _run("0002_agent_store.sql")


def downgrade(**_: object) -> None:
    """Detaches the tables and drops them with all they hold."""
    _refuse_bare_step()
    if _is_postgresql():
        _run("0002_agent_store.down.sql")


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
