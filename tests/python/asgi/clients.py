"""Clients of a stream: curl, which keeps what it gets, and a parser of server-sent events."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from helpers import wait_for

CURL = shutil.which("curl")


@dataclass
class Frame:
    """An event as a browser would see it."""

    data: Any
    id: str | None = None
    event: str = "message"

    @property
    def type(self) -> str:
        """Of opencode's shape; else the name of the event, or the kind of a row's."""
        return str(self.data.get("type") or self.data.get("kind") or self.event)


def parse(lines: Iterable[str]) -> Iterator[Frame]:
    """As https://html.spec.whatwg.org/multipage/server-sent-events.html says."""
    data: list[str] = []
    id_, event = None, "message"
    for line in lines:
        line = line.rstrip("\n")
        if not line:
            if data:
                yield Frame(json.loads("\n".join(data)), id_, event)
            data, id_, event = [], None, "message"
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name == "id":
            id_ = value
        elif name == "event":
            event = value


@dataclass
class Curl:
    """``curl -N``, read by a thread; ends with its block."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        assert CURL is not None
        headers = [
            part for name, value in self.headers.items() for part in ("-H", f"{name}: {value}")
        ]
        self.process = subprocess.Popen(
            [CURL, "-sNi", *headers, *self.options, self.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.head: list[str] = []
        self.frames: list[Frame] = []
        self.comments: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        self._thread.join()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as out:
            for line in out:
                if not line.strip():
                    break
                self.head.append(line.strip())
            for frame in parse(self._kept(out)):
                self.frames.append(frame)

    def _kept(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if line.startswith(":"):
                self.comments.append(line[1:].strip())
            else:
                yield line

    @property
    def status(self) -> int:
        wait_for(lambda: self.head, what="an answer")
        return int(self.head[0].split()[1])

    @property
    def rows(self) -> list[Frame]:
        """What stands for an event of the database."""
        return [f for f in self.frames if f.type.partition(".")[0] not in ("server", "stream")]

    @property
    def last_id(self) -> str:
        return [f.id for f in self.frames if f.id is not None][-1]

    def connected(self) -> Self:
        self.wait(lambda: any(f.type == "server.connected" for f in self.frames), "connected")
        return self

    def wait_rows(self, count: int, timeout: float = 10.0) -> list[Frame]:
        self.wait(lambda: len(self.rows) >= count, f"{count} rows", timeout)
        return self.rows

    def wait_type(self, type_: str, timeout: float = 10.0) -> Frame:
        self.wait(lambda: any(f.type == type_ for f in self.frames), type_, timeout)
        return next(f for f in self.frames if f.type == type_)  # the first one

    def wait(self, done: Callable[[], object], what: str, timeout: float = 10.0) -> None:
        try:
            wait_for(done, timeout, what=what)
        except TimeoutError as error:
            raise AssertionError(
                f"{what}: {self.head} {self.frames[-5:]} {self.comments}"
            ) from error

    def ended(self, timeout: float = 10.0) -> Self:
        """Until the server has ended the stream."""
        self.process.wait(timeout)
        self._thread.join(timeout)
        return self
