"""Work that is claimed by an UPDATE belongs to the claimer."""

from __future__ import annotations

from sql.jobs import Connection, add, boot, events, kinds, refused, shutdown, value, write_as


def claim(conn: Connection) -> None:
    conn.execute("update app.job set status = 'running' where status = 'queued'")


def owner(conn: Connection) -> object:
    return value(conn, "select server_epoch from app.job")


def test_row_07_a_claim_stamps_the_claimers_epoch(jobs: Connection) -> None:
    server = boot(jobs)
    add(jobs, None, status="queued")
    write_as(jobs, server.epoch)
    claim(jobs)
    assert owner(jobs) == server.epoch


def test_a_claim_of_what_a_dead_server_had_queued(jobs: Connection) -> None:
    dead = boot(jobs)
    add(jobs, dead.epoch, status="queued")
    shutdown(jobs, dead.epoch)
    server = boot(jobs)
    write_as(jobs, server.epoch)
    claim(jobs)
    assert owner(jobs) == server.epoch


def test_an_epoch_that_the_application_writes_itself_stays(jobs: Connection) -> None:
    server, other = boot(jobs), boot(jobs, "other")
    add(jobs, None, status="queued")
    write_as(jobs, server.epoch)
    jobs.execute("update app.job set status = 'running', server_epoch = %s", (other.epoch,))
    assert owner(jobs) == other.epoch


def test_a_claim_is_one_event_with_its_owner(jobs: Connection) -> None:
    server = boot(jobs)
    add(jobs, None, status="queued")
    write_as(jobs, server.epoch)
    claim(jobs)
    assert kinds(jobs) == [("reopened", "1")]
    assert events(jobs)[0]["server_epoch"] == server.epoch


def test_p01_what_was_claimed_is_closed_after_a_crash(jobs: Connection) -> None:
    add(jobs, None, status="queued")
    write_as(jobs, boot(jobs).epoch)
    claim(jobs)
    write_as(jobs, None)
    assert boot(jobs).closed == {"app.job": 1}


def test_p04_a_dead_server_claims_nothing(jobs: Connection) -> None:
    dead = boot(jobs)
    add(jobs, None, status="queued")
    shutdown(jobs, dead.epoch)
    write_as(jobs, dead.epoch)
    with refused("RC001"):
        claim(jobs)
    assert owner(jobs) is None
