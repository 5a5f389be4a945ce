"""The code blocks of the documentation, and what runs them.

Blocks of a page run in their order, in one database and one folder of the page's own:

- ``python`` is executed in one namespace, where ``engine``, ``async_engine``, ``conn`` (psycopg,
  autocommit) and ``dsn`` are there already; with ``title="worker.py"`` it is a file of that name
- ``sql`` is executed statement by statement; ``\\gset`` keeps a row as variables, as in psql
- ``console`` is a shell's: each line ``$ …`` is run, and what it prints must be what stands there,
  but for numbers, white space and names of hosts; a line ``…`` stands for any lines. What a reader
  stops after some seconds (``… & sleep 4; kill -9 $!``, ``timeout 4 …``) is stopped when it has
  printed as many lines as stand there
- a block of a language of `SHOWN` is a file of the tree, which its title names: tests run that
- other languages are not run, and only those of `DATA` are allowed

Before a block may stand ``<!-- not run: why -->`` (Python is still compiled) or ``<!-- exit code
1 -->``. A whole block in a comment is run and not shown. ``<!-- database: empty -->`` on a page:
without the schema. With RECOVERY_GOLDEN=overwrite what a console prints is written into the page.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tools.freeze import split

ROOT = Path(__file__).parents[2]
RUN = ("python", "sql", "console")
SHOWN = ("javascript", "perl", "sh")
DATA = ("ini", "json", "mermaid", "text")

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)(?P<rest>.*)$")
_TITLE = re.compile(r'title="([^"]+)"')
_NOTE = re.compile(r"^<!-- (not run|exit code):? (.+) -->$")
_STOPPED = re.compile(r"(?:(.+) & sleep \d+; kill -9 \$!|timeout \d+ (.+))$")
_VARIABLE = re.compile(r"(?<!:):(?:'(\w+)'|([a-z]\w*))")


def pages() -> list[Path]:
    """Every page with code in it."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass
class Block:
    """A fenced block."""

    page: Path
    line: int
    end: int
    language: str
    title: str | None
    code: str
    reason: str | None = None
    exit_code: int = 0
    indent: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """The blocks of a page, those in comments too."""
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        begin = _FENCE.match(lines[number])
        if begin is None:
            number += 1
            continue
        first = number
        fence = begin["indent"] + "```"
        number = lines.index(fence, first + 1)
        title = _TITLE.search(begin["rest"])
        block = Block(
            page,
            first + 1,
            number + 1,
            begin["language"],
            title[1] if title else None,
            textwrap.dedent("\n".join(lines[first + 1 : number]) + "\n"),
            indent=begin["indent"],
        )
        note = _NOTE.match(lines[first - 1].strip()) if first else None
        if note is not None and note[1] == "not run":
            block.reason = note[2]
        elif note is not None:
            block.exit_code = int(note[2])
        found.append(block)
        number += 1
    return found


