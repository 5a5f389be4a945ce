"""Gives the epoch of `recovery run` to drivers that do not read PGOPTIONS.

Python imports this module at its start, for `recovery run` has put the folder first on
PYTHONPATH. It runs in the environment of a program that has no package of ours: it uses the
standard library alone, does nothing until a driver is imported, and imports the program's own
sitecustomize at its end. What it can't do it says in one line; the program goes on.

RECOVERY_BIND says how sessions say the epoch: `options` when they begin; `session` by a
statement right after, where a pooler refuses that; `transaction` at the beginning of each.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec, PathFinder
from operator import attrgetter
from types import ModuleType
from typing import Any

_NAME = "recovery.server_epoch"
# os.path, for every Python program of the command pays for what is imported here.
_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120


class _Loader:
    """Loads a module as its own loader does, and then changes it."""

    def __init__(self, loader: Any, change: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._change = change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        try:
            self._change(module)
        except Exception as error:
            print(f"recovery: {module.__name__} does not say the epoch: {error}", file=sys.stderr)


class _Finder:
    """Finds the modules that are to be changed, by those who find modules anyway."""

    def __init__(self, changes: dict[str, Callable[[ModuleType], None]]) -> None:
        self._changes = changes

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        change = self._changes.pop(name, None)
        if change is None:
            return None
        for finder in sys.meta_path:
            found = None if finder is self else finder.find_spec(name, path, target)
            if found is not None:
                if found.loader is not None:
                    found.loader = _Loader(found.loader, change)  # type: ignore[assignment]
                return found
        self._changes[name] = change
        return None


class _Changes:
    """What is changed in the drivers, for one epoch and one way to say it."""

    def __init__(self, epoch: str, bind: str) -> None:
        self._epoch = epoch
        self._option = f"-c {_NAME}={epoch}"
        self._say = f"select pg_catalog.set_config('{_NAME}', '{epoch}', false)"
        self._say_in_transaction = f"select pg_catalog.set_config('{_NAME}', '{epoch}', true)"
        self._bind = bind

    def all(self) -> dict[str, Callable[[ModuleType], None]]:
        """Module -> its change."""
        if self._bind == "transaction":
            return {"sqlalchemy": self.sqlalchemy, "asyncpg": self.asyncpg_transactions}
        return {
            "psycopg": self.psycopg,
            "psycopg2": self.psycopg2,
            "asyncpg": self.asyncpg,
            "pg8000.core": self.pg8000,
        }

    def psycopg(self, module: ModuleType) -> None:
        """libpq takes options of the connection string instead of PGOPTIONS."""
        connection: Any = module.Connection
        async_connection: Any = module.AsyncConnection
        connect = connection.connect.__func__
        aconnect = async_connection.connect.__func__
        parse = module.conninfo.conninfo_to_dict

        def add(conninfo: str, options: dict[str, Any]) -> None:
            known = {k: v for k, v in options.items() if k in ("options", "service")}
            given = parse(conninfo, **known).get("options")
            if self._bind == "options" and given:
                options["options"] = f"{given} {self._option}"

        def connected(cls: Any, conninfo: str = "", **options: Any) -> Any:
            add(conninfo, options)
            conn = connect(cls, conninfo, **options)
            if self._bind == "session":
                with conn.cursor() as cursor:
                    cursor.execute(self._say, prepare=False)
                if not conn.autocommit:
                    conn.commit()
            return conn

        async def aconnected(cls: Any, conninfo: str = "", **options: Any) -> Any:
            add(conninfo, options)
            conn = await aconnect(cls, conninfo, **options)
            if self._bind == "session":
                async with conn.cursor() as cursor:
                    await cursor.execute(self._say, prepare=False)
                if not conn.autocommit:
                    await conn.commit()
            return conn

        connection.connect = classmethod(connected)  # type: ignore[arg-type]
        async_connection.connect = classmethod(aconnected)  # type: ignore[arg-type]
        module.connect = connection.connect  # type: ignore[attr-defined]

    def psycopg2(self, module: ModuleType) -> None:
        """As psycopg; not for its asynchronous connections, which can't wait for a statement."""
        connect: Any = module.connect
        parse = module.extensions.parse_dsn

        def connected(dsn: str | None = None, *args: Any, **options: Any) -> Any:
            given = options.get("options") or (parse(dsn).get("options") if dsn else None)
            if self._bind == "options" and given:
                options["options"] = f"{given} {self._option}"
            conn = connect(dsn, *args, **options)
            if self._bind == "session" and not getattr(conn, "async_", 0):
                with conn.cursor() as cursor:
                    cursor.execute(self._say)
                if not conn.autocommit:
                    conn.commit()
            return conn

        module.connect = connected  # type: ignore[attr-defined]

    def asyncpg(self, module: ModuleType) -> None:
        """Its pools connect by asyncpg.connection, and reset a session to how it began."""
        connection: Any = module.connection
        connect = connection.connect
        reset = connection.Connection.get_reset_query

        async def connected(*args: Any, **options: Any) -> Any:
            if self._bind == "options":
                settings = dict(options.get("server_settings") or {})
                options["server_settings"] = {**settings, _NAME: self._epoch}
            conn = await connect(*args, **options)
            if self._bind == "session":
                await conn.execute(self._say)
            return conn

        def reset_query(conn: Any) -> str:
            return f"{reset(conn)}\n{self._say};"

        connection.connect = module.connect = connected  # type: ignore[attr-defined]
        if self._bind == "session":
            connection.Connection.get_reset_query = reset_query

    def asyncpg_transactions(self, module: ModuleType) -> None:
        """Each of its transactions begins with the epoch."""
        transaction: Any = module.transaction.Transaction
        start = transaction.start
        connection_of = attrgetter("_connection")

        async def started(self_: Any) -> None:
            await start(self_)
            await connection_of(self_).execute(self._say_in_transaction)

        transaction.start = started

    def pg8000(self, module: ModuleType) -> None:
        """It knows parameters of the start of a session, and no environment."""
        import inspect

        core: Any = module.CoreConnection
        begin = core.__init__
        signature = inspect.signature(begin)

        def begun(self_: Any, *args: Any, **options: Any) -> None:
            bound = signature.bind(self_, *args, **options)
            if self._bind == "options" and "startup_params" in signature.parameters:
                given = bound.arguments.get("startup_params") or {}
                bound.arguments["startup_params"] = {**given, _NAME: self._epoch}
                begin(*bound.args, **bound.kwargs)
            else:
                begin(*bound.args, **bound.kwargs)
                self_.execute_simple(self._say)

        core.__init__ = begun

    def sqlalchemy(self, module: ModuleType) -> None:
        """Each transaction of an engine begins with the epoch."""
        from sqlalchemy import event  # type: ignore[import-not-found,unused-ignore]
        from sqlalchemy.engine import Engine  # type: ignore[import-not-found,unused-ignore]

        def begin(conn: Any) -> None:
            if conn.dialect.name == "postgresql":
                conn.exec_driver_sql(self._say_in_transaction)

        event.listen(Engine, "begin", begin)


def _install() -> None:
    epoch, bind = os.environ.get("RECOVERY_EPOCH", ""), os.environ.get("RECOVERY_BIND", "")
    if epoch.isdigit() and bind in ("options", "session", "transaction"):
        sys.meta_path.insert(0, _Finder(_Changes(epoch, bind).all()))


def _chain() -> None:
    """The program's own sitecustomize, or the system's: this one stands before it."""
    rest = [one for one in sys.path if os.path.abspath(one or ".") != _HERE]  # noqa: PTH100
    found = PathFinder.find_spec("sitecustomize", rest)
    if found is None or found.loader is None:
        return
    module = type(sys)("sitecustomize")
    module.__spec__, module.__file__, module.__loader__ = found, found.origin, found.loader
    sys.modules["sitecustomize"] = module
    found.loader.exec_module(module)


_install()
_chain()
