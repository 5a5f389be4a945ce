"""Rows that no server owns: left alone, or closed when older than the watch's cut-off."""

from __future__ import annotations

from sql.jobs import Connection, attach, boot, events, statuses


def old_and_young(app: Connection) -> None:
    app.execute("alter table app.job add started timestamptz default now()")
    app.execute("insert into app.job (started) values (now() - interval '2 hours'), (now())")


def test_by_default_they_are_left_alone(app: Connection) -> None:
    old_and_young(app)
    attach(app, started="started")
    assert boot(app).closed == {}


def test_older_than_the_cut_off_they_are_closed(app: Connection) -> None:
    old_and_young(app)
    attach(app, started="started", unowned="1 hour")
    epoch = boot(app).epoch
    assert statuses(app) == {1: "failed", 2: "running"}
    (event,) = events(app)
    assert (event["reason"], event["server_epoch"]) == ("unowned", None)
    assert (event["detector"], event["new"]["error"]) == (f"boot:{epoch}", "no server owns it")


def test_in_a_family_with_groups_too(app: Connection) -> None:
    old_and_young(app)
    attach(app, started="started", unowned="1 hour", group="id")
    assert boot(app).closed == {"app.job": 1}
    assert statuses(app) == {1: "failed", 2: "running"}


def test_rows_of_a_live_server_are_not_unowned(app: Connection) -> None:
    old_and_young(app)
    attach(app, started="started", unowned="1 hour")
    app.execute("update app.job set server_epoch = %s", (boot(app, "other").epoch,))
    assert boot(app).closed == {}
