"""`Server.fuse`: work whose process runs elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from recovery import calls
from recovery.database.link import Link
from recovery.work.host import report_processes

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

    def sweep(seconds: int = 0, step: int = 20) -> recovery.Report:
        """The last of the sweeps in that time of the moved clock."""
        for _ in range(0, seconds, step):
            move_clock(conn, f"{step} seconds")
            report_processes(lambda call: calls.run(conn, call), first.host)
            report = calls.run(conn, calls.closing.sweep("here"))
        return report

    assert sweep(20).closed == {}
    second = recovery.boot(dsn, "api-1", lease=600)  # as if the first had died
    assert (second.report.adopted, second.report.closed) == ({"public.job": 1}, {"public.job": 1})
    assert states() == {guarded: ("running", None), bare: ("failed", "superseded")}
    assert sweep(240).closed == {}
    assert sweep(20).closed == {}
    assert sweep(20).closed == {"public.job": 1}
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
        calls.run(conn, calls.closing.sweep("elsewhere"))
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


def extenders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "recovery-fuses"]


def burning(conn: psycopg.Connection[Any]) -> set[int]:
    return {row[0] for row in conn.execute("select id from recovery.fuse")}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that links were given, in order."""
    asked: list[str] = []
    run = Link.run

    def note(self: Link, call: calls.Call[Any], *args: Any, **options: Any) -> Any:
        asked.append(call.sql)
        return run(self, call, *args, **options)

    monkeypatch.setattr(Link, "run", note)
    return asked


def test_blocks_within_blocks_guard_one_unit(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, states: States
) -> None:
    """The inner one ends, and the outer one guards on."""
    server = recovery.boot(dsn, "api-1", lease=600)
    (key,) = jobs(server.epoch)
    with server.fuse("public.job", key, os.getpid(), host="elsewhere") as outer:
        with server.fuse("public.job", key, os.getpid(), host="elsewhere") as inner:
            assert burning(conn) == {outer.id, inner.id}
        assert burning(conn) == {outer.id}
        second = recovery.boot(dsn, "api-1", lease=600)  # as if the first had died
        assert second.report.adopted == {"public.job": 1}
    assert burning(conn) == set()
    assert calls.run(conn, calls.closing.sweep("here")).closed == {}
    assert states()[key] == ("running", None)
    wait_for(lambda: not extenders())


def test_a_thousand_fuses_cost_one_statement_each_interval(
    dsn: str,
    conn: psycopg.Connection[Any],
    jobs: Any,
    asked: list[str],
    request: pytest.FixtureRequest,
) -> None:
    """And one thread, and no connection but the server's."""
    server = recovery.boot(dsn, "api-1", lease=600)
    keys = jobs(server.epoch, 1000)
    fuses = [server.fuse("public.job", key, os.getpid(), ttl=6).light() for key in keys]
    request.addfinalizer(lambda: server._extender.drop(fuses))
    assert len(extenders()) == 1
    # The deadline of a call is a thread, too; those of other calls just end.
    assert threading.active_count() < 50
    sessions = "select count(*) from pg_stat_activity where datname = current_database()"
    assert conn.execute(sessions).fetchone() == (2,)

    def extended() -> int:
        return sum("extend" in statement for statement in asked)

    def all_since(at: Any) -> bool:
        left = "select count(*) from recovery.fuse where expires - ttl <= %s"
        return conn.execute(left, [at]).fetchone() == (0,)

    lit = conn.execute("select clock_timestamp()").fetchone()
    assert lit is not None
    wait_for(lambda: all_since(lit[0]), 20)
    first = extended()
    wait_for(lambda: all_since(lit[0] + timedelta(seconds=4)), 30)
    assert extended() - first in (1, 2)  # two intervals of 2 s
    assert all(fuse.burning for fuse in fuses)
    server._extender.drop(fuses)
    wait_for(lambda: not extenders())


def test_several_intervals_share_a_statement_where_they_meet(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, asked: list[str]
) -> None:
    server = recovery.boot(dsn, "api-1", lease=600)
    keys = jobs(server.epoch, 2)
    with (
        server.fuse("public.job", keys[0], os.getpid(), ttl=3),
        server.fuse("public.job", keys[1], os.getpid(), ttl=3.3),
    ):
        asked.clear()
        once = "select count(*) from recovery.fuse where expires > lit + ttl + interval '0.5 s'"
        wait_for(lambda: conn.execute(once).fetchone() == (2,))
        assert len(asked) == 1


def test_it_is_extended_again_after_a_stall(
    conn: psycopg.Connection[Any], jobs: Any, proxy: Any
) -> None:
    """However long the database was away, as long as no sweep has burnt it."""
    server = recovery.boot(proxy.dsn, "api-1", lease=600)
    (key,) = jobs(server.epoch)
    with server.fuse("public.job", key, os.getpid(), ttl=1) as fuse:
        proxy.freeze()
        over = "select expires + interval '0.5 s' < clock_timestamp() from recovery.fuse"
        wait_for(lambda: conn.execute(over).fetchone() == (True,))
        proxy.thaw()
        wait_for(lambda: conn.execute(over).fetchone() == (False,))
        assert fuse.burning


def test_one_that_is_out_is_told_and_the_others_go_on(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = recovery.boot(dsn, "api-1", lease=600)
    keys = jobs(server.epoch, 2)
    with (
        server.fuse("public.job", keys[0], os.getpid(), ttl=1) as lost,
        server.fuse("public.job", keys[1], os.getpid(), ttl=1) as kept,
    ):
        conn.execute("delete from recovery.fuse where id = %s", [lost.id])
        wait_for(lambda: not lost.burning)
        assert f"fuse {lost.id} is out" in caplog.text
        assert kept.burning
        assert burning(conn) == {kept.id}


def test_a_fork_leaves_its_parents_fuses_alone(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any
) -> None:
    """It neither puts them out nor extends them; it may light its own."""
    server = recovery.boot(dsn, "api-1", lease=600)
    keys = jobs(server.epoch, 2)
    with server.fuse("public.job", keys[0], os.getpid(), ttl=60) as fuse:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert not server._extender.busy
                own = server.fuse("public.job", keys[1], os.getpid(), ttl=60).light()
                assert server._extender.busy
                assert len(extenders()) == 1
                own.cancel()
                fuse.cancel()
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert burning(conn) == {fuse.id}
        assert fuse.burning
        assert server._extender.busy
    assert burning(conn) == set()


def test_lighting_is_done_once_though_the_answer_was_lost(
    dsn: str, conn: psycopg.Connection[Any], jobs: Any
) -> None:
    """A second fuse that nobody knows of would burn out, and close the unit."""
    server = recovery.boot(dsn, "api-1", lease=600)
    (key,) = jobs(server.epoch)
    fuse = server.fuse("public.job", key, os.getpid())
    run = Link.run

    def twice(call: calls.Call[Any], *args: Any) -> Any:
        run(server._link, call, *args)
        return run(server._link, call, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server._link, "run", twice)
        fuse.light()
    assert burning(conn) == {fuse.id}
    fuse.cancel()


def test_a_lit_fuse_is_not_lit_again(dsn: str, conn: psycopg.Connection[Any], jobs: Any) -> None:
    server = recovery.boot(dsn, "api-1", lease=600)
    (key,) = jobs(server.epoch)
    with server.fuse("public.job", key, os.getpid()) as fuse:
        with pytest.raises(RuntimeError, match="is lit"):
            fuse.light()
    with fuse:
        assert burning(conn) == {fuse.id}
