"""Row 27: work that may be repeated goes back to its queue, so many times."""

from __future__ import annotations

import pytest

from sql.jobs import Connection, add, attach, boot, events, last_event, refused, value, write_as
from sql.watchdog.clock import configure, later, supervise

REQUEUE = """{"status": "'queued'", "note": "'again after ' || c.message"}"""


@pytest.fixture
def queue(app: Connection) -> Connection:
    """app.job as a queue: three attempts."""
    app.execute(
        "alter table app.job add column tries integer not null default 0,"
        " add column started timestamptz not null default clock_timestamp()"
    )
    attach(app, requeue=REQUEUE, attempts="tries", max_attempts=3)
    return app


def job(conn: Connection) -> tuple[object, ...]:
    row = conn.execute("select status, tries, note, error from app.job").fetchone()
    assert row is not None
    return tuple(row)


def claim(conn: Connection, epoch: int) -> None:
    """What a worker does."""
    write_as(conn, epoch)
    conn.execute("update app.job set status = 'running', server_epoch = %s", (epoch,))
    write_as(conn, None)


def test_row_27_requeued_until_the_cap_then_failed(queue: Connection) -> None:
    (id_,) = add(queue, boot(queue).epoch)
    for tries in (1, 2):
        seen = last_event(queue)
        epoch = boot(queue).epoch
        assert job(queue) == ("queued", tries, "again after server restart", None)
        (event,) = events(queue, seen)
        assert (event["kind"], event["key"], event["reason"]) == (
            "requeued",
            str(id_),
            "superseded",
        )
        assert event["new"] == {"status": "queued", "tries": tries, "error": None,
                                "note": "again after server restart"}  # fmt: skip
        claim(queue, epoch)
    seen = last_event(queue)
    boot(queue)
    assert job(queue)[0::3] == ("failed", "server restart; gave up after 3 attempts")
    assert [event["kind"] for event in events(queue, seen)] == ["closed"]


def test_the_counter_is_durable_whoever_claims(queue: Connection) -> None:
    add(queue, boot(queue).epoch)
    boot(queue)
    claim(queue, boot(queue, "other").epoch)
    boot(queue, "other")
    assert job(queue)[:2] == ("queued", 2)


def test_a_timeout_requeues_too_and_the_late_result_is_refused(queue: Connection) -> None:
    supervise(queue, started="started")
    configure(queue, "tool_timeout", "1 min")
    configure(queue, "cancel_grace", "0 s")
    slow = boot(queue).epoch
    add(queue, slow)
    assert later(queue, "2 min")["closed"] == {"app.job": 1}
    assert job(queue)[:2] == ("queued", 1)
    write_as(queue, slow)
    with refused("RC013"):
        queue.execute("update app.job set status = 'done'")
    write_as(queue, None)
    claim(queue, boot(queue, "other").epoch)
    assert job(queue)[:2] == ("running", 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"requeue": REQUEUE}, "Give both|requeue of"),
        ({"attempts": "tries"}, "requeue of"),
        ({"requeue": "{}", "attempts": "tries"}, "requeue of"),
        ({"requeue": REQUEUE, "attempts": "note"}, "attempts note"),
        ({"requeue": REQUEUE, "attempts": "nope"}, "attempts nope"),
        ({"requeue": REQUEUE, "attempts": "tries", "max_attempts": 0}, "max attempts 0"),
        ({"requeue": """{"status": "nope"}""", "attempts": "tries"}, "requeue status"),
        ({"requeue": """{"tries": "0"}""", "attempts": "tries"}, "attempts tries"),
    ],
)
def test_what_cannot_work_is_refused(
    app: Connection, options: dict[str, str | int], words: str
) -> None:
    app.execute("alter table app.job add column tries integer")
    with refused("RC006", words):
        attach(app, **options)


def test_a_requeue_that_leaves_the_row_open_is_a_failure(app: Connection) -> None:
    app.execute("alter table app.job add column tries integer")
    attach(app, requeue="""{"note": "'again'"}""", attempts="tries")
    add(app, boot(app).epoch)
    assert boot(app).report["failed"] == {"app.job": 1}
    assert value(app, "select sqlstate from recovery.failure") == "RC006"
