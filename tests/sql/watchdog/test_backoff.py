"""What goes back to its queue waits longer each time, and a deploy costs it no attempt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sql.jobs import (
    Booted,
    Connection,
    add,
    attach,
    boot,
    events,
    last_event,
    refused,
    report_process,
    shutdown,
    statuses,
    sweep,
    value,
    write_as,
)

REQUEUE = """{"status": "'queued'"}"""


@pytest.fixture
def queue(app: Connection) -> Connection:
    """app.job with what a queue has."""
    app.execute("alter table app.job add tries integer not null default 0, add run_at timestamptz")
    return app


def watch(conn: Connection, **options: Any) -> None:
    attach(conn, **{"requeue": REQUEUE, "attempts": "tries", "max_attempts": 3, **options})


def claim(conn: Connection, server: Booted) -> None:
    write_as(conn, server.epoch)
    conn.execute("update app.job set status = 'running'")
    write_as(conn, None)


def crash(conn: Connection, server: Booted) -> None:
    """Its process died, and a sweep finds that."""
    host, pid = conn.execute(
        "select host, pid from recovery.server where epoch = %s", (server.epoch,)
    ).fetchone() or (None, None)
    report_process(conn, host, pid, "2026-01-01")
    assert sweep(conn)["ended"] == [server.epoch]


def start(conn: Connection, pid: int) -> Booted:
    return boot(conn, "worker", host="here", pid=pid, process_start="2026-01-01")


def deploy(conn: Connection, server: Booted) -> None:
    shutdown(conn, server.epoch, token=server.token)


def job(conn: Connection) -> tuple[Any, ...]:
    return tuple(conn.execute("select status, tries from app.job").fetchone() or ())


@pytest.mark.parametrize("end", ["deploy", "crash"])
def test_three_deploys_do_not_fail_a_job_and_three_crashes_do(queue: Connection, end: str) -> None:
    watch(queue)
    add(queue, None, status="queued")
    seen = last_event(queue)
    for turn in range(1, 4):
        server = start(queue, turn)
        claim(queue, server)
        {"deploy": deploy, "crash": crash}[end](queue, server)
        expected = ("queued", 0) if end == "deploy" else ("queued" if turn < 3 else "failed", turn)
        assert job(queue) == expected
    kinds = [e["kind"] for e in events(queue, seen) if e["reason"] is not None]
    assert kinds == ["requeued"] * (2 if end == "crash" else 3) + ["closed"] * (end == "crash")


def test_what_costs_nothing_is_an_option(queue: Connection) -> None:
    """Which reasons are free; and what is free goes back even where no attempt is left."""
    watch(queue, free_reasons=["superseded", "it's mine"], max_attempts=1)
    add(queue, None, status="queued")
    server = start(queue, 1)
    claim(queue, server)
    queue.execute("update app.job set tries = 7")
    boot(queue, "worker")
    assert job(queue) == ("queued", 7)
    assert value(queue, "select server_epoch from app.job") is None
    assert events(queue)[-1]["kind"] == "requeued"
    server = start(queue, 2)
    claim(queue, server)
    (id_,) = statuses(queue)
    queue.execute("select recovery.close(%s, p_reason => 'it''s mine')", (str(id_),))
    assert job(queue) == ("queued", 7)
    server = start(queue, 3)
    claim(queue, server)
    deploy(queue, server)
    assert job(queue) == ("failed", 8)


def test_no_reason_is_free(queue: Connection) -> None:
    watch(queue, free_reasons=[], max_attempts=2)
    add(queue, None, status="queued")
    for expected in (("queued", 1), ("failed", 2)):
        server = start(queue, 1)
        claim(queue, server)
        deploy(queue, server)
        assert job(queue) == expected


def test_it_waits_twice_as_long_each_time_up_to_a_cap(queue: Connection) -> None:
    watch(queue, max_attempts=100, not_before="run_at", backoff="10 s", max_backoff="1 min")
    add(queue, None, status="queued", count=50)
    for turn, most in enumerate((10, 20, 40, 60, 60), 1):
        server = start(queue, turn)
        claim(queue, server)
        crash(queue, server)
        waits = [
            row[0]
            for row in queue.execute(
                "select j.run_at - e.at from app.job as j join lateral (select at from"
                " recovery.event where key = j.id::text order by id desc limit 1) as e on true"
            )
        ]
        assert len(waits) == 50
        assert timedelta(seconds=most / 2 - 1) < min(waits)
        assert max(waits) <= timedelta(seconds=most + 1)
        assert len(set(waits)) > 40  # not all together
    assert events(queue)[-1]["new"].keys() >= {"run_at"}


def test_thousand_attempts_overflow_nothing(queue: Connection) -> None:
    watch(queue, max_attempts=9999, not_before="run_at", backoff="366 days", max_backoff="366 days")
    add(queue, None, status="queued")
    queue.execute("update app.job set tries = 5000")
    server = start(queue, 1)
    claim(queue, server)
    crash(queue, server)
    assert job(queue) == ("queued", 5001)
    assert value(queue, "select run_at < now() + interval '367 days' from app.job")


def test_a_deploy_waits_for_nothing_and_who_gave_up_neither(queue: Connection) -> None:
    watch(queue, max_attempts=1, not_before="run_at", backoff="10 s")
    add(queue, None, status="queued")
    server = start(queue, 1)
    claim(queue, server)
    deploy(queue, server)
    assert value(queue, "select run_at from app.job") is None
    server = start(queue, 2)
    claim(queue, server)
    crash(queue, server)
    assert job(queue) == ("failed", 1)
    assert value(queue, "select run_at from app.job") is None


def test_an_expression_of_its_own_knows_the_attempt(queue: Connection) -> None:
    """For a column of another type, or another curve: c.attempt; also in what closes at last."""
    queue.execute("alter table app.job add due_ms bigint")
    watch(
        queue,
        max_attempts=2,
        requeue="""{"status": "'queued'", "due_ms": "c.ms + 1000 * c.attempt",
                    "note": "'c.attempt ' || c.attempt"}""",
        close="""{"status": "'failed'", "error": "c.message || ', attempt ' || c.attempt"}""",
    )
    add(queue, None, status="queued")
    for turn in (1, 2):
        server = start(queue, turn)
        claim(queue, server)
        crash(queue, server)
    event = next(e for e in events(queue) if e["kind"] == "requeued")
    assert event["new"]["note"] == "c.attempt 1"
    row = queue.execute(
        "select status, error, due_ms - (date_part('epoch', now()) * 1000)::bigint from app.job"
    ).fetchone()
    assert row is not None
    assert row[:2] == ("failed", "process died; gave up after 2 attempts, attempt 2")
    assert -30_000 < row[2] <= 1_000


def test_without_attempts_there_is_no_number(app: Connection) -> None:
    attach(app, close="""{"status": "'failed'", "note": "coalesce(c.attempt, -1)::text"}""")
    add(app, boot(app).epoch)
    boot(app)
    assert value(app, "select note from app.job") == "-1"


def test_a_timeout_counts_and_waits(queue: Connection) -> None:
    watch(queue, not_before="run_at", backoff="1 min")
    id_ = add(queue, boot(queue).epoch)[0]
    queue.execute("select recovery.close(%s, p_reason => 'tool_timeout')", (str(id_),))
    assert job(queue) == ("queued", 1)
    assert value(queue, "select run_at > now() + interval '25 s' from app.job")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"not_before": "missing"}, "does not exist"),
        ({"not_before": "note"}, "timestamptz"),
        ({"not_before": "id"}, "cannot be set"),
        (
            {
                "not_before": "run_at",
                "requeue": """{"status": "'queued'", "run_at": "now()"}""",
            },
            "timestamptz",
        ),
        ({"not_before": "run_at", "requeue": None, "attempts": None}, "not_before"),
        ({"not_before": "run_at", "backoff": "0 s"}, "backoff"),
        ({"not_before": "run_at", "backoff": None}, "backoff"),
        ({"not_before": "run_at", "backoff": "1 h", "max_backoff": "1 min"}, "backoff"),
        ({"not_before": "run_at", "max_backoff": "10 years"}, "backoff"),
        ({"free_reasons": ["shutdown", None]}, "free reasons"),
        ({"requeue": """{"status": "'x'", "note": "c.attempts"}"""}, "attempts"),
    ],
)
def test_what_cannot_work_is_refused(queue: Connection, options: dict[str, Any], said: str) -> None:
    with refused("RC006", said):
        watch(queue, **options)
