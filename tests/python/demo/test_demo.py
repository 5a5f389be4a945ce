"""The demo, as a process without a terminal: right figures, and nothing left at any end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from helpers import wait_for
from recovery.cluster import available

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not available(), reason="no PostgreSQL to start"),
    pytest.mark.timeout(180),
]


class Demo:
    """`recovery demo`, marked so that its offspring can be found."""

    def __init__(self, folder: Path) -> None:
        self._mark = uuid.uuid4().hex
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "recovery.cli", "demo"],
            env={**os.environ, "CI": "true", "TEST_MARK": self._mark, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def offspring(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("TEST_MARK") == self._mark:
                    found.append(" ".join(process.cmdline()))
            except psutil.Error:
                pass
        return found

    def files(self) -> list[str]:
        # A copy of the server's programs is kept, for users who can't reach the original.
        return [p.name for p in self.folder.iterdir() if not p.name.startswith("pg-recovery-")]

    def until(self, text: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if text in line:
                return
        pytest.fail(f"the demo ended before {text!r}")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A temporary folder with a short name, as a socket's path needs, open to all."""
    path = Path("/tmp") / f"demo-{uuid.uuid4().hex[:8]}"
    path.mkdir()
    path.chmod(0o755)
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


@contextmanager
def demo(folder: Path) -> Iterator[Demo]:
    running = Demo(folder)
    with running.process:
        try:
            yield running
        finally:
            running.process.kill()


def test_every_figure_is_right_and_nothing_is_left(folder: Path) -> None:
    with demo(folder) as running:
        out, err = running.process.communicate()
        assert (running.process.returncode, err) == (0, ""), out
        assert "\x1b" not in out
        figures = dict(re.findall(r"│ (.+?) +│ +(\d+)", out))
        assert int(figures["rows that the crash left open"]) == 10
        assert int(figures["closed by the next boot"]) == 10
        assert int(figures["falsely closed (work of api-2)"]) == 0
        assert int(figures["still open of the dead server"]) == 0
        assert int(figures["steps of api-2 since the kill"]) > 0
        assert out.count("✔ │") == 12
        for name in (
            "stuck tool: cancelled after its timeout",
            "stuck tool: its process is gone",
            "task that waits for its subagent: untouched",
            "tool that waits for a human: untouched",
        ):
            assert re.search(rf"│ {name} +│ +yes │", out)
        assert "wrong" not in out
        assert running.offspring() == []
        assert running.files() == []


@pytest.mark.parametrize(
    "moment", ["at the start", "PostgreSQL", "starts again", "timeouts of 2 s"]
)
def test_ctrl_c_leaves_no_process_and_no_file(folder: Path, moment: str) -> None:
    with demo(folder) as running:
        if moment == "at the start":
            wait_for(lambda: running.files() != [], 60, what="PostgreSQL starts")
        else:
            running.until(moment)
        running.process.send_signal(signal.SIGINT)
        _, err = running.process.communicate(timeout=30)
        assert (running.process.returncode, err) == (130, "")
        # Interrupted between two lines of Python, it is the janitor who tidies up.
        wait_for(lambda: not running.offspring(), 10, what="the processes are gone")
        wait_for(lambda: not running.files(), 10, what="the files are gone")


def test_kill_9_leaves_no_process_and_no_file(folder: Path) -> None:
    with demo(folder) as running:
        running.until("kill -9")
        time.sleep(0.2)
        running.process.kill()
        running.process.communicate()
        wait_for(lambda: not running.offspring(), 30, what="the processes are gone")
        wait_for(lambda: not running.files(), 30, what="the files are gone")
