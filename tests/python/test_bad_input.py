"""What can't be is refused in our words, before a driver or the database does in theirs."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from recovery import InvalidArgument, calls
from recovery.server.keeper import check_intervals
from recovery.work.host import host_id

BAD_TEXTS = ["a\0b", "\udc80", "x" * 2001, ""]
NO_NUMBERS = [math.nan, math.inf, -math.inf, 0.0, -1.0, 1e300]


@pytest.fixture
def job(conn: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    conn.execute("create table job (id text primary key, status text)")
    recovery.attach(conn, "job", open="status = 'running'", close={"status": "'failed'"})
    return conn


@pytest.mark.parametrize("key", [*BAD_TEXTS, None])
def test_a_key(dsn: str, job: psycopg.Connection[Any], key: Any) -> None:
    with recovery.serve(dsn, "api", listen=False, sweep=None) as server:
        with pytest.raises(InvalidArgument):
            server.touch("public.job", key)
        with pytest.raises(InvalidArgument):
            server.fuse("public.job", key, os.getpid())


@pytest.mark.parametrize("number", NO_NUMBERS)
def test_a_number_of_seconds(dsn: str, number: float) -> None:
    attempts: list[Callable[[], Any]] = [
        lambda: recovery.boot(dsn, "api", lease=number),
        lambda: recovery.boot(dsn, "api", grace=number),
        lambda: recovery.boot(dsn, "api", wait=number),
        lambda: recovery.boot(dsn, "api", lock_wait=number),
        lambda: check_intervals(15.0, 3.0, number, None),
        lambda: check_intervals(15.0, 3.0, None, number),
    ]
    for attempt in attempts:
        with pytest.raises(InvalidArgument):
            attempt()


@pytest.mark.parametrize("text", BAD_TEXTS[:2])
def test_a_text_in_any_call(conn: psycopg.Connection[Any], text: str) -> None:
    for call in (
        calls.fuse.light("public.job", text, calls.seconds(1, "ttl"), None, None, None),
        calls.closing.sweep(text),
        calls.server.evict(text),
        calls.watch.attach("job", text, {}),
    ):
        with pytest.raises(InvalidArgument):
            calls.run(conn, call)


def test_one_bad_touch_is_dropped_alone(
    dsn: str, job: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """One that got past the check fails alone; the others of the watch are written."""
    with recovery.serve(dsn, "api", listen=False, sweep=None) as server:
        with server._canceller._changed:
            server.touch("public.job", "z")
            for n in range(10):
                server.touch("public.job", n)
            server._canceller._touched[("public.job", "row")].add("")
        wait_for(
            lambda: job.execute("select count(*) from recovery.touch").fetchone() == (11,),
            what="eleven touches",
        )
    assert sum("is dropped" in record.message for record in caplog.records) == 1


def test_two_machines_of_one_name_are_two_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    from recovery.work import host as hosts

    here = host_id()
    assert here == host_id()
    monkeypatch.setattr(hosts, "_machine", lambda: "00000000")
    assert host_id() != here
    assert host_id().partition("#")[0] == here.partition("#")[0]


@pytest.mark.parametrize(
    ("lease", "grace", "sweep", "every"),
    [
        (15, 3, 5, 5),  # the defaults: as often as sweeps
        (15, 3, 1, 3),  # within the grace, which a lost connection is given
        (15, 0.5, 0.5, 2.5),  # not oftener than six times in a lease
        (3, 0.5, 0.5, 0.5),
        (15, 15, 60, 5),
        (15, 3, None, 5),
    ],
)
def test_beats_come_as_often_as_the_grace_needs_and_not_oftener(
    lease: float, grace: float, sweep: float | None, every: float
) -> None:
    assert check_intervals(lease, grace, None, sweep) == every
