"""`recovery config`, run as a process."""

from __future__ import annotations

import json
import os
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from python.cli.test_cli import FAILED, SCHEMA, USAGE, bad, good, run

# Each command is a process of its own, which takes its time on a busy machine.
pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(300)]

Connection = psycopg.Connection[Any]


def test_set_get_unset(dsn: str) -> None:
    env = {"RECOVERY_DSN": dsn}
    assert good("config", "get", "tool_timeout", env=env) == "off\n"
    assert good("config", "set", "tool_timeout", "10 min", env=env) == "00:10:00\n"
    assert good("config", "set", "tool_timeout", "1h", "--kind", "task", env=env) == "01:00:00\n"
    assert good("config", "get", "tool_timeout", "--kind", "bash", env=env) == "00:10:00\n"
    assert good("config", "get", "tool_timeout", "--kind", "task", env=env) == "01:00:00\n"
    assert good("config", "unset", "tool_timeout", "--kind", "task", env=env) == "00:10:00\n"
    assert good("config", "set", "tool_timeout", "0", env=env) == "off\n"
    assert good("config", "unset", "tool_timeout", env=env) == "off\n"
    assert good("config", "unset", "cancel_grace", "--dsn", dsn) == "00:00:10\n"


def test_scopes(dsn: str, conn: Connection) -> None:
    scope = ["--watch", "agent.part", "--kind", "bash", "--group", "ses_1"]
    good("--dsn", dsn, "config", "set", "tool_timeout", "90s", *scope)
    row = conn.execute("select watch, kind, group_key, value from recovery.setting").fetchall()
    assert row == [("agent.part", "bash", "ses_1", "00:01:30")]
    assert good("config", "get", "tool_timeout", *scope, "--dsn", dsn) == "00:01:30\n"
    assert good("config", "get", "tool_timeout", *scope[:4], "--dsn", dsn) == "off\n"


def test_list(dsn: str) -> None:
    good("config", "set", "tool_timeout", "10 min", "--kind", "bash", "--dsn", dsn)
    good("config", "set", "idle_roots", "on", "--dsn", dsn)
    found = json.loads(good("config", "list", "--json", "--dsn", dsn))
    assert len(found) == 12
    (bash,) = [one for one in found if one["kind"] == "bash"]
    assert bash.pop("changed_at")
    assert bash.pop("changed_by")
    assert bash == {
        "name": "tool_timeout",
        "watch": "",
        "kind": "bash",
        "group": "",
        "value": "00:10:00",
        "source": "set",
    }
    (roots,) = [one for one in found if one["name"] == "idle_roots"]
    assert (roots["value"], roots["source"]) == ("true", "set")
    (grace,) = [one for one in found if one["name"] == "cancel_grace"]
    assert (grace["value"], grace["source"], grace["changed_at"]) == ("00:00:10", "default", None)

    text = good("config", "list", "--dsn", dsn)
    assert text.split()[:3] == ["setting", "value", "watch"]
    (line,) = [line for line in text.splitlines() if "bash" in line]
    assert line.split()[:4] == ["tool_timeout", "00:10:00", "bash", "set"]
    assert "\x1b" not in text


def test_what_is_refused(dsn: str, conn: Connection) -> None:
    config = ["--dsn", dsn, "config"]
    line = bad(USAGE, *config, "set", "tool_timeout", "10")
    assert "setting tool_timeout cannot be '10', a number without a unit; Allowed is" in line
    assert "negative" in bad(USAGE, *config, "set", "tool_timeout", "--", "-10 min")
    assert "'nosuch' is not known" in bad(USAGE, *config, "set", "nosuch", "10 min")
    assert "'nosuch' is not known" in bad(USAGE, *config, "get", "nosuch")
    assert "'nosuch' is not known" in bad(USAGE, *config, "unset", "nosuch")
    assert "config unset" in bad(USAGE, *config, "set", "tool_timeout", "")
    line = bad(FAILED, *config, "set", "tool_timeout", "1 s", "--watch", "nosuch")
    assert "nothing is watched as 'nosuch'" in line
    assert "'value'" in bad(USAGE, *config, "set", "tool_timeout")
    assert "'nope'" in bad(USAGE, *config, "nope")
    assert conn.execute("select count(*) from recovery.setting").fetchone() == (0,)


def test_alone_it_shows_its_commands() -> None:
    done = run("config")
    assert (done.returncode, done.stderr) == (USAGE, "")
    for text in (done.stdout, good("config", "--help")):
        for command in ("list", "get", "set", "unset"):
            assert command in text
    assert "config" in good("--help")


def test_without_the_schema(empty_dsn: str) -> None:
    assert "recovery migrate upgrade" in bad(SCHEMA, "config", "list", "--dsn", empty_dsn)


def test_a_listener_only_reads(dsn: str, conn: Connection) -> None:
    role = f"config_{os.getpid()}"
    conn.execute(f"create role {role} login in role recovery_listener")
    try:
        other = make_conninfo(dsn, user=role)
        assert good("config", "get", "cancel_grace", "--dsn", other) == "00:00:10\n"
        assert "cancel_grace" in good("config", "list", "--dsn", other)
        for command in (["set", "tool_timeout", "1 s"], ["unset", "tool_timeout"]):
            assert "permission denied" in bad(FAILED, "config", *command, "--dsn", other)
    finally:
        conn.execute(f"drop role {role}")
