"""Boot refuses what it can't work with, by name and value, and leaves nothing half done."""

from __future__ import annotations

import psycopg
import pytest

from sql.jobs import Connection, add, boot, refused, statuses, sweep, value


@pytest.mark.parametrize("name", [None, "", "   ", "x" * 201, "é" * 101, "a\nb", "a\x7fb"])
def test_a_name_that_cannot_work(jobs: Connection, name: str | None) -> None:
    with refused("RC004", "server name"):
        boot(jobs, name)  # type: ignore[arg-type]
    assert value(jobs, "select count(*) from recovery.server") == 0


@pytest.mark.parametrize("name", ["x", "x" * 200, "é" * 100, 'it\'s "api" \\ 1', "%s %(x)s"])
def test_a_name_that_works(jobs: Connection, name: str) -> None:
    epoch = boot(jobs, name).epoch
    assert value(jobs, "select name from recovery.server where epoch = %s", epoch) == name


@pytest.mark.parametrize(
    ("option", "wrong", "says"),
    [
        ("lease", "0", "lease 00:00:00"),
        ("lease", "-1 second", "lease -00:00:01"),
        ("lease", None, "lease null"),
        ("lease", "infinity", "lease infinity"),
        ("batch", 0, "batch 0"),
        ("batch", None, "batch null"),
        ("lock_wait", "0", "lock wait 00:00:00"),
    ],
)
def test_an_argument_out_of_range(jobs: Connection, option: str, wrong: object, says: str) -> None:
    if wrong == "infinity" and jobs.info.server_version < 170000:
        pytest.skip("intervals are finite before PostgreSQL 17")
    with refused("RC010", says):
        boot(jobs, **{option: wrong})
    assert value(jobs, "select count(*) from recovery.server") == 0


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_session_with_another_isolation_level(jobs: Connection, level: str) -> None:
    """Nor may it be read-only: the procedures say for each transaction what they need."""
    dead = boot(jobs).epoch
    ids = add(jobs, dead, 5)
    jobs.execute(f"set default_transaction_isolation = '{level}'")  # type: ignore
    jobs.execute("set default_transaction_read_only = on")
    try:
        found = boot(jobs, batch=1)
        sweep(jobs)
        assert found.report["closed"] == {"app.job": 5}
        assert value(jobs, "show default_transaction_isolation") == level
        assert value(jobs, "show transaction_read_only") == "on"
    finally:
        jobs.execute("reset all")
    assert statuses(jobs) == dict.fromkeys(ids, "failed")


def test_a_call_in_a_transaction_does_nothing(jobs: Connection) -> None:
    dead = boot(jobs).epoch
    (id_,) = add(jobs, dead)
    with pytest.raises(psycopg.errors.InvalidTransactionTermination), jobs.transaction():
        boot(jobs)
    assert statuses(jobs) == {id_: "running"}
    assert value(jobs, "select array_agg(epoch) from recovery.server where ended is null") == [dead]


def test_the_session_keeps_its_settings(jobs: Connection) -> None:
    jobs.execute("set lock_timeout = '17s'")
    add(jobs, boot(jobs).epoch, 3)
    boot(jobs, batch=1)
    assert value(jobs, "show lock_timeout") == "17s"
    assert value(jobs, "select current_setting('recovery.closing', true)") in (None, "")
