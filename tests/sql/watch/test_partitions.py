"""Partitioned tables: whoever writes whichever partition, and whatever becomes of the partitions."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from helpers import wait_for, wait_for_lock
from sql.jobs import (
    Connection,
    attach,
    boot,
    events,
    failures,
    fingerprint,
    in_background,
    kinds,
    last_event,
    refused,
    sweep,
    value,
    write_as,
)

COLUMNS = """id int, day int not null default 1, status text default 'running', note text, error text,
    began timestamptz, primary key (id, day)"""

#: Each with app.one for (1, 1), app.two for (2, 15) and a default or rest.
SHAPES = {
    "range": f"""
        create table app.job ({COLUMNS}) partition by range (day);
        create table app.one partition of app.job for values from (0) to (10);
        create table app.two partition of app.job for values from (10) to (20);
        create table app.rest partition of app.job default;""",
    "list": f"""
        create table app.job ({COLUMNS}) partition by list (day);
        create table app.one partition of app.job for values in (1);
        create table app.two partition of app.job for values in (15);
        create table app.rest partition of app.job default;""",
    # Of the hashes of day, that of 1 leaves 2, that of 15 leaves 0, that of 99 leaves 1.
    "hash": f"""
        create table app.job ({COLUMNS}) partition by hash (day);
        create table app.one partition of app.job for values with (modulus 3, remainder 2);
        create table app.two partition of app.job for values with (modulus 3, remainder 0);
        create table app.rest partition of app.job for values with (modulus 3, remainder 1);""",
    "levels": f"""
        create table app.job ({COLUMNS}) partition by range (day);
        create table app.low partition of app.job for values from (0) to (10) partition by hash (id);
        create table app.one partition of app.low for values with (modulus 1, remainder 0);
        create table app.high partition of app.job default partition by list (id);
        create table app.two partition of app.high for values in (2);
        create table app.rest partition of app.high default;""",
}


@pytest.fixture
def roles(cluster: Any) -> Iterator[Callable[[str], str]]:
    """``roles("owner")``: the name of a new role; it goes after the database."""
    names: list[str] = []

    def create(name: str) -> str:
        names.append(f"{name}_{os.getpid()}")
        with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
            conn.execute(f"create role {names[-1]}")  # type: ignore
        return names[-1]

    yield create
    with psycopg.connect(cluster.dsn(), autocommit=True) as conn:
        for name in names:
            for role in f"recovery_runner_{name}", name:
                conn.execute(f"drop role if exists {role}")  # type: ignore


@pytest.fixture(params=SHAPES)
def shape(roles: Any, conn: Connection, request: pytest.FixtureRequest) -> str:
    """app.job in partitions, not watched yet; the name of its shape."""
    conn.execute("create schema app")
    conn.execute(SHAPES[request.param])
    return str(request.param)


@pytest.fixture
def parted(roles: Any, conn: Connection) -> Connection:
    """app.job in partitions by range, watched."""
    conn.execute("create schema app")
    conn.execute(SHAPES["range"])  # type: ignore
    attach(conn)
    return conn


def relations(conn: Connection) -> list[str]:
    return [
        row[0]
        for row in conn.execute(
            "select c.oid::regclass::text from pg_class as c"
            " where c.relnamespace = 'app'::regnamespace and c.relkind in ('r', 'p') order by 1"
        )
    ]


def dump(conn: Connection) -> dict[str, Any]:
    return {name: fingerprint(conn, name) for name in relations(conn)}


def pg_dump(cluster: Any, dsn: str, schema: str = "app") -> str:
    """The schema as it prints it; nothing where there is no pg_dump of this major."""
    binaries = getattr(cluster, "binaries", None)
    program = binaries and binaries.bin_dir / "pg_dump"
    if not program or not program.is_file():
        return ""
    command = [program, "--schema-only", f"--schema={schema}", dsn]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)


def same_as_twin(conn: Connection) -> None:
    """Schema app is as schema twin, in which nobody ever watched."""
    for name in relations(conn):
        twin = repr(fingerprint(conn, name.replace("app.", "twin."))).replace("twin.", "app.")
        assert repr(fingerprint(conn, name)) == twin


def jobs(conn: Connection) -> dict[int, str]:
    return dict(conn.execute("select id, status from app.job order by id").fetchall())


def problems(conn: Connection) -> list[tuple[str, str, str]]:
    return conn.execute(
        "select kind, problem, remedy from recovery.problem order by 1, 2"
    ).fetchall()


def copy(conn: Connection, table: str, *rows: tuple[Any, ...]) -> None:
    with conn.cursor().copy(f"copy {table} (id, day) from stdin") as into:  # type: ignore
        for row in rows:
            into.write_row(row)


@pytest.mark.parametrize("owners", ["one", "others", "superuser"])
def test_p01_p04_direct_writes(
    shape: str, conn: Connection, connect: Callable[..., Connection], roles: Any, owners: str
) -> None:
    """A writer with rights on the partitions alone, which may belong to somebody else."""
    owner, other, login = roles("owner"), roles("other"), roles("writer")
    conn.execute(f"grant usage on schema app to {login}")  # type: ignore
    if owners != "superuser":
        conn.execute(f"grant usage, create on schema app to {owner}")  # type: ignore
        for name in relations(conn):
            conn.execute(f"alter table {name} owner to {owner}")  # type: ignore
    if owners == "others":
        conn.execute(f"alter table app.one owner to {other}")  # type: ignore
        conn.execute(f"alter table app.two owner to {other}")  # type: ignore
    conn.execute(f"grant select, insert, update, delete on app.one, app.two to {login}")  # type: ignore
    attach(conn)
    dead = boot(conn).epoch
    writer = connect()
    writer.execute(f"set session authorization {login}")  # type: ignore
    write_as(writer, dead)
    writer.execute("insert into app.one (id) values (1)")
    writer.execute("insert into app.two (id, day, status) values (2, 15, 'queued')")
    writer.execute("update app.two set status = 'running'")
    writer.execute("update app.two set note = 'streams'")
    copy(writer, "app.one", (3, 1), (4, 1))
    writer.execute("delete from app.one where id = 3")
    for status in "done", "running":
        writer.execute(
            "insert into app.one (id) values (4) on conflict (id, day) do update set status = %s",
            (status,),
        )
    told = [
        ("opened", "[1, 1]"),
        ("reopened", "[2, 15]"),
        ("opened", "[3, 1]"),
        ("opened", "[4, 1]"),
        ("deleted", "[3, 1]"),
        ("closed", "[4, 1]"),
        ("reopened", "[4, 1]"),
    ]
    assert kinds(conn) == told
    assert {row[0] for row in conn.execute("select server_epoch from app.job")} == {dead}
    assert boot(conn).closed == {"app.job": 3}
    assert sorted(kinds(conn)[len(told) :]) == [
        ("closed", key) for key in ("[1, 1]", "[2, 15]", "[4, 1]")
    ]
    for late in (
        "insert into app.one (id) values (9)",
        "update app.one set note = 'late' where id = 1",
        "update app.two set status = 'running'",
        "delete from app.two",
        "insert into app.one (id) values (1) on conflict (id, day) do update set status = 'done'",
    ):
        with refused("RC001"):
            writer.execute(late)  # type: ignore
    with refused("RC001"):
        copy(writer, "app.one", (9, 1))
    assert jobs(conn) == {1: "failed", 2: "failed", 4: "failed"}


def test_p12_the_partitions_are_as_they_were(
    shape: str, conn: Connection, cluster: Any, dsn: str
) -> None:
    conn.execute("create index host on app.job (note)")
    was, printed = dump(conn), pg_dump(cluster, dsn)
    attach(conn, started="began")
    conn.execute("select recovery.supervise('app.job')")
    assert dump(conn) != was
    conn.execute("select recovery.detach('app.job')")
    assert dump(conn) == was
    assert pg_dump(cluster, dsn) == printed


@pytest.mark.parametrize("shape", ["range", "list", "levels"], indirect=True)
def test_p12_partitions_that_came_and_went_meanwhile(
    shape: str, conn: Connection, cluster: Any, dsn: str
) -> None:
    """As if the host had done it all without us."""
    new, made = (
        ("in (100)", "in (200)")
        if shape == "list"
        else ("from (100) to (110)", "from (200) to (210)")
    )
    host = f"""
        create table app.new partition of app.job for values {new};
        alter table app.job detach partition app.{"high" if shape == "levels" else "two"};
        create table app.made (like app.job including all);
        alter table app.job attach partition app.made for values {made};
        drop table app.one;"""
    conn.execute("create schema twin")
    conn.execute(SHAPES[shape].replace("app.", "twin."))  # type: ignore
    conn.execute(host.replace("app.", "twin."))  # type: ignore
    attach(conn)
    conn.execute(host)  # type: ignore
    conn.execute("select recovery.detach('app.job')")
    same_as_twin(conn)
    twin = re.sub(r"\btwin\b", "app", pg_dump(cluster, dsn, "twin"))
    assert pg_dump(cluster, dsn) == twin
    assert value(conn, "select count(*) from recovery.partition") == 0


def test_new_partitions(parted: Connection) -> None:
    dead = boot(parted).epoch
    parted.execute("create table app.new partition of app.job for values from (100) to (110)")
    parted.execute(
        "create table app.deep partition of app.job for values from (110) to (120)"
        " partition by list (id)"
    )
    parted.execute("create table app.deeper partition of app.deep default")
    write_as(parted, dead)
    parted.execute("insert into app.new (id, day) values (1, 100)")
    parted.execute("insert into app.deeper (id, day) values (2, 110)")
    write_as(parted, None)
    assert boot(parted).closed == {"app.job": 2}


def test_p01_an_attached_partition_with_open_rows(parted: Connection) -> None:
    """Its rows are watched from then on; those that were open before are not told as opened."""
    dead = boot(parted).epoch
    parted.execute("create table app.made (like app.job including all)")
    parted.execute(
        "insert into app.made (id, day, server_epoch) values (1, 100, %s), (2, 100, null)", (dead,)
    )
    parted.execute("alter table app.job attach partition app.made for values from (100) to (110)")
    assert boot(parted).closed == {"app.job": 1}
    assert jobs(parted) == {1: "failed", 2: "running"}
    assert kinds(parted) == [("closed", "[1, 100]")]
    assert sweep(parted)["unowned"] == {"app.job": 1}


def test_an_attached_partition_without_our_column(parted: Connection) -> None:
    """PostgreSQL refuses it, as for any column; the host adds it, wherever it stands then."""
    parted.execute(f"create table app.made ({COLUMNS})")
    with refused("42804", "server_epoch"):
        parted.execute(
            "alter table app.job attach partition app.made for values from (100) to (110)"
        )
    parted.execute("alter table app.made add server_epoch bigint")
    parted.execute("alter table app.job attach partition app.made for values from (100) to (110)")
    write_as(parted, boot(parted).epoch)
    parted.execute("insert into app.made (id, day) values (1, 100)")
    write_as(parted, None)
    assert boot(parted).closed == {"app.job": 1}
    parted.execute("select recovery.detach('app.job')")
    parted.execute("create schema twin")
    parted.execute(SHAPES["range"].replace("app.", "twin."))  # type: ignore
    parted.execute(f"create table twin.made ({COLUMNS})")
    parted.execute("alter table twin.job attach partition twin.made for values from (100) to (110)")
    same_as_twin(parted)


def test_a_watched_table_becomes_a_partition(parted: Connection) -> None:
    """PostgreSQL refuses it, two triggers have one name; its own watch goes first."""
    parted.execute("create table app.made (like app.job including all)")
    attach(parted, "app.made")
    parted.execute("insert into app.made (id, day) values (1, 100)")
    statement = "alter table app.job attach partition app.made for values from (100) to (110)"
    with refused("42710", "recovery_10_insert"):
        parted.execute(statement)  # type: ignore
    parted.execute("select recovery.detach('app.made')")
    parted.execute(statement)  # type: ignore
    assert value(parted, "select count(*) from recovery.watch_status where open_rows = 1") == 1


def test_foreign_tables_are_no_partitions(parted: Connection) -> None:
    """PostgreSQL refuses them because of the primary key, with or without a watch, at any level."""
    parted.execute("create foreign data wrapper w; create server s foreign data wrapper w")
    parted.execute(
        "create table app.deep partition of app.job for values from (110) to (120)"
        " partition by list (id)"
    )
    parted.execute(
        "create foreign table app.far (id int not null, day int not null, status text, note text,"
        " error text, began timestamptz, server_epoch bigint) server s"
    )
    for watched in True, False:
        if not watched:
            parted.execute("select recovery.detach('app.job')")
            parted.execute("alter foreign table app.far drop server_epoch")
        for statement in (
            "create foreign table app.f partition of app.job for values from (100) to (110)"
            " server s",
            "create foreign table app.f partition of app.deep default server s",
            "alter table app.job attach partition app.far for values from (100) to (110)",
            "alter table app.deep attach partition app.far default",
        ):
            with refused("42809", "foreign"):
                parted.execute(statement)  # type: ignore


def test_a_table_with_a_foreign_partition(roles: Any, conn: Connection) -> None:
    """It can have no primary key, and is refused for that."""
    conn.execute("create schema app; create foreign data wrapper w;")
    conn.execute("create server s foreign data wrapper w")
    conn.execute(
        "create table app.job (id int, status text, error text) partition by list (id);"
        "create foreign table app.far partition of app.job default server s"
    )
    with refused("RC006", "no primary key"):
        attach(conn)


def open_two(conn: Connection) -> int:
    """(1, 1) in app.one, (2, 15) in app.two, (3, 99) in app.rest, all open; their epoch."""
    epoch = boot(conn).epoch
    write_as(conn, epoch)
    conn.execute("insert into app.job (id, day) values (1, 1), (2, 15), (3, 99)")
    write_as(conn, None)
    sweep(conn)
    return epoch


GONE = {
    "detached": ("*", "alter table app.job detach partition app.two"),
    "truncated": ("*", "truncate app.two"),
    "dropped": ("*", "drop table app.two"),
    "a level detached": ("levels", "alter table app.job detach partition app.high"),
    "a level dropped": ("levels", "drop table app.high"),
    "a level truncated": ("levels", "truncate app.high"),
    "detached and dropped": (
        "range",
        "alter table app.job detach partition app.two; drop table app.two",
    ),
    "truncated and dropped": ("hash", "truncate app.two; drop table app.two"),
}


@pytest.mark.parametrize(
    ("shape", "change"),
    [
        (shape, change)
        for change, (where, _) in GONE.items()
        for shape in SHAPES
        if where in ("*", shape)
    ],
    indirect=["shape"],
)
def test_p09_open_rows_that_are_gone_with_a_partition(
    shape: str, conn: Connection, change: str
) -> None:
    attach(conn, group="note")
    epoch = open_two(conn)
    seen = last_event(conn)
    statement = GONE[change][1]
    if shape == "levels" and "level" not in change:
        statement = statement.replace("table app.job", "table app.high")
    conn.execute(statement)  # type: ignore
    sweep(conn, label="second")
    gone = [("deleted", "[2, 15]")]
    if "level" in change:
        gone.append(("deleted", "[3, 99]"))
    assert kinds(conn, seen) == gone
    told = events(conn, seen)[0]
    assert (told["reason"], told["detector"], told["server_epoch"]) == (
        "row_gone",
        "sweep:second",
        epoch,
    )
    assert told["old"]["status"] == "running"
    assert told["new"] is None
    for _ in range(2):
        sweep(conn)
    assert kinds(conn, seen) == gone
    boot(conn)
    assert jobs(conn)[1] == "failed"


def test_what_is_back_is_not_gone(parted: Connection) -> None:
    """A partition that was emptied and filled again, or detached and attached again."""
    open_two(parted)
    seen = last_event(parted)
    with parted.transaction():
        parted.execute("create temporary table keep as select * from app.two")
        parted.execute("truncate app.two; insert into app.two select * from keep")
    parted.execute("alter table app.job detach partition app.two")
    parted.execute("alter table app.job attach partition app.two for values from (10) to (20)")
    sweep(parted)
    assert kinds(parted, seen) == [("opened", "[2, 15]")]
    assert problems(parted) == []


def test_a_row_that_somebody_closed_unseen_is_not_gone(parted: Connection) -> None:
    open_two(parted)
    seen = last_event(parted)
    parted.execute("set session_replication_role = replica")
    parted.execute("update app.job set status = 'done'")
    parted.execute("reset session_replication_role")
    parted.execute("vacuum full app.two")
    parted.execute("truncate app.rest")
    sweep(parted)
    assert kinds(parted, seen) == [("deleted", "[3, 99]")]


def test_p09_a_row_whose_closing_was_dropped_is_not_told_once_more(parted: Connection) -> None:
    """Of what retention drops a part may be left: an opening whose closing stood in the next partition."""
    open_two(parted)
    parted.execute("update app.job set status = 'done' where id = 1")
    closed = last_event(parted)
    parted.execute("delete from app.job where id = 1")
    parted.execute("delete from recovery.outbox where id = %s", (closed,))
    parted.execute("update recovery.event_floor set id = %s", (closed + 99,))
    parted.execute("insert into app.job (id, day) values (4, 16)")
    seen = last_event(parted)
    parted.execute("truncate app.two")
    sweep(parted)
    assert kinds(parted, seen) == [("deleted", "[4, 16]")]


def test_the_search_does_not_begin_at_the_beginning(
    parted: Connection, connect: Callable[..., Connection]
) -> None:
    """It passes over what is settled, and never over an event that was not yet there."""
    since = "select min(since) from recovery.partition"
    late = connect(autocommit=False)
    late.execute("insert into app.job (id, day) values (9, 15)")
    open_two(parted)
    seen = last_event(parted)
    for _ in range(3):
        parted.execute("truncate app.rest")
        sweep(parted)
    assert value(parted, since) < seen
    late.commit()
    parted.execute("update app.job set status = 'done' where id < 9")
    for _ in range(3):
        parted.execute("truncate app.rest")
        sweep(parted)
    (opened,) = [event["id"] for event in events(parted) if event["key"] == "[9, 15]"]
    assert value(parted, since) == opened
    parted.execute("drop table app.two")
    sweep(parted)
    assert kinds(parted)[-1] == ("deleted", "[9, 15]")
    for _ in range(3):
        parted.execute("truncate app.rest")
        sweep(parted)
    assert value(parted, since) == last_event(parted) + 100


def test_events_of_closings_only_tell_nothing_of_it(roles: Any, conn: Connection) -> None:
    conn.execute("create schema app")
    conn.execute(SHAPES["range"])  # type: ignore
    attach(conn, events="closed")
    open_two(conn)
    conn.execute("truncate app.two; drop table app.rest")
    sweep(conn)
    assert kinds(conn) == []


@pytest.mark.parametrize("key", ["text", "date", "timestamptz", "uuid"])
def test_gone_rows_are_found_by_their_key(roles: Any, conn: Connection, key: str) -> None:
    """One column or more, of any type."""
    values = {
        "text": ("a'[b", '"c"'),
        "date": ("2026-01-05", "2026-02-05"),
        "timestamptz": ("2026-01-05 10:00:00.123456+02", "2026-02-05 10:00:00+00"),
        "uuid": ("11111111-1111-1111-1111-111111111111", "22222222-1111-1111-1111-111111111111"),
    }[key]
    conn.execute("create schema app")
    for name, columns in ("job", "id"), ("pair", "n, id"):
        conn.execute(
            f"create table app.{name} (n int default 7, id {key}, status text, error text,"  # type: ignore
            f" primary key ({columns})) partition by list (id);"
            f" create table app.{name}_a partition of app.{name} for values in ('{values[0].replace(chr(39), chr(39) * 2)}');"
            f" create table app.{name}_b partition of app.{name} default"
        )
        attach(conn, f"app.{name}")
        for each in values:
            conn.execute(
                f"insert into app.{name} (id, status) values (%s, 'running')",  # type: ignore
                (each,),
            )
    sweep(conn)
    opened = dict(conn.execute("select key, watch from recovery.event").fetchall())
    seen = last_event(conn)
    conn.execute("vacuum full app.job_a")
    conn.execute("vacuum full app.pair_a")
    sweep(conn)
    assert kinds(conn, seen) == []
    conn.execute("truncate app.job_b, app.pair_b")
    sweep(conn)
    gone = dict(kinds(conn, seen))
    assert len(kinds(conn, seen)) == 2
    assert all(values[1][:5] in key or key == '"c"' or "c" in key for key in gone.values())
    assert set(gone.values()) < set(opened)


@pytest.mark.parametrize("shape", ["range", "levels"], indirect=True)
def test_what_a_detached_partition_keeps_is_named(shape: str, conn: Connection) -> None:
    attach(conn)
    open_two(conn)
    left = "app.high" if shape == "levels" else "app.two"
    conn.execute(f"alter table app.job detach partition {left}")  # type: ignore
    assert value(conn, "select count(*) from pg_trigger where tgrelid = 'app.two'::regclass") == 0
    sweep(conn)
    ((kind, problem, remedy),) = problems(conn)
    assert kind == "partition"
    assert problem.startswith(f"{left} was detached from it and keeps server_epoch")
    assert remedy == f"alter table {left} drop column server_epoch;"
    found = conn.execute(
        "select subject, problem from recovery.examine() where code = 'partition-left'"
    ).fetchall()
    assert found == [("app.job", problem)]
    conn.execute(remedy)
    assert problems(conn) == []
    assert "server_epoch" not in repr(fingerprint(conn, "app.two"))
    sweep(conn)
    assert value(conn, "select count(*) from recovery.partition where detached is not null") == 0


def test_a_detached_partition_that_is_somebody_elses_now(parted: Connection) -> None:
    """Watched for itself, or a partition elsewhere: detach leaves it alone."""
    open_two(parted)
    parted.execute("alter table app.job detach partition app.two")
    parted.execute("alter table app.job detach partition app.rest")
    attach(parted, "app.two")
    parted.execute(
        "create table app.other (like app.rest including all) partition by range (day);"
        " alter table app.other attach partition app.rest default"
    )
    assert problems(parted) == []
    sweep(parted)
    was = dump(parted)
    parted.execute("select recovery.detach('app.job')")
    now = dump(parted)
    for name in "app.two", "app.rest", "app.other":
        assert {**now[name], "routines": []} == {**was[name], "routines": []}


def test_p12_detach_names_what_it_may_not_alter(
    parted: Connection, connect: Callable[..., Connection], roles: Any
) -> None:
    """P12: the watch goes in any case."""
    owner, other = roles("owner"), roles("other")
    parted.execute(f"select recovery.permit('{owner}')")  # type: ignore
    parted.execute(f"grant usage, create on schema app to {owner}")  # type: ignore
    for name in relations(parted):
        parted.execute(f"alter table {name} owner to {owner}")  # type: ignore
    attach(parted)
    parted.execute("alter table app.job detach partition app.two")
    parted.execute("alter table app.job detach partition app.rest")
    parted.execute(f"alter table app.rest owner to {other}")  # type: ignore
    plain = connect()
    plain.execute(f"set session authorization {owner}")  # type: ignore
    said: list[str | None] = []
    plain.add_notice_handler(lambda notice: said.append(notice.message_primary))
    plain.execute("select recovery.detach('app.job')")
    ((warning),) = [each for each in said if each and "rest" in each]
    assert "app.rest, which was a partition of app.job, keeps the column server_epoch" in warning
    assert "server_epoch" not in repr(fingerprint(parted, "app.two"))
    assert value(parted, "select count(*) from recovery.watch where name = 'app.job'") == 0


def test_detach_concurrently(
    roles: Any, conn: Connection, connect: Callable[..., Connection]
) -> None:
    """While it waits for a reader, the rows belong to the host already; they are told at its end."""
    conn.execute("create schema app")
    conn.execute(SHAPES["range"] + "drop table app.rest")  # type: ignore
    attach(conn)
    write_as(conn, boot(conn).epoch)
    conn.execute("insert into app.job (id, day) values (1, 1), (2, 15)")
    write_as(conn, None)
    sweep(conn)
    seen = last_event(conn)
    reader, host = connect(autocommit=False), connect()
    reader.execute("select * from app.job")
    waiting = in_background(
        host.execute, "alter table app.job detach partition app.two concurrently"
    )
    wait_for_lock(conn, host.info.backend_pid)
    sweep(conn)
    assert kinds(conn, seen) == []
    ((_, problem, remedy),) = problems(conn)
    assert problem == "app.two is not yet detached from it: what is open in it waits"
    host.cancel()
    with pytest.raises(psycopg.errors.QueryCanceled):
        waiting.result(10)
    reader.rollback()
    sweep(conn)
    assert kinds(conn, seen) == []
    conn.execute(remedy)
    sweep(conn)
    assert kinds(conn, seen) == [("deleted", "[2, 15]")]
    assert boot(conn).closed == {"app.job": 1}


def test_p14_a_sweep_goes_round_a_table_whose_partition_goes(
    parted: Connection, connect: Callable[..., Connection]
) -> None:
    """P14: the host's DROP, uncommitted, locks the whole table; the others are served."""
    epoch = open_two(parted)
    parted.execute("create table app.other (id int primary key, status text, error text)")
    attach(parted, "app.other")
    parted.execute(
        "insert into app.other (id, status, server_epoch) values (1, 'running', %s)", (epoch,)
    )
    parted.execute("update recovery.server set ended = now(), reason = 'superseded'")
    host = connect(autocommit=False)
    host.execute("drop table app.rest")
    assert sweep(parted, lock_wait="100 ms")["closed"] == {"app.other": 1}
    host.rollback()
    assert sweep(parted)["closed"] == {"app.job": 3}
    assert problems(parted) == []


