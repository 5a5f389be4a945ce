"""One history of writers, consumers, and what is done to them, drawn from a seed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from chaos.events.consumers import KINDS
from chaos.events.verdict import Row, Verdict, judge, read
from chaos.events.writers import SCHEMA, TABLES, finish_forgotten
from helpers import wait_for
from recovery.demo.cluster import Cluster
from tcp_proxy import Proxy

HERE = Path(__file__).parent
#: What may happen, and how often.
FAULTS = {
    "kill consumer": 8, "take over": 3, "cut consumers": 3, "freeze consumers": 2, "kill writers": 1,
    "cut writers": 2, "freeze writers": 1, "terminate": 3, "restart": 1, "crash": 1, "promote": 1,
}  # fmt: skip
#: Of the cluster of a story.
SETTINGS = {
    "max_prepared_transactions": 60,
    "deadlock_timeout": "100ms",
    "log_min_messages": "fatal",
}
#: Seconds until consumers that can work again must have had everything.
BOUND = 40.0


class Consumer:
    """A command that appends to a journal; started again when it ends."""

    def __init__(self, kind: str, dsn: str, folder: Path) -> None:
        self.name = kind
        self.journal = folder / f"{kind}.jsonl"
        self._command = [
            sys.executable,
            str(HERE / "consumers.py"),
            kind,
            kind,
            dsn,
            str(self.journal),
        ]
        self._complaints = (folder / f"{kind}.log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None
        self._old: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """If it does not run."""
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._complaints,
                stderr=self._complaints,
            )

    def state(self) -> str:
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        process = self._process
        return f"pid {process and process.pid}, ended {process and process.poll()}, {len(lines)} lines, {lines[-1:]}"

    def reads(self) -> bool:
        return self.journal.exists() and self.journal.stat().st_size > 1000

    def kill(self) -> None:
        for process in (self._process, *self._old):
            if process is not None:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def take_over(self) -> None:
        """Another process begins to read as this consumer while the old one still does."""
        if self._process is not None:
            self._old.append(self._process)
            self._process = None
        self.start()

    def close(self) -> None:
        self.kill()
        self._complaints.close()


class Story:
    """A history: `run`, `judge`.

    Args:
        cluster: of its own; it is stopped and restarted.
        replica: of it, synchronous; it may be promoted.
        seconds: of faults.
    """

    def __init__(
        self, cluster: Cluster, replica: Cluster | None, name: str, seed: int, seconds: float
    ) -> None:
        self.cluster, self.replica, self.name, self.seed, self.seconds = (
            cluster,
            replica,
            name,
            seed,
            seconds,
        )
        self.dice = random.Random(seed)
        self.done: list[str] = []
        self._ends = ExitStack()
        self._began = time.monotonic()

    def __str__(self) -> str:
        return (
            f"seed {self.seed}{', with a replica' if self.replica else ''}: {', '.join(self.done)}"
        )

    def __enter__(self) -> Story:
        folder = self._ends.enter_context(tempfile.TemporaryDirectory(prefix="events-"))
        self.folder = Path(folder)
        (self.folder / "written").mkdir()
        dsn = self.cluster.dsn(self.name)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(SCHEMA.encode())
            self._before = self._rows(conn)
        self._front = self._ends.enter_context(Proxy(dsn))
        self._back = self._ends.enter_context(Proxy(dsn))
        self._side = self._ends.enter_context(Proxy((self.replica or self.cluster).dsn(self.name)))
        self.consumers = [
            Consumer(kind, self._side.dsn if kind == "standby" else self._front.dsn, self.folder)
            for kind in KINDS
            if self.replica or kind != "standby"
        ]
        for consumer in self.consumers:
            self._ends.callback(consumer.close)
        self._writers: subprocess.Popen[bytes] | None = None
        self._complaints = self._ends.enter_context((self.folder / "writers.log").open("ab"))
        self._ends.callback(self._kill_writers)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def run(self) -> None:
        """Faults for so long; then everything is let go, and comes to an end."""
        self._start()
        for consumer in self.consumers:
            if consumer.name != "exact":
                wait_for(consumer.reads, 60, what=f"{consumer.name} reads")
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            time.sleep(self.dice.uniform(0.1, 0.6))
            fault = self.dice.choices(list(FAULTS), list(FAULTS.values()))[0]
            if fault == "promote" and (self.replica is None or "promote" in self.done):
                continue
            self.done.append(fault)
            getattr(self, "_" + fault.replace(" ", "_"))()
            self._start()
        self._stop_writers()
        self._settle()

    def judge(self) -> Verdict:
        """What is found, once every consumer has had what it will ever have."""
        end = time.monotonic() + BOUND
        while True:
            verdict = self._look()
            if not verdict.missing:
                break
            if time.monotonic() > end:
                self._look_around()
                break
            self._start(writers=False)
            time.sleep(0.3)
        verdict.figures["faults"] = len(self.done)
        return verdict

    def log(self) -> str:
        """What the processes complained of, each complaint once."""
        lines: Counter[str] = Counter()
        for path in self.folder.glob("*.log"):
            for line in path.read_text().splitlines():
                if line and not line.startswith((" ", "Traceback")):
                    lines[f"{path.stem}: {line}"] += 1
        return "\n".join(f"{count} x {line}" for line, count in lines.most_common(60))

    def _look_around(self) -> None:
        """Why somebody still has not had everything."""
        lines = [f"{c.name} {c.state()}" for c in self.consumers]
        with psycopg.connect(self.cluster.dsn(self.name), autocommit=True) as conn:
            lines += map(
                str,
                conn.execute(
                    "select pid, state, wait_event_type, wait_event, clock_timestamp() - state_change, backend_xid,"
                    " client_port, left(query, 100) from pg_stat_activity where datname = current_database()"
                ),
            )
        (self.folder / "end.log").write_text("\n".join(lines))

    def _look(self) -> Verdict:
        with psycopg.connect(self.cluster.dsn(self.name), autocommit=True) as conn:
            rows = self._rows(conn)
            marks = [row[0] for row in conn.execute("select mark from app.done")]
            inbox = [row[0] for row in conn.execute("select line from app.inbox order by n")]
        names = [consumer.name for consumer in self.consumers]
        return judge(
            read((self.folder / "written").glob("*.jsonl")),
            marks,
            rows,
            [*read(c.journal for c in self.consumers if c.journal.exists()), *inbox],
            consumers=names,
            exact=["exact"],
            before=self._before,
        )

    def _rows(self, conn: psycopg.Connection[Any]) -> dict[Row, str]:
        return {
            (table, str(key)): status
            for table in TABLES
            for key, status in conn.execute(f"select id, status from {table}".encode())
        }

    def _start(self, writers: bool = True) -> None:
        for consumer in self.consumers:
            consumer.start()
        if writers and (self._writers is None or self._writers.poll() is not None):
            self._writers = subprocess.Popen(
                [sys.executable, HERE / "writers.py", self._back.dsn, self.folder / "written",
                 str(self.dice.random())],
                stdin=subprocess.PIPE, stdout=self._complaints, stderr=self._complaints,
            )  # fmt: skip

    def _stop_writers(self) -> None:
        assert self._writers is not None
        self._writers.communicate(timeout=30)

    def _kill_writers(self) -> None:
        if self._writers is not None:
            self._writers.kill()
            self._writers.communicate()

    def _settle(self) -> None:
        """No transaction is open any more."""
        with psycopg.connect(self.cluster.dsn(self.name), autocommit=True) as conn:
            finish_forgotten(conn, self.dice, 0)
            wait_for(
                lambda: conn.execute(
                    "select count(*) = 0 from pg_stat_activity where datname = current_database()"
                    " and backend_xid is not null and pid <> pg_backend_pid()"
                ).fetchone()[0],  # type: ignore[index]
                20,
                what="no transaction is open",
            )

    def _kill_consumer(self) -> None:
        self.dice.choice(self.consumers).kill()

    def _take_over(self) -> None:
        self.dice.choice(
            [c for c in self.consumers if c.name in ("sync", "async", "sql", "exact")]
        ).take_over()

    def _cut_consumers(self) -> None:
        self._front.cut()
        self._side.cut()

    def _freeze_consumers(self) -> None:
        self._freeze(self._front)

    def _cut_writers(self) -> None:
        self._back.cut()

    def _freeze_writers(self) -> None:
        self._freeze(self._back)

    def _freeze(self, proxy: Proxy) -> None:
        proxy.freeze()
        time.sleep(self.dice.uniform(0.3, 1.5))
        proxy.thaw()
        if self.dice.random() < 0.5:
            proxy.cut()

    def _terminate(self) -> None:
        with psycopg.connect(self.cluster.dsn(self.name), autocommit=True) as conn:
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid() and random() < 0.3"
            )

    def _restart(self) -> None:
        self.cluster.restart("fast")

    def _crash(self) -> None:
        self.cluster.kill()
        self.cluster.start()

    def _promote(self) -> None:
        """Nothing is lost: what was answered had reached the replica."""
        assert self.replica is not None
        self.cluster.kill()
        self.replica.promote()
        self.cluster = self.replica
        with psycopg.connect(self.cluster.dsn(), autocommit=True) as conn:
            conn.execute("alter system reset synchronous_standby_names")
            conn.execute("select pg_reload_conf()")
        for proxy in (self._front, self._back, self._side):
            proxy.aim(self.cluster.dsn(self.name))
            proxy.cut()
