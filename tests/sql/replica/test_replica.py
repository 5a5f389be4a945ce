"""Rows that logical replication brought belong to nobody here until somebody takes them over."""

from __future__ import annotations

import pytest

from helpers import wait_for
from sql.jobs import (
    Booted,
    Connection,
    add,
    attach,
    boot,
    events,
    lapse,
    last_event,
    shutdown,
    statuses,
    sweep,
    value,
    write_as,
)
from sql.replica.conftest import Pair

GROUPED = """
    create schema grp;
    create table grp.task (id bigint primary key, session text not null, status text not null,
        started timestamptz not null default now(), who text);
"""


def attached(pair: Pair, **options: object) -> Booted:
    """Both attach app.job, the publisher's server has an open row, and it is published."""
    for conn in pair.both:
        attach(conn, **options)
    server = boot(pair.publisher, "api")
    add(pair.publisher, server.epoch)
    pair.publish()
    return server


def look(conn: Connection) -> tuple[int, int, int, int | None]:
    """(open, orphans, unowned, elsewhere) of app.job."""
    row = conn.execute(
        "select open_rows, orphans, unowned, elsewhere from recovery.watch_status where watch = 'app.job'"
    ).fetchone()
    assert row is not None
    return tuple(row)  # type: ignore


def leaves_alone(conn: Connection) -> None:
    """Sweeps, boots and a shutdown: nothing is closed and nobody is booked as lost."""
    before, seen = statuses(conn), last_event(conn)
    for _ in range(3):
        assert sweep(conn)["closed"] == {}
    local = boot(conn, "api")  # the publisher's name, too
    assert local.closed == {}
    assert shutdown(conn, local.epoch)["closed"] == {}
    assert sweep(conn)["closed"] == {}
    assert statuses(conn) == before
    # Nothing but that their changes can't be told, once for each watch.
    told = conn.execute(
        "select kind, reason, watch from recovery.event where id > %s", (seen,)
    ).fetchall()
    assert {(kind, reason) for kind, reason, _ in told} <= {("gap", "replicated")}
    assert len(told) == len(set(told))
    assert value(conn, "select count(*) from recovery.server where reason = 'epoch_lost'") == 0


def test_p02_a_live_row_of_the_publisher_is_left_alone(pair: Pair) -> None:
    attached(pair)
    assert statuses(pair.subscriber) == {1: "running"}
    leaves_alone(pair.subscriber)
    assert look(pair.subscriber) == (1, 0, 0, 1)
    assert look(pair.publisher) == (1, 0, 0, None)
    assert pair.subscriber.execute("select * from recovery.preview()").fetchall() == []
    assert pair.subscriber.execute("select * from recovery.preview('api')").fetchall() == []


def test_p02_while_the_subscription_is_disabled(pair: Pair) -> None:
    attached(pair)
    pair.subscriber.execute(f"alter subscription link_{pair.number} disable")  # type: ignore
    leaves_alone(pair.subscriber)
    assert look(pair.subscriber) == (1, 0, 0, 1)


def test_what_the_publisher_closes_closes_here(pair: Pair) -> None:
    attached(pair)
    boot(pair.publisher, "api")
    pair.follow()
    assert statuses(pair.subscriber) == {1: "failed"}
    assert look(pair.subscriber) == (0, 0, 0, 0)
    assert events(pair.subscriber) == []  # told where it happened


def test_p01_a_dropped_subscription_makes_them_orphans(pair: Pair) -> None:
    attached(pair)
    leaves_alone(pair.subscriber)
    pair.subscriber.execute(f"drop subscription link_{pair.number}")  # type: ignore
    assert sweep(pair.subscriber)["closed"] == {"app.job": 1}
    begun, closed, over = events(pair.subscriber)
    assert [event["kind"] for event in (begun, closed, over)] == ["gap", "closed", "gap"]
    assert "until" not in begun["new"]
    assert over["new"]["until"]  # from here on its changes are told again
    assert (closed["reason"], closed["new"]["error"]) == ("epoch_lost", "server lost")
    assert statuses(pair.publisher) == {1: "running"}
    assert look(pair.subscriber) == (0, 0, 0, None)


