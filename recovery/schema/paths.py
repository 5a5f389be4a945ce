"""Where the SQL files and the Alembic environment are.

A wheel carries both inside the package; the source tree (and so the editable
install) keeps them at its top, beside the package.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def sql_dir() -> Path:
    """The folder of the desired state: one SQL object a file.

    Raises:
        FileNotFoundError: the installation is damaged.
    """
    return _find("sql")


def alembic_dir() -> Path:
    """The folder of ``env.py`` and ``versions/``: Alembic's ``script_location``.

    Raises:
        FileNotFoundError: the installation is damaged.
    """
    return _find("alembic")


def _find(name: str) -> Path:
    # The tree wins: a stale copy inside the package would hide its changes.
    if (_PACKAGE.parent / "pyproject.toml").is_file():
        candidates = [_PACKAGE.parent / name, _PACKAGE / name]
    else:
        candidates = [_PACKAGE / name]
    for path in candidates:
        if path.is_dir():
            return path
    raise FileNotFoundError(f"pg-recovery: no folder {name!r} in {_PACKAGE}; reinstall pg-recovery")
