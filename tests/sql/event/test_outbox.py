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


@pytest.mark.parametrize("suffix", ["", "_single"])
def test_each_record_is_in_the_partition_of_its_id(
    conn: Connection, outbox: str, suffix: str
) -> None:
    """Also where one statement goes on from a partition to the next."""
    block = 2_000_000_000
    for number in range(1, 6):
        conn.execute("select setval('recovery.outbox_id_seq', %s)", (number * block - 200,))
        conn.execute(
            f"insert into {outbox}{suffix} (watch, kind, key, detector)"
            " select 'app.job', 'closed', n::text, 'x' from generate_series(1, 3) as n"
            " order by random()".encode()
        )
    rows = conn.execute(
        "select id, slot, tableoid::regclass::text from recovery.outbox order by id"
    ).fetchall()
    assert rows == [
        (id_, id_ // block % 4, f"recovery.outbox_slot_{id_ // block % 4}")
        for number in range(1, 6)
        for id_ in (number * block - 100, number * block, number * block + 100)
    ]
