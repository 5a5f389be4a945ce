"""More has appeared in the gaps than fits into a page: what stands above waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from sql.jobs import TABLE, add, attach, last_event

Connection = psycopg.Connection[Any]


@pytest.fixture
def late(conn: Connection, connect: Callable[..., Connection]) -> list[int]:
    """Ten rows whose opening commits after a position has passed it; then the last one is closed."""
    conn.execute(TABLE)
    attach(conn)
    conn.execute("select recovery.create_consumer('c', 0)")
    slow = connect()
    with slow.transaction():
        keys = add(slow, None, 10)
        add(conn, None, 1)
        (row,) = conn.execute("select id, receipt from recovery.fetch('c')").fetchall()
        assert row[0] == last_event(conn)
        conn.execute("select recovery.acknowledge(%s)", (row[1],))
    conn.execute("update app.job set status = 'done' where id = %s", (keys[-1],))
    return keys


@pytest.mark.parametrize("limit", [1, 3, 10, 11, 100])
def test_p9_order_per_row_in_the_pages_of_a_consumer(
    conn: Connection, late: list[int], limit: int
) -> None:
    told = []
    while True:
        rows = conn.execute(
            "select key, kind, receipt from recovery.fetch('c', %s) order by id", (limit,)
        ).fetchall()
        if not rows:
            break
        told += [(int(key), kind) for key, kind, _ in rows]
        conn.execute("select recovery.acknowledge(%s)", (rows[-1][2],))
    assert told == [*((key, "opened") for key in late), (late[-1], "closed")]


@pytest.mark.parametrize("limit", [1, 3, 10, 11, 100])
def test_p9_order_per_row_in_pages(conn: Connection, late: list[int], limit: int) -> None:
    newest, gaps = conn.execute("select newest, gaps::text from recovery.consumer").fetchone()  # type: ignore
    told, full = [], True
    while full:
        (*_, newest, gaps, full), *rows = conn.execute(
            'select key, kind, newest, gaps::text, "full" from recovery.page(%s, %s::int8multirange, %s)',
            (newest, gaps, limit),
        ).fetchall()
        told += [(int(key), kind) for key, kind, *_ in rows]
    assert told == [*((key, "opened") for key in late), (late[-1], "closed")]
