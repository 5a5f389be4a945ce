"""Loads a store of opencode (https://opencode.ai) into the tables of schema ``agent``.

    from recovery import opencode

    with psycopg.connect(dsn, autocommit=True) as conn:
        report = opencode.import_store(conn, "~/.local/share/opencode/opencode.db")

Ids, times and JSON stay as they are. Rows get the epoch of a server that stands
for the one which wrote them (``opencode`` unless told otherwise): whatever was
running is closed when that name boots next, or when its lease has run out.

The SQLite file is only read: neither it nor its ``-wal`` and ``-shm`` change.
"""

from __future__ import annotations

from recovery.opencode.file import LATER, TABLES, NotAStore
from recovery.opencode.store import Imported, Skipped, Unknown, import_store, load_store

__all__ = [
    "LATER",
    "TABLES",
    "Imported",
    "NotAStore",
    "Skipped",
    "Unknown",
    "import_store",
    "load_store",
]
