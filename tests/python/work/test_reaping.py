"""row 30: process groups are stopped, and nobody else's: real processes, real signals."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psutil
import psycopg
import pytest

import recovery
from helpers import wait_for
from python.tools import kill, runs, tool
from recovery import calls
from recovery.work.host import alive, started
from recovery.work.reaping import Reaper, reap, reap_all

States = Callable[[], dict[int, Any]]

#: A server that starts a tool, and is then killed.
SERVER = """
import subprocess, sys, time
import psycopg
import recovery
dsn, name, key, fuse = sys.argv[1:]
with recovery.serve(dsn, name, listen=False, sweep=None) as server:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("update public.job set server_epoch = %s where id = %s", [server.epoch, key])
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    child = subprocess.Popen(
        ["sh", "-c", "trap '' TERM; sleep 300 & wait"], start_new_session=True, **quiet
    )
    with server.process("public.job", key, child):
        if fuse == "fuse":
            server.fuse("public.job", key, child).light()
        print(child.pid, flush=True)
        time.sleep(300)
"""


def members(group: int) -> list[int]:
    """Who runs in a process group."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except OSError:
            continue
    return found


@contextmanager
def killed_server(dsn: str, name: str, key: int, fuse: bool = False) -> Iterator[int]:
    """A server that was killed (-9); the pid of the tool that it left running."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, dsn, name, str(key), "fuse" if fuse else ""],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        group = 0
        try:
            assert server.stdout is not None
            group = int(server.stdout.readline())
            wait_for(lambda: len(members(group)) == 2)
            server.kill()
            server.wait()
            yield group
        finally:
            server.kill()
            if group:
                kill(group, group=True)


def count(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute("select count(*) from recovery.process").fetchone()
    assert row
    return int(row[0])


def sweeps(conn: psycopg.Connection[Any], number: int) -> None:
    """Waits until so many more sweeps have been."""
    statement = "select swept from recovery.observation"
    for _ in range(number):
        before = conn.execute(statement).fetchone()
        wait_for(lambda before=before: conn.execute(statement).fetchone() != before)  # type: ignore[misc]


def idle(server: recovery.Server) -> bool:
    """Whether its reaper has nothing to do."""
    assert server._reaper is not None
    return not server._reaper.busy


# reap


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_tool_is_stopped(stubborn: bool) -> None:
    with tool(stubborn=stubborn) as one:
        assert reap(one.pid, one.start, grace=0.2 if stubborn else 30) is True
        assert one.popen.wait() == -(signal.SIGKILL if stubborn else signal.SIGTERM)


def test_a_stopped_tool_is_killed() -> None:
    with tool() as one:
        one.popen.send_signal(signal.SIGSTOP)
        wait_for(lambda: psutil.Process(one.pid).status() == psutil.STATUS_STOPPED)
        assert reap(one.pid, one.start, grace=0.1) is True
        assert one.popen.wait() == -signal.SIGKILL


def test_grandchildren_are_stopped() -> None:
    with tool(child=True) as one:
        assert reap(one.pid, one.start, grace=30) is True
        assert (one.runs, runs(one.child)) == (False, False)


def test_a_grandchild_that_survives_its_leader_is_killed() -> None:
    """SIGTERM ends the leader only; by the time of SIGKILL nobody has its pid any more."""
    with tool(child=True, stubborn=True) as one:
        with ThreadPoolExecutor() as pool:
            done = pool.submit(reap, one.pid, one.start, grace=2.0)
            wait_for(lambda: one.popen.poll() is not None)  # waited for: not even a zombie
            assert runs(one.child)
            assert done.result(20) is True
        assert not runs(one.child)


def test_several_share_one_grace() -> None:
    with tool(stubborn=True) as one, tool(stubborn=True) as two, tool() as three:
        assert reap_all([(each.pid, each.start) for each in (one, two, three)], grace=0.3) == [
            True,
            True,
            True,
        ]
        assert [each.popen.wait() for each in (one, two, three)] == [-9, -9, -15]


def test_row11_a_reused_pid_is_left_alone() -> None:
    """Another process has the pid: it started at another time."""
    with tool() as one:
        assert reap(one.pid, one.start - timedelta(seconds=10), grace=0) is True
        assert reap(one.pid, one.start + timedelta(seconds=10), grace=0) is True
        assert one.runs
        assert (
            reap(one.pid, one.start + timedelta(seconds=1), grace=30) is True
        )  # a clock that was set
        assert not one.runs


def test_what_is_gone_is_reaped() -> None:
    with tool(stays=False) as one:
        one.popen.wait()
        assert reap(one.pid, one.start) is True


def test_a_zombie_leader_still_proves_its_group() -> None:
    """Nobody waits for it, as in a container without an init."""
    with tool(child=True, stays=False) as one:
        wait_for(lambda: psutil.Process(one.pid).status() == psutil.STATUS_ZOMBIE)
        assert runs(one.child)
        assert reap(one.pid, one.start, grace=30) is True
        assert not runs(one.child)


def test_a_group_without_its_leader_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    with tool(child=True, stays=False) as one:
        one.popen.wait()
        assert runs(one.child)
        assert reap(one.pid, one.start, grace=0) is False
        assert runs(one.child)
    assert "nothing proves that the group it left is its own" in caplog.text


def test_a_tool_that_leads_no_group_is_stopped_alone() -> None:
    """Its group is ours."""
    with tool(leads=False, child=True) as one, tool(leads=False) as other:
        assert os.getpgid(one.pid) == os.getpgrp()
        assert reap(one.pid, one.start, grace=30) is True
        assert not one.runs
        assert (runs(one.child), other.runs) == (True, True)


def test_never_ourselves(caplog: pytest.LogCaptureFixture) -> None:
    for pid in (os.getpid(), os.getpgrp(), 1, 0, -1):
        start = started(pid) if pid > 0 else None
        assert reap(pid, start or started(os.getpid()), grace=0) is False  # type: ignore[arg-type]
    assert caplog.text.count("is never signalled") == 5


def test_a_negative_grace_is_refused() -> None:
    with tool() as one, pytest.raises(recovery.InvalidArgument, match="grace -1 s"):
        reap(one.pid, one.start, grace=-1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_somebody_elses_process(caplog: pytest.LogCaptureFixture) -> None:
    """EPERM: it lives, and says so."""
    with subprocess.Popen(["sleep", "300"], user=1, start_new_session=True) as other:
        start = started(other.pid)
        assert start is not None
        try:
            os.seteuid(2)
            assert reap(other.pid, start, grace=0) is False
            assert alive(other.pid, start)
        finally:
            os.seteuid(0)
            other.kill()
    assert "may not be signalled (SIGTERM)" in caplog.text


# Server.process


def test_registered_while_the_block_lasts(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any
) -> None:
    server = recovery.boot(dsn, "api-1")
    (key,) = jobs(server.epoch)
    with tool() as one:
        with server.process("public.job", key, one.popen) as tracked:
            entry = calls.process.Process(
                tracked.id or 0, server.epoch, "public.job", "row", str(key), server.host, one.pid,
                one.start,
            )  # fmt: skip
            assert calls.run(conn, calls.process.processes_of("public.job", str(key))) == [entry]
            assert calls.run(conn, calls.process.left_processes(server.host)) == []
            assert calls.run(conn, calls.process.left_processes(server.host, server.epoch)) == [
                entry
            ]
        assert count(conn) == 0
        assert one.runs  # leaving stops nobody
        with server.process("public.job", "s1", one.pid, scope="group") as tracked:
            assert [
                each.id
                for each in calls.run(conn, calls.process.processes_of("public.job", "s1", "group"))
            ] == [tracked.id]
            assert tracked.reap() is True
        assert count(conn) == 0
        assert not one.runs


async def test_async(dsn: str, conn: psycopg.Connection[Any], jobs: Any) -> None:
    server = await recovery.aboot(dsn, "api-1")
    (key,) = jobs(server.epoch)
    with tool(stubborn=True) as one:
        async with server.process("public.job", key, one.popen) as tracked:
            assert count(conn) == 1
            assert await tracked.areap(grace=0.1) is True
        assert count(conn) == 0


def test_a_process_that_ended_at_once(dsn: str, conn: psycopg.Connection[Any], jobs: Any) -> None:
    server = recovery.boot(dsn, "api-1")
    (key,) = jobs(server.epoch)
    with tool(stays=False) as one:
        one.popen.wait()
        with server.process("public.job", key, one.popen) as tracked:
            assert (tracked.id, count(conn)) == (None, 0)
            assert tracked.reap() is True


def test_what_cannot_be_registered(dsn: str, jobs: Any) -> None:
    server = recovery.boot(dsn, "api-1")
    (key,) = jobs(server.epoch)
    with tool() as one:
        with pytest.raises(recovery.WatchUnknown):
            server.process("public.nothing", key, one.popen).track()
        with pytest.raises(recovery.InvalidArgument):
            server.process("public.job", "", one.popen).track()
        recovery.boot(dsn, "api-1")
        with pytest.raises(recovery.EpochEnded):
            server.process("public.job", key, one.popen).track()


def test_left_after_a_shutdown(dsn: str, conn: psycopg.Connection[Any], jobs: Any) -> None:
    """The block is left after its server: the entry goes all the same."""
    server = recovery.boot(dsn, "api-1")
    (key,) = jobs(server.epoch)
    with tool() as one:
        with server.process("public.job", key, one.popen):
            server.shutdown()
            assert count(conn) == 1
        assert count(conn) == 0


# What a dead server left


def test_row30_boot_reaps_what_a_killed_server_left(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, states: States
) -> None:
    (key,) = jobs(None)
    with killed_server(dsn, "api-1", key) as group:
        assert len(members(group)) == 2
        server = recovery.boot(dsn, "api-1")
        assert states() == {key: ("failed", "superseded")}
        assert members(group)  # stubborn: the boot did not wait for the grace
        wait_for(lambda: not members(group), 15)
        wait_for(lambda: count(conn) == 0)
        wait_for(lambda: idle(server))


def test_row30_opt_out(dsn: str, conn: psycopg.Connection[Any], jobs: Any, states: States) -> None:
    (key,) = jobs(None)
    with killed_server(dsn, "api-1", key) as group:
        with recovery.serve(dsn, "api-1", listen=False, sweep=0.1, reap_processes=False) as server:
            assert server._reaper is None
            sweeps(conn, 3)
            assert states() == {key: ("failed", "superseded")}
            assert (len(members(group)), count(conn)) == (2, 1)


def test_row30_sweep_reaps_what_another_server_left(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, states: States
) -> None:
    """Its name does not boot again; a sweeper of this host sees it dead."""
    (key,) = jobs(None)
    with recovery.serve(dsn, "api-2", listen=False, sweep=0.2) as server:
        with killed_server(dsn, "api-1", key) as group:
            wait_for(lambda: not members(group), 20)
            assert states() == {key: ("failed", "process_dead")}
            wait_for(lambda: count(conn) == 0)
            wait_for(lambda: idle(server))


def test_row13_row30_adopted_work_lives_until_it_is_closed(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, states: States
) -> None:
    (key,) = jobs(None)
    with killed_server(dsn, "api-1", key, fuse=True) as group:
        with recovery.serve(dsn, "api-1", listen=False, sweep=0.1) as server:
            assert server.report.adopted == {"public.job": 1}
            sweeps(conn, 3)
            assert len(members(group)) == 2
            assert states() == {key: ("running", None)}
            conn.execute("update public.job set status = 'done'")
            conn.execute("select recovery.cancel_fuse(id) from recovery.fuse")
            wait_for(lambda: not members(group), 20)
            wait_for(lambda: idle(server))


def test_what_may_not_be_reaped_is_tried_once(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """And stays registered, for the next boot."""
    first = recovery.boot(dsn, "api-1")
    (key,) = jobs(first.epoch)
    with tool(child=True, stays=False) as one:
        first.process("public.job", key, one.popen).track()
        one.popen.wait()
        caplog.set_level(logging.WARNING)
        second = recovery.boot(dsn, "api-1")
        wait_for(lambda: idle(second))
        assert second._reaper is not None
        second._reaper.look(lambda call: calls.run(conn, call), second.host)
        wait_for(lambda: idle(second))
        assert caplog.text.count("is not reaped") == 1
        assert (runs(one.child), count(conn)) == (True, 1)


def test_a_boot_does_not_fail_with_its_reaper(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    first = recovery.boot(dsn, "api-1")
    (key,) = jobs(first.epoch)
    conn.execute("alter function recovery.orphaned_processes(text, bigint) rename to left_alone")
    with tool() as one:
        first.process("public.job", key, one.popen).track()
        second = recovery.boot(dsn, "api-1")
        wait_for(lambda: idle(second))
        assert "nobody knows what ended servers left running" in caplog.text
        caplog.clear()
        assert second._reaper is not None
        second._reaper.look(lambda call: calls.run(conn, call), second.host)
        assert "nobody knows what ended servers left running" in caplog.text
        assert one.runs


def test_a_boot_does_not_wait_for_a_locked_table(
    dsn: str, conn: psycopg.Connection[Any], connect: Any, jobs: Any
) -> None:
    """Its reaper does, and a sweep repeats what it could not decide."""
    first = recovery.boot(dsn, "api-1")
    with tool() as one:
        first.process("public.job", "1", one.popen).track()
        first.shutdown()
        with connect(autocommit=False) as other:
            other.execute("lock public.job in access exclusive mode")
            reaper = Reaper(first._link)
            reaper.begin(lambda call: calls.run(conn, call), first.host)
            assert reaper.busy
            wait_for(lambda: not reaper.busy)
            assert one.runs
        reaper.look(lambda call: calls.run(conn, call), first.host)
        wait_for(lambda: not one.runs)
        wait_for(lambda: not reaper.busy)