def test_subscribed_again_after_that_it_is_the_publishers_again(pair: Pair) -> None:
    server = attached(pair)
    pair.subscriber.execute(f"drop subscription link_{pair.number}")  # type: ignore
    sweep(pair.subscriber)
    pair.subscriber.execute("truncate app.job")
    pair.publisher.execute("drop publication p")
    pair.publish()
    assert value(pair.subscriber, "select server_epoch from app.job") == server.epoch
    assert sweep(pair.subscriber)["closed"] == {}
    assert boot(pair.subscriber, "lost epoch").closed == {}
    assert look(pair.subscriber) == (1, 0, 0, 1)


def test_p01_a_server_takes_a_row_over_by_writing_its_epoch(pair: Pair) -> None:
    attached(pair)
    add(pair.publisher, value(pair.publisher, "select server_epoch from app.job"))
    pair.follow()
    local = boot(pair.subscriber, "heir")
    write_as(pair.subscriber, local.epoch)
    pair.subscriber.execute("update app.job set server_epoch = %s where id = 1", (local.epoch,))
    assert [event["kind"] for event in events(pair.subscriber)] == ["adopted"]
    assert look(pair.subscriber) == (2, 0, 0, 1)
    assert sweep(pair.subscriber)["closed"] == {}
    write_as(pair.subscriber, None)
    lapse(pair.subscriber, local.epoch)
    assert sweep(pair.subscriber)["closed"] == {"app.job": 1}
    assert statuses(pair.subscriber) == {1: "failed", 2: "running"}
    assert events(pair.subscriber)[-1]["reason"] == "lease_expired"


def test_p02_rows_without_an_epoch_are_the_publishers_too(pair: Pair) -> None:
    """Its servers need not use recovery at all; the cut-off at boot does not count them."""
    for conn in pair.both:
        conn.execute("alter table app.job add started timestamptz default now() - interval '1 day'")
        attach(conn, started="started", unowned="1 hour")
    add(pair.publisher, None)
    pair.publish()
    leaves_alone(pair.subscriber)
    assert look(pair.subscriber) == (1, 0, 0, 1)
    assert boot(pair.publisher).closed == {"app.job": 1}


@pytest.mark.parametrize("via_root", ["true", "false"])
def test_p02_in_partitioned_tables(pair: Pair, via_root: str) -> None:
    for conn in pair.both:
        conn.execute("drop table app.job")
        conn.execute(
            "create table app.job (id bigint primary key, status text not null default 'running', error text)"
            " partition by range (id)"
        )
        conn.execute("create table app.job_1 partition of app.job for values from (0) to (1000)")
        attach(conn)
    server = boot(pair.publisher)
    pair.publisher.execute("insert into app.job (id, server_epoch) values (1, %s)", (server.epoch,))
    pair.publish(f"table app.job with (publish_via_partition_root = {via_root})")
    target = value(pair.subscriber, "select srrelid::regclass::text from pg_subscription_rel")
    assert target == ("app.job" if via_root == "true" else "app.job_1")
    leaves_alone(pair.subscriber)
    assert look(pair.subscriber) == (1, 0, 0, 1)


def test_p02_no_timeout_runs_for_them(pair: Pair) -> None:
    for conn in pair.both:
        conn.execute("alter table app.job add started timestamptz default now() - interval '1 day'")
    attached(pair, started="started")
    pair.subscriber.execute("select recovery.configure('wall_timeout', '1 h')")
    assert pair.subscriber.execute("select * from recovery._due_units()").fetchall() == []
    leaves_alone(pair.subscriber)
    assert value(pair.subscriber, "select count(*) from recovery.cancellation") == 0
    local = boot(pair.subscriber, "heir")
    pair.subscriber.execute("update app.job set server_epoch = %s", (local.epoch,))
    assert sweep(pair.subscriber)["asked"] == 1


