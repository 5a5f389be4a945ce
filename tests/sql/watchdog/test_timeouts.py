"""tool_timeout, task_timeout and wall_timeout of any table."""

from __future__ import annotations

import pytest

from sql.jobs import Connection, attach, boot, refused, statuses, sweep, value, write_as
from sql.watchdog.clock import advance, asked, configure, due, later, reasons, supervise


def job(conn: Connection, epoch: int | None, **columns: object) -> str:
    names = "".join(f", {name}" for name in columns)
    marks = "".join(f", %({name})s" for name in columns)
    row = conn.execute(
        f"insert into app.job (server_epoch{names}) values (%(epoch)s{marks}) returning id::text",  # type: ignore
        {"epoch": epoch, **columns},
    ).fetchone()
    assert row is not None
    return str(row[0])


def test_row_14_a_stuck_tool_is_asked_for_then_closed(work: Connection) -> None:
    key = job(work, boot(work).epoch)
    assert later(work, "9 min")["asked"] == 0
    report = later(work, "2 min")
    assert (report["asked"], report["closed"], set(asked(work))) == (1, {}, {key})
    assert reasons(work, "cancel") == {key: "tool_timeout"}
    assert later(work, "5 s")["closed"] == {}
    assert later(work, "6 s")["closed"] == {"app.job": 1}
    assert reasons(work) == {key: "tool_timeout"}
    assert value(work, "select error from app.job") == "tool timed out"
    assert value(work, "select count(*) from recovery.cancellation") == 0
    assert later(work, "1 hour")["closed"] == {}


def test_without_a_grace_it_is_closed_at_once(work: Connection) -> None:
    configure(work, "cancel_grace", "0 s")
    job(work, boot(work).epoch)
    report = later(work, "11 min")
    assert (report["asked"], report["closed"]) == (0, {"app.job": 1})


def test_nobody_is_asked_for_work_that_nobody_owns(work: Connection) -> None:
    boot(work)
    job(work, None)
    assert later(work, "11 min")["closed"] == {"app.job": 1}


@pytest.mark.parametrize("setting", ["off", None])
def test_a_timeout_that_is_off_or_not_set_closes_nothing(
    work: Connection, setting: str | None
) -> None:
    configure(work, "tool_timeout", setting)
    job(work, boot(work).epoch)
    assert later(work, "1 year")["asked"] == 0


def test_a_change_counts_from_the_next_sweep_on(work: Connection) -> None:
    key = job(work, boot(work).epoch)
    assert later(work, "5 min")["asked"] == 0
    configure(work, "tool_timeout", "4 min")
    assert sweep(work)["asked"] == 1
    assert set(asked(work)) == {key}


def test_row_14_each_kind_has_its_own_cut_off(work: Connection) -> None:
    epoch = boot(work).epoch
    configure(work, "tool_timeout", "1 h", kind="build")
    configure(work, "tool_timeout", "1 min", kind="ping")
    configure(work, "tool_timeout", "off", kind="serve")
    keys = {kind: job(work, epoch, kind=kind) for kind in ("bash", "build", "ping", "serve")}
    advance(work, "2 min")
    assert set(due(work)) == {keys["ping"]}
    advance(work, "9 min")
    assert set(due(work)) == {keys["ping"], keys["bash"]}
    advance(work, "1 h")
    assert set(due(work)) == {keys["ping"], keys["bash"], keys["build"]}


def test_work_without_a_kind_is_no_tool(work: Connection) -> None:
    job(work, boot(work).epoch, kind=None)
    advance(work, "1 day")
    assert due(work) == {}
    configure(work, "wall_timeout", "1 h")
    assert list(due(work).values()) == ["wall_timeout"]


def test_row_17_activity_starts_the_clock_anew(work: Connection) -> None:
    key = job(work, boot(work).epoch)
    advance(work, "9 min")
    work.execute("update app.job set moved = recovery._now()")
    advance(work, "9 min")
    assert due(work) == {}
    advance(work, "2 min")
    assert set(due(work)) == {key}


