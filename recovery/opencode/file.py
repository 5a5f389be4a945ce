"""Reads opencode's SQLite file as it lies there, and changes nothing beside it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

__all__ = ["LATER", "TABLES", "NotAStore", "SQLiteStore", "decode", "is_alone", "opened"]

#: In the order in which they are loaded, with the columns that a row can't do without.
TABLES: Mapping[str, tuple[str, ...]] = {
    "session": ("id",),
    "message": ("id", "session_id", "data"),
    "part": ("id", "message_id", "session_id", "data"),
}

#: Of opencode 2, where they are there; the sessions of 2.0 beside those of 1.x.
LATER: Mapping[str, tuple[str, ...]] = {
    "session_v2": ("id",),
    "session_message": ("id", "session_id", "type", "seq", "data"),
    "session_input": ("id", "session_id", "prompt"),
}


class NotAStore(ValueError):
    """The file is not a store of opencode; the message says what is wrong with it."""


class SQLiteStore:
    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        # Nobody sends heartbeats: it must outlast the import, or a sweep would end it.
        self.lease = timedelta(seconds=min(86_400, 15 + path.stat().st_size // 500_000))
        of_2 = bool(self.columns("session_v2"))
        for table, required in TABLES.items():
            columns = self.columns(table)
            if not columns and of_2:
                continue
            if not columns:
                raise NotAStore(
                    f"{path} has no table {table!r}: not a store of opencode 1.x, or a copy"
                    " without the file -wal beside it"
                )
            if lacks := [name for name in required if name not in columns]:
                raise NotAStore(
                    f"table {table!r} of {path} has no column {', '.join(lacks)}:"
                    " a store of another version of opencode"
                )

    def columns(self, table: str) -> list[str]:
        return [row[1] for row in self._db.execute(f"pragma table_info({_quoted(table)})")]

    def tables(self) -> list[str]:
        """Those that hold rows."""
        found = self._db.execute("select name from sqlite_master where type = 'table' order by 1")
        names = [name for (name,) in found if not name.startswith("sqlite_")]
        return [name for name in names if self.count(name, limit=1)]

    def count(self, table: str, limit: int = -1) -> int:
        counted = self._db.execute(
            f"select count(*) from (select 1 from {_quoted(table)} limit ?)", (limit,)
        )
        return int(counted.fetchone()[0])

    def rows(
        self, table: str, columns: Sequence[str], sessions: Collection[str] | None = None
    ) -> Iterator[tuple[Any, ...]]:
        names = ", ".join(map(_quoted, columns))
        only, values = "", tuple[str, ...]()
        if sessions is not None:
            of = "session_id" if "session_id" in self.columns(table) else "id"
            only, values = f"where {of} in (select value from json_each(?))", (_json(sessions),)
        # One snapshot for all tables: opened() began a transaction.
        yield from self._db.execute(
            f"select {names} from {_quoted(table)} {only} order by rowid", values
        )

    def texts(self, table: str, ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Id and column `data` of some rows, byte for byte."""
        yield from self._db.execute(
            f"select id, cast(data as blob) from {_quoted(table)}"
            " where id in (select value from json_each(?))",
            (_json(ids),),
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _json(values: Collection[str]) -> str:
    return json.dumps(list(values))


@contextmanager
def opened(path: Path) -> Iterator[tuple[SQLiteStore, Callable[[], None]]]:
    """The store, and a function that makes sure it was not written to while being read.

    SQLite's usual read-only mode still creates or rewrites ``-wal`` and ``-shm``.
    """
    path, unnamed = path.resolve(), path
    wal, shm, journal = (path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except IsADirectoryError:
        raise NotAStore(f"{path} is a folder; the store is the file opencode.db in it") from None
    if len(header) < 100 or header[:16] != b"SQLite format 3\0":
        raise NotAStore(f"{unnamed} is not a SQLite database")
    is_wal = header[18] == 2

    def check() -> None:
        if wal.exists():
            raise NotAStore(f"{unnamed} was opened by a writer meanwhile; import it again")

    with ExitStack() as stack:
        db, unchanged = None, lambda: None
        if is_wal and wal.exists() and shm.exists():
            # Maybe in use. This mode reads beside a writer; where there is none (a
            # crash), it rebuilds the index of the WAL in memory.
            db = _connect(path, "mode=ro&readonly_shm=1")
        elif is_wal and not _size(wal):
            db, unchanged = _connect(path, "mode=ro&immutable=1"), check
        elif not _size(journal):
            db = _connect(path, "mode=ro") if not is_wal else None
        if db is None:
            # Left by a crash, or a copy: nobody is writing, and SQLite can't read it
            # without recovering it first.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="recovery-")))
            for file_ in (path, wal, journal):
                if file_.exists():
                    shutil.copyfile(file_, folder / file_.name)
            db = _connect(folder / path.name, "mode=rw")
        if db is None:
            raise NotAStore(f"{unnamed} can't be read")
        stack.callback(db.close)
        try:
            yield SQLiteStore(db, unnamed), unchanged
        except sqlite3.Error as error:
            raise NotAStore(f"{unnamed} can't be read: {error}") from error


def is_alone(path: Path) -> bool:
    """Whether a store in WAL mode has no -wal: it was closed in order, or copied without it."""
    with path.open("rb") as file:
        header = file.read(100)
    return header[18:19] == b"\2" and not path.with_name(path.name + "-wal").exists()


def _connect(path: Path, options: str) -> sqlite3.Connection | None:
    """A connection in a read transaction, or None if it does not work this way."""
    db = sqlite3.connect(f"{path.as_uri()}?{options}", uri=True, isolation_level=None)
    # A value that is not UTF-8 must not end the import: the loader mends it.
    db.text_factory = decode
    try:
        db.execute("begin")
        db.execute("select count(*) from sqlite_master")
    except sqlite3.Error:
        db.close()
        return None
    return db


def decode(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
