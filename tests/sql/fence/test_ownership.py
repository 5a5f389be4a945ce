"""Ownership begins with the write that opens the work, and is written by it; whatever an ORM sends."""

from __future__ import annotations

import pytest

from sql.jobs import (
    CLOSE,
    Connection,
    add,
    attach,
    boot,
    events,
    kinds,
    last_event,
    refused,
    shutdown,
    statuses,
    value,
    write_as,
)

OWNER = "select server_epoch from app.job"


@pytest.mark.parametrize(
    "columns",
    ["(status) values ('queued')", "(status, server_epoch) values ('queued', {epoch})"],
    ids=["bound", "written by the application"],
)
def test_a_queued_row_has_no_owner(jobs: Connection, columns: str) -> None:
    epoch = boot(jobs).epoch
    write_as(jobs, epoch)
    jobs.execute(f"insert into app.job {columns}".format(epoch=epoch))  # type: ignore
    assert value(jobs, OWNER) is None
    jobs.execute("update app.job set note = 'x', server_epoch = %s", (epoch,))
    assert value(jobs, OWNER) is None


def test_an_unbound_writer_opens_what_a_dead_server_has_queued(jobs: Connection) -> None:
    dead = boot(jobs).epoch
    write_as(jobs, dead)
    jobs.execute("insert into app.job (status, server_epoch) values ('queued', %s)", (dead,))
    write_as(jobs, None)
    shutdown(jobs, dead)
    jobs.execute("update app.job set status = 'running'")
    assert (value(jobs, OWNER), kinds(jobs)) == (None, [("reopened", "1")])


def test_a_claim_is_one_version_of_the_row(jobs: Connection) -> None:
    jobs.execute("vacuum app.job")  # of the row that the rehearsal made up
    add(jobs, None, status="queued")
    write_as(jobs, boot(jobs).epoch)
    with jobs.transaction():
        jobs.execute("update app.job set status = 'running'")
        # The first one wrote line pointer 1, the claim 2.
        assert value(jobs, "select ctid::text from app.job") == "(0,2)"


def test_what_is_inserted_with_null_is_its_writers(jobs: Connection) -> None:
    epoch = boot(jobs).epoch
    write_as(jobs, epoch)
    jobs.execute("insert into app.job (server_epoch) values (null)")
    assert value(jobs, OWNER) == epoch
    assert events(jobs)[0]["server_epoch"] == epoch


def test_what_is_opened_with_null_is_its_writers(jobs: Connection) -> None:
    epoch = boot(jobs).epoch
    add(jobs, None, status="queued")
    write_as(jobs, epoch)
    jobs.execute("update app.job set status = 'running', server_epoch = null")
    assert value(jobs, OWNER) == epoch


@pytest.mark.parametrize("status", ["running", "done"])
def test_the_null_of_a_server_takes_nothing_away(jobs: Connection, status: str) -> None:
    owner, epoch = boot(jobs).epoch, boot(jobs, "other").epoch
    add(jobs, owner)
    write_as(jobs, epoch)
    jobs.execute("update app.job set note = 'x', status = %s, server_epoch = null", (status,))
    assert value(jobs, OWNER) == owner


def test_who_is_no_server_lets_go(jobs: Connection) -> None:
    add(jobs, boot(jobs).epoch)
    jobs.execute("update app.job set server_epoch = null")
    assert value(jobs, OWNER) is None
    assert kinds(jobs)[1:] == [("adopted", "1")]


def test_work_is_given_to_another_live_server(jobs: Connection) -> None:
    epoch, other = boot(jobs).epoch, boot(jobs, "other").epoch
    write_as(jobs, epoch)
    jobs.execute("insert into app.job (server_epoch) values (%s)", (other,))
    assert value(jobs, OWNER) == other


@pytest.mark.parametrize("name", ["a_stamp", "zy_stamp"])
def test_what_the_hosts_own_trigger_opens_is_owned(app: Connection, name: str) -> None:
    """Ours fire after those of the host."""
    app.execute(
        "create function app.start() returns trigger language plpgsql as $$"
        " begin if new.note = 'go' then new.status := 'running'; end if; return new; end $$;"
        f" create trigger {name} before insert or update on app.job"
        " for each row execute function app.start()".encode()
    )
    attach(app)
    epoch = boot(app).epoch
    add(app, None, status="queued")
    write_as(app, epoch)
    app.execute("update app.job set note = 'go'")
    app.execute("insert into app.job (status, note) values ('queued', 'go')")
    assert [row[0] for row in app.execute(OWNER)] == [epoch, epoch]
    assert [kind for kind, _ in kinds(app)] == ["reopened", "opened"]


