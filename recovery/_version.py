"""Version numbers: of the package, and of the schema that it is made for."""

from __future__ import annotations

__all__ = ["SCHEMA", "VERSION"]

VERSION = "0.1.0.dev0"

#: What ``recovery.version()`` must say in the database.
SCHEMA = "0.1.0"
