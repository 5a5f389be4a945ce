"""What an opencode that was killed has left running: shells of its tools, with all they started.

The store can't tell: its rows hold no pid. But every process that opencode starts has
``OPENCODE=1`` and ``OPENCODE_PID`` (its own pid) in its environment, and what tells where the
store lies. Those of a living opencode, and those of another store, are not among them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from recovery.opencode.file import NotAStore
from recovery.opencode.where import default_path
from recovery.work.reaping import reap_all

__all__ = ["Leftover", "leftovers", "stop"]


@dataclass(frozen=True)
class Leftover:
    """A process that outlived the opencode which started it."""

    pid: int
    start: datetime
    command: str
    directory: str | None
    opencode: int  #: pid that opencode had


def leftovers(path: Path) -> list[Leftover]:
    """The processes on this host that an opencode on this store has left, oldest first.

    Those of other users may not be looked at, save by root.

    Args:
        path: of the store.
    """
    store = path.resolve()
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            left = _leftover(process, store)
            if left is not None:
                found.append(left)
    return sorted(found, key=lambda left: (left.start, left.pid))


def stop(processes: Sequence[Leftover], *, grace: float = 5.0) -> list[Leftover]:
    """SIGTERM to each with its process group, the grace, SIGKILL; what is left even then.

    Before each signal pid and start time are compared, see `recovery.work.reaping.reap`.
    """
    gone = reap_all([(p.pid, p.start) for p in processes], grace=grace)
    return [process for process, is_gone in zip(processes, gone, strict=True) if not is_gone]


def _leftover(process: psutil.Process, store: Path) -> Leftover | None:
    if process.pid == os.getpid():
        return None
    environ = process.environ()
    number = environ.get("OPENCODE_PID", "")
    if environ.get("OPENCODE") != "1" or not number.isdigit() or int(number) == process.pid:
        return None
    if process.status() == psutil.STATUS_ZOMBIE or _is_parent(int(number), process):
        return None
    if not _is_store(environ, store):
        return None
    directory = None
    with contextlib.suppress(psutil.Error):
        directory = process.cwd()
    return Leftover(
        process.pid,
        datetime.fromtimestamp(process.create_time(), UTC),
        " ".join(process.cmdline()) or process.name(),
        directory,
        int(number),
    )


def _is_parent(pid: int, process: psutil.Process) -> bool:
    """Whether the opencode that started a process lives; a later process may have its pid."""
    try:
        other = psutil.Process(pid)
        return (
            other.status() != psutil.STATUS_ZOMBIE and other.create_time() <= process.create_time()
        )
    except psutil.NoSuchProcess:
        return False


def _is_store(environ: Mapping[str, str], store: Path) -> bool:
    with contextlib.suppress(NotAStore):
        return default_path(environ).resolve() == store
    return False
