"""Checks the style of sql/ by reading the files; `make sql-check` runs it.

    python tools/check_sql.py [folder]

What only the catalog can tell (privileges, plans, the order of triggers) is
tested in tests/schema; this part needs no database and names file and line.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: Words that can't be mistaken for a name or a unit.
KEYWORDS = frozenset(
    """
    add after all alter and any array as asc before begin between by call cascade case check
    coalesce column comment commit constraint create cross current declare default definer delete
    desc distinct do drop each else elsif end except execute exists extract false filter following
    for foreach foreign from full function generated grant group having identity if ilike immutable
    in index inner inout insert instead intersect into invoker is join key language lateral left
    like limit lock loop materialized not notify null nulls offset on only or order out outer over
    parallel partition perform preceding primary procedure public raise range recursive references
    replace restrict return returning returns revoke right row rows schema security select sequence
    set setof share similar stable strict table temporary then to trigger true truncate type union
    unique update using values view volatile when where while window with
    """.split()
)

TOKEN = re.compile(
    r"""
      (?P<comment>--[^\n]*|/\*.*?\*/)
    | (?P<string>[eE]?'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)

CREATE = re.compile(
    r"^create\s+(?:or\s+replace\s+)?(?:constraint\s+)?(?:unlogged\s+)?"
    r"(?P<kind>schema|table|sequence|type|domain|view|function|procedure|aggregate|trigger)\s+"
    r"(?:if\s+not\s+exists\s+)?(?P<name>[\w.\"]+)",
    re.MULTILINE,
)

#: The attributes of a routine in the one order they are written in.
ATTRIBUTES = ("returns", "language", "volatility", "strict", "parallel", "security", "cost", "set")
ATTRIBUTE = re.compile(
    r"(?P<returns>returns\s+(?!null).+)"
    r"|(?P<language>language\s+\w+)"
    r"|(?P<volatility>volatile|stable|immutable)"
    r"|(?P<strict>strict|called on null input|returns null on null input)"
    r"|(?P<parallel>parallel\s+(?:safe|restricted|unsafe))"
    r"|(?P<security>security\s+(?:invoker|definer))"
    r"|(?P<cost>(?:cost|rows)\s+\d+)"
    r"|(?P<set>set\s+.+)"
)

PINNED = "set search_path = pg_catalog, pg_temp"

#: A line of sql/ has at most so many columns.
WIDTH = 120

#: Files of sql/ that may have longer ones, until they are reshaped. Nothing is added here.
WIDE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Finding:
    """One breach of a rule."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def check(path: Path) -> Iterator[Finding]:
    """The findings of one file."""
    source = path.read_text(encoding="utf-8")
    for number, line in enumerate(source.splitlines(), 1):
        if line != line.rstrip():
            yield Finding(path, number, "trailing white space")
        if len(line) > WIDTH and "/".join(path.parts[-2:]) not in WIDE:
            yield Finding(path, number, f"{len(line)} columns, at most {WIDTH}")
        if "\t" in line:
            yield Finding(path, number, "tab")
        if not line.isascii():
            yield Finding(path, number, "not ASCII: a database may have any encoding")
    if not source.endswith("\n") or source.endswith("\n\n"):
        yield Finding(path, source.count("\n") + 1, "must end with one newline")
    for offset, word in _upper_case(source):
        yield Finding(path, _line(source, offset), f"keyword {word!r} in upper case")
    code = _without_literals(source)
    for match in CREATE.finditer(code):
        line = _line(source, match.start())
        kind, name = match["kind"], match["name"]
        if kind not in ("schema", "trigger") and "." not in name:
            yield Finding(path, line, f"{kind} {name} without its schema")
        if not re.search(rf"^comment on {kind} {re.escape(name)}(?!\w)", code, re.MULTILINE):
            yield Finding(path, line, f"{kind} {name} without a comment")
        if kind in ("function", "procedure"):
            yield from _check_routine(path, source, code, match)


def _check_routine(path: Path, source: str, code: str, match: re.Match[str]) -> Iterator[Finding]:
    line, name, kind = _line(source, match.start()), match["name"], match["kind"]
    if path.stem != name.split(".")[-1]:
        yield Finding(path, line, f"{kind} {name} in a file of another name")
    revoke = rf"^revoke all on {kind} {re.escape(name)}\s*\([^;]*from public;"
    if not re.search(revoke, code, re.MULTILINE):
        yield Finding(path, line, f"{kind} {name}: execute is not revoked from public")

    body = re.compile(r"^(?:as \$\w*\$|begin atomic|return )", re.MULTILINE)
    start = body.search(source, match.end())
    if start is None:
        yield Finding(path, line, f"{kind} {name}: no body flush left ('as $$' on its own line)")
        return
    # The lines between the parameter list, which is indented or on the first line, and the body.
    header = source[match.end() : start.start()].splitlines()[1:]
    seen: list[str] = []
    for number, text in enumerate(header, line + 1):
        if not text or text.startswith((" ", ")")):
            continue
        attribute = ATTRIBUTE.fullmatch(text)
        if attribute is None or attribute.lastgroup is None:
            yield Finding(path, number, f"not one attribute of a routine a line: {text!r}")
        else:
            seen.append(attribute.lastgroup)
    if seen != sorted(seen, key=ATTRIBUTES.index):
        yield Finding(path, line, f"{kind} {name}: attributes in the order {', '.join(seen)}")
    if "language" not in seen or "security" not in seen:
        yield Finding(path, line, f"{kind} {name}: language and security must be said")
    if kind == "function" and "volatility" not in seen:
        yield Finding(path, line, f"{kind} {name}: volatility must be said")
    if PINNED not in header:
        definer = "security definer" in header
        # A procedure that commits and a function that is to be inlined can't
        # have a SET clause. They run as the caller, and say so in a comment.
        if definer or "set clause" not in source[match.start() :].lower():
            yield Finding(path, line, f"{kind} {name}: no {PINNED!r}, and no comment says why")


def _upper_case(source: str, base: int = 0) -> Iterator[tuple[int, str]]:
    for match in TOKEN.finditer(source):
        if match["dollar"]:
            edge = len(match["tag"]) + 2
            yield from _upper_case(match["dollar"][edge:-edge], base + match.start() + edge)
        word = match["word"]
        if word and word != word.lower() and word.lower() in KEYWORDS:
            yield base + match.start(), word


def _without_literals(source: str) -> str:
    """The source with comments, strings and bodies blanked; offsets stay."""

    def blank(match: re.Match[str]) -> str:
        if match["comment"] or match["string"] or match["dollar"]:
            return re.sub(r"[^\n]", " ", match[0])
        return match[0]

    return TOKEN.sub(blank, source)


def _line(source: str, offset: int) -> int:
    return source.count("\n", 0, offset) + 1


def main(args: list[str]) -> int:
    """Print the findings; 1 if there are any."""
    folder = Path(args[0]) if args else ROOT / "sql"
    files = sorted(folder.rglob("*.sql"))
    if not files:
        print(f"check_sql: no .sql files in {folder}", file=sys.stderr)
        return 2
    findings = [finding for path in files for finding in check(path)]
    for finding in findings:
        print(finding)
    print(f"check_sql: {len(files)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
