"""Where opencode keeps its store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from recovery.opencode.file import NotAStore

__all__ = ["default_path"]


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The store that opencode itself would open, on every platform alike.

    ``OPENCODE_DB`` names it; else it is ``opencode/opencode.db`` below ``XDG_DATA_HOME``, else
    below ``~/.local/share``.

    Args:
        environ: of the process that would open it.

    Raises:
        NotAStore: ``OPENCODE_DB`` says that the store is in memory only.
    """
    named = environ.get("OPENCODE_DB", "")
    if named == ":memory:":
        raise NotAStore("OPENCODE_DB=:memory: keeps no store: name the file")
    home = environ.get("HOME") or environ.get("USERPROFILE") or Path.home()
    data = environ.get("XDG_DATA_HOME") or Path(home) / ".local" / "share"
    return Path(data) / "opencode" / (named or "opencode.db")
