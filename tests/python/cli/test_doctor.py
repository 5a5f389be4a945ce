"""`recovery doctor`: what it finds, what to type, what it repairs, and its exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from helpers import wait_for
from pgbouncer import PgBouncer
from python.cli.test_cli import COMMAND, environment
from recovery.cli import main
from recovery.cli.doctor import look
from sql.jobs import TABLE, add, attach, boot, in_background, sweep, value, write_as

pytestmark = [pytest.mark.timeout(300)]

Connection = psycopg.Connection[Any]
Doctor = Callable[..., str]

WELL, ILL, UNSEEN = 0, 1, 2

#: Found in every database of the tests, because their login is a superuser.
USUAL = {"login-superuser", "server-superuser"}


@pytest.fixture
def doctor(dsn: str, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """``doctor(code, *options, dsn=…)``: what it prints."""

    def run(code: int, *options: str, dsn: str = dsn) -> str:
        capsys.readouterr()
        done = main._run(["doctor", *options, "--dsn", dsn])
        told = capsys.readouterr()
        assert (done, told.err) == (code, ""), (done, told)
        return told.out

    return run


@pytest.fixture
def asked(doctor: Doctor) -> Callable[..., dict[str, Any]]:
    """``asked(code, …)``: its JSON, without the usual findings."""

    def run(code: int, *options: str, **how: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(doctor(code, "--json", *options, **how))
        said["findings"] = [f for f in said["findings"] if f["code"] not in USUAL]
        return said

    return run


@pytest.fixture
def job(conn: Connection) -> Connection:
    """A connection to a database with the watched table app.job, which was swept."""
    conn.execute(TABLE)
    attach(conn)
    sweep(conn)
    return conn


def found(said: dict[str, Any], fixed: bool = False) -> list[str]:
    return [f["code"] for f in said["findings"] if f["fixed"] is fixed]


def test_all_is_well(job: Connection, doctor: Doctor) -> None:
    write_as(job, boot(job).epoch)
    job.execute("insert into app.job default values")
    lines = doctor(WELL).splitlines()
    assert all(line.split()[1] in USUAL for line in lines[:-1])
    assert lines[-1].endswith("subjects were looked at")


def test_it_names_what_is_wrong_and_what_to_type(job: Connection, doctor: Doctor) -> None:
    add(job, None)
    job.execute("alter table app.job disable trigger recovery_20_update")
    lines = doctor(ILL).splitlines()
    assert (
        "error   trigger-disabled     watch app.job: recovery_20_update of app.job is disabled:"
        " writes are neither fenced nor told"
        "  → alter table app.job enable trigger recovery_20_update;" in lines
    )
    assert any(re.match(r"error +writer-unbound +watch app\.job: 1 of 1", line) for line in lines)
    assert lines[-1].startswith("2 errors")


def test_its_json(job: Connection, asked: Callable[..., dict[str, Any]]) -> None:
    """The shape that docs/reference/doctor.md promises."""
    job.execute("alter table app.job disable trigger recovery_20_update")
    said = asked(ILL)
    assert set(said) == {
        *("exit_code", "looked", "package", "database", "examined", "counts", "findings")
    }
    assert (said["exit_code"], said["looked"]) == (ILL, True)
    assert set(said["database"]) == {"name", "server", "schema"}
    assert set(said["counts"]) == {"error", "warning", "note"}
    statement = "alter table app.job enable trigger recovery_20_update;"
    assert said["findings"] == [
        {
            "code": "trigger-disabled",
            "severity": "error",
            "kind": "watch",
            "subject": "app.job",
            "problem": "recovery_20_update of app.job is disabled: writes are neither fenced nor told",
            "remedy": statement,
            "fix": [statement],
            "fixed": False,
            "error": None,
        }
    ]
    job.execute(statement.encode())
    assert asked(WELL)["findings"] == []


def test_strict(job: Connection, asked: Callable[..., dict[str, Any]]) -> None:
    job.execute("select recovery.configure('tool_timeout', '5 min', 'app.job')")
    assert found(asked(WELL)) == ["timeout-unsupervised"]
    assert found(asked(ILL, "--strict")) == ["timeout-unsupervised"]


def test_it_repairs(job: Connection, asked: Callable[..., dict[str, Any]]) -> None:
    """What loses nothing: the rows keep their owners, and what a person decides stays."""
    server = boot(job)
    rows = add(job, server.epoch, 3)
    number = value(job, "select id from recovery.watch where name = 'app.job'")
    for statement in (
        "alter table app.job disable trigger recovery_20_update",
        "drop trigger recovery_10_insert on app.job",
        f"drop index app.recovery_open_{number}",
        f"create or replace function recovery.watch_{number}_delete() returns trigger"
        " language plpgsql as 'begin return null; end'",
        "create table app.gone (id int primary key, status text)",
        "select recovery.attach('app.gone', $$status = 'running'$$,"
        ' $${"status": "\'failed\'"}$$)',
        "drop table app.gone",
        "delete from recovery.clock",
        f"update recovery.server set pid = -1 where epoch = {server.epoch}",
    ):
        job.execute(statement.encode())
    before = set(found(asked(ILL)))
    assert {"trigger-disabled", "trigger-missing", "index-missing", "row-missing"} < before
    said = asked(ILL, "--fix")
    assert found(said) == ["entry-impossible"]
    # Without the row of the clock nobody knows when the last sweep was.
    assert set(found(said, fixed=True)) == before - {"entry-impossible", "sweep-missing"}
    job.execute("update recovery.server set pid = null")
    assert found(asked(WELL)) == []
    owners = job.execute("select distinct server_epoch from app.job where id = any(%s)", (rows,))
    assert owners.fetchall() == [(server.epoch,)]


def test_repairing_holds_nobody_up(
    job: Connection, connect: Callable[..., Connection], dsn: str
) -> None:
    """P13: it waits behind a long transaction only briefly, and tries again."""
    job.execute("alter table app.job disable trigger recovery_20_update")
    long, other = connect(), connect()
    long.execute("begin")
    long.execute("insert into app.job (status) values ('done')")
    fixing = in_background(
        subprocess.run,
        [*COMMAND, "doctor", "--fix", "--json", "--dsn", dsn],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    waits = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and wait_event_type = 'Lock' and query like 'alter table%%'"
    )
    wait_for(lambda: value(job, waits), 60, what="the fix waits for its lock")
    other.execute("set lock_timeout = '2s'")
    for _ in range(20):
        other.execute("insert into app.job (status) values ('done')")
    assert not fixing.done()
    long.execute("commit")
    done = fixing.result(60)
    assert done.returncode == WELL, done
    assert found(json.loads(done.stdout), fixed=True) == ["trigger-disabled"]


def test_a_repair_that_fails_is_told(
    job: Connection, doctor: Doctor, dsn: str, asked: Callable[..., dict[str, Any]]
) -> None:
    """With the rights of the login, which need not be the owner's."""
    role = f"looker_{os.getpid()}"
    job.execute(f"create role {role} login in role recovery_server".encode())
    other = make_conninfo(dsn, user=role)
    try:
        job.execute("alter table app.job disable trigger recovery_20_update")
        (error, *_) = asked(ILL, "--fix", dsn=other)["findings"]
        assert (error["code"], error["fixed"]) == ("trigger-disabled", False)
        assert "permission denied" in error["error"]
        assert "could not be fixed: permission denied" in doctor(ILL, "--fix", dsn=other)
    finally:
        job.execute(f"drop role {role}".encode())


