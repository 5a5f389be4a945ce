"""What differs between two JSON values, as edits of SQLite's JSON functions.

A text is edited, not written anew: the order of keys in a prompt is part of what providers cache.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Edit", "apply", "differences", "json_text", "sqlite_call"]

_Step = str | int

#: jsonb keeps keys by their length; a new object gets them as opencode writes them.
_ORDER = {
    name: place
    for place, name in enumerate(["name", "created", "start", "ran", "completed", "end", "data"])
}


@dataclass(frozen=True)
class Edit:
    """One place of a JSON text that changes."""

    path: tuple[_Step, ...]  #: keys of objects and indices of arrays, from the outside
    how: Literal["set", "append", "remove"]
    value: Any = None  #: new value; of append, the text that is added to a string

    def __str__(self) -> str:
        return sqlite_path(self.path)


def differences(old: Any, new: Any, path: tuple[_Step, ...] = ()) -> Iterator[Edit]:
    """The edits that make `new` of `old`, each as deep as it can be."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if key not in new:
                yield Edit((*path, key), "remove")
        for key in sorted(new, key=lambda name: _ORDER.get(name, -1)):
            if key in old:
                yield from differences(old[key], new[key], (*path, key))
            else:
                yield Edit((*path, key), "set", _ordered(new[key]))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, (*path, index))
    elif isinstance(old, str) and isinstance(new, str) and old and new.startswith(old):
        if new != old:
            yield Edit(path, "append", new[len(old) :])
    elif type(old) is not type(new) or old != new:
        yield Edit(path, "set", _ordered(new))


def apply(value: Any, edits: Sequence[Edit]) -> Any:
    """The value with the edits made."""
    value = copy.deepcopy(value)
    for edit in edits:
        if not edit.path:
            value = edit.value if edit.how == "set" else value + edit.value
            continue
        *way, last = edit.path
        at = value
        for step in way:
            at = at[step]
        if edit.how == "remove":
            del at[last]
        else:
            at[last] = edit.value if edit.how == "set" else at[last] + edit.value
    return value


def sqlite_call(old: Any, edits: Sequence[Edit], column: str) -> tuple[str, list[str]]:
    """The SQL expression that edits the text of a column, and its parameters.

    Args:
        old: the value of the text.
        edits: what `differences` found.
        column: name of the column, or an expression.
    """
    removed = [sqlite_path(edit.path) for edit in edits if edit.how == "remove"]
    expression, parameters = column, []
    if removed:
        expression = f"json_remove({expression}{', ?' * len(removed)})"
        parameters += removed
    if others := [edit for edit in edits if edit.how != "remove"]:
        expression = f"json_set({expression}{', ?, json(?)' * len(others)})"
        for edit in others:
            value = edit.value if edit.how == "set" else _at(old, edit.path) + edit.value
            parameters += [sqlite_path(edit.path), json_text(value)]
    return expression, parameters


def json_text(value: Any) -> str:
    """JSON as JavaScript writes it; halves of surrogate pairs are escaped, as SQLite holds none."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def sqlite_path(path: Sequence[_Step]) -> str:
    """`$."state"."time"` or `$."content"[2]`."""
    return "$" + "".join(f"[{s}]" if isinstance(s, int) else f'."{s}"' for s in path)


def _at(value: Any, path: Sequence[_Step]) -> Any:
    for step in path:
        value = value[step]
    return value


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value, key=lambda n: _ORDER.get(n, -1))}
    return [_ordered(item) for item in value] if isinstance(value, list) else value
