from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import version

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


def test_versions_agree() -> None:
    assert recovery.__version__ == version("pg-recovery")


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import sys, recovery; print(*sorted(sys.modules))"
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"psycopg", "sqlalchemy", "alembic", "asyncio"} & set(output)
