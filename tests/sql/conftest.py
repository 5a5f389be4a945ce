"""Fixtures of the tests of the SQL core."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sql.jobs import TABLE, Connection, attach


@pytest.fixture
def app(conn: Connection) -> Connection:
    """A connection to a database with the table app.job, not watched yet."""
    conn.execute(TABLE)
    return conn


@pytest.fixture
def jobs(app: Connection) -> Connection:
    """A connection to a database with the watched table app.job."""
    attach(app)
    return app


@pytest.fixture
def writer(jobs: Connection, connect: Callable[..., Connection]) -> Connection:
    """A second session, beside `jobs`."""
    return connect()
