"""What a family's runner may append to the outbox: whole records of its own watches."""

from __future__ import annotations

import pytest

from sql.jobs import TABLE, Connection, attach, refused, value


@pytest.fixture
def outbox(conn: Connection) -> str:
    conn.execute(TABLE)
    attach(conn)
    number = value(conn, "select outbox from recovery.watch where name = 'app.job'")
    return f"recovery.outbox_{number}"


def append(
    conn: Connection, outbox: str, columns: str, values: str, watch: str = "app.job"
) -> None:
    conn.execute(
        f"insert into {outbox} (watch, kind, detector, {columns}) select %s, 'closed', 'x', {values}".encode(),
        (watch,),
    )


KEYS = "(select array_agg(n::text) from generate_series(1, {}) as n)"


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("key", "'1'"),
        ("key, group_key", "'1', 'g'"),
        ("keys", KEYS.format(2)),
        ("keys, group_keys", f"{KEYS.format(100)}, {KEYS.format(100)}"),
    ],
)
def test_whole_records(conn: Connection, outbox: str, columns: str, values: str) -> None:
    append(conn, outbox, columns, values)
    with refused("44000"):
        append(conn, outbox, columns, values, watch="another")


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ("key", "null"),
        ("keys", "'{}'::text[]"),
        ("keys", "array[array['1'], array['2']]"),
        ("keys", KEYS.format(101)),  # its ids would be those of the next record
        ("key, keys", "'1', array['1', '2']"),
        ("group_key, keys", "'g', array['1', '2']"),
        ("key, group_keys", "'1', array['g']"),
    ],
)
def test_nothing_else(conn: Connection, outbox: str, columns: str, values: str) -> None:
    with refused("44000"):
        append(conn, outbox, columns, values)
    assert value(conn, "select count(*) from recovery.outbox") == 0


def test_one_event_in_a_record(conn: Connection, outbox: str) -> None:
    append(conn, f"{outbox}_single", "key, group_key", "'1', 'g'")
    with refused("44000"):
        append(conn, f"{outbox}_single", "key", "'1'", watch="another")
    with refused("44000"):
        append(conn, f"{outbox}_single", "key", "null")
    with refused("42703"):
        append(conn, f"{outbox}_single", "keys", "array['1', '2']")
    assert value(conn, "select count(*) from recovery.outbox") == 1
