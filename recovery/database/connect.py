"""Own connections to the database of the caller's engine, pool, connection or DSN."""

from __future__ import annotations

import functools
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from recovery import calls
from recovery._version import SCHEMA, order
from recovery.database.deadline import deadline
from recovery.database.pooler import is_shared, pool_mode, share
from recovery.errors import ConnectionFailed, InvalidArgument, SchemaMismatch, from_driver

if TYPE_CHECKING:
    import sqlalchemy as sa
    from psycopg_pool import AsyncConnectionPool, ConnectionPool
    from sqlalchemy.ext.asyncio import AsyncEngine

__all__ = ["Target", "check_schema", "connect", "opener", "ours", "relabel"]

log = logging.getLogger(__name__)

#: Where the database is: a DSN, a URL, an engine, a pool, a connection (only its
#: address is taken), a function that connects; None for RECOVERY_DSN or, without
#: it, libpq's own variables.
Target: TypeAlias = (
    "str | sa.URL | sa.Engine | AsyncEngine | psycopg.Connection[Any] |"
    " psycopg.AsyncConnection[Any] | ConnectionPool[Any] | AsyncConnectionPool[Any] |"
    " Callable[[], psycopg.Connection[Any]] | None"
)

#: libpq's, unless the caller gives others: seconds, seconds, count, milliseconds.
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

#: Set while a connection of our own is opened the engine's way: it is no writer's.
ours: ContextVar[bool] = ContextVar("recovery.ours", default=False)

#: Seconds for the first answer; a pooler whose server processes are all taken gives none.
_PATIENCE = 10.0


def connect(
    target: Target, role: str, name: str = "", epoch: int | None = None
) -> psycopg.Connection[Any]:
    """Opens a connection of our own in autocommit mode, apart from the caller's pool.

    Through a pooler in transaction mode it is one that leaves nothing behind there
    (`_pooler.share`).

    An engine's own way of connecting is used (``creator``, ``connect_args``, the
    events ``do_connect`` and ``connect``), if its driver is psycopg. With another
    driver (asyncpg, psycopg2) only its URL and the event ``do_connect`` are.

    Args:
        target: the database.
        role: what the connection is for; with `name` it becomes application_name.
        name: the server's name.
        epoch: of the server; by it an eviction finds the connection.

    Raises:
        ConnectionFailed: with libpq's reason; never with the password.
        InvalidArgument: the target is not a PostgreSQL (RC010).
    """
    open_ = opener(target)
    try:
        conn = open_()
    except psycopg.Error as error:
        raise from_driver(error) or ConnectionFailed(str(error)) from error
    except Exception as error:
        found = from_driver(error)  # of SQLAlchemy
        if found is None:
            raise
        raise found from error
    try:
        conn.rollback()
        conn.autocommit = True
        conn.prepare_threshold = None  # PgBouncer
        conn.add_notice_handler(_warn)
        asked = time.monotonic()
        with deadline(conn, _PATIENCE):
            _prepare(conn, open_, role, name, epoch)
    except ConnectionFailed as error:
        conn.close()
        if time.monotonic() - asked < _PATIENCE:
            raise
        raise ConnectionFailed(
            f"no answer for {_PATIENCE:g} s; a pooler gives none while its server connections"
            " are all taken"
        ) from error
    except BaseException:
        conn.close()
        raise
    return conn


def _prepare(
    conn: psycopg.Connection[Any],
    open_: Callable[[], psycopg.Connection[Any]],
    role: str,
    name: str,
    epoch: int | None,
) -> None:
    label = _label(role, name, epoch)
    # A pooler makes up the pid that it tells: it has to find a client by it.
    if calls.run(conn, calls.session.prepare_session(label, conn.info.backend_pid)):
        return
    if pool_mode(open_, lambda: calls.run(conn, calls.session.backend_pid())) == "session":
        calls.run(conn, calls.session.prepare_session(label))
    else:
        share(conn, _label(role, name, None))


def relabel(conn: psycopg.Connection[Any], role: str, name: str, epoch: int | None) -> None:
    """Says anew what a connection that `connect` has opened is for."""
    if is_shared(conn):
        share(conn, _label(role, name, None))
    else:
        calls.run(conn, calls.session.prepare_session(_label(role, name, epoch)))


def _warn(notice: psycopg.errors.Diagnostic) -> None:
    """Logs what the database warns of, each warning once in a process."""
    if notice.severity_nonlocalized == "WARNING" and notice.message_primary:
        _log_once(notice.message_primary, notice.message_hint or "")


@functools.cache
def _log_once(message: str, hint: str) -> None:
    log.warning("%s", f"{message}; {hint}" if hint else message)


def _label(role: str, name: str, epoch: int | None) -> str:
    """At most 63 bytes; the name is cut, the epoch never. PostgreSQL writes ASCII only."""
    said = f"recovery:{role}:{name}" if name else f"recovery:{role}"
    mark = "" if epoch is None else f"#{epoch}"
    return said.encode("ascii", "replace")[: 63 - len(mark)].decode() + mark