def test_patience(
    job: Connection, connect: Callable[..., Connection], asked: Callable[..., dict[str, Any]]
) -> None:
    other = connect()
    other.execute("begin")
    other.execute("select pg_current_xact_id()")
    assert found(asked(WELL)) == []
    said = asked(ILL, "--strict", "--patience", "0.001")
    assert "transaction-long" in found(said)


def test_a_check_that_takes_too_long(
    job: Connection, asked: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """P14: it is named, and the others go on."""
    monkeypatch.setattr(look, "_LIMIT", 1)
    with psycopg.connect(job.info.dsn) as other:  # the first 1000 looks at us take longer
        other.execute("lock table recovery.setting in access exclusive mode")
        said = asked(WELL)
    failed = [f for f in said["findings"] if f["code"] == "check-failed"]
    assert "settings" in {f["subject"] for f in failed}
    assert all("statement timeout" in f["problem"] for f in failed)


def test_clocks_that_differ(job: Connection, asked: Callable[..., dict[str, Any]]) -> None:
    job.execute("update recovery.clock set shift = '50 seconds'")
    (skew,) = asked(WELL)["findings"]
    assert (skew["code"], skew["kind"]) == ("clock-skew", "host")
    assert re.search(r"(49|50) s behind the database's", skew["problem"])


@pytest.mark.parametrize(("mode", "severity"), [("transaction", "warning"), ("session", "note")])
def test_a_pooler(
    job: Connection,
    asked: Callable[..., dict[str, Any]],
    bouncer: Callable[..., PgBouncer],
    mode: str,
    severity: str,
) -> None:
    pool = bouncer(mode)
    said = asked(WELL, dsn=pool.dsn)
    assert [(f["code"], f["severity"]) for f in said["findings"]] == [
        ("connection-pooled", severity)
    ]


def test_without_a_connection(doctor: Doctor, asked: Callable[..., dict[str, Any]]) -> None:
    gone = "postgresql://me:secret@127.0.0.1:1/nowhere"
    (line, last) = doctor(UNSEEN, dsn=gone).splitlines()
    assert re.match(r"error +connection-failed +database \?: cannot connect to 127.0.0.1:1", line)
    assert "secret" not in line
    assert last == "could not look"
    said = asked(UNSEEN, dsn=gone)
    assert (said["looked"], said["exit_code"], found(said)) == (False, 2, ["connection-failed"])


def test_without_the_schema(empty_dsn: str, doctor: Doctor) -> None:
    (line, _) = doctor(UNSEEN, dsn=empty_dsn).splitlines()
    assert "schema-mismatch" in line
    assert "recovery migrate upgrade" in line


def test_a_login_without_rights(job: Connection, doctor: Doctor, dsn: str) -> None:
    role = f"nobody_{os.getpid()}"
    job.execute(f"create role {role} login".encode())
    other = make_conninfo(dsn, user=role)
    try:
        said = doctor(UNSEEN, dsn=other)
        assert "rights-missing" in said
        remedy = f"grant recovery_listener to {role};"
        assert remedy in said
        job.execute(remedy.encode())
        assert f"role {role}: may look, but neither boot nor sweep" in doctor(WELL, dsn=other)
    finally:
        job.execute(f"drop role {role}".encode())


MODELS = """
    import recovery
    from sqlalchemy import Text
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class Job(Base):
        __tablename__ = "job"
        __table_args__ = {"schema": "app"}
        id: Mapped[int] = mapped_column(primary_key=True)
        status: Mapped[str]
        error: Mapped[str | None]
        __recovery__ = recovery.Watch(
            open="status = 'running'",
            close={"status": "'failed'", "error": "c.message"},
            started="began",
            %s
        )
"""


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """``models(name, options)``: a module with the declaration of app.job."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, options: str = "", more: str = "") -> str:
        text = textwrap.dedent(MODELS % options) + textwrap.dedent(more)
        (tmp_path / f"{name}.py").write_text(text)
        return f"{name}:Base"

    return write


def test_what_is_declared_and_not_attached(
    conn: Connection, asked: Callable[..., dict[str, Any]], models: Callable[..., str]
) -> None:
    """What it says, typed verbatim, attaches it."""
    app = models("declared_first", "hold='status is null',")
    (missing,) = [f for f in asked(ILL, "--app", app)["findings"] if f["code"] == "table-missing"]
    assert missing["subject"] == "app.job"
    conn.execute(TABLE)
    conn.execute("alter table app.job add began timestamptz")
    said = asked(ILL, "--app", app)
    (missing,) = [f for f in said["findings"] if f["code"] == "watch-not-attached"]
    assert missing["fix"] is None
    conn.execute(missing["remedy"].encode())
    sweep(conn)
    assert found(asked(WELL, "--app", app)) == []
    # The metadata, too, is a source.
    assert found(asked(WELL, "--app", app + ".metadata")) == []


@pytest.mark.parametrize(
    ("name", "options", "differs"),
    [
        ("of_open", "group='error',", ["group"]),
        (
            "of_time",
            "unowned='1 h', launch_grace='1 min', position=7,",
            ["launch_grace", "position", "unowned"],
        ),
        ("of_name", "name='jobs',", ["name"]),
        ("of_supervision", "hold='status is null',", ["hold"]),
    ],
)
def test_what_is_attached_otherwise(
    job: Connection,
    asked: Callable[..., dict[str, Any]],
    models: Callable[..., str],
    name: str,
    options: str,
    differs: list[str],
) -> None:
    job.execute("select recovery.detach('app.job')")
    job.execute("alter table app.job add began timestamptz")
    attach(job, started="began")
    assert found(asked(WELL, "--app", models(f"{name}_same"))) == []
    app = models(name, options)
    (finding,) = asked(ILL, "--app", app)["findings"]
    assert finding["code"] == "watch-differs"
    assert finding["problem"].endswith(f"declares other values of {', '.join(differs)}")
    server = boot(job)
    (row,) = add(job, server.epoch)
    job.execute(finding["remedy"].encode())  # keeps the owners of work in flight
    assert value(job, "select server_epoch from app.job where id = %s", row) == server.epoch
    assert found(asked(WELL, "--app", app)) == []


def test_what_is_attached_and_not_declared(
    job: Connection, asked: Callable[..., dict[str, Any]], models: Callable[..., str]
) -> None:
    models("empty")
    Path("none.py").write_text("from sqlalchemy import MetaData\n\nmetadata = MetaData()\n")
    (finding,) = asked(WELL, "--app", "none:metadata")["findings"]
    assert (finding["code"], finding["severity"]) == ("watch-not-declared", "warning")
    job.execute(finding["remedy"].partition("or: ")[2].encode())
    assert found(asked(WELL, "--app", "none:metadata")) == []


@pytest.mark.parametrize("app", ["nothing", "no_such_module:Base", "json:nothing"])
def test_an_app_that_is_none(dsn: str, app: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main._run(["doctor", "--app", app, "--dsn", dsn]) == UNSEEN
    assert "--app" in capsys.readouterr().err


@pytest.mark.majors("newest")
@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal(job: Connection, dsn: str, width: int) -> None:
    """The table fits; a statement is one line, however long, so that it can be copied."""
    number = value(job, "select id from recovery.watch where name = 'app.job'")
    job.execute(f"drop index app.recovery_open_{number}".encode())
    lines = _terminal([*COMMAND, "doctor", "--dsn", dsn], width)
    begin = next(i for i, line in enumerate(lines) if line.startswith("What to do"))
    assert all(len(line) <= width for line in lines[:begin]), lines
    assert any("index-missing" in line for line in lines[:begin])
    assert any(
        re.search(r"create index concurrently recovery_open_\d+ on app.job .*;  \[--fix", line)
        for line in lines[begin:]
    )
    assert re.match(r"\d+ error.*; \d+ subjects were looked at", lines[-1])


def _terminal(command: list[str], width: int) -> list[str]:
    """The lines that a command writes to a terminal, without colours."""
    inner, outer = pty.openpty()
    with subprocess.Popen(
        command,
        stdout=outer,
        stderr=outer,
        env=environment(COLUMNS=str(width), TERM="xterm"),
    ) as process:
        os.close(outer)
        written = b""
        while True:
            try:
                part = os.read(inner, 4096)
            except OSError:
                break
            if not part:
                break
            written += part
        assert process.wait(60) == ILL
    os.close(inner)
    text = re.sub(r"\x1b\[[0-9;]*m", "", written.decode())
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_the_command_is_one(dsn: str) -> None:
    """The exit code is the process's."""
    done = subprocess.run(
        [sys.executable, "-m", "recovery.cli", "doctor", "--dsn", dsn + "_gone"],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == UNSEEN
