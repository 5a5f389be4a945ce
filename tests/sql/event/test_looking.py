"""To look at events: the newest, by the end of the index, and those since a time."""

from __future__ import annotations

import random
from typing import Any

import psycopg
import pytest

from sql.jobs import Connection, add, boot, refused, value

Row = dict[str, Any]

COLUMNS = "id, at, server_epoch, watch, kind, topic, key, group_key, reason, detector, old, new"


def query(conn: Connection, text: str, *parameters: Any) -> list[Row]:
    with conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(text, parameters).fetchall()  # type: ignore


def fill(conn: Connection, seed: int) -> None:
    """Records of one event and of many, as closings write them."""
    dice = random.Random(seed)
    for n in range(60):
        fixed = (dice.choice("ab"), dice.choice(("opened", "closed")), dice.choice((None, "t", "u")),
                 dice.choice((None, "r")), dice.choice((None, 1, 2)))  # fmt: skip
        if dice.random() < 0.4:
            keys = [f"{n}.{i}" for i in range(dice.randint(1, 100))]
            groups = None if dice.random() < 0.3 else [dice.choice((None, "g", "h")) for _ in keys]
            conn.execute(
                "insert into recovery.outbox (watch, kind, topic, reason, server_epoch, detector, keys,"
                " group_keys) values (%s, %s, %s, %s, %s, 'x', %s::text[], %s::text[])",
                (*fixed, keys, groups),
            )
        else:
            conn.execute(
                "insert into recovery.outbox (watch, kind, topic, reason, server_epoch, detector, key,"
                " group_key) values (%s, %s, %s, %s, %s, 'x', %s, %s)",
                (*fixed, str(n), dice.choice((None, "g", "h"))),
            )


@pytest.mark.parametrize("seed", range(3))
def test_the_newest_are_those_of_the_view(conn: Connection, seed: int) -> None:
    fill(conn, seed)
    dice = random.Random(seed)
    column = {"watch": "watch", "group": "group_key", "reason": "reason", "kind": "kind",
              "topic": "topic", "epoch": "server_epoch"}  # fmt: skip
    choices: dict[str, list[Any]] = {
        "watch": ["a", "b", "none"], "group": [None, "g", "h", "none"], "reason": [None, "r"],
        "kind": ["opened", "closed"], "topic": [None, "t", "u"], "epoch": [None, 1, 2],
    }  # fmt: skip
    some = 0
    for _ in range(60):
        names = dice.sample(sorted(choices), dice.randint(0, 3))
        wanted = {name: dice.sample(choices[name], dice.randint(1, 2)) for name in names}
        limit = dice.choice((1, 3, 50, 150, 10_000))
        lists = {name: f"%s::{'bigint' if name == 'epoch' else 'text'}[]" for name in names}
        told = query(
            conn,
            f"select {COLUMNS} from recovery.latest(%s"
            + "".join(f", p_{name} => {lists[name]}" for name in names)
            + ")",
            limit,
            *wanted.values(),
        )
        there = query(
            conn,
            f"select {COLUMNS} from (select * from recovery.event where true"
            + "".join(f" and array_position({lists[n]}, {column[n]}) is not null" for n in names)
            + " order by id desc limit %s) as e order by id",
            *wanted.values(),
            limit,
        )
        assert told == there, wanted
        some += len(told) > 0
    assert some > 20


def test_the_newest_are_read_from_the_end(conn: Connection) -> None:
    conn.execute(
        "insert into recovery.outbox (watch, kind, key, detector)"
        " select 'w', 'opened', n::text, 'x' from generate_series(1, 20000) as n"
    )
    conn.execute("analyze recovery.outbox")
    with conn.transaction():
        assert len(query(conn, "select * from recovery.latest(30)")) == 30
        read = query(
            conn,
            "select sum(seq_tup_read) as whole, sum(idx_tup_fetch) as probed"
            " from pg_stat_xact_user_tables where schemaname = 'recovery' and relname like 'outbox%%'",
        )
    assert read[0]["whole"] == 0
    assert 30 <= read[0]["probed"] < 100


@pytest.mark.parametrize("limit", [0, -1, 100_001, None])
def test_a_limit_that_cannot_be(conn: Connection, limit: int | None) -> None:
    with refused("RC010"):
        conn.execute("select recovery.latest(%s)", (limit,))


BLOCK = 2_000_000_000


def since(conn: Connection, when: str) -> int:
    return int(value(conn, "select recovery.event_since(%s::text::timestamptz)", when))


def test_since_a_time(conn: Connection) -> None:
    """All that is of that time and later, and not much more: also where ids leave out billions."""
    conn.execute("select setval('recovery.outbox_id_seq', 100, false)")
    hours: list[tuple[int, int]] = []
    for hour in range(24):
        if hour in (7, 15):  # a new partition
            conn.execute("select setval('recovery.outbox_id_seq', %s)", (BLOCK * (hour // 7),))
        for _ in range(hour % 3):  # some hours have none
            id_ = value(
                conn,
                "insert into recovery.outbox (at, watch, kind, key, detector)"
                " values ('2026-03-01 00:30'::timestamptz + make_interval(hours => %s), 'w', 'x', '', 'x')"
                " returning id",
                hour,
            )
            hours.append((hour, id_))
    last = hours[-1][1]
    for hour in range(25):
        after = since(conn, f"2026-03-01 {hour:02}:00" if hour < 24 else "2026-03-02 00:00")
        told = [id_ for at, id_ in hours if at >= hour]
        assert [id_ for _, id_ in hours if id_ > after] == told, hour
        assert after < BLOCK * 3
    assert since(conn, "-infinity") == 0
    assert since(conn, "2020-01-01") == 0
    assert since(conn, "infinity") == last + 99
    assert since(conn, "2030-01-01") == last + 99
    with refused("RC010"):
        conn.execute("select recovery.event_since(null)")


def test_since_goes_a_minute_back(conn: Connection) -> None:
    """What a batch wrote has one time; clocks are set."""
    for second in (0, 50, 30, 55):
        conn.execute(
            "insert into recovery.outbox (at, watch, kind, key, detector)"
            " values ('2026-03-01 00:00'::timestamptz + make_interval(secs => %s), 'w', 'x', '', 'x')",
            (second,),
        )
    assert since(conn, "2026-03-01 00:00:52") == 0
    assert since(conn, "2026-03-01 00:02:00") == 499


def test_since_on_what_is_not_there(conn: Connection) -> None:
    assert since(conn, "2026-03-01") == 0
    assert since(conn, "infinity") == 0
    conn.execute("update recovery.event_floor set id = 4099")
    assert since(conn, "2026-03-01") == 4099
    assert since(conn, "infinity") == 4099


def test_how_far_behind(jobs: Connection) -> None:
    """Also where a new partition has begun, and ids left out two billion."""
    behind = "select behind from recovery.consumer_status where name = 'reader'"
    epoch = boot(jobs).epoch
    add(jobs, epoch)
    jobs.execute("select recovery.create_consumer('reader')")
    assert value(jobs, behind) == 0
    add(jobs, epoch, 3)
    assert value(jobs, behind) == 3
    jobs.execute("select setval('recovery.outbox_id_seq', %s)", (BLOCK,))
    assert value(jobs, behind) == 3
    add(jobs, epoch, 2)
    assert value(jobs, behind) == 5
    jobs.execute("select recovery.move_consumer('reader')")
    assert value(jobs, behind) == 0
    add(jobs, epoch)
    assert value(jobs, behind) == 1
