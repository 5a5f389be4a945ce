"""Evidence from the host's own tables: `alive` says of a row whether its work lives, with or without
a server of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from helpers import wait_for
from sql.jobs import (
    Connection,
    attach,
    boot,
    events,
    failures,
    fingerprint,
    in_background,
    lapse,
    refused,
    shutdown,
    statuses,
    sweep,
    value,
    write_as,
)
from sql.watchdog.clock import configure

#: Null where the worker is not known at all.
ALIVE = """(select w.beat > app.clock() - interval '10 seconds' from app.worker as w
            where w.id = worker_id)"""
STEP = 5


@pytest.fixture
def host(app: Connection) -> Connection:
    """A host with a table of workers that beat; its clock is ours."""
    app.execute(
        "alter table app.job add worker_id text, add session text,"
        " add started timestamptz not null default recovery._now();"
        " create table app.worker (id text primary key, beat timestamptz not null);"
        " create function app.clock() returns timestamptz language sql stable"
        " security definer return (select clock_timestamp() + c.shift from recovery.clock as c);"
        " select recovery.permit('postgres');"
        " grant usage on schema app to recovery_runner_postgres;"
        " grant select on app.worker to recovery_runner_postgres"
    )
    return app


def watch(conn: Connection, **options: Any) -> Connection:
    attach(conn, **{"alive": ALIVE, "alive_lease": "15 seconds", "started": "started", **options})
    return conn


def beat(conn: Connection, *workers: str) -> None:
    for worker in workers:
        conn.execute(
            "insert into app.worker values (%s, app.clock())"
            " on conflict (id) do update set beat = excluded.beat",
            (worker,),
        )


def work(conn: Connection, worker: str | None, count: int = 1, session: str | None = None) -> int:
    """Open rows of a worker, of no epoch of ours; the last one's id."""
    return int(
        conn.execute(
            "insert into app.job (worker_id, session) select %s, %s from generate_series(1, %s)"
            " returning id",
            (worker, session, count),
        ).fetchall()[-1][0]
    )


def move_clock(conn: Connection, by: str) -> None:
    conn.execute("update recovery.clock set shift = shift + %s::interval", (by,))


def watch_for(conn: Connection, seconds: int, *beating: str, step: int = STEP) -> int:
    """Sweeps every `step` seconds of the moved clock while some workers beat; how many rows closed."""
    closed = 0
    for _ in range(0, seconds, step):
        move_clock(conn, f"{step} seconds")
        beat(conn, *beating)
        closed += sum(sweep(conn)["closed"].values())
    return closed


def held_because(conn: Connection) -> set[str | None]:
    return {row[0] for row in conn.execute("select held_because from recovery.lifeless_state")}


def noted(conn: Connection) -> int:
    return int(value(conn, "select count(*) from recovery.lifeless"))


def preview(conn: Connection) -> Sequence[tuple[Any, ...]]:
    return conn.execute(
        "select action, reason, key from recovery.preview() order by key"
    ).fetchall()


def test_a_sweeper_alone_protects_a_table(host: Connection) -> None:
    """No server of ours anywhere: rows of no epoch, and whoever sweeps."""
    watch(host)
    beat(host, "one", "two")
    dead, live, unknown = work(host, "one"), work(host, "two"), work(host, None)
    assert watch_for(host, 60, "one", "two") == 0
    assert noted(host) == 0
    # The beat is 10 s old, and then it is seen dead for 15 s.
    assert watch_for(host, 20, "two") == 0
    assert noted(host) == 1
    assert sweep(host)["unowned"] == {"app.job": 1}  # of which nobody says anything
    assert watch_for(host, 10, "two") == 1
    assert statuses(host) == {dead: "failed", live: "running", unknown: "running"}
    event = events(host)[-1]
    assert (event["kind"], event["reason"], event["key"]) == ("closed", "not_alive", str(dead))
    assert event["detector"].startswith("sweep:")
    assert value(host, "select error from app.job where id = %s", dead) == "no sign of life"
    sweep(host)
    assert noted(host) == 0
    assert value(host, "select count(*) from recovery.server") == 0


