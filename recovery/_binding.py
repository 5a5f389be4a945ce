"""The engine hook: every connection of a SQLAlchemy pool says which epoch writes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from recovery import calls

if TYPE_CHECKING:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["bind"]

_log = logging.getLogger(__name__)
_KEY = "recovery.server_epoch"

_bindings: WeakKeyDictionary[sa.Engine, _Binding] = WeakKeyDictionary()


class _Binding:
    """What the hooks of one engine read; a later boot changes it."""

    def __init__(self, epoch: int, scope: str) -> None:
        self.epoch = epoch
        self.scope = scope

    def checkout(self, connection: Any, record: Any, proxy: Any) -> None:
        """When the pool hands a connection out: made before the boot, or by another one."""
        wanted = self.epoch if self.scope == "session" else None
        if record.info.get(_KEY) == wanted:
            return
        pid = _execute(connection, calls.set_epoch(wanted, local=False))
        if wanted is not None and _is_pooled(connection, pid):
            self.scope = "transaction"
            _execute(connection, calls.set_epoch(None, local=False))
            wanted = None
            _log.warning(
                "a pooler is between the engine and PostgreSQL: the epoch is set in each"
                " transaction; say so with bind(engine, scope='transaction')"
            )
        connection.commit()  # a rollback would undo the setting
        record.info[_KEY] = wanted

    def begin(self, connection: sa.Connection) -> None:
        """When a transaction begins."""
        if self.scope == "transaction":
            connection.exec_driver_sql(calls.set_epoch(self.epoch, local=True))


def bind(
    engine: sa.Engine | AsyncEngine, epoch: int, scope: Literal["session", "transaction"]
) -> None:
    """Installs the hooks, or changes what the ones of an earlier boot say."""
    import sqlalchemy as sa

    sync = engine if isinstance(engine, sa.Engine) else engine.sync_engine
    binding = _bindings.get(sync)
    if binding is not None:
        binding.epoch, binding.scope = epoch, scope
        return
    _bindings[sync] = binding = _Binding(epoch, scope)
    sa.event.listen(sync, "checkout", binding.checkout)
    sa.event.listen(sync, "begin", binding.begin)


def _execute(connection: Any, statement: str) -> int:
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
        return int(cursor.fetchone()[1])
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
