"""Writes the frozen SQL of the Alembic revisions from the desired state in sql/.

    python tools/freeze.py            write alembic/versions/*.sql
    python tools/freeze.py --check    exit 1 if they differ from sql/
    python tools/freeze.py --release  record the hashes of all revisions: final from then on

A revision carries its SQL beside it and never reads sql/, because a host's
Alembic runs it years later, when sql/ says something else. Until a revision is
released, changes of sql/ are folded into it by running this file again. Once it
is listed in alembic/released.txt this tool refuses to change it: write a new
revision then.

Statements are separated here, where a mistake is seen, and not in the revision:
drivers that prepare every statement (asyncpg) accept only one at a time. The
mark between them is a comment, so a frozen file also runs in psql as it is.

A script is read by a search_path of its own, whatever that of the migrating role
is: defaults, constraints, views and policies mean PostgreSQL's functions and
operators, never somebody else's of the same name. At its end the path is as before.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Between two statements of a frozen file; the revisions split at it.
MARK = "--;"

#: Around each script: its search_path, and names quoted only where they have to be (the catalog
#: keeps a SET clause as it is printed), for this transaction. Statement by statement in
#: autocommit (psql, without -1) that would be gone at once, and so the session's path is set
#: then. sql/agent_store/watches.sql reads the remembered path too.
PIN = """\
select pg_catalog.set_config('recovery.migrator_path', pg_catalog.current_setting('search_path'), true);
select pg_catalog.set_config('recovery.migrator_path', pg_catalog.current_setting('search_path'), false)
where pg_catalog.current_setting('recovery.migrator_path') operator(pg_catalog.<>) pg_catalog.current_setting('search_path');
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)
where pg_catalog.current_setting('search_path') operator(pg_catalog.<>) 'pg_catalog, pg_temp';
select pg_catalog.set_config('recovery.migrator_quotes', pg_catalog.current_setting('quote_all_identifiers'), true);
select pg_catalog.set_config('recovery.migrator_quotes', pg_catalog.current_setting('quote_all_identifiers'), false)
where pg_catalog.current_setting('recovery.migrator_quotes') operator(pg_catalog.<>) pg_catalog.current_setting('quote_all_identifiers');
select pg_catalog.set_config('quote_all_identifiers', 'off', true);
select pg_catalog.set_config('quote_all_identifiers', 'off', false)
where pg_catalog.current_setting('quote_all_identifiers') operator(pg_catalog.<>) 'off';
"""  # noqa: E501
UNPIN = """\
select pg_catalog.set_config('quote_all_identifiers', pg_catalog.current_setting('recovery.migrator_quotes'), true);
select pg_catalog.set_config('quote_all_identifiers', pg_catalog.current_setting('recovery.migrator_quotes'), false)
where pg_catalog.current_setting('quote_all_identifiers') operator(pg_catalog.<>) pg_catalog.current_setting('recovery.migrator_quotes');
select pg_catalog.set_config('search_path', pg_catalog.current_setting('recovery.migrator_path'), true);
select pg_catalog.set_config('search_path', pg_catalog.current_setting('recovery.migrator_path'), false)
where pg_catalog.current_setting('search_path') operator(pg_catalog.<>) pg_catalog.current_setting('recovery.migrator_path');
"""  # noqa: E501

#: The rooms of the core, in the order in which they are read.
ROOMS = (
    "setup",
    "rights",
    "watch",
    "follow",
    "server",
    "fence",
    "death",
    "closing",
    "step",
    "fuse",
    "process",
    "event",
    "watchdog",
    "webhook",
    "status",
)

#: What a file makes says when it is applied: by its first CREATE, or, where it has none, by its
#: name. Tables need types, views need functions, and routine bodies are read when they are called.
KINDS = (
    "overview",
    "roles",
    "schema",
    "type",
    "table",
    "links",
    "function",
    "procedure",
    "view",
    "trigger",
    "watches",
    "grants",
)
_CREATE = re.compile(
    r"^create\s+(?:or\s+replace\s+)?(?:unlogged\s+)?(type|table|function|procedure|view|trigger)\b",
    re.MULTILINE,
)

#: Applied last on the way up, or only on the way down.
DOWN = "drop.sql"


@dataclass(frozen=True)
class Part:
    """One revision, and the folders of sql/ that it is frozen from."""

    stem: str
    folders: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """The names in alembic/versions that make the revision."""
        return (f"{self.stem}.py", f"{self.stem}.sql", f"{self.stem}.down.sql")


PARTS = (Part("0001_core", (".", *ROOMS)), Part("0002_agent_store", ("agent_store",)))


class FreezeError(Exception):
    """The desired state can't be frozen; the message names the file."""