def test_the_owner_may_live(host: Connection) -> None:
    """An API's session has written the row: the API lives, the worker does not."""
    watch(host)
    api = boot(host, "api", lease="1 day")
    write_as(host, api.epoch)
    beat(host, "one", "two", "three")
    dead, live = work(host, "one"), work(host, "two")
    work(host, "three")
    assert watch_for(host, 60, "two", "three") == 1
    assert statuses(host)[dead] == "failed"
    assert statuses(host)[live] == "running"
    with refused("RC013"):  # its late result, through that API
        host.execute("update app.job set status = 'done' where id = %s", (dead,))
    write_as(host, None)


def test_a_sign_of_life_guards_the_row_of_an_ended_server(host: Connection) -> None:
    watch(host)
    api = boot(host, "api")
    write_as(host, api.epoch)
    beat(host, "one", "two")
    row, other = work(host, "one"), work(host, None)
    write_as(host, None)
    watch_for(host, 15, "one", "two")
    shutdown(host, api.epoch, token=api.token)
    assert statuses(host) == {row: "running", other: "failed"}
    assert preview(host) == [("keep", "shutdown", str(row))]
    assert watch_for(host, 60, "one") == 0
    # When the beats end, that counts as anywhere else: not at once.
    assert watch_for(host, 20) == 0
    assert watch_for(host, 10) == 1
    assert events(host)[-1]["reason"] == "not_alive"  # which is what has decided


def test_p3_a_boot_adopts_what_lives(host: Connection) -> None:
    watch(host)
    old = boot(host, "api")
    write_as(host, old.epoch)
    beat(host, "one")
    lives, silent = work(host, "one"), work(host, None)
    write_as(host, None)
    new = boot(host, "api")
    assert statuses(host) == {lives: "running", silent: "failed"}
    assert value(host, "select server_epoch from app.job where id = %s", lives) == new.epoch
    assert new.report["adopted"] == {"app.job": 1}


def test_unknown_says_nothing(host: Connection) -> None:
    watch(host, unowned="1 hour")
    row = work(host, "nobody")
    assert watch_for(host, 60) == 0
    assert noted(host) == 0
    host.execute("update app.job set started = started - interval '2 hours'")
    beat(host, "lives")
    work(host, "lives")
    host.execute("update app.job set started = started - interval '2 hours'")
    assert watch_for(host, 5, "lives") == 1
    assert statuses(host)[row] == "failed"


def test_work_that_is_too_young_is_not_looked_at(host: Connection) -> None:
    """A worker registers a moment after its work was written."""
    watch(host, alive=f"coalesce({ALIVE}, false)", launch_grace="1 minute")
    work(host, "late")
    assert watch_for(host, 55) == 0
    assert noted(host) == 0
    assert watch_for(host, 30) == 1


def test_p5_after_the_sweepers_slept(host: Connection) -> None:
    watch(host)
    beat(host, "one", "two")
    row, _ = work(host, "one"), work(host, "two")
    watch_for(host, 60, "one", "two")
    move_clock(host, "8 hours")
    assert sum(sweep(host)["closed"].values()) == 0
    assert held_because(host) == {"no look for 08:00:00"}
    assert watch_for(host, 10, "two") == 0
    assert statuses(host)[row] == "running"
    assert watch_for(host, 10, "two") == 1


def test_p5_what_was_seen_before_a_break_counts_for_nothing(host: Connection) -> None:
    """Found dead once, then nobody could beat for a while: the clock begins anew."""
    watch(host)
    beat(host, "one", "two", "three")
    work(host, "one")
    work(host, "two")
    work(host, "three")
    watch_for(host, 20, "two", "three")
    assert noted(host) == 1
    move_clock(host, "40 seconds")
    beat(host, "two", "three")
    assert sum(sweep(host)["closed"].values()) == 0
    assert held_because(host) == {"no look for 00:00:40"}
    assert watch_for(host, 10, "two", "three") == 0
    assert watch_for(host, 10, "two", "three") == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("postmaster = postmaster - interval '1 day'", "the database restarted"),
        ("timeline = '00000000'", "the database failed over"),
    ],
)
def test_p5_after_a_restart_or_failover(host: Connection, change: str, said: str) -> None:
    watch(host)
    beat(host, "one", "two", "three")
    for worker in ("one", "two", "three"):
        work(host, worker)
    watch_for(host, 20, "two", "three")
    assert noted(host) == 1
    host.execute(f"update recovery.look set {change}".encode())
    assert watch_for(host, 15, "two", "three") == 0
    assert held_because(host) == {said}
    assert watch_for(host, 10, "two", "three") == 1


