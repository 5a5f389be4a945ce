"""`recovery run`: what programs that know nothing of it write is theirs, by whatever driver."""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers import wait_for
from python.run.conftest import HERE, PYTHONPATH, Start, alive, live, states

pytestmark = [pytest.mark.majors("newest"), pytest.mark.timeout(180)]

DRIVERS = ["psycopg", "psycopg_async", "psycopg2", "asyncpg", "asyncpg_pool", "pg8000", "node"]


@pytest.fixture
def program(request: pytest.FixtureRequest) -> tuple[list[str], dict[str, str]]:
    """The command of a driver's program, and what it needs in its environment."""
    driver = request.param
    if driver == "node":
        modules: Path = request.getfixturevalue("node_modules")
        return ["node", str(HERE / "programs/node_worker.js")], {"NODE_PATH": str(modules)}
    if importlib.util.find_spec(driver.partition("_")[0]) is None:
        pytest.skip(f"{driver} is not installed")
    return [sys.executable, str(HERE / f"programs/{driver}_worker.py")], {}


def owner(conn: Any, job: int) -> str | None:
    """The name of the server that owns a job."""
    row = conn.execute(
        "select s.name from job as j left join recovery.server as s on s.epoch = j.server_epoch"
        " where j.id = %s",
        [job],
    ).fetchone()
    return row[0]


@pytest.mark.parametrize("program", DRIVERS, indirect=True)
def test_exactly_its_rows_close(
    table: Any, start: Start, program: tuple[list[str], dict[str, str]]
) -> None:
    """P1, P2: killed with kill -9 and started again, it finds its own row and no other's."""
    command, env = program
    first, other = (start(name, *command, env=env) for name in ("w-1", "w-2"))
    lost, kept = first.number(), other.number()
    assert (owner(table, lost), owner(table, kept)) == ("w-1", "w-2")

    first.kill()
    again = start("w-1", *command, env=env)
    new = again.number()
    assert states(table)[lost][0] == "failed"
    assert states(table)[lost][1] in ("superseded", "process_dead", "connection_lost")
    assert states(table)[kept] == states(table)[new] == ("running", None)
    assert owner(table, new) == "w-1"

    other.send(signal.SIGTERM)
    assert other.end() == 128 + signal.SIGTERM
    assert states(table)[kept] == ("failed", "shutdown")
    assert states(table)[new] == ("running", None)


@pytest.mark.parametrize("program", ["psycopg", "psycopg2"], indirect=True)
def test_options_in_the_dsn(
    table: Any, dsn: str, start: Start, program: tuple[list[str], dict[str, str]]
) -> None:
    """libpq takes them instead of PGOPTIONS: the epoch is added to them."""
    command, _ = program
    table.execute("create schema elsewhere")
    table.execute("alter table job set schema elsewhere")
    try:
        given = f"{dsn}&options=-c%20search_path%3Delsewhere"
        job = start("w-1", *command, env={"APP_DSN": given}).number()
        row = table.execute(
            "select s.name from elsewhere.job as j join recovery.server as s"
            " on s.epoch = j.server_epoch where j.id = %s",
            [job],
        ).fetchone()
        assert row == ("w-1",)
    finally:
        table.execute("alter table elsewhere.job set schema public")


def test_what_pgoptions_says_stays(table: Any, start: Start) -> None:
    script = (
        "import os, psycopg; c = psycopg.connect(os.environ['APP_DSN']);"
        "print(c.execute('show statement_timeout').fetchone()[0]);"
        "print(c.execute('show recovery.server_epoch').fetchone()[0], os.environ['RECOVERY_EPOCH']);"
        "print(os.environ['RECOVERY_SERVER'])"
    )
    env = {"PGOPTIONS": "-c statement_timeout=77s -c recovery.server_epoch=1"}
    one = start("w-1", sys.executable, "-c", script, env=env)
    assert one.end() == 0, one.errors
    assert one.out[0] == "77s"
    assert len(set(one.out[1].split())) == 1
    assert one.out[2] == "w-1"


def test_an_existing_sitecustomize_runs(table: Any, start: Start, tmp_path: Path) -> None:
    """And so does the program in an interpreter that has no package of ours."""
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.before = 'yes'\n")
    script = "import sys; print(before, 'recovery' in sys.modules, 'asyncio' in sys.modules)"
    one = start("w-1", sys.executable, "-c", script, env={"PYTHONPATH": f"{tmp_path}:{PYTHONPATH}"})
    assert one.end() == 0, one.errors
    assert one.out == ["yes False False"]


@pytest.mark.parametrize("program", ["psycopg"], indirect=True)
def test_forks_of_the_command_write_as_it(
    table: Any, start: Start, program: tuple[list[str], dict[str, str]]
) -> None:
    """A prefork: each child inherits the epoch, and all stop with the command."""
    command, _ = program
    shell = f"{' '.join(command)} & {' '.join(command)} & wait"
    one = start("w-1", "sh", "-c", shell)
    jobs = [int(line) for line in one.said(2)]
    assert {owner(table, job) for job in jobs} == {"w-1"}
    one.send(signal.SIGTERM)
    assert one.end() == 128 + signal.SIGTERM
    assert {states(table)[job] for job in jobs} == {("failed", "shutdown")}
    assert live(table) == []


@pytest.mark.parametrize(
    "program", ["psycopg", "psycopg2", "asyncpg_pool", "pg8000"], indirect=True
)
def test_through_a_pooler_in_session_mode(
    table: Any, start: Start, bouncer: Any, program: tuple[list[str], dict[str, str]]
) -> None:
    """A pooler refuses options at the start of a session: the hook says the epoch right after."""
    command, _ = program
    pool = bouncer("session", size=8)
    one = start("w-1", *command, at=pool.dsn)
    job = one.number()
    assert owner(table, job) == "w-1"
    assert "behind a pooler, which refuses PGOPTIONS" in one.errors


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_through_a_pooler_in_transaction_mode(
    table: Any, start: Start, bouncer: Any, driver: str
) -> None:
    """SQLAlchemy's transactions begin with the epoch; nothing stays in the pool's sessions."""
    pool = bouncer("transaction", size=2)
    program = str(HERE / "programs/sqlalchemy_worker.py")
    env = {"APP_DRIVER": f"postgresql+{driver}"}
    one = start("w-1", sys.executable, program, at=pool.dsn, env=env)
    assert owner(table, one.number()) == "w-1"
    assert "behind a pooler in transaction mode" in one.errors
    import psycopg

    for _ in range(5):
        with psycopg.connect(pool.dsn, prepare_threshold=None) as client:
            said = client.execute("select current_setting('recovery.server_epoch', true)")
            assert said.fetchone() in [("",), (None,)]


def test_a_program_that_the_hook_does_not_reach(table: Any, start: Start) -> None:
    """--no-hook: a driver that ignores PGOPTIONS writes for nobody, and PYTHONPATH is as it was."""
    program = str(HERE / "programs/asyncpg_worker.py")
    one = start("w-1", sys.executable, program, options=["--no-hook"])
    assert owner(table, one.number()) is None


def test_the_whole_tree_is_gone(table: Any, start: Start) -> None:
    one = start("w-1", "sh", "-c", "setsid sleep 600 & echo $!; exec sleep 600")
    daemon = one.number()
    one.send(signal.SIGTERM)
    one.end()
    wait_for(lambda: not alive(daemon))
