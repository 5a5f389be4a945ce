"""What is declared, put in place without migrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from recovery.declared.finding import Source

__all__ = ["Change", "sync"]


@dataclass(frozen=True)
class Change:
    """What `sync` did to one watch, or would do.

    Attributes:
        action: ``attach``, ``alter``, ``detach``; ``keep``: it is as it was declared.
        name: of the watch.
        relation: its table, as SQL writes it.
        why: in words.
    """

    action: Literal["attach", "alter", "detach", "keep"]
    name: str
    relation: str
    why: str


def sync(
    target: sa.Engine | sa.Connection,
    source: Source | Sequence[Source],
    *,
    dry_run: bool = False,
    detach: bool = False,
    concurrently: bool = False,
) -> list[Change]:
    """Puts in place what is declared: for who uses no Alembic.

    With an async engine, as SQLAlchemy's own ``create_all``:
    ``await conn.run_sync(recovery.sync, Base.metadata)``.
    """
    raise NotImplementedError
