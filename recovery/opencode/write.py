"""Writes what was closed back to opencode's store: all of it in one transaction, or nothing.

Each row is changed only if it still is what was read (compare-and-set on the text, byte for byte),
and only in the places that the closing changed. What opencode would have told other machines of
each change is appended to its own log of events, else they would bring the open rows back.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import string
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from recovery.opencode.edits import apply, json_text, sqlite_call
from recovery.opencode.events import EVENTS
from recovery.opencode.file import NotAStore, decode
from recovery.opencode.holders import Holder, holders
from recovery.opencode.plan import Change, Plan, Progress

__all__ = ["BackupFailed", "Left", "StoreInUse", "Written", "write"]

#: Seconds that SQLite waits for a lock. Nobody should have one: this is for a moment's reader.
_PATIENCE = 1.0

#: Pages that the backup copies before it says how far it is.
_PAGES = 2000

_LETTERS = string.digits + string.ascii_uppercase + string.ascii_lowercase


class StoreInUse(RuntimeError):
    """A process has the store open; nothing was written.

    Attributes:
        holders: who; empty if nobody can be named.
    """

    def __init__(self, path: Path, found: list[Holder]) -> None:
        self.holders = found
        who = ", ".join(map(str, found)) or "a process that can't be named"
        super().__init__(
            f"{path} is in use by {who}: end opencode (and its windows) first, then try again"
        )


class BackupFailed(RuntimeError):
    """The backup can't be written; the store was not touched."""


@dataclass(frozen=True)
class Left:
    """A row that was left as it is."""

    table: str
    id: str
    problem: str

    def __str__(self) -> str:
        return f"{self.table} {self.id}: {self.problem}"


@dataclass
class Written:
    """What a repair did."""

    backup: Path
    rows: dict[str, int] = field(default_factory=dict)  #: closed, by table
    events: int = 0  #: appended to opencode's own log
    left: list[Left] = field(default_factory=list)


def write(
    plan: Plan, *, backup: Path | None = None, progress: Progress = lambda step, done, of: None
) -> Written:
    """Makes a backup, then the changes of a plan.

    Args:
        plan: of `recovery.opencode.plan.plan`.
        backup: a file that is not there yet; by default beside the store, named after the time.
        progress: called now and then.

    Raises:
        StoreInUse: some process has the store open.
        NotAStore: it is damaged, which a copy without its ``-wal`` may be.
        FileExistsError: the backup's file is there.
        PermissionError: the store or the folder of the backup may not be written.
        BackupFailed: SQLite can't write the backup: no room, most likely.
    """
    path = plan.path.resolve()
    check_writable(path)
    refuse_if_held(path)
    done = Written(_backup_path(path) if backup is None else backup.expanduser())
    with _exclusive(path) as db:
        progress("looking for damage", 0, 0)
        (said,) = db.execute("pragma quick_check(1)").fetchone()
        if said != "ok":
            raise NotAStore(
                f"{plan.path} is damaged ({said}), maybe a copy without its -wal;"
                " nothing was changed"
            )
        _back_up(db, path, done.backup, progress)
        db.execute("begin immediate")
        try:
            log = _Log(db)
            for number, change in enumerate(plan.changes):
                if number % 100 == 0:
                    progress("writing", number, len(plan.changes))
                problem = _write_row(db, log, change)
                if problem is None:
                    done.rows[change.table] = done.rows.get(change.table, 0) + 1
                else:
                    done.left.append(Left(change.table, change.id, problem))
            done.events = log.appended
            db.execute("commit")
        except BaseException:
            db.execute("rollback")
            raise
    _settle(path)
    return done


def check_writable(path: Path) -> None:
    """Raises PermissionError if this user may not write the store."""
    if not os.access(path, os.W_OK):
        raise PermissionError(13, "may not be written by this user", str(path))