def test_p5_when_most_look_dead_at_once(host: Connection) -> None:
    """One is found dead first; while most others follow, none is closed for a lease."""
    watch(host)
    beat(host, "one", "two", "three")
    for worker in ("one", "two", "three"):
        work(host, worker)
    watch_for(host, 10, "two", "three")
    assert noted(host) == 1
    assert watch_for(host, 10, "three") == 0
    assert noted(host) == 2
    assert held_because(host) == {
        "most rows look dead at once",
        "it was not seen dead for long enough",
    }
    assert watch_for(host, 10, "three") == 0  # by itself the first would be over since 5 s
    assert noted(host) == 2
    assert watch_for(host, 15, "one", "two", "three") == 0  # the network is back
    assert set(statuses(host).values()) == {"running"}


def test_p5_a_guard_does_not_burn_while_the_database_stands_still(host: Connection) -> None:
    """The owner ended long ago, a heartbeat has guarded the row since; after an outage the heartbeat
    is old, and neither a boot nor a sweep takes that for an end."""
    watch(host)
    api = boot(host, "api")
    write_as(host, api.epoch)
    beat(host, "one")
    row = work(host, "one")
    write_as(host, None)
    shutdown(host, api.epoch, token=api.token)
    watch_for(host, 30, "one")
    move_clock(host, "10 minutes")
    boot(host, "api")
    assert statuses(host) == {row: "running"}
    sweep(host)
    assert statuses(host) == {row: "running"}
    assert watch_for(host, 30, "one") == 0


@pytest.mark.parametrize("every", [60, 600])
def test_who_sweeps_seldom_still_closes(host: Connection, every: int) -> None:
    """A sweep by cron is no silence: it is what is usual here; it takes a look more."""
    watch(host)
    beat(host, "one", "two", "three")
    for worker in ("one", "two", "three"):
        work(host, worker)
    watch_for(host, every * 10, "one", "two", "three", step=every)
    assert watch_for(host, every * 2, "two", "three", step=every) == 0
    assert watch_for(host, every * 2, "two", "three", step=every) == 1


def test_two_sweepers_out_of_step_are_no_silence(host: Connection) -> None:
    watch(host)
    beat(host, "one", "two", "three")
    for worker in ("one", "two", "three"):
        work(host, worker)
    closed = 0
    for _ in range(8):
        for step in ("0.1 s", "9.9 s"):
            move_clock(host, step)
            beat(host, "two", "three")
            closed += sum(sweep(host)["closed"].values())
    assert closed == 1


def test_another_run_of_the_row_is_another_case(host: Connection) -> None:
    """Closed and claimed again between two looks: the new worker has not beaten yet, and gets its
    time."""
    watch(host)
    beat(host, "one", "two", "three")
    row = work(host, "one")
    work(host, "two")
    work(host, "three")
    watch_for(host, 20, "two", "three")
    assert noted(host) == 1
    host.execute("update app.job set status = 'done' where id = %s", (row,))
    host.execute(
        "update app.job set status = 'running', started = app.clock() where id = %s", (row,)
    )
    assert watch_for(host, 15, "two", "three") == 0
    assert watch_for(host, 10, "two", "three") == 1


def convict(conn: Connection) -> int:
    """A row that the next sweep will close; its id."""
    beat(conn, "one", "two", "three")
    row = work(conn, "one")
    work(conn, "two")
    work(conn, "three")
    watch_for(conn, 20, "two", "three")
    conn.execute("update recovery.lifeless set since = since - interval '1 minute'")
    conn.execute("update recovery.look set since = since - interval '1 minute'")
    assert preview(conn) == [("close", "not_alive", str(row))]
    return row


def test_a_heartbeat_between_look_and_close_saves_the_row(host: Connection) -> None:
    watch(host)
    row = convict(host)
    beat(host, "one")
    done = value(host, "select o_closed from recovery._close_lifeless('test', 100, '2 s')")
    assert done == {}
    assert statuses(host)[row] == "running"
    assert preview(host) == []
    sweep(host)
    assert noted(host) == 0