def test_an_insert_that_comes_to_nothing_is_no_event(jobs: Connection) -> None:
    write_as(jobs, boot(jobs).epoch)
    (id_,) = add(jobs, None)
    jobs.execute("insert into app.job (id) values (%s) on conflict do nothing", (id_,))
    assert kinds(jobs) == [("opened", str(id_))]


def test_a_predicate_over_a_generated_column(app: Connection) -> None:
    app.execute(
        "alter table app.job add done boolean generated always as (status <> 'running') stored"
    )
    attach(app, open="r.done is not true")
    epoch = boot(app).epoch
    add(app, None, status="queued")
    write_as(app, epoch)
    app.execute("update app.job set status = 'running'")
    app.execute("insert into app.job default values")
    assert [row[0] for row in app.execute(OWNER)] == [epoch, epoch]
    assert boot(app).closed == {"app.job": 2}
    with refused("RC001"):
        app.execute("update app.job set note = 'late'")


def test_a_zombie_deletes_nothing_that_is_closed(jobs: Connection) -> None:
    dead = boot(jobs).epoch
    add(jobs, dead, 2)
    boot(jobs)
    write_as(jobs, dead)
    with refused("RC001"):
        jobs.execute("delete from app.job where id = 1")
    write_as(jobs, None)
    jobs.execute("delete from app.job where id = 1")
    assert statuses(jobs) == {2: "failed"}


def test_row_27_a_requeued_row_has_no_owner(app: Connection) -> None:
    app.execute("alter table app.job add tries integer not null default 0")
    attach(app, requeue="""{"status": "'queued'"}""", attempts="tries", max_attempts=2)
    dead = boot(app).epoch
    add(app, dead)
    boot(app)
    assert (value(app, OWNER), statuses(app)) == (None, {1: "queued"})
    assert events(app)[-1]["server_epoch"] == dead
    app.execute("update app.job set status = 'running'")
    assert value(app, OWNER) is None


def test_revoked_work_is_taken_up_by_who_is_no_server(app: Connection) -> None:
    app.execute("alter table app.job add tries integer not null default 0")
    attach(app, requeue="""{"status": "'queued'"}""", attempts="tries", max_attempts=2)
    epoch = boot(app).epoch
    add(app, epoch)
    app.execute("select recovery.close('1')")
    assert value(app, OWNER) == -epoch
    write_as(app, epoch)
    for owner in "null", "server_epoch", str(epoch):
        with refused("RC013"):
            app.execute(f"update app.job set status = 'done', server_epoch = {owner}".encode())
    write_as(app, None)
    app.execute("update app.job set status = 'running'")
    assert value(app, OWNER) is None


def test_truncate_tells_of_every_row_that_was_open(jobs: Connection) -> None:
    epoch = boot(jobs).epoch
    add(jobs, epoch, 2)
    add(jobs, None, status="done")
    seen = last_event(jobs)
    jobs.execute("truncate app.job")
    assert sorted(kinds(jobs, seen)) == [("deleted", "1"), ("deleted", "2")]
    assert {event["server_epoch"] for event in events(jobs, seen)} == {epoch}


def test_truncate_fails_for_a_zombie_only(app: Connection) -> None:
    app.execute("alter table app.job add n integer not null default 1")
    attach(app, image="jsonb_build_object('n', 1 / r.n)")
    dead = boot(app).epoch
    add(app, dead)
    boot(app)
    write_as(app, dead)
    with refused("RC001"):
        app.execute("truncate app.job")
    write_as(app, None)
    add(app, None)
    app.execute("alter table app.job disable trigger user; update app.job set n = 0")
    app.execute("alter table app.job enable trigger user; truncate app.job")
    assert statuses(app) == {}


PARTED = """
    create schema app;
    create table app.job (id int, day int not null default 1, status text not null default 'running',
                          note text, error text, primary key (id, day)) partition by list (day);
    create table app.job_1 partition of app.job for values in (1);
    create table app.job_2 (note text, day int not null, error text, id int not null,
                            status text not null default 'running');
    alter table app.job attach partition app.job_2 for values in (2);
"""


