"""How the commands show what they found: JSON, tables on a terminal, plain text in a pipe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recovery import Event, Report, calls
from recovery.cli import USAGE

if TYPE_CHECKING:  # these load Alembic and SQLAlchemy
    from recovery.opencode import Imported
    from recovery.schema import Current

__all__ = [
    "as_json",
    "event",
    "help_if_alone",
    "imported",
    "print_table",
    "report_json",
    "schema",
    "span",
    "status",
]


def help_if_alone(context: typer.Context) -> None:
    """What there is to choose from, for who named no command of these."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(USAGE)


def as_json(value: Any) -> None:
    """One JSON document."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)


def schema(current: Current) -> str:
    """What is installed, in words."""
    if current["version"] is None:
        return "no schema"
    revisions = ", ".join(current["revisions"]) or "managed by the project's own Alembic"
    return f"schema {current['version']} ({revisions})"


def report_json(report: Report) -> dict[str, Any]:
    """A report as the database gave it."""
    return {**asdict(report), "ended": list(report.ended)}


def event(event: Event) -> str:
    """One line."""
    why = "" if event.reason is None else f"  {event.reason}"
    who = "" if event.detector == "writer" else f"  by {event.detector}"
    group = "" if event.group in (None, event.key) else f"  in {event.group}"
    at = event.at.astimezone()
    when = at.strftime("%H:%M:%S.%f" if at.date() == datetime.now().date() else "%F %H:%M:%S.%f")[
        :-3
    ]
    # What is of a watch and of no row says what happened in its values.
    key = event.key or json.dumps(event.new or {}, ensure_ascii=False)
    return f"{event.id}  {when}  {event.kind:8}  {event.watch}  {key}{group}{why}{who}"


def imported(done: Imported, as_json_: bool) -> None:
    """What an import did."""
    if as_json_:
        as_json({**asdict(done), "understood": done.understood})
        return
    print(", ".join(f"{name} has epoch {epoch}" for name, epoch in done.epochs.items()))
    for table, count in done.loaded.items():
        more = {
            "were there": done.present[table],
            "updated": done.updated.get(table, 0),
            "kept as they were closed here": done.kept.get(table, 0),
            "no longer in the store": len(done.vanished.get(table, ())),
        }
        words = "".join(f", {n} {what}" for what, n in more.items() if n)
        print(f"{table}: {count} loaded{words}")
    if done.replaced:
        print(f"{done.replaced} characters that PostgreSQL can't hold became U+FFFD")
    for table, columns in done.ignored.items():
        print(f"{table}: columns left out: {', '.join(columns)}")
    for table, columns in done.missing.items():
        print(f"{table}: the store has no {', '.join(columns)}")
    for unknown in done.unknown:
        print(f"not known: {unknown}")
    if done.skipped:
        print(f"{len(done.skipped)} rows were skipped, see above")
    print("close what was running: " + ", ".join(f"recovery boot {name}" for name in done.epochs))


def status(conn: psycopg.Connection[Any], as_json_: bool) -> None:
    """Servers, watches, cancellations, fuses, failures, consumers, settings, sweeps."""
    found: dict[str, Any] = {
        "schema": calls.run(conn, calls.status.version()),
        "servers": calls.run(conn, calls.status.servers()),
        "watches": calls.run(conn, calls.status.watches()),
        "cancellations": calls.run(conn, calls.status.cancellations()),
        "fuses": calls.run(conn, calls.status.fuses()),
        "failures": calls.run(conn, calls.status.failures()),
        "problems": calls.run(conn, calls.status.problems()),
        "consumers": [asdict(each) for each in calls.run(conn, calls.consumer.status())],
        "transactions": calls.run(conn, calls.status.open_transactions(5)),
        "settings": calls.run(conn, calls.status.settings()),
        "sweeps": calls.run(conn, calls.status.sweeps()),
    }
    found["open"] = sum(watch["open_rows"] for watch in found["watches"])
    found["orphans"] = sum(watch["orphans"] for watch in found["watches"])
    if as_json_:
        as_json(found)
        return
    console = Console(highlight=False)
    print_table(
        console,
        ["server", "epoch", "state", "process", "heartbeat", "open"],
        [
            [
                server["name"],
                server["epoch"],
                _colour(server["state"])
                if server["reason"] is None
                else Text(f"ended: {server['reason']}", style="dim"),
                _process(server["pid"], server["host"]),
                _ago(server["heartbeat_age"]),
                server["open_rows"],
            ]
            for server in found["servers"]
        ],
        "no server has booted yet",
    )
    for server in found["servers"]:
        if server["held_because"] is not None:
            until = server["held_until"]
            when = "" if until is None else until.astimezone().strftime(" before %H:%M:%S")
            because = f"{server['name']} is not declared dead{when}: {server['held_because']}"
            console.print(because + "\n", soft_wrap=True)
    print_table(
        console,
        ["watch", "table", "open", "waiting", "unowned", "orphans", "failures"],
        [
            [
                watch["watch"],
                watch["relation"],
                watch["open_rows"],
                watch["waiting"],
                Text(str(watch["unowned"]), style="yellow" if watch["unowned"] else ""),
                Text(str(watch["orphans"]), style="bold red" if watch["orphans"] else ""),
                Text(str(watch["failures"]), style="bold red" if watch["failures"] else ""),
            ]
            for watch in found["watches"]
        ],
        "no table is watched; see recovery.attach",
    )
    for watch in found["watches"]:
        if watch["elsewhere"] is not None:
            console.print(
                f"{watch['relation']} is written by a subscription: {watch['elsewhere']} open rows"
                " of its publisher are left alone, until a server writes its epoch into them or"
                " the subscription is dropped\n",
                soft_wrap=True,
            )
        if watch["stale"]:
            console.print(
                f"{watch['relation']} has got a BEFORE UPDATE trigger since it was attached:"
                " call recovery.attach again, so that what it changes is noticed\n",
                soft_wrap=True,
            )
    if found["cancellations"]:
        print_table(
            console,
            ["to be stopped", "key", "reason", "by", "closes in"],
            [
                [c["watch"], c["key"], c["reason"], c["server"], _in(c["closes_in"])]
                for c in found["cancellations"]
            ],
            "",
        )
    if found["fuses"]:
        print_table(
            console,
            ["fuse on", "scope", "key", "process", "state", "burns for"],
            [
                [
                    fuse["watch"],
                    fuse["scope"],
                    fuse["key"],
                    _process(fuse["pid"], fuse["host"]),
                    Text(fuse["state"], style="" if fuse["state"] == "burns" else "yellow"),
                    _in(fuse["burns_for"]),
                ]
                for fuse in found["fuses"]
            ],
            "",
        )
    if found["failures"]:
        print_table(
            console,
            ["could not be closed", "key", "tries", "again in", "because"],
            [
                [f["watch"], f["key"], f["attempts"], _in(f["next_in"]), f["message"]]
                for f in found["failures"]
            ],
            "",
        )
    if found["problems"]:
        print_table(
            console,
            ["problem with", "", "because", "what to do"],
            [[p["kind"], p["name"], p["problem"], p["remedy"]] for p in found["problems"]],
            "",
        )
    if found["consumers"]:
        consumers(console, found["consumers"], found["transactions"])
    if found["settings"]:
        said = ", ".join(map(_setting, found["settings"]))
        console.print(f"settings: {said}", soft_wrap=True)
    for run in found["sweeps"]:
        report = Report.parse(run["report"])
        console.print(f"swept {_ago(run['age'])} by {run['label']}: {report}", soft_wrap=True)
    if not found["sweeps"]:
        console.print("never swept")


def consumers(
    console: Console, found: Sequence[Mapping[str, Any]], open_: Sequence[Mapping[str, Any]]
) -> None:
    """How far each consumer has come, and what its position waits for."""
    print_table(
        console,
        ["consumer", "position", "behind", "lag", "state", "seen", "only"],
        [
            [
                each["name"],
                each["position"],
                each["behind"] or "",
                span(each["lag"]) if each["behind"] else "",
                Text(
                    each["state"],
                    style="green" if each["state"] in ("active", "reading") else "yellow",
                ),
                _ago(each["age"]),
                "; ".join(
                    f"{name} {', '.join('none' if v is None else str(v) for v in values)}"
                    for name, values in each["filters"].items()
                ),
            ]
            for each in found
        ],
        "there is no consumer; see recovery consumers create --help",
    )
    held = [each["name"] for each in found if each["position"] < each["newest"]]
    if held and open_:
        oldest = open_[0]
        console.print(
            f"the position of {', '.join(held)} waits for {oldest['who']}, in database"
            f" {oldest['database']}, which began {_ago(oldest['age'])} and has written"
            + (f" ({oldest['query']})" if oldest["query"] else "")
            + "; events are delivered as ever\n",
            soft_wrap=True,
            markup=False,
        )


def _setting(setting: Mapping[str, Any]) -> str:
    only = " ".join(
        f"{what} {setting[what]}" for what in ("watch", "kind", "group") if setting[what]
    )
    return f"{setting['name']} {setting['value']}" + (f" ({only})" if only else "")


def _process(pid: int | None, host: str | None) -> str:
    """The host by its name: what tells it from others of that name stays in --json."""
    place = None if host is None else host.partition("#")[0]
    return "@".join(str(part) for part in (pid, place) if part is not None)


def print_table(
    console: Console, columns: Sequence[str], rows: Sequence[Sequence[Any]], otherwise: str
) -> None:
    """A table; in a pipe aligned columns without borders, and nothing cut off."""
    if not rows:
        console.print(otherwise + "\n", soft_wrap=True, markup=False)
        return
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for name in columns:
        whole = not console.is_terminal or name in {"epoch", "state", "heartbeat"}
        table.add_column(name, overflow="fold", no_wrap=whole)
    for row in rows:
        table.add_row(*(v if isinstance(v, Text) else _text(v) for v in row))
    if console.is_terminal:
        console.print(table)
    else:
        Console(highlight=False, width=10_000).print(table)
        console.print()


def _text(value: Any) -> Text:
    return Text("" if value is None else " ".join(str(value).split()))


def _colour(state: str) -> Text:
    return Text(state, style={"live": "green", "dead": "red"}.get(state, "yellow"))


def _ago(age: timedelta) -> str:
    return f"{span(age)} ago"


def _in(time: timedelta | None) -> str:
    if time is None:
        return "never"
    return span(time) if time > timedelta() else "due"


def span(age: timedelta) -> str:
    """In the unit that fits."""
    seconds = max(0.0, age.total_seconds())
    units: Mapping[str, int] = {"d": 86400, "h": 3600, "min": 60}
    for unit, size in units.items():
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