class Reader:
    """Runs the blocks of one page, as somebody would who follows it."""

    def __init__(self, dsn: str, folder: Path, path: list[Path]) -> None:
        self._folder = folder
        self._variables: dict[str, str] = {}
        self._loop = asyncio.Runner()
        url = sa.make_url(dsn).set(drivername="postgresql+psycopg")
        self._conn = psycopg.connect(dsn, autocommit=True)
        self._engine = sa.create_engine(url)
        self._async_engine = create_async_engine(url)
        self._names: dict[str, Any] = {
            "__name__": "__page__",
            "conn": self._conn,
            "dsn": dsn,
            "engine": self._engine,
            "async_engine": self._async_engine,
        }
        bin_dir = folder / ".bin"
        bin_dir.mkdir()
        for name, run in (
            ("python", ""),
            ("recovery", ' -c "from recovery.cli.main import main; main()"'),
        ):
            program = bin_dir / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}"{run} "$@"\n')
            program.chmod(0o755)
        self._env = {
            **os.environ,
            "PATH": os.pathsep.join(map(str, [bin_dir, *path, os.environ["PATH"]])),
            "PYTHONPATH": str(ROOT),
            "RECOVERY_DSN": dsn,
            "COLUMNS": "120",
            "PGOPTIONS": "-c client_min_messages=warning",
            "PSQL_PAGER": "",
            "PAGER": "cat",
        }

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        # What a page has left in the background would answer to its next reader.
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.cwd() == str(self._folder):
                    process.terminate()
        self._loop.run(self._async_engine.dispose())
        self._loop.close()
        self._engine.dispose()
        self._conn.close()

    def run(self, block: Block) -> str | None:
        """Runs it; for a console, the text that should stand there if another one does."""
        if block.language == "python":
            self._python(block)
        elif block.reason is None and block.language == "sql":
            self._sql(block.code)
        elif block.reason is None and block.language == "console":
            return self._console(block)
        return None

    def _python(self, block: Block) -> None:
        # As in a notebook, `async with` may stand outside a function.
        code = compile(
            "\n" * block.line + block.code,
            str(block.page),
            "exec",
            ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        if block.title is not None:
            (self._folder / block.title).write_text(block.code)
            # A page may import what it has shown; the next one has another of that name.
            sys.modules.pop(block.title.removesuffix(".py"), None)
        elif block.reason is None:
            if code.co_flags & inspect.CO_COROUTINE:
                self._loop.run(self._await(code))
            else:
                sys.path.insert(0, str(self._folder))
                try:
                    exec(code, self._names)
                finally:
                    sys.path.remove(str(self._folder))

    async def _await(self, code: Any) -> None:
        await eval(code, self._names)

    def _sql(self, code: str) -> None:
        for statement in split(code.replace("\\gset", "/*gset*/;")):
            text = _VARIABLE.sub(self._value, statement)
            cursor = self._conn.execute(text.encode())
            if "/*gset*/" in statement:
                row, columns = cursor.fetchone(), cursor.description or []
                assert row is not None
                values = {c.name: str(v) for c, v in zip(columns, row, strict=True)}
                self._variables.update(values)

    def _value(self, match: re.Match[str]) -> str:
        quoted, plain = match.groups()
        value = self._variables[quoted or plain]
        return "'" + value.replace("'", "''") + "'" if quoted else value

    def _console(self, block: Block) -> str | None:
        shown, real = [], []
        for command, expected in commands(block.code):
            printed = self._shell(command, expected, block)
            same = alike(expected, printed)
            shown.append(same)
            output = expected if same else tidy(printed)
            real.append("$ " + command.replace("\n", "\n> ") + "\n" + output)
        return None if all(shown) else "".join(real)

    def _shell(self, command: str, expected: str, block: Block) -> str:
        stopped = _STOPPED.match(command)
        process = subprocess.Popen(
            ["bash", "-c", command if stopped is None else f"exec {stopped[1] or stopped[2]}"],
            cwd=self._folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        with process, _killed_after(process, 60):
            assert process.stdout is not None
            if stopped is None:
                printed = process.stdout.read()
                assert process.wait() == block.exit_code, f"{block}: {command}\n{printed}"
                return printed
            lines = list(itertools.islice(process.stdout, expected.count("\n")))
            process.send_signal(signal.SIGKILL if stopped[1] else signal.SIGTERM)
            return "".join([*lines, process.stdout.read()])


@contextlib.contextmanager
def _killed_after(process: subprocess.Popen[str], seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def commands(code: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    found: list[tuple[str, str]] = []
    for line in code.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif line.startswith("> ") and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line[2:]}", "")
        else:
            found[-1] = (found[-1][0], f"{found[-1][1]}{line}\n")
    return found


def tidy(output: str) -> str:
    """What a page may show: no trailing space, no empty line at the end, no name of this host."""
    lines = [line.rstrip() for line in output.replace(socket.gethostname(), "vm").splitlines()]
    return "\n".join(lines).strip("\n") + "\n" if any(lines) else ""


def alike(expected: str, output: str) -> bool:
    """Whether they say the same."""
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else re.escape(_bare(line)) + r"\n"
        for line in tidy(expected).splitlines()
    )
    text = "".join(_bare(line) + "\n" for line in tidy(output).splitlines())
    return re.fullmatch(pattern, text) is not None


def _bare(line: str) -> str:
    line = re.sub(r"\S+@\S+", "0@host", line)
    line = re.sub(r"\d+(?:[.:]\d+)*", "0", line)
    line = re.sub(r"-{2,}", "-", line)
    return " ".join(line.split())


def replace(block: Block, text: str) -> None:
    """Puts a block's text into its page."""
    lines = block.page.read_text(encoding="utf-8").splitlines()
    lines[block.line : block.end - 1] = [
        (block.indent + line).rstrip() for line in text.splitlines()
    ]
    block.page.write_text("\n".join(lines) + "\n", encoding="utf-8")
