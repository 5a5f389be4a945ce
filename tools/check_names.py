"""Proves from the parse tree that a routine without a pinned search_path looks up no name by it.

    python tools/check_names.py [folder]

A procedure that commits can't have a SET clause, so the path of whoever calls it
reads its text. A function, operator, type, cast, collation or table without its
schema would be the caller's path's choice, and with it the code that runs: names
of the grammar itself (bigint, coalesce, greatest) are not looked up and are
fine. Then pgspot looks at the frozen scripts as a whole.

What a tree can't tell: whether `row.name` is a column or a function of that name
(the column wins where there is one), and what a text becomes that is cast only
when it runs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pglast import ast, parse_plpgsql, parse_sql
from pglast.enums import A_Expr_Kind
from pglast.parser import ParseError
from pglast.stream import RawStream
from pgspot.formatters import format_function

ROOT = Path(__file__).resolve().parent.parent

#: Statements whose every name is found by walking their tree.
EXAMINED = (
    ast.SelectStmt,
    ast.InsertStmt,
    ast.UpdateStmt,
    ast.DeleteStmt,
    ast.MergeStmt,
    ast.CallStmt,
    ast.TransactionStmt,
)
#: Types whose input looks its text up; roles and schemas have no schema.
LOOKS_UP = frozenset(
    """
    regclass regcollation regconfig regdictionary regoper regoperator regproc regprocedure regtype
    """.split()
)
#: Where PL/pgSQL executes a text.
DYNAMIC = frozenset(("PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors", "dynquery"))


@dataclass(frozen=True)
class Routine:
    """A `create function` or `create procedure`."""

    name: str
    pinned: bool
    findings: tuple[str, ...]


def routines(sql: str, *, header: bool = True) -> Iterator[Routine]:
    """The routines that a script creates. What is pinned is not examined.

    Args:
        sql: the script.
        header: examine the types of parameters and result too. pg_get_functiondef()
            prints those of pg_catalog without their schema.
    """
    for raw in parse_sql(sql):
        statement = raw.stmt
        if not isinstance(statement, ast.CreateFunctionStmt):
            continue
        options = {option.defname: option.arg for option in statement.options or ()}
        pinned = any(
            option.defname == "set" and option.arg.name == "search_path"
            for option in statement.options or ()
        )
        found = () if pinned else tuple(dict.fromkeys(_routine(statement, options, header)))
        yield Routine(".".join(part.sval for part in statement.funcname), pinned, found)


def _routine(statement: Any, options: dict[str, Any], header: bool) -> Iterator[str]:
    if header:
        for parameter in statement.parameters or ():
            yield from _tree(parameter)
        yield from _tree(statement.returnType)
    language = options["language"].sval if "language" in options else "sql"
    if statement.sql_body is not None:
        yield from _tree(statement.sql_body)  # begin atomic, return
    elif language == "sql":
        yield from _text(options["as"][0].sval)
    elif language == "plpgsql":
        parameters = {parameter.name for parameter in statement.parameters or ()}
        try:
            parsed = parse_plpgsql(RawStream()(statement))
        except ParseError as error:
            yield f"not examined, {error}"
            return
        yield from _plpgsql(parsed, parameters)
    else:
        yield f"language {language}: not examined"


def _text(sql: str, shown: str = "") -> Iterator[str]:
    try:
        statements = parse_sql(sql)
    except ParseError as error:
        yield f"{shown or sql}: not examined, {error}"
        return
    for raw in statements:
        if isinstance(raw.stmt, ast.VariableSetStmt) and raw.stmt.name == "TRANSACTION":
            continue  # names nothing
        if isinstance(raw.stmt, EXAMINED):
            yield from _tree(raw.stmt)
        else:
            yield f"{shown or sql}: {type(raw.stmt).__name__} is not examined"


def _plpgsql(node: Any, parameters: set[str]) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _plpgsql(item, parameters)
        return
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in DYNAMIC:
            yield f"line {node.get('lineno') or value.get('lineno', '?')}: a text is executed"
        if key == "PLpgSQL_stmt_case" and "t_expr" in value:
            yield f"line {value['lineno']}: case with an operand looks up ="
        if key == "PLpgSQL_rec" and "lineno" in value and value["refname"] not in parameters:
            yield f"type record of {value['refname']}"  # looked up, as any other
        if key == "PLpgSQL_type":
            yield from _type_name(value["typname"])
        elif key == "PLpgSQL_expr":
            yield from _expression(value["query"], value["parseMode"])
        elif key == "PLpgSQL_var" and "lineno" not in value:
            pass  # a parameter, or one of PL/pgSQL's own
        else:
            yield from _plpgsql(value, parameters)


def _type_name(name: str) -> Iterator[str]:
    """Of a declared variable. `%type` and `%rowtype` look up a table, or a variable."""
    column = re.sub(r"%type$", "", name.strip(), flags=re.IGNORECASE)
    if column != name.strip() and column.count(".") < 2:
        yield f"type {name}"
    name = re.sub(r"%rowtype$", "", column, flags=re.IGNORECASE)
    yield from _text(f"select null::{name}", f"type {name}")


def _expression(query: str, mode: int) -> Iterator[str]:
    if mode == 0:  # a statement
        yield from _text(query)
    elif mode == 1:  # a type
        yield from _type_name(query)
    elif mode == 2:  # an expression
        yield from _text(f"select {query}", query)
    else:  # an assignment to a name of 1, 2 or 3 parts; its subscripts are expressions
        target, value = re.split(r":=|(?<![<>!:])=(?![>])", query, maxsplit=1)
        yield from _text(f"select {value}", query)
        yield from _text(f"select {target}", query)


def _tree(node: Any, tables: frozenset[str] = frozenset()) -> Iterator[str]:
    """The names in a tree that have no schema. `tables` are the WITH queries that it sees."""
    if isinstance(node, tuple | list):
        for item in node:
            yield from _tree(item, tables)
        return
    if not isinstance(node, ast.Node):
        return
    yield from _own(node, tables)
    clause = getattr(node, "withClause", None)
    if clause is not None:
        names = [query.ctename for query in clause.ctes]
        for number, query in enumerate(clause.ctes):
            seen = names if clause.recursive else names[:number]
            yield from _tree(query, tables | set(seen))
        tables = tables | set(names)
    target = isinstance(node, ast.InsertStmt | ast.UpdateStmt | ast.DeleteStmt | ast.MergeStmt)
    for attribute in node:
        if attribute != "withClause":
            # What is written to is never a WITH query.
            hidden = target and attribute == "relation"
            yield from _tree(getattr(node, attribute), frozenset() if hidden else tables)


def _own(node: ast.Node, tables: frozenset[str]) -> Iterator[str]:
    """What this node itself looks up by name."""
    match node:
        case ast.FuncCall(funcname=(one,)):
            yield f"function {one.sval}()"
        case ast.A_Expr(name=(one,)):
            kind = A_Expr_Kind(node.kind).name.removeprefix("AEXPR_")
            yield f"operator {one.sval} ({kind.lower()}) in {_show(node)}"
        case ast.SubLink(testexpr=tested, operName=name) if tested is not None:
            if not name or len(name) == 1:
                yield f"operator {name[0].sval if name else '='} in {_show(node)}"
        case ast.CaseExpr(arg=operand) if operand is not None:
            yield f"operator = in {_show(node)}"
        case ast.JoinExpr() if node.isNatural or node.usingClause:
            yield "operator = in a join by column names"
        case ast.SortBy(useOp=(one,)):
            yield f"operator {one.sval} in order by"
        case ast.TypeName(names=(one,)):
            yield f"type {one.sval}"
        case ast.TypeName(names=(_, one)) if node.pct_type and one:
            yield f"type {'.'.join(part.sval for part in node.names)}%type"
        case ast.CollateClause(collname=(one,)):
            yield f"collation {one.sval}"
        case ast.IndexElem():
            for name in (node.collation, node.opclass):
                if name and len(name) == 1:
                    yield f"collation or operator class {name[0].sval}"
        case ast.RangeTableSample(method=(one,)):
            yield f"sampling method {one.sval}"
        case ast.RangeVar() if not node.schemaname and node.relname not in tables:
            yield f"table {node.relname}"
        case ast.TypeCast(arg=ast.A_Const(val=ast.String(sval=text))):
            if node.typeName.names[-1].sval in LOOKS_UP and "." not in text:
                yield f"name in '{text}'::{node.typeName.names[-1].sval}"


def _show(node: ast.Node) -> str:
    return str(RawStream()(node))


def spot(script: Path, allowed: set[str]) -> list[str]:
    """What pgspot says about a frozen script; nothing if it has no finding.

    Args:
        allowed: the routines that may go without a path of their own, because it is
            proved above that they need none.
    """
    text = script.read_text(encoding="utf-8")
    # Its PL/pgSQL parser knows no composite types and gives up at `v_task.key := …`, as
    # if there were no such variable; a record it takes. Nothing else about it changes.
    composite = r"^(\s+v_\w+\s+)recovery\.\w+(?=;| :=)"
    text = re.sub(composite, r"\1record", text, flags=re.MULTILINE)
    options = []
    for statement in parse_sql(text):
        routine = statement.stmt
        if not isinstance(routine, ast.CreateFunctionStmt):
            continue
        if ".".join(part.sval for part in routine.funcname) in allowed:
            options += ["--proc-without-search-path", format_function(routine)]
    command = [sys.executable, "-m", "pgspot", *options]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    said = (done.stdout + done.stderr).splitlines()
    return [f"{script.name}: {line}" for line in said if line.strip()] if done.returncode else []


def main(args: list[str]) -> int:
    """Print the findings; 1 if there are any."""
    folder = Path(args[0]) if args else ROOT / "sql"
    unpinned: set[str] = set()
    findings = []
    for path in sorted(folder.rglob("*.sql")):
        for routine in routines(path.read_text(encoding="utf-8")):
            findings += [f"{path}: {routine.name}: {finding}" for finding in routine.findings]
            if not routine.pinned:
                unpinned.add(routine.name)
    print(f"check_names: {len(unpinned)} routines without a path, {len(findings)} findings")
    scripts = [] if args else sorted((ROOT / "alembic" / "versions").glob("*.sql"))
    for script in scripts:
        findings += spot(script, unpinned)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
