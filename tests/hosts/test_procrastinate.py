"""P13: Procrastinate's schema, watched: it works as before, and a closing writes what it would itself.

A worker fetches a job (todo -> doing) and finishes it: ``status``, ``attempts + 1``,
``abort_requested = false``. So these are what the watch closes with; `worker_id` stays, as there.
Its triggers on `status` write procrastinate_events ('failed') whatever else is set; a watch that
sets only ``status`` leaves the attempt uncounted and the abort request standing. Literals need no
cast: ``'failed'`` becomes the enum. Work that may run twice is better requeued, as Procrastinate's
retry does it: ``status = 'todo'``, ``scheduled_at`` and the attempt counted, and
``abort_requested = false``, which a check constraint demands. All that Procrastinate needs are
connections of its worker with ``options=-c recovery.server_epoch=...``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import procrastinate
import psycopg
import pytest
from psycopg.rows import dict_row

from helpers import wait_for
from hosts.conftest import DsnOf, Login, NewRole
from hosts.worker import app_at
from python.run.conftest import COMMAND, Run, environment
from sql.jobs import Connection, attach, boot, events, failures, fingerprint, value

TABLES = "procrastinate_jobs procrastinate_events procrastinate_workers procrastinate_periodic_defers".split()
WATCH = {
    "open": "status = 'doing'",
    "close": '{"status": "\'failed\'", "attempts": "r.attempts + 1", "abort_requested": "false"}',
}
REQUEUE = {
    "requeue": '{"status": "\'todo\'", "scheduled_at": "c.at", "abort_requested": "false"}',
    "attempts": "attempts",
    "max_attempts": 2,
    "close": '{"status": "\'failed\'", "abort_requested": "false"}',
}


class Host(NamedTuple):
    """Where Procrastinate lives, and who its roles are."""

    owner: str | None
    writer: str | None
    schema: str
    search_path: str
    admin: Connection
    server: Connection
    login: Login
    dsn_of: DsnOf

    def session(self, role: str | None = None, epoch: int | None = None) -> Connection:
        """A session of the owner (or another role) as the application opens it."""
        return self.login(role or self.owner, search_path=self.search_path, epoch=epoch)

    def dsn(self, epoch: int | None = None) -> str:
        """Where the application connects to."""
        return self.dsn_of(self.writer, search_path=self.search_path, epoch=epoch)

    def app(self, epoch: int | None = None) -> procrastinate.App:
        """The application, in the server of this epoch."""
        return app_at(self.dsn(epoch))

    def attach(self, **options: Any) -> str:
        """Permits the owner, who then attaches the table itself."""
        if self.owner is not None:
            self.admin.execute("select recovery.permit(%s)", (self.owner,))
        with self.session() as owner:
            return attach(owner, "procrastinate_jobs", **{**WATCH, **options})

    def jobs(self) -> dict[int, dict[str, Any]]:
        """All jobs."""
        with self.session() as conn, conn.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute("select * from procrastinate_jobs order by id").fetchall()
            return {row.pop("id"): row for row in rows}

    def history(self, job: int) -> list[str]:
        """The types of what procrastinate_events says about a job, in order."""
        with self.session() as conn:
            return [
                row[0]
                for row in conn.execute(
                    "select type::text from procrastinate_events where job_id = %s order by id",
                    (job,),
                )
            ]


@pytest.fixture(params=["public", "own-schema", "superuser"])
def host(
    request: pytest.FixtureRequest,
    new_role: NewRole,
    conn: Connection,
    login: Login,
    dsn_of: DsnOf,
) -> Host:
    """Procrastinate in public, in a schema that only the search_path finds, or of a superuser."""
    server = login(new_role("api", "recovery_server"))
    owner = writer = None
    schema, path = "public", ""
    if request.param != "superuser":
        owner = writer = new_role("team_p")
        conn.execute(f"grant create on schema public to {owner}".encode())
    if request.param == "own-schema":
        schema = path = "Queue of p"
        path = '"Queue\\ of\\ p"'
        writer = new_role("app_p")
        conn.execute(f'create schema "{schema}" authorization {owner}'.encode())
    host = Host(owner, writer, schema, path, conn, server, login, dsn_of)
    with host.session() as session:
        session.execute(procrastinate.schema.SchemaManager.get_schema().encode())
        if writer != owner:
            for what in (
                "usage on schema",
                "all on all tables in schema",
                "all on all sequences in schema",
            ):
                session.execute(f'grant {what} "{schema}" to {writer}'.encode())
    return host


@pytest.fixture
def kill_after_fetch(host: Host) -> Iterator[Callable[[int, int], None]]:
    """``kill_after_fetch(epoch, job)``: a worker process that is killed in the middle of the job."""
    started: list[subprocess.Popen[bytes]] = []

    def run(epoch: int, job: int) -> None:
        program = Path(__file__).with_name("worker.py")
        worker = subprocess.Popen(
            [sys.executable, program, host.dsn(epoch)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        started.append(worker)
        wait_for(lambda: host.jobs()[job]["status"] == "doing", 30, what="the job to be fetched")
        worker.kill()
        worker.wait()

    yield run
    for worker in started:
        worker.kill()
        worker.wait()


def defer(host: Host, task: str, **options: Any) -> int:
    """Defers a job by the synchronous API, from a process that owns nothing; its id."""
    connector = procrastinate.SyncPsycopgConnector(conninfo=host.dsn(), min_size=1)
    with procrastinate.App(connector=connector).open() as app:
        arguments = options.pop("arguments", {})
        return int(app.configure_task(task, **options).defer(**arguments))


async def work(host: Host, epoch: int | None = None, **options: Any) -> None:
    """A worker that does all there is, and stops."""
    async with host.app(epoch).open_async() as app:
        await app.run_worker_async(wait=False, install_signal_handlers=False, **options)


async def fetch(host: Host, epoch: int | None = None, queue: str | None = None) -> int:
    """A worker of an epoch fetches a job, and its connection ends; the id of the job."""
    async with host.app(epoch).open_async() as app:
        manager = app.job_manager
        job = await manager.fetch_job(queue and [queue], await manager.register_worker())
        assert job is not None
        assert job.id is not None
        return job.id


async def one_of_each(host: Host, epoch: int | None) -> list[tuple[Any, ...]]:
    """All that can become of a job, done once; what is to be seen of it afterwards."""
    connector = procrastinate.SyncPsycopgConnector(conninfo=host.dsn(epoch), min_size=1)
    ids: list[int] = []
    with procrastinate.App(connector=connector).open() as sync:
        for task, options, arguments in (
            ("add", {"lock": "one"}, {"a": 1, "b": 2}),
            ("add", {"lock": "one", "priority": 3}, {"a": 1, "b": 3}),
            ("fail", {"queueing_lock": "single"}, {}),
            ("twice", {}, {}),
            ("stop", {}, {}),
        ):
            ids.append(sync.configure_task(task, **options).defer(**arguments))
        with pytest.raises(procrastinate.exceptions.AlreadyEnqueued):
            sync.configure_task("fail", queueing_lock="single").defer()
        ids.append(sync.configure_task("add", schedule_in={"hours": 1}).defer(a=1, b=1))
        ids.append(sync.configure_task("add").defer(a=2, b=2))
        assert sync.job_manager.cancel_job_by_id(ids[-1])
    await work(host, epoch)
    jobs = host.jobs()
    kept = "task_name", "status", "attempts", "abort_requested", "worker_id", "lock"
    seen = [(*(jobs[job][key] for key in kept), host.history(job)) for job in ids]
    gone = defer(host, "add", arguments={"a": 1, "b": 1})
    await work(host, epoch, delete_jobs="always")
    assert gone not in host.jobs()
    return seen


async def test_it_works_as_before(host: Host) -> None:
    """Defers, locks, retries, aborts, cancels and deletes: the same rows and events, watched or not."""
    before = await one_of_each(host, None)
    assert [(row[1], row[-1]) for row in before] == [
        ("succeeded", ["deferred", "started", "succeeded"]),
        ("succeeded", ["deferred", "started", "succeeded"]),
        ("failed", ["deferred", "started", "failed"]),
        ("failed", ["deferred", "started", "scheduled", "deferred_for_retry", "started", "failed"]),
        ("aborted", ["deferred", "started", "abort_requested", "aborted"]),
        ("todo", ["scheduled", "deferred"]),
        ("cancelled", ["deferred", "cancelled"]),
    ]
    host.attach()
    assert await one_of_each(host, None) == before
    server = boot(host.server)
    assert await one_of_each(host, server.epoch) == before
    assert boot(host.server).closed == {}
    assert failures(host.admin) == {}
    assert {event["kind"] for event in events(host.admin)} == {
        "reopened",
        "closed",
        "deleted",
    }


def seen_by(host: Host, job: int) -> tuple[dict[str, Any], list[str]]:
    """What a job's row and procrastinate_events say, without what differs between two jobs."""
    row = host.jobs()[job]
    assert row.pop("worker_id") is not None
    for name in ("server_epoch", "queue_name", "scheduled_at"):
        row.pop(name)
    return row, host.history(job)