def test_row_17_so_does_a_touch(work: Connection) -> None:
    key = job(work, boot(work).epoch)
    for _ in range(4):
        advance(work, "9 min")
        assert value(work, "select recovery.touch('app.job', %s)", [key, "nothing"]) == 2
        assert due(work) == {}
    advance(work, "11 min")
    assert set(due(work)) == {key}


def test_touches_are_coalesced_and_stay_hot(work: Connection) -> None:
    key = job(work, boot(work).epoch)
    assert value(work, "select recovery.touch('app.job', %s)", [key]) == 1
    assert value(work, "select recovery.touch('app.job', %s)", [key]) == 0
    for _ in range(50):
        work.execute("update recovery.clock set shift = shift + interval '2 s'")
        work.execute("select recovery.touch('app.job', %s)", ([key],))
    work.execute("select pg_stat_force_next_flush()")
    updates, hot = work.execute(
        "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'touch'"
    ).fetchone() or (0, 0)
    assert updates == hot == 50


def test_a_touch_of_a_wrong_scope_is_refused(work: Connection) -> None:
    with refused("RC010", "touch scope 'table' is not known"):
        work.execute("select recovery.touch('app.job', '{1}', 'table')")
    with refused("RC008", "nothing is watched as 'app.jobs'"):
        work.execute("select recovery.touch('app.jobs', '{1}')")


def test_row_10_waiting_for_a_human_is_not_being_stuck(work: Connection) -> None:
    """P10, row 18."""
    key = job(work, boot(work).epoch, waits=True)
    configure(work, "wall_timeout", "1 h")
    advance(work, "1 day")
    assert due(work) == {}
    work.execute("update app.job set waits = false, moved = recovery._now()")
    assert due(work) == {key: "wall_timeout"}


def test_row_16_a_wall_clock_cap_for_what_moves_for_ever(work: Connection) -> None:
    key = job(work, boot(work).epoch)
    configure(work, "wall_timeout", "1 h")
    for _ in range(7):
        advance(work, "9 min")
        work.execute("update app.job set moved = recovery._now()")
    assert due(work) == {key: "wall_timeout"}


def test_a_rows_own_timeout_comes_before_every_setting(work: Connection) -> None:
    supervise(work, kind="kind", timeout="note::interval", started="started")
    epoch = boot(work).epoch
    quick, usual = job(work, epoch, note="1 min"), job(work, epoch)
    advance(work, "2 min")
    assert set(due(work)) == {quick}
    advance(work, "9 min")
    assert set(due(work)) == {quick, usual}


def test_row_36_waking_from_sleep_times_out_nothing_at_once(work: Connection) -> None:
    key = job(work, boot(work).epoch)
    sweep(work)
    work.execute("update recovery.clock set shift = '3 hours'")  # and nobody swept
    work.execute("update recovery.server set heartbeat = recovery._now()")
    assert sweep(work)["asked"] == 0
    assert later(work, "9 min")["asked"] == 0
    assert later(work, "2 min")["asked"] == 1
    assert set(asked(work)) == {key}


def test_a_request_is_withdrawn_when_the_work_moves_again(work: Connection) -> None:
    key = job(work, boot(work).epoch)
    assert later(work, "11 min")["asked"] == 1
    work.execute("select recovery.touch('app.job', %s)", ([key],))
    assert later(work, "1 min")["closed"] == {}
    assert value(work, "select count(*) from recovery.cancellation") == 0
    assert list(statuses(work).values()) == ["running"]


def test_an_acknowledgement_closes_what_was_left_open(work: Connection) -> None:
    server = boot(work)
    key = job(work, server.epoch)
    later(work, "11 min")
    number = asked(work)[key]
    with refused("RC003"):
        work.execute(
            "select recovery.acknowledge_cancellation(%s, %s, gen_random_uuid())",
            (number, server.epoch),
        )
    assert list(statuses(work).values()) == ["running"]
    for wanted in ({"app.job": 1}, {}):
        ack = (number, server.epoch, server.token)
        assert value(work, "select recovery.acknowledge_cancellation(%s, %s, %s)", *ack) == wanted
    assert reasons(work) == {key: "tool_timeout"}
    assert value(work, "select detector from recovery.event where kind = 'closed'") == (
        f"cancel:{server.epoch}"
    )


