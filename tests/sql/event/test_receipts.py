"""P9: who acknowledges by a receipt of a state that was lost in a failover has acknowledged nothing."""

from __future__ import annotations

from sql.jobs import Connection, add, refused, value


def fetch(conn: Connection) -> list[tuple[int, str]]:
    return conn.execute("select id, receipt from recovery.fetch('c')").fetchall()


def fail_over(conn: Connection) -> None:
    """To a replica that has not got the last fetch."""
    conn.execute(
        "update recovery.consumer as c set page = k.page, page_last = k.page_last from kept as k"
    )


def keep(conn: Connection) -> None:
    conn.execute("create temp table kept as select page, page_last from recovery.consumer")


def test_a_fetch_that_was_lost(jobs: Connection) -> None:
    jobs.execute("select recovery.create_consumer('c', 0)")
    add(jobs, None)
    keep(jobs)
    ((id_, receipt),) = fetch(jobs)
    fail_over(jobs)
    with refused("RC016", "was lost in a failover"):
        jobs.execute("select recovery.acknowledge(%s)", (receipt,))
    ((again, receipt),) = fetch(jobs)
    assert again == id_
    jobs.execute("select recovery.acknowledge(%s)", (receipt,))
    assert fetch(jobs) == []


def test_its_number_is_not_given_out_again(jobs: Connection) -> None:
    """Else who was away meanwhile would acknowledge what somebody else works on."""
    jobs.execute("select recovery.create_consumer('c', 0)")
    add(jobs, None)
    keep(jobs)
    ((_, old),) = fetch(jobs)
    fail_over(jobs)
    fetch(jobs)
    with refused("RC015", "a newer fetch"):
        jobs.execute("select recovery.acknowledge(%s)", (old,))
    assert value(jobs, "select newest from recovery.consumer") == 0


def test_a_clock_that_goes_back_does_not_matter(jobs: Connection) -> None:
    jobs.execute("select recovery.create_consumer('c', 0)")
    add(jobs, None)
    jobs.execute("update recovery.consumer set page = 9000000000000000")
    ((_, old),) = fetch(jobs)
    ((_, new),) = fetch(jobs)
    assert new == "c.9000000000000002.100"
    with refused("RC015", "a newer fetch"):
        jobs.execute("select recovery.acknowledge(%s)", (old,))