def test_a_row_that_somebody_holds_is_left(
    host: Connection, connect: Callable[..., Connection]
) -> None:
    """A transaction writes the row, and then its heartbeat: the closing goes round it, and finds it
    alive when it comes again."""
    watch(host)
    row = convict(host)
    worker = connect()
    with worker.transaction():
        worker.execute("update app.job set note = 'moves' where id = %s", (row,))
        assert sweep(connect())["closed"] == {}
        beat(worker, "one")
    move_clock(host, "6 seconds")
    assert sweep(host)["closed"] == {}
    assert statuses(host)[row] == "running"
    assert noted(host) == 0


def test_the_statement_asks_again(host: Connection, connect: Callable[..., Connection]) -> None:
    """The beat commits after the batch was chosen, and before the statement that closes it."""
    watch(host)
    row = convict(host)
    holder, closer = connect(), connect()
    with holder.transaction():
        # What the closing reads after it has chosen: the failures of the family.
        holder.execute("lock table recovery.failure in access exclusive mode")
        closing = in_background(
            value,
            closer,
            "select o_closed from recovery._close_lifeless('test', 100, '20 s')",
        )
        watcher = connect()
        wait_for(
            lambda: value(
                watcher,
                "select count(*) from pg_locks where pid = %s and not granted",
                closer.info.backend_pid,
            )
        )
        beat(watcher, "one")
    assert closing.result(20) == {}
    assert statuses(host)[row] == "running"


def test_two_sweeps_at_once_close_a_row_once(
    host: Connection, connect: Callable[..., Connection]
) -> None:
    watch(host)
    row = convict(host)
    both = [in_background(sweep, connect()) for _ in range(4)]
    closed = [future.result(30)["closed"] for future in both]
    assert sum(sum(each.values()) for each in closed) == 1
    assert statuses(host)[row] == "failed"
    assert [e["key"] for e in events(host) if e["reason"] == "not_alive"] == [str(row)]


def test_many_rows_close_in_batches(host: Connection) -> None:
    watch(host)
    beat(host, "one", "two")
    work(host, "one", 25)
    work(host, "two", 30)
    assert watch_for(host, 20, "two") == 0
    move_clock(host, "5 seconds")
    beat(host, "two")
    assert sweep(host, batch=10)["closed"] == {"app.job": 25}
    assert sorted(statuses(host).values()) == ["failed"] * 25 + ["running"] * 30


def test_groups_close_together_and_become_idle(host: Connection) -> None:
    host.execute(
        "create table app.session (id text primary key, status text not null default 'idle',"
        " error text)"
    )
    host.execute("insert into app.session (id) values ('s'), ('t')")
    attach(
        host,
        "app.session",
        group="id",
        family="sessions",
        position=200,
        failed_topics=["session.failed"],
        idle_topics=["session.idle"],
    )
    watch(host, group="session", family="sessions")
    beat(host, "one", "two", "three")
    work(host, "one", 2, "s")
    work(host, "two", 1, "t")
    work(host, "one", 1, "t")
    work(host, "one", 1, None)
    work(host, "three", 3)
    assert watch_for(host, 45, "two", "three") == 4
    said = [(e["kind"], e["topic"], e["key"]) for e in events(host) if e["topic"]]
    assert sorted(said) == [
        ("failed", "session.failed", "s"),
        ("failed", "session.failed", "t"),
        ("idle", "session.idle", "s"),
    ]


def test_p7_a_row_that_cannot_be_closed_stops_no_other(host: Connection) -> None:
    host.execute("alter table app.job add check (note is distinct from 'bad' or error is null)")
    watch(host)
    beat(host, "one", "two")
    work(host, "one", 3)
    bad = work(host, "one")
    host.execute("update app.job set note = 'bad' where id = %s", (bad,))
    work(host, "two", 9)
    assert watch_for(host, 45, "two") == 3
    assert failures(host) == {str(bad): "23514"}
    assert statuses(host)[bad] == "running"


