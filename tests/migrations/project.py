"""A host's Alembic project as `alembic init` writes it, with one line of ours in env.py."""

from __future__ import annotations

import ast
import multiprocessing
import os
import re
import sys
import textwrap
import traceback
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[2]

LINE = "import recovery.migrations  # noqa: F401"

# A process of its own for each command, as a user has it; imports are done once.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(
    ["alembic.config", "psycopg", "recovery.schema", "recovery.declared.finding"]
)


def _main(folder: str, output: str, arguments: tuple[str, ...], dsn: str) -> None:
    """Is `alembic …` in that folder."""
    import alembic.config

    os.chdir(folder)
    os.environ["RECOVERY_DSN"] = dsn
    for stream in (1, 2):
        file = os.open(f"{output}.{stream}", os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, stream)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", closefd=False)
    code: Any = 0
    try:
        alembic.config.main(list(arguments), prog="alembic")
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
        code = 255
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


HEAD = """
import enum
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.dialects.postgresql import JSONB

import recovery


class Base(DeclarativeBase):
    pass

"""

#: A model as a host has it; watched by two more lines.
PLAIN = """
class Job(Base):
    __tablename__ = "job"
    id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    status: Mapped[str] = mapped_column(sa.Text, index=True)
    error: Mapped[str | None]
"""
WATCHED = f"""{PLAIN}
    __recovery__ = recovery.Watch(
        open=lambda job: job.status == "running",
        close={{"status": "'failed'", "error": "c.message"}},
    )
"""


class Project:
    """``project(*arguments)`` is the command line."""

    def __init__(
        self,
        folder: Path,
        dsn: str,
        *more: str,
        template: str = "generic",
        driver: str = "psycopg",
        location: str | None = None,
        line: str = LINE,
        made: bool = False,
    ) -> None:
        self.folder = folder
        self.dsn = dsn
        if made:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self("init", "-t", template, "migrations")
        urls = [
            sa.make_url(each)
            .set(drivername=f"postgresql+{driver}")
            .render_as_string(hide_password=False)
            .replace("%", "%%")
            for each in (dsn, *more)
        ]
        ini = folder / "alembic.ini"
        text = ini.read_text()
        for each in ("", "2"):  # the template of several databases counts them
            url = urls.pop(0) if urls else ""
            text = text.replace(f"driver://user:pass@localhost/dbname{each}\n", f"{url}\n", 1)
        if location is not None:
            text = re.sub(r"^path_separator.*$", "path_separator = newline", text, flags=re.M)
            text = text.replace(
                "[alembic]",
                f"[alembic]\nversion_locations =\n    %(here)s/migrations/versions\n    {location}",
                1,
            )
        ini.write_text(text)
        target = "from models import Base\n\ntarget_metadata = Base.metadata"
        if more:
            target = (
                "from models import Base, Other\n\n"
                'target_metadata = {"engine1": Base.metadata, "engine2": Other.metadata}'
            )
        self.env(r"^target_metadata = .*$", f"{line}\n{target}")

    def env(self, pattern: str, replacement: str) -> None:
        """Changes env.py."""
        path = self.folder / "migrations" / "env.py"
        text, found = re.subn(pattern, lambda _: replacement, path.read_text(), flags=re.M)
        assert found, f"{pattern} is not in env.py"
        path.write_text(text)

    def configure(self, options: str) -> None:
        """Further arguments of context.configure, offline and online."""
        self.env(r"context\.configure\(", f"context.configure({options}, ")

    def models(self, *texts: str) -> None:
        """Writes the models anew."""
        (self.folder / "models.py").write_text(HEAD + "".join(map(textwrap.dedent, texts)))

    def __call__(self, *arguments: str, ok: bool = True) -> str:
        """What it prints; `ok` False: it must fail, and this is what it complains about."""
        output = self.folder / "output"
        process = _FORKS.Process(
            target=_main, args=(str(self.folder), str(output), arguments, self.dsn)
        )
        process.start()
        process.join(110)
        printed, said = (Path(f"{output}.{stream}").read_text() for stream in (1, 2))
        expected = 0 if ok else 255
        assert process.exitcode == expected, f"{arguments}: {process.exitcode} {printed} {said}"
        return printed if ok else printed + said

    def revise(self, name: str, *arguments: str) -> str:
        """The text of a revision that autogenerate writes."""
        self("revision", "--autogenerate", "--rev-id", name, "-m", name, *arguments)
        (path,) = self.folder.glob(f"migrations/versions/{name}_*.py")
        return path.read_text()

    def rows(self, query: str, dsn: str | None = None) -> list[tuple[Any, ...]]:
        with psycopg.connect(dsn or self.dsn, autocommit=True) as conn:
            cursor = conn.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def watches(self, dsn: str | None = None) -> dict[str, Any]:
        """Table -> the watch as it was given; empty without our schema."""
        if self.rows("select to_regclass('recovery.watch')", dsn) == [(None,)]:
            return {}
        return dict(
            self.rows(
                "select relation::text, jsonb_strip_nulls(spec || jsonb_build_object("
                "'supervised', supervised)) from recovery.watch"
                " where relation::text not like 'agent.%' order by 1",
                dsn,
            )
        )


def _calls(text: str, function: str) -> list[ast.Call]:
    (body,) = [
        each
        for each in ast.parse(text).body
        if isinstance(each, ast.FunctionDef) and each.name == function
    ]
    return [
        each.value
        for each in ast.walk(body)
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Call)
    ]


def commands(text: str, function: str) -> list[str]:
    """What a generated function does, a statement each."""
    return [str(ast.get_source_segment(text, each)) for each in _calls(text, function)]


def operations(text: str, function: str = "upgrade") -> list[str]:
    """The names of these, each with the first text of its arguments: ``create_table job``."""
    found = []
    for call in _calls(text, function):
        texts = [
            each.value
            for argument in call.args
            for each in ast.walk(argument)
            if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ]
        assert isinstance(call.func, ast.Attribute)
        found.append(" ".join([call.func.attr, *texts[:1]]))
    return found
