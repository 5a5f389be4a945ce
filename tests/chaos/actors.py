"""Real server processes (worker.py), and what a test does to them."""

from __future__ import annotations

import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg

from helpers import wait_for

Connection = psycopg.Connection[Any]

#: So that a death shows in seconds. The suspicion grace is short, the lease is not: this machine is busy.
FAST: dict[str, Any] = {"lease": 3, "grace": 0.5, "sweep": 0.5}


class Refused(Exception):
    """What the database, or the library, refused the worker; `code` is the SQLSTATE or the class."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(f"{code}: {text}")


class Actor:
    """A running worker."""

    def __init__(self, dsn: str, name: str, **options: Any) -> None:
        self.name = name
        self.events: list[dict[str, Any]] = []
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("worker.py"), dsn, name, json.dumps({**FAST, **options})],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.epoch = 0

    def ready(self) -> Actor:
        """Waits until it has booted."""
        if not self.epoch:
            self.epoch = int(self._take(30)["epoch"])
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def begin(self, do: str, **arguments: Any) -> None:
        """Tells it to do something; `end` waits for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()

    def end(self, timeout: float = 20) -> Any:
        """The answer to `begin`."""
        answer = self._take(timeout)
        if "error" in answer:
            raise Refused(answer["error"], answer["text"])
        return answer["answer"]

    def do(self, what: str, **arguments: Any) -> Any:
        """Tells it to do something, and waits for it."""
        self.begin(what, **arguments)
        return self.end()

    def open(self, count: int = 1) -> list[int]:
        """Opens rows of its own."""
        return list(self.do("open", count=count))

    def fences(self) -> list[str]:
        """What its `on_fenced` callback was told."""
        return [event["why"] for event in list(self.events) if event["event"] == "fenced"]

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def pause(self) -> None:
        """SIGSTOP, until it has stopped."""
        self.signal(signal.SIGSTOP)
        wait_for(lambda: psutil.Process(self.pid).status() == psutil.STATUS_STOPPED)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9; all that it said is in `events` then."""
        self._process.kill()
        self._process.wait()
        self._reader.join(10)

    def leave(self, timeout: float = 30) -> None:
        """Ends it in order."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait(timeout)
        self._reader.join(10)

    def close(self) -> None:
        """Whatever state it is in."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def _take(self, timeout: float) -> dict[str, Any]:
        answer = self._answers.get(timeout=timeout)
        assert answer is not None, f"{self.name} has ended"
        return answer

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):
            for line in self._process.stdout:
                try:
                    said = json.loads(line)
                except ValueError:  # cut off by kill -9
                    break
                if "event" in said:
                    self.events.append(said)
                else:
                    self._answers.put(said)
        self._answers.put(None)


def warm(conn: Connection) -> None:
    """As if sweepers had watched for an hour; without it the first lease of a store is held back."""
    wait_for(lambda: value(conn, "select since is not null from recovery.observation"))
    conn.execute("update recovery.observation set since = since - interval '1 hour'")


@contextlib.contextmanager
def standing_still(conn: Connection) -> Iterator[None]:
    """SIGSTOP of the postmaster and all its children, as a VM that is moved or a disk that hangs."""
    postmaster = psutil.Process(conn.info.backend_pid).parent()
    assert postmaster is not None
    postmaster.suspend()  # first: it starts no new ones
    stopped = [postmaster]
    try:
        for child in postmaster.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):  # a worker that just ended
                child.suspend()
                stopped.append(child)
        yield
    finally:
        for process in reversed(stopped):
            process.resume()


def value(conn: Connection, statement: str, *parameters: Any) -> Any:
    row = conn.execute(statement, parameters).fetchone()  # type: ignore
    return None if row is None else row[0]


def reason(conn: Connection, epoch: int) -> str | None:
    """Why an epoch ended; None if it has not."""
    return value(conn, "select reason from recovery.server where epoch = %s", epoch)


def live(conn: Connection) -> list[int]:
    """The epochs that have not ended."""
    rows = conn.execute("select epoch from recovery.server where ended is null order by epoch")
    return [row[0] for row in rows]


def rows(conn: Connection, keys: list[int]) -> set[str]:
    """The states of some rows."""
    found = conn.execute("select status from app.job where id = any(%s)", (keys,)).fetchall()
    return {row[0] for row in found}
