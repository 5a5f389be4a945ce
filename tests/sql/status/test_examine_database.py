"""What is wrong with the database, its roles, its settings and its transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from sql.jobs import Connection, sweep, value
from sql.status.examining import codes, examine, fix, only, runner, type_in, well

WAYS = pytest.mark.parametrize("repair", [fix, type_in])


@WAYS
@pytest.mark.parametrize(
    "table", ["recovery.clock", "recovery.observation", "recovery.event_floor"]
)
def test_a_row_of_ours_is_missing(
    jobs: Connection, table: str, repair: Callable[..., None]
) -> None:
    sweep(jobs)
    jobs.execute(f"delete from {table}".encode())
    found = only(jobs, "row-missing")
    assert (found.kind, found.subject) == ("table", table)
    repair(jobs, found)
    well(jobs)


def test_a_restore_without_owners(jobs: Connection) -> None:
    sweep(jobs)
    with jobs.transaction(force_rollback=True):
        jobs.execute("alter table recovery.outbox owner to current_user")
        found = only(jobs, "owner-changed")
        assert found.remedy == "alter table recovery.outbox owner to recovery_owner;"
        fix(jobs, found)
        assert codes(jobs) == set()
    with jobs.transaction(force_rollback=True):
        for table in ("outbox", "failure", "fuse", "process"):
            jobs.execute(f"alter table recovery.{table} owner to current_user".encode())
        found = only(jobs, "owner-changed")
        assert found.remedy == "recovery doctor --fix"
        fix(jobs, found)
        assert codes(jobs) == set()


def test_a_trigger_of_ours_is_disabled(jobs: Connection) -> None:
    well(jobs)
    enabled = "select tgname, tgrelid, tgenabled from pg_trigger order by 1, 2"
    before = jobs.execute(enabled).fetchall()
    jobs.execute("alter table recovery.watch disable trigger user")
    for found in examine(jobs):
        assert found.code == "own-trigger-disabled"
        fix(jobs, found)
    well(jobs)
    assert jobs.execute(enabled).fetchall() == before


def test_wraparound(jobs: Connection) -> None:
    well(jobs)
    with jobs.transaction(force_rollback=True):
        jobs.execute(
            "update pg_database set datfrozenxid ="
            " ((pg_current_xact_id()::text::bigint + 4294967296 - 1600000000) % 4294967296)::text::xid"
            " where datname = current_database()"
        )
        found = only(jobs, "wraparound-near")
        assert found.problem.startswith("1600000")
    jobs.execute(found.remedy.encode())


#: Code -> what makes it so. Roles are the cluster's: it is taken back.
ROLES = {
    "role-missing": "alter role recovery_listener rename to recovery_listener_gone",
    "role-unsafe": "alter role {runner} createrole",
    "runner-invalid": "revoke recovery_runner from {runner}",
    "grant-missing": "revoke execute on function recovery.heartbeat(bigint, uuid) from recovery_server",
}


@pytest.mark.parametrize("code", sorted(ROLES))
def test_roles(jobs: Connection, code: str) -> None:
    well(jobs)
    with jobs.transaction(force_rollback=True):
        jobs.execute(ROLES[code].format(runner=runner(jobs)).encode())
        found = only(jobs, code)
        assert (found.severity, found.kind) == ("error", "role")
        assert (found.fix is None) == (code == "role-unsafe")
        jobs.execute(found.remedy.encode())
        # A new role has no rights yet: that is found next.
        for each in examine(jobs):
            assert (code, each.code) == ("role-missing", "grant-missing")
            fix(jobs, each)
        assert codes(jobs) == set()


@pytest.mark.parametrize(
    "revoke",
    [
        "revoke usage on schema recovery from recovery_runner",
        "revoke select on recovery.event from recovery_listener",
        "revoke execute on function recovery.fetch from recovery_listener",
        "revoke execute on function recovery.read from recovery_server",
    ],
)
def test_rights_of_our_roles(jobs: Connection, revoke: str) -> None:
    well(jobs)
    jobs.execute(revoke.encode())
    if "schema" in revoke:
        jobs.execute("revoke usage on schema recovery from public")
    fix(jobs, only(jobs, "grant-missing"))
    well(jobs)


def test_session_replication_role(jobs: Connection) -> None:
    well(jobs)
    name = value(jobs, "select current_database()")
    jobs.execute(f"alter database {name} set session_replication_role = replica".encode())
    found = only(jobs, "replica-role")
    assert found.fix is None
    jobs.execute(found.remedy.encode())
    well(jobs)


@pytest.mark.parametrize("watch", [None, "app.job"])
def test_a_timeout_without_supervision(jobs: Connection, watch: str | None) -> None:
    """Of a watch that nothing supervises; for all, only where nothing at all is supervised."""
    well(jobs)
    if watch is None:
        jobs.execute(
            "select recovery.detach(relation) from recovery.watch where supervised is not null"
        )
        well(jobs)
    jobs.execute("select recovery.configure('tool_timeout', '5 min', %s)", (watch,))
    found = only(jobs, "timeout-unsupervised")
    where = "" if watch is None else " --watch app.job"
    assert found.remedy == f"recovery config unset tool_timeout{where}, or call recovery.supervise"
    with jobs.transaction(force_rollback=True):
        jobs.execute("alter table app.job add began timestamptz")
        jobs.execute("select recovery.supervise('app.job', p_started => 'began')")
        assert codes(jobs) == set()
    jobs.execute("select recovery.configure('tool_timeout', null, %s)", (watch,))
    well(jobs)


def test_a_setting_of_what_is_not_watched(jobs: Connection) -> None:
    well(jobs)
    jobs.execute("select recovery.configure('wall_timeout', '5 min', 'app.job')")
    assert codes(jobs) == set()
    jobs.execute("select recovery.detach('app.job')")
    found = only(jobs, "setting-unused")
    assert found.severity == "note"
    jobs.execute(found.remedy.encode())
    assert codes(jobs) == set()


def test_a_long_transaction(jobs: Connection, writer: Connection) -> None:
    """It says whose it is, and the statement ends it."""
    well(jobs)
    writer.execute("set application_name = 'nightly'")
    writer.execute("begin")
    writer.execute("select pg_current_xact_id()")
    assert codes(jobs) == set()
    found = only(jobs, "transaction-long", patience="1 ms")
    assert (found.kind, found.subject) == ("session", str(writer.info.backend_pid))
    for part in (writer.info.user, "nightly", writer.info.dbname, "idle in transaction"):
        assert part in found.problem
    jobs.execute(found.remedy.encode())
    with pytest.raises(Exception, match=r"terminat|closed"):
        writer.execute("select 1")
    assert not [
        each
        for each in examine(jobs, patience="1 ms")
        if each.code == "transaction-long" and each.subject == found.subject
    ]


def test_a_prepared_transaction(jobs: Connection) -> None:
    well(jobs)
    gid = f"left {value(jobs, 'select current_database()')}"
    jobs.execute("begin")
    jobs.execute("insert into app.job (status) values ('done')")
    jobs.execute(f"prepare transaction '{gid}'".encode())
    assert codes(jobs) == set()
    (found,) = [
        each
        for each in examine(jobs, patience="1 ms")
        if each.code == "transaction-prepared" and each.subject == gid
    ]
    jobs.execute(found.remedy.encode())
    assert not value(jobs, "select count(*) from pg_prepared_xacts where gid = %s", gid)


def test_an_old_snapshot(jobs: Connection, writer: Connection) -> None:
    well(jobs)
    writer.execute("begin isolation level repeatable read")
    writer.execute("select count(*) from app.job")
    assert codes(jobs) == set()
    found = only(jobs, "snapshot-old", patience="1 us")
    assert found.subject == str(writer.info.backend_pid)
    writer.execute("rollback")
    assert "snapshot-old" not in codes(jobs, patience="1 us")


@pytest.fixture
def slot(jobs: Connection) -> Iterator[str]:
    name = f"slot_{value(jobs, 'select current_database()')}"
    jobs.execute("select pg_create_physical_replication_slot(%s, true)", (name,))
    yield name
    jobs.execute(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s",
        (name,),
    )


def test_a_replication_slot_that_nobody_reads(jobs: Connection, slot: str) -> None:
    well(jobs)
    for _ in range(70):
        jobs.execute("select pg_logical_emit_message(false, 'x', repeat('x', 1024 * 1024))")
    found = only(jobs, "slot-idle")
    assert found.subject == slot
    jobs.execute(found.remedy.encode())
    well(jobs)


def test_many_events(jobs: Connection) -> None:
    """As a note: a sweep removes the old ones."""
    well(jobs)
    jobs.execute("alter table recovery.outbox_slot_0 set (fillfactor = 10)")  # a page for each
    jobs.execute(
        "insert into recovery.outbox (watch, kind, key, detector, new)"
        " select 'app.job', 'closed', n::text, 'writer', to_jsonb(repeat('x', 600))"
        " from generate_series(1, 135000) as n"
    )
    jobs.execute("analyze recovery.outbox")
    found = only(jobs, "events-large")
    assert found.severity == "note"
    assert "about 135000 records" in found.problem
    jobs.execute("truncate recovery.outbox")
    well(jobs)
