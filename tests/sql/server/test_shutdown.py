"""recovery.shutdown: ends an epoch on purpose; closes what it owned, or hands it to an heir."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helpers import wait_for_lock
from sql.jobs import (
    Connection,
    add,
    attach,
    boot,
    events,
    in_background,
    kinds,
    last_event,
    refused,
    shutdown,
    statuses,
    sweep,
    value,
    write_as,
)

FOREIGN = "00000000-0000-0000-0000-000000000000"


def test_row_28_it_closes_what_the_server_still_owned(jobs: Connection) -> None:
    server, other = boot(jobs), boot(jobs, "other")
    (mine,), (theirs,) = add(jobs, server.epoch), add(jobs, other.epoch)
    report = shutdown(jobs, server.epoch, token=server.token)
    assert (report["ended"], report["closed"]) == ([server.epoch], {"app.job": 1})
    assert statuses(jobs) == {mine: "failed", theirs: "running"}
    closed = events(jobs)[-1]
    assert (closed["reason"], closed["detector"]) == ("shutdown", f"shutdown:{server.epoch}")
    assert value(jobs, "select reason from recovery.server where epoch = %s", server.epoch) == (
        "shutdown"
    )


@pytest.mark.parametrize("group", [None, "id"])
def test_an_heir_gets_the_work(app: Connection, group: str | None) -> None:
    attach(app, group=group)
    server, heir = boot(app), boot(app, "heir")
    ids = add(app, server.epoch, 3)
    add(app, server.epoch, status="done")
    seen = last_event(app)
    report = shutdown(app, server.epoch, heir=heir.epoch, batch=2)
    assert (report["adopted"], report["closed"]) == ({"app.job": 3}, {})
    owners = app.execute(
        "select id, server_epoch from app.job where status = 'running' order by id"
    )
    assert owners.fetchall() == [(id_, heir.epoch) for id_ in ids]
    assert kinds(app, seen) == [("adopted", str(id_)) for id_ in ids]
    adopted = events(app, seen)[0]
    assert adopted["old"] == {"server_epoch": server.epoch}
    assert adopted["new"] == {"server_epoch": heir.epoch}


def test_p01_what_a_dead_heir_inherited_is_closed(jobs: Connection) -> None:
    server, heir = boot(jobs), boot(jobs, "heir")
    add(jobs, server.epoch, 2)
    shutdown(jobs, server.epoch, heir=heir.epoch)
    shutdown(jobs, heir.epoch)
    assert set(statuses(jobs).values()) == {"failed"}


def test_twice_is_harmless(jobs: Connection) -> None:
    server = boot(jobs)
    add(jobs, server.epoch)
    shutdown(jobs, server.epoch)
    seen = last_event(jobs)
    report = shutdown(jobs, server.epoch)
    assert (report["ended"], report["closed"]) == ([], {})
    assert last_event(jobs) == seen


def test_a_token_is_checked_when_given(jobs: Connection) -> None:
    server = boot(jobs)
    with refused("RC003", str(server.epoch)):
        shutdown(jobs, server.epoch, token=FOREIGN)
    assert value(jobs, "select ended from recovery.server") is None


@pytest.mark.parametrize("epoch", [1, None])
def test_an_unknown_epoch(jobs: Connection, epoch: int | None) -> None:
    with refused("RC002"):
        shutdown(jobs, epoch)  # type: ignore[arg-type]


def test_an_heir_that_cannot_inherit(jobs: Connection) -> None:
    server, ended = boot(jobs), boot(jobs, "ended")
    shutdown(jobs, ended.epoch)
    (id_,) = add(jobs, server.epoch)
    with refused("RC001", str(ended.epoch)):
        shutdown(jobs, server.epoch, heir=ended.epoch)
    with refused("RC002", "17"):
        shutdown(jobs, server.epoch, heir=17)
    with refused("RC010", "own heir"):
        shutdown(jobs, server.epoch, heir=server.epoch)
    assert statuses(jobs) == {id_: "running"}
    assert value(jobs, "select ended from recovery.server where epoch = %s", server.epoch) is None


def test_p04_afterwards_the_server_is_fenced(jobs: Connection) -> None:
    server = boot(jobs)
    shutdown(jobs, server.epoch)
    write_as(jobs, server.epoch)
    with refused("RC001", "shutdown"):
        jobs.execute("insert into app.job default values")


def test_it_waits_for_its_own_transactions(
    jobs: Connection, writer: Connection, connect: Callable[..., Connection]
) -> None:
    server = boot(jobs)
    with writer.transaction():
        add(writer, server.epoch)
        ending = in_background(shutdown, jobs, server.epoch, lock_wait="1 minute")
        wait_for_lock(connect(), jobs.info.backend_pid)
    assert ending.result(10)["closed"] == {"app.job": 1}


def test_p01_a_writer_in_repeatable_read_does_not_save_the_epoch(
    jobs: Connection, writer: Connection
) -> None:
    server = boot(jobs)
    writer.execute("set default_transaction_isolation = 'repeatable read'")
    write_as(writer, server.epoch)
    with writer.transaction():
        add(writer, server.epoch)
        shutdown(jobs, server.epoch, lock_wait="100 ms")
    sweep(jobs)
    assert value(jobs, "select reason from recovery.server") == "shutdown"
    assert set(statuses(jobs).values()) == {"failed"}