def heard(listener: Connection) -> list[str]:
    """What Procrastinate's workers are told."""
    listener.execute("select 1")
    return [f"{n.channel} {n.payload}" for n in listener.notifies(timeout=0.2)]


@pytest.mark.parametrize("abort", [False, True], ids=["plain", "asked-to-abort"])
async def test_a_closing_is_a_finish(
    host: Host, kill_after_fetch: Callable[[int, int], None], abort: bool
) -> None:
    """The worker is killed in the middle of a job: the next boot writes what finish_job writes."""
    host.attach()
    dead, live = boot(host.server, "dead"), boot(host.server, "live")
    lost = defer(host, "hang", queue="a")
    kill_after_fetch(dead.epoch, lost)
    own, other, waiting = (defer(host, "hang", queue=queue) for queue in "bcd")
    assert await fetch(host, live.epoch, "b") == own
    assert await fetch(host, live.epoch, "c") == other
    epochs = {job: row["server_epoch"] for job, row in host.jobs().items()}
    assert epochs == {lost: dead.epoch, own: live.epoch, other: live.epoch, waiting: None}
    listener = host.session()
    with procrastinate.App(
        connector=procrastinate.SyncPsycopgConnector(conninfo=host.dsn(), min_size=1)
    ).open() as app:
        for job in (lost, own) if abort else ():
            app.job_manager.cancel_job_by_id(job, abort=True)
    for channel in (
        "procrastinate_any_queue_v1",
        "procrastinate_queue_v1#a",
        "procrastinate_queue_v1#b",
    ):
        listener.execute(f'listen "{channel}"'.encode())

    async with host.app(live.epoch).open_async() as live_app:
        await live_app.job_manager.finish_job_by_id_async(
            own, procrastinate.jobs.Status.FAILED, delete_job=False
        )
    told = heard(listener)
    assert boot(host.server, "dead").closed == {f"{host.schema}.procrastinate_jobs": 1}
    assert heard(listener) == told == []
    assert seen_by(host, lost) == seen_by(host, own)
    assert host.jobs()[lost]["status"] == "failed"
    assert host.history(lost)[-1] == "failed"
    assert (host.jobs()[other]["status"], host.jobs()[waiting]["status"]) == ("doing", "todo")
    with host.session() as conn:
        assert value(
            conn,
            "select at >= now() - interval '1 minute' from procrastinate_events order by id desc limit 1",
        )
    closed = [e for e in events(host.admin) if e["detector"] != "writer"]
    assert [(e["kind"], e["key"], e["reason"]) for e in closed] == [
        ("closed", str(lost), "superseded")
    ]
    assert closed[0]["new"] == {"status": "failed", "attempts": 1, "abort_requested": False}
    assert failures(host.admin) == {}


