"""The owner's side of the watchdog: it is asked, it stops, it says so; and it says what moves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import psycopg
import pytest

import recovery
from helpers import wait_for
from python.tools import runs, tool
from recovery import calls
from recovery.cluster import Cluster
from recovery.schema import upgrade
from recovery.server.keeper import Keeper

pytestmark = pytest.mark.majors("newest")

Connection = psycopg.Connection[Any]
Rows = dict[int, tuple[str, str | None]]


@pytest.fixture
def work(conn: Connection, jobs: Any) -> Callable[..., list[int]]:
    """public.job under the watchdog: tool_timeout 300 ms, cancel_grace 20 s."""
    conn.execute(
        "alter table public.job add column moved timestamptz,"
        " add column started timestamptz not null default clock_timestamp()"
    )
    recovery.supervise(conn, "public.job", activity="moved", started="started")
    recovery.configure(conn, "tool_timeout", "300 ms")
    recovery.configure(conn, "cancel_grace", "20 s")
    return jobs  # type: ignore[no-any-return]


@pytest.fixture
def serve(dsn: str) -> Iterator[Callable[..., recovery.Server]]:
    """``serve(name="api-1", **options)``: a server with quick sweeps, until the end of the test."""
    with ExitStack() as stack:

        def start(name: str = "api-1", **options: Any) -> recovery.Server:
            given = {"sweep": 0.1, "heartbeat": 0.2, "poll": 0.2, **options}
            return stack.enter_context(recovery.serve(dsn, name, **given))

        yield start


def pending(conn: Connection) -> int:
    row = conn.execute("select count(*) from recovery.cancellation").fetchone()
    assert row is not None
    return int(row[0])


def our_connections(conn: Connection) -> int:
    row = conn.execute(
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and application_name like 'recovery:%'"
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("listen", [True, False])
def test_a_callback_is_told_once_and_the_row_closes_when_it_returns(
    conn: Connection, work: Any, states: Callable[[], Rows], serve: Any, listen: bool
) -> None:
    server = serve(listen=listen)
    told: list[recovery.Cancel] = []
    seen: list[Rows] = []

    @server.on_cancel
    def stop(cancel: recovery.Cancel) -> None:
        told.append(cancel)
        seen.append(states())

    (id_,) = work(server.epoch)
    wait_for(lambda: states()[id_] == ("failed", "tool_timeout"), 10)
    assert seen[0][id_] == ("running", None)  # stopped first, closed then
    (cancel,) = told
    assert (cancel.watch, cancel.scope, cancel.key, cancel.group, cancel.reason) == (
        "public.job", "row", str(id_), None, "tool_timeout")  # fmt: skip
    assert cancel.id is not None
    assert cancel.deadline is not None
    assert (cancel.deadline - cancel.requested).total_seconds() == 20
    assert cancel.detail["row"] == str(id_)
    with pytest.raises(AttributeError):
        cancel.key = "other"  # type: ignore[misc]
    wait_for(lambda: pending(conn) == 0, 10)
    detector = conn.execute("select detector from recovery.event where kind = 'closed'").fetchone()
    assert detector == (f"cancel:{server.epoch}",)


def test_the_heartbeat_goes_on_while_a_callback_works(
    conn: Connection, work: Any, states: Callable[[], Rows], serve: Any
) -> None:
    server = serve(lease=1)
    release = threading.Event()
    server.on_cancel(lambda cancel: release.wait(10))
    (id_,) = work(server.epoch)
    wait_for(lambda: pending(conn) == 1)
    time.sleep(1.5)  # longer than the lease
    assert not server.fenced
    assert states()[id_] == ("running", None)
    release.set()
    wait_for(lambda: states()[id_][0] == "failed")


def test_several_are_handled_side_by_side(work: Any, states: Any, serve: Any) -> None:
    server = serve()
    together = threading.Barrier(5)
    server.on_cancel(lambda cancel: together.wait(10))
    work(server.epoch, 5)
    wait_for(lambda: {state for state, _ in states().values()} == {"failed"})


def test_a_callback_that_raises_leaves_it_to_the_deadline(
    conn: Connection,
    work: Any,
    states: Callable[[], Rows],
    serve: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = serve()
    told: list[str] = []

    @server.on_cancel
    def fail(cancel: recovery.Cancel) -> None:
        told.append(cancel.key)
        raise ValueError("cannot stop it")

    (id_,) = work(server.epoch)
    wait_for(lambda: told)
    time.sleep(0.6)  # sweeps, heartbeats
    assert states()[id_] == ("running", None)
    assert "cannot stop it" in caplog.text
    conn.execute("update recovery.cancellation set deadline = clock_timestamp()")
    wait_for(lambda: states()[id_] == ("failed", "tool_timeout"))
    assert told == [str(id_)]


def test_a_callback_that_hangs_keeps_no_process_running(
    conn: Connection, work: Any, states: Callable[[], Rows], serve: Any
) -> None:
    recovery.configure(conn, "cancel_grace", "1 s")
    server = serve()
    release = threading.Event()
    server.on_cancel(lambda cancel: release.wait(30))
    with tool() as running:
        (id_,) = work(server.epoch)
        with server.process("public.job", id_, running.popen):
            wait_for(lambda: not running.runs)
            wait_for(lambda: states()[id_] == ("failed", "tool_timeout"))
    release.set()


async def test_a_coroutine_runs_in_the_loop_in_which_it_was_registered(
    work: Any, states: Callable[[], Rows], serve: Any
) -> None:
    server = serve()
    task = asyncio.create_task(asyncio.sleep(60))
    where: list[asyncio.AbstractEventLoop] = []

    @server.on_cancel
    async def stop(cancel: recovery.Cancel) -> None:
        where.append(asyncio.get_running_loop())
        task.cancel()

    (id_,) = work(server.epoch)
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(wait_for, lambda: states()[id_][0] == "failed")
    assert where == [asyncio.get_running_loop()]


def test_a_coroutine_registered_without_a_loop_gets_its_own(
    work: Any, states: Callable[[], Rows], serve: Any
) -> None:
    server = serve()

    @server.on_cancel
    async def stop(cancel: recovery.Cancel) -> None:
        await asyncio.sleep(0)

    (id_,) = work(server.epoch)
    wait_for(lambda: states()[id_][0] == "failed")


def test_a_loop_that_is_closed_leaves_it_to_the_deadline(
    conn: Connection, work: Any, states: Any, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve()

    async def register() -> None:
        async def stop(cancel: recovery.Cancel) -> None:
            raise AssertionError

        server.on_cancel(stop)

    asyncio.run(register())
    (id_,) = work(server.epoch)
    wait_for(lambda: "Event loop is closed" in caplog.text)
    assert states()[id_][0] == "running"
    assert pending(conn) == 1


@pytest.mark.parametrize("stubborn", [False, True])
@pytest.mark.parametrize("callback", [False, True])
def test_processes_are_reaped_with_their_group_before_it_closes(
    conn: Connection,
    work: Any,
    states: Callable[[], Rows],
    serve: Any,
    callback: bool,
    stubborn: bool,
) -> None:
    recovery.configure(conn, "cancel_grace", "3 s")
    server = serve(sweep=0.1)
    if callback:
        server.on_cancel(lambda cancel: None)
    with tool(child=True, stubborn=stubborn) as running, tool() as other:
        busy, idle = work(server.epoch, 2)
        conn.execute("update public.job set moved = 'infinity' where id = %s", [idle])
        with (
            server.process("public.job", busy, running.popen),
            server.process("public.job", idle, other.popen),
        ):
            wait_for(lambda: states()[busy] == ("failed", "tool_timeout"))
            row = conn.execute("select detector from recovery.event where kind = 'closed'")
            assert row.fetchall() == [(f"cancel:{server.epoch}",)]  # before the deadline
            assert not running.runs
            assert not runs(running.child)
            assert other.runs
            left = conn.execute("select key from recovery.process").fetchall()
            assert left == [(str(idle),)]


async def test_a_process_that_the_cancelled_task_left_is_reaped(
    work: Any, states: Callable[[], Rows], serve: Any
) -> None:
    """The callback ends the block of `server.process`, and not the process."""
    server = serve()
    with tool() as running:
        (id_,) = work(server.epoch)

        async def job() -> None:
            async with server.process("public.job", id_, running.popen):
                await asyncio.sleep(60)

        task = asyncio.create_task(job())

        @server.on_cancel
        async def stop(cancel: recovery.Cancel) -> None:
            task.cancel()
            await asyncio.wait({task})

        await asyncio.to_thread(wait_for, lambda: states()[id_] == ("failed", "tool_timeout"))
        assert task.cancelled()
        assert not running.runs


def test_with_nobody_to_tell_the_deadline_closes(
    conn: Connection, work: Any, states: Callable[[], Rows], serve: Any
) -> None:
    recovery.configure(conn, "cancel_grace", "500 ms")
    server = serve()
    (id_,) = work(server.epoch)
    wait_for(lambda: states()[id_] == ("failed", "tool_timeout"))
    (detector,) = conn.execute(
        "select detector from recovery.event where kind = 'closed'"
    ).fetchone()  # type: ignore
    assert detector == "sweep:api-1"
    assert our_connections(conn) <= 2


def test_the_late_result_of_what_was_taken_is_refused(
    dsn: str, conn: Connection, work: Any, states: Callable[[], Rows], serve: Any
) -> None:
    server = serve()
    server.on_cancel(lambda cancel: None)
    (id_,) = work(server.epoch)
    wait_for(lambda: states()[id_][0] == "failed")
    with psycopg.connect(dsn, autocommit=True) as mine:
        server.configure(mine)
        with pytest.raises(psycopg.Error) as caught:
            mine.execute("update public.job set status = 'done' where id = %s", [id_])
        assert isinstance(recovery.errors.from_driver(caught.value), recovery.WorkRevoked)
        work(server.epoch)  # it is no zombie
    assert states()[id_] == ("failed", "tool_timeout")


def test_what_an_operator_closed_is_stopped_and_not_acknowledged(
    conn: Connection, jobs: Any, states: Callable[[], Rows], serve: Any
) -> None:
    server, other = serve(), serve("api-2")
    told: list[recovery.Cancel] = []
    foreign: list[recovery.Cancel] = []
    server.on_cancel(told.append)
    other.on_cancel(foreign.append)
    with tool() as running:
        (id_,) = jobs(server.epoch)
        with server.process("public.job", id_, running.popen):
            recovery.calls.run(conn, calls.closing.close(str(id_), reason="model hangs"))
            assert states()[id_] == ("failed", "model hangs")
            wait_for(lambda: not running.runs)
    (cancel,) = told
    assert (cancel.id, cancel.key, cancel.reason, cancel.deadline) == (
        None, str(id_), "model hangs", None)  # fmt: skip
    assert foreign == []


def test_a_group_is_told_as_a_group(conn: Connection, jobs: Any, serve: Any) -> None:
    server = serve()
    told: list[recovery.Cancel] = []
    server.on_cancel(told.append)
    jobs(server.epoch, 2, session="s7")
    recovery.calls.run(conn, calls.closing.close("s7"))
    wait_for(lambda: told)
    assert [(c.scope, c.key, c.group) for c in told] == [("group", "s7", "s7")]


def test_a_touch_keeps_what_does_not_show_that_it_moves(
    conn: Connection, work: Any, states: Callable[[], Rows], serve: Any
) -> None:
    recovery.configure(conn, "tool_timeout", "2 s")
    recovery.configure(conn, "cancel_grace", "0")
    server = serve()
    silent, moving = work(server.epoch, 2)
    end = time.monotonic() + 4
    while time.monotonic() < end:
        server.touch("public.job", moving)
        time.sleep(0.01)
    assert states() == {silent: ("failed", "tool_timeout"), moving: ("running", None)}


def test_touches_are_coalesced(
    conn: Connection, work: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    recovery.configure(conn, "tool_timeout", None)
    server = serve(sweep=None)
    rows = work(server.epoch, 3)
    sent: list[Any] = []
    call = calls.watchdog.touch

    def counted(*args: Any) -> Any:
        sent.append(args)
        return call(*args)

    monkeypatch.setattr(calls.watchdog, "touch", counted)
    begun = time.monotonic()
    for n in range(30_000):
        server.touch("public.job", rows[n % 3])
    server.touch("public.job", "s1", "group")
    took = time.monotonic() - begun
    assert took < 1.5  # 50 µs each, on a busy machine
    wait_for(lambda: conn.execute("select from recovery.touch").rowcount == 4)
    assert len(sent) <= 2 * (2 + took)
    found = conn.execute("select scope, watch, key from recovery.touch order by scope, key")
    assert found.fetchall() == [
        ("group", "public.job", "s1"),
        *(("row", "public.job", str(r)) for r in rows),
    ]


def test_touches_that_fail_are_repeated(
    conn: Connection, jobs: Any, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(sweep=None)
    conn.execute("alter table recovery.touch rename to gone")
    server.touch("public.job", 1)
    wait_for(lambda: server._canceller.failures >= 1)
    assert "touch of api-1 failed, will be repeated" in caplog.text
    server.touch("public.job", 2)
    conn.execute("alter table recovery.gone rename to touch")
    wait_for(lambda: conn.execute("select from recovery.touch").rowcount == 2)


def test_touches_of_nothing_are_said_and_forgotten(
    conn: Connection, jobs: Any, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = serve(sweep=None)
    with pytest.raises(recovery.InvalidArgument, match="scope 'table'"):
        server.touch("public.job", 1, "table")
    server.touch("public.nothing", 1)
    server.touch("public.job", 1)
    wait_for(lambda: "touches of public.nothing are dropped" in caplog.text)
    wait_for(lambda: conn.execute("select from recovery.touch").rowcount == 1)
    assert server._canceller.failures == 0


def test_a_restart_of_the_database_is_survived(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """Sweeps fail, are counted and repeated; touches and cancels come through afterwards."""
    with Cluster(cluster.major) as mine:
        dsn = mine.create_database("mine")
        upgrade(dsn)
        with recovery.serve(dsn, "api-1", lease=30, heartbeat=0.2, sweep=0.1, poll=0.2) as server:
            told: list[str] = []
            server.on_cancel(lambda cancel: told.append(cancel.key))
            with psycopg.connect(dsn, autocommit=True) as conn:
                conn.execute(
                    "create table public.job (id int primary key, status text,"
                    " started timestamptz default clock_timestamp())"
                )
                recovery.attach(
                    conn, "public.job", open="status = 'running'", close={"status": "'failed'"}
                )
                recovery.supervise(conn, "public.job", started="started")
                conn.execute("insert into public.job values (1, 'running', default, %s)", [server.epoch])  # fmt: skip
            mine.stop("immediate")
            wait_for(lambda: server.failures["sweep"] >= 2, 20)
            server.touch("public.job", 1)
            assert "sweep of api-1 failed, will be repeated" in caplog.text
            mine.start()
            with psycopg.connect(dsn, autocommit=True) as conn:
                wait_for(lambda: conn.execute("select from recovery.touch").rowcount == 1, 20)
                recovery.configure(conn, "tool_timeout", "300 ms")
                wait_for(lambda: told == ["1"], 20)
                wait_for(
                    lambda: conn.execute("select status from public.job").fetchone() == ("failed",),
                    20,
                )
            assert not server.fenced


def test_what_a_sweep_asked_is_in_its_report_and_in_the_log(
    conn: Connection, work: Any, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "recovery")
    server = serve()
    work(server.epoch)
    wait_for(lambda: "asked to stop 1" in caplog.text)


def test_nothing_is_left_when_it_stops(dsn: str, conn: Connection, work: Any) -> None:
    server = recovery.boot(dsn, "api-1")
    keeper = Keeper(server, sweep=0.1, heartbeat=0.2)
    keeper.start()
    server.on_cancel(lambda cancel: None)
    server.touch("public.job", 1)
    wait_for(lambda: our_connections(conn) == 1)
    keeper.stop()
    wait_for(lambda: our_connections(conn) == 0)
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("recovery-")], 1)
    server.shutdown()


@pytest.mark.parametrize("twin", ["sync", "async"])
async def test_supervise_and_requeue(conn: Connection, dsn: str, twin: str) -> None:
    conn.execute(
        "create table public.task (id int primary key, status text, tries int not null default 0,"
        " session text, started timestamptz not null default clock_timestamp(),"
        " worker text, run_at timestamptz)"
    )
    options: dict[str, Any] = {
        "open": "status = 'running'",
        "close": {"status": "'failed'"},
        "group": "session",
        "requeue": {"status": "'queued'"},
        "attempts": "tries",
        "max_attempts": 2,
        "free_reasons": [],  # a shutdown costs an attempt here
        "not_before": "run_at",
        "backoff": timedelta(seconds=90),
        "max_backoff": "1 hour",
        "owner": "worker",
        "alive": "nullif(worker, 'unknown') is not null or null",
        "alive_lease": timedelta(seconds=20),
    }
    said: dict[str, Any] = {"kind": "'x'", "cancel": "group", "started": "started"}
    if twin == "sync":
        assert recovery.attach(conn, "public.task", **options) == "public.task"
        assert recovery.supervise(conn, "public.task", **said) == "public.task"
    else:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as mine:
            await recovery.aattach(mine, "public.task", **options)
            assert await recovery.asupervise(mine, "public.task", **said) == "public.task"
    for expected in ("queued", "failed"):
        server = recovery.boot(dsn, "api-1")
        conn.execute(
            "insert into public.task (id, status, server_epoch) values (1, 'running', %s)"
            " on conflict (id) do update set status = 'running', server_epoch = %s",
            [server.epoch, server.epoch],
        )
        server.shutdown()
        row = conn.execute("select status from public.task").fetchone()
        assert row == (expected,)
    waits = conn.execute("select run_at > now() + interval '30 s' from public.task").fetchone()
    assert waits == (True,)
    with pytest.raises(recovery.WatchInvalid, match="kind"):
        recovery.supervise(conn, "public.task", kind="nothing", started="started")
    with pytest.raises(recovery.WatchUnknown):
        recovery.supervise(conn, "pg_catalog.pg_class", started="now()")
