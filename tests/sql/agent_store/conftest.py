"""Fixtures of the tests of the agent store."""

from __future__ import annotations

import pytest

from sql.agent_store.store import Store
from sql.jobs import Connection, boot


@pytest.fixture
def store(conn: Connection) -> Store:
    """The store of a live server, with a session ses_1."""
    store = Store(conn, boot(conn, "agent").epoch)
    store.session("ses_1")
    return store