def refuse_if_held(path: Path) -> None:
    """Raises StoreInUse if a process other than this one has the store open."""
    if found := holders(path):
        raise StoreInUse(path, found)


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that nobody else can have at the same time, not even for reading."""
    db = sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=_PATIENCE
    )
    try:
        db.text_factory = decode
        db.execute("pragma locking_mode = exclusive")
        db.execute("pragma synchronous = full")
        # In WAL mode the first read takes the lock already; else it takes this.
        db.execute("begin exclusive")
        db.execute("commit")
        yield db
    except sqlite3.OperationalError as error:
        if _is_busy(error):
            db.close()
            raise StoreInUse(path, holders(path)) from None
        raise NotAStore(f"{path} can't be written: {error}") from error
    except sqlite3.DatabaseError as error:
        raise NotAStore(f"{path} can't be read: {error}") from error
    finally:
        db.close()


def _is_busy(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    )


def _settle(path: Path) -> None:
    """Leaves the file alone, without -wal and -shm, as a normal end of opencode does."""
    with contextlib.suppress(sqlite3.Error):
        db = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=0)
        with contextlib.closing(db):
            db.execute("select count(*) from sqlite_master").fetchone()


def _backup_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.before-repair-{datetime.now():%Y%m%d-%H%M%S}")


def _back_up(db: sqlite3.Connection, path: Path, to: Path, progress: Progress) -> None:
    """Copies the database; until it is whole and on disk it has another name."""
    if to.exists():
        raise FileExistsError(17, "is there already", str(to))
    part = to.with_name(to.name + ".part")
    part.unlink(missing_ok=True)
    about = path.stat()
    try:
        # What it holds is as private as the store.
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with contextlib.closing(sqlite3.connect(part)) as copy:
            db.backup(
                copy,
                pages=_PAGES,
                progress=lambda _, left, of: progress("writing the backup", of - left, of),
            )
            # Of its own: without -wal and -shm beside it.
            copy.execute("pragma journal_mode = delete")
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(about.st_mode & 0o777)
        if hasattr(os, "chown") and os.geteuid() == 0:
            os.chown(part, about.st_uid, about.st_gid)
        os.link(part, to) if hasattr(os, "link") else part.rename(to)
    except sqlite3.Error as error:
        raise BackupFailed(f"the backup {to} can't be written: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _write_row(db: sqlite3.Connection, log: _Log, change: Change) -> str | None:
    """Changes a row if it is as it was read; what is wrong with it otherwise."""
    values: dict[str, Any] = dict(change.new)
    conditions = {f'"{name}" is ?': value for name, value in change.old.items()}
    text = None
    if change.edits:
        if change.data is None:
            return "its text was not read"
        old = json.loads(decode(change.data))
        expression, parameters = sqlite_call(old, change.edits, "data")
        try:
            row = db.execute(
                f'select {expression} from "{change.table}"'
                " where id = ? and cast(data as blob) = ?",
                [*parameters, change.id, change.data],
            ).fetchone()
        except sqlite3.OperationalError as error:
            return f"SQLite can't change its JSON text: {error}"
        if row is None:
            return "changed since it was read"
        text = row[0]
        if json.loads(text) != apply(old, change.edits):
            return "its JSON text can't be changed in place (a key that is there twice?)"
        values["data"] = text.encode("utf-8", "surrogateescape")
        conditions["cast(data as blob) = ?"] = change.data
    sets = ", ".join(
        f"{name} = cast(? as text)" if name == "data" else f'"{name}" = ?' for name in values
    )
    updated = db.execute(
        f'update "{change.table}" set {sets} where id = ? and {" and ".join(conditions)}',
        [*values.values(), change.id, *conditions.values()],
    )
    if updated.rowcount != 1:
        return "changed since it was read"
    log.append(change, text)
    return None


class _Log:
    """opencode's own log of events, which its other instances replay."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.appended = 0
        names = {
            row[0] for row in db.execute("select name from sqlite_master where type = 'table'")
        }
        self._is_kept = {"event", "event_sequence"} <= names
        self._now = int(time.time() * 1000)
        self._number = 0

    def append(self, change: Change, text: str | None) -> None:
        """Appends what a change means to the other instances, if the session has a log."""
        tell = EVENTS.get(change.table)
        if tell is None or text is None or not self._is_kept:
            return
        row = dict(zip(tell.columns, self._row(change, tell.columns), strict=True))
        for type_, data in tell.events(change, json.loads(text), row, self._now):
            found = self._db.execute(
                "update event_sequence set seq = seq + 1 where aggregate_id = ? returning seq",
                [change.session],
            ).fetchone()
            if found is None:
                return
            self._db.execute(
                "insert into event (id, aggregate_id, seq, type, data) values (?, ?, ?, ?, ?)",
                [self._id(), change.session, found[0], type_, json_text(data)],
            )
            self.appended += 1

    def _row(self, change: Change, columns: Sequence[str]) -> Sequence[Any]:
        names = ", ".join(("id", *columns))
        row = self._db.execute(f'select {names} from "{change.table}" where id = ?', [change.id])
        return list(row.fetchone())[1:]

    def _id(self) -> str:
        """As opencode makes them: the time in 12 digits, which wrap, and 14 letters by chance."""
        self._number += 1
        moment = (self._now * 0x1000 + self._number) & 0xFFFF_FFFF_FFFF
        return f"evt_{moment:012x}" + "".join(secrets.choice(_LETTERS) for _ in range(14))
