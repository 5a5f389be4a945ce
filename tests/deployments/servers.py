"""Real application servers under load, and what each worker says it did."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from helpers import wait_for

HERE = Path(__file__).parent

NO_ANSWER = (OSError, HTTPException, ValueError)


def command(kind: str, workers: int, port: int) -> list[str]:
    """How people start the application with `workers` processes of one name."""
    bind = ["--bind", f"127.0.0.1:{port}", "--workers", str(workers), "--graceful-timeout", "10"]
    return {
        "uvicorn": ["uvicorn", "app:asgi", "--port", str(port), "--workers", str(workers)],
        "gunicorn-asgi": ["gunicorn", "app:asgi", "-k", "uvicorn_worker.UvicornWorker", *bind],
        "gunicorn-wsgi": ["gunicorn", "app:wsgi", "-c", "gunicorn_conf.py", *bind],
        "gunicorn-preload": ["gunicorn", "app:wsgi", "-c", "gunicorn_conf.py", "--preload", *bind],
    }[kind]


class Deployment:
    """One server program with its workers; ends with its block, workers and all."""

    def __init__(
        self,
        dsn: str,
        kind: str,
        workers: int = 3,
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._contained = bool(prefix)  # such a prefix hands no signal on
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", *command(kind, workers, self.port)],
            cwd=HERE,
            env={**os.environ, **(env or {}), "APP_DSN": dsn, "APP_OPTIONS": json.dumps(options)},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is not None:
            print("".join(self.output))

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.output.extend(lines)

    def ready(self, workers: int = 1) -> Self:
        """Waits until so many workers have answered."""
        wait_for(lambda: len(self.pids()) >= workers, 60, what=f"{workers} workers answer")
        return self

    def pids(self) -> set[int]:
        """Which workers answer at the moment."""
        found = set()
        for _ in range(30):
            try:
                found.add(self.get("/work?ms=0")[1]["pid"])
            except NO_ANSWER:
                time.sleep(0.05)
        return found

    def get(self, path: str, timeout: float = 20.0) -> tuple[int, dict[str, Any]]:
        """Status and answer of a request over a connection of its own: any worker may take it.

        Raises:
            OSError, HTTPException, ValueError: there is no answer.
        """
        conn = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            conn.request("GET", path)
            response = conn.getresponse()
            return response.status, json.loads(response.read())
        finally:
            conn.close()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """As a supervisor does: SIGTERM, and SIGKILL for what is left of the group."""
        if self.process.poll() is None and not self._contained:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self._reader.join()


@dataclass
class Load:
    """Clients that ask for work all the time, in threads."""

    deployments: list[Deployment]
    clients: int = 6
    #: What a client asks for; told its number.
    path: Callable[[int], str] = lambda number: f"/work?ms={20 + number * 15}"
    timeout: float = 20.0
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    lost: int = 0  #: requests without an answer: their worker was killed, or stopped taking any

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        while not self._over.is_set():
            deployment = self.deployments[number % len(self.deployments)]
            try:
                self.answers.append(deployment.get(self.path(number), self.timeout))
            except NO_ANSWER:
                self.lost += 1
                time.sleep(0.05)

    def since(self, count: int) -> int:
        """Waits until so many more answers have come; how many there are."""
        before = len(self.answers)
        wait_for(lambda: len(self.answers) >= before + count, 60, what=f"{count} answers")
        return len(self.answers)
