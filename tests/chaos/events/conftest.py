"""What histories of events need beside a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from node import NodeMissing, install


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path | str:
    """A folder with node-postgres from npm, or why there is none."""
    try:
        return install(tmp_path_factory.mktemp("node"))
    except NodeMissing as missing:
        return str(missing)


@pytest.fixture
def node_modules(node: Path | str) -> Path | None:
    """The folder; None: the histories go on without node."""
    return node if isinstance(node, Path) else None