@pytest.fixture
def parted(conn: Connection) -> Connection:
    """app.job in two partitions whose columns are in another order."""
    conn.execute(PARTED)
    attach(conn)
    return conn


@pytest.mark.parametrize(
    ("before", "change", "wanted"),
    [
        ("running", "note = 'x'", []),
        ("running", "status = 'done'", [("closed", "[1, 2]"), ("closed", "[2, 2]")]),
        ("queued", "status = 'running'", [("reopened", "[1, 2]"), ("reopened", "[2, 2]")]),
        ("queued", "note = 'x'", []),
        ("running", "server_epoch = {other}", [("adopted", "[1, 2]"), ("adopted", "[2, 2]")]),
    ],
)
@pytest.mark.parametrize("shape", ["columns", "json"])
def test_a_row_that_changes_its_partition_is_one_update(
    conn: Connection, shape: str, before: str, change: str, wanted: list[tuple[str, str]]
) -> None:
    conn.execute(PARTED)
    if shape == "json":  # events record what differs
        conn.execute("alter table app.job add data jsonb not null default '{}'")
        attach(conn, close=CLOSE.replace("}", ', "data": "r.data"}'))
    else:
        attach(conn)
    epoch, other = boot(conn).epoch, boot(conn, "other").epoch
    write_as(conn, epoch)
    conn.execute("insert into app.job (id, status) values (1, %s), (2, %s)", (before, before))
    seen = last_event(conn)
    conn.execute(f"update app.job set day = 2, {change}".format(other=other))  # type: ignore
    assert kinds(conn, seen) == wanted
    owner = {"running": epoch, "queued": None}[before]
    if "running" in change:
        owner = epoch
    elif "server_epoch" in change:
        owner = other
    assert {row[0] for row in conn.execute(OWNER)} == {owner}
    if wanted and wanted[0][0] == "closed":
        assert events(conn, seen)[0]["old"]["status"] == "running"
        assert events(conn, seen)[0]["new"]["status"] == "done"


@pytest.mark.parametrize(
    "statement",
    [
        "update app.job set day = 2, note = 'late'",
        "update app.job set day = 2, status = 'running'",
        "delete from app.job",
        "truncate app.job",
    ],
)
def test_p04_a_zombie_moves_nothing(parted: Connection, statement: str) -> None:
    dead = boot(parted).epoch
    parted.execute("insert into app.job (id, server_epoch) values (1, %s)", (dead,))
    boot(parted)
    write_as(parted, dead)
    with refused("RC001"):
        parted.execute(statement)  # type: ignore
    assert value(parted, "select day from app.job") == 1


def test_a_closing_that_moves_rows_is_told_once(conn: Connection) -> None:
    conn.execute(
        "create schema app; create table app.job (id int, status text, error text,"
        " primary key (id, status)) partition by list (status);"
        " create table app.job_open partition of app.job for values in ('running');"
        " create table app.job_rest partition of app.job default"
    )
    # The key cannot be set by a closing; so the host's own write moves the row.
    attach(conn, close="""{"error": "c.message"}""", open="status = 'running' and error is null")
    epoch = boot(conn).epoch
    write_as(conn, epoch)
    conn.execute("insert into app.job values (1, 'running')")
    conn.execute("update app.job set status = 'done'")
    assert [kind for kind, _ in kinds(conn)] == ["opened", "closed"]


def test_a_delete_is_a_delete_whatever_was_set(parted: Connection) -> None:
    watch = value(parted, "select id from recovery.watch where name = 'app.job'")
    write_as(parted, boot(parted).epoch)
    parted.execute("insert into app.job (id) values (1)")
    for name in f"move_{watch}", f"left_{watch}_1":
        parted.execute("select set_config(%s, %s, false)", (f"recovery.{name}", "1"))
    parted.execute("delete from app.job")
    assert [kind for kind, _ in kinds(parted)] == ["opened", "deleted"]


def test_the_late_result_of_a_row_that_moves(parted: Connection) -> None:
    epoch = boot(parted).epoch
    parted.execute("insert into app.job (id, server_epoch) values (1, %s)", (epoch,))
    parted.execute("select recovery.close('[1, 1]')")
    write_as(parted, None)
    parted.execute("update app.job set day = 2")
    assert value(parted, OWNER) == -epoch
    write_as(parted, epoch)
    with refused("RC013"):
        parted.execute("update app.job set day = 1, status = 'done'")
