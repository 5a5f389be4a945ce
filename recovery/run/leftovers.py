"""What an earlier `recovery run` of a name has left on this host.

Normally nothing: its guardian stops it. But both may be killed at once. Every process that a
command has started carries the epoch in its environment: nothing else proves as well whose it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import psutil

__all__ = ["find", "stop"]


def find(name: str, ended: Callable[[int], bool]) -> list[psutil.Process]:
    """The processes on this host that write for an ended epoch of a name.

    Those of others may not be looked at, save by root.

    Args:
        name: of the server.
        ended: whether the database knows an epoch, and that it has ended.
    """
    known: dict[int, bool] = {}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            env = process.environ()
            number = env.get("RECOVERY_EPOCH", "")
            if env.get("RECOVERY_SERVER") != name or not number.isdigit():
                continue
            if process.status() == psutil.STATUS_ZOMBIE:
                continue
            epoch = int(number)
            if epoch not in known:
                known[epoch] = ended(epoch)
            if known[epoch]:
                found.append(process)
    return found


def stop(processes: list[psutil.Process], grace: float) -> list[psutil.Process]:
    """SIGTERM, the grace, SIGKILL; what is left even then."""
    for process in processes:  # each is compared with its start time before
        with contextlib.suppress(psutil.Error):
            process.terminate()
            process.resume()
    left = psutil.wait_procs(processes, timeout=grace)[1]
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return psutil.wait_procs(left, timeout=2.0)[1]
