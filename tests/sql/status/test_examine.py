"""recovery.examine: what it says when all is well, whom it serves, and that nothing stops it."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from helpers import wait_for_lock
from sql.jobs import Connection, boot, in_background, refused, value, write_as
from sql.status.examining import codes, examine, number, only, well

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def login(jobs: Connection) -> Iterator[Callable[..., Connection]]:
    """``login(role, …)``: a connection of a login that is a member of these roles."""
    made: list[tuple[Connection, str]] = []

    def make(*roles: str, **options: str) -> Connection:
        name = f"login_{os.getpid()}_{len(made)}"
        jobs.execute(f"create role {name} login".encode())
        for role in roles:
            jobs.execute(f"grant {role} to {name}".encode())
        dsn = make_conninfo(jobs.info.dsn, user=name, password=None, **options)
        made.append((psycopg.connect(dsn, autocommit=True), name))
        return made[-1][0]

    yield make
    for conn, name in made:
        conn.close()
        jobs.execute(f"drop owned by {name}".encode())
        jobs.execute(f"drop role {name}".encode())


def test_all_is_well(jobs: Connection) -> None:
    write_as(jobs, boot(jobs).epoch)
    jobs.execute("insert into app.job default values")
    well(jobs)


def test_each_subject_alone(jobs: Connection) -> None:
    jobs.execute("alter table app.job disable trigger recovery_20_update")
    assert codes(jobs, about="triggers") == {"trigger-disabled"}
    assert codes(jobs, about="sweeps") == {"sweep-missing"}
    assert codes(jobs, about="indexes") == set()
    with refused("RC010", "there is no examination 'all'"):
        examine(jobs, about="all")
    with refused("RC010", "patience"):
        examine(jobs, patience="-1 s")


@pytest.mark.parametrize("role", ["recovery_listener", "recovery_server"])
def test_a_login_that_is_no_superuser(
    jobs: Connection, login: Callable[..., Connection], role: str
) -> None:
    """It finds the same, and says what it can't see."""
    other = login(role)
    jobs.execute("alter table app.job disable trigger recovery_20_update")
    jobs.execute(f"drop index app.recovery_open_{number(jobs)}".encode())
    jobs.execute("insert into app.job default values")
    here, there = codes(jobs), codes(other)
    assert here == {"trigger-disabled", "index-missing", "sweep-missing", "writer-unbound"} or (
        here == {"trigger-disabled", "index-missing", "sweep-missing", "rows-unowned"}
    )
    reads_only = {"login-reads-only"} if role == "recovery_listener" else set()
    assert there == here | {"sessions-hidden"} | reads_only
    for code in {"sessions-hidden"} | reads_only:
        jobs.execute(only(other, code).remedy.encode())
    assert codes(other) == here


def test_one_check_that_fails_stops_no_other(
    jobs: Connection, login: Callable[..., Connection]
) -> None:
    """P14: it is named, with what to do."""
    other = login("recovery_server", "pg_read_all_stats")
    jobs.execute("alter table app.job disable trigger recovery_20_update")
    jobs.execute("revoke execute on function recovery._examine_leftovers() from recovery_server")
    assert codes(other) == {"check-failed", "trigger-disabled", "sweep-missing"}
    found = only(other, "check-failed")
    assert (found.kind, found.subject) == ("check", "leftovers")
    assert "permission denied" in found.problem


def test_a_lock_on_one_table_stops_no_other(
    jobs: Connection, writer: Connection, connect: Callable[..., Connection]
) -> None:
    jobs.execute("create table app.other (id int primary key, status text)")
    jobs.execute(
        "select recovery.attach('app.other', $$status = 'running'$$, $${\"status\": \"'failed'\"}$$)"
    )
    jobs.execute("alter table app.other disable trigger recovery_20_update")
    with writer.transaction():
        writer.execute("lock table app.job in access exclusive mode")
        asking = in_background(examine, jobs, "watches")
        wait_for_lock(connect(), jobs.info.backend_pid)
        (found,) = asking.result(20)
        assert (found.code, found.subject) == ("check-failed", "watches of app.job")
        assert "lock timeout" in found.problem
        assert only(jobs, "trigger-disabled").subject == "app.other"
    assert codes(jobs, about="watches") == set()


def test_looking_takes_no_lock_that_a_host_notices(jobs: Connection, writer: Connection) -> None:
    """P13: readers, writers and whoever reads its own row for update go on beside it."""
    with jobs.transaction():
        examine(jobs)
        modes = {
            row[0]
            for row in jobs.execute(
                "select mode from pg_locks where pid = pg_backend_pid()"
                " and relation = 'app.job'::regclass"
            )
        }
        assert modes <= {"AccessShareLock", "RowShareLock", "RowExclusiveLock"}
        writer.execute("set lock_timeout = '1s'")
        writer.execute("insert into app.job default values")
        writer.execute("update app.job set status = 'done'")


def test_it_changes_nothing(jobs: Connection) -> None:
    jobs.execute("alter table app.job disable trigger recovery_20_update")
    with jobs.transaction():
        jobs.execute("set transaction read only")
        assert "trigger-disabled" in codes(jobs)
        assert value(jobs, "select pg_current_xact_id_if_assigned()") is None


def test_two_at_once(jobs: Connection, writer: Connection) -> None:
    results: list[set[str]] = []
    threads = [
        threading.Thread(target=lambda conn=conn: results.append(codes(conn)))
        for conn in (jobs, writer)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [{"sweep-missing"}] * 2


def test_the_files_say_their_codes_as_the_table_of_codes_reads_them() -> None:
    """What recovery.examine's functions return stands there as literals: the page lists them."""
    for path in sorted((ROOT / "sql/status").glob("_examine_*.sql")):
        text = path.read_text()
        body = text[text.index("as $$") :]
        selects = len(re.findall(r"^ *(?:select|return next row\()", body, re.MULTILINE))
        assert re.findall(r"'[a-z]+(?:-[a-z]+)+'", body), path
        assert selects
