"""What an argument or option of a command can be."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Action", "Kind", "Policy"]


class Action(StrEnum):
    """Of `migrate`."""

    upgrade = "upgrade"
    downgrade = "downgrade"


class Kind(StrEnum):
    """Of an event."""

    opened = "opened"
    reopened = "reopened"
    closed = "closed"
    deleted = "deleted"
    adopted = "adopted"
    failed = "failed"
    idle = "idle"


class Policy(StrEnum):
    """Of `boot`."""

    supersede = "supersede"
    wait = "wait"
    refuse = "refuse"
