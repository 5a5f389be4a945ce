"""P7, P14: whatever is broken stays alone: each loop of a sweep and of status with a bad element, beside a good one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sql.jobs import Connection, add, attach, boot, refused, statuses, value
from sql.watchdog.clock import advance, asked, configure, later, reasons, supervise


def null_group_that_is_due(conn: Connection) -> None:
    """A row without a group, of a watch that cancels groups."""
    conn.execute("create table app.bad (id int primary key, status text, grp text, at timestamptz)")
    attach(conn, "app.bad", group="grp", close="""{"status": "'failed'"}""")
    supervise(conn, "app.bad", started="at", cancel="group")
    conn.execute(
        "insert into app.bad values (1, 'running', null, clock_timestamp(), %s)", (live(conn),)
    )


def activity_that_fails(conn: Connection) -> None:
    bad_expression(conn, activity="clock_timestamp() - make_interval(secs => 1 / (id - 1))")


def hold_that_fails(conn: Connection) -> None:
    bad_expression(conn, hold="1 / (id - 1) > 5")


def timeout_that_fails(conn: Connection) -> None:
    bad_expression(conn, timeout="make_interval(secs => 1 / (id - 1))")


def child_that_fails(conn: Connection) -> None:
    bad_expression(conn, group="grp", child="(1 / (id - 1))::text")


def bad_expression(conn: Connection, group: str | None = None, **options: str) -> None:
    conn.execute("create table app.bad (id int primary key, status text, grp text, at timestamptz)")
    attach(conn, "app.bad", group=group, close="""{"status": "'failed'"}""")
    supervise(conn, "app.bad", started="at", **options)
    conn.execute(
        "insert into app.bad values (1, 'running', 'g', clock_timestamp(), %s)", (live(conn),)
    )


def fuse_of_no_watch(conn: Connection) -> None:
    fuse(conn, "gone", "row", "gone", "1")


def fuse_with_a_key_that_is_none(conn: Connection) -> None:
    fuse(conn, "app.job", "row", "app.job", "not a number")


def fuse_of_a_group_of_nothing(conn: Connection) -> None:
    fuse(conn, "app.job", "group", "", "g")


def fuse(conn: Connection, family: str, scope: str, watch: str, key: str) -> None:
    conn.execute("select recovery.light_fuse('app.job', '1', '1 second', 'here', 4711, now())")
    conn.execute("update recovery.fuse set family = %s, scope = %s, watch = %s, key = %s",
                 (family, scope, watch, key))  # fmt: skip


def request_for_no_watch(conn: Connection) -> None:
    request(conn, "gone", "1")


def request_with_a_key_that_is_none(conn: Connection) -> None:
    request(conn, "app.job", "not a number")


def request_without_detail(conn: Connection) -> None:
    request(conn, "app.job", "1")
    conn.execute("update recovery.cancellation set detail = null")


def request(conn: Connection, watch: str, key: str) -> None:
    conn.execute(
        "insert into recovery.cancellation (family, scope, watch, key, reason, detail, deadline)"
        " values ('f', 'row', %s, %s, 'tool_timeout', jsonb_build_object('watch', %s::text),"
        " recovery._now())",
        (watch, key, watch),
    )


def touch_of_nothing(conn: Connection) -> None:
    conn.execute("insert into recovery.touch (family, scope, watch, key, at)"
                 " values ('gone', 'row', 'gone', 'x', recovery._now())")  # fmt: skip


def process_of_no_watch(conn: Connection) -> None:
    process(conn, "gone", "1")


def process_with_a_key_that_is_none(conn: Connection) -> None:
    process(conn, "app.job", "not a number")


def process(conn: Connection, watch: str, key: str) -> None:
    server = boot(conn, "tools")
    conn.execute("select recovery.track_process(%s, %s, 'app.job', '1', 'row', 'here', 4711, now())",
                 (server.epoch, server.token))  # fmt: skip
    conn.execute("update recovery.process set family = %s, watch = %s, key = %s",
                 (watch, watch, key))  # fmt: skip
    conn.execute(
        "update recovery.server set ended = now(), reason = 'evicted' where name = 'tools'"
    )


def failure_with_a_key_that_is_none(conn: Connection) -> None:
    conn.execute("insert into recovery.failure (watch, key, key_parts, sqlstate, message, next_at)"
                 " values ('app.job', 'x', '{x}', '23514', 'no', now())")  # fmt: skip


def table_that_is_gone(conn: Connection) -> None:
    null_group_that_is_due(conn)
    conn.execute("alter table app.bad rename column status to state")
    conn.execute("alter table app.bad rename column at to since")


def owner_that_booted_nowhere(conn: Connection) -> None:
    conn.execute("set session_replication_role = replica")
    add(conn, 17)
    conn.execute("reset session_replication_role")


def server_of_the_future(conn: Connection) -> None:
    boot(conn, "future")
    conn.execute("update recovery.server set heartbeat = 'infinity', process_start = 'infinity',"
                 " pid = -1 where name = 'future'")  # fmt: skip


BAD = [
    null_group_that_is_due,
    activity_that_fails,
    hold_that_fails,
    timeout_that_fails,
    child_that_fails,
    fuse_of_no_watch,
    fuse_with_a_key_that_is_none,
    fuse_of_a_group_of_nothing,
    request_for_no_watch,
    request_with_a_key_that_is_none,
    request_without_detail,
    touch_of_nothing,
    process_of_no_watch,
    process_with_a_key_that_is_none,
    failure_with_a_key_that_is_none,
    table_that_is_gone,
    owner_that_booted_nowhere,
    server_of_the_future,
]


def live(conn: Connection) -> int:
    return boot(conn, "owner", lease="1 day").epoch


@pytest.fixture
def work(app: Connection) -> Connection:
    """app.job under the watchdog, tool_timeout 10 minutes, no grace."""
    app.execute(
        "alter table app.job add column started timestamptz not null default clock_timestamp()"
    )
    attach(app)
    supervise(app, started="started")
    configure(app, "tool_timeout", "10 min")
    return app


@pytest.mark.parametrize("spoil", BAD, ids=lambda one: one.__name__)
def test_p14_all_others_are_served(work: Connection, spoil: Callable[[Connection], None]) -> None:
    spoil(work)
    owner, dead = boot(work, "good", lease="1 day"), boot(work, "dead")
    (due,) = add(work, owner.epoch)
    advance(work, "11 min")
    (orphan,) = add(work, dead.epoch)
    work.execute("select recovery.light_fuse('app.job', %s, '1 second', 'here', 4711, now())",
                 (str(add(work, owner.epoch)[0]),))  # fmt: skip
    work.execute("update recovery.server set process_dead = booted where epoch = %s", (dead.epoch,))
    assert later(work, "5 seconds")["closed"]["app.job"] >= 1
    later(work, "5 seconds")
    # Orphans closed, a fuse burnt out, live owners were asked; then the deadline closes.
    assert reasons(work)[str(orphan)] == "process_dead"
    assert "fuse_expired" in reasons(work).values()
    assert str(due) in asked(work)
    later(work, "1 minute")
    assert reasons(work)[str(due)] == "tool_timeout"
    # A boot, what the keeper asks for, and status.
    assert boot(work, "good").epoch
    for statement in (
        "select * from recovery.server_status",
        "select * from recovery.watch_status",
        "select * from recovery.setting_status",
        "select * from recovery.problem",
        "select * from recovery.preview()",
        "select * from recovery.orphaned_processes('here')",
        "select recovery.prune_processes('1 day')",
    ):
        work.execute(statement)  # type: ignore
    assert "running" not in {statuses(work)[key] for key in (due, orphan)}
    # Each sweep came to its end.
    assert value(work, "select count(*) from recovery.sweep_run") > 0


def test_a_setting_that_is_none_is_refused_where_it_enters(work: Connection) -> None:
    with refused("22007"):
        work.execute("insert into recovery.setting (name, value) values ('cancel_grace', 'soon')")