def test_p02_groups_are_neither_idle_nor_cancelled(pair: Pair) -> None:
    """A session with work of here and of there lives there."""
    for conn in pair.both:
        conn.execute(GROUPED)
        attach(
            conn,
            "grp.task",
            close='{"status": "\'failed\'"}',
            group="session",
            started="started",
        )
        conn.execute(
            "select recovery.supervise('grp.task', p_kind => $$'x'$$, p_cancel => 'group')"
        )
    server = boot(pair.publisher)
    pair.publisher.execute(
        "insert into grp.task values (1, 's', 'running', now() - interval '1 day', 'there', %s)",
        (server.epoch,),
    )
    pair.publish("table grp.task")
    local = boot(pair.subscriber, "heir")
    pair.subscriber.execute(
        "insert into grp.task values (2, 's', 'running', now() - interval '1 day', 'here', %s)",
        (local.epoch,),
    )
    for setting, given in (
        ("idle_timeout", "1 h"),
        ("tool_timeout", "1 h"),
        ("idle_roots", "true"),
    ):
        pair.subscriber.execute("select recovery.configure(%s, %s)", (setting, given))
    assert pair.subscriber.execute("select * from recovery._due_units()").fetchall() == []
    pair.subscriber.execute(
        "select recovery.light_fuse('grp.task', 's', '1 ms', 'h', 4711, now(), 'group')"
    )
    report = sweep(pair.subscriber)
    assert (report["closed"], report["asked"]) == ({}, 0)
    shutdown(pair.subscriber, local.epoch)  # what is of here still closes
    assert dict(pair.subscriber.execute("select who, status from grp.task").fetchall()) == {
        "there": "running",
        "here": "failed",
    }


def test_a_person_may_close_one(pair: Pair) -> None:
    attached(pair)
    pair.subscriber.execute("select recovery.close('1', 'wanted')")
    assert statuses(pair.subscriber) == {1: "failed"}


def test_p02_a_family_counts_as_a_whole(pair: Pair) -> None:
    for conn in pair.both:
        conn.execute(GROUPED)
        for table, group in (("grp.task", "session"), ("app.job", "note")):
            attach(conn, table, close='{"status": "\'failed\'"}', group=group, family="f")
    server = boot(pair.publisher)
    pair.publisher.execute(
        "insert into grp.task (id, session, status, server_epoch) values (1, 's', 'running', %s)",
        (server.epoch,),
    )
    pair.publish("table grp.task")
    pair.subscriber.execute("set session_replication_role = replica")  # as another tool copies
    add(pair.subscriber, server.epoch)
    pair.subscriber.execute("reset session_replication_role")
    leaves_alone(pair.subscriber)


def test_p02_our_own_tables_stay_local(pair: Pair) -> None:
    """FOR ALL TABLES brings the publisher's servers, fuses and watches: they mean nothing here."""
    for conn in pair.both:
        attach(conn)
    server = boot(pair.publisher, "api")
    add(pair.publisher, server.epoch)
    pair.publisher.execute("select recovery.light_fuse('app.job', '1', '1 h', 'h', 4711, now())")
    local = boot(pair.subscriber, "own")
    pair.publish("all tables")
    pair.publisher.execute("select recovery.heartbeat(%s, %s)", (server.epoch, server.token))
    pair.publisher.execute("select recovery.configure('wall_timeout', '1 h')")
    sweep(pair.publisher, label="there")
    add(pair.publisher, server.epoch)
    pair.follow()
    (epochs,) = pair.subscriber.execute("select array_agg(epoch) from recovery.server").fetchone()  # type: ignore
    assert epochs == [local.epoch]
    for table in ("fuse", "setting", "sweep_run", "event"):
        assert value(pair.subscriber, f"select count(*) from recovery.{table}") == 0
    assert value(pair.subscriber, "select count(*) from recovery.watch") == value(
        pair.publisher, "select count(*) from recovery.watch"
    )
    assert value(pair.subscriber, "select swept from recovery.observation") is None
    leaves_alone(pair.subscriber)
    assert look(pair.subscriber) == (2, 0, 0, 2)