async def test_locks_are_free_again_and_the_worker_is_pruned(host: Host) -> None:
    """The next job of the same lock runs; who prunes the dead worker clears its id in the closed job."""
    host.attach()
    dead = boot(host.server, "dead")
    lost = defer(host, "hang", lock="one", queue="a")
    later = defer(host, "add", lock="one", queue="b", arguments={"a": 1, "b": 2})
    assert await fetch(host, dead.epoch) == lost
    await work(host)
    assert host.jobs()[later]["status"] == "todo"
    live = boot(host.server, "dead")
    await work(host, live.epoch, queues=["b"])
    assert host.jobs()[later]["status"] == "succeeded"
    assert host.jobs()[lost]["worker_id"] is not None
    async with host.app(live.epoch).open_async() as app:
        assert len(await app.job_manager.prune_stalled_workers(0)) == 1
        assert host.jobs()[lost]["worker_id"] is None
        await app.job_manager.delete_old_jobs(0, include_failed=True)
    assert set(host.jobs()) == set()
    assert failures(host.admin) == {}


async def test_a_late_finish_is_refused(host: Host) -> None:
    """The worker only seemed dead: what it writes afterwards is refused, and changes nothing."""
    host.attach()
    dead = boot(host.server)
    lost = defer(host, "hang")
    async with host.app(dead.epoch).open_async() as app:
        job = await app.job_manager.fetch_job(None, await app.job_manager.register_worker())
        assert job is not None
        boot(host.server)
        closed = seen_by(host, lost)
        with pytest.raises(procrastinate.exceptions.ConnectorException):
            await app.job_manager.finish_job(job, procrastinate.jobs.Status.SUCCEEDED, False)
        assert seen_by(host, lost) == closed


