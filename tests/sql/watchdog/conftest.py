"""Fixtures of the tests of the watchdog."""

from __future__ import annotations

import pytest

from sql.jobs import Connection, attach
from sql.watchdog.clock import supervise


@pytest.fixture
def work(app: Connection) -> Connection:
    """app.job under the watchdog: kind, moved and waits are columns; tool_timeout is 10 minutes."""
    app.execute(
        "alter table app.job add column kind text default 'bash', add column moved timestamptz,"
        " add column waits boolean not null default false, add column child text, add column session text,"
        " add column started timestamptz not null default clock_timestamp()"
    )
    attach(app)
    supervise(app, kind="kind", activity="moved", hold="waits", started="started")
    app.execute("select recovery.configure('tool_timeout', '10 min')")
    return app