def opener(target: Target) -> Callable[[], psycopg.Connection[Any]]:
    """What opens a connection to a target, as `connect` says, and sends nothing over it."""
    if target is None:
        target = os.environ.get("RECOVERY_DSN", "")
    if isinstance(target, str) and not ("+" in target.partition("://")[0] and "://" in target):
        return _by_conninfo(target)
    if isinstance(target, psycopg.Connection | psycopg.AsyncConnection):
        return _by_conninfo(target.info.dsn, password=target.info.password or None)
    if "sqlalchemy" in sys.modules or isinstance(target, str):
        open_ = _by_sqlalchemy(target)
        if open_ is not None:
            return open_
    conninfo: Any = getattr(target, "conninfo", None)  # of psycopg_pool
    if conninfo is not None:
        kwargs: Any = getattr(target, "kwargs", None)
        if callable(conninfo) or callable(kwargs):
            raise InvalidArgument(
                "a pool that computes its connection string can't be used as the target;"
                " give a function that returns a psycopg connection"
            )
        return _by_conninfo(conninfo, **(kwargs or {}))
    if callable(target):
        return target
    raise InvalidArgument(f"{type(target).__name__} is not a DSN, engine, pool or connection")


def _by_conninfo(conninfo: str, **more: Any) -> Callable[[], psycopg.Connection[Any]]:
    known = {option.keyword.decode() for option in psycopg.pq.Conninfo.get_defaults()}
    more = {key: value for key, value in more.items() if key in known and value is not None}
    try:
        given = conninfo_to_dict(conninfo, **more)
    except psycopg.ProgrammingError:
        # libpq quotes what it did not understand, and that may hold the password.
        raise InvalidArgument(
            "the DSN can't be read; write postgresql://user@host:port/database"
            " or host=… port=… dbname=… user=…"
        ) from None
    defaults = dict(_DEFAULTS)
    if "," in str(given.get("host") or ""):
        defaults["target_session_attrs"] = "read-write"  # a standby can't LISTEN
    # A keyword that the DSN does not name may be set by libpq's variables.
    for option in psycopg.pq.Conninfo.get_defaults():
        if option.envvar and option.envvar.decode() in os.environ:
            defaults.pop(option.keyword.decode(), None)
    full = make_conninfo("", **{**defaults, **given})
    return lambda: psycopg.connect(full, autocommit=True)


def _by_sqlalchemy(target: Any) -> Callable[[], psycopg.Connection[Any]] | None:
    """For an Engine, AsyncEngine or URL; None if it is something else."""
    import sqlalchemy as sa

    if isinstance(target, str):
        try:
            target = sa.make_url(target)
        except sa.exc.ArgumentError:
            raise InvalidArgument("the URL can't be read") from None
    dialect: Any
    hooks: Iterable[Any] = ()
    if isinstance(target, sa.URL):
        dialect, url = target.get_dialect()(), target
    else:
        engine = getattr(target, "sync_engine", target)
        if not isinstance(engine, sa.Engine):
            return None
        dialect, url = engine.dialect, engine.url
        hooks = dialect.dispatch.do_connect
        if dialect.driver == "psycopg" and not dialect.is_async:
            return lambda: _from_engine(engine)
    if dialect.name != "postgresql":
        raise InvalidArgument(f"{url.render_as_string()} is not PostgreSQL")

    def open_() -> psycopg.Connection[Any]:
        args, options = dialect.create_connect_args(url)
        for hook in hooks:
            hook(dialect, None, list(args), options)
        options["dbname"] = options.pop("database", None) or options.get("dbname")
        if "ssl" in options and isinstance(options["ssl"], str):  # asyncpg's name
            options["sslmode"] = options.pop("ssl")
        for key in ("host", "port"):
            if isinstance(options.get(key), list | tuple):  # asyncpg's way to say several
                options[key] = ",".join(map(str, options[key]))
        if callable(options.get("password")):
            options["password"] = options["password"]()
        return _by_conninfo("", **options)()

    return open_


def _from_engine(engine: sa.Engine) -> psycopg.Connection[Any]:
    # A pool of the same kind for this one connection: the caller's may be exhausted.
    token = ours.set(True)
    try:
        fairy = engine.pool.recreate().connect()
    finally:
        ours.reset(token)
    conn: Any = fairy.dbapi_connection
    fairy.detach()
    if not isinstance(conn, psycopg.Connection):
        raise InvalidArgument(f"the engine's connections are {type(conn).__name__}, not psycopg's")
    _keep_alive(conn)
    return conn


def _keep_alive(conn: psycopg.Connection[Any]) -> None:
    """TCP keepalives on a connection that somebody else has opened."""
    with socket.socket(fileno=os.dup(conn.fileno())) as link:
        if link.family not in (socket.AF_INET, socket.AF_INET6):
            return
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, key in (
            ("TCP_KEEPIDLE", "keepalives_idle"),
            ("TCP_KEEPINTVL", "keepalives_interval"),
            ("TCP_KEEPCNT", "keepalives_count"),
            ("TCP_USER_TIMEOUT", "tcp_user_timeout"),
        ):
            if hasattr(socket, option):
                link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), _DEFAULTS[key])


def check_schema(conn: psycopg.Connection[Any]) -> None:
    """Makes sure that the schema is the one of this package.

    Raises:
        SchemaMismatch: it is missing, older or newer; says which (RC009).
    """
    found = calls.run(conn, calls.status.version())
    if order(found) == order(SCHEMA):
        return
    newer = order(found) > order(SCHEMA)
    hint = "upgrade pg-recovery" if newer else "run `recovery migrate upgrade`"
    raise SchemaMismatch(
        f"schema recovery has version {found}, this package is made for {SCHEMA}", hint=hint
    )
