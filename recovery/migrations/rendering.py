"""Operations as Python, as autogenerate writes them into a revision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext

from recovery.migrations.literals import interval
from recovery.migrations.operations import (
    AlterWatchOp,
    CreateWatchOp,
    DropWatchOp,
    InstallRecoveryOp,
    UninstallRecoveryOp,
)

__all__ = ["python", "register"]

#: What fits on a line of its own; Alembic indents by four.
WIDTH = 84


def register() -> None:
    """Tells Alembic."""
    for operation, render in (
        (InstallRecoveryOp, _install),
        (UninstallRecoveryOp, _uninstall),
        (CreateWatchOp, _create),
        (AlterWatchOp, _alter),
        (DropWatchOp, _drop),
    ):
        renderers.dispatch_for(operation, replace=True)(render)


def _install(context: AutogenContext, op: InstallRecoveryOp) -> str:
    return _call(context, "install_recovery", op.revision, existing=op.existing)


def _uninstall(context: AutogenContext, op: UninstallRecoveryOp) -> str:
    revision = () if op.revision == "base" else (op.revision,)
    return _call(context, "uninstall_recovery", *revision, existing=op.existing)


def _create(context: AutogenContext, op: CreateWatchOp) -> str:
    given = {name: value for name, value in op.options.items() if value is not None}
    concurrently = op.concurrently or None
    return _call(
        context,
        "create_watch",
        op.table_name,
        schema=op.schema,
        **given,
        concurrently=concurrently,
    )


def _alter(context: AutogenContext, op: AlterWatchOp) -> str:
    changed = {name: _NONE if value is None else value for name, value in op.changes.items()}
    concurrently = op.concurrently or None
    return _call(
        context,
        "alter_watch",
        op.table_name,
        schema=op.schema,
        **changed,
        concurrently=concurrently,
    )


def _drop(context: AutogenContext, op: DropWatchOp) -> str:
    concurrently = op.concurrently or None
    return _call(context, "drop_watch", op.table_name, schema=op.schema, concurrently=concurrently)


_NONE: Any = object()


def _call(context: AutogenContext, operation: str, /, *arguments: str, **options: Any) -> str:
    """A call as a formatter would write it: on one line, or an argument a line."""
    prefix = context.opts.get("alembic_module_prefix") or "op."
    begin = f"{prefix}{operation}("
    given = {each: value for each, value in options.items() if value is not None}
    values = {each: None if value is _NONE else value for each, value in given.items()}
    flat = [*map(_line, arguments), *(f"{each}={_line(value)}" for each, value in values.items())]
    line = f"{begin}{', '.join(flat)})"
    if len(line) <= WIDTH and not any(isinstance(value, Mapping) for value in values.values()):
        return line
    lines = [f"    {python(argument, 4)}," for argument in arguments]
    lines += [f"    {each}={python(value, 4, len(each) + 2)}," for each, value in values.items()]
    return "\n".join([begin, *lines, ")"])


def python(value: Any, indent: int = 0, used: int = 1) -> str:
    """A value as Python writes it, broken where the line gets too long."""
    line = _line(value)
    if len(line) + indent + used <= WIDTH:
        return line
    inside = " " * (indent + 4)
    if isinstance(value, str):
        pieces = "\n".join(f"{inside}{_text(piece)}" for piece in _pieces(value, indent + 6))
        return f"(\n{pieces}\n{' ' * indent})"
    if isinstance(value, Mapping):
        items = [
            f"{inside}{_text(name)}: {python(each, indent + 4, len(_text(name)) + 3)},"
            for name, each in value.items()
        ]
        return "\n".join(["{", *items, " " * indent + "}"])
    if isinstance(value, Sequence):
        items = [f"{inside}{python(each, indent + 4)}," for each in value]
        return "\n".join(["[", *items, " " * indent + "]"])
    return line


def _line(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, timedelta):
        return _text(interval(value))
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_text(k)}: {_line(v)}' for k, v in value.items())}}}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_line, value))}]"
    return repr(value)


def _text(value: str) -> str:
    """In double quotes, unless single ones need fewer backslashes."""
    plain = repr(value)
    if plain.startswith('"'):
        return plain
    # repr takes single quotes: there is no ' inside, or both kinds are, and ' is escaped.
    body = plain[1:-1].replace("\\'", "'")
    if value.count('"') > value.count("'"):
        return plain
    return '"' + body.replace('"', '\\"') + '"'


def _pieces(value: str, used: int) -> list[str]:
    """A long text in pieces for lines: after a newline, else between words."""
    pieces = [""]
    for word in _words(value):
        full = len(_text(pieces[-1] + word)) + used > WIDTH
        if pieces[-1] and (full or pieces[-1].endswith("\n")):
            pieces.append("")
        pieces[-1] += word
    return pieces


def _words(value: str) -> list[str]:
    words = [""]
    for letter in value:
        if words[-1][-1:] in (" ", "\n") and letter not in (" ", "\n"):
            words.append("")
        words[-1] += letter
    return words