def test_a_restore_under_the_same_role_keeps_them(pair: Pair) -> None:
    pair.subscriber.execute("set session_replication_role = replica")
    pair.subscriber.execute(
        "insert into recovery.setting (name, value) values ('wall_timeout', '01:00:00')"
    )
    pair.subscriber.execute("update recovery.clock set shift = '1 s'")
    pair.subscriber.execute("delete from recovery.clock")
    assert value(pair.subscriber, "select count(*) from recovery.setting") == 1
    assert value(pair.subscriber, "select count(*) from recovery.clock") == 0


@pytest.mark.majors("newest")  # origin exists from 16 on
def test_p02_both_ways(pair: Pair) -> None:
    for conn in pair.both:
        attach(conn)
    here, there = boot(pair.subscriber, "here"), boot(pair.publisher, "there")
    add(pair.publisher, there.epoch)
    pair.subscriber.execute(
        "insert into app.job (id, server_epoch) values (100, %s)", (here.epoch,)
    )
    pair.publish(options=", origin = none, copy_data = false")
    pair.publish(options=", origin = none, copy_data = false", back=True)
    add(pair.publisher, there.epoch)
    pair.subscriber.execute(
        "insert into app.job (id, server_epoch) values (200, %s)", (here.epoch,)
    )
    pair.publisher.execute("update app.job set note = 'moved' where id = 1")  # not there: no copy
    both = "select count(*) from app.job where id in (2, 200)"
    for conn in pair.both:
        wait_for(lambda conn=conn: value(conn, both) == 2, 30)  # type: ignore
        assert sweep(conn)["closed"] == {}
    lapse(pair.subscriber, here.epoch)
    assert sweep(pair.subscriber)["closed"] == {"app.job": 2}
    wait_for(
        lambda: value(pair.publisher, "select status from app.job where id = 200") == "failed", 30
    )
    assert value(pair.publisher, "select status from app.job where id = 2") == "running"
    assert value(pair.subscriber, "select status from app.job where id = 2") == "running"


def test_two_databases_never_issue_the_same_epoch(pair: Pair) -> None:
    numbers = [value(conn, "select recovery._database_number()") for conn in pair.both]
    assert all(0 <= number < 1000 for number in numbers)
    for conn, number in zip(pair.both, numbers, strict=True):
        now = value(conn, "select (date_part('epoch', clock_timestamp()) * 1000000)::bigint")
        epochs = [boot(conn, f"api-{n}").epoch for n in range(5)]
        assert epochs == sorted(set(epochs))
        assert {epoch % 1000 for epoch in epochs} == {number}
        assert now <= epochs[0] < now + 60_000_000


def test_p02_servers_that_came_with_a_copy_of_the_publisher(pair: Pair) -> None:
    """As pg_createsubscriber leaves it: the publisher's servers are known, and look dead."""
    server = attached(pair)
    foreign = server.epoch
    if foreign % 1000 == value(pair.subscriber, "select recovery._database_number()"):
        pytest.skip("these two have the same number")  # one in a thousand
    pair.subscriber.execute(
        "insert into recovery.server (epoch, name, lease, grace) values (%s, 'api', '15 s', '3 s')",
        (foreign,),
    )
    lapse(pair.subscriber, foreign)
    assert sweep(pair.subscriber)["ended"] == [foreign]
    leaves_alone(pair.subscriber)
    assert look(pair.subscriber) == (1, 0, 0, 1)
