"""One history of a real deployment, drawn from a seed: what is deployed, and what happens to it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.rows import dict_row

from chaos.actors import standing_still, value
from chaos.verdict import Facts, Life, Verdict, judge, read
from deployments.servers import NO_ANSWER, Deployment, Load
from helpers import wait_for
from pgbouncer import PROGRAM, PgBouncer
from recovery.cluster import Cluster
from sql.jobs import TABLE, attach

#: Most often the one whose workers come back soonest: more happens in the same time.
KINDS = ("uvicorn", "gunicorn-asgi", "gunicorn-wsgi", *["gunicorn-preload"] * 3)
PATHS = ("straight", "session", "session+direct", "transaction", "transaction+direct")
#: What may happen, and how often.
FAULTS = {
    "kill": 5, "kill all": 1, "kill group": 2, "pause": 3, "long pause": 2, "reload": 2,
    "rolling deploy": 2, "stall": 2, "long stall": 2, "restart": 1, "crash": 1,
    "clock +25 s": 1, "clock +1 h": 1, "clock -25 s": 1, "clock -1 h": 1,
    "recycle": 3, "restart pooler": 1, "cut keepers": 2, "cut all": 1,
}  # fmt: skip


class Story:
    """A history: draw, `run`, `judge`.

    Args:
        cluster: of its own; it is stopped and restarted.
        seconds: of faults.
    """

    def __init__(self, cluster: Cluster, dsn: str, seed: int, seconds: float) -> None:
        self.seed, self.cluster, self.dsn, self.seconds = seed, cluster, dsn, seconds
        self.dice = dice = random.Random(seed)
        self.kind = dice.choice(KINDS)
        self.workers = dice.choice((1, 2, 2, 3))
        self.path = dice.choice(PATHS) if PROGRAM else "straight"
        #: Each deployment as if on a host of its own, as replicas are: no one sees their processes.
        self.apart = dice.random() < 0.4
        lease = dice.choice((2.0, 2.5, 3.0))
        self.facts = Facts(lease, grace=dice.choice((0.5, lease)), sweep=0.3)
        self.options: dict[str, Any] = {
            "lease": lease,
            "grace": self.facts.grace,
            "sweep": self.facts.sweep,
            "exit_on_fenced": dice.random() < 0.7,
            "listen": dice.random() < 0.7,
        }
        if self.path.startswith("transaction") and dice.random() < 0.5:
            self.options["bind"] = "transaction"
        self.done: Counter[str] = Counter()
        self.recovered = 0.0  #: seconds until no orphan was left, with everything up again
        self._stack = ExitStack()
        self._over = threading.Event()
        self._bouncer: PgBouncer | None = None
        self._paused: list[tuple[float, int]] = []
        self._leaving: list[tuple[Deployment, threading.Thread]] = []
        self._hosts = 0
        self._conn: psycopg.Connection[Any] | None = None

    def __enter__(self) -> Story:
        try:
            self._begin()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __str__(self) -> str:
        return (
            f"RECOVERY_CHAOS_SEEDS={self.seed}: {self.kind} x {self.workers}, {self.path},"
            f" {'hosts apart' if self.apart else 'one host'}, {self.options}"
        )

    def _begin(self) -> None:
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        with psycopg.connect(self.dsn, autocommit=True) as conn:
            conn.execute(TABLE)
            attach(conn)
        self._stack.callback(lambda: self._conn and self._conn.close())
        mode, _, direct = self.path.partition("+")
        self.app_dsn = self.dsn
        if mode in ("session", "transaction"):
            size = 60 if mode == "session" else 8
            self._bouncer = PgBouncer(self.dsn, mode, size=size)  # type: ignore[arg-type]
            self._stack.enter_context(self._bouncer)
            self.app_dsn = self._bouncer.dsn
        if direct:
            self.options["direct"] = self.dsn
        watcher = threading.Thread(target=self._watch)
        watcher.start()
        self._stack.callback(watcher.join)
        self._stack.callback(self._over.set)
        self.load = Load([self._deploy()], clients=4, path=self._path, timeout=6)
        self._stack.callback(self._stop_all)
        self._wait(lambda: len(self._alive()) >= self.workers, 40, "the first workers serve")

    # What the test sees

    def sql(self, statement: str, *parameters: Any) -> Any:
        """Over a connection of ours, opened anew after a restart; the first column."""
        while True:
            try:
                if self._conn is None or self._conn.closed:
                    self._conn = psycopg.connect(self.dsn, autocommit=True)
                return value(self._conn, statement, *parameters)
            except psycopg.OperationalError:
                if self._conn is not None:
                    self._conn.close()
                    self._conn = None
                time.sleep(0.05)

    def _watch(self) -> None:
        """Which workers live, and whether we ourselves stood still."""
        last = time.time()
        while not self._over.wait(0.05):
            now = time.time()
            if now - last > 0.5:
                self.facts.troubles.append(("starved", last, now))
            last = now
            for path in self.folder.glob("*.jsonl"):
                pid = int(path.stem)
                life = self.facts.lives.setdefault(pid, Life(pid))
                if life.gone is None:
                    looked = time.time()
                    if _lives(pid):
                        life.seen = looked
                    else:
                        life.gone = time.time()

    def _alive(self, deployment: Deployment | None = None) -> list[int]:
        """The workers that have booted and live; stopped ones, too."""
        found = []
        for path in self.folder.glob("*.jsonl"):
            pid = int(path.stem)
            with contextlib.suppress(OSError):
                if _lives(pid) and deployment in (None, self._of(pid)):
                    found.append(pid)
        return sorted(found)

    def _standing(self) -> list[int]:
        """Those that are not stopped."""
        return [pid for pid in self._alive() if pid not in [paused for _, paused in self._paused]]

    def _of(self, pid: int) -> Deployment | None:
        group = os.getpgid(pid)
        return next((one for one in self.load.deployments if one.process.pid == group), None)

    def _wait(self, what: Callable[[], Any], seconds: float, name: str) -> bool:
        """Waits, and supervises meanwhile; whether it came about."""
        end = time.monotonic() + seconds
        while not what():
            if time.monotonic() > end:
                self.note(f"not within {seconds:g} s: {name}")
                return False
            self._tend()
            time.sleep(0.05)
        return True

    def note(self, what: str) -> None:
        self.facts.said.append(f"{time.time():.3f} {what}")

    @contextlib.contextmanager
    def _trouble(self, what: str) -> Iterator[None]:
        begun = time.time()
        try:
            yield
        finally:
            self.facts.troubles.append((what, begun, time.time()))

    # What it does

    def _path(self, number: int) -> str:
        dice = random.random()  # how many requests there are is not the seed's to say
        if dice < 0.02:
            return "/hold"
        span = 500 + 4000 * random.random() if dice < 0.15 else 100 * random.random()
        return f"/work?ms={span:.0f}&patience=12"

    def _deploy(self) -> Deployment:
        options = dict(self.options)
        if self.apart:
            self._hosts += 1
            options["host"] = f"host {self._hosts}"
        return Deployment(
            self.app_dsn, self.kind, self.workers,
            env={"APP_JOURNAL": str(self.folder)}, **options,
        )  # fmt: skip

    def _tend(self) -> None:
        """As a service manager does: starts what has ended. And continues whoever paused long enough."""
        for at, pid in list(self._paused):
            if at <= time.monotonic():
                self._resume(at, pid)
        for n, deployment in enumerate(self.load.deployments):
            if deployment.process.poll() is not None:
                self.note(f"{deployment.process.pid} has ended: started again")
                deployment.stop()
                self.load.deployments[n] = self._deploy()

    def _resume(self, at: float, pid: int) -> None:
        self._paused.remove((at, pid))
        self.facts.lives[pid].stops[-1][1] = time.time()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        self.note(f"continued {pid}")

    def _stop_all(self) -> None:
        for at, pid in list(self._paused):
            self._resume(at, pid)
        for deployment in self.load.deployments:
            deployment.stop()
        for _, thread in self._leaving:
            thread.join()

    def run(self) -> None:
        """Faults, then quiet, until no orphan is left."""
        self._warm()
        with self.load:
            left = self.seconds
            while left > 0:
                self._wait(self._standing, 30, "somebody to do something to")
                begun = time.monotonic()
                pause = begun + self.dice.uniform(0.1, 0.8)
                self._wait(lambda pause=pause: time.monotonic() > pause, 1, "")
                what = self.dice.choices([*FAULTS], [*FAULTS.values()])[0]
                self._fault(what)
                left -= min(time.monotonic() - begun, 4)  # a roll-out may take longer here
            for at, pid in list(self._paused):
                self._resume(at, pid)
            self._wait(lambda: len(self._alive()) >= self.workers, 40, "workers serve at the end")
            self._last_kill()
        up = time.monotonic()
        orphans = self._orphans()
        while orphans and time.monotonic() < up + self.facts.bound:
            self._tend()
            time.sleep(0.05)
            orphans = self._orphans()
        self.recovered = time.monotonic() - up
        self.left = orphans
        self._leave()

    def _last_kill(self) -> None:
        """One more death, of a worker with open rows, with everything up."""
        held = []
        for _ in range(2 * self.workers):
            with contextlib.suppress(*NO_ANSWER):
                held.append(self.load.deployments[-1].get("/hold")[1]["pid"])
        living = [pid for pid in held if _lives(pid)] or self._alive()
        if living:
            victim = self.dice.choice(living)
            self.note(f"the last kill {victim}")
            self.done["killed workers"] += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
            wait_for(lambda: not _lives(victim))

    def _warm(self) -> None:
        """As if sweepers had watched for an hour; without it the first lease is held back."""
        self._wait(
            lambda: self.sql("select since is not null from recovery.observation"), 20, "a sweep"
        )
        self.sql("update recovery.observation set since = since - interval '1 hour' returning 1")

    def _leave(self) -> None:
        self._stop_all()
        time.sleep(0.2)  # the watcher sees them gone
        self.facts.troubles.sort(key=lambda trouble: trouble[2])

    def _orphans(self) -> list[Any]:
        """Open rows of the dead, the ended, and of nobody."""
        self.sql("select 1")
        assert self._conn is not None
        rows = self._conn.execute(
            "select j.id, j.server_epoch, s.pid, s.ended, s.reason from app.job as j"
            " left join recovery.server as s on s.epoch = j.server_epoch where j.status = 'running'"
        ).fetchall()
        return [row for row in rows if row[2] is None or row[3] is not None or not _lives(row[2])]

    def _fault(self, what: str) -> None:
        living = self._standing()
        one = self.dice.choice(living) if living else None
        lease = self.facts.lease
        self.note(f"{what} {one if what in ('kill', 'pause', 'long pause') else ''}")
        self.done[what] += 1
        if what in ("kill", "kill all"):
            for pid in living if what == "kill all" else [one] if one else []:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.done["killed workers"] += 1
        elif what == "kill group":
            n = self.dice.randrange(len(self.load.deployments))
            self.done["killed workers"] += len(self._alive(self.load.deployments[n]))
            os.killpg(self.load.deployments[n].process.pid, signal.SIGKILL)
            self.load.deployments[n].process.wait()
        elif what in ("pause", "long pause"):
            if one is not None:
                span = lease * (self.dice.uniform(0.2, 0.7) if what == "pause" else 1.8)
                now = time.time()
                self.facts.lives.setdefault(one, Life(one)).stops.append([now, now + 3600])
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGSTOP)
                self._paused.append((time.monotonic() + span, one))
        elif what == "reload":
            self.dice.choice(self.load.deployments).signal(signal.SIGHUP)
        elif what == "rolling deploy":
            self._roll()
        elif what in ("stall", "long stall"):
            self.sql("select 1")
            assert self._conn is not None
            span = lease * self.dice.uniform(*((0.3, 0.9) if what == "stall" else (1.2, 2.6)))
            with self._trouble("stall"), standing_still(self._conn):
                time.sleep(span)
        elif what in ("restart", "crash"):
            with self._trouble("restart"):
                self.cluster.restart("fast" if what == "restart" else "immediate")
        elif what.startswith("clock"):
            with self._trouble("clock"):
                self.sql(
                    "update recovery.clock set shift = shift + %s::interval returning 1",
                    what.removeprefix("clock "),
                )
        elif what == "recycle" and self._bouncer is not None:
            with contextlib.suppress(psycopg.Error, TimeoutError):
                self._bouncer.recycle()
        elif what == "restart pooler" and self._bouncer is not None:
            self._bouncer.__exit__(None, None, None)
            time.sleep(self.dice.uniform(0, 1))
            self._bouncer.__enter__()
        elif what in ("cut keepers", "cut all"):
            like = "recovery:keeper:%" if what == "cut keepers" else "%"
            self.sql(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid()"
                " and datname = current_database() and application_name like %s", like,
            )  # fmt: skip

    def _roll(self) -> None:
        """The next release is up before the last one stops."""
        old = list(self.load.deployments)
        new = self._deploy()
        self.load.deployments.append(new)
        if self.dice.random() < 0.4:  # while it boots: the database comes back, and it is the first
            begun = time.monotonic() + self.dice.uniform(0, 3)
            self._wait(lambda: time.monotonic() > begun or self._alive(new), 4, "")
            self._fault("crash")
        self._wait(
            lambda: new not in self.load.deployments or self._alive(new), 20, "the next release"
        )
        for at, pid in list(self._paused):
            self._resume(at, pid)
        for deployment in old:
            if deployment in self.load.deployments:
                self.load.deployments.remove(deployment)
                thread = threading.Thread(target=deployment.stop)
                thread.start()
                self._leaving.append((deployment, thread))

    # The end

    def judge(self) -> Verdict:
        """Compares everything with everything."""
        self.sql("select 1")
        assert self._conn is not None
        with self._conn.cursor(row_factory=dict_row) as cursor:

            def all_of(statement: str) -> list[dict[str, Any]]:
                return cursor.execute(statement).fetchall()  # type: ignore[arg-type]

            verdict = judge(
                self.facts,
                read(self.folder),
                all_of("select epoch, pid, reason, extract(epoch from ended)::float8 as ended from recovery.server"),
                all_of("select id, status, server_epoch from app.job"),
                all_of("select extract(epoch from at)::float8 as at, server_epoch, kind, key, reason, detector"
                       " from recovery.event order by id"),
            )  # fmt: skip
        if self.left:
            verdict.violations.append(
                f"orphans {self.facts.bound:.1f} s after everything was up: {self.left}"
            )
        return verdict

    def log(self) -> str:
        """For people: what was done, and what each process said beside its work."""
        said = [
            f"{line['at']:.3f} {line}"
            for line in read(self.folder)
            if line["what"] not in ("opened", "finishing", "finished")
        ]
        return "\n".join(sorted(self.facts.said + said))


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
