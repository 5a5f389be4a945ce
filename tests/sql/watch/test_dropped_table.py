"""P13: a watched table that its owner dropped without detaching it harms nothing else."""

from __future__ import annotations

from sql.jobs import Connection, add, attach, boot, shutdown, statuses, sweep, value


def two_tables(app: Connection) -> int:
    app.execute("create table app.gone (id int primary key, status text, error text)")
    attach(app)
    attach(app, "app.gone", position=1)
    dead = boot(app).epoch
    add(app, dead)
    app.execute("drop table app.gone")
    return dead


def test_p07_boot_goes_round_it(app: Connection) -> None:
    two_tables(app)
    assert boot(app).closed == {"app.job": 1}


def test_p07_sweep_goes_round_it(app: Connection) -> None:
    dead = two_tables(app)
    app.execute("update recovery.server set ended = now(), reason = 'superseded'")
    sweep(app)
    assert statuses(app) == {1: "failed"}
    assert dead


def test_p07_shutdown_goes_round_it(app: Connection) -> None:
    shutdown(app, two_tables(app))
    assert statuses(app) == {1: "failed"}


def test_the_status_views_go_round_it(app: Connection) -> None:
    two_tables(app)
    assert value(app, "select sum(open_rows) from recovery.watch_status") == 1
    assert value(app, "select sum(open_rows) from recovery.server_status") == 1