async def test_a_requeue_is_a_retry(host: Host) -> None:
    """With attempts left a job goes back to its queue as by Procrastinate's retry; then it fails."""
    host.attach(**REQUEUE)
    dead, live = boot(host.server, "dead"), boot(host.server, "live")
    lost, own = defer(host, "hang", queue="a"), defer(host, "hang", queue="b")
    await fetch(host, dead.epoch, "a")
    await fetch(host, live.epoch, "b")
    async with host.app(live.epoch).open_async() as app:
        now = procrastinate.utils.utcnow()
        await app.job_manager.retry_job_by_id_async(own, now)
    again = boot(host.server, "dead")
    assert again.closed == {f"{host.schema}.procrastinate_jobs": 1}
    assert host.history(lost)[-2:] == ["scheduled", "deferred_for_retry"]
    assert seen_by(host, lost) == seen_by(host, own)
    assert await fetch(host, again.epoch, "a") == lost
    boot(host.server, "dead")
    assert (host.jobs()[lost]["status"], host.jobs()[lost]["attempts"]) == ("failed", 2)
    assert [e["kind"] for e in events(host.admin) if e["detector"] != "writer"] == [
        "requeued",
        "closed",
    ]
    assert failures(host.admin) == {}


def dump(host: Host, cluster: Any) -> Any:
    """The whole schema by pg_dump, where there is one of this major; else what the catalog says."""
    found = dump_of(cluster, host.dsn_of())
    return found or [fingerprint(host.admin, f'"{host.schema}".{table}') for table in TABLES]


def dump_of(cluster: Any, dsn: str) -> str | None:
    """The whole schema by pg_dump; None if there is none of this major."""
    binaries = getattr(cluster, "binaries", None)
    program = binaries and binaries.bin_dir / "pg_dump"
    if not program or not program.is_file():
        return None
    command = [program, "--schema-only", dsn]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return re.sub(r"^\\(un)?restrict .*$", "", done.stdout, flags=re.MULTILINE)


def test_its_worker_under_recovery_run(host: Host) -> None:
    """Nobody touches its code: the worker is killed with all that runs it, and started again."""
    host.attach()
    env = environment(host.dsn_of(host.server.info.user))
    program = str(Path(__file__).with_name("worker.py"))
    runs: list[Run] = []

    def start(name: str, queue: str) -> Run:
        command = [sys.executable, program, host.dsn(), queue]
        runs.append(Run([*COMMAND, name, "--", *command], env))
        return runs[-1]

    try:
        lost, kept = defer(host, "hang", queue="a"), defer(host, "hang", queue="b")
        dead, _ = start("w-1", "a"), start("w-2", "b")
        for job in (lost, kept):
            wait_for(lambda job=job: host.jobs()[job]["status"] == "doing", 60, what="the fetch")
        dead.kill()
        done = defer(host, "add", queue="a", arguments={"a": 1, "b": 2})
        again = start("w-1", "a")
        wait_for(lambda: host.jobs()[done]["status"] == "succeeded", 60, what="the next job")
        assert host.history(lost)[-1] == host.jobs()[lost]["status"] == "failed"
        assert host.jobs()[kept]["status"] == "doing"
        again.send(15)
        assert again.end(60) in (0, 143), again.errors
        assert failures(host.admin) == {}
    finally:
        for one in runs:
            one.close()


async def test_detach_leaves_nothing(host: Host, cluster: Any) -> None:
    """A dump of the whole database is the same as before, byte for byte."""
    if host.owner is not None:
        host.admin.execute("select recovery.permit(%s)", (host.owner,))
    before = dump(host, cluster)
    host.attach()
    assert dump(host, cluster) != before
    dead = boot(host.server)
    lost = defer(host, "hang")
    assert await fetch(host, dead.epoch) == lost
    assert sum(boot(host.server).closed.values()) == 1
    with host.session() as owner:
        owner.execute("select recovery.detach('procrastinate_jobs')")
    assert dump(host, cluster) == before
    done = defer(host, "add", arguments={"a": 1, "b": 2})
    await work(host)
    assert host.jobs()[done]["status"] == "succeeded"


@pytest.mark.parametrize("host", ["public", "own-schema"], indirect=True)
def test_before_the_permit(host: Host) -> None:
    """The owner is told the one statement that a DBA has to run."""
    with host.session() as owner:
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as error:
            attach(owner, "procrastinate_jobs", **WATCH)
        statement = re.search(r"select recovery\.permit\(.*\);", str(error.value.diag.message_hint))
        assert statement is not None
        host.admin.execute(statement[0].encode())
        assert attach(owner, "procrastinate_jobs", **WATCH) == f"{host.schema}.procrastinate_jobs"
