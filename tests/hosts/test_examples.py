"""The examples, as a reader starts them; killed in the middle of their work, and started again."""

from __future__ import annotations

import contextlib
import json
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
from python.asgi.browser import Browser, needs_browser
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


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_fastapi_application(start: Start, conn: psycopg.Connection[Any]) -> None:
    pytest.importorskip("fastapi")
    port = free_port()

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


def serve_agents(start: Start, port: int) -> subprocess.Popen[str]:
    command = ("--app-dir", str(EXAMPLES), "--port", str(port), "--timeout-graceful-shutdown", "3")
    process = start("-m", "uvicorn", *command, "agent_events:app")
    lines_until(process, "Uvicorn running")
    return process


def test_events_of_agents(start: Start, conn: psycopg.Connection[Any]) -> None:
    """What each user sees, and what a client that was there before the crash is told after it."""
    port = free_port()
    process = serve_agents(start, port)

    def client(user: str) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies={"user": user}, timeout=30)

    with client("ada") as ada, client("grace") as grace, client("nobody") as nobody:
        assert nobody.get("/event").status_code == 401
        with ada.stream("GET", "/event") as stream:
            lines = stream.iter_lines()
            while '"server.connected"' not in next(lines):
                pass
            grace.post("/runs", params={"seconds": 600})
            session = ada.post("/runs", params={"seconds": 600}).json()["session"]
            position, heard = "", []
            while len(heard) < 2:
                name, _, text = next(lines).partition(": ")
                position = text if name == "id" else position
                if name == "data":
                    heard.append(json.loads(text))
        assert [each["type"] for each in heard] == ["message.updated", "message.part.updated"]
        assert {each["properties"]["sessionID"] for each in heard} == {session}
    process.kill()
    process.wait()
    process = serve_agents(start, port)
    with client("ada") as ada:
        with ada.stream("GET", "/event", headers={"Last-Event-ID": position}) as stream:
            told = []
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    told.append(json.loads(line.removeprefix("data: ")))
                if told and told[-1]["type"] == "session.idle":
                    break
        kinds = [each["type"] for each in told if not each["type"].startswith("server.")]
        assert kinds == [
            "message.part.updated",
            "message.updated",
            "session.error",
            "session.status",
            "session.idle",
        ]
        assert {each["properties"].get("sessionID") for each in told[1:]} == {session}
        [shown] = ada.get("/sessions").json()
        assert shown["parts"][0]["state"]["status"] == "error"
    process.terminate()
    process.wait(30)
    assert value(conn, "select count(*) from recovery.server where ended is null") == 0


@needs_browser
def test_the_page_of_agents(start: Start) -> None:
    """No spinner goes on turning once the killed server is back."""
    port = free_port()
    process = serve_agents(start, port)
    states = "[...document.querySelectorAll('li')].map(row => row.className).sort().join()"
    with Browser() as browser:
        browser.open(f"http://127.0.0.1:{port}/?user=ada")
        browser.wait("document.querySelector('#link')?.className === 'on'")
        for seconds in ("0.2", "600", "600"):
            browser.value(f"fetch('runs?seconds={seconds}', {{ method: 'POST' }})")
        browser.wait(f"{states} === 'busy,busy,done'")
        process.kill()
        process.wait()
        browser.wait("document.querySelector('#link').className === ''")
        serve_agents(start, port)
        browser.wait(f"{states} === 'done,error,error'")
        browser.wait(
            "document.body.innerText.includes('The turn was interrupted (server restart)')"
        )
