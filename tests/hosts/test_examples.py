"""The examples, as a reader starts them; killed in the middle of their work, and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from helpers import wait_for
from sql.jobs import value

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(dsn: str) -> Iterator[Start]:
    """``start(*command, **environment)``: a program of the host, which is killed at the end."""
    with contextlib.ExitStack() as stack:

        def popen(*command: str, **environment: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, *command],
                    env={**os.environ, "RECOVERY_DSN": dsn, **environment},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            stack.callback(process.kill)
            return process

        yield popen


def lines_until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    """What it prints, up to a line."""
    assert process.stdout is not None
    found: list[str] = []
    for line in process.stdout:
        found.append(line.rstrip())
        if wanted in line:
            return found
    raise AssertionError(f"{process.args} ended: {found}")


def test_a_plain_psycopg_script(start: Start, conn: psycopg.Connection[Any]) -> None:
    script = str(EXAMPLES / "plain_psycopg.py")
    first = start(script, IMPORT_SECONDS="600")
    assert "closed at boot: nothing" in lines_until(first, "1.csv runs")
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = start(script, IMPORT_SECONDS="0.1")
    assert "closed at boot: {'public.import_job': 1}" in lines_until(second, "2.csv runs")
    [lost, done] = conn.execute(
        "select file, state, why is not null from import_job order by id limit 2"
    ).fetchall()
    assert (lost, done) == (("1.csv", "failed", True), ("1.csv", "done", False))
    second.send_signal(signal.SIGTERM)
    second.wait(30)
    assert value(conn, "select count(*) from import_job where state = 'running'") == 0


def test_a_fastapi_application(start: Start, conn: psycopg.Connection[Any]) -> None:
    pytest.importorskip("fastapi")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def serve() -> tuple[subprocess.Popen[str], httpx.Client]:
        process = start(
            *("-m", "uvicorn", "--app-dir", str(EXAMPLES), "--port", str(port), "fastapi_app:app")
        )
        lines_until(process, "Application startup complete")
        lines_until(process, "Uvicorn running")
        return process, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    process, client = serve()
    with client:
        lost = client.post("/jobs", params={"seconds": 600}).json()["id"]
        assert client.get(f"/jobs/{lost}").json() == {"status": "running", "error": None}
    process.kill()
    process.wait()
    process, client = serve()
    with client:
        closed = client.get(f"/jobs/{lost}").json()
        assert closed["status"] == "failed"
        assert closed["error"]
        done = client.post("/jobs", params={"seconds": 0}).json()["id"]
        assert wait_for(lambda: client.get(f"/jobs/{done}").json()["status"] == "done")
    process.terminate()
    process.wait(30)
    ended = "select count(*) from recovery.server where ended is null"
    assert value(conn, ended) == 0
