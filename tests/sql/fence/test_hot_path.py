"""Streaming updates of open work pay a WHEN clause and nothing else."""

from __future__ import annotations

from sql.jobs import Connection, add, boot, kinds, last_event, value, write_as


def calls_of_triggers(conn: Connection) -> int:
    conn.execute("select pg_stat_force_next_flush()")
    return int(
        value(
            conn,
            "select coalesce(sum(calls), 0) from pg_stat_user_functions where funcname like 'watch\\_%%'",
        )
    )


def test_streaming_fires_no_trigger(jobs: Connection) -> None:
    jobs.execute("set track_functions = 'all'")
    server = boot(jobs)
    write_as(jobs, server.epoch)
    (id_,) = add(jobs, server.epoch)
    before, seen = calls_of_triggers(jobs), last_event(jobs)
    assert before == 1
    for note in "abc":
        jobs.execute("update app.job set note = %s where id = %s", (note, id_))
    assert (calls_of_triggers(jobs), last_event(jobs)) == (before, seen)


def test_streaming_takes_no_lock_on_the_epoch(jobs: Connection) -> None:
    server = boot(jobs)
    write_as(jobs, server.epoch)
    add(jobs, server.epoch)
    with jobs.transaction():
        jobs.execute("update app.job set note = 'x'")
        assert value(jobs, "select count(*) from pg_locks where locktype = 'advisory'") == 0


def test_inserting_closed_work_fires_no_trigger(jobs: Connection) -> None:
    jobs.execute("set track_functions = 'all'")
    add(jobs, None, 5, status="done")
    jobs.execute("delete from app.job")
    assert calls_of_triggers(jobs) == 0
    assert kinds(jobs) == []
