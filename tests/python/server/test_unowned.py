"""A sweeper warns, once for each watch, of open rows that nobody owns."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from recovery import Report
from sql.jobs import TABLE, attach, value

Connection = psycopg.Connection[Any]


@pytest.mark.majors("newest")
def test_one_warning_for_each_watch(
    conn: Connection, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    conn.execute(TABLE)
    attach(conn)
    conn.execute("insert into app.job default values")  # by a process that nobody has bound

    def swept() -> Any:
        return value(conn, "select max(at) from recovery.sweep_run")

    with caplog.at_level(logging.WARNING, "recovery"), recovery.serve(dsn, "api", sweep=0.05):
        for _ in range(3):
            before = swept()
            wait_for(lambda before=before: swept() != before, what="it sweeps")  # type: ignore
    (said,) = [
        record.getMessage()
        for record in caplog.records
        if "belong to no server" in record.getMessage()
    ]
    assert said.startswith("1 open rows of app.job belong to no server")
    assert "recovery config set unowned_expected true --watch app.job" in said


def test_a_report_says_how_many() -> None:
    assert "nobody owns 2 app.job" in str(Report.parse({"unowned": {"app.job": 2}}))
    assert Report.parse({"closed": {}}).unowned == {}
