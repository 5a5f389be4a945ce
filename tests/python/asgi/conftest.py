"""Applications of a test's own, served by uvicorn in a thread or in a process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from python.asgi.clients import CURL
from recovery.asgi import Hub
from recovery.schema import upgrade

uvicorn = pytest.importorskip("uvicorn")

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

Serve = Callable[..., str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and CURL is None:
            item.add_marker(pytest.mark.skip("no curl: apt-get install curl"))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def ending(app: Any, *hubs: Hub) -> Any:
    """An application with a lifespan that ends hubs, as a host's does."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for hub in hubs:
            await hub.close()
        await send({"type": "lifespan.shutdown.complete"})

    return wrapped


@pytest.fixture
def serve() -> Iterator[Serve]:
    """``serve(app, *hubs) -> base address``: until the end of the test, in a thread."""
    with ExitStack() as stack:

        def start(served: Any, *hubs: Hub, **options: Any) -> str:
            app = ending(served, *hubs) if hubs else served
            port = free_port()
            server = uvicorn.Server(
                uvicorn.Config(
                    app, port=port, log_level="warning", timeout_graceful_shutdown=1, **options
                )
            )
            thread = threading.Thread(target=server.run, daemon=True)
            thread.start()

            def stop() -> None:
                server.should_exit = True
                thread.join(15)
                assert not thread.is_alive()

            stack.callback(stop)
            wait_for(lambda: server.started, what="uvicorn has started")
            return f"http://127.0.0.1:{port}"

        yield start


class Process:
    """tests/python/asgi/app.py under uvicorn, in a process that may be killed."""

    def __init__(self, dsn: str, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            **os.environ,
            "RECOVERY_DSN": dsn,
            "PYTHONPATH": str(ROOT),
            **environment,
        }
        self.output = ""
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "uvicorn",
                    "--app-dir",
                    str(HERE),
                    "--port",
                    str(self.port),
                ),
                *("--timeout-graceful-shutdown", "1", "app:app"),
            ],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if "Uvicorn running" in line:
                break
        else:
            raise AssertionError(self.output)
        threading.Thread(target=self._drain, args=(self.process.stdout,), daemon=True).start()

    def _drain(self, lines: Any) -> None:
        with lines:
            for line in lines:
                self.output += line

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture
def process(dsn: str) -> Iterator[Callable[..., Process]]:
    """``process(**environment)``."""
    with ExitStack() as stack:

        def start(**environment: str) -> Process:
            started = Process(dsn, **environment)
            stack.callback(started.kill)
            return started

        yield start


@pytest.fixture
def jobs_on() -> Callable[[str], Any]:
    """``jobs_on(dsn)``: the schema and table ``public.job`` there; gives ``insert(epoch, count=1)``."""

    def prepare(dsn: str) -> Any:
        upgrade(dsn)
        with psycopg.connect(dsn) as conn:
            conn.execute(
                "create table public.job (id bigint generated always as identity primary key,"
                " session text not null default 's1', status text not null default 'running')"
            )
            recovery.attach(
                conn,
                "job",
                open="status = 'running'",
                close={"status": "'failed'"},
                group="session",
            )

        def insert(epoch: int, count: int = 1) -> None:
            with psycopg.connect(dsn) as conn:
                conn.execute(
                    "insert into job (server_epoch) select %s from generate_series(1, %s)",
                    [epoch, count],
                )

        return insert

    return prepare
