"""Child processes that never outlive the play, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import Self

__all__ = ["Processes"]

# It waits on a pipe that only the play holds: that closes at the end, at Ctrl-C and at
# kill -9 alike. A session is killed as a whole, so the tools of a dead server go as well,
# though some lead a process group of their own.
_JANITOR = r"""
import os, signal, sys
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
import psutil
sessions = {int(line) for line in sys.stdin.buffer}
def members():
    for pid in psutil.pids():
        try:
            if os.getsid(pid) in sessions and psutil.Process(pid).status() != "zombie":
                yield pid
        except (OSError, psutil.Error):
            pass
while found := list(members()):  # again: one may have started another meanwhile
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
"""


class Process:
    """A server."""

    def __init__(self, name: str, script: str, dsn: str) -> None:
        self.name = name
        # It has no name, so nothing is left behind.
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "recovery.demo.server", name, script],
            env={**os.environ, "RECOVERY_DSN": dsn},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
            start_new_session=True,
        )
        self.pid = self._popen.pid

    def check(self) -> None:
        """Raises RuntimeError if it has ended by itself."""
        if self._popen.poll() is not None:
            self._complaints.seek(0)
            said = self._complaints.read().decode(errors="replace").strip() or "no message"
            raise RuntimeError(f"{self.name} ended by itself: {said.splitlines()[-1]}")

    def kill(self) -> None:
        """kill -9: the process, not its group; its tools live on."""
        self._popen.kill()
        self._popen.wait()

    def stop(self) -> None:
        """Asks it to shut down."""
        self._popen.terminate()

    def wait(self, timeout: float | None = None) -> None:
        """Until it has ended."""
        try:
            self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            pass


class Processes:
    """Starts servers, each the leader of a process group of its own."""

    def __enter__(self) -> Self:
        self._all: list[Process] = []
        self._janitor = subprocess.Popen(
            [sys.executable, "-c", _JANITOR],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            for process in self._all:
                process.stop()
            for process in self._all:
                process.wait(5)
        self._janitor.communicate()
        for process in self._all:
            process.wait()

    def start(self, name: str, script: str, dsn: str) -> Process:
        """Starts a server, see `recovery.demo.server`."""
        process = Process(name, script, dsn)
        assert self._janitor.stdin is not None
        self._janitor.stdin.write(b"%d\n" % process.pid)
        self._janitor.stdin.flush()
        self._all.append(process)
        return process