def test_two_sweeps_tell_it_once(parted: Connection, connect: Callable[..., Connection]) -> None:
    open_two(parted)
    seen = last_event(parted)
    parted.execute("truncate app.two")
    other = connect(autocommit=False)
    other.execute("select recovery._note_partitions('sweep:other')")
    sweep(parted)
    assert kinds(parted, seen) == []
    other.commit()
    sweep(parted)
    assert kinds(parted, seen) == [("deleted", "[2, 15]")]


def test_a_row_that_comes_back(parted: Connection) -> None:
    open_two(parted)
    seen = last_event(parted)
    parted.execute("truncate app.two")
    sweep(parted)
    parted.execute("insert into app.two (id, day) values (2, 15)")
    sweep(parted)
    assert kinds(parted, seen) == [("deleted", "[2, 15]"), ("opened", "[2, 15]")]


def test_p14_rights_and_row_security_of_a_partition(
    parted: Connection, connect: Callable[..., Connection], roles: Any
) -> None:
    """P14: closings come by way of the parent, where they do not count."""
    owner = roles("owner")
    parted.execute(f"select recovery.permit('{owner}')")  # type: ignore
    parted.execute(f"grant usage, create on schema app to {owner}")  # type: ignore
    for name in relations(parted):
        parted.execute(f"alter table {name} owner to {owner}")  # type: ignore
    attach(parted)
    open_two(parted)
    parted.execute(
        f"revoke all on app.one from {owner};"  # type: ignore
        " alter table app.two enable row level security, force row level security"
    )
    assert boot(parted).closed == {"app.job": 3}