def kind(path: Path) -> str:
    """When a file is applied: one of KINDS. Raises FreezeError if it does not say that."""
    name = path.stem
    if name in ("overview", "roles", "schema", "links", "watches", "grants"):
        return name
    if name.endswith(".trigger"):  # may be made by a DO block, for many tables
        return "trigger"
    match = _CREATE.search(path.read_text(encoding="utf-8"))
    if match is None:
        raise FreezeError(f"{path}: not in the order of tools/freeze.py, for it creates nothing")
    return match[1]


def ordered(sql: Path, part: Part) -> list[Path]:
    """The files of one part of the desired state, in the order to apply them."""
    known = {folder for each in PARTS for folder in each.folders}
    for entry in sorted(sql.iterdir()):
        if entry.is_dir() and entry.name not in known:
            raise FreezeError(f"{entry}: not a room of tools/freeze.py ({', '.join(ROOMS)})")
    found = [path for folder in part.folders for path in sorted((sql / folder).glob("*.sql"))]
    return sorted((p for p in found if p.name != DOWN), key=lambda path: KINDS.index(kind(path)))


_LEXEME = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<line>--[^\n]*)
    | (?P<block>/\*)
    | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9\x80-\U0010ffff]*)?\$)
    | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z_0-9$\x80-\U0010ffff]*)
    | (?P<number>\d[\w.]*)
    | (?P<semicolon>;)
    | (?P<open>[(\[])
    | (?P<close>[)\]])
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK = re.compile(r"/\*|\*/")


def split(sql: str) -> list[str]:
    """The statements of a script, each with its comments and its semicolon.

    Follows psql: strings, quoted names, dollar quotes, nested comments,
    parentheses, and `begin atomic` bodies. Text without a statement (a last
    comment) is dropped. Raises FreezeError for an unfinished script.
    """
    statements: list[str] = []
    start = position = depth = 0
    words: list[str] = []
    body = 0  # how deep inside `begin atomic … end`
    while position < len(sql):
        match = _LEXEME.match(sql, position)
        assert match is not None  # `other` takes anything
        kind, position = match.lastgroup, match.end()
        if kind == "block":
            position = _end_of_comment(sql, position)
        elif kind == "dollar":
            end = sql.find(match.group(), position)
            if end < 0:
                raise FreezeError(f"unfinished {match.group()} … {sql[match.start() :][:60]!r}")
            position = end + len(match.group())
            words.append("")
        elif kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif kind == "word":
            word = match.group().lower()
            if body:
                body += (word in ("begin", "case")) - (word == "end")
            elif word == "atomic" and words[-1:] == ["begin"] and words[0] == "create":
                body = 1
            words.append(word)
        elif kind == "semicolon":
            if depth == 0 and not body:
                if words:
                    statements.append(sql[start:position].strip())
                    start = position
                words = []
        elif kind == "other" and match.group() in "'\"":
            raise FreezeError(f"unfinished string … {sql[match.start() :][:60]!r}")
        elif kind not in ("space", "line"):
            words.append("")
    if words:
        raise FreezeError(f"no semicolon after … {sql[start:].strip()[-60:]!r}")
    return statements


def _end_of_comment(sql: str, position: int) -> int:
    """Where the block comment that was opened before `position` ends; they nest."""
    depth = 1
    for match in _BLOCK.finditer(sql, position):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    raise FreezeError(f"unfinished comment … {sql[position - 2 :][:60]!r}")


_REFUSED = re.compile(
    r"(begin|commit|rollback|start\s+transaction|savepoint|copy|vacuum)\b"
    r"|(create|drop)\s+(unique\s+)?index\s+concurrently\b",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"\s+|--[^\n]*(\n|\Z)")


