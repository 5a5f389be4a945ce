"""The hook of psycopg's connections: a cursor asks the server before each statement.

Behind a pooler in transaction mode it also says the epoch at the beginning of each
transaction: what the session says, other clients of the pool would find.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from weakref import WeakKeyDictionary, ref

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from recovery import calls
from recovery._connect import opener
from recovery._pooler import pool_mode, unprepare, warn_of_autocommit

if TYPE_CHECKING:
    from recovery.server import Server

__all__ = ["aconfigure", "configure"]

_Connection: TypeAlias = "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]"

_servers: WeakKeyDictionary[_Connection, ref[Server]] = WeakKeyDictionary()
#: What begins a transaction, where the session can't say it.
_claims: WeakKeyDictionary[_Connection, bytes] = WeakKeyDictionary()
#: How the pooler at an address hands out its server processes.
_modes: dict[str, Literal["session", "transaction"]] = {}

_PID = calls.backend_pid().sql.encode()


def configure(conn: psycopg.Connection[Any], server: Server) -> None:
    """From now on the cursors of a connection ask this server, and write with its epoch."""
    with psycopg.Cursor(conn, row_factory=tuple_row) as cursor:  # one that asks nobody

        def backend() -> int:
            (pid,) = cursor.execute(_PID).fetchone() or (0,)
            conn.rollback()  # a pooler may take the server process back
            return int(pid)

        if backend() == conn.info.backend_pid or _mode(conn, backend) == "session":
            _bind(conn, server, _Asking)
            cursor.execute(_session(server))
        else:
            _share(conn, server, _Claiming, _transaction)
    if not conn.autocommit:
        conn.commit()  # a rollback would undo the setting


async def aconfigure(conn: psycopg.AsyncConnection[Any], server: Server) -> None:
    """`configure` of an async connection."""
    async with psycopg.AsyncCursor(conn, row_factory=tuple_row) as cursor:

        async def backend() -> int:
            await cursor.execute(_PID)
            (pid,) = await cursor.fetchone() or (0,)
            await conn.rollback()
            return int(pid)

        def ask() -> int:
            return asyncio.run_coroutine_threadsafe(backend(), loop).result()

        loop = asyncio.get_running_loop()
        direct = await backend() == conn.info.backend_pid
        if direct or await asyncio.to_thread(_mode, conn, ask) == "session":
            _bind(conn, server, _Asking)
            await cursor.execute(_session(server))
        else:
            _share(conn, server, _AsyncClaiming, _async_transaction)
    if not conn.autocommit:
        await conn.commit()


def _mode(conn: _Connection, backend: Callable[[], int]) -> Literal["session", "transaction"]:
    address = conn.info.dsn
    if address not in _modes:
        _modes[address] = pool_mode(opener(conn), backend)
    return _modes[address]


def _session(server: Server) -> bytes:
    return calls.set_epoch(server.epoch, local=False, name=server.name).encode()


def _bind(conn: _Connection, server: Server, asking: Any) -> None:
    _servers[conn] = ref(server)  # which may know the pool: no circle
    made: Any = conn
    made.cursor_factory = _mixed(asking, made.cursor_factory)
    made.server_cursor_factory = _mixed(asking, made.server_cursor_factory)


def _share(conn: _Connection, server: Server, claiming: Any, block: Any) -> None:
    _bind(conn, server, claiming)
    _claims[conn] = calls.set_epoch(server.epoch, local=True).encode()
    unprepare(conn)
    made: Any = conn
    made.transaction = block(ref(conn))  # begins one without a cursor


@cache
def _mixed(asking: type, base: type) -> type:
    if issubclass(base, _Asking):  # bound by an earlier boot
        return base
    return type(base.__name__, (asking, base), {"__slots__": ()})


def _ask(conn: _Connection) -> None:
    server = _servers[conn]()
    if server is not None and not conn.read_only:
        server.refuse()


def _begins(conn: _Connection) -> bool:
    """Whether the next statement begins a transaction that may write."""
    if conn.read_only or conn.info.transaction_status != TransactionStatus.IDLE:
        return False
    if conn.autocommit:
        warn_of_autocommit()
    return not conn.autocommit


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


class _Claiming(_Asking):
    """The same, and each transaction begins with the epoch."""

    __slots__ = ()

    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        if query:
            self._claim()
        return super().execute(query, *args, **options)

    def executemany(self, *args: Any, **options: Any) -> Any:
        self._claim()
        return super().executemany(*args, **options)

    def stream(self, *args: Any, **options: Any) -> Any:
        self._claim()
        return super().stream(*args, **options)

    def copy(self, *args: Any, **options: Any) -> Any:
        self._claim()
        return super().copy(*args, **options)

    def _claim(self) -> None:
        _ask(self.connection)
        if _begins(self.connection):
            _claim(self.connection)


class _AsyncClaiming(_Asking):
    """`_Claiming` of an async connection."""

    __slots__ = ()

    async def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        if query:
            await self._claim()
        return await super().execute(query, *args, **options)

    async def executemany(self, *args: Any, **options: Any) -> Any:
        await self._claim()
        return await super().executemany(*args, **options)

    async def stream(self, *args: Any, **options: Any) -> Any:
        await self._claim()
        async for row in super().stream(*args, **options):
            yield row

    @asynccontextmanager
    async def copy(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        await self._claim()
        async with super().copy(*args, **options) as copy:
            yield copy

    async def _claim(self) -> None:
        _ask(self.connection)
        if _begins(self.connection):
            await _aclaim(self.connection)


def _claim(conn: psycopg.Connection[Any]) -> None:
    with psycopg.Cursor(conn) as cursor:
        cursor.execute(_claims[conn])


async def _aclaim(conn: psycopg.AsyncConnection[Any]) -> None:
    async with psycopg.AsyncCursor(conn) as cursor:
        await cursor.execute(_claims[conn])


def _transaction(of: ref[psycopg.Connection[Any]]) -> Any:
    @contextmanager
    def transaction(*args: Any, **options: Any) -> Iterator[psycopg.Transaction]:
        conn = of()
        assert conn is not None
        with type(conn).transaction(conn, *args, **options) as block:
            if not conn.read_only:
                _claim(conn)
            yield block

    return transaction


def _async_transaction(of: ref[psycopg.AsyncConnection[Any]]) -> Any:
    @asynccontextmanager
    async def transaction(*args: Any, **options: Any) -> AsyncIterator[psycopg.AsyncTransaction]:
        conn = of()
        assert conn is not None
        async with type(conn).transaction(conn, *args, **options) as block:
            if not conn.read_only:
                await _aclaim(conn)
            yield block

    return transaction
