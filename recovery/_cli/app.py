"""The commands."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from psycopg.conninfo import conninfo_to_dict

from recovery import _connect, calls, errors
from recovery._cli import FAILED, SCHEMA, UNREACHABLE, USAGE, close, config, show
from recovery._cli import doctor as examination
from recovery._cli.choices import Action, AsJson, DryRun, Dsn, Kind, Policy
from recovery._version import VERSION

__all__ = ["explain", "run"]

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
app.command()(close.close)

_dsn: str | None = None
"""What --dsn before the command said."""


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


def explain(error: Exception) -> tuple[str, int]:
    """One line for a failure, and the exit code."""
    if hasattr(error, "format_message"):  # of click, or of typer's copy of it
        return f"{error.format_message()} (see recovery --help)", USAGE
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}", FAILED
    known = errors.from_driver(error)
    if isinstance(known, errors.ConnectionFailed):
        begun = known.hint in (errors.STANDBY, errors.READ_ONLY)
        where = _where() if begun else f"cannot connect to {_where()}"
        return f"{where}: {_redacted(str(known))}", UNREACHABLE
    if isinstance(known, errors.SchemaMismatch):
        return str(known), SCHEMA
    if isinstance(known, errors.InvalidArgument | errors.InvalidName):
        return _redacted(str(known)), USAGE
    if known is not None:
        return _redacted(str(known)), FAILED
    name = "" if isinstance(error, ValueError | OSError | RuntimeError) else type(error).__name__
    text = str(error).strip() or type(error).__name__
    return _redacted(f"{name}: {text}" if name else text), FAILED


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context,
    dsn: Dsn = None,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    global _dsn
    _dsn = dsn
    if version:
        print(f"pg-recovery {VERSION}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(USAGE)


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
    from recovery import migrations

    up = action is Action.upgrade
    step = migrations.upgrade if up else migrations.downgrade
    target = revision or ("heads" if up else "base")
    if sql:
        step(revision=target, sql=True)
        return
    database = _database(dsn)
    before = migrations.current(database)
    step(database, target)
    after = migrations.current(database)
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
    call = calls.boot(
        name,
        lease=calls.seconds(lease, "lease"),
        policy=policy.value,
        wait=calls.seconds(30.0 if wait is None else wait, "wait"),
        host=socket.gethostname(),
    )
    with _open(dsn) as conn:
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
    with _open(dsn) as conn:
        if dry_run:
            close.foresee(conn, None, as_json)
            return
        report = calls.run(conn, calls.sweep(label))
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
    with _open(dsn) as conn:
        ended = calls.run(conn, calls.evict(server, terminate_backends))
        report = calls.run(conn, calls.sweep("evict"))
    if as_json:
        show.as_json({"evicted": ended, "report": show.report_json(report)})
    else:
        print(f"evicted: {', '.join(map(str, ended))}; {report}")


@app.command()
def permit(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="The role that owns the tables.")],
    dsn: Dsn = None,
) -> None:
    """Lets the owner of tables attach them; for a DBA, once for each owner."""
    with _open(dsn) as conn:
        calls.run(conn, calls.permit(owner))
    print(f"{owner} may attach its tables: recovery.attach")


@app.command()
def status(as_json: AsJson = False, dsn: Dsn = None) -> None:
    """Servers, watched tables, what is open, waits, is to stop; settings, failures, sweeps."""
    with _open(dsn) as conn:
        show.status(conn, as_json)


@app.command()
def doctor(as_json: AsJson = False, dsn: Dsn = None) -> None:
    """Looks what is wrong, and says what to do about it; changes nothing.

    Exit code 1 if anything is wrong.
    """
    raise typer.Exit(examination.run(_database(dsn), as_json, explain))


@app.command()
def listen(
    watch: Annotated[list[str] | None, typer.Option(help="Only these watches.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Only these groups (sessions).")] = None,
    kind: Annotated[list[Kind] | None, typer.Option(help="Only these kinds.")] = None,
    reason: Annotated[
        list[str] | None, typer.Option(help="superseded, lease_expired, shutdown …")
    ] = None,
    after: Annotated[
        int | None, typer.Option(help="Begin after the event with this id, not with now.", min=0)
    ] = None,
    as_json: AsJson = False,
    dsn: Dsn = None,
) -> None:
    """Prints events as they happen, a line each, until Ctrl-C."""
    from recovery.errors import Lagged
    from recovery.listener import listen as listening

    filters: dict[str, Any] = {"watch": watch, "group": group, "kind": kind, "reason": reason}
    filters = {name: values for name, values in filters.items() if values}
    seen: set[tuple[int, datetime]] = set()  # a failover may give an id out again
    while True:
        with listening(_database(dsn), after=after) as bus:
            try:
                for event in bus.subscribe(**filters, maxsize=100_000):
                    if (event.id, event.at) not in seen:
                        print(event.to_json() if as_json else show.event(event), flush=True)
                        seen.add((event.id, event.at))
            except Lagged as lag:  # the reader of the pipe is slow: read again from there
                after = lag.resume_after
                seen = {one for one in seen if one[0] > after}


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
    closed by `recovery boot OWNER`, or by a sweep when the lease has run out.
    """
    from recovery import opencode

    owners = None if owner_map is None else _owner_map(owner_map)
    with _open(dsn) as conn:
        done = opencode.import_store(
            conn,
            path,
            owner=owner,
            owners=owners,
            on_skip=lambda row: print(f"recovery: skipped {row}", file=sys.stderr, flush=True),
        )
    show.imported(done, as_json)


