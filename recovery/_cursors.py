"""The hook of psycopg's connections: a cursor asks the server before each statement."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary, ref

import psycopg

if TYPE_CHECKING:
    from recovery.server import Server

__all__ = ["bind"]

_Connection: TypeAlias = "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]"

_servers: WeakKeyDictionary[_Connection, ref[Server]] = WeakKeyDictionary()


class _Asking:
    """What sends something asks first; mixed into the cursors of a connection."""

    __slots__ = ()
    connection: Any

    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        if query:  # a pool's check of the connection sends nothing
            _ask(self.connection)
        return super().execute(query, *args, **options)  # type: ignore[misc]

    def executemany(self, *args: Any, **options: Any) -> Any:
        _ask(self.connection)
        return super().executemany(*args, **options)  # type: ignore[misc]

    def stream(self, *args: Any, **options: Any) -> Any:
        _ask(self.connection)
        return super().stream(*args, **options)  # type: ignore[misc]

    def copy(self, *args: Any, **options: Any) -> Any:
        _ask(self.connection)
        return super().copy(*args, **options)  # type: ignore[misc]


def bind(conn: _Connection, server: Server) -> None:
    """From now on the cursors of a connection, sync or async, ask this server."""
    _servers[conn] = ref(server)  # which may know the pool: no circle
    made: Any = conn
    made.cursor_factory = _asking(made.cursor_factory)
    made.server_cursor_factory = _asking(made.server_cursor_factory)


def _ask(conn: _Connection) -> None:
    server = _servers[conn]()
    if server is not None and not conn.read_only:
        server.refuse()


@cache
def _asking(base: type) -> type:
    if issubclass(base, _Asking):  # bound by an earlier boot
        return base
    return type(base.__name__, (_Asking, base), {"__slots__": ()})
