"""Real servers and a fresh database for each test.

A test that asks for ``cluster`` (or for a fixture that needs it) runs once on
the oldest and once on the newest PostgreSQL that can be started here.

RECOVERY_TEST_MAJORS   which ones instead: ``18``, ``15,18``, ``newest``, ``all``
RECOVERY_TEST_DSN      a superuser's URI of an existing server to use instead
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import psutil
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from recovery.cluster import Cluster, available

_numbers = itertools.count(1)

# A shell starts what runs in its background with SIGINT and SIGQUIT ignored, nohup with SIGHUP, and
# every child inherits that: tests that send them would wait for ever. A handler ends with exec.
for number, handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGQUIT, signal.SIG_DFL),
    (signal.SIGHUP, lambda *_: None),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)

# Tests prepare transactions and stop clients in their middle; the log takes little room in memory.
SETTINGS = {
    "max_prepared_transactions": 20,
    "log_min_messages": "warning",
    "min_wal_size": "64MB",
    "max_wal_size": "128MB",
}


def _memory() -> str | None:
    """A folder in memory with room for all databases, if there is one.

    Each test has a database of its own, so thousands of files a minute come and go, which costs
    ext4 as much as all else that the tests do.
    """
    folder = "/dev/shm"
    try:
        room = min(shutil.disk_usage(folder).free, psutil.virtual_memory().available)
    except OSError:
        return None
    return folder if room > 12 * 2**30 else None


class Server(Protocol):
    """What every test may ask of ``cluster``; tests that stop servers start their own Cluster."""

    @property
    def major(self) -> int: ...
    def dsn(self, dbname: str = ...) -> str: ...
    def create_database(self, name: str, template: str | None = ...) -> str: ...
    def drop_database(self, name: str) -> None: ...


class ExistingServer:
    """The server of RECOVERY_TEST_DSN."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        with psycopg.connect(dsn) as conn:
            self.major = conn.info.server_version // 10000

    def dsn(self, dbname: str | None = None) -> str:
        if dbname is None:
            return self._dsn
        return urlunsplit(urlsplit(self._dsn)._replace(path="/" + quote(dbname, safe="")))

    def create_database(self, name: str, template: str | None = None) -> str:
        self._execute("create database {} template {}", name, template or "template0")
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        self._execute("drop database if exists {} with (force)", name)

    def _execute(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as conn:
            conn.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cluster" not in metafunc.fixturenames:
        return
    if os.environ.get("RECOVERY_TEST_DSN"):
        params: list[Any] = ["existing"]
    else:
        params = _majors(os.environ.get("RECOVERY_TEST_MAJORS") or "oldest,newest", available())
        if not params:
            params = [pytest.param(None, marks=pytest.mark.skip("no PostgreSQL to start"))]
    marker = metafunc.definition.get_closest_marker("majors")
    if marker is not None and params != ["existing"]:
        named = {"oldest": params[0], "newest": params[-1]}
        wanted = [named.get(name, name) for name in marker.args]
        params = [major for major in params if major in wanted]  # none: pytest skips the test
    metafunc.parametrize("cluster", params, indirect=True, scope="session", ids=lambda m: f"pg{m}")


def _majors(spec: str, have: Any) -> list[Any]:
    """The majors of `have` that a comma-separated list names, oldest first."""
    ordered = sorted(have)
    if not ordered:
        return []
    named = {"oldest": ordered[:1], "newest": ordered[-1:], "all": ordered}
    wanted: set[int] = set()
    for word in spec.replace(" ", "").split(","):
        wanted.update(named[word] if word in named else [int(word)])
    if missing := wanted.difference(ordered):
        raise pytest.UsageError(f"PostgreSQL {sorted(missing)} not found, only {ordered}")
    return sorted(wanted)


class Servers:
    """The servers of this process, each started once: workers mix the majors."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._servers: dict[Any, Server] = {}
        self._templates: dict[Any, str] = {}

    def get(self, major: Any) -> Server:
        if major not in self._servers:
            self._servers[major] = (
                ExistingServer(os.environ["RECOVERY_TEST_DSN"])
                if major == "existing"
                else self._stack.enter_context(Cluster(major, settings=SETTINGS, parent=_memory()))
            )
        return self._servers[major]

    def template(self, server: Server) -> str:
        if server.major not in self._templates:
            from recovery.schema import upgrade

            name = f"recovery_template_{os.getpid()}"
            upgrade(server.create_database(name))
            self._stack.callback(server.drop_database, name)
            with psycopg.connect(server.dsn(), autocommit=True) as conn:
                # Not even autovacuum may come between: a copy needs the template for itself.
                conn.execute(f"alter database {name} with allow_connections false")
            self._templates[server.major] = name
        return self._templates[server.major]


@pytest.fixture(autouse=True)
def _nothing_runs_on() -> Iterator[None]:
    """A test ends its threads: a listener that is left would warn in the tests after it."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while left := [
        thread
        for thread in set(threading.enumerate()) - before
        if thread.name.startswith("recovery-")
    ]:
        if time.monotonic() > deadline:
            pytest.fail(f"the test leaves threads behind: {left}")
        time.sleep(0.01)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """All servers that were started, until the end."""
    with ExitStack() as stack:
        yield Servers(stack)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest, servers: Servers) -> Server:
    """A running server, the same for all tests of one major."""
    return servers.get(request.param)


@pytest.fixture(scope="session")
def template(cluster: Server, servers: Servers) -> str:
    """The name of a database migrated to the newest revision; copied, never used."""
    return servers.template(cluster)


@pytest.fixture
def new_database(cluster: Server) -> Iterator[Callable[..., str]]:
    """``new_database(template=None) -> dsn``: databases that go away with the test."""
    with ExitStack() as stack:

        def create(template: str | None = None) -> str:
            name = f"t_{os.getpid()}_{next(_numbers)}"
            stack.callback(cluster.drop_database, name)
            return cluster.create_database(name, template)

        yield create


@pytest.fixture
def empty_dsn(new_database: Callable[..., str]) -> str:
    """An empty database."""
    return new_database()


@pytest.fixture
def dsn(new_database: Callable[..., str], template: str) -> str:
    """A database of its own, with the schema ``recovery`` and the agent store."""
    return new_database(template)


@pytest.fixture
def connect(dsn: str) -> Iterator[Callable[..., psycopg.Connection[Any]]]:
    """``connect(**options)``: more connections to ``dsn``, autocommit unless told otherwise."""
    with ExitStack() as stack:

        def open_connection(**options: Any) -> psycopg.Connection[Any]:
            conn: psycopg.Connection[Any] = psycopg.connect(dsn, **{"autocommit": True, **options})
            stack.callback(conn.close)
            return conn

        yield open_connection


@pytest.fixture
def conn(connect: Callable[..., psycopg.Connection[Any]]) -> psycopg.Connection[Any]:
    """A connection to ``dsn`` in autocommit."""
    return connect()


@pytest.fixture
def url(dsn: str) -> sa.URL:
    """``dsn`` as SQLAlchemy wants it."""
    return sa.make_url(dsn).set(drivername="postgresql+psycopg")


@pytest.fixture
def engine(url: sa.URL) -> Iterator[sa.Engine]:
    """An SQLAlchemy engine over ``dsn``."""
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()
