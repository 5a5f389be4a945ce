"""The public SQL as Markdown, from the files of sql/: what `make docs` puts into the reference.

    python tools/docs_sql.py

Public is what has no leading underscore and what no `create trigger` calls. Words come from
`comment on`, signatures and columns from the parse tree; nothing is written twice.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pglast import ast, parse_sql
from pglast.enums import FunctionParameterMode, ObjectType
from pglast.stream import RawStream

ROOT = Path(__file__).resolve().parent.parent

#: A room's line in the head file: two columns of a name and what it holds.
ROOM = re.compile(r"^ {5}(\w+) {2,}(\S.*?)(?: {2,}(\w+) {2,}(\S.*))?$", re.MULTILINE)


@dataclass
class Object:
    """A routine, table or view."""

    kind: str
    name: str
    room: str
    signature: str = ""
    comment: str = ""
    columns: list[tuple[str, str]] = field(default_factory=list)
    comments: dict[str, str] = field(default_factory=dict)


def objects(folder: Path = ROOT / "sql") -> list[Object]:
    """All public objects, by room and name; each comment is where its object is."""
    found: dict[tuple[str, str], Object] = {}
    triggers: set[str] = set()
    for path in sorted(folder.rglob("*.sql")):
        for raw in parse_sql(path.read_text(encoding="utf-8")):
            _read(raw.stmt, path.parent.name, found, triggers)
    return [
        each
        for each in found.values()
        if not each.name.split(".")[1].startswith("_") and each.name not in triggers
    ]


def _read(stmt: Any, room: str, found: dict[tuple[str, str], Object], triggers: set[str]) -> None:
    if isinstance(stmt, ast.CreateFunctionStmt):
        name = _name(stmt.funcname)
        kind = "procedure" if stmt.is_procedure else "function"
        found["routine", name] = Object(kind, name, room, _signature(stmt, kind, name))
        if stmt.returnType is not None and stmt.returnType.names[-1].sval == "trigger":
            triggers.add(name)
    elif isinstance(stmt, ast.CreateStmt):
        name = f"{stmt.relation.schemaname}.{stmt.relation.relname}"
        columns = [
            (each.colname, _type(each.typeName))
            for each in stmt.tableElts or ()
            if isinstance(each, ast.ColumnDef)
        ]
        found["relation", name] = Object("table", name, room, columns=columns)
    elif isinstance(stmt, ast.ViewStmt):
        name = f"{stmt.view.schemaname}.{stmt.view.relname}"
        found["relation", name] = Object("view", name, room)
    elif isinstance(stmt, ast.CommentStmt):
        _comment(stmt, found)


def _comment(stmt: Any, found: dict[tuple[str, str], Object]) -> None:
    if stmt.objtype in (ObjectType.OBJECT_FUNCTION, ObjectType.OBJECT_PROCEDURE):
        found["routine", _name(stmt.object.objname)].comment = stmt.comment
    elif stmt.objtype in (ObjectType.OBJECT_TABLE, ObjectType.OBJECT_VIEW):
        found["relation", _name(stmt.object)].comment = stmt.comment
    elif stmt.objtype == ObjectType.OBJECT_COLUMN:
        *relation, column = stmt.object
        owner = found.get(("relation", _name(relation)))
        if owner is not None:
            owner.comments[column.sval] = stmt.comment


def _name(parts: Any) -> str:
    return ".".join(part.sval for part in parts)


def _type(node: Any) -> str:
    text: str = RawStream()(node).replace("pg_catalog.", "")
    return text.replace("timestamp with time zone", "timestamptz")


def _signature(stmt: Any, kind: str, name: str) -> str:
    inputs, outputs = [], []
    for each in stmt.parameters or ():
        mode = each.mode
        default = f" default {_plain(each.defexpr)}" if each.defexpr is not None else ""
        text = f"{each.name} {_type(each.argType)}{default}"
        if mode == FunctionParameterMode.FUNC_PARAM_TABLE:
            outputs.append(f"{each.name} {_type(each.argType)}")
        elif mode == FunctionParameterMode.FUNC_PARAM_OUT:
            inputs.append(f"out {text}")
        elif mode == FunctionParameterMode.FUNC_PARAM_INOUT:
            inputs.append(f"inout {text}")
        else:
            inputs.append(text)
    head = f"{name}({', '.join(inputs)})"
    if len(head) > 90:
        head = f"{name}(\n    " + ",\n    ".join(inputs) + "\n)"
    if outputs:
        return f"{head}\nreturns table ({', '.join(outputs)})"
    if stmt.returnType is not None and kind == "function":
        many = "setof " if stmt.returnType.setof else ""
        return f"{head}\nreturns {many}{_type(stmt.returnType).removeprefix('SETOF ')}"
    return head


def _plain(node: Any) -> str:
    text = RawStream()(node).replace("pg_catalog.", "")
    text = re.sub(r"CAST\((\S.*?) AS (\w+)\)", r"\2 \1", text, flags=re.IGNORECASE)
    words = ("NULL", "TRUE", "FALSE")
    return re.sub(rf"\b({'|'.join(words)})\b", lambda match: match[1].lower(), text)


def rooms(folder: Path = ROOT / "sql") -> dict[str, str]:
    """Each room and what it holds, as the head file says, in its order."""
    head = (folder / "overview.sql").read_text(encoding="utf-8")
    listed = head.partition("Rooms (")[2].partition("Names\n")[0]
    pairs = [
        pair
        for match in ROOM.finditer(listed)
        for pair in ((match[1], match[2]), (match[3], match[4]))
        if pair[0]
    ]
    have = {path.name for path in folder.iterdir() if path.is_dir()}
    order = {name: text for name, text in pairs if name in have}
    return order | dict.fromkeys(sorted(have - set(order)), "")


def markdown(folder: Path = ROOT / "sql") -> str:
    """The reference: a section a room, a heading an object."""
    return "\n".join(_lines(folder))


def _lines(folder: Path) -> Iterator[str]:
    public = objects(folder)
    for room, text in rooms(folder).items():
        inside = [each for each in public if each.room == room]
        if not inside:
            continue
        yield f"## {room}\n"
        if text:
            yield f"{text[0].upper()}{text[1:]}.\n"
        for each in sorted(inside, key=lambda one: (one.kind in ("table", "view"), one.name)):
            yield f"### {each.name} {{ #{each.name} }}\n"
            yield f"*{each.kind}* {escaped(each.comment)}\n"
            if each.signature:
                yield f"```sql\n{each.signature}\n```\n"
            if each.comments:
                yield from _columns(each)


def _columns(each: Object) -> Iterator[str]:
    types = dict(each.columns)
    yield "| column | type | meaning |" if types else "| column | meaning |"
    yield "| --- | --- | --- |" if types else "| --- | --- |"
    for column, comment in each.comments.items():
        cells = [f"`{column}`", *([f"`{types[column]}`"] if types else []), escaped(comment)]
        yield f"| {' | '.join(cells)} |"
    yield ""


def escaped(text: str) -> str:
    """Text of a comment as Markdown: names become code, stars and angles stay as they are."""
    parts = re.split(r"(recovery(?:_private)?\.[\w<>]*\w|\b[a-z]+(?:_[\w<>]+)+)", text)
    return "".join(
        f"`{part}`" if index % 2 else re.sub(r"([\\`*_<>|\[\]])", r"\\\1", part)
        for index, part in enumerate(parts)
    )


if __name__ == "__main__":
    sys.stdout.write(markdown())
