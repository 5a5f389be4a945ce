"""A sweep that an operator cancels, or statement_timeout, in the middle of a step: that step is taken back whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from helpers import wait_for
from sql.jobs import Connection, add, attach, boot, events, in_background, statuses, sweep, value
from sql.watchdog.clock import advance, asked, configure, later, reasons, supervise

Connect = Callable[..., Connection]


@pytest.fixture
def work(app: Connection) -> Connection:
    """app.job under the watchdog; a live owner has an overdue row, one that is due, and a burnt-out fuse."""
    app.execute(
        "alter table app.job add column started timestamptz not null default clock_timestamp()"
    )
    attach(app)
    supervise(app, started="started")
    configure(app, "tool_timeout", "10 min")
    configure(app, "cancel_grace", "30 s")
    return app


def slow(conn: Connection, table: str, when: str) -> None:
    """Each such write of a row takes a minute."""
    conn.execute(
        "create function app.dawdle() returns trigger language plpgsql as"
        " 'begin perform pg_sleep(60); return new; end'"
    )
    conn.execute(
        f"create trigger dawdle before {when} on {table}"
        " for each row execute function app.dawdle()".encode()
    )


def state(conn: Connection) -> list[Any]:
    """All that such a step may write."""
    return [
        statuses(conn),
        [(event["id"], event["kind"], event["key"]) for event in events(conn)],
        conn.execute("select id, deadline from recovery.cancellation order by 1").fetchall(),
        conn.execute("select id, retry_at::text from recovery.fuse order by 1").fetchall(),
        conn.execute("select watch, key from recovery.failure order by 1, 2").fetchall(),
        conn.execute("select * from recovery.broken_watch").fetchall(),
    ]


def burn(conn: Connection) -> str:
    (key,) = add(conn, boot(conn, lease="1 day").epoch)
    conn.execute(
        "select recovery.light_fuse('app.job', %s, '1 minute', 'here', 4711, now())", (str(key),)
    )
    advance(conn, "61 seconds")
    slow(conn, "app.job", "update")
    return "fuse_expired"


def expire(conn: Connection) -> str:
    (key,) = add(conn, boot(conn, lease="1 day").epoch)
    later(conn, "11 min")
    assert list(asked(conn)) == [str(key)]
    advance(conn, "31 seconds")
    slow(conn, "app.job", "update")
    return "tool_timeout"


def ask(conn: Connection) -> str:
    add(conn, boot(conn, lease="1 day").epoch)
    advance(conn, "11 min")
    slow(conn, "recovery.cancellation", "insert")
    return "tool_timeout"


@pytest.mark.parametrize("how", ["operator", "statement_timeout"])
@pytest.mark.parametrize("step", [burn, ask, expire], ids=lambda step: step.__name__)
def test_nothing_is_half_done(
    work: Connection, connect: Connect, step: Callable[[Connection], str], how: str
) -> None:
    reason = step(work)
    before = state(work)
    caller = connect()
    if how == "statement_timeout":
        caller.execute("set statement_timeout = '2s'")
    swept = in_background(sweep, caller)
    if how == "operator":
        wait_for(lambda: value(work, "select wait_event = 'PgSleep' from pg_stat_activity"
                                     " where pid = %s", caller.info.backend_pid))  # fmt: skip
        work.execute("select pg_cancel_backend(%s)", (caller.info.backend_pid,))
    assert isinstance(swept.exception(20), psycopg.errors.QueryCanceled)
    assert state(work) == before
    caller.execute("reset statement_timeout")
    work.execute("drop function app.dawdle() cascade")
    sweep(caller)
    if step is ask:
        assert reasons(work, "cancel") == {"1": reason}
    else:
        assert statuses(work) == {1: "failed"}
        assert reasons(work) == {"1": reason}
