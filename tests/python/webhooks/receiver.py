"""Receivers of webhooks: real HTTP servers on loopback, which write down what they get."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

LOOPBACK = ["127.0.0.0/8"]


@dataclass(frozen=True)
class Got:
    """One request."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def event(self) -> int:
        return int(self.json["data"]["id"])


#: (status, headers, body), or None: takes the request, and hangs up without an answer.
Answer = tuple[int, Mapping[str, str], bytes] | None


def ok(_: Got) -> Answer:
    return 204, {}, b""


class Receiver:
    """A server; `answer` says what it answers, `got` is what came. As a context manager."""

    def __init__(
        self, answer: Callable[[Got], Answer] = ok, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.answer = answer
        self.got: list[Got] = []
        self.connections = 0
        self.most = 0  #: requests at the same time
        self._now = 0
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                with owner._lock:
                    owner.connections += 1
                super().setup()

            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                body = self.rfile.read(length)
                if len(body) < length:  # who sent it has died over it
                    self.close_connection = True
                    return
                got = Got(self.path, dict(self.headers.items()), body, time.time())
                with owner._lock:
                    owner._now += 1
                    owner.most = max(owner.most, owner._now)
                    owner.got.append(got)
                try:
                    answer = owner.answer(got)
                finally:
                    with owner._lock:
                        owner._now -= 1
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, text = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                pass  # a client that hangs up

        self._server = Server(("127.0.0.1", 0), Handler)
        self._scheme = "http"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self._scheme = "https"
        self.port = int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/hook"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def events(self) -> list[int]:
        """Ids of the events that came, as they came."""
        return [got.event for got in list(self.got)]


def by_row(got: list[Got]) -> dict[str, list[int]]:
    """Key -> ids of its events, without repetitions, in the order of their first coming."""
    found: dict[str, dict[int, None]] = {}
    for one in got:
        found.setdefault(one.json["data"]["key"], {})[one.event] = None
    return {key: list(ids) for key, ids in found.items()}
