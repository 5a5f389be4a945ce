"""recovery close, --dry-run, and what status says of the watchdog."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

import recovery
from recovery.cli import FAILED, USAGE

pytestmark = pytest.mark.majors("newest")

Connection = psycopg.Connection[Any]
Jobs = Callable[..., list[int]]
States = Callable[[], dict[int, tuple[str, str | None]]]


def cli(dsn: str, *args: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if k != "RECOVERY_DSN" and k[:2] != "PG"}
    return subprocess.run(
        [sys.executable, "-m", "recovery.cli", "--dsn", dsn, *args],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def good(dsn: str, *args: str) -> str:
    done = cli(dsn, *args)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def bad(code: int, dsn: str, *args: str) -> str:
    done = cli(dsn, *args)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_row_is_closed_and_no_other(dsn: str, jobs: Jobs, states: States) -> None:
    server = recovery.boot(dsn, "api-1")
    stuck, other = jobs(server.epoch, 2)
    out = good(dsn, "close", str(stuck), "--reason", "model hangs")
    assert out.splitlines()[0].split() == ["watch", "key", "group", "epoch"]
    assert out.splitlines()[1].split() == ["public.job", str(stuck), "s1", str(server.epoch)]
    assert out.splitlines()[-1] == "closed 1 row: model hangs"
    assert states() == {stuck: ("failed", "model hangs"), other: ("running", None)}


def test_a_group_is_closed(dsn: str, jobs: Jobs, states: States) -> None:
    server = recovery.boot(dsn, "api-1")
    here = jobs(server.epoch, 2, session="s1")
    (other,) = jobs(server.epoch, session="s2")
    out = good(dsn, "close", "s1", "--reason", "enough", "--scope", "group", "--watch", "public.job", "--json")  # fmt: skip
    assert json.loads(out) == {
        "dry_run": False,
        "reason": "enough",
        "rows": [
            {"watch": "public.job", "key": str(id_), "group": "s1", "epoch": server.epoch}
            for id_ in here
        ],
    }
    assert {id_ for id_, state in states().items() if state[0] == "running"} == {other}


def test_a_dry_run_closes_nothing(dsn: str, jobs: Jobs, states: States) -> None:
    (id_,) = jobs(recovery.boot(dsn, "api-1").epoch)
    out = good(dsn, "close", "s1", "--reason", "x", "--dry-run")
    assert str(id_) in out
    assert out.splitlines()[-1] == "would close 1 row; nothing was changed"
    assert json.loads(good(dsn, "close", "s1", "--reason", "x", "--dry-run", "--json"))["dry_run"]
    assert states() == {id_: ("running", None)}


def test_what_cannot_be_closed_is_one_line(dsn: str, jobs: Jobs) -> None:
    jobs(recovery.boot(dsn, "api-1").epoch)
    assert "nothing open has the key or group 's9'" in bad(USAGE, dsn, "close", "s9", "--reason", "x")  # fmt: skip
    assert "--reason" in bad(USAGE, dsn, "close", "s1")
    assert "reason ' ' is not allowed" in bad(USAGE, dsn, "close", "s1", "--reason", " ")
    assert "--scope" in bad(USAGE, dsn, "close", "s1", "--reason", "x", "--scope", "table")
    assert "nothing is watched as 'x'" in bad(FAILED, dsn, "close", "s1", "--reason", "x", "--watch", "x")  # fmt: skip


def test_a_boot_that_is_only_shown(dsn: str, conn: Connection, jobs: Jobs, states: States) -> None:
    old = recovery.boot(dsn, "api-1")
    (id_,) = jobs(old.epoch)
    out = good(dsn, "boot", "api-1", "--dry-run")
    assert out.splitlines()[1].split() == ["close", "superseded", "public.job", str(id_), "s1"]
    assert out.splitlines()[-1] == "nothing was changed"
    assert json.loads(good(dsn, "boot", "api-1", "--dry-run", "--json")) == {
        "dry_run": True,
        "rows": [
            {
                "action": "close",
                "reason": "superseded",
                "watch": "public.job",
                "key": str(id_),
                "group": "s1",
                "epoch": old.epoch,
            }
        ],
    }
    assert "nothing to close" in good(dsn, "boot", "api-2", "--dry-run")
    old.heartbeat()
    assert states() == {id_: ("running", None)}
    assert conn.execute("select epoch from recovery.server").fetchall() == [(old.epoch,)]


def test_a_sweep_that_is_only_shown(dsn: str, conn: Connection, jobs: Jobs, states: States) -> None:
    gone = recovery.boot(dsn, "api-1")
    (id_,) = jobs(gone.epoch)
    assert "nothing to close" in good(dsn, "sweep", "--dry-run")
    conn.execute("update recovery.server set ended = clock_timestamp(), reason = 'process_dead'")
    out = good(dsn, "sweep", "--dry-run")
    assert out.splitlines()[1].split() == ["close", "process_dead", "public.job", str(id_), "s1"]
    assert json.loads(good(dsn, "sweep", "--dry-run", "--json"))["rows"][0]["action"] == "close"
    assert states() == {id_: ("running", None)}
    assert conn.execute("select from recovery.sweep_run").rowcount == 0


def test_status_shows_what_waits_what_is_to_stop_and_what_is_set(
    dsn: str, conn: Connection, jobs: Jobs
) -> None:
    conn.execute(
        "alter table public.job add column held boolean not null default false,"
        " add column started timestamptz not null default clock_timestamp() - interval '1 hour'"
    )
    recovery.supervise(conn, "public.job", hold="held", started="started")
    server = recovery.boot(dsn, "api-1")
    stuck, held = jobs(server.epoch, 2)
    conn.execute("update public.job set held = true where id = %s", [held])
    before = good(dsn, "status")
    assert "to be stopped" not in before
    assert "settings:" not in before
    recovery.configure(conn, "tool_timeout", "10 min", watch="public.job")
    recovery.configure(conn, "cancel_grace", "1 h")
    assert "asked to stop 1" in good(dsn, "sweep")
    found = json.loads(good(dsn, "status", "--json"))
    (watch,) = (one for one in found["watches"] if one["watch"] == "public.job")
    assert (watch["open_rows"], watch["waiting"]) == (2, 1)
    (asked,) = found["cancellations"]
    assert (asked["watch"], asked["key"], asked["reason"], asked["server"]) == (
        "public.job", str(stuck), "tool_timeout", "api-1")  # fmt: skip
    assert {"name": "tool_timeout", "value": "00:10:00", "watch": "public.job", "kind": "", "group": ""} in found["settings"]  # fmt: skip
    text = good(dsn, "status")
    lines = [line.split() for line in text.splitlines()]
    assert ["public.job", "job", "2", "1", "0", "0", "0"] in lines
    assert any(line[:4] == ["public.job", str(stuck), "tool_timeout", "api-1"] for line in lines)
    assert "settings: cancel_grace 01:00:00, tool_timeout 00:10:00 (watch public.job)" in text