def _frozen(root: Path, paths: list[Path], *, bodies: bool) -> str:
    """One script of all the files; `bodies` puts off the check of routine bodies."""
    pieces = split(PIN)
    if bodies:
        pieces.append("set check_function_bodies = off;")
    before = ""
    for path in paths:
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        if path.stem == "overview":
            before = f"{text}\n"
            continue
        if any(line.strip() == MARK for line in text.splitlines()):
            raise FreezeError(f"{name}: the line {MARK!r} separates frozen statements")
        try:
            statements = split(text)
        except FreezeError as error:
            raise FreezeError(f"{name}: {error}") from None
        for number, statement in enumerate(statements):
            bare = statement
            while (match := _COMMENT.match(bare)) is not None:
                bare = bare[match.end() :]
            if bare.startswith("\\") or _REFUSED.match(bare):
                raise FreezeError(
                    f"{name}: not possible in a migration (one transaction): {bare[:60]!r}"
                )
            pieces.append(f"{before}-- {name}\n{statement}" if number == 0 else statement)
            before = ""
    if bodies:
        pieces.append("reset check_function_bodies;")
    pieces += split(UNPIN)
    return f"\n{MARK}\n".join(pieces) + "\n"


def frozen(root: Path, part: Part) -> dict[str, str]:
    """File name -> text, for the frozen SQL of one revision. Empty without a desired state."""
    up = ordered(root / "sql", part)
    if not up:
        return {}
    home = next(folder for folder in part.folders if folder != ".")
    down = root / "sql" / home / DOWN
    if not down.is_file():
        raise FreezeError(f"{down.relative_to(root)} is missing: what a downgrade executes")
    return {
        f"{part.stem}.sql": _frozen(root, up, bodies=True),
        f"{part.stem}.down.sql": _frozen(root, [down], bodies=False),
    }


def released(root: Path) -> dict[str, str]:
    """File name -> SHA-256, of the files that must not change any more."""
    path = root / "alembic" / "released.txt"
    listed: dict[str, str] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                digest, name = line.split()
                listed[name] = digest
    return listed


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def problems(root: Path) -> list[str]:
    """What is wrong: released files that changed, frozen files that differ from sql/."""
    versions, listed = root / "alembic" / "versions", released(root)
    found = [
        f"alembic/versions/{name}: released, and changed since; restore it"
        for name, digest in sorted(listed.items())
        if _digest(versions / name) != digest
    ]
    for part in PARTS:
        if listed.keys() & set(part.files):
            continue
        for name, text in frozen(root, part).items():
            path = versions / name
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                found.append(f"alembic/versions/{name}: differs from sql/; run tools/freeze.py")
    return found


def write(root: Path) -> list[str]:
    """Writes the frozen SQL of the revisions that are not released; returns what changed."""
    versions, listed = root / "alembic" / "versions", released(root)
    changed: list[str] = []
    for part in PARTS:
        for name, text in frozen(root, part).items():
            path = versions / name
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                continue
            if listed.keys() & set(part.files):
                # Later changes of sql/ belong to later revisions; the test
                # "desired = migrated" tells whether one is missing.
                continue
            path.write_text(text, encoding="utf-8")
            changed.append(f"alembic/versions/{name}")
    return changed


def release(root: Path) -> None:
    """Adds every file of every revision to alembic/released.txt."""
    versions, listed = root / "alembic" / "versions", released(root)
    for path in sorted(versions.iterdir()):
        if path.suffix in (".py", ".sql"):
            listed.setdefault(path.name, _digest(path))
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(listed.items()))
    header = "# SHA-256 of every released file in versions/: they never change again.\n"
    (root / "alembic" / "released.txt").write_text(header + text, encoding="utf-8")


def main(arguments: list[str] | None = None, *, root: Path = ROOT) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--check", action="store_true", help="exit 1 if anything differs")
    group.add_argument("--release", action="store_true", help="record the hashes: final")
    options = parser.parse_args(arguments)
    try:
        if not options.check:
            for name in write(root):
                print(f"wrote {name}")
        found = problems(root)
        if options.release and not found:
            release(root)
    except FreezeError as error:
        found = [str(error)]
    for problem in found:
        print(f"freeze: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
