"""P11: three roles, each with what it needs; anybody with rights on a table may write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from sql.jobs import (
    Connection,
    add,
    boot,
    heartbeat,
    kinds,
    refused,
    shutdown,
    statuses,
    sweep,
    value,
    write_as,
)

As = Callable[[str], Connection]

FOR_THE_OWNER = [
    "insert into recovery.outbox (watch, kind, key, detector) values ('x', 'x', 'x', 'x')",
    "update recovery.outbox set reason = 'x'",
    "delete from recovery.outbox",
    "update recovery.server set ended = null, reason = null",
    "delete from recovery.failure",
    "update recovery.watch set open = 'true'",
    "select recovery.attach('app.job', 'true', '{}')",
    "select recovery.detach('app.job')",
    "select recovery_private.run_1('select 1', null, 'read')",
    "alter function recovery_private.run_1 security invoker",
    "create function recovery_private.mine() returns void language sql as ''",
    "select recovery._end_epoch(1, 'x', '1 second')",
    "select recovery._announce_events(1, 2)",
    "select token from recovery.server",
    "select * from recovery.server",
    "select * from recovery.outbox",
    "select * from recovery.consumer",
    "update recovery.consumer set newest = 0",
    "delete from recovery.event_mark",
    "select setval('recovery.bell_event', 1)",
]


@pytest.fixture
def acting(jobs: Connection, connect: Callable[..., Connection]) -> Iterator[As]:
    """``acting(role)``: a session of a login with that role (or none), and rights on app.job."""
    logins: list[str] = []

    def session(role: str) -> Connection:
        login = f"recovery_test_{os.getpid()}_{role or 'none'}"
        jobs.execute(f"create role {login} login")  # type: ignore
        logins.append(login)
        if role:
            jobs.execute(f"grant {role} to {login}")  # type: ignore
        jobs.execute(f"grant usage on schema app to {login}")  # type: ignore
        jobs.execute(f"grant select, insert, update, delete on app.job to {login}")  # type: ignore
        conn = connect()
        conn.execute(f"set session authorization {login}")  # type: ignore
        return conn

    yield session
    for login in logins:
        jobs.execute(f"drop owned by {login}")  # type: ignore
        jobs.execute(f"drop role {login}")  # type: ignore


def test_p11_a_server_boots_works_and_stops(acting: As, jobs: Connection) -> None:
    server = acting("recovery_server")
    dead = boot(server)
    write_as(server, dead.epoch)
    server.execute("insert into app.job default values")
    write_as(server, None)
    booted = boot(server)
    assert booted.closed == {"app.job": 1}
    heartbeat(server, booted)
    server.execute("select recovery.assert_live(%s)", (booted.epoch,))
    sweep(server)
    assert value(server, "select count(*) from recovery.event") == 2
    assert value(server, "select count(*) from recovery.server_status") == 2
    assert value(server, "select count(*) from recovery.watch_status") > 0
    shutdown(server, booted.epoch, token=booted.token)
    assert statuses(jobs) == {1: "failed"}


def test_p11_a_server_closes_rows_of_tables_that_it_may_not_touch(
    acting: As, jobs: Connection
) -> None:
    server = acting("recovery_server")
    add(jobs, boot(jobs).epoch)
    jobs.execute("revoke all on app.job from public")
    jobs.execute(f"revoke all on app.job from {value(server, 'select session_user')}")  # type: ignore
    assert boot(server).closed == {"app.job": 1}


@pytest.mark.parametrize("role", ["recovery_server", "recovery_listener", ""])
def test_p11_what_only_the_owner_may(acting: As, role: str) -> None:
    session = acting(role)
    for statement in FOR_THE_OWNER:
        with refused("42501"):
            session.execute(statement)  # type: ignore


def test_p11_a_listener_reads(acting: As, jobs: Connection) -> None:
    add(jobs, boot(jobs).epoch)
    listener = acting("recovery_listener")
    for statement in (
        "select count(*) from recovery.event",
        "select newest / 100 from recovery.tail()",
        "select count(*) from recovery.read()",
        "select count(epoch) from recovery.server",
        "select count(*) from recovery.server_status",
    ):
        assert value(listener, statement) == 1
    value(listener, "select count(*) from recovery.failure")
    listener.execute("listen recovery")


def test_p11_a_listener_changes_nothing(acting: As, jobs: Connection) -> None:
    server = boot(jobs)
    listener = acting("recovery_listener")
    with refused("42501"):
        boot(listener)
    with refused("42501"):
        sweep(listener)
    with refused("42501"):
        shutdown(listener, server.epoch)
    with refused("42501"):
        heartbeat(listener, server)


def test_p11_a_writer_without_any_role_of_ours(acting: As, jobs: Connection) -> None:
    server = boot(jobs)
    writer = acting("")
    writer.execute("insert into app.job default values")
    write_as(writer, server.epoch)
    writer.execute("insert into app.job default values")
    writer.execute("update app.job set status = 'done'")
    writer.execute("update app.job set status = 'running'")
    writer.execute("delete from app.job")
    told = [kind for kind, _ in kinds(jobs)]
    assert told == ["opened"] * 2 + ["closed"] * 2 + ["reopened"] * 2 + ["deleted"] * 2
    with refused("42501"):
        writer.execute("select * from recovery.event")
    with refused("42501"):
        boot(writer)


def test_p04_p11_a_zombie_without_any_role_is_fenced(acting: As, jobs: Connection) -> None:
    dead = boot(jobs)
    boot(jobs)
    writer = acting("")
    write_as(writer, dead.epoch)
    with refused("RC001"):
        writer.execute("insert into app.job default values")


def test_p11_no_routine_is_public_but_the_one_that_says_whom_to_ask(jobs: Connection) -> None:
    public = jobs.execute(
        """
        select p.oid::regproc::text
        from pg_proc as p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        where p.pronamespace in ('recovery'::regnamespace, 'agent'::regnamespace) and a.grantee = 0
        """
    ).fetchall()
    assert public == [("recovery.attach",)]


def test_p11_every_definer_routine_pins_its_search_path(jobs: Connection) -> None:
    loose = jobs.execute(
        """
        select p.oid::regprocedure::text from pg_proc as p
        where p.pronamespace = 'recovery'::regnamespace and p.prosecdef
          and not coalesce(p.proconfig @> array['search_path=pg_catalog, pg_temp'], false)
        """
    ).fetchall()
    assert loose == []


def test_p11_nobody_but_the_owner_reads_tokens(jobs: Connection) -> None:
    readers = jobs.execute(
        "select r.rolname from pg_roles as r where not r.rolsuper and r.rolname like 'recovery%'"
        " and has_column_privilege(r.oid, 'recovery.server', 'token', 'select')"
    ).fetchall()
    assert [name for (name,) in readers] == ["recovery_owner"]
