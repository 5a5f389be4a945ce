"""Who has a SQLite database open: nobody may write to a store that somebody uses.

SQLite's own locks say it best, and on Linux and macOS name the process. They are asked for,
never taken. A process whose locks can't be seen (of another pid namespace, in rollback mode
between two transactions, on another platform) is found by its open file, where the operating
system shows that. `recovery.opencode.write` has the last word: it writes under SQLite's exclusive
lock, which nobody gets beside another connection.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

__all__ = ["Holder", "holders"]

#: First byte and number of those that SQLite locks, by the end of the file's name; see
#: https://sqlite.org/src/file/src/os_unix.c ("PENDING_BYTE", "UNIX_SHM_DMS").
_LOCKS = {"": (0x4000_0000, 512), "-shm": (120, 9)}

#: struct flock where Python's fcntl has F_GETLK, with the order of its fields.
_FLOCK = {
    "linux": ("hhqqi", "type whence start len pid"),
    "darwin": ("qqihh", "start len pid type whence"),
}


@dataclass(frozen=True)
class Holder:
    """A process that has the store open."""

    pid: int | None  #: None: SQLite's locks show one that can't be seen from here
    command: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return "a process that can't be seen from here (in a container, or on another machine)"
        return f"process {self.pid}" + (f" ({self.command})" if self.command else "")


def holders(path: str | os.PathLike[str]) -> list[Holder]:
    """The processes other than this one that have the database open.

    Call it while this process itself does not: to close a file lets go of a process's own locks.

    Args:
        path: of the database; its ``-wal`` and ``-shm`` lie beside it.
    """
    database = Path(path).resolve()
    pids: set[int | None] = set(_by_lock(database))
    pids.update(_by_file(database))
    if len(pids) > 1:
        pids.discard(None)  # most likely one of those
    return sorted(map(_holder, pids), key=lambda holder: holder.pid or 0)


def _holder(pid: int | None) -> Holder:
    if pid is None:
        return Holder(None)
    command = ""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        command = " ".join(process.cmdline()) or process.name()
    return Holder(pid, command if len(command) <= 80 else command[:79] + "…")


def _by_lock(database: Path) -> Iterator[int | None]:
    if sys.platform not in _FLOCK or struct.calcsize("P") != 8:
        return
    import fcntl

    layout, names = _FLOCK[sys.platform]
    for end, (start, length) in _LOCKS.items():
        try:
            file = os.open(database.with_name(database.name + end), os.O_RDWR)
        except OSError:
            continue  # not there, or not ours to write: then neither is the store
        try:
            at, stop = start, start + length
            while at < stop:
                asked = {
                    "type": fcntl.F_WRLCK,
                    "whence": os.SEEK_SET,
                    "start": at,
                    "len": stop - at,
                    "pid": 0,
                }
                raw = struct.pack(layout + "4x", *(asked[name] for name in names.split()))
                said = dict(
                    zip(
                        names.split(),
                        struct.unpack(layout + "4x", fcntl.fcntl(file, fcntl.F_GETLK, raw)),
                        strict=True,
                    )
                )
                if said["type"] == fcntl.F_UNLCK:
                    break
                yield said["pid"] if said["pid"] > 0 else None
                # It tells of one lock at a time: go on behind it.
                at = max(at, said["start"] + said["len"]) if said["len"] else stop
        finally:
            os.close(file)


def _by_file(database: Path) -> Iterator[int]:
    files = [database, *(database.with_name(database.name + end) for end in ("-wal", "-shm"))]
    wanted = {(s.st_dev, s.st_ino) for s in (f.stat() for f in files if f.exists())}
    for process in psutil.process_iter():
        if process.pid != os.getpid():
            with contextlib.suppress(psutil.Error, OSError):
                if any(same in wanted for same in _open_files(process)):
                    yield process.pid


def _open_files(process: psutil.Process) -> Iterator[tuple[int, int]]:
    """Device and inode: a path may be another one in another mount namespace."""
    folder = Path(f"/proc/{process.pid}/fd")
    if folder.is_dir():
        files = list(folder.iterdir())
    else:
        files = [Path(file.path) for file in process.open_files()]
    for file in files:
        with contextlib.suppress(OSError):
            found = file.stat()
            yield found.st_dev, found.st_ino
