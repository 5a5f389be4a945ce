"""The command, run as a process: its output, its exit codes, its one line when it fails."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from agent_store import stores, turns
from helpers import wait_for
from recovery import _version, calls, opencode
from recovery.cli import main as cli

# Each command is a process of its own, which takes its time on a busy machine.
pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(300)]

Connection = psycopg.Connection[Any]
COMMAND = [sys.executable, "-m", "recovery.cli"]
FIXTURE = str(stores.FOLDER / "task-subagent.db")
OK, FAILED, USAGE, UNREACHABLE, SCHEMA = 0, 1, 2, 3, 4


def environment(**more: str) -> dict[str, str]:
    """Ours, without anything that names a database."""
    kept = {k: v for k, v in os.environ.items() if k != "RECOVERY_DSN" and k[:2] != "PG"}
    return {**kept, "PYTHONIOENCODING": "utf-8", **more}


def run(*args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *args],
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def good(*args: str, env: Mapping[str, str] | None = None) -> str:
    done = run(*args, env=env)
    assert (done.returncode, done.stderr) == (OK, ""), done
    return done.stdout


def bad(code: int, *args: str, env: Mapping[str, str] | None = None) -> str:
    """The one line of a command that fails."""
    done = run(*args, env=env)
    assert done.returncode == code, done
    assert done.stdout == ""
    assert done.stderr.startswith("recovery: ")
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def crashed(conn: Connection, case: str = "task-subagent") -> dict[str, Any]:
    store, expect = stores.load(case)
    opencode.load_store(conn, store)
    return expect


def test_without_a_server() -> None:
    unreachable = "postgresql://me:geheim@127.0.0.1:1/shop"
    for command in ("status", "migrate"):
        line = bad(UNREACHABLE, command, "--dsn", unreachable)
        assert "127.0.0.1:1, database shop" in line
        assert "geheim" not in line


@pytest.mark.parametrize("command", ["status", "migrate"])
@pytest.mark.parametrize(
    ("dsn", "code"),
    [
        ("postgresql://me:ge@heim@127.0.0.1:1/shop", USAGE),
        ("postgresql://me:ge/heim@127.0.0.1:1/shop", USAGE),
        ("postgresql://me:12/heim@127.0.0.1:1/shop", USAGE),
        ("postgresql+psycopg://me:ge@heim@127.0.0.1:1/shop", USAGE),
        ("host=127.0.0.1 port=1 password='heim", USAGE),
        ("host=127.0.0.1 port=1 password=heim passwort=heim", USAGE),
        ("heim", USAGE),
        ("mysql://me:heim@127.0.0.1/shop", USAGE),
        ("postgresql+psycopg://me:heim@127.0.0.1:1/shop", UNREACHABLE),
        ("host=127.0.0.1 port=1 password=heim", UNREACHABLE),
        ("host=nowhere.invalid password=heim", UNREACHABLE),
    ],
)
def test_no_password_in_any_line(
    command: str, dsn: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:  # in this process: there are many
        cli.main([command, "--dsn", dsn])
    assert exit_.value.code == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("recovery: ")
    assert "heim" not in err


def test_usage() -> None:
    assert "'migrte'" in bad(USAGE, "migrte")
    assert "--nope" in bad(USAGE, "status", "--nope")
    assert "'sideways'" in bad(USAGE, "migrate", "sideways")
    assert "'closd'" in bad(USAGE, "events", "--kind", "closd")
    assert "name" in bad(USAGE, "boot").lower()
    assert "--json" in bad(USAGE, "consumers", "--json", "drop", "mailer")
    assert "--json" in bad(USAGE, "webhooks", "--json", "run")
    assert "nope.db" in bad(USAGE, "import-opencode", "nope.db")


def test_version_and_help() -> None:
    assert good("--version") == f"pg-recovery {_version.VERSION}\n"
    out = good("--help")
    for command in (
        "migrate", "boot", "sweep", "events", "consumers", "status", "import-opencode", "demo",
    ):  # fmt: skip
        assert command in out


def test_without_its_packages_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None\nfrom recovery.cli.main import main; main(['status'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == USAGE
    assert done.stderr.splitlines() == [
        'recovery: the command needs more packages: pip install "pg-recovery[cli]"'
    ]


def test_migrate(empty_dsn: str) -> None:
    assert "no schema → schema" in good("migrate", "--dsn", empty_dsn)
    assert good("--dsn", empty_dsn, "migrate", "upgrade").startswith("nothing to do")
    assert "→ no schema" in good("migrate", "downgrade", env={"RECOVERY_DSN": empty_dsn})
    with psycopg.connect(empty_dsn) as conn:
        found = conn.execute(
            "select count(*) from pg_namespace where nspname in ('recovery', 'agent')"
        ).fetchone()
    assert found == (0,)
    assert "nosuch" in bad(USAGE, "migrate", "upgrade", "nosuch", "--dsn", empty_dsn)


def test_migrate_sql_needs_no_database(empty_dsn: str) -> None:
    script = good("migrate", "--sql", "--dsn", "postgresql://127.0.0.1:1/nowhere")
    assert "create table recovery.server" in script
    with psycopg.connect(empty_dsn, autocommit=True) as conn:
        conn.execute(script.encode())
        assert conn.execute("select recovery.version()").fetchone() == (_version.SCHEMA,)


def test_libpq_variables_name_the_database(dsn: str) -> None:
    with psycopg.connect(dsn) as conn:
        info = conn.info
        env = {"PGHOST": info.host, "PGPORT": str(info.port), "PGUSER": info.user}
        env["PGDATABASE"] = info.dbname
    assert "agent.part" in good("status", env=env)


@pytest.mark.parametrize(
    "command",
    ["status", "events", "events -f", "consumers", "boot x", f"import-opencode {FIXTURE}"],
)
def test_without_the_schema(empty_dsn: str, command: str) -> None:
    assert "recovery migrate upgrade" in bad(SCHEMA, *command.split(), "--dsn", empty_dsn)


def test_with_a_schema_of_another_version(dsn: str, conn: Connection) -> None:
    for version in ("0.0.9", "7.0.0"):
        conn.execute(
            "create or replace function recovery.version() returns text language sql"
            f" return '{version}'"
        )
        assert version in bad(SCHEMA, "sweep", "--dsn", dsn)
        assert version in bad(SCHEMA, "events", "--follow", "--dsn", dsn)


def test_without_privilege(dsn: str, conn: Connection) -> None:
    role = f"nobody_{os.getpid()}"
    conn.execute(f"create role {role} login")
    try:
        other = make_conninfo(dsn, user=role)
        for command in (
            "status", "sweep", "events", "events -f", "consumers", "boot api-1", "migrate downgrade",
        ):  # fmt: skip
            assert "permission denied" in bad(FAILED, *command.split(), "--dsn", other)
        conn.execute(f"grant recovery_listener to {role}")
        for command in ("status", "events", "consumers", "consumers create mine"):
            good(*command.split(), "--dsn", other)
        assert "permission denied" in bad(FAILED, "sweep", "--dsn", other)
        assert "permission denied" in bad(FAILED, "boot", "api-1", "--dsn", other)
    finally:
        conn.execute(f"drop role {role}")


def test_boot_closes_and_says_what(dsn: str, conn: Connection) -> None:
    crashed(conn)
    done = run("boot", "opencode", "--dsn", dsn)
    assert done.returncode == OK
    assert "closed 2 agent.part, 2 agent.message" in done.stdout
    epoch = int(done.stdout.split()[1])
    assert f"recovery.server_epoch={epoch}" in done.stderr

    again = json.loads(good("boot", "opencode", "--json", "--dsn", dsn))
    assert again["epoch"] > epoch
    assert again["report"]["ended"] == [epoch]
    assert again["report"]["closed"] == {}


def test_boot_refuses_a_bad_name_and_lease(dsn: str) -> None:
    assert "name" in bad(USAGE, "boot", "", "--dsn", dsn)
    assert "name" in bad(USAGE, "boot", "x" * 9000, "--dsn", dsn)
    assert "lease" in bad(USAGE, "boot", "x", "--lease", "-1", "--dsn", dsn)
    assert "'--lease'" in bad(USAGE, "boot", "x", "--lease", "soon", "--dsn", dsn)


def test_boot_policies(dsn: str, conn: Connection) -> None:
    first = json.loads(good("boot", "api-1", "--lease", "600", "--json", "--dsn", dsn))
    line = bad(FAILED, "boot", "api-1", "--policy", "refuse", "--dsn", dsn)
    assert f'"api-1" is held by epoch {first["epoch"]}' in line
    line = bad(FAILED, "boot", "api-1", "--policy", "wait", "--wait", "0.3", "--dsn", dsn)
    assert "is held by" in line
    waiting = ["boot", "api-1", "--policy", "wait", "--wait", "60", "--json", "--dsn", dsn]
    with subprocess.Popen(
        [*COMMAND, *waiting], env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            wait_for(lambda: waits(conn), 30, what="the command waits")
            calls.run(conn, calls.server.shutdown(first["epoch"], first["token"]))
            out = process.communicate(timeout=30)[0]
        finally:
            process.kill()
    assert process.returncode == OK
    second = json.loads(out)
    assert second["epoch"] > first["epoch"]
    assert second["report"]["ended"] == []
    third = json.loads(good("boot", "api-1", "--policy", "supersede", "--json", "--dsn", dsn))
    assert third["report"]["ended"] == [second["epoch"]]


def waits(conn: Connection) -> bool:
    """Whether a boot sleeps until the holder of its name has ended."""
    row = conn.execute(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and wait_event = 'PgSleep' and query like '%recovery.boot%'"
    ).fetchone()
    return row is not None and row[0] > 0


def test_boot_refuses_policies_that_make_no_sense(dsn: str) -> None:
    boot = ["boot", "api-1", "--dsn", dsn]
    assert "'kill'" in bad(USAGE, *boot, "--policy", "kill")
    assert "--wait needs --policy wait, not supersede" in bad(USAGE, *boot, "--wait", "5")
    assert "not refuse" in bad(USAGE, *boot, "--wait", "5", "--policy", "refuse")
    assert "wait must be greater than 0 s" in bad(USAGE, *boot, "--policy", "wait", "--wait", "0")
    assert "'--wait'" in bad(USAGE, *boot, "--policy", "wait", "--wait", "long")


def test_sweep_and_status(dsn: str, conn: Connection) -> None:
    crashed(conn)
    found = json.loads(good("status", "--json", "--dsn", dsn))
    assert (found["open"], found["orphans"], found["sweeps"]) == (4, 0, [])
    assert "never swept" in good("status", "--dsn", dsn)

    conn.execute("update recovery.server set heartbeat = heartbeat - interval '1 hour'")
    text = good("status", "--dsn", dsn)  # no sweeper has been watching
    assert "held back" in text
    assert "opencode is not declared dead" in text
    stores.lapse(conn)
    found = json.loads(good("status", "--json", "--dsn", dsn))
    assert [server["state"] for server in found["servers"]] == ["dead"]
    report = json.loads(good("sweep", "--label", "cron", "--json", "--dsn", dsn))
    assert report["closed"] == {"agent.part": 2, "agent.message": 2}

    found = json.loads(good("status", "--json", "--dsn", dsn))
    assert (found["open"], found["orphans"], found["failures"]) == (0, 0, [])
    assert [server["reason"] for server in found["servers"]] == ["lease_expired"]
    assert found["sweeps"][0]["report"]["closed"] == report["closed"]
    text = good("status", "--dsn", dsn)
    assert "ended: lease_expired" in text
    assert "by cron: closed 2 agent.part, 2 agent.message" in text
    assert "\x1b" not in text


def test_status_shows_orphans_and_what_could_not_be_closed(dsn: str, conn: Connection) -> None:
    expect = crashed(conn, "bash-running")
    conn.execute("alter table agent.part add check (data #>> '{state,error}' is null) not valid")
    epoch = json.loads(good("boot", "opencode", "--json", "--dsn", dsn))
    assert epoch["report"]["failed"] == {"agent.part": 1}
    found = json.loads(good("status", "--json", "--dsn", dsn))
    (failure,) = found["failures"]
    assert failure["key"] == expect["orphan_parts"]["tool_running"][0]
    assert found["orphans"] == 1
    text = good("status", "--dsn", dsn)
    assert failure["key"] in text
    assert failure["message"] in text


def test_status_lists_fuses(dsn: str, conn: Connection) -> None:
    crashed(conn)
    light = "select recovery.light_fuse('agent.session', %s, %s, 'h1', %s, now(), 'group')"
    conn.execute(light, ("ses_burns", "1 hour", 4711))
    conn.execute(light, ("ses_out", "1 ms", 4712))
    found = json.loads(good("status", "--json", "--dsn", dsn))["fuses"]
    assert [(fuse["key"], fuse["state"]) for fuse in found] == [
        ("ses_out", "burnt out"),
        ("ses_burns", "burns"),
    ]
    text = good("status", "--dsn", dsn)
    assert "4711@h1" in text
    assert "burnt out" in text


@contextmanager
def listening(dsn: str, conn: Connection, *args: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*COMMAND, "events", "--follow", "--dsn", dsn, *args],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            wait_for(lambda: reads(conn), 30, what="the command listens")
            yield process
        finally:
            process.kill()


def reads(conn: Connection) -> bool:
    row = conn.execute(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and application_name = 'recovery:listener' and query ~ 'recovery.(page|record)'"
    ).fetchone()
    return row is not None and row[0] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_following_prints_at_once_and_stops_when_told(
    dsn: str, conn: Connection, number: signal.Signals
) -> None:
    with listening(dsn, conn, "--kind", "closed") as process:
        expect = crashed(conn, "bash-running")
        good("boot", "opencode", "--json", "--dsn", dsn)
        assert process.stdout is not None
        line = process.stdout.readline()  # would hang, were it not flushed
        (tool,) = expect["orphan_parts"]["tool_running"]
        assert tool in line
        assert "superseded" in line
        process.send_signal(number)
        assert process.stderr is not None
        assert expect["orphan_messages"][0] in process.stdout.read()
        assert process.stderr.read() == ""
        assert process.wait() == (130 if number == signal.SIGINT else -signal.SIGTERM)


def test_following_filters_and_begins_where_it_is_told(dsn: str, conn: Connection) -> None:
    expect = crashed(conn)
    good("boot", "opencode", "--json", "--dsn", dsn)
    session = expect["links"][0]["parent_session"]
    wanted = conn.execute(
        "select id from recovery.event where reason = 'superseded' and group_key = %s"
        " and watch = 'agent.session' and id > 900 order by id",
        (session,),
    ).fetchall()
    assert wanted
    args = ["--json", "--reason", "superseded", "--group", session, "--watch", "agent.session"]
    with listening(dsn, conn, "--after", "900", *args) as process:
        assert process.stdout is not None
        found = [json.loads(process.stdout.readline()) for _ in wanted]
    assert [event["id"] for event in found] == [row[0] for row in wanted]
    assert {event["group"] for event in found} == {session}


def test_following_is_silent_when_the_reader_has_gone(dsn: str, conn: Connection) -> None:
    crashed(conn)
    with listening(dsn, conn, "--after", "0") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        good("boot", "opencode", "--json", "--dsn", dsn)
        assert process.wait(10) == OK
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_import_opencode(dsn: str, conn: Connection) -> None:
    out = good("import-opencode", FIXTURE, "--dsn", dsn)
    assert "part: 8 loaded" in out
    assert "recovery boot opencode" in out
    assert "part: 0 loaded, 8 were there" in good("import-opencode", FIXTURE, "--dsn", dsn)
    again = json.loads(good("import-opencode", FIXTURE, "--json", "--dsn", dsn))
    assert again["present"]["part"] == 8

    before, start = stores.read(conn), stores.now(conn)
    good("boot", "opencode", "--json", "--dsn", dsn)
    after, when = stores.read(conn), stores.Time(start, stores.now(conn))
    _, expect = stores.load("task-subagent")
    for id_ in stores.orphan_ids(expect)[1]:
        assert after["part"][id_] == stores.closed(before["part"][id_], when)


def test_import_opencode_with_an_owner_map(dsn: str, conn: Connection, tmp_path: Any) -> None:
    _, expect = stores.load("task-subagent")
    parent = expect["links"][0]["parent_session"]
    owners = tmp_path / "owners.json"
    owners.write_text(json.dumps({parent: "api-7"}))
    out = good("import-opencode", FIXTURE, "--owner-map", str(owners), "--dsn", dsn)
    assert "recovery boot api-7" in out
    report = json.loads(good("boot", "opencode", "--json", "--dsn", dsn))["report"]
    assert report["closed"] == {}
    report = json.loads(good("boot", "api-7", "--json", "--dsn", dsn))["report"]
    assert report["closed"] == {"agent.part": 2, "agent.message": 2}

    for content, complaint in (("{", "not JSON"), ("[]", "one object"), ('{"a": 1}', "one object")):
        owners.write_text(content)
        args = ["import-opencode", FIXTURE, "--owner-map", str(owners), "--dsn", dsn]
        assert complaint in bad(USAGE, *args)


def test_import_opencode_says_what_it_does_not_know(
    dsn: str, conn: Connection, tmp_path: Path
) -> None:
    """Rows 38, 39: 2, if something that may be in flight would stay open."""
    file = turns.build(tmp_path / "opencode.db")
    assert "session_message: 8 loaded" in good("import-opencode", str(file), "--dsn", dsn)

    def edit(*statements: str) -> None:  # and nobody has it open afterwards
        db = sqlite3.connect(file, isolation_level=None)
        for statement in statements:
            db.execute(statement)
        db.close()

    edit("create table dream (status text)", "insert into dream values ('done')")
    assert "not known: table dream: 1 row\n" in good("import-opencode", str(file), "--dsn", dsn)
    edit(
        "update dream set status = 'running'",
        "update session_message set time_updated = time_updated + 1 where type = 'user'",
    )
    done = run("import-opencode", str(file), "--dsn", dsn)
    assert done.returncode == USAGE
    assert "not known: table dream: 1 row, maybe in flight" in done.stdout
    assert "session_message: 0 loaded, 4 were there, 4 updated" in done.stdout
    done = run("import-opencode", str(file), "--json", "--dsn", dsn)
    assert (done.returncode, json.loads(done.stdout)["understood"]) == (USAGE, False)


def test_import_opencode_refuses_what_is_no_store(dsn: str, conn: Connection) -> None:
    assert "not a SQLite database" in bad(FAILED, "import-opencode", __file__, "--dsn", dsn)
    assert "folder" in bad(FAILED, "import-opencode", str(stores.FOLDER), "--dsn", dsn)
    good("boot", "opencode", "--json", "--dsn", dsn)
    assert "live" in bad(FAILED, "import-opencode", FIXTURE, "--dsn", dsn)
