"""recovery.heartbeat: extends the lease, or says why the process must stop."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sql.jobs import Booted, Connection, boot, heartbeat, lapse, refused, shutdown, value

FOREIGN = "00000000-0000-0000-0000-000000000000"


def test_it_returns_until_when_the_lease_holds(jobs: Connection) -> None:
    server = boot(jobs, lease="40 seconds")
    until = heartbeat(jobs, server)
    beat = value(jobs, "select heartbeat from recovery.server")
    assert until == beat + timedelta(seconds=40)
    assert value(jobs, "select clock_timestamp() - %s < interval '10 seconds'", beat)


def test_a_lapsed_server_that_nobody_ended_lives_on(jobs: Connection) -> None:
    server = boot(jobs)
    lapse(jobs, server.epoch)
    heartbeat(jobs, server)
    assert value(jobs, "select state from recovery.server_status") == "live"


@pytest.mark.parametrize("how", ["superseded", "shutdown"])
def test_p04_an_ended_epoch_is_refused(jobs: Connection, how: str) -> None:
    server = boot(jobs, "api-1")
    if how == "superseded":
        boot(jobs, "api-1")
    else:
        shutdown(jobs, server.epoch)
    with refused("RC001", f'{server.epoch} of server "api-1".*{how}'):
        heartbeat(jobs, server)


def test_an_unknown_epoch_is_refused(jobs: Connection) -> None:
    with refused("RC002", "17"):
        heartbeat(jobs, Booted(17, FOREIGN, {}))


@pytest.mark.parametrize("token", [FOREIGN, None])
def test_a_foreign_token_is_refused_and_changes_nothing(
    jobs: Connection, token: str | None
) -> None:
    server = boot(jobs)
    before = value(jobs, "select heartbeat from recovery.server")
    with refused("RC003", str(server.epoch)):
        heartbeat(jobs, Booted(server.epoch, token, {}))  # type: ignore[arg-type]
    assert value(jobs, "select heartbeat from recovery.server") == before


def test_it_stays_hot(jobs: Connection) -> None:
    server = boot(jobs)
    for _ in range(200):
        heartbeat(jobs, server)
    jobs.execute("select pg_stat_force_next_flush()")
    updates = jobs.execute(
        "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables"
        " where relid = 'recovery.server'::regclass"
    ).fetchone()
    assert updates == (200, 200)
    assert value(jobs, "select pg_relation_size('recovery.server')") <= 3 * 8192
