"""The rooms of recovery/: who imports whom, and whether every import runs downwards.

    python tools/rooms.py          # rooms, floors, circles
    python tools/rooms.py --edges  # and which room uses which

A room is an entry of recovery/: a folder, or a module beside the folders. Imports inside
functions count like those at the top of a file. Those for the type checker alone do not
make a floor, since nothing runs them, but they do close a circle: who reads the one
module has to read the other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "recovery"

#: From the roof to the ground: a room may use those that come after it, and no other.
#: `recovery` is the public face, `recovery/__init__.py`.
ORDER = (
    "cli",
    "demo",
    "recovery",
    "migrations",
    "opencode",
    "brokers",
    "asgi",
    "run",
    "server",
    "hooks",
    "webhooks",
    "work",
    "events",
    "fence",
    "declared",
    "watch",
    "steps",
    "closing",
    "cluster",
    "settings",
    "schema",
    "database",
    "calls",
    "types",
    "errors",
    "_version",
)


@dataclass(frozen=True, order=True)
class Import:
    """One module uses another; `typing`: only for the type checker."""

    user: str
    used: str
    typing: bool


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Dotted name -> file, of every module of the package."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(files: Mapping[str, Path]) -> set[Import]:
    """What the modules import of one another."""
    return {
        Import(user, used, typing)
        for user, path in files.items()
        for used, typing in _imported(ast.parse(path.read_text(encoding="utf-8")), files)
        if used != user
    }


def _imported(tree: ast.AST, files: Mapping[str, Path]) -> Iterator[tuple[str, bool]]:
    """Names of modules of ours, and whether only the type checker imports them."""

    def visit(node: ast.AST, typing: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in files:
                    yield alias.name, typing
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            for alias in node.names:
                # A module of a package, or a name that a module has.
                for name in (f"{node.module}.{alias.name}", str(node.module)):
                    if name in files:
                        yield name, typing
                        break
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from visit(child, True)
            for child in node.orelse:
                yield from visit(child, typing)
        else:
            for child in ast.iter_child_nodes(node):
                yield from visit(child, typing)

    return visit(tree, False)


def room_of(module: str) -> str:
    """The room in which a module is."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def between_rooms(found: set[Import]) -> set[Import]:
    """The same between rooms; `typing` if no import of them is a real one."""
    pairs: dict[tuple[str, str], bool] = {}
    for one in found:
        pair = room_of(one.user), room_of(one.used)
        if pair[0] != pair[1]:
            pairs[pair] = pairs.get(pair, True) and one.typing
    return {Import(user, used, typing) for (user, used), typing in pairs.items()}


def circles(found: set[Import]) -> list[list[str]]:
    """Groups of which each uses each other, at last; imports for the type checker count."""
    uses: dict[str, set[str]] = {}
    for one in found:
        uses.setdefault(one.user, set()).add(one.used)

    @cache
    def reach(start: str) -> frozenset[str]:
        seen: set[str] = set()
        todo = [start]
        while todo:
            for other in uses.get(todo.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
        return frozenset(seen)

    groups = {
        tuple(sorted(other for other in reach(one) if one in reach(other)))
        for one in uses
        if one in reach(one)
    }
    return sorted(map(list, groups))


def floors(found: set[Import]) -> list[str]:
    """The longest chain of imports, from the roof to the ground; a circle is one floor."""
    real = {one for one in found if not one.typing}
    name = {one: " = ".join(circle) for circle in circles(real) for one in circle}
    uses: dict[str, set[str]] = {}
    for one in real:
        user, used = name.get(one.user, one.user), name.get(one.used, one.used)
        if user != used:
            uses.setdefault(user, set()).add(used)

    @cache
    def below(room: str) -> tuple[str, ...]:
        return (
            room,
            *max((below(used) for used in sorted(uses.get(room, ()))), key=len, default=()),
        )

    return list(max((below(room) for room in sorted(uses)), key=len, default=()))


def upwards(found: set[Import]) -> list[Import]:
    """Imports that do not run downwards in `ORDER`; those of the type checker, too."""
    return sorted(
        one
        for one in found
        if room_of(one.user) != room_of(one.used)
        and ORDER.index(room_of(one.user)) > ORDER.index(room_of(one.used))
    )


def trespasses(files: Mapping[str, Path]) -> list[str]:
    """Where a module reaches for what another room calls its own by an underscore."""
    trees = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in files.items()}
    own: dict[str, set[str]] = {}
    for module, tree in trees.items():
        own.setdefault(room_of(module), set()).update(_made(tree))
    found = []
    for module, tree in trees.items():
        others = set().union(*(names for room, names in own.items() if room != room_of(module)))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"{PACKAGE}."):
                used = {alias.name for alias in node.names}
            else:
                used = {node.attr} if isinstance(node, ast.Attribute) else set()
            for name in sorted(used & others - own[room_of(module)]):
                found.append(f"{module}:{node.lineno}: {name}")
    return found


def _made(tree: ast.AST) -> Iterator[str]:
    """Private names that a module gives: to functions, classes, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.attr
        else:
            continue
        if name.startswith("_") and not name.startswith("__"):
            yield name


def main(arguments: list[str]) -> None:
    files = modules()
    found = imports(files)
    rooms = sorted({room_of(module) for module in files})
    house = between_rooms(found)
    chain = floors(house)
    longest = max(files.values(), key=lambda path: len(path.read_text().splitlines()))
    print(f"{len(rooms)} rooms: {' '.join(rooms)}")
    print(f"{len(chain)} floors: {' > '.join(chain)}")
    for what, groups in (("modules", circles(found)), ("rooms", circles(house))):
        print(f"{len(groups)} circles of {what}")
        for group in groups:
            print(f"  {' '.join(group)}")
    print(
        f"{len(files)} modules; the longest is {longest.relative_to(ROOT)}"
        f" with {len(longest.read_text().splitlines())} lines"
    )
    if "--edges" in arguments:
        for room in rooms:
            print(f"{room}: {' '.join(sorted(one.used for one in house if one.user == room))}")


if __name__ == "__main__":
    main(sys.argv[1:])
