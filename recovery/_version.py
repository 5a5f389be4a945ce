"""Version numbers: of the package, and of the schema that it is made for."""

from __future__ import annotations

import re

__all__ = ["SCHEMA", "VERSION", "order"]

VERSION = "0.1.0.dev0"

#: What ``recovery.version()`` must say in the database.
SCHEMA = "0.1.0"


def order(version: str) -> list[int]:
    """What must agree of a version, so that it can be compared: 0.10.1 -> [0, 10]."""
    return [int(number) for number in re.findall(r"\d+", version)][:2]
