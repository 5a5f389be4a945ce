"""What is seen of processes here, and how it is told."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import psutil
import psycopg
import pytest

import recovery
from recovery import calls
from recovery.work.host import alive, report_processes, started


def test_one_read_and_one_write(dsn: str, conn: psycopg.Connection[Any], jobs: Any) -> None:
    """However many processes there are, and none if nobody names one."""
    asked: list[str] = []

    def run(call: calls.Call[Any]) -> Any:
        asked.append(call.sql)
        return calls.run(conn, call)

    assert report_processes(run, "here") == 0
    assert len(asked) == 1
    server = recovery.boot(dsn, "api", host="here")
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        start = started(ended)
    for pid, key in zip((ended.pid, ended.pid, os.getpid()), jobs(server.epoch, 3), strict=True):
        call = calls.fuse.light(
            "public.job", str(key), calls.seconds(60, "ttl"), "here", pid,
            start if pid == ended.pid else started(pid),
        )  # fmt: skip
        calls.run(conn, call)
    asked.clear()
    assert report_processes(run, "here") == 2
    assert len(asked) == 2
    seen = conn.execute(
        "select pid, process_seen is not null, process_dead is not null from recovery.fuse order by id"
    ).fetchall()
    assert seen == [(ended.pid, False, True)] * 2 + [(os.getpid(), True, False)]
    assert conn.execute("select process_seen is not null from recovery.server").fetchone() == (
        True,
    )


def test_a_process_that_proc_hides_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """With hidepid=2 others' processes are not shown: no such process, says psutil; no permission, says the kernel."""

    def hidden(pid: int) -> psutil.Process:
        raise psutil.NoSuchProcess(pid)

    def refused(pid: int, signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(psutil, "Process", hidden)
    assert not alive(os.getpid(), None)
    monkeypatch.setattr(os, "kill", refused)
    assert alive(os.getpid(), None)
