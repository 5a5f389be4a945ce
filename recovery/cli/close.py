"""`recovery close`, and what a boot or a sweep would do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import psycopg
import typer
from rich.console import Console
from rich.text import Text

from recovery import closing
from recovery.cli import show, target
from recovery.cli.choices import AsJson, DryRun, Dsn, Scope

__all__ = ["close", "foresee"]


def close(
    key: Annotated[str, typer.Argument(help="Of a row, or a group (session), as events show it.")],
    reason: Annotated[str, typer.Option(help="Why, for people: in the rows and events.")],
    watch: Annotated[str | None, typer.Option(help="Only of this watch.")] = None,
    scope: Annotated[Scope | None, typer.Option(help="If the key could be both.")] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    dsn: Dsn = None,
) -> None:
    """Closes one open row, or a group with all below it, whoever owns it and whatever guards it.

    A live owner is told to stop; its late results are refused.
    """
    with target.opened(dsn) as conn:
        rows = closing.close(
            conn,
            key,
            reason=reason,
            watch=watch,
            scope=None if scope is None else scope.value,
            dry_run=dry_run,
        )
    if as_json:
        show.as_json({"dry_run": dry_run, "reason": reason, "rows": [asdict(row) for row in rows]})
        return
    show.print_table(
        Console(highlight=False),
        ["watch", "key", "group", "epoch"],
        [[row.watch, row.key, row.group, row.epoch] for row in rows],
        "",
    )
    count = "1 row" if len(rows) == 1 else f"{len(rows)} rows"
    print(f"would close {count}; nothing was changed" if dry_run else f"closed {count}: {reason}")


def foresee(conn: psycopg.Connection[Any], boot: str | None, as_json: bool) -> None:
    """Shows what a sweep would do now, or a boot of that name; changes nothing."""
    rows = closing.preview(conn, boot=boot)
    if as_json:
        show.as_json({"dry_run": True, "rows": [asdict(row) for row in rows]})
        return
    colours = {"close": "red", "ask": "yellow"}
    show.print_table(
        Console(highlight=False),
        ["action", "reason", "watch", "key", "group"],
        [
            [
                Text(row.action, style=colours.get(row.action, "green")),
                row.reason,
                row.watch,
                row.key,
                row.group,
            ]
            for row in rows
        ],
        "nothing to close, ask, adopt or keep",
    )
    print("nothing was changed")