@app.command()
def demo(
    major: Annotated[int | None, typer.Option(help="Major version of the PostgreSQL.")] = None,
    dsn: Dsn = None,
) -> None:
    """A server is killed in the middle of its work, and its clients see what becomes of it.

    Runs on a PostgreSQL of its own, which goes away with it, unless --dsn names one.
    """
    from recovery.demo import play

    if dsn is None and _dsn is None:  # RECOVERY_DSN names somebody's database, not the play's
        raise typer.Exit(play.run(None, major))
    raise typer.Exit(play.run(_database(dsn), major))


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


def _database(dsn: str | None) -> str:
    """Which database: --dsn, else RECOVERY_DSN, else libpq's own variables."""
    global _dsn
    _dsn = next((d for d in (dsn, _dsn, os.environ.get("RECOVERY_DSN")) if d is not None), "")
    given = _given()
    port, name = (str(given.get(key) or "") for key in ("port", "dbname"))
    if "://" in _dsn and (
        _dsn.partition("?")[0].count("@") > 1
        or not re.fullmatch(r"[\d,]*", port)
        or ("@" in name and "user" not in given)
    ):
        # libpq takes a part of the password for something else, and would show it.
        raise typer.BadParameter(
            "the password in the DSN must be percent-encoded: @ is %40, / is %2F, : is %3A"
        )
    return _dsn


def _open(dsn: str | None) -> psycopg.Connection[Any]:
    conn = _connect.connect(_database(dsn), "cli")
    _connect.check_schema(conn)
    return conn


def _given() -> dict[str, Any]:
    """What the DSN says; nothing if it can't be read."""
    try:
        return dict(conninfo_to_dict(re.sub(r"^(\w+)\+\w+://", r"\1://", _dsn or "")))
    except psycopg.Error:
        return {}


def _where() -> str:
    """The database as far as we know it, without the password."""
    given = _given()
    host = given.get("host") or given.get("hostaddr") or os.environ.get("PGHOST")
    port = given.get("port") or os.environ.get("PGPORT") or 5432
    name = given.get("dbname") or os.environ.get("PGDATABASE")
    where = f"{host}:{port}" if host else "the local server (no host was given)"
    return where + (f", database {name}" if name else "")


def _redacted(text: str) -> str:
    """Without the password, should a driver's message hold it."""
    given = _given()
    for secret in {given.get("password"), os.environ.get("PGPASSWORD")} - {None, ""}:
        if secret not in (given.get("user"), given.get("dbname"), given.get("host")):
            text = text.replace(str(secret), "…")
    return text
