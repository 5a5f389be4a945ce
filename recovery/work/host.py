"""Whether a process of this host lives: the one thing that SQL cannot see."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import socket
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import psutil

from recovery import calls

__all__ = ["HasPid", "ProcessLike", "alive", "host_id", "is_zombie", "report_processes", "started"]

_log = logging.getLogger(__name__)

#: The pid namespace of a Linux host itself; a container has another one.
_HOST_NAMESPACE = 4026531836

#: Seconds by which two readings of one start time may differ: it is counted from
#: the boot time, which moves when the clock is set.
_TOLERANCE = 2.0


class HasPid(Protocol):
    """subprocess.Popen, asyncio.subprocess.Process, psutil.Process."""

    @property
    def pid(self) -> int: ...


ProcessLike: TypeAlias = HasPid | int


def host_id() -> str:
    """Names the place where a pid means something: this boot of the host, or the container on it.

    Taking one machine's pid for another's would close live work. Two containers may share
    a host name and still not see each other's processes, and so may two machines (cloned
    images): the pid namespace tells the former apart, what the kernel drew at its boot the
    latter. In people's eyes it is what stands before the ``#``.
    """
    marks = [_machine()]
    with contextlib.suppress(OSError):
        namespace = Path("/proc/self/ns/pid").stat().st_ino
        if namespace != _HOST_NAMESPACE:
            marks.append(str(namespace))
    return f"{socket.gethostname()}#{'.'.join(marks)}"


@functools.cache
def _machine() -> str:
    """Eight digits that tell this boot of the machine from any other machine."""
    for path in ("/proc/sys/kernel/random/boot_id", "/etc/machine-id"):
        with contextlib.suppress(OSError):
            if found := Path(path).read_text().strip().replace("-", ""):
                return found[:8]
    return f"{uuid.getnode():012x}"[-8:]


def started(process: ProcessLike) -> datetime | None:
    """When a process started; None if it is gone."""
    pid = process if isinstance(process, int) else process.pid
    try:
        return datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def alive(pid: int, start: datetime | None) -> bool:
    """Whether the process with this pid and start time lives, here.

    Without permission to look (EPERM) it counts as alive. A pid that a later
    process was given is dead, and so is one that nobody has waited for (zombie).
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if start is None:
            return True
        return abs(process.create_time() - start.timestamp()) <= _TOLERANCE
    except psutil.NoSuchProcess:
        return _hidden(pid)
    except psutil.AccessDenied:
        return True


def _hidden(pid: int) -> bool:
    """Whether a process is there after all: /proc may hide those of other users (hidepid)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return False  # one of ours: it would have been shown


def is_zombie(pid: int, start: datetime) -> bool:
    """Whether that process has ended and nobody has waited for it: it still holds its pid."""
    try:
        process = psutil.Process(pid)
        return (
            process.status() == psutil.STATUS_ZOMBIE
            and abs(process.create_time() - start.timestamp()) <= _TOLERANCE
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def report_processes(run: Callable[[calls.Call[Any]], Any], host: str) -> int:
    """Looks at the processes that servers and fuses name on this host, and says what it saw.

    Args:
        run: executes a call.
        host: as the servers of this host booted with.

    Returns:
        How many servers and fuses were found dead.
    """
    seen = [
        (pid, start, alive(pid, start)) for pid, start in run(calls.process.local_processes(host))
    ]
    for pid, start, lives in seen:
        if not lives:
            _log.info("process %s (started %s) on %s is dead", pid, start, host)
    return int(run(calls.process.report_processes(host, seen))) if seen else 0
