"""The engine hook: every connection of a SQLAlchemy pool says which epoch writes.

And nothing is begun for a server that was demoted: the database would refuse it
as well, but only once it knows, and only if it can be reached.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary, ref

from recovery import calls
from recovery.database.connect import opener, ours
from recovery.database.pooler import pool_mode, unprepare, warn_of_autocommit

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncEngine

    from recovery.fence.epoch import Epoch

__all__ = ["bind"]

_log = logging.getLogger(__name__)
_KEY = "recovery.server_epoch"

_bindings: WeakKeyDictionary[sa.Engine, _Binding] = WeakKeyDictionary()


class _Binding:
    """What the hooks of one engine read; a later boot changes it."""

    def __init__(self, engine: sa.Engine, epoch: Epoch, per: str) -> None:
        self._engine = ref(engine)  # whose value in `_bindings` this is
        self._mode: Literal["session", "transaction"] | None = None  # not known yet
        self.change(epoch, per)

    def change(self, epoch: Epoch, per: str) -> None:
        self.number, self.name, self.per = epoch.number, epoch.name, per
        self._epoch = ref(epoch)  # which may know the engine: no circle

    def checkout(self, connection: Any, record: Any, proxy: Any) -> None:
        """When the pool hands a connection out: made before the boot, or by another one."""
        if ours.get():
            return
        info = record.info
        wanted = self.number if self.per == "session" else None
        if wanted is None:
            unprepare(connection)
        if info.get(_KEY) == wanted:
            return
        if wanted is not None and self._is_shared(connection):
            self.per, wanted = "transaction", None
            unprepare(connection)
        if info.get(_KEY) != wanted:
            _execute(connection, calls.session.set_epoch(wanted, local=False, name=self.name))
            info[_KEY] = wanted
        connection.commit()  # a rollback would undo the setting

    def _is_shared(self, connection: Any) -> bool:
        """Whether a pooler gives the connection to somebody else after each transaction."""

        def backend() -> int:
            pid = int(_execute(connection, calls.session.backend_pid().sql))
            connection.rollback()
            return pid

        if not _is_pooled(connection, backend()):
            return False
        engine = self._engine()
        if self._mode is None and engine is not None:
            self._mode = pool_mode(opener(engine), backend)
            if self._mode == "transaction":
                _log.info("a pooler shares the engine's connections: transactions say their epoch")
        return self._mode != "session"

    def begin(self, connection: sa.Connection) -> None:
        """When a transaction begins."""
        epoch = self._epoch()
        try:
            writes = not _only_reads(connection)
            if epoch is not None and writes:
                epoch.refuse()
            if self.per == "transaction":
                if writes and getattr(connection.connection, "autocommit", False):
                    warn_of_autocommit()
                connection.exec_driver_sql(calls.session.set_epoch(self.number, local=True))
        except BaseException:
            # SQLAlchemy would send the next statement without asking here again.
            connection.close()
            raise

    def begin_twophase(self, connection: sa.Connection, xid: Any) -> None:
        """The same for two-phase commit."""
        self.begin(connection)


def bind(
    engine: sa.Engine | AsyncEngine, epoch: Epoch, per: Literal["session", "transaction"]
) -> None:
    """Installs the hooks, or changes what the ones of an earlier boot say."""
    import sqlalchemy as sa

    sync = engine if isinstance(engine, sa.Engine) else engine.sync_engine
    binding = _bindings.get(sync)
    if binding is not None:
        binding.change(epoch, per)
        return
    _bindings[sync] = binding = _Binding(sync, epoch, per)
    sa.event.listen(sync, "checkout", binding.checkout)
    sa.event.listen(sync, "begin", binding.begin)
    sa.event.listen(sync, "begin_twophase", binding.begin_twophase)


def _only_reads(connection: sa.Connection) -> bool:
    """Whether SQLAlchemy makes the transaction READ ONLY; then the database sees to it."""
    return bool(connection.get_execution_options().get("postgresql_readonly"))


def _execute(connection: Any, statement: str) -> Any:
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
        return cursor.fetchone()[0]
    finally:
        cursor.close()


def _is_pooled(connection: Any, pid: int) -> bool:
    """A pooler gives its clients a made-up pid; the server's own is another."""
    driver = getattr(connection, "driver_connection", connection)
    info = getattr(driver, "info", None)
    told = getattr(info, "backend_pid", None)  # psycopg, psycopg2
    if told is None and hasattr(driver, "get_server_pid"):  # asyncpg
        told = driver.get_server_pid()
    return told is not None and told != pid
