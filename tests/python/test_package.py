from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import recovery


def test_the_public_face_is_complete() -> None:
    assert recovery.__all__ == sorted(recovery.__all__)
    for name in recovery.__all__:
        assert getattr(recovery, name).__doc__
    assert set(recovery.__all__) <= set(dir(recovery))


def test_names_come_from_where_they_are_exported() -> None:
    for module, names in recovery._HOMES.items():
        exported = importlib.import_module(f"recovery.{module}").__all__
        assert set(names.split()) <= set(exported)


def test_a_type_checker_finds_them_there_too() -> None:
    assert recovery.__file__ is not None
    tree = ast.parse(Path(recovery.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert {node.module: {alias.name for alias in node.names} for node in imports} == {
        f"recovery.{module}": set(names.split()) for module, names in recovery._HOMES.items()
    }


def test_versions_agree() -> None:
    assert recovery.__version__ == version("pg-recovery")


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import sys, recovery; print(*sorted(sys.modules))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"psycopg", "sqlalchemy", "alembic", "asyncio"} & set(output)
