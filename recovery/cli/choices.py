"""What an argument or option of a command can be."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["Action", "AsJson", "Bind", "DryRun", "Dsn", "Kind", "Order", "Policy", "Scope"]

Dsn = Annotated[
    str | None,
    typer.Option("--dsn", metavar="DSN", help="The database; also before the command."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would happen, and why.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


class Action(StrEnum):
    """Of `migrate`."""

    upgrade = "upgrade"
    downgrade = "downgrade"


class Bind(StrEnum):
    """Of `run`."""

    options = "options"
    session = "session"
    transaction = "transaction"
    none = "none"


class Kind(StrEnum):
    """Of an event."""

    opened = "opened"
    reopened = "reopened"
    closed = "closed"
    requeued = "requeued"
    deleted = "deleted"
    adopted = "adopted"
    failed = "failed"
    idle = "idle"
    cancel = "cancel"


class Order(StrEnum):
    """Of the deliveries of a webhook."""

    row = "row"
    group = "group"


class Policy(StrEnum):
    """Of `boot`."""

    supersede = "supersede"
    evict = "replace"
    wait = "wait"
    refuse = "refuse"


class Scope(StrEnum):
    """Of `close`."""

    row = "row"
    group = "group"
