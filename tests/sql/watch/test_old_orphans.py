"""P1: a table full of old orphans is adopted: first looked at, then closed up to a cut-off."""

from __future__ import annotations

from sql.jobs import Connection, attach, boot, statuses, value

CUT_OFF = """{"started": "began", "unowned": "1 day"}"""


def old_orphans(app: Connection) -> None:
    app.execute("alter table app.job add began timestamptz not null default now()")
    app.execute(
        "insert into app.job (began) select now() - n * interval '10 hours' from generate_series(0, 5) as n"
    )
    app.execute("insert into app.job (status, began) values ('done', now() - interval '9 days')")


def test_p01_first_they_are_counted_and_left_alone(app: Connection) -> None:
    old_orphans(app)
    attach(app)
    assert value(app, "select unowned from recovery.watch_status where watch = 'app.job'") == 6
    assert boot(app).closed == {}
    assert value(
        app, "select problem from recovery.examine() where code = 'rows-unowned'"
    ).startswith("6 of 6 open")
    assert app.execute("select * from recovery.preview()").fetchall() == []


def test_p01_a_dry_run_shows_what_a_cut_off_would_close(app: Connection) -> None:
    old_orphans(app)
    attach(app)
    with app.transaction(force_rollback=True):
        app.execute("select recovery.alter('app.job', %s)", (CUT_OFF,))
        found = app.execute(
            "select action, reason, key from recovery.preview() where watch = 'app.job' order by key"
        ).fetchall()
    assert found == [("close", "unowned", key) for key in ("4", "5", "6")]
    assert boot(app).closed == {}
    app.execute("select recovery.alter('app.job', %s)", (CUT_OFF,))
    assert boot(app).closed == {"app.job": 3}
    assert statuses(app) == {
        1: "running", 2: "running", 3: "running", 4: "failed", 5: "failed", 6: "failed", 7: "done",
    }  # fmt: skip
    assert value(app, "select unowned from recovery.watch_status where watch = 'app.job'") == 3
