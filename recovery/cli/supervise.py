"""`recovery run`: a command under protection."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from recovery.cli import target
from recovery.cli.choices import Bind, Dsn, Policy

__all__ = ["Command", "run"]

_USAGE = "recovery run NAME [OPTIONS] -- COMMAND [ARGS]..."


class Command(TyperCommand):
    """What stands after ``--`` is the command's, whatever it looks like."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Tells our own arguments from those of the command."""
        given = list(args)
        own = given[: given.index("--")] if "--" in given else given
        theirs = given[len(own) + 1 :]
        rest: list[str] = super().parse_args(ctx, args)
        if "--" not in given:
            raise typer.BadParameter(f"put -- before the command: {_USAGE}")
        if list(ctx.params["command"] or ()) != theirs:
            raise typer.BadParameter(f"before -- stand one name and options: {_USAGE}")
        if not theirs:
            raise typer.BadParameter(f"the command is missing: {_USAGE}")
        return rest

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """As it is to be typed."""
        return _USAGE.split(" ")[2:]


def run(
    name: Annotated[str, typer.Argument(help="The server's name, the same at each start.")],
    command: Annotated[
        list[str] | None, typer.Argument(help="What to run, after --; with its arguments.")
    ] = None,
    lease: Annotated[
        float, typer.Option(help="Seconds until it is taken for dead without a heartbeat.")
    ] = 15.0,
    grace: Annotated[
        float, typer.Option(help="Seconds without a heartbeat once our connection is lost.")
    ] = 3.0,
    sweep: Annotated[float, typer.Option(help="Seconds between sweeps; 0 for none.")] = 5.0,
    policy: Annotated[
        Policy, typer.Option(help="What to do if a live server holds the name.")
    ] = Policy.supersede,
    wait: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="How long at most, for a database that is down (else 0) and with --policy wait"
            " (else 30).",
        ),
    ] = None,
    drain: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="At SIGTERM: open no new work, and wait so long for open work before the command"
            " hears of it.",
        ),
    ] = None,
    stop_grace: Annotated[
        float, typer.Option(metavar="SECONDS", help="Between SIGTERM and SIGKILL.")
    ] = 10.0,
    ride_out: Annotated[
        bool,
        typer.Option(
            "--ride-out",
            help="Go on when the database can't be asked for longer than the lease.",
        ),
    ] = False,
    bind: Annotated[
        Bind | None,
        typer.Option(
            help="How the command's sessions say their epoch; by default as the database is"
            " reached: options, behind a pooler session or transaction."
        ),
    ] = None,
    hook: Annotated[
        bool,
        typer.Option("--hook/--no-hook", help="For Python drivers that ignore PGOPTIONS."),
    ] = True,
    direct: Annotated[
        str | None,
        typer.Option(metavar="DSN", help="Where PostgreSQL is, without the pooler of --dsn."),
    ] = None,
    dsn: Dsn = None,
) -> None:
    """Runs a command as a server: its open work is closed when it dies. Its code needs no change.

    Exit code: the command's; 128 + n if signal n ended it; 70 if it was declared dead and
    stopped; 126 and 127 if it can't be executed or found.
    """
    from recovery.run import supervisor
    from recovery.server.service import serve

    assert command
    database = target.database(dsn)
    service = partial(
        serve,
        database,
        name,
        sweep=sweep or None,
        listen=False,
        bind=None,
        direct=direct,
        lease=lease,
        grace=grace,
        policy=policy.value,
        wait=30.0 if wait is None else wait,
    )
    options = supervisor.Options(
        wait=wait or 0.0,
        stop_grace=_seconds(stop_grace, "--stop-grace"),
        drain=None if drain is None else _seconds(drain, "--drain"),
        bind=None if bind is None else bind.value,
        hook=hook,
        ride_out=ride_out,
    )
    raise typer.Exit(supervisor.run(name, command, service, database, options))


def _seconds(value: float, option: str) -> float:
    if not 0 <= value <= 7 * 86400:
        raise typer.BadParameter(f"{option} {value:g}: give 0 to {7 * 86400} seconds")
    return value
