"""`recovery consumers`: how far each has come; makes, moves and drops them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import psycopg
import typer
from rich.console import Console

from recovery import calls
from recovery.cli import show, target
from recovery.cli.choices import (
    After,
    AsJson,
    Dsn,
    Epochs,
    Groups,
    Kinds,
    Reasons,
    Since,
    Topics,
    Watches,
)
from recovery.cli.events import begin, filters

__all__ = ["commands"]

commands = typer.Typer(
    name="consumers",
    help="Named consumers of events, and how far each has come; a command makes, moves, drops one.",
    epilog="A consumer reads by recovery.consume in Python, by recovery.fetch in SQL.",
)

Name = Annotated[str, typer.Argument(help="Of the consumer.")]


@commands.callback(invoke_without_command=True)
def _consumers(context: typer.Context, as_json: AsJson = False, dsn: Dsn = None) -> None:
    if dsn is not None:
        target.remember(dsn)
    if context.invoked_subcommand is not None:
        if as_json:
            raise typer.BadParameter("--json is for the list")
        return
    with target.opened(dsn) as conn:
        found = calls.run(conn, calls.consumer.status())
        open_ = calls.run(conn, calls.status.open_transactions(1))
    listed = [asdict(each) for each in found]
    if as_json:
        show.as_json(listed)
    else:
        show.consumers(Console(highlight=False), listed, open_)


@commands.command()
def create(
    name: Name,
    watch: Watches = None,
    group: Groups = None,
    kind: Kinds = None,
    reason: Reasons = None,
    topic: Topics = None,
    epoch: Epochs = None,
    after: After = None,
    since: Since = None,
    expires: Annotated[
        str,
        typer.Option(metavar="SPAN", help="Without a sign of it for so long it is abandoned."),
    ] = "7 days",
    dsn: Dsn = None,
) -> None:
    """Makes a consumer that begins with now, or gives one that exists these filters.

    Events are kept for it, until it has had them or is abandoned. Prints its position.
    """
    if after is not None and since is not None:
        raise typer.BadParameter("give --after or --since, not both")
    wanted = filters(watch=watch, group=group, kind=kind, reason=reason, topic=topic, epoch=epoch)
    with target.opened(dsn) as conn:
        start = begin(conn, after, since)
        try:
            print(calls.run(conn, calls.consumer.create(name, start, wanted, expires)))
        except psycopg.DataError:
            raise typer.BadParameter(f"--expires {expires!r} is no span, as '7 days'") from None


@commands.command()
def move(
    name: Name,
    after: After = None,
    since: Since = None,
    now: Annotated[bool, typer.Option("--now", help="Skip what it has not had.")] = False,
    dsn: Dsn = None,
) -> None:
    """Lets it read again from there on, or skip what is there. Prints its position."""
    if sum((after is not None, since is not None, now)) != 1:
        raise typer.BadParameter("where to: --after ID, --since TIME, or --now")
    with target.opened(dsn) as conn:
        print(calls.run(conn, calls.consumer.move(name, begin(conn, after, since))))


@commands.command()
def drop(name: Name, dsn: Dsn = None) -> None:
    """Forgets it and its position; nothing is kept for it any more."""
    with target.opened(dsn) as conn:
        calls.run(conn, calls.consumer.drop(name))
    print(f"dropped {name}")
