"""recovery.examine on consumers of events: far behind, abandoned, and held up by whom."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from sql.jobs import Connection, add, boot, value
from sql.status.examining import codes, examine, only, well


def consumer(conn: Connection, name: str = "mailer") -> None:
    conn.execute("select recovery.create_consumer(%s, 0)", (name,))


def read(conn: Connection, name: str = "mailer") -> None:
    """Takes all that there is, and acknowledges it."""
    conn.execute(
        "select recovery.acknowledge(f.receipt) from ("
        " select receipt from recovery.fetch(%s) order by id desc limit 1) as f",
        (name,),
    )


def drops(conn: Connection, remedy: str) -> None:
    """Types what drops the consumer."""
    conn.execute(remedy[remedy.index("select recovery.drop_consumer") :].encode())


@pytest.fixture
def reader(jobs: Connection) -> Connection:
    """A consumer with nothing to read, and two events that it has had."""
    add(jobs, boot(jobs).epoch, 2)
    consumer(jobs)
    read(jobs)
    well(jobs)
    return jobs


def test_one_that_is_far_behind(reader: Connection) -> None:
    add(reader, None, 3)
    assert codes(reader, about="consumers") == set()
    reader.execute("update recovery.outbox set at = at - interval '2 hours' where id > 200")
    found = only(reader, "consumer-behind", about="consumers")
    assert (found.severity, found.kind, found.subject) == ("warning", "consumer", "mailer")
    assert "3 events behind" in found.problem
    assert "02:00:0" in found.problem
    assert "not acknowledged" not in found.problem
    reader.execute("select count(*) from recovery.fetch('mailer')")
    assert "not acknowledged" in only(reader, "consumer-behind", about="consumers").problem
    assert codes(reader, about="consumers", patience="3 minutes") == set()
    read(reader)
    assert codes(reader, about="consumers") == set()


def test_an_hour_without_events_is_no_delay(reader: Connection) -> None:
    reader.execute("update recovery.outbox set at = at - interval '2 days'")
    reader.execute("update recovery.consumer set seen = seen - interval '2 days'")
    assert codes(reader, about="consumers") == set()


def test_one_that_is_abandoned(reader: Connection) -> None:
    add(reader, None)
    reader.execute("update recovery.outbox set at = at - interval '8 days'")
    reader.execute("update recovery.consumer set seen = seen - interval '8 days'")
    (found,) = examine(reader, "consumers")
    assert (found.code, found.severity, found.subject) == ("consumer-expired", "warning", "mailer")
    assert "8 days" in found.problem
    drops(reader, found.remedy)
    assert codes(reader, about="consumers") == set()


def test_one_that_has_missed_events(reader: Connection) -> None:
    reader.execute("truncate recovery.outbox")
    reader.execute("update recovery.event_floor set id = 4099")
    add(reader, None)
    (found,) = examine(reader, "consumers")
    assert (found.code, found.severity, found.subject) == ("consumer-missed", "warning", "mailer")
    assert "299" in found.problem
    reader.execute(found.remedy[found.remedy.index("select recovery.move") :].encode())
    assert codes(reader, about="consumers") == set()
    # Or its next fetch tells it.
    reader.execute("update recovery.event_floor set id = 8099")
    assert codes(reader, about="consumers") == {"consumer-missed"}
    read(reader)
    read(reader)
    assert codes(reader, about="consumers") == set()


def test_one_whose_position_waits(reader: Connection, writer: Connection) -> None:
    """Delivery goes on, and the transaction is named."""
    writer.execute("set application_name = 'nightly'")
    writer.execute("begin")
    add(writer, None)
    add(reader, None)
    assert value(reader, "select count(*) from recovery.fetch('mailer')") == 1
    read(reader)
    assert codes(reader, about="consumers") == set()  # no minute yet
    found = only(reader, "consumer-held", about="consumers", patience="1 ms")
    assert (found.severity, found.subject) == ("warning", "mailer")
    pid = writer.info.backend_pid
    for part in ("stays at 299", f"pid {pid}", "nightly", writer.info.dbname, "insert into"):
        assert part in found.problem
    assert found.remedy == f"select pg_terminate_backend({pid});"
    reader.execute(found.remedy.encode())
    with pytest.raises(Exception, match=r"terminat|closed"):
        writer.execute("select 1")
    read(reader)
    assert codes(reader, about="consumers", patience="1 ms") <= {"consumer-behind"}


def test_who_is_waited_for(
    reader: Connection, connect: Callable[..., Connection], empty_dsn: str
) -> None:
    """Whoever may still write, in any database, the oldest first; nobody who only reads."""
    reads, late = connect(), connect()
    gid = f"left {value(reader, 'select current_database()')}"
    reads.execute("begin isolation level repeatable read")
    reads.execute("select count(*) from app.job")
    with psycopg.connect(empty_dsn) as holds:
        holds.execute("create table mine (id integer)")
        late.execute("begin")
        late.execute("insert into app.job (status) values ('done')")
        late.execute(f"prepare transaction '{gid}'".encode())
        mine = (holds.info.dbname, reader.info.dbname)
        found = reader.execute(
            "select pid, gid, database, query, who from recovery.open_transaction"
            " where database = any (%s) order by older desc",
            (list(mine),),
        ).fetchall()
        assert [row[:3] for row in found] == [
            (holds.info.backend_pid, None, mine[0]),
            (None, gid, mine[1]),
        ]
        assert found[0][3] == "create table mine (id integer)"
        assert gid in found[1][4]
        reader.execute(f"rollback prepared '{gid}'".encode())


def test_a_listener_may_ask(reader: Connection) -> None:
    """It sees consumers, but not since when others write."""
    reader.execute("update recovery.consumer set seen = seen - interval '8 days'")
    reader.execute("set role recovery_listener")
    assert codes(reader, about="consumers") == {"consumer-expired"}
    reader.execute("select * from recovery.open_transaction")