def test_another_servers_request_cannot_be_acknowledged(work: Connection) -> None:
    key = job(work, boot(work).epoch)
    other = boot(work, "other")
    later(work, "11 min")
    ack = (asked(work)[key], other.epoch, other.token)
    assert value(work, "select recovery.acknowledge_cancellation(%s, %s, %s)", *ack) == {}
    assert list(statuses(work).values()) == ["running"]


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_row_09_the_late_result_of_a_live_owner_is_refused(
    work: Connection, isolation: str
) -> None:
    server = boot(work)
    key = job(work, server.epoch)
    configure(work, "cancel_grace", "0 s")
    later(work, "11 min")
    write_as(work, server.epoch)
    work.execute(f"set default_transaction_isolation = '{isolation}'")  # type: ignore
    with refused("RC013", f"was taken from epoch {server.epoch}"):
        work.execute("update app.job set status = 'done', note = 'late' where id = %s", (key,))
    with refused("RC013"):
        work.execute("update app.job set status = 'running' where id = %s", (key,))
    # To take it up again on purpose, it says so.
    work.execute("update app.job set status = 'running', server_epoch = %s", (server.epoch,))
    work.execute("update app.job set status = 'done'")
    assert list(statuses(work).values()) == ["done"]


def test_people_and_other_servers_may_take_it_up_again(work: Connection) -> None:
    job(work, boot(work).epoch)
    configure(work, "cancel_grace", "0 s")
    later(work, "11 min")
    write_as(work, None)
    work.execute("update app.job set note = 'looked at it'")
    other = boot(work, "other").epoch
    write_as(work, other)
    work.execute("update app.job set status = 'running'")
    assert value(work, "select server_epoch from app.job") == other


def test_guarded_work_is_alive(work: Connection) -> None:
    """P3: whoever extends a fuse says that the work lives."""
    key = job(work, boot(work).epoch)
    advance(work, "11 min")
    work.execute("select recovery.light_fuse('app.job', %s, '1 min', 'here', 4711, now())", (key,))
    assert sweep(work)["asked"] == 0
    later(work, "2 min")
    assert reasons(work) == {key: "fuse_expired"}


def test_one_watch_whose_expression_fails_stops_no_other(work: Connection) -> None:
    work.execute("create table app.other (id int primary key, status text, at timestamptz)")
    attach(work, "app.other", close="""{"status": "'failed'"}""")
    supervise(work, "app.other", hold="1 / (id - 1) > 5", started="at")
    epoch = boot(work).epoch
    work.execute("insert into app.other values (1, 'running', clock_timestamp(), %s)", (epoch,))
    key = job(work, epoch)
    assert later(work, "11 min")["asked"] == 1
    assert set(asked(work)) == {key}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cancel": "all"}, "cancel 'all' of app.job is not known"),
        ({"cancel": "group"}, "has no group to cancel"),
        ({"child": "child"}, "has no groups"),
        ({"kind": "nope"}, "the kind expression for app.job does not work"),
        ({"hold": "started"}, "the hold expression"),
        ({"started": "clock_timestamp()"}, "the started expression"),
        ({"activity": "count(*)"}, "the activity expression"),
        ({"timeout": "waits"}, "the timeout expression"),
    ],
)
def test_what_cannot_work_is_refused(work: Connection, options: dict[str, str], words: str) -> None:
    before = work.execute("select to_jsonb(w) from recovery.watch as w").fetchall()
    with refused("RC006", words):
        supervise(work, **options)
    assert work.execute("select to_jsonb(w) from recovery.watch as w").fetchall() == before


def test_a_table_that_is_not_watched_is_refused(app: Connection) -> None:
    with refused("RC008", "app.job is not watched"):
        supervise(app, kind="note")
    attach(app)
    with refused("RC006", "needs to know when work of app.job started"):
        supervise(app, kind="note")
