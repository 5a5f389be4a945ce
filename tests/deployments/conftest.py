"""A watched table, and deployments that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from deployments.servers import Deployment
from sql.jobs import TABLE, Connection, attach


@pytest.fixture
def jobs(conn: Connection) -> Connection:
    """A connection to a database with the watched table app.job."""
    conn.execute(TABLE)
    attach(conn)
    return conn


@pytest.fixture
def deploy(dsn: str, jobs: Connection) -> Iterator[Callable[..., Deployment]]:
    """``deploy(kind, workers, **options of serve)``: a server program, started."""
    with ExitStack() as stack:
        yield lambda kind, *arguments, **options: stack.enter_context(
            Deployment(dsn, kind, *arguments, **options)
        )
