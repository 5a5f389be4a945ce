"""Writers in REPEATABLE READ and SERIALIZABLE: an error, never a stranded row."""

from __future__ import annotations

import psycopg
import pytest
from sql.jobs import (
    Connection,
    add,
    boot,
    heartbeat,
    refused,
    statuses,
    sweep,
    value,
    write_as,
)

LEVELS = pytest.mark.parametrize("level", ["repeatable read", "serializable"])


@LEVELS
@pytest.mark.parametrize("by_setting", [True, False])
def test_p04_a_snapshot_older_than_the_end_writes_nothing(
    jobs: Connection, writer: Connection, level: str, by_setting: bool
) -> None:
    dead = boot(jobs)
    writer.execute(f"set default_transaction_isolation = '{level}'")  # type: ignore
    write_as(writer, dead.epoch if by_setting else None)
    with pytest.raises(psycopg.Error) as caught, writer.transaction():
        assert value(writer, "select count(*) from app.job") == 0  # the snapshot
        boot(jobs)
        add(writer, dead.epoch)
    assert caught.value.sqlstate in ("40001", "RC001")
    assert statuses(jobs) == {}


@LEVELS
def test_p04_a_claim_with_an_old_snapshot(
    jobs: Connection, writer: Connection, level: str
) -> None:
    dead = boot(jobs)
    add(jobs, None, status="queued")
    writer.execute(f"set default_transaction_isolation = '{level}'")  # type: ignore
    write_as(writer, dead.epoch)
    with pytest.raises(psycopg.Error) as caught, writer.transaction():
        writer.execute("select from app.job")
        boot(jobs)
        writer.execute("update app.job set status = 'running'")
    assert caught.value.sqlstate in ("40001", "RC001")
    assert statuses(jobs) == {1: "queued"}


@LEVELS
def test_a_heartbeat_disturbs_nobody(jobs: Connection, writer: Connection, level: str) -> None:
    server = boot(jobs)
    writer.execute(f"set default_transaction_isolation = '{level}'")  # type: ignore
    write_as(writer, server.epoch)
    with writer.transaction():
        writer.execute("select from app.job")
        heartbeat(jobs, server)
        writer.execute("insert into app.job default values")
        heartbeat(jobs, server)
        writer.execute("insert into app.job default values")
    assert len(statuses(jobs)) == 2


@LEVELS
def test_p01_a_transaction_that_wrote_before_the_end_leaves_orphans_that_close(
    jobs: Connection, writer: Connection, level: str
) -> None:
    server = boot(jobs)
    writer.execute(f"set default_transaction_isolation = '{level}'")  # type: ignore
    write_as(writer, server.epoch)
    with writer.transaction():
        writer.execute("insert into app.job default values")
    boot(jobs)
    sweep(jobs)
    assert statuses(jobs) == {1: "failed"}


def test_a_read_only_transaction_may_ask(jobs: Connection) -> None:
    server = boot(jobs)
    jobs.execute("set default_transaction_isolation = 'repeatable read'")
    jobs.execute("set default_transaction_read_only = on")
    jobs.execute("select recovery.assert_live(%s)", (server.epoch,))
    with refused("RC002"):
        jobs.execute("select recovery.assert_live(17)")


@LEVELS
def test_the_agents_tables_too(conn: Connection, level: str) -> None:
    dead = boot(conn)
    boot(conn)
    conn.execute(f"set default_transaction_isolation = '{level}'")  # type: ignore
    write_as(conn, dead.epoch)
    with refused("RC001"):
        conn.execute(
            "insert into agent.session (id, time_created, time_updated, time_compacting)"
            " values ('ses_1', 1, 1, 1)"
        )