def test_p07_p14_a_trigger_of_a_partition_that_refuses(parted: Connection) -> None:
    """P7, P14: its rows are failures; those of the other partitions and tables close."""
    parted.execute("create table app.other (id int primary key, status text, error text)")
    attach(parted, "app.other")
    dead = open_two(parted)
    parted.execute(
        "insert into app.other (id, status, server_epoch) values (1, 'running', %s)", (dead,)
    )
    parted.execute(
        "create function app.no() returns trigger language plpgsql as $$"
        " begin raise exception 'not in this partition'; end $$;"
        " create trigger no before update on app.two for each row execute function app.no()"
    )
    assert boot(parted).closed == {"app.job": 2, "app.other": 1}
    assert failures(parted) == {"[2, 15]": "P0001"}


STALE = "select stale from recovery.watch_status where watch = 'app.job'"


def test_p11_what_a_trigger_of_a_partition_writes(parted: Connection) -> None:
    """A superuser's runner is lent it at attach, wherever the trigger stands."""
    open_two(parted)
    parted.execute(
        "create table app.log (id int);"
        " create function app.log() returns trigger language plpgsql as $$"
        " begin insert into app.log values (new.id); return null; end $$;"
        " create trigger log after update on app.two for each row execute function app.log()"
    )
    assert value(parted, STALE)
    attach(parted)
    assert not value(parted, STALE)
    assert boot(parted).closed == {"app.job": 3}
    assert value(parted, "select id from app.log") == 2
    parted.execute("create table app.new partition of app.job for values from (100) to (110)")
    assert not value(parted, STALE)


