"""The commands."""

from __future__ import annotations

import json
import logging
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from recovery import calls, closing
from recovery._version import VERSION
from recovery.cli import (
    USAGE,
    close,
    config,
    consumers,
    events,
    opencode,
    relay,
    show,
    supervise,
    target,
    webhook,
)
from recovery.cli.choices import Action, AsJson, DryRun, Dsn, Policy

__all__ = ["app", "run"]

app = typer.Typer(
    name="recovery",
    help="Closes the work that a dead server process left open in PostgreSQL.",
    epilog="The database: --dsn, else RECOVERY_DSN, else libpq's PGHOST, PGDATABASE, …"
    "  Exit codes: 1 failed, 2 usage, 3 no connection, 4 schema missing or of another version.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(config.commands)
app.add_typer(consumers.commands)
app.add_typer(opencode.commands)
app.add_typer(webhook.commands)
app.add_typer(webhook.looking)
app.command()(close.close)
app.command()(events.events)
app.command("run", cls=supervise.Command)(supervise.run)
app.command()(relay.relay)


def run(args: Sequence[str]) -> int:
    """Runs the command; what fails is raised."""
    logging.basicConfig(format="recovery: %(message)s", level=logging.WARNING)
    command = typer.main.get_command(app)
    try:
        # Not command.main(): it has its own way with Ctrl-C and a closed pipe.
        with command.make_context("recovery", list(args)) as context:
            command.invoke(context)
    except typer.Exit as exit_:
        return exit_.exit_code
    return 0


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    dsn: Dsn = None,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    target.remember(dsn)
    if version:
        print(f"pg-recovery {VERSION}")
        raise typer.Exit
    show.help_if_alone(context)


@app.command()
def migrate(
    action: Annotated[Action, typer.Argument(help="Which way.")] = Action.upgrade,
    revision: Annotated[
        str | None,
        typer.Argument(
            metavar="[REV]",
            help="heads (everything), recovery@head (without the agent store), base (nothing), …",
        ),
    ] = None,
    sql: Annotated[
        bool, typer.Option("--sql", help="Write the SQL instead; needs no database.")
    ] = False,
    dsn: Dsn = None,
) -> None:
    """Installs, upgrades or removes the schema."""
    from recovery import schema

    up = action is Action.upgrade
    step = schema.upgrade if up else schema.downgrade
    to = revision or ("heads" if up else "base")
    if sql:
        step(revision=to, sql=True)
        return
    database = target.database(dsn)
    before = schema.current(database)
    step(database, to)
    after = schema.current(database)
    if before["version"] == after["version"] and before["revisions"] == after["revisions"]:
        print(f"nothing to do: {show.schema(after)}")
    else:
        print(f"{action}d: {show.schema(before)} → {show.schema(after)}")


@app.command()
def boot(
    name: Annotated[str, typer.Argument(help="The server's name, the same at each start.")],
    lease: Annotated[
        float, typer.Option(help="Seconds until the server is taken for dead without a heartbeat.")
    ] = 15.0,
    policy: Annotated[
        Policy, typer.Option(help="What to do if a live server holds the name.")
    ] = Policy.supersede,
    wait: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="How long at most, with --policy wait; else 30."),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    dsn: Dsn = None,
) -> None:
    """Begins a new epoch of a server, for shell hooks; closes what its last life left open.

    Whoever writes for this server must set recovery.server_epoch to the epoch printed.
    """
    if wait is not None and policy is not Policy.wait:
        raise typer.BadParameter(f"--wait needs --policy wait, not {policy.value}")
    call = calls.server.boot(
        name,
        lease=calls.seconds(lease, "lease"),
        policy=policy.value,
        wait=calls.seconds(30.0 if wait is None else wait, "wait"),
        host=socket.gethostname(),
    )
    with target.opened(dsn) as conn:
        if dry_run:
            close.foresee(conn, name, as_json)
            return
        booted = calls.run(conn, call)
    if as_json:
        show.as_json(
            {
                "name": name,
                "epoch": booted.epoch,
                "token": str(booted.token),
                "report": show.report_json(booted.report),
            }
        )
        return
    print(f"epoch {booted.epoch}")
    print(f"{name}: {booted.report}")
    print(f"writers: PGOPTIONS='-c recovery.server_epoch={booted.epoch}'", file=sys.stderr)


