"""Real processes to be stopped: each the leader of its own group, and gone after the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import psutil

from recovery.work.host import alive, started

#: A tool: says that it is up and who its child is, and waits.
TOOL = """
import signal, subprocess, sys, time
stubborn, child, stays = (word == "1" for word in sys.argv[1:])
if stubborn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a child inherits it
pid = subprocess.Popen(["sleep", "300"], stdout=subprocess.DEVNULL).pid if child else 0
if child:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
print(pid, flush=True)
if stays:
    time.sleep(300)
"""


@dataclass(frozen=True)
class Tool:
    """A running tool; `child` is in its group, too, or 0."""

    popen: subprocess.Popen[str]
    start: datetime
    child: int

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def runs(self) -> bool:
        return alive(self.pid, self.start)


def runs(pid: int) -> bool:
    return alive(pid, None)


@contextmanager
def tool(
    *,
    stubborn: bool = False,
    child: bool = False,
    stays: bool = True,
    leads: bool = True,
) -> Iterator[Tool]:
    """Starts a tool. `stubborn`: SIGTERM does nothing to it, or to its child if it has one."""
    words = [str(int(flag)) for flag in (stubborn, child, stays)]
    popen = subprocess.Popen(
        [sys.executable, "-c", TOOL, *words],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=leads,
    )
    with ExitStack() as stack:
        stack.enter_context(popen)
        stack.callback(kill, popen.pid, group=leads)
        begun = started(popen.pid)
        assert popen.stdout is not None
        assert begun is not None
        other = int(popen.stdout.readline())
        if other:
            stack.callback(kill, other)
        yield Tool(popen, begun, other)


def kill(pid: int, group: bool = False) -> None:
    """SIGKILL to what a test left."""
    with suppress(ProcessLookupError, psutil.Error):
        if group:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)