def test_partitions_of_other_owners(
    roles: Any, conn: Connection, connect: Callable[..., Connection]
) -> None:
    """The table's owner alone is refused, in words; who has the rights of all attaches it."""
    owner, other = roles("owner"), roles("other")
    conn.execute("create schema app")
    conn.execute(SHAPES["levels"])  # type: ignore
    conn.execute(f"select recovery.permit('{owner}')")  # type: ignore
    conn.execute(f"grant usage, create on schema app to {owner}")  # type: ignore
    for name in relations(conn):
        conn.execute(f"alter table {name} owner to {other if name == 'app.two' else owner}")  # type: ignore
    was = dump(conn)
    plain = connect()
    plain.execute(f"set session authorization {owner}")  # type: ignore
    with refused("42501", r"must be owner of partition app\.two of app\.job"):
        attach(plain)
    assert dump(conn) == was
    path = "pg_catalog"
    attach(conn, search_path=path)
    assert attach(plain, search_path=path) == "app.job"  # again, there is nothing to do
    open_two(conn)
    assert boot(conn).closed == {"app.job": 3}
    conn.execute("select recovery.detach('app.job')")
    assert dump(conn) == was


def test_an_expression_of_the_host_in_partitions_of_others(roles: Any, conn: Connection) -> None:
    """P11: an index on its type is made as the owner's runner, which is not the owner there."""
    owner, other = roles("owner"), roles("other")
    conn.execute("create schema app; create type app.state as enum ('running', 'failed')")
    conn.execute(SHAPES["range"].replace("status text default", "status app.state default"))  # type: ignore
    conn.execute(f"grant usage, create on schema app to {owner}")  # type: ignore
    for name in relations(conn):
        conn.execute(f"alter table {name} owner to {other if name == 'app.two' else owner}")  # type: ignore
    with refused("42501", rf"partition app\.two belongs to {other}"):
        attach(conn)


