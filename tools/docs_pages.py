"""What `make docs` puts into the pages, at a line ``<!-- generated: what -->``: a hook of mkdocs.

    python tools/docs_pages.py commands      # shows one of them; without a name: lists them

Generated at build time and committed nowhere, so it can't be older than the code.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import recovery
from recovery import webhooks
from recovery.cli.main import main
from tools import docs_sql

ROOT = Path(__file__).resolve().parent.parent
MARK = re.compile(r"^<!-- generated: ([\w ]+) -->$", re.MULTILINE)
#: In a docstring ("P4: …") or in the name of a test (test_p04_…).
PROMISE = re.compile(r"\bP(\d{1,2})\b|_p0?(\d{1,2})(?=_)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page."""
    return MARK.sub(lambda match: generate(match[1]), markdown)


def generate(what: str) -> str:
    """The text of one mark; a promise's is ``tests P4``."""
    name, _, argument = what.partition(" ")
    return GENERATORS[name](*filter(None, [argument]))


def python_api() -> str:
    """A mark of mkdocstrings for each public name; an async twin stands after its own."""
    names = [name for name in recovery.__all__ if not name.startswith("__")]
    kinds: dict[str, list[str]] = {"Functions": [], "Classes": [], "Exceptions": []}
    for name in names:
        value = getattr(recovery, name)
        if not inspect.isclass(value):
            kinds["Classes" if name[0].isupper() else "Functions"].append(name)
        else:
            error = issubclass(value, BaseException)
            kinds["Exceptions" if error else "Classes"].append(name)
    twins = {name for name in names if name[:1] == "a" and name[1:] in names}
    kinds["Functions"].sort(key=lambda name: (name[1:], 1) if name in twins else (name, 0))
    theirs = {f"webhooks.{name}" for name in webhooks.__all__}
    kinds["Webhooks"] = sorted(theirs, key=lambda name: _beside_its_twin(name, theirs))
    return "\n".join(
        f"## {kind}\n\n" + "\n".join(f"::: recovery.{name}\n" for name in names)
        for kind, names in kinds.items()
    )


def _beside_its_twin(name: str, names: set[str]) -> tuple[str, int]:
    """Sorts webhooks.aadd behind webhooks.add."""
    module, _, function = name.rpartition(".")
    twin = f"{module}.{function[1:]}"
    return (twin, 1) if function[:1] == "a" and twin in names else (name, 0)


def errors() -> str:
    """A table of the SQLSTATEs and what only Python raises."""
    classes = recovery.RecoveryError.__subclasses__()
    classes.sort(key=lambda each: (each.sqlstate is None, each.sqlstate or "", each.__name__))
    lines = ["| SQLSTATE | exception | meaning |", "| --- | --- | --- |"]
    for each in classes:
        meaning = " ".join(inspect.getdoc(each).partition("Args:")[0].split())  # type: ignore
        link = f"[`{each.__name__}`](python.md#recovery.{each.__name__})"
        lines.append(f"| {each.sqlstate or ''} | {link} | {meaning} |")
    return "\n".join(lines)


def commands() -> str:
    """The help of every command, as it prints it."""
    plain = {"COLUMNS": "92", "TERM": "dumb", "NO_COLOR": "1"}
    before = {name: os.environ.get(name) for name in plain}
    os.environ.update(plain)
    try:
        return "\n".join(_help())
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _help(*command: str) -> Iterator[str]:
    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.suppress(SystemExit):
        main([*command, "--help"])
    text = "\n".join(line.rstrip() for line in output.getvalue().splitlines()).strip("\n")
    yield f"## {' '.join(['recovery', *command])}\n\n```text\n{text}\n```\n"
    for name in sorted(_listed(text)):
        yield from _help(*command, name)


def _listed(text: str) -> list[str]:
    box = text.partition("─ Commands ─")[2]
    return re.findall(r"^│ ([a-z][\w-]*)", box, re.MULTILINE)


@functools.cache
def promised(folder: Path = ROOT / "tests") -> dict[int, dict[str, list[str]]]:
    """Promise -> file -> what its tests say; a promise is named by a test or its docstring."""
    found: dict[int, dict[str, list[str]]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        where = path.relative_to(folder.parent).as_posix()
        for numbers, says in _said(path):
            for number in numbers:
                found.setdefault(number, {}).setdefault(where, []).append(says)
    return found


def _said(path: Path) -> Iterator[tuple[set[int], str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    doc = ast.get_docstring(tree) or ""
    if PROMISE.search(doc):
        yield _numbers(doc), _without(doc)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name, doc = node.name, ast.get_docstring(node) or ""
            if name.startswith("test_") and (numbers := _numbers(name) | _numbers(doc)):
                words = re.sub(r"^test_(p\d+_)*", "", name).replace("_", " ")
                yield numbers, words


def _numbers(text: str) -> set[int]:
    return {int(one or other) for one, other in PROMISE.findall(text)}


def _without(doc: str) -> str:
    """The first sentence of a docstring without the promises that it names."""
    text = re.sub(r"^(P\d+(, )?)+: ?", "", " ".join(doc.split()))
    return re.split(r"(?<=\w)\. ", text)[0].rstrip(".")


def tests(promise: str) -> str:
    """The tests that hold one promise, a file a line."""
    lines = []
    for path, said in promised()[int(promise.removeprefix("P"))].items():
        lines.append(f"- `{path}`: {docs_sql.escaped('; '.join(said))}.")
    return "\n".join(lines)


GENERATORS: dict[str, Callable[..., str]] = {
    "python": python_api,
    "sql": docs_sql.markdown,
    "errors": errors,
    "commands": commands,
    "tests": tests,
}


if __name__ == "__main__":
    print(generate(" ".join(sys.argv[1:])) if sys.argv[1:] else "\n".join(GENERATORS))
