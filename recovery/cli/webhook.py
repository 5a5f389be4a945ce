"""`recovery webhook` changes webhooks, `recovery webhooks` shows and runs them."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from dataclasses import asdict
from datetime import timedelta
from types import FrameType
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.text import Text

from recovery import webhooks
from recovery.cli import FAILED, show, target
from recovery.cli.choices import AsJson, Dsn, Kind, Order

__all__ = ["commands", "looking"]

commands = typer.Typer(
    name="webhook",
    help="Sends events by HTTP, signed as Standard Webhooks: add, test, repair.",
    epilog="Nothing is sent unless a dispatcher runs: recovery webhooks run.",
)
looking = typer.Typer(
    name="webhooks",
    help="Shows the webhooks, what each has not got yet, and what its receiver says.",
)

Name = Annotated[str, typer.Argument(help="Of the webhook, as recovery webhooks shows it.")]
Secret = Annotated[
    str | None,
    typer.Option(
        envvar="RECOVERY_WEBHOOK_SECRET",
        show_envvar=True,
        help="whsec_ and base64; - reads it from standard input. By default a new one is made.",
    ),
]
_STATES = {"active": "green", "down": "bold red", "failing": "yellow", "paused": "yellow"}


commands.callback(invoke_without_command=True)(show.help_if_alone)


@commands.command()
def add(
    url: Annotated[str, typer.Argument(help="https://…, without user and password.")],
    name: Annotated[
        str | None, typer.Option(help="What it is called; by default as the host of the URL.")
    ] = None,
    watch: Annotated[list[str] | None, typer.Option(help="Only these watches.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Only these groups (sessions).")] = None,
    kind: Annotated[list[Kind] | None, typer.Option(help="Only these kinds.")] = None,
    reason: Annotated[
        list[str] | None, typer.Option(help="superseded, lease_expired, shutdown …")
    ] = None,
    topic: Annotated[list[str] | None, typer.Option(help="Only these topics.")] = None,
    secret: Secret = None,
    after: Annotated[
        int | None,
        typer.Option(help="Begin after the event with this id, not with now; 0: all.", min=0),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NETWORK",
            help="May be reached though it is private, and without TLS: 10.0.0.0/8, one address.",
        ),
    ] = None,
    order: Annotated[
        Order, typer.Option(help="What waits for one that fails: later ones of its row, or group.")
    ] = Order.row,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="For one attempt.")] = 15.0,
    attempts: Annotated[int, typer.Option(help="Then it is a dead letter.")] = 10,
    backoff: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="After the first failure; then 4 times as long each."),
    ] = 5.0,
    max_backoff: Annotated[float, typer.Option(metavar="SECONDS", help="At most.")] = 43200.0,
    max_body: Annotated[
        int, typer.Option(metavar="BYTES", help="Larger values are left out, with a mark.")
    ] = 65536,
    concurrency: Annotated[int, typer.Option(help="Requests at the same time.")] = 8,
    keep: Annotated[float, typer.Option(metavar="DAYS", help="For dead letters.")] = 30.0,
    replace: Annotated[
        bool, typer.Option("--replace", help="Change the one of that name; its secret stays.")
    ] = False,
    as_json: AsJson = False,
    dsn: Dsn = None,
) -> None:
    """Adds a webhook, and prints the secret by which its receiver knows who sends."""
    found = name if name is not None else _host(url)
    with target.opened(dsn) as conn:
        made = webhooks.add(
            conn,
            found,
            url,
            secret=_read(secret),
            watch=watch or None,
            group=group or None,
            kind=[each.value for each in kind] if kind else None,
            reason=reason or None,
            topic=topic or None,
            after=after,
            allow=allow or (),
            order_by=order.value,
            timeout=timeout,
            max_body=max_body,
            max_attempts=attempts,
            backoff=backoff,
            max_backoff=max_backoff,
            concurrency=concurrency,
            keep=timedelta(days=_days(keep)),
            replace=replace,
        )
    if as_json:
        show.as_json({"name": found, "url": url, "secret": made})
        return
    print(f"{found}: {url}")
    if secret is None:
        print(f"secret {made}")
    print(f"try it: recovery webhook test {found}; send: recovery webhooks run", file=sys.stderr)


@commands.command("list")
def list_(as_json: AsJson = False, dsn: Dsn = None) -> None:
    """As `recovery webhooks`."""
    _show(as_json, dsn)


@commands.command()
def remove(name: Name, dsn: Dsn = None) -> None:
    """Forgets it, with its dead letters."""
    with target.opened(dsn) as conn:
        left = webhooks.remove(conn, name)
    print(f"{name} is removed" + (f"; {_events(left)} not delivered" if left else ""))


@commands.command()
def pause(
    name: Name,
    because: Annotated[str | None, typer.Option(help="Why, for who looks.")] = None,
    dsn: Dsn = None,
) -> None:
    """Sends it nothing until it is resumed; its events wait."""
    with target.opened(dsn) as conn:
        webhooks.pause(conn, name, because)
    print(f"{name} is paused; go on: recovery webhook resume {name}")


@commands.command()
def resume(name: Name, dsn: Dsn = None) -> None:
    """Goes on sending, and tries at once what has failed."""
    with target.opened(dsn) as conn:
        webhooks.resume(conn, name)
    print(f"{name} is active")


@commands.command()
def rotate(
    name: Name,
    secret: Annotated[
        str | None, typer.Option(help="whsec_ and base64; - reads it from standard input.")
    ] = None,
    finish: Annotated[
        bool, typer.Option("--finish", help="The receiver knows the new one: drop the old ones.")
    ] = False,
    dsn: Dsn = None,
) -> None:
    """Gives it a new secret, and prints it; the old ones sign, too, until --finish."""
    with target.opened(dsn) as conn:
        made = webhooks.rotate(conn, name, _read(secret), finish=finish)
    if finish:
        print(f"{name} signs with its newest secret only")
        return
    print(f"secret {made}" if secret is None else f"{name} signs with the new secret, too")
    print(f"then: recovery webhook rotate {name} --finish", file=sys.stderr)


@commands.command("test")
def try_(name: Name, as_json: AsJson = False, dsn: Dsn = None) -> None:
    """Sends a signed message of type recovery.test, once and at once."""
    with target.opened(dsn) as conn:
        attempt = webhooks.send_test(conn, name)
    if as_json:
        show.as_json(asdict(attempt))
    elif attempt.error is None:
        took = f"{attempt.seconds * 1000:.0f} ms"
        print(f"{name} ({attempt.address}) answered {attempt.status} in {took}")
    else:
        print(f"recovery: {name}: {attempt.error}", file=sys.stderr)
    raise typer.Exit(0 if attempt.error is None else FAILED)


@commands.command()
def dead(
    name: Annotated[str | None, typer.Argument(help="Only of this webhook.")] = None,
    limit: Annotated[int, typer.Option(help="The newest so many.", min=1)] = 1000,
    as_json: AsJson = False,
    dsn: Dsn = None,
) -> None:
    """Lists dead letters: events that were sent in vain and are given up."""
    with target.opened(dsn) as conn:
        if name is not None and name not in {each.name for each in webhooks.status(conn)}:
            raise typer.BadParameter(f"no webhook is called {name!r}; recovery webhooks lists them")
        found = webhooks.dead_letters(conn, name, limit=limit)
    if as_json:
        show.as_json([asdict(each) for each in found])
        return
    show.print_table(
        Console(highlight=False),
        ["webhook", "event", "at", "kind", "watch", "key", "tries", "because"],
        [
            [
                each.webhook,
                each.event,
                each.at.astimezone().strftime("%F %T"),
                each.kind,
                each.watch,
                each.key,
                each.attempts,
                each.error,
            ]
            for each in found
        ],
        "no dead letters",
    )


@commands.command()
def redeliver(
    name: Name,
    event: Annotated[
        list[int] | None,
        typer.Argument(help="Ids of events, delivered or dead; by default all dead letters."),
    ] = None,
    dsn: Dsn = None,
) -> None:
    """Sends dead letters again, with all attempts once more."""
    with target.opened(dsn) as conn:
        count = webhooks.redeliver(conn, name, event or None)
    print(f"{_events(count)} will be sent again" if count else "there is nothing to send again")


@looking.callback(invoke_without_command=True)
def _looking(context: typer.Context, as_json: AsJson = False, dsn: Dsn = None) -> None:
    if context.invoked_subcommand is None:
        _show(as_json, dsn)
        return
    if dsn is not None:
        target.remember(dsn)
    if as_json:
        raise typer.BadParameter("--json is for the list")


@looking.command("run")
def run_(
    concurrency: Annotated[
        int, typer.Option(help="Requests at the same time, of all webhooks.")
    ] = 64,
    poll: Annotated[
        float, typer.Option(metavar="SECONDS", help="Between looks when nothing wakes it.")
    ] = 1.0,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only tell what goes wrong.")
    ] = False,
    dsn: Dsn = None,
) -> None:
    """Sends what the webhooks have to get, until Ctrl-C; any number at once, anywhere."""
    if not quiet:
        logging.getLogger(webhooks.__name__).setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, _leave)
    with webhooks.deliver(target.database(dsn), concurrency=concurrency, poll=poll):
        if not quiet:
            print("recovery: sending; Ctrl-C ends it", file=sys.stderr, flush=True)
        while True:
            threading.Event().wait(3600)


def _leave(number: int, frame: FrameType | None) -> None:
    """Leaves the block: what is under way is finished."""
    raise SystemExit(128 + number)


def _show(as_json: bool, dsn: str | None) -> None:
    with target.opened(dsn) as conn:
        found = webhooks.status(conn)
    if as_json:
        show.as_json([asdict(each) for each in found])
        return
    console = Console(highlight=False)
    show.print_table(
        console,
        ["webhook", "url", "gets", "state", "to send", "dead", "behind", "delivered", "because"],
        [
            [
                each.name,
                each.url,
                _filters(each.filters),
                Text(each.state, style=_STATES[each.state]),
                each.unfinished,
                Text(str(each.dead), style="bold red" if each.dead else ""),
                each.behind,
                each.delivered and each.delivered.astimezone().strftime("%F %T"),
                each.paused_because or each.error,
            ]
            for each in found
        ],
        "there is no webhook; see recovery webhook add --help",
    )


def _filters(filters: Any) -> str:
    said = [f"{name} {' or '.join(map(str, values))}" for name, values in filters.items() if values]
    return ", ".join(said) or "every event"


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or "webhook"
    except ValueError:
        return "webhook"  # the URL is refused later, with the reason


def _read(secret: str | None) -> str | None:
    if secret != "-":
        return secret
    found = sys.stdin.readline().strip()
    if not found:
        raise typer.BadParameter("standard input has no secret")
    return found


def _days(value: float) -> float:
    if not 0 < value <= 3650:
        raise typer.BadParameter(f"--keep {value:g}: give up to 3650 days")
    return value


def _events(count: int) -> str:
    return "1 event" if count == 1 else f"{count} events"