def test_a_partition_that_is_watched_for_itself(roles: Any, conn: Connection) -> None:
    """Its own watch goes first: two triggers of one name are not to be had."""
    conn.execute("create schema app")
    conn.execute(SHAPES["range"])  # type: ignore
    conn.execute("alter table app.job add server_epoch bigint")
    conn.execute("create table app.made (like app.job including all)")
    attach(conn, "app.made")
    conn.execute("alter table app.job attach partition app.made for values from (100) to (110)")
    with refused("RC006", r"partition app\.made of app\.job is watched itself"):
        attach(conn)
    conn.execute("select recovery.detach('app.made')")
    attach(conn)
    open_two(conn)
    assert boot(conn).closed == {"app.job": 3}


MOVES = """
    create function app.archive() returns trigger language plpgsql as $$
    begin new.day := 99; return new; end $$;
    create trigger archive before update on app.job for each row
    when (new.status in ('failed', 'queued')) execute function app.archive()"""


@pytest.mark.parametrize("retry", [False, True])
def test_a_closing_that_moves_its_row(roles: Any, conn: Connection, retry: bool) -> None:
    """By a trigger of the host, for a closing cannot set the key: closed once, told once."""
    conn.execute("create schema app")
    conn.execute(SHAPES["range"].replace("error text", "error text, tries int default 0"))  # type: ignore
    conn.execute(MOVES)
    options = {"requeue": """{"status": "'queued'"}""", "attempts": "tries"} if retry else {}
    attach(conn, **options)
    open_two(conn)
    seen = last_event(conn)
    assert boot(conn).closed == {"app.job": 3}
    told = kinds(conn, seen)
    assert [kind for kind, _ in told] == ["requeued" if retry else "closed"] * 3
    assert set(jobs(conn).values()) == {"queued" if retry else "failed"}
    assert {row[0] for row in conn.execute("select day from app.job")} == {99}
    assert sweep(conn)["closed"] == {}