def test_a_watch_whose_evidence_breaks_stays_alone(host: Connection) -> None:
    watch(host, alive="1 / (length(note) - 1) >= 0")
    host.execute("create table app.other (id integer primary key, status text, error text)")
    attach(host, "app.other", alive="id > 1", alive_lease="2 seconds")
    host.execute("insert into app.other values (1, 'running'), (2, 'running'), (3, 'running')")
    host.execute("insert into app.job (note) values ('x')")
    assert watch_for(host, 20) == 1
    assert value(host, "select watch from recovery.broken_watch") == "app.job"
    host.execute("update app.job set note = 'long'")
    sweep(host)
    sweep(host)
    assert value(host, "select count(*) from recovery.broken_watch") == 0


def test_a_fuse_guards_against_it(host: Connection) -> None:
    """Evidence of a process that lives, on its own host, goes before a heartbeat that does not come."""
    watch(host)
    row = convict(host)
    fuse = value(
        host,
        "select recovery.light_fuse('app.job', %s::text, '1 day', 'here', 4711, now())",
        row,
    )
    assert sweep(host)["closed"] == {}
    assert statuses(host)[row] == "running"
    value(host, "select recovery.cancel_fuse(%s)", fuse)
    assert watch_for(host, 10, "two", "three") == 1


def test_a_sign_of_life_goes_before_a_burnt_fuse_but_not_before_a_timeout(host: Connection) -> None:
    watch(host)
    beat(host, "one")
    row = work(host, "one")
    value(host, "select recovery.light_fuse('app.job', %s::text, '10 s')", row)
    assert watch_for(host, 60, "one") == 0
    assert value(host, "select count(*) from recovery.fuse") == 0
    host.execute("select recovery.supervise('app.job', p_kind => '''tool''')")
    configure(host, "tool_timeout", "1 min")
    configure(host, "cancel_grace", "0 s")
    assert watch_for(host, 60, "one") == 1


def test_owner_and_alive_together(host: Connection) -> None:
    """Names say whose the row is, the host's heartbeat whether that lives."""
    watch(host, owner="worker_id")
    one = boot(host, "one", lease="1 day")
    beat(host, "one", "two", "three")
    mine, other = work(host, "one"), work(host, "two")
    work(host, "three")
    assert value(host, "select server_epoch from app.job where id = %s", mine) == one.epoch
    # Our server ended, and the host says that its worker lives.
    lapse(host, one.epoch)
    sweep(host)
    assert statuses(host) == {mine: "running", other: "running", other + 1: "running"}
    assert watch_for(host, 60, "one", "three") == 1
    assert statuses(host)[other] == "failed"
    assert watch_for(host, 60, "three") == 1
    assert statuses(host)[mine] == "failed"


def test_only_with_the_rights_of_the_owner(
    host: Connection, connect: Callable[..., Connection]
) -> None:
    """P11: what stands in `alive` runs as the owner's runner, whoever sweeps."""
    host.execute(
        "create table app.seen (who text, usage text);"
        " create function app.spy() returns boolean language plpgsql as $$"
        " begin perform 1 from recovery.server where token is not null; return true;"
        " exception when insufficient_privilege then return false; end $$;"
        " grant execute on function app.spy() to public"
    )
    watch(host, alive="app.spy()")
    work(host, None, 3)
    assert watch_for(host, 5) == 0
    assert noted(host) == 3  # it could not read a token


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alive": "missing > now()"}, "missing"),
        ({"alive": "'x'"}, "boolean"),
        ({"alive": "count(*) > 0"}, "aggregate"),
        ({"alive": "true; drop table app.job"}, "syntax error"),
        ({"alive_lease": "0 s"}, "alive_lease"),
        ({"alive_lease": None}, "alive_lease"),
        ({"alive_lease": "2 days"}, "alive_lease"),
    ],
)
def test_evidence_that_cannot_work_is_refused(
    host: Connection, options: dict[str, Any], said: str
) -> None:
    with refused("RC006", said):
        watch(host, **options)
    assert value(host, "select count(*) from recovery.watch where name = 'app.job'") == 0


def test_detach_forgets(host: Connection) -> None:
    before = fingerprint(host, "app.job")
    watch(host)
    convict(host)
    host.execute("select recovery.detach('app.job')")
    after = fingerprint(host, "app.job")
    assert {name: after[name] for name in before if name != "table"} == {
        name: before[name] for name in before if name != "table"
    }
    assert noted(host) == 0
    assert value(host, "select count(*) from recovery.look") == 0
