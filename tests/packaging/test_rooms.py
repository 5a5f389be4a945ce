"""The house: rooms that use one another downwards only, see tools/rooms.py."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rooms", ROOT / "tools" / "rooms.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["rooms"] = module
    spec.loader.exec_module(module)
    return module


rooms = load()


def test_every_room_has_its_place() -> None:
    assert {rooms.room_of(module) for module in rooms.modules()} == set(rooms.ORDER)


def test_imports_run_downwards() -> None:
    assert rooms.upwards(rooms.imports(rooms.modules())) == []


def test_there_is_no_circle() -> None:
    found = rooms.imports(rooms.modules())
    assert rooms.circles(found) == []
    assert rooms.circles(rooms.between_rooms(found)) == []


def test_nobody_reaches_for_what_is_private_in_another_room() -> None:
    assert rooms.trespasses(rooms.modules()) == []


def house(folder: Path, **files: str) -> dict[str, Path]:
    (folder / "recovery").mkdir()
    for name, text in files.items():
        path = folder / "recovery" / f"{name.replace('__', '/', 1)}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    found: dict[str, Path] = rooms.modules(folder)
    return found


LATER = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {}\nelse:\n    pass\n"


@pytest.mark.parametrize(
    "back",
    [
        "from recovery import settings",
        "import recovery.settings",
        "from recovery.settings import x",
        "def f():\n    from recovery.settings import x",
        LATER.format("from recovery import settings"),
    ],
)
def test_a_way_up_is_found(tmp_path: Path, back: str) -> None:
    found = rooms.imports(
        house(
            tmp_path,
            settings="from recovery.database.once import do\n",
            database__once=f"{back}\n",
        )
    )
    [up] = rooms.upwards(found)
    assert (up.user, up.used) == ("recovery.database.once", "recovery.settings")
    assert up.typing == ("TYPE_CHECKING" in back)
    assert rooms.circles(found) == [["recovery.database.once", "recovery.settings"]]


@pytest.mark.parametrize(
    "reach",
    ["from recovery.database.once import _do", "def f(link):\n    return link._do()"],
)
def test_a_trespass_is_found(tmp_path: Path, reach: str) -> None:
    found = house(tmp_path, settings=f"{reach}\n", database__once="def _do(): ...\n")
    [where] = rooms.trespasses(found)
    assert where.startswith("recovery.settings:")
    assert where.endswith(": _do")


def test_floors_are_the_longest_chain_of_what_runs(tmp_path: Path) -> None:
    found = rooms.imports(
        house(
            tmp_path,
            demo="from recovery import calls, cli\n",
            cli="from recovery import calls\n",
            calls="from recovery import types\n" + LATER.format("from recovery import errors"),
            types="",
            errors="",
        )
    )
    assert rooms.floors(rooms.between_rooms(found)) == ["demo", "cli", "calls", "types"]
