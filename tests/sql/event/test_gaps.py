"""What leaves no events is said once, by an event of kind gap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sql.jobs import Connection, add, attach, events, last_event, sweep, value


def gaps(conn: Connection, after: int = 0) -> list[dict[str, Any]]:
    return [event["new"] for event in events(conn, after) if event["kind"] == "gap"]


@pytest.mark.parametrize("follow", [True, False], ids=["event trigger", "sweep"])
@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("disable trigger all", "enable trigger all"),
        ("disable trigger zz_recovery_60_update", "enable trigger zz_recovery_60_update"),
        ("enable replica trigger zz_recovery_60_update", "enable trigger zz_recovery_60_update"),
    ],
)
def test_disabled_triggers(jobs: Connection, change: str, back: str, follow: bool) -> None:
    name = value(
        jobs,
        "select tgname from pg_trigger where tgrelid = 'app.job'::regclass and tgname ~ 'recovery.*update$'"
        " order by tgname desc limit 1",
    )
    change, back = (text.replace("zz_recovery_60_update", name) for text in (change, back))
    if not follow:
        for trigger in ("10_release", "20_follow", "25_return"):
            jobs.execute(f"alter event trigger recovery_{trigger} disable")
    jobs.execute(f"alter table app.job {change}")
    add(jobs, None)
    sweep(jobs)
    sweep(jobs)
    (begun,) = gaps(jobs)
    assert begun["why"] == "triggers_disabled"
    assert "until" not in begun
    jobs.execute(f"alter table app.job {back}")
    sweep(jobs)
    sweep(jobs)
    _, over = gaps(jobs)
    assert over["since"] <= over["until"]
    assert (over["why"], over["since"][:19]) == ("triggers_disabled", begun["since"][:19])


def test_a_load_in_one_transaction_with_disabled_triggers(jobs: Connection) -> None:
    """As pg_restore --disable-triggers does it; only the event trigger can see it."""
    with jobs.transaction():
        jobs.execute("alter table app.job disable trigger all")
        add(jobs, None, 5)
        jobs.execute("alter table app.job enable trigger all")
    assert [gap["why"] for gap in gaps(jobs)] == ["triggers_disabled"] * 2
    assert "until" in gaps(jobs)[1]


def test_a_trigger_that_was_dropped(jobs: Connection) -> None:
    name = value(
        jobs,
        "select tgname from pg_trigger where tgrelid = 'app.job'::regclass and tgname ~ 'recovery.*insert$'"
        " order by tgname desc limit 1",
    )
    jobs.execute(f'drop trigger "{name}" on app.job')
    sweep(jobs)
    sweep(jobs)
    assert [gap["why"] for gap in gaps(jobs)] == ["triggers_disabled"]
    jobs.execute("select recovery.alter('app.job', '{}')")
    sweep(jobs)
    assert len(gaps(jobs)) == 2


def test_a_partition_with_disabled_triggers(conn: Connection) -> None:
    conn.execute(
        "create schema app; create table app.job (id int primary key, status text) partition by range (id);"
        "create table app.job_1 partition of app.job for values from (0) to (100)"
    )
    attach(conn, close="""{"status": "'failed'"}""")
    conn.execute("alter table app.job_1 disable trigger all")
    sweep(conn)
    assert [gap["why"] for gap in gaps(conn)] == ["triggers_disabled"]


def test_a_truncate_that_cannot_be_told(jobs: Connection) -> None:
    """The event of a row fails: the host goes on, and consumers are told to look."""
    add(jobs, None, 2)
    jobs.execute(
        "alter table recovery.outbox add constraint refuses check (kind <> 'deleted') not valid"
    )
    after = last_event(jobs)
    jobs.execute("truncate app.job")
    assert gaps(jobs, after) == [{"why": "truncated", "table": "app.job"}]
    assert value(jobs, "select count(*) from app.job") == 0


def test_a_watch_that_tells_closings_only_has_no_gaps(app: Connection) -> None:
    attach(app, events="closed")
    app.execute("alter table app.job disable trigger all")
    sweep(app)
    assert gaps(app) == []


def test_a_gap_goes_with_its_watch(jobs: Connection) -> None:
    jobs.execute("alter table app.job disable trigger all")
    sweep(jobs)
    jobs.execute("select recovery.detach('app.job')")
    assert value(jobs, "select count(*) from recovery.blind_watch") == 0


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_truncate_of_what_it_does_not_see(
    jobs: Connection, connect: Callable[..., Connection], level: str
) -> None:
    """TRUNCATE takes rows along that came after the transaction's snapshot."""
    truncating = connect(autocommit=False)
    truncating.execute(f"set transaction isolation level {level}")
    truncating.execute("select count(*) from recovery.watch")  # its snapshot
    add(jobs, None)
    truncating.execute("truncate app.job")
    truncating.commit()
    assert value(jobs, "select count(*) from app.job") == 0
    kinds = [event["kind"] for event in events(jobs)]
    assert kinds == ["opened", "deleted" if level == "read committed" else "gap"]
