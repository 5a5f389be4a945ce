"""`Server.fuse`: work whose process runs elsewhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from recovery import calls
from recovery.processes import report_processes

States = Callable[[], dict[int, Any]]


@pytest.fixture
def gone() -> int:
    """The pid of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def move_clock(conn: psycopg.Connection[Any], by: str) -> None:
    conn.execute("update recovery.clock set shift = shift + %s::interval", [by])


def test_an_unknown_process_counts_as_alive_until_its_fuse_burns_out(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, states: States, gone: int
) -> None:
    """The sweeper here sees no such pid, and that says nothing about another host."""
    first = recovery.boot(dsn, "api-1", lease=600)
    guarded, bare = jobs(first.epoch, 2)
    fuse = first.fuse("public.job", guarded, gone, ttl=300, host="elsewhere")
    fuse.light()
    shown = conn.execute("select host, pid, process_start from recovery.fuse").fetchall()
    assert shown == [("elsewhere", gone, None)]

    def sweep() -> recovery.Report:
        report_processes(lambda call: calls.run(conn, call), first.host)
        return calls.run(conn, calls.sweep("here"))

    assert sweep().closed == {}
    second = recovery.boot(dsn, "api-1", lease=600)  # as if the first had died
    assert (second.report.adopted, second.report.closed) == ({"public.job": 1}, {"public.job": 1})
    assert states() == {guarded: ("running", None), bare: ("failed", "superseded")}
    move_clock(conn, "299 seconds")
    assert sweep().closed == {}
    move_clock(conn, "2 seconds")
    assert sweep().closed == {"public.job": 1}
    assert states()[guarded] == ("failed", "fuse_expired")
    fuse.cancel()  # it is out


def test_the_sweeper_of_that_host_knows(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, states: States, gone: int
) -> None:
    server = recovery.boot(dsn, "api-1", host="here")
    (key,) = jobs(server.epoch)
    with server.fuse("public.job", key, gone, host="elsewhere"):
        assert report_processes(lambda call: calls.run(conn, call), "here") == 0
        assert report_processes(lambda call: calls.run(conn, call), "elsewhere") == 1
        move_clock(conn, "6 seconds")
        calls.run(conn, calls.sweep("elsewhere"))
        assert states()[key] == ("failed", "process_dead")


def test_it_is_extended_though_nobody_here_sees_the_process(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, gone: int
) -> None:
    server = recovery.boot(dsn, "api-1")
    near, far = jobs(server.epoch, 2)
    expires = "select expires from recovery.fuse where key = %s"
    with (
        server.fuse("public.job", near, gone, ttl=3) as here,
        server.fuse("public.job", far, gone, ttl=3, host="elsewhere") as elsewhere,
    ):
        begun = conn.execute(expires, [str(far)]).fetchone()
        wait_for(lambda: conn.execute(expires, [str(far)]).fetchone() != begun)
        wait_for(lambda: not here.burning)
        assert elsewhere.burning
