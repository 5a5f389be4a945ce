"""What a host's Alembic needs to know of us: one line in its env.py.

    import recovery.migrations

It brings the operations ``op.install_recovery``, ``op.uninstall_recovery``,
``op.create_watch``, ``op.alter_watch`` and ``op.drop_watch``; autogenerate, which compares the
watches that the models declare with those of the database; and it keeps autogenerate quiet
about everything that we have put into the database ourselves.
"""

from __future__ import annotations

from recovery.migrations import comparing, executing, rendering
from recovery.migrations.operations import (
    AlterWatchOp,
    CreateWatchOp,
    DropWatchOp,
    InstallRecoveryOp,
    UninstallRecoveryOp,
)

__all__ = [
    "AlterWatchOp",
    "CreateWatchOp",
    "DropWatchOp",
    "InstallRecoveryOp",
    "UninstallRecoveryOp",
]

# Importing a second time registers nothing twice.
executing.register()
rendering.register()
comparing.register()
