"""Installs, upgrades and removes the schema: Alembic, without an alembic.ini.

    from recovery import schema

    schema.upgrade("postgresql://localhost/app")
    schema.upgrade(engine, "recovery@head")  # the core without the agent store
    schema.downgrade(engine)  # leaves nothing behind

A project with an Alembic of its own runs the same revisions in one of its own
(`recovery.migrations`: ``op.install_recovery``), or puts `location()` into its
`version_locations` and runs `alembic upgrade heads`.
From asyncio: ``await connection.run_sync(schema.upgrade)``.
"""

from __future__ import annotations

from recovery.schema.migrations import (
    Current,
    Target,
    check,
    current,
    downgrade,
    heads,
    location,
    outdated,
    upgrade,
)

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
