"""A watched table, and server processes that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from chaos.actors import Actor
from sql.jobs import TABLE, Connection, attach

Start = Callable[..., Actor]


@pytest.fixture
def jobs(conn: Connection) -> Connection:
    """A connection to a database with the watched table app.job."""
    conn.execute(TABLE)
    attach(conn)
    return conn


@pytest.fixture
def actors() -> Iterator[Start]:
    """``actors(dsn, name, **options of serve)``: processes, started; `Actor.ready` waits."""
    with ExitStack() as stack:

        def start(dsn: str, name: str, **options: Any) -> Actor:
            actor = Actor(dsn, name, **options)
            stack.callback(actor.close)
            return actor

        yield start


@pytest.fixture
def start(dsn: str, jobs: Connection, actors: Start) -> Start:
    """``start(name, **options of serve)``: a process on `jobs`."""
    return lambda name, **options: actors(dsn, name, **options)
