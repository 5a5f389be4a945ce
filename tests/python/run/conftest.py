"""Programs that know nothing of recovery, under `recovery run`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

import recovery
from helpers import wait_for

HERE = Path(__file__).parent
ROOT = Path(recovery.__file__).parents[1]
PYTHONPATH = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
COMMAND = (sys.executable, "-m", "recovery.cli", "run")

Start = Callable[..., "Run"]


def environment(dsn: str, **more: str) -> dict[str, str]:
    """Where the database is: for us, for the programs, and for libpq and node."""
    env = {k: v for k, v in os.environ.items() if k[:2] != "PG" and k[:9] != "RECOVERY_"}
    given = conninfo_to_dict(dsn)
    env |= {"RECOVERY_DSN": dsn, "APP_DSN": dsn, "PGUSER": str(given["user"])}
    env |= {"PGDATABASE": str(given["dbname"]), "PGPORT": str(given["port"])}
    env |= {"PGHOST": str(given["host"]), "PYTHONPATH": PYTHONPATH, "PYTHONUNBUFFERED": "1"}
    return {**env, **more}


class Run:
    """`recovery run` as a process of its own, and what it and its command print."""

    def __init__(self, args: Sequence[str], env: Mapping[str, str], **options: Any) -> None:
        self.process = subprocess.Popen(
            args,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **{"start_new_session": True, **options},
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=pair)
            for pair in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, lines: list[str]) -> None:
        with stream:
            for line in stream:
                lines.append(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self, count: int = 1, timeout: float = 90) -> list[str]:
        """The first lines of the command."""
        wait_for(
            lambda: len(self.out) >= count or self.process.poll() is not None,
            timeout,
            what="the command to speak",
        )
        assert len(self.out) >= count, (self.out, self.err)
        return self.out[:count]

    def number(self) -> int:
        """The number that the command prints first."""
        return int(self.said()[0])

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, of `recovery run` alone."""
        self.process.kill()
        self.process.wait(10)

    def end(self, timeout: float = 30) -> int:
        """Its exit code."""
        code = self.process.wait(timeout)
        for reader in self._readers:
            reader.join(timeout)
        return code

    @property
    def errors(self) -> str:
        return "\n".join(self.err)

    def close(self) -> None:
        """Kills whatever is left of it."""
        left = []
        try:
            left = psutil.Process(self.pid).children(recursive=True)
        except psutil.Error:
            pass
        if self.process.poll() is None:
            self.process.kill()
        for one in left:
            try:
                one.kill()
            except psutil.Error:
                pass
        self.end()


@pytest.fixture
def table(conn: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    """``job``, watched."""
    conn.execute(
        "create table job (id bigint generated always as identity primary key,"
        " status text not null, error text, beats integer not null default 0)"
    )
    recovery.attach(
        conn, "job", open="status = 'running'", close={"status": "'failed'", "error": "c.reason"}
    )
    return conn


@pytest.fixture
def start(dsn: str) -> Iterator[Start]:
    """``start(name, *command, options=(), env={}, dsn=None) -> Run``."""
    with ExitStack() as stack:

        def begin(
            name: str,
            *command: str,
            options: Sequence[str] = (),
            env: Mapping[str, str] | None = None,
            at: str | None = None,
            **more: Any,
        ) -> Run:
            args = [*COMMAND, name, *options, "--", *command]
            one = Run(args, environment(at or dsn, **(env or {})), **more)
            stack.callback(one.close)
            return one

        yield begin


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def states(conn: psycopg.Connection[Any]) -> dict[int, tuple[str, str | None]]:
    """id -> (status, error) of job."""
    rows = conn.execute("select id, status, error from job order by id").fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def live(conn: psycopg.Connection[Any]) -> list[str]:
    """Names of the servers that have not ended."""
    rows = conn.execute("select name from recovery.server where ended is null order by 1")
    return [row[0] for row in rows]


SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
