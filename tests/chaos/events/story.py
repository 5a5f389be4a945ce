"""One history of writers, consumers, and what is done to them, drawn from a seed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from brokers import Redis
from chaos.events.verdict import Row, Verdict, judge, read
from chaos.events.writers import SCHEMA, TABLES, finish_forgotten
from helpers import wait_for
from recovery.cluster import Cluster, _free_port
from tcp_proxy import Proxy

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
#: Ends a line that kill -9 has cut off.
TORN = b"\0\n"
#: What may happen, and how often.
FAULTS = {
    "kill consumer": 8, "take over": 3, "cut consumers": 3, "freeze consumers": 2, "kill writers": 1,
    "cut writers": 2, "freeze writers": 1, "terminate": 3, "restart": 1, "crash": 1, "promote": 1,
    "kill broker": 1,
}  # fmt: skip
#: Of the cluster of a story.
SETTINGS = {
    "max_prepared_transactions": 60,
    "deadlock_timeout": "100ms",
    "log_min_messages": "fatal",
}
#: Seconds until consumers that can work again must have had everything.
BOUND = 40.0


@dataclass
class Part:
    """A process of a consumer, started again when it ends; what it prints goes to `prints`."""

    command: list[str]
    complaints: Path
    env: dict[str, str] = field(default_factory=dict)
    prints: Path | None = None

    def __post_init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._old: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """If it does not run."""
        if self.process is not None and self.process.poll() is None:
            return
        with (
            self.complaints.open("ab") as errors,
            (self.prints or self.complaints).open("ab") as out,
        ):
            if self.prints:
                out.write(TORN)
                out.flush()
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
            )

    def kill(self) -> None:
        for process in (self.process, *self._old):
            if process is not None:
                process.kill()
                process.wait()
        self._old.clear()

    def take_over(self) -> None:
        """Another process begins while the old one still runs."""
        if self.process is not None:
            self._old.append(self.process)
            self.process = None
        self.start()


@dataclass
class Consumer:
    """Processes that lead to a journal.

    Attributes:
        shared: whether a second process of the first part may begin to read as this consumer.
        keeps: whether it keeps its position itself, so that the database keeps no events for it.
    """

    name: str
    journal: Path
    parts: list[Part]
    shared: bool = False
    keeps: bool = False

    def start(self) -> None:
        for part in self.parts:
            part.start()

    def state(self) -> str:
        lines = self.journal.read_text().splitlines() if self.journal.exists() else []
        ended = [(part.process and part.process.pid, part.process and part.process.poll())
                 for part in self.parts]  # fmt: skip
        return f"pid and end {ended}, {len(lines)} lines, {lines[-1:]}"

    def reads(self) -> bool:
        return self.journal.exists() and self.journal.stat().st_size > 100

    def close(self) -> None:
        for part in self.parts:
            part.kill()

    def lines(self) -> list[dict[str, Any]]:
        """What it was told."""
        if not self.journal.exists():
            return []
        if self.name != "node":
            return read([self.journal])
        # What the example of the documentation prints.
        found = []
        for line in self.journal.read_text().split("\n")[:-1]:
            if line and TORN.decode().strip("\n") not in line:
                id_, kind, watch, key = line.split(" ", 3)
                found.append(
                    {"consumer": "node", "id": int(id_), "kind": kind, "watch": watch, "key": key}
                )
        return found


class Story:
    """A history: `run`, `judge`.

    Args:
        cluster: of its own; it is stopped and restarted.
        replica: of it, synchronous unless it `loses`; it may be promoted.
        seconds: of faults.
        node_modules: with node-postgres; None: the example in node takes no part.
        loses: in the middle a replica is promoted that has lost the newest transactions.
        drops: in the middle events are dropped that are a second old, but for those who were away.
        truncates: watched tables, now and then.
        writers: how many; with few there is less of everything.
        kinds: of consumers; None: all.
    """

    def __init__(
        self,
        cluster: Cluster,
        replica: Cluster | None,
        name: str,
        seed: int,
        seconds: float,
        *,
        node_modules: Path | None = None,
        loses: bool = False,
        drops: bool = False,
        truncates: bool = False,
        writers: int = 20,
        kinds: Collection[str] | None = None,
    ) -> None:
        self.cluster, self.replica, self.name, self.seed, self.seconds = (
            cluster,
            replica,
            name,
            seed,
            seconds,
        )
        self.node_modules = node_modules
        self.loses, self.drops, self.truncates = loses, drops, truncates
        self._count, self._kinds = writers, kinds
        self.crash: float | None = None  # when the tail was lost
        self.floor = 0  # up to which id events were dropped
        self._asleep: set[str] = set()  # consumers that are not started
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
        self.consumers = self._make_consumers()
        for consumer in self.consumers:
            self._ends.callback(consumer.close)
        if self.drops:
            self._asleep.add("lazy")
        self._writers: subprocess.Popen[bytes] | None = None
        self._complaints = self._ends.enter_context((self.folder / "writers.log").open("ab"))
        self._ends.callback(self._kill_writers)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def _make_consumers(self) -> list[Consumer]:
        """One of each kind; those that need what is not installed are left out, and named."""
        front = self._front.dsn
        ours = [str(HERE / "consumers.py")]

        def wanted(kind: str) -> bool:
            return self._kinds is None or kind in self._kinds

        def journal(kind: str) -> Path:
            return self.folder / f"{kind}.jsonl"

        def part(kind: str, *command: str, env: dict[str, str] | None = None) -> Part:
            path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
            return Part(
                [sys.executable, *command],
                self.folder / f"{kind}.log",
                {"PYTHONPATH": path, **(env or {})},
            )

        def one(kind: str, place: str, *parts: Part, **options: bool) -> Consumer:
            last = part(kind, *ours, kind, kind, place, str(journal(kind)))
            return Consumer(kind, journal(kind), [*parts, last], **options)

        found = [one(kind, front, shared=True) for kind in ("sync", "async", "sql", "exact")]
        found += [one(kind, front, keeps=True) for kind in ("bus", "read", "page")]
        if self.drops:
            found.append(one("lazy", front))
            self._execute("select recovery.create_consumer('lazy', 0)")
        if self.replica:
            found.append(one("standby", self._side.dsn, keeps=True))
        # A real server, and a client that goes from one to the next.
        port = _free_port()
        served = part(
            "sse", "-m", "uvicorn", "--app-dir", str(ROOT / "tests/python/asgi"), "app:app",
            "--port", str(port), "--log-level", "warning", "--timeout-graceful-shutdown", "1",
            env={"RECOVERY_DSN": front},
        )  # fmt: skip
        found.append(one("sse", f"http://127.0.0.1:{port}/rows", served, keeps=True))
        # A dispatcher, and a receiver. Nobody else would read for it.
        if wanted("webhook"):
            port = _free_port()
            with psycopg.connect(self.cluster.dsn(self.name), autocommit=True) as conn:
                conn.execute(
                    "select recovery.add_webhook('hook', %s, p_watch => '{app.task}', p_after => 0, p_allow => '{127.0.0.1}',"
                    " p_timeout => '2 s', p_backoff => '0.1 s', p_max_backoff => '1 s', p_max_attempts => 100,"
                    " p_concurrency => 16)",
                    (f"http://127.0.0.1:{port}/",),
                )
            sent = part("webhook", "-m", "recovery.cli", "webhooks", "run", "--quiet", "--poll", "0.3",
                        "--dsn", front)  # fmt: skip
            found.append(one("webhook", str(port), sent, shared=True))
        # A relay, a broker, and who reads there.
        self.broker: Redis | None = None
        if wanted("broker") and Redis.missing() is None:
            self.broker = self._ends.enter_context(Redis())
            relayed = part(
                "broker", "-m", "recovery.cli", "relay", self.broker.url, "--subject=events.{watch}",
                "--after=0", "--limit=200", env={"RECOVERY_DSN": front},
            )  # fmt: skip
            found.append(one("broker", self.broker.url, relayed, shared=True))
        # Where ids come again its lines would not say which event they mean.
        if self.node_modules is not None and not self.loses:
            parts = urlsplit(front)
            node = Part(
                ["node", str(ROOT / "examples/consumers/consumer.js")],
                self.folder / "node.log",
                {"NODE_PATH": str(self.node_modules), "PGHOST": "127.0.0.1", "PGUSER": "postgres",
                 "PGPORT": str(parts.port), "PGDATABASE": parts.path.strip("/")},
                prints=self.folder / "node.txt",
            )  # fmt: skip
            found.append(Consumer("node", self.folder / "node.txt", [node], shared=True))
        return [one for one in found if wanted(one.name)]

    def run(self) -> None:
        """Faults for so long; then everything is let go, and comes to an end."""
        self._start(writers=False)
        self._open_some()
        for consumer in self.consumers:
            if consumer.name != "exact" and consumer.name not in self._asleep:
                wait_for(
                    lambda c=consumer: c.reads() or self._start(writers=False), 60, interval=0.1,
                    what=f"{consumer.name} reads",
                )  # fmt: skip
        self._start()
        wait_for(lambda: self._written() > 1, 60, interval=0.1, what="somebody writes")
        self._do_for(self.seconds / 2)
        if self.loses:
            self._lose()
        elif self.drops:
            self._drop()
        self._do_for(self.seconds / 2)
        self._stop_writers()
        self._settle()

    def _written(self) -> int:
        """How many have something in their journals."""
        return sum(f.stat().st_size > 0 for f in (self.folder / "written").glob("*.jsonl"))

    def _open_some(self) -> None:
        """So that everybody has something to read before the writers begin."""
        steps = [
            [table, key, 1, None, "running", "first#0"]
            for table in TABLES
            for key in range(101, 116)
        ]
        with (self.folder / "written" / "first.jsonl").open("w") as journal:
            for line in ({"steps": steps, "at": time.time()}, {"end": "committed"}):
                journal.write(json.dumps({"tx": "first", **line}) + "\n")
        self._execute(
            "insert into app.job select n, 'running', 1, 'first#0' from generate_series(101, 115) as n;"
            "insert into app.task select n, 0, 'running', 1, 'first#0' from generate_series(101, 115) as n;"
            "insert into app.done values ('first')"
        )

    def _do_for(self, seconds: float) -> None:
        """Something now and then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(self.dice.uniform(0.1, 0.6))
            fault = self.dice.choices(list(FAULTS), list(FAULTS.values()))[0]
            if fault == "promote" and (
                self.replica is None or self.loses or "promote" in self.done
            ):
                continue
            self._do(fault)

    def _do(self, fault: str) -> None:
        self.done.append(fault)
        getattr(self, "_" + fault.replace(" ", "_"))()
        self._start()

    def judge(self) -> Verdict:
        """What is found, once every consumer has had what it will ever have."""
        end, left = 0.0, 0
        while True:
            verdict = self._look()
            missing = sum(verdict.missing.values())
            if not missing:
                break
            if missing != left:  # it gets on
                end, left = time.monotonic() + BOUND, missing
            if time.monotonic() > end:
                self.look_around()
                break
            self._start(writers=False)
            self._expire_claims()
            time.sleep(1)
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

    def _expire_claims(self) -> None:
        """What a dispatcher that was killed had begun counts as under way for a while."""
        self._execute("update recovery.clock set shift = shift + interval '3 seconds'")

    def look_around(self) -> None:
        """Why somebody still has not had everything."""
        lines = [f"{c.name} {c.state()}" for c in self.consumers]
        with psycopg.connect(self.cluster.dsn(self.name), autocommit=True) as conn:
            lines += map(
                str, conn.execute("select name, newest, gaps, seen from recovery.consumer")
            )
            lines += map(
                str,
                conn.execute(
                    "select relation::regclass, mode, granted, pid, virtualtransaction from pg_locks"
                    " where relation::regclass::text like 'recovery.outbox_slot%'"
                ),
            )
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
            lines = [row[0] for row in conn.execute("select line from app.inbox order by n")]
        names = [consumer.name for consumer in self.consumers]
        return judge(
            read((self.folder / "written").glob("*.jsonl")),
            marks,
            rows,
            filter(self._counts, [*(line for c in self.consumers for line in c.lines()), *lines]),
            consumers=names,
            exact=["exact"],
            by_key=["webhook"],
            only={"webhook": ["app.task"]},
            before=self._before,
            crash=self.crash,
            gaps=["lazy", "sse"] if self.drops else (),
            dropped={c.name: self.floor for c in self.consumers if c.keeps and self.floor},
        )

    def _counts(self, line: dict[str, Any]) -> bool:
        """Whether what was told is of a row, or a gap that has to be justified."""
        consumer, kind = line["consumer"], line["kind"]
        if kind == "gap" and consumer == "sse" and not self.drops:
            return False  # it may have lost something, and gets all of it again
        if self.truncates and kind in ("broken", "repaired"):
            return False  # a sweep has waited in vain for a table
        # A transaction that can't see all that goes; node's lines don't say it.
        why = line.get("new", {"why": "truncated"}).get("why")
        return not (self.truncates and kind == "gap" and why == "truncated")

    def _rows(self, conn: psycopg.Connection[Any]) -> dict[Row, str]:
        return {
            (table, str(key)): status
            for table in TABLES
            for key, status in conn.execute(f"select id, status from {table}".encode())
        }

    def _start(self, writers: bool = True) -> None:
        for consumer in self.consumers:
            if consumer.name not in self._asleep:
                consumer.start()
        if writers and (self._writers is None or self._writers.poll() is not None):
            self._writers = subprocess.Popen(
                [sys.executable, HERE / "writers.py", self._back.dsn, self.folder / "written",
                 str(self.dice.random()), str(self._count), *(["truncate"] if self.truncates else [])],
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
        self.dice.choice([part for c in self.consumers for part in c.parts]).kill()

    def _take_over(self) -> None:
        self.dice.choice([c for c in self.consumers if c.shared]).parts[0].take_over()

    def _kill_broker(self) -> None:
        if self.broker is not None:
            self.broker.kill()
            self.broker.start()

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

    def _lose(self) -> None:
        """A replica that is behind at the moment of the crash: what consumers had is no more."""
        assert self.replica is not None
        with psycopg.connect(self.replica.dsn(), autocommit=True) as conn:
            conn.execute("alter system set primary_conninfo = ''")
            conn.execute("select pg_reload_conf()")
            receiving = "select count(*) from pg_stat_wal_receiver"
            wait_for(lambda: conn.execute(receiving).fetchone() == (0,), 20, what="it is cut off")
        self.done.append("cut off the replica")
        (bus,) = (consumer for consumer in self.consumers if consumer.name == "bus")
        size = bus.journal.stat().st_size
        wait_for(lambda: self._start() or bus.journal.stat().st_size > size + 3000, 60, interval=0.1,
                 what="consumers have what will be lost")  # fmt: skip
        self._do_for(self.dice.uniform(0.3, 1.5))
        self.done.append("lose the tail")
        self._promote()
        self._start()

    def _drop(self) -> None:
        """Events of seconds ago go; the consumer that is away counts as abandoned, and comes back."""
        self._execute("select recovery.configure('event_retention', '6 s')")
        self._execute("update recovery.consumer set seen = '-infinity' where name = 'lazy'")
        self._dropped()  # the next partition begins; who writes in this one has to end
        self._do_for(7)
        wait_for(self._dropped, 60, interval=0.1, what="events are dropped")
        self._do_for(self.dice.uniform(0.3, 1.5))
        self._dropped()
        self._execute("select recovery.configure('event_retention', null)")
        self.done.append(f"drop up to {self.floor}")
        self._asleep.clear()
        self._start()

    def _dropped(self) -> bool:
        """Whether a sweep has found something to drop, up to now."""
        self._start()
        self._execute("select recovery._prune_old(true)")
        ((self.floor,),) = self._execute("select id from recovery.event_floor")
        return self.floor > 0

    def _execute(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.cluster.dsn(self.name), autocommit=True) as conn:
            done = conn.execute(query.encode())
            return done.fetchall() if done.description else []

    def _promote(self) -> None:
        """If it is synchronous nothing is lost: what was answered had reached the replica."""
        assert self.replica is not None
        self.cluster.kill()
        if self.loses:
            self.crash = time.time()
        self.replica.promote()
        self.cluster = self.replica
        with psycopg.connect(self.cluster.dsn(), autocommit=True) as conn:
            conn.execute("alter system reset synchronous_standby_names")
            conn.execute("select pg_reload_conf()")
        for proxy in (self._front, self._back, self._side):
            proxy.aim(self.cluster.dsn(self.name))
            proxy.cut()
