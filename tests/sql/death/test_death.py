"""Which server is dead, and who must not be declared dead: recovery.judgement and what holds it back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helpers import wait_for, wait_for_lock
from sql.jobs import (
    Booted,
    Connection,
    add,
    boot,
    events,
    heartbeat,
    in_background,
    refused,
    report_process,
    statuses,
    sweep,
    value,
)


def move_clock(conn: Connection, by: str) -> None:
    conn.execute("update recovery.clock set shift = shift + %s::interval", (by,))


def watch_for(conn: Connection, seconds: int, *beating: Booted, step: int = 2) -> list[int]:
    """Sweeps every `step` seconds of the moved clock while some servers beat; the epochs that ended."""
    ended: list[int] = []
    for _ in range(0, seconds, step):
        move_clock(conn, f"{step} seconds")
        for server in beating:
            heartbeat(conn, server)
        ended += sweep(conn)["ended"]
    return ended


def reason(conn: Connection, server: Booted) -> str | None:
    return value(conn, "select reason from recovery.server where epoch = %s", server.epoch)


def held_because(conn: Connection, server: Booted) -> str | None:
    return value(
        conn, "select held_because from recovery.server_status where epoch = %s", server.epoch
    )


def test_lease_expires(jobs: Connection) -> None:
    dead, live = boot(jobs, "dead"), boot(jobs, "live")
    row, other = add(jobs, dead.epoch)[0], add(jobs, live.epoch)[0]
    assert watch_for(jobs, 14, live) == []
    assert watch_for(jobs, 20, live) == [dead.epoch]
    assert reason(jobs, dead) == "lease_expired"
    assert statuses(jobs) == {row: "failed", other: "running"}
    assert events(jobs)[-1]["reason"] == "lease_expired"


def test_connection_lost(jobs: Connection, connect: Callable[..., Connection]) -> None:
    """The keeper's lock is gone, and no heartbeat comes within the grace: dead long before the lease."""
    dead, live = boot(jobs, "dead"), boot(jobs, "live")
    keeper = connect()
    assert value(keeper, "select recovery.keeper_heartbeat(%s, %s)", dead.epoch, dead.token)
    watch_for(jobs, 20, dead, live)
    pid = keeper.info.backend_pid
    jobs.execute("select pg_terminate_backend(%s)", (pid,))
    wait_for(lambda: value(jobs, "select count(*) from pg_stat_activity where pid = %s", pid) == 0)
    report = sweep(jobs)
    assert (report["ended"], report["suspected"]) == ([], [dead.epoch])
    assert 2 < report["due"] <= 3  # the grace: a keeper looks again then, however seldom it sweeps
    assert (
        value(jobs, "select state from recovery.server_status where epoch = %s", dead.epoch)
        == "suspected"
    )
    assert watch_for(jobs, 4, live) == [dead.epoch]
    assert reason(jobs, dead) == "connection_lost"