def test_a_closing_cannot_set_the_partition_key(shape: str, conn: Connection) -> None:
    """It is part of every primary key."""
    with refused("RC006", "day"):
        attach(conn, close='{"status": "\'failed\'", "day": "99"}')


def test_a_timeout_moves_its_row(roles: Any, conn: Connection) -> None:
    conn.execute("create schema app")
    conn.execute(SHAPES["range"])  # type: ignore
    conn.execute(MOVES)
    attach(conn, started="began")
    conn.execute("select recovery.supervise('app.job')")
    conn.execute("select recovery.configure('wall_timeout', '1 minute')")
    write_as(conn, boot(conn).epoch)
    conn.execute("insert into app.job (id, began) values (1, now() - interval '1 hour')")
    write_as(conn, None)
    sweep(conn)
    conn.execute("update recovery.cancellation set deadline = now()")
    sweep(conn)
    assert conn.execute("select status, day from app.job").fetchall() == [("failed", 99)]
    assert [kind for kind, _ in kinds(conn)][-1] == "closed"


def test_partitions_are_pruned_while_it_sweeps(
    parted: Connection, connect: Callable[..., Connection]
) -> None:
    """P13: a partition goes between two batches."""
    epoch = boot(parted).epoch
    parted.execute(
        "insert into app.job (id, day, server_epoch)"
        " select n, case when n <= 100 then 1 else 15 end, %s from generate_series(1, 200) as n",
        (epoch,),
    )
    blocker, host = connect(autocommit=False), connect()
    blocker.execute("select from app.two where id = 150 for update")
    boots = in_background(boot, connect(), batch=10, lock_wait="20 s")
    sessions = connect()

    def waits() -> int | None:
        return value(
            sessions,
            "select pid from pg_stat_activity where datname = current_database()"
            " and wait_event_type = 'Lock' and query ~ 'call recovery.boot'",
        )

    wait_for(waits)
    dropping = in_background(host.execute, "drop table app.two")
    wait_for_lock(sessions, host.info.backend_pid)
    blocker.rollback()
    assert dropping.result(30)
    report = boots.result(30)
    assert report.closed["app.job"] >= 100
    assert value(sessions, "select count(*) from recovery.broken_watch") == 0
    assert set(jobs(parted).values()) == {"failed"}
    sweep(parted)
    assert not problems(parted)
