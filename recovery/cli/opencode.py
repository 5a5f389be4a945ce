"""`recovery opencode`: repairs the store where it lives, without a PostgreSQL of one's own."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.prompt import Confirm

from recovery.cli import FAILED, IN_USE, USAGE, show
from recovery.cli.choices import AsJson, DryRun

if TYPE_CHECKING:
    from recovery.opencode.leftovers import Leftover
    from recovery.opencode.plan import Plan, Session
    from recovery.opencode.plan import Progress as Tell
    from recovery.opencode.write import Written

__all__ = ["commands"]

commands = typer.Typer(
    name="opencode",
    help="Repairs the store of opencode (https://opencode.ai) after a crash.",
)


commands.callback(invoke_without_command=True)(show.help_if_alone)


@commands.command()
def repair(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[opencode.db]", help="By default where opencode keeps it."),
    ] = None,
    session: Annotated[
        list[str] | None,
        typer.Option(help="Only this session (ses_…), with those below it; may be repeated."),
    ] = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    reap: Annotated[
        bool, typer.Option("--reap", help="Also stop what that opencode left running.")
    ] = False,
    backup: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the backup goes; by default beside the store."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Closes what was running when opencode died: no more "Thinking" for ever.

    End opencode first. Shows what would be closed, asks, makes a backup, and writes back only
    what was closed, each row only if it still is as it was read.

    Exit codes: 0 done, or nothing to do; 1 it failed, or rows were left; 2 something in flight was
    not understood; 5 the store is in use.
    """
    if sys.platform == "win32":
        raise typer.BadParameter("there is no PostgreSQL to bring for Windows: run it in WSL")

    from recovery.opencode.leftovers import leftovers, stop
    from recovery.opencode.plan import plan
    from recovery.opencode.where import default_path
    from recovery.opencode.write import StoreInUse, check_writable, refuse_if_held, write

    if as_json and not (yes or dry_run):
        raise typer.BadParameter("--json can't ask: add --dry-run or --yes")
    store = (path or default_path()).expanduser()
    if not store.exists():
        where = "" if path else ", where opencode keeps it; else name the file"
        raise FileNotFoundError(2, f"there is no such file{where}", str(store))
    if not dry_run and store.is_file():
        check_writable(store)
    written, survivors = None, []
    try:
        refuse_if_held(store.resolve())
        with _progress() as tell:
            found = plan(store, sessions=session or (), progress=tell)
        left = leftovers(store)
        doomed = left if reap else []
        if not as_json:
            _show_plan(found, left, asked=reap)
        if not dry_run and (found.changes or doomed):
            if not yes:
                _ask(found, doomed)
            survivors = stop(doomed)
            if found.changes:
                with _progress() as tell:
                    written = write(found, backup=backup, progress=tell)
    except StoreInUse as error:
        print(f"recovery: {error}; nothing was changed", file=sys.stderr)
        raise typer.Exit(IN_USE) from None
    if as_json:
        show.as_json(_document(found, left, survivors, written, dry_run))
    else:
        _show_done(found, doomed, survivors, written)
    raise typer.Exit(_code(found, survivors, written))


def _code(found: Plan, survivors: list[Leftover], written: Written | None) -> int:
    if survivors or (written is not None and written.left):
        return FAILED
    return USAGE if found.unknown else 0


def _ask(found: Plan, doomed: list[Leftover]) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask: add --yes or --dry-run")
    what = [f"close {_count(found)}"] if found.changes else []
    if doomed:
        what.append(f"stop {_number(len(doomed), 'process', 'processes')}")
    question = " and ".join(what).capitalize() + "? A backup is made first."
    try:
        if Confirm.ask(question, default=False):
            return
    except EOFError:
        print()
    print("nothing was changed")
    raise typer.Exit


def _show_plan(found: Plan, left: list[Leftover], *, asked: bool) -> None:
    console = Console(highlight=False)
    now = datetime.now(UTC)
    show.print_table(
        console,
        ["session", "title", "in flight", "since"],
        [
            [
                each.id,
                ("↳ " if each.parent else "") + each.title,
                _open(each),
                _since(each.since, now),
            ]
            for each in found.sessions
        ],
        f"nothing is in flight in {found.path}",
    )
    for warning in (*found.warnings, *found.unknown):
        console.print(warning, soft_wrap=True, markup=False, style="yellow")
    if left:
        show.print_table(
            console,
            ["left running", "command", "in", "since"],
            [[p.pid, _short(p.command), p.directory, _since(p.start, now)] for p in left],
            "",
        )
        if not asked:
            print("opencode had started these; --reap stops them")
    elif any(each.tools for each in found.sessions):
        print(
            "no process that this opencode started was found running; the store itself can't tell"
        )


def _show_done(
    found: Plan, doomed: list[Leftover], survivors: list[Leftover], written: Written | None
) -> None:
    if written is None:
        if found.changes:
            print("nothing was changed")
    else:
        rows = ", ".join(f"{count} in {table}" for table, count in written.rows.items())
        print(f"closed {_count(found, written)}" + (f": {rows}" if rows else ""))
        print(f"backup: {written.backup}")
        for row in written.left:
            print(f"recovery: left as it is: {row}", file=sys.stderr)
        if written.left:
            print("recovery: run it again for what was left", file=sys.stderr)
    if doomed:
        stopped = len(doomed) - len(survivors)
        print(f"stopped {_number(stopped, 'process', 'processes')}")
    for process in survivors:
        print(f"recovery: still running: {process.pid} {process.command}", file=sys.stderr)


def _document(
    found: Plan,
    left: list[Leftover],
    survivors: list[Leftover],
    written: Written | None,
    dry_run: bool,
) -> dict[str, Any]:
    return {
        "store": found.path,
        "dry_run": dry_run,
        "sessions": [asdict(each) for each in found.sessions],
        "changes": [
            {
                "table": change.table,
                "id": change.id,
                "session": change.session,
                "columns": dict(change.new),
                "edits": [
                    {"path": str(edit), "how": edit.how, "value": edit.value}
                    for edit in change.edits
                ],
            }
            for change in found.changes
        ],
        "warnings": found.warnings,
        "unknown": found.unknown,
        "skipped": [asdict(row) for row in found.imported.skipped],
        "processes": [asdict(process) for process in left],
        "still_running": [process.pid for process in survivors],
        "written": None if written is None else asdict(written),
    }


def _open(session: Session) -> str:
    tools = Counter(tool.name for tool in session.tools)
    words = [f"{count} {name}" if count > 1 else name for name, count in tools.items()]
    if session.parts:
        words.append(_number(session.parts, "text"))
    return ", ".join(words) or "answer"


def _count(found: Plan, written: Written | None = None) -> str:
    """What is closed, in words."""
    left = set() if written is None else {(row.table, row.id) for row in written.left}
    changes = [change for change in found.changes if (change.table, change.id) not in left]
    sessions = len({change.session for change in changes})
    return f"{_number(len(changes), 'row')} of {_number(sessions, 'session')}"


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def _since(moment: datetime | None, now: datetime) -> str:
    return "" if moment is None else f"{show.span(now - moment)} ago"


def _short(command: str) -> str:
    command = " ".join(command.split())
    return command if len(command) <= 60 else command[:59] + "…"


@contextmanager
def _progress() -> Iterator[Tell]:
    """Tells on a terminal how far it is; nothing in a pipe."""
    console = Console(stderr=True)
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as shown:
        task = shown.add_task("", total=None)
        yield lambda step, done, of: shown.update(
            task, description=step, completed=done, total=of or None
        )
