"""The hook of psycopg's connections: a cursor asks the epoch before each statement.

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
from recovery.database.connect import opener
from recovery.database.pooler import pool_mode, unprepare, warn_of_autocommit

if TYPE_CHECKING:
    from recovery.fence.epoch import Epoch

__all__ = ["aconfigure", "configure"]

_Connection: TypeAlias = "psycopg.Connection[Any] | psycopg.AsyncConnection[Any]"

_epochs: WeakKeyDictionary[_Connection, ref[Epoch]] = WeakKeyDictionary()
#: What begins a transaction, where the session can't say it.
_claims: WeakKeyDictionary[_Connection, bytes] = WeakKeyDictionary()
#: How the pooler at an address hands out its server processes.
_modes: dict[str, Literal["session", "transaction"]] = {}

_PID = calls.session.backend_pid().sql.encode()


def configure(conn: psycopg.Connection[Any], epoch: Epoch) -> None:
    """From now on the cursors of a connection ask this epoch, and write as it."""
    with psycopg.Cursor(conn, row_factory=tuple_row) as cursor:  # one that asks nobody

        def backend() -> int:
            (pid,) = cursor.execute(_PID).fetchone() or (0,)
            conn.rollback()  # a pooler may take the server process back
            return int(pid)

        if backend() == conn.info.backend_pid or _mode(conn, backend) == "session":
            _bind(conn, epoch, _Asking)
            cursor.execute(_session(epoch))
        else:
            _share(conn, epoch, _Claiming, _transaction)
    if not conn.autocommit:
        conn.commit()  # a rollback would undo the setting


async def aconfigure(conn: psycopg.AsyncConnection[Any], epoch: Epoch) -> None:
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
            _bind(conn, epoch, _Asking)
            await cursor.execute(_session(epoch))
        else:
            _share(conn, epoch, _AsyncClaiming, _async_transaction)
    if not conn.autocommit:
        await conn.commit()


def _mode(conn: _Connection, backend: Callable[[], int]) -> Literal["session", "transaction"]:
    address = conn.info.dsn
    if address not in _modes:
        _modes[address] = pool_mode(opener(conn), backend)
    return _modes[address]


def _session(epoch: Epoch) -> bytes:
    return calls.session.set_epoch(epoch.number, local=False, name=epoch.name).encode()


def _bind(conn: _Connection, epoch: Epoch, asking: Any) -> None:
    _epochs[conn] = ref(epoch)  # which may know the pool: no circle
    made: Any = conn
    made.cursor_factory = _mixed(asking, made.cursor_factory)
    made.server_cursor_factory = _mixed(asking, made.server_cursor_factory)


def _share(conn: _Connection, epoch: Epoch, claiming: Any, block: Any) -> None:
    _bind(conn, epoch, claiming)
    _claims[conn] = calls.session.set_epoch(epoch.number, local=True).encode()
    unprepare(conn)
    made: Any = conn
    made.transaction = block(ref(conn))  # begins one without a cursor


@cache
def _mixed(asking: type, base: type) -> type:
    if issubclass(base, _Asking):  # bound by an earlier boot
        return base
    return type(base.__name__, (asking, base), {"__slots__": ()})


def _ask(conn: _Connection) -> None:
    epoch = _epochs[conn]()
    if epoch is not None and not conn.read_only:
        epoch.refuse()


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
