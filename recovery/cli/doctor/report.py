"""Shows what was found: a table on a terminal, a line each in a pipe, or JSON."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recovery._version import VERSION
from recovery.cli import show
from recovery.cli.doctor.finding import SEVERITIES, Finding, Seen

__all__ = ["as_json", "as_text"]

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan", "fixed": "green"}


def as_json(seen: Seen, code: int) -> None:
    """One document; docs/reference/doctor.md describes it."""
    errors = seen.errors or {}

    def record(finding: Finding, fixed: bool) -> dict[str, Any]:
        return {
            "code": finding.code,
            "severity": finding.severity,
            "kind": finding.kind,
            "subject": finding.subject,
            "problem": finding.problem,
            "remedy": finding.remedy,
            "fix": None if finding.fix is None else list(finding.fix),
            "fixed": fixed,
            "error": None if fixed else errors.get(finding.identity),
        }

    show.as_json(
        {
            "exit_code": code,
            "looked": seen.looked,
            "package": VERSION,
            "database": seen.database,
            "examined": list(seen.examined),
            "counts": {severity: seen.count(severity) for severity in SEVERITIES},
            "findings": [record(finding, False) for finding in seen.findings]
            + [record(finding, True) for finding in seen.fixed],
        }
    )


def as_text(seen: Seen) -> None:
    """For people, and for grep."""
    console = Console(highlight=False)
    if console.is_terminal:
        _as_table(console, seen)
    else:
        for finding, state in _all(seen):
            _line(finding, state, seen)
    _print(console, _summary(seen))


def _all(seen: Seen) -> list[tuple[Finding, str]]:
    found = [(finding, finding.severity) for finding in seen.findings]
    return found + [(finding, "fixed") for finding in seen.fixed]


def _as_table(console: Console, seen: Seen) -> None:
    """What is wrong in a table, and below it what to type: a line that is not cut to be copied."""
    found = _all(seen)
    if not found:
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found", overflow="fold", ratio=2)
    table.add_column("problem", overflow="fold", ratio=5)
    for number, (finding, state) in enumerate(found, 1):
        table.add_row(
            str(number),
            Text(state, style=_STYLES[state]),
            Text(finding.code, style="bold").append(f"\n{_about(finding)}", style="not bold"),
            Text(" ".join(finding.problem.split())),
        )
    console.print(table)
    console.print("What to do", style="bold")
    for number, (finding, state) in enumerate(found, 1):
        if state != "fixed":
            mark = "  [--fix does it]" if finding.fix and seen.errors is None else ""
            line = Text(f"{number:>3}  ").append(finding.remedy, style="bold")
            _print(console, line.append(mark, style="dim"))
            failed = (seen.errors or {}).get(finding.identity)
            if failed:
                _print(console, Text(f"     could not be fixed: {failed}", style="red"))
    console.print()


def _line(finding: Finding, state: str, seen: Seen) -> None:
    failed = (seen.errors or {}).get(finding.identity)
    parts = [f"{state:7}", f"{finding.code:20}", f"{_about(finding)}:"]
    parts.append(" ".join(finding.problem.split()))
    if failed and state != "fixed":
        parts.append(f"(could not be fixed: {' '.join(failed.split())})")
    if state != "fixed":
        parts.append(f" → {' '.join(finding.remedy.split())}")
    print(" ".join(parts))


def _about(finding: Finding) -> str:
    return f"{finding.kind} {finding.subject}"


def _summary(seen: Seen) -> str:
    if not seen.looked:
        return "could not look"
    said = [
        f"{count} {severity}{'s' if count > 1 else ''}"
        for severity in SEVERITIES
        if (count := seen.count(severity))
    ]
    looked = f"{len(seen.examined)} subjects were looked at"
    fixed = f", {len(seen.fixed)} fixed" if seen.fixed else ""
    return f"{', '.join(said) or 'nothing is wrong'}{fixed}; {looked}"


def _print(console: Console, line: Text | str) -> None:
    console.print(line, soft_wrap=True)
