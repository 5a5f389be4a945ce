"""node-postgres, as npm has it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

__all__ = ["NodeMissing", "install"]


class NodeMissing(Exception):
    """Node or its packages are not to be had here; says why."""


def install(folder: Path) -> Path:
    """Puts node-postgres into a folder; returns what NODE_PATH has to be.

    Raises:
        NodeMissing: there is no node, npm or registry.
    """
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        raise NodeMissing("no node and npm")
    done = subprocess.run(
        [npm, "install", "pg@8", "--prefix", folder, "--prefer-offline", "--no-audit", "--no-fund"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode:
        raise NodeMissing(f"npm can't install pg: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "node_modules"
