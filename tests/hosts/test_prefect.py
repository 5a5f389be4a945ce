"""P13: Prefect under `recovery run`, its flow runs watched: a crash ends as Prefect's own Crashed.

Prefect's state is in `flow_run` and in a row of `flow_run_state`, which its API reads. A close
sets columns of one row; the second row is written by a trigger of the schema's owner (TRIGGER, as
in docs/how-to/run.md). Each worker here runs with an API of its own (Prefect's ephemeral
server), so the session that writes belongs to the worker.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

import recovery
from helpers import wait_for
from hosts.test_procrastinate import dump_of
from python.run.conftest import COMMAND, Run, environment
from sql.jobs import failures

# What differs between majors is tested elsewhere; this is the host.
pytestmark = [pytest.mark.majors("newest"), pytest.mark.slow, pytest.mark.timeout(1200)]

PACKAGE = "prefect>=3.4,<4"

TRIGGER = """
    create function crash_state() returns trigger language plpgsql
    security definer set search_path = public, pg_temp as $$
    begin
        new.state_id := gen_random_uuid();
        insert into flow_run_state (id, flow_run_id, type, name, timestamp, message)
        values (new.state_id, new.id, 'CRASHED', 'Crashed', new.state_timestamp, 'its worker has died');
        return new;
    end $$;
    create trigger crash_state before update of state_type on flow_run for each row
    when (new.state_type = 'CRASHED' and new.state_id is not distinct from old.state_id)
    execute function crash_state();
"""


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with Prefect in it; skips where it can't be had."""
    folder = tmp_path_factory.mktemp("prefect")
    uv = [sys.executable, "-m", "uv"]
    for args in (
        ["venv", "-q", "--python", sys.executable, str(folder)],
        ["pip", "install", "-q", "--python", str(folder / "bin/python"), PACKAGE],
    ):
        done = subprocess.run(
            [*uv, *args], capture_output=True, text=True, timeout=400, check=False
        )
        if done.returncode:
            pytest.skip(f"Prefect can't be installed: {done.stderr.strip().splitlines()[-1:]}")
    return folder / "bin"


@pytest.fixture
def host_env(
    request: pytest.FixtureRequest, cluster: Any, dsn: str, conn: Any, tmp_path: Path
) -> dict[str, str]:
    """The environment of Prefect's programs, its schema migrated by its own migrations."""
    wanted = "select from pg_available_extensions where name = 'pg_trgm'"
    if conn.execute(wanted).fetchone() is None:
        pytest.skip("this PostgreSQL has no pg_trgm, which Prefect needs")
    prefect: Path = request.getfixturevalue("prefect")
    database = conn.info.dbname
    url = cluster.dsn(database, host="tcp") if hasattr(cluster, "binaries") else dsn
    env = {
        "PREFECT_API_DATABASE_CONNECTION_URL": url.replace(
            "postgresql://", "postgresql+asyncpg://", 1
        ),
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "240",
        "DO_NOT_TRACK": "1",
    }
    subprocess.run(
        [prefect / "prefect", "server", "database", "upgrade", "-y"],
        env={**os.environ, **env},
        capture_output=True,
        timeout=600,
        check=True,
    )
    return env


@pytest.fixture
def start(dsn: str, host_env: dict[str, str], prefect: Path) -> Iterator[Callable[..., Run]]:
    """``start(name, *args) -> Run``: flow.py of a worker; under `recovery run` if it has a name."""
    with ExitStack() as stack:

        def begin(name: str | None, args: Sequence[str]) -> Run:
            command = [str(prefect / "python"), str(Path(__file__).with_name("flow.py")), *args]
            if name is not None:
                command = [*COMMAND, name, "--stop-grace", "2", "--", *command]
            one = Run(command, environment(dsn, **host_env))
            stack.callback(one.close)
            return one

        yield begin


def states(conn: psycopg.Connection[Any]) -> dict[str, tuple[str, str, list[str]]]:
    """id -> state's type, its name, and the types of all of its rows in flow_run_state."""
    rows = conn.execute(
        "select r.id::text, r.state_type::text, r.state_name, array(select s.type::text"
        " from flow_run_state as s where s.flow_run_id = r.id order by s.timestamp, s.id)"
        " from flow_run as r"
    ).fetchall()
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def test_exactly_the_orphans_crash(
    conn: psycopg.Connection[Any], cluster: Any, dsn: str, start: Callable[..., Run]
) -> None:
    """P1, P2, P12: its API says Crashed, another worker goes on, and detach leaves no trace."""
    plain = start(None, [])
    before = plain.said(timeout=400)[0]
    assert plain.end(60) == 0, plain.errors
    empty = dump_of(cluster, dsn)

    recovery.attach(
        conn,
        "flow_run",
        open="state_type = 'RUNNING'",
        close={
            "state_type": "'CRASHED'",
            "state_name": "'Crashed'",
            "state_timestamp": "c.at",
            "end_time": "c.at",
        },
    )
    conn.execute(TRIGGER.encode())

    lost_worker, kept_worker = start("w-1", ["hang"]), start("w-2", ["hang"])
    lost, kept = lost_worker.said(timeout=400)[0], kept_worker.said(timeout=400)[0]
    wait_for(lambda: states(conn)[lost][0] == states(conn)[kept][0] == "RUNNING", 60)
    owners = conn.execute(
        "select r.id::text, s.name from flow_run as r"
        " join recovery.server as s on s.epoch = r.server_epoch"
    ).fetchall()
    assert dict(owners) == {lost: "w-1", kept: "w-2"}

    # All at once, as when the machine is lost: at a SIGTERM Prefect writes its end itself.
    tree = psutil.Process(lost_worker.pid).children(recursive=True)
    tree[0].suspend()  # the guardian
    lost_worker.kill()
    for one in tree:
        one.kill()
    assert states(conn)[lost][0] == "RUNNING"
    again = start("w-1", [lost])
    done = again.said(timeout=400)[0]
    assert again.end(120) == 0, again.errors
    assert again.out[1] == "CRASHED Crashed Crashed its worker has died"
    assert again.out[2:] == ["- PENDING", "- RUNNING", "- CRASHED"]
    found = states(conn)
    assert found[lost] == ("CRASHED", "Crashed", ["PENDING", "RUNNING", "CRASHED"])
    assert found[kept] == ("RUNNING", "Running", ["PENDING", "RUNNING"])
    assert found[done] == found[before]  # it works as before
    assert failures(conn) == {}

    kept_worker.send(15)
    kept_worker.end(60)
    conn.execute("drop trigger crash_state on flow_run; drop function crash_state()")
    recovery.detach(conn, "flow_run")
    assert dump_of(cluster, dsn) == empty
