"""`recovery config`: the settings of the watchdog."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from recovery import calls, settings
from recovery.cli import show, target
from recovery.cli.choices import AsJson, Dsn

__all__ = ["commands"]

commands = typer.Typer(
    name="config",
    help="Timeouts and graces of the watchdog; a change counts from the next sweep on.",
    epilog="Where several values apply, the one for a group goes before the one for a kind,"
    " a watch, and everything.",
)

Name = Annotated[str, typer.Argument(help="As list shows it, such as tool_timeout.")]
Watch = Annotated[str | None, typer.Option(help="Only for this watch.")]
Kind = Annotated[str | None, typer.Option(help="Only for this kind of work, such as bash.")]
Group = Annotated[str | None, typer.Option(help="Only for this group (session).")]


commands.callback(invoke_without_command=True)(show.help_if_alone)


@commands.command("list")
def list_(as_json: AsJson = False, dsn: Dsn = None) -> None:
    """What is set, and the built-in defaults."""
    with target.opened(dsn) as conn:
        found = calls.run(conn, calls.settings.status())
    if as_json:
        show.as_json([asdict(setting) for setting in found])
        return
    show.print_table(
        Console(highlight=False),
        ["setting", "value", "watch", "kind", "group", "source", "changed", "by"],
        [
            [
                setting.name,
                setting.value,
                setting.watch,
                setting.kind,
                setting.group,
                Text(setting.source, style="dim" if setting.source == "default" else ""),
                setting.changed_at and setting.changed_at.astimezone().strftime("%F %T"),
                setting.changed_by,
            ]
            for setting in found
        ],
        "",
    )


@commands.command()
def get(
    name: Name, watch: Watch = None, kind: Kind = None, group: Group = None, dsn: Dsn = None
) -> None:
    """The value that applies; off if there is no limit."""
    with target.opened(dsn) as conn:
        print(settings.setting(conn, name, watch=watch, kind=kind, group=group) or "off")


@commands.command("set")
def set_(
    name: Name,
    value: Annotated[
        str, typer.Argument(help="90s, '10 min', 00:10:00, off; true or false for idle_roots.")
    ],
    watch: Watch = None,
    kind: Kind = None,
    group: Group = None,
    dsn: Dsn = None,
) -> None:
    """Sets it, for everything or for one watch, kind, group; prints it as it is stored."""
    if not value.strip():  # of a shell variable that is not set, more likely than meant
        raise typer.BadParameter("VALUE is empty; `recovery config unset` removes a setting")
    with target.opened(dsn) as conn:
        print(settings.configure(conn, name, value, watch=watch, kind=kind, group=group))


@commands.command()
def unset(
    name: Name, watch: Watch = None, kind: Kind = None, group: Group = None, dsn: Dsn = None
) -> None:
    """Removes what was set; prints the value that applies then."""
    with target.opened(dsn) as conn:
        settings.configure(conn, name, None, watch=watch, kind=kind, group=group)
        print(settings.setting(conn, name, watch=watch, kind=kind, group=group) or "off")
