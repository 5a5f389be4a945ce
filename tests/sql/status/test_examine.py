"""recovery.examine: every check has a line, and what is wrong is named with what to do."""

from __future__ import annotations

import pytest

from sql.jobs import Connection, add, attach, boot, lapse, sweep, value, write_as

CHECKS = """login database roles sweeper watches triggers indexes sessions owners orphans entries
    silence ends failures replication""".split()


def examine(conn: Connection) -> dict[str, list[tuple[str, str | None, str, str | None]]]:
    """Check -> (state, subject, finding, remedy) of its lines."""
    found: dict[str, list[tuple[str, str | None, str, str | None]]] = {}
    for name, *line in conn.execute(
        "select name, state, subject, finding, remedy from recovery.examine()"
    ):
        found.setdefault(name, []).append(tuple(line))  # type: ignore
    return found


def wrong(conn: Connection) -> dict[str, list[tuple[str | None, str]]]:
    """Check -> subject and finding of its problems; the login of the tests is a superuser."""
    return {
        name: [
            (subject, finding)
            for state, subject, finding, remedy in lines
            if state == "problem" and remedy
        ]
        for name, lines in examine(conn).items()
        if name != "login" and any(state == "problem" for state, *_ in lines)
    }


def test_all_is_well(jobs: Connection) -> None:
    write_as(jobs, boot(jobs).epoch)
    jobs.execute("insert into app.job default values")
    sweep(jobs)
    found = examine(jobs)
    assert list(found) == CHECKS
    assert wrong(jobs) == {}
    assert all(state == "ok" for name in CHECKS[1:] for state, *_ in found[name])


@pytest.mark.majors("oldest")
def test_a_superuser(jobs: Connection) -> None:
    ((state, _, finding, _),) = examine(jobs)["login"]
    assert (state, "superuser" in finding) == ("problem", True)


def test_nobody_sweeps(jobs: Connection) -> None:
    assert wrong(jobs) == {"sweeper": [(None, "nobody has swept yet")]}
    sweep(jobs)
    assert wrong(jobs) == {}
    jobs.execute("update recovery.clock set shift = '2 minutes'")
    assert "nobody has swept for 00:02:0" in wrong(jobs)["sweeper"][0][1]


def test_a_watch_whose_statements_can_not_be_planned(app: Connection) -> None:
    app.execute(
        "create function app.words(text) returns text language sql immutable as 'select $1'"
    )
    attach(app, close='{"status": "\'failed\'", "error": "app.words(c.message)"}')
    sweep(app)
    assert wrong(app) == {}
    app.execute("drop function app.words")
    ((subject, finding),) = wrong(app)["watches"]
    assert subject == "app.job"
    assert "app.words" in finding


def test_triggers_without_a_watch(jobs: Connection) -> None:
    sweep(jobs)
    jobs.execute("alter table recovery.watch disable trigger user")
    jobs.execute("delete from recovery.watch where name = 'app.job'")
    assert wrong(jobs)["watches"] == [
        ("app.job", "has our triggers, and is not watched: restored without its watch")
    ]


def test_triggers_indexes_and_sessions(jobs: Connection) -> None:
    sweep(jobs)
    jobs.execute("alter table app.job disable trigger recovery_20_update")
    jobs.execute(
        "update pg_index set indisvalid = false where indrelid = 'app.job'::regclass and not indisprimary"
    )
    jobs.execute("set session_replication_role = replica")
    assert set(wrong(jobs)) == {"triggers", "indexes", "sessions"}


def test_rows_that_nobody_owns(jobs: Connection) -> None:
    sweep(jobs)
    add(jobs, None, 2)
    assert wrong(jobs)["owners"][0][1].startswith("2 open rows belong to nobody")
    jobs.execute("select recovery.configure('unowned_expected', 'true', 'app.job')")
    assert wrong(jobs) == {}


def test_orphans_failures_and_entries(jobs: Connection) -> None:
    server = boot(jobs)
    (first, _) = add(jobs, server.epoch, 2)
    jobs.execute(
        "insert into recovery.fuse (family, scope, watch, key, pid, ttl, expires)"
        " values ('app.job', 'row', 'app.job', 'x', 1, '1 h', 'infinity')"
    )
    jobs.execute(f"alter table app.job add check (id <> {first} or status <> 'failed') not valid")  # type: ignore
    lapse(jobs, server.epoch)
    sweep(jobs)
    found = wrong(jobs)
    assert set(found) == {"orphans", "failures", "entries"}
    assert found["orphans"] == [("app.job", "1 open rows of servers that have ended")]
    assert "violates check constraint" in found["failures"][0][1]
    assert found["entries"][0][0] == "fuse 1"


def test_a_server_that_is_held_back(jobs: Connection) -> None:
    server = boot(jobs)
    sweep(jobs)
    jobs.execute("update recovery.clock set shift = '16 seconds'")
    jobs.execute("update recovery.observation set since = recovery._now(), swept = recovery._now()")
    ((subject, finding),) = wrong(jobs)["silence"]
    assert subject == f"api (epoch {server.epoch})"
    assert "is not declared dead before" in finding


def test_an_end_that_is_pending(jobs: Connection, writer: Connection) -> None:
    server = boot(jobs)
    jobs.execute("create table app.note (epoch bigint references recovery.server (epoch))")
    with writer.transaction():
        writer.execute("insert into app.note values (%s)", (server.epoch,))
        boot(jobs, lock_wait="100 ms")
        sweep(jobs, lock_wait="100 ms")
        ((subject, finding),) = wrong(jobs)["ends"]
        assert subject == f"api (epoch {server.epoch})"
        assert finding.startswith("is to end (superseded)")


def test_roles_that_are_not_what_they_were(jobs: Connection) -> None:
    sweep(jobs)
    role = value(jobs, "select role from recovery.runner limit 1")
    with jobs.transaction(force_rollback=True):
        jobs.execute(f"alter role {role} createrole")  # type: ignore
        assert wrong(jobs)["roles"] == [(role, "can log in or has rights of its own")]
    with jobs.transaction(force_rollback=True):
        jobs.execute(f"revoke recovery_runner from {role}")  # type: ignore
        assert wrong(jobs)["roles"] == [(role, "is not what runs for its owner any more")]


def test_a_restore_without_owners_or_rows(jobs: Connection) -> None:
    sweep(jobs)
    with jobs.transaction(force_rollback=True):
        jobs.execute("alter table recovery.event owner to current_user")
        assert "do not belong to recovery_owner" in wrong(jobs)["database"][0][1]
    jobs.execute("delete from recovery.clock")
    assert ("recovery.clock", "its one row is missing") in wrong(jobs)["database"]
