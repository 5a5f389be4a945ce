"""What an argument or option of a command can be."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

__all__ = [
    "Action",
    "After",
    "AsJson",
    "Bind",
    "DryRun",
    "Dsn",
    "Epochs",
    "Groups",
    "Kind",
    "Kinds",
    "Order",
    "Policy",
    "Reasons",
    "Scope",
    "Since",
    "Topics",
    "Watches",
]

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
    broken = "broken"
    repaired = "repaired"
    gap = "gap"


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


# Which events, and from where on.
Watches = Annotated[list[str] | None, typer.Option("--watch", help="Only these watches.")]
Groups = Annotated[list[str] | None, typer.Option("--group", help="Only these groups (sessions).")]
Kinds = Annotated[list[Kind] | None, typer.Option("--kind", help="Only these kinds.")]
Reasons = Annotated[
    list[str] | None, typer.Option("--reason", help="superseded, lease_expired, shutdown …")
]
Topics = Annotated[list[str] | None, typer.Option("--topic", help="Only these topics.")]
Epochs = Annotated[list[int] | None, typer.Option("--epoch", help="Only of these owners.")]
After = Annotated[
    int | None,
    typer.Option(
        metavar="ID", help="From the event after this one on; 0: all that is kept.", min=0
    ),
]
Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="From then on: 10min, '2 hours', 04:58, 2026-11-26T04:58."),
]