@app.command()
def sweep(
    label: Annotated[str | None, typer.Option(help="Who sweeps, for the records.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    dsn: Dsn = None,
) -> None:
    """Ends dead servers and closes what is orphaned, whoever left it. For cron, and by hand."""
    with target.opened(dsn) as conn:
        if dry_run:
            close.foresee(conn, None, as_json)
            return
        report = calls.run(conn, calls.closing.sweep(label))
    if as_json:
        show.as_json(show.report_json(report))
    else:
        ended = ", ".join(map(str, report.ended)) or "none"
        print(f"servers ended: {ended}; {report}")


@app.command()
def evict(
    server: Annotated[
        str, typer.Argument(metavar="NAME|EPOCH", help="Which server, as status shows it.")
    ],
    terminate_backends: Annotated[
        bool,
        typer.Option("--terminate-backends", help="Cut its sessions, too (pg_signal_backend)."),
    ] = False,
    as_json: AsJson = False,
    dsn: Dsn = None,
) -> None:
    """Ends a server that hangs, and closes its work; it can write no more."""
    done = closing.evict(target.database(dsn), server, terminate_backends=terminate_backends)
    if as_json:
        show.as_json({"evicted": list(done.epochs), "report": show.report_json(done.report)})
    else:
        print(f"evicted: {', '.join(map(str, done.epochs))}; {done.report}")


@app.command()
def permit(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="The role that owns the tables.")],
    dsn: Dsn = None,
) -> None:
    """Lets the owner of tables attach them; for a DBA, once for each owner."""
    with target.opened(dsn) as conn:
        calls.run(conn, calls.watch.permit(owner))
    print(f"{owner} may attach its tables: recovery.attach")


@app.command()
def status(as_json: AsJson = False, dsn: Dsn = None) -> None:
    """Servers, watched tables, what is open, waits, is to stop; failures, consumers, sweeps."""
    with target.opened(dsn) as conn:
        show.status(conn, as_json)


@app.command()
def doctor(
    fix: Annotated[
        bool,
        typer.Option(
            "--fix", help="Repair what loses nothing: triggers, indexes, rights, remains."
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too.")] = False,
    app: Annotated[
        str | None,
        typer.Option(metavar="MODULE:METADATA", help="Compare what your models declare, too."),
    ] = None,
    patience: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="How long a transaction may be open."),
    ] = 60.0,
    as_json: AsJson = False,
    dsn: Dsn = None,
) -> None:
    """Looks what is wrong, and says what to type; changes nothing without --fix.

    Exit codes: 0 nothing is wrong, 1 something is (an error; with --strict a warning), 2 it could
    not look. Notes are only told.
    """
    from recovery.cli.doctor.run import run

    code = run(
        target.database(dsn),
        explain=target.explain,
        as_json=as_json,
        strict=strict,
        fix=fix,
        app=app,
        patience=calls.seconds(patience, "patience"),
    )
    raise typer.Exit(code)


@app.command("import-opencode")
def import_opencode(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", exists=True, help="opencode.db; only read.")
    ],
    owner: Annotated[
        str, typer.Option(help="Name of the server that owned the sessions.")
    ] = "opencode",
    owner_map: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help='JSON: {"<session id>": "<server>", …}.'),
    ] = None,
    as_json: AsJson = False,
    dsn: Dsn = None,
) -> None:
    """Loads opencode's own SQLite file into schema agent.

    What was running when opencode died is then open work of the server OWNER, and is
    closed by `recovery boot OWNER`, or by a sweep when the lease has run out. A second
    import brings what has changed since. Ends with 2 if the store holds something that
    this version does not know, and that may be in flight.
    """
    from recovery.opencode import import_store

    owners = None if owner_map is None else _owner_map(owner_map)
    with target.opened(dsn) as conn:
        done = import_store(
            conn,
            path,
            owner=owner,
            owners=owners,
            on_skip=lambda row: print(f"recovery: skipped {row}", file=sys.stderr, flush=True),
        )
    for warning in done.warnings:
        print(f"recovery: {warning}", file=sys.stderr, flush=True)
    show.imported(done, as_json)
    if not done.understood:
        raise typer.Exit(USAGE)


@app.command()
def demo(
    major: Annotated[int | None, typer.Option(help="Major version of the PostgreSQL.")] = None,
    dsn: Dsn = None,
) -> None:
    """A server is killed in the middle of its work, and its clients see what becomes of it.

    Runs on a PostgreSQL of its own, which goes away with it, unless --dsn names one.
    """
    from recovery.demo import play

    if not target.is_named(dsn):  # RECOVERY_DSN names somebody's database, not the play's
        raise typer.Exit(play.run(None, major))
    raise typer.Exit(play.run(target.database(dsn), major))


def _owner_map(path: Path) -> dict[str, str | int]:
    try:
        owners = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise typer.BadParameter(f"{path} is not JSON: {error}") from None
    if not isinstance(owners, dict) or not all(isinstance(v, str) for v in owners.values()):
        raise typer.BadParameter(f'{path} must hold one object {{"<session id>": "<server>", …}}')
    return owners