def test_a_lost_connection_convicts_only_if_a_beat_was_due(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    """P15: with a beat every 5 s, one that came just before the connection went says nothing yet."""
    server, live = boot(jobs, "api"), boot(jobs, "live")
    keeper = connect()
    value(keeper, "select recovery.keeper_heartbeat(%s, %s, '5 s')", server.epoch, server.token)
    watch_for(jobs, 20, server, live)
    keeper.close()
    wait_for(lambda: sweep(jobs)["suspected"] == [server.epoch])
    heartbeat(jobs, server)  # clears it, and the next look suspects again
    assert sweep(jobs)["suspected"] == [server.epoch]
    assert watch_for(jobs, 5, live, step=1) == []
    assert watch_for(jobs, 2, live, step=1) == [server.epoch]
    assert reason(jobs, server) == "connection_lost"


def test_how_often_a_keeper_beats_is_checked(jobs: Connection) -> None:
    server = boot(jobs)
    for every in ("0 s", "-1 s", "2 days"):
        with refused("RC010", "beat"):
            value(
                jobs,
                "select recovery.keeper_heartbeat(%s, %s, %s)",
                server.epoch,
                server.token,
                every,
            )


def test_a_heartbeat_clears_the_suspicion(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    server, live = boot(jobs, "api"), boot(jobs, "live")
    keeper = connect()
    value(keeper, "select recovery.keeper_heartbeat(%s, %s)", server.epoch, server.token)
    watch_for(jobs, 20, server, live)
    keeper.close()
    wait_for(lambda: sweep(jobs)["suspected"] == [server.epoch])
    assert watch_for(jobs, 30, server, live) == []
    again = connect()
    assert value(again, "select recovery.keeper_heartbeat(%s, %s)", server.epoch, server.token)
    assert sweep(jobs)["suspected"] == []


def test_process_dead_counts_at_once(jobs: Connection) -> None:
    dead = boot(jobs, "dead", host="here", pid=4711, process_start="2026-01-01")
    boot(jobs, "live")
    assert report_process(jobs, "here", 4711, "2026-01-01") == 1
    assert sweep(jobs)["ended"] == [dead.epoch]
    assert reason(jobs, dead) == "process_dead"


def test_p5_after_the_sweepers_slept(jobs: Connection) -> None:
    """row 36: a laptop wakes up: every heartbeat is old, and nobody is dead."""
    one, two = boot(jobs, "one"), boot(jobs, "two")
    row = add(jobs, one.epoch)[0]
    watch_for(jobs, 20, one, two)
    move_clock(jobs, "8 hours")
    assert sweep(jobs)["ended"] == []
    assert held_because(jobs, one) == "no sweep for 08:00:00"
    assert (
        value(jobs, "select state from recovery.server_status where epoch = %s", one.epoch)
        == "held back"
    )
    assert watch_for(jobs, 20, one, two) == []
    assert statuses(jobs) == {row: "running"}
    assert watch_for(jobs, 40, two) == [one.epoch]


def test_who_sweeps_seldom_still_reaps(jobs: Connection) -> None:
    """A sweep by cron, once a minute, is no silence: it is what is usual here."""
    dead, live = boot(jobs, "dead"), boot(jobs, "live")
    assert watch_for(jobs, 240, live, step=60) == [dead.epoch]


def test_p5_after_the_database_restarted(jobs: Connection) -> None:
    one, two = boot(jobs, "one"), boot(jobs, "two")
    watch_for(jobs, 20, one, two)
    # As a sweep sees it after a restart: another postmaster, and everybody had time to lapse.
    jobs.execute("update recovery.observation set postmaster = postmaster - interval '1 day'")
    move_clock(jobs, "2 seconds")
    assert watch_for(jobs, 16, two) == []
    assert held_because(jobs, one) == "the database restarted"
    assert watch_for(jobs, 30, two) == [one.epoch]


def test_p5_after_a_failover(jobs: Connection) -> None:
    one = boot(jobs, "one")
    watch_for(jobs, 20, one)
    jobs.execute("update recovery.observation set timeline = '00000000'")
    sweep(jobs)
    assert value(jobs, "select because from recovery.observation") == "the database failed over"


def test_p5_when_most_look_dead_at_once(jobs: Connection) -> None:
    """Three of four fall silent together: a lease longer is waited; then it is true."""
    servers = [boot(jobs, f"api-{n}") for n in range(4)]
    watch_for(jobs, 20, *servers)
    assert watch_for(jobs, 20, servers[0]) == []
    assert held_because(jobs, servers[1]) == "most servers look dead at once"
    assert sorted(watch_for(jobs, 20, servers[0])) == [s.epoch for s in servers[1:]]


def test_sweep_meets_heartbeat(jobs: Connection, connect: Callable[..., Connection]) -> None:
    """P2: a heartbeat that is just committing saves its server, whoever read it as dead before."""
    late, live = boot(jobs, "late"), boot(jobs, "live")
    watch_for(jobs, 20, late, live)
    watch_for(jobs, 14, live)
    move_clock(jobs, "2 seconds")
    heartbeat(jobs, live)
    beating = connect(autocommit=False)
    heartbeat(beating, late)
    sweeper = connect()
    swept = in_background(sweep, sweeper, lock_wait="20 seconds")
    wait_for_lock(jobs, sweeper.info.backend_pid)
    beating.commit()
    assert swept.result(timeout=20)["ended"] == []
    assert reason(jobs, late) is None


def test_lost_epoch(jobs: Connection) -> None:
    """An epoch that a failover lost: its rows close, its server is refused."""
    server = boot(jobs, "api")
    row = add(jobs, server.epoch)[0]
    jobs.execute("delete from recovery.server where epoch = %s", (server.epoch,))
    with refused("RC002"):
        heartbeat(jobs, server)
    assert sweep(jobs)["closed"] == {"app.job": 1}
    assert statuses(jobs) == {row: "failed"}
    assert events(jobs)[-1]["reason"] == "epoch_lost"


def test_epoch_issued_again(jobs: Connection) -> None:
    """The same number with another token: the older holder fails its heartbeat."""
    server = boot(jobs, "api")
    jobs.execute(
        "update recovery.server set token = gen_random_uuid() where epoch = %s", (server.epoch,)
    )
    with refused("RC003"):
        heartbeat(jobs, server)


def test_epochs_grow_after_a_clock_that_went_back(jobs: Connection) -> None:
    server = boot(jobs, "api")
    jobs.execute(
        "update recovery.server set epoch = epoch + 1000000000000 where epoch = %s", (server.epoch,)
    )
    assert boot(jobs, "api").epoch == server.epoch + 1000000001000


def slowly(conn: Connection, *servers: Booted, sweeps: int = 3) -> None:
    """A sweep every 20 s, while they beat every 5 s."""
    for _ in range(sweeps):
        for _ in range(4):
            move_clock(conn, "5 seconds")
            for server in servers:
                heartbeat(conn, server)
        assert sweep(conn)["ended"] == []


@pytest.mark.parametrize("gap", ["16 s", "20 s", "25 s", "39 s"])
def test_p15_a_slow_sweeper_looks_twice(jobs: Connection, gap: str) -> None:
    """The database stood still between two sweeps, or its clock was set: the sweep comes before the beat."""
    server, live = boot(jobs, "api"), boot(jobs, "live")
    row = add(jobs, server.epoch)[0]
    slowly(jobs, server, live)
    move_clock(jobs, gap)
    heartbeat(jobs, live)
    assert sweep(jobs)["ended"] == []
    assert held_because(jobs, server) == "a second look is to find the same heartbeat"
    heartbeat(jobs, server)
    slowly(jobs, server, live)
    assert statuses(jobs) == {row: "running"}
    assert watch_for(jobs, 40, live, step=20) == [server.epoch]


def test_p15_two_looks_leave_time_for_a_beat(jobs: Connection) -> None:
    """However soon the second sweep follows the stall."""
    server, live = boot(jobs, "api"), boot(jobs, "live")
    slowly(jobs, server, live)
    move_clock(jobs, "20 s")
    heartbeat(jobs, live)
    assert [sweep(jobs)["ended"] for _ in range(3)] == [[], [], []]
    assert watch_for(jobs, 5, live, step=1) == []
    assert watch_for(jobs, 3, live, step=1) == [server.epoch]


def test_p15_a_connection_that_a_stall_cost_leaves_time_for_a_beat(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    """The keeper gave its connection up and makes a new one: the grace alone is too short for that."""
    server, live = boot(jobs, "api"), boot(jobs, "live")
    keeper = connect()
    value(keeper, "select recovery.keeper_heartbeat(%s, %s, '5 s')", server.epoch, server.token)
    watch_for(jobs, 20, server, live)
    keeper.close()
    sessions = "select count(*) from pg_locks where locktype = 'advisory'"
    wait_for(lambda: value(jobs, sessions) == 0)
    move_clock(jobs, "7 s")
    heartbeat(jobs, live)
    assert sweep(jobs)["suspected"] == [server.epoch]
    assert watch_for(jobs, 5, live, step=1) == []
    assert watch_for(jobs, 2, live, step=1) == [server.epoch]
    assert reason(jobs, server) == "connection_lost"


def test_the_second_look_costs_no_time(jobs: Connection) -> None:
    """The first one is taken before the lease has run out."""
    dead, live = boot(jobs, "dead"), boot(jobs, "live")
    watch_for(jobs, 20, dead, live)
    assert watch_for(jobs, 10, live, step=5) == []
    assert watch_for(jobs, 10, live, step=5) == [dead.epoch]


def test_a_healthy_server_is_not_written_by_looks(jobs: Connection) -> None:
    server = boot(jobs)
    watch_for(jobs, 20, server)
    assert value(jobs, "select looked_at is null from recovery.server")


def test_p14_a_held_row_holds_up_no_look(
    jobs: Connection, connect: Callable[..., Connection]
) -> None:
    """A session that forgot to commit its heartbeat: the others are judged all the same."""
    held, dead, live = (boot(jobs, name) for name in ("held", "dead", "live"))
    watch_for(jobs, 20, held, dead, live)
    holder = connect(autocommit=False)
    heartbeat(holder, held)
    jobs.execute("set statement_timeout = '20 s'")
    ended: list[int] = []
    for _ in range(12):
        move_clock(jobs, "4 s")
        heartbeat(jobs, live)
        ended += sweep(jobs, lock_wait="10 ms")["ended"]
    assert ended == [dead.epoch]
