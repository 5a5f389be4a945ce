"""A TCP proxy that can stop forwarding: the half-open link, as after a pulled cable."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit


class Proxy:
    """Forwards 127.0.0.1:`port` to the server of `dsn` (a URI, socket or TCP).

    ``frozen``: connections stay open, new ones are accepted, and not a byte passes.
    """

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self.aim(dsn)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        self.dsn = f"postgresql://{parts.username or 'postgres'}@127.0.0.1:{self.port}{parts.path}"
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets: list[socket.socket] = []
        self._changing = threading.Lock()
        self._closed = False

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.thaw()
        self._listening.close()
        with self._changing:
            self._closed = True
        self.cut()

    def aim(self, dsn: str) -> None:
        """Connections from now on go to the server of `dsn`, as after a failover."""
        parts = urlsplit(dsn)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        host = query.get("host") or parts.hostname or "127.0.0.1"
        port = int(query.get("port") or parts.port or 5432)
        self._server: str | tuple[str, int] = (host, port)
        if host.startswith("/"):
            self._server = f"{host}/.s.PGSQL.{port}"

    def freeze(self) -> None:
        """No byte passes from now on, in either direction."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Bytes pass again, also those that were held."""
        self._flowing.set()

    def cut(self) -> None:
        """Closes the connections that there are."""
        with self._changing:
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self._keeps(client):
                    threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _keeps(self, one: socket.socket) -> bool:
        """Whether the proxy still runs; then `cut` closes the socket, else it is closed here."""
        with self._changing:
            if self._closed:
                one.close()
            else:
                self._sockets.append(one)
            return not self._closed

    def _serve(self, client: socket.socket) -> None:
        self._flowing.wait()
        local = isinstance(self._server, str)
        server = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        try:
            server.connect(self._server)
        except OSError:
            server.close()
            client.close()
            return
        if not self._keeps(server):
            return
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
        # A server that was killed resets the connection: the client must hear of that, too.
        self._flowing.wait()
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
