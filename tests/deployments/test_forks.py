"""Where `serve` runs in a parent and its children write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import wait_for
from sql.jobs import Connection, statuses

pytestmark = pytest.mark.majors("newest")


@pytest.mark.parametrize("mode", ["guarded", "bare"])
def test_a_child_that_is_killed(jobs: Connection, dsn: str, mode: str) -> None:
    """A fuse with its pid closes its row; without one the parent's life is all that counts."""
    program = [sys.executable, str(Path(__file__).with_name("forking.py")), dsn, mode]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child, row = map(int, parent.stdout.readline().split())
        (other,) = set(statuses(jobs)) - {row}
        os.kill(child, signal.SIGKILL)
        if mode == "guarded":
            wait_for(lambda: statuses(jobs)[row] == "failed", 15)
            (reason,) = jobs.execute(
                "select reason from recovery.event where kind = 'closed'"
            ).fetchone()  # type: ignore[misc]
            assert reason == "process_dead"
        assert statuses(jobs)[other] == "running"
        _, log = parent.communicate(timeout=20)
    assert f"process {child} is a fork of the one ({parent.pid}) that serves api-1" in log
    assert statuses(jobs) == {row: "failed", other: "failed"}  # the rest at the parent's end
