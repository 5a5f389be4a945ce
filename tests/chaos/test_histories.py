"""Random histories: servers work, die, hang, come back; an independent checker reads what happened.

RECOVERY_HISTORIES   how many (20)

The judged clock is moved in steps, and every server that lives beats for real between two of them:
however busy this machine is, no lease lapses that should not. Writers and sweepers run freely.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

import psycopg
import pytest

import recovery
from chaos.actors import value
from helpers import wait_for
from recovery import calls
from sql.jobs import Connection

pytestmark = pytest.mark.majors("newest")

HISTORIES = int(os.environ.get("RECOVERY_HISTORIES", "20"))
AT_ONCE = 5  # of one test
STEPS = 30
LEASE = 10.0


@dataclass
class Sim:
    """A server of this process, with a writer and a keeper connection of its own."""

    server: recovery.Server
    keeper: Connection | None
    writer: Connection
    dice: random.Random
    opened: set[int] = field(default_factory=set)
    finished: set[int] = field(default_factory=set)
    refusals: list[str] = field(default_factory=list)
    trouble: list[BaseException] = field(default_factory=list)
    #: [begin, end or None]: when it was doomed by us. Only then may its rows be closed.
    doomed: list[list[datetime | None]] = field(default_factory=list)
    paused: int = 0  # steps left
    dead: bool = False
    going: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)
    idle: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None

    @property
    def lives(self) -> bool:
        return not self.dead and not self.paused

    def work(self) -> None:
        """Opens and finishes rows, as fast as it goes."""
        held: list[int] = []
        while not self.over.wait(self.dice.random() * 0.01):
            self.going.wait()
            with self.idle:
                if self.over.is_set():
                    return
                try:
                    if len(held) < 4 or self.dice.random() < 0.45:
                        count = self.dice.randint(1, 3)
                        new = self.writer.execute(
                            "insert into app.job select from generate_series(1, %s) returning id",
                            (count,),
                        ).fetchall()
                        held += [row[0] for row in new]
                        self.opened.update(row[0] for row in new)
                    else:
                        key = held.pop(self.dice.randrange(len(held)))
                        self.writer.execute(
                            "update app.job set status = 'done' where id = %s", (key,)
                        )
                        self.finished.add(key)
                except psycopg.Error as error:
                    self.refusals.append(str(error.sqlstate))
                    if error.sqlstate in ("RC001", "RC011"):
                        return
                    self.trouble.append(error)
                    return


class History:
    """One of them: servers, actions, the end, the check."""

    def __init__(self, dsn: str, conn: Connection, seed: int, stack: ExitStack) -> None:
        self.dsn, self.conn, self.stack = dsn, conn, stack
        self.dice = random.Random(seed)
        self.seed = seed
        self.sims: list[Sim] = []
        self.log: list[str] = []
        self.after = int(value(conn, "select coalesce(max(id), 0) from recovery.event"))
        self._sweeping = threading.Event()
        self._sweeping.set()
        self._errors: list[BaseException] = []

    def connect(self) -> Connection:
        conn: Connection = psycopg.connect(self.dsn, autocommit=True)
        self.stack.callback(conn.close)
        return conn

    def now(self) -> datetime:
        now = value(self.conn, "select clock_timestamp()")
        assert isinstance(now, datetime)
        return now

    def boot(self, name: str) -> None:
        begun = self.now()
        server = recovery.boot(self.dsn, name, lease=LEASE, grace=2, host=f"host of {name}")
        for older in self.sims:
            # One that drains goes on; a boot can't know what else still lives.
            if older.server.name == name and older.server.epoch in server.report.ended:
                self._doom(older, begun)
        writer = self.connect()
        writer.execute(calls.session.set_epoch(server.epoch, local=False).encode())
        sim = Sim(server, None, writer, random.Random(self.dice.random()))
        sim.thread = threading.Thread(target=sim.work, daemon=True)
        self.sims.append(sim)
        sim.going.set()
        sim.thread.start()
        self._beat(sim)

    def run(self) -> None:
        for n in range(self.dice.randint(2, 5)):
            self.boot(self._name(n))
        sweepers = [
            threading.Thread(target=self._sweep, args=(n, self.connect()), daemon=True)
            for n in range(2)
        ]
        for thread in sweepers:
            thread.start()
        try:
            for _ in range(STEPS):
                self._tick()
                if self.dice.random() < 0.35:
                    self._act()
            for sim in self.sims:
                if sim.paused:
                    self._resume(sim)
            # Whoever is to be found dead is found within some leases.
            for _ in range(120):
                if not self._unburied():
                    break
                self._tick()
                self._watched()
        finally:
            self._sweeping.clear()
            for thread in sweepers:
                thread.join(30)
            for sim in self.sims:
                sim.over.set()
                sim.going.set()
                assert sim.thread is not None
                sim.thread.join(30)

    def check(self) -> tuple[int, int]:
        """What an observer sees that knows nothing of leases; (rows opened, rows closed)."""
        calls.run(self.conn, calls.closing.sweep("the last"))
        assert not self._errors, self._errors
        assert not [error for sim in self.sims for error in sim.trouble]
        assert not self._unburied(), self.log
        by_epoch = {sim.server.epoch: sim for sim in self.sims}
        closings = self.conn.execute(
            "select at, server_epoch, key::bigint, reason, detector from recovery.event"
            " where id > %s and kind = 'closed' and detector <> 'writer' order by id",
            (self.after,),
        ).fetchall()
        for at, epoch, key, reason, detector in closings:
            sim = by_epoch[epoch]
            fair = any(a <= at and (b is None or at <= b) for a, b in sim.doomed)  # type: ignore[operator]
            assert fair, (self.seed, "row of a live server closed", key, reason, detector, self.log)
            assert key not in sim.finished, (self.seed, "a finished row was closed", key, self.log)
        state = dict(self.conn.execute("select id, status from app.job").fetchall())
        closed = {key for _, _, key, _, _ in closings}
        for sim in self.sims:
            for key in sim.opened:
                ended = not sim.lives
                expected = {"done"} if key in sim.finished else {"failed"} if ended else {"running"}
                assert state[key] in expected, (self.seed, key, state[key], self._story(key))
                assert (state[key] == "failed") == (key in closed)
        live = [sim.server.epoch for sim in self.sims if sim.lives]
        orphans = value(
            self.conn,
            "select count(*) from app.job where status = 'running' and server_epoch <> all(%s)",
            live,
        )
        assert orphans == 0, (self.seed, self.log)
        for sim in self.sims:  # ended means ended
            write = "insert into app.job default values"
            if sim.lives:
                sim.writer.execute(write)
            elif not sim.writer.closed:
                with pytest.raises(psycopg.Error, match=str(sim.server.epoch)) as refused:
                    sim.writer.execute(write)
                assert refused.value.sqlstate == "RC001"
        for sim in self.sims:
            if sim.lives:
                sim.server.shutdown()
        assert value(self.conn, "select count(*) from app.job where status = 'running'") == 0
        return sum(len(sim.opened) for sim in self.sims), len(closings)

    def _story(self, key: int) -> str:
        """What became of a row, beside what we did."""
        rows = self.conn.execute(
            "select at, kind, server_epoch, reason, detector, new from recovery.event"
            " where key = %s order by id", (str(key),)
        )  # fmt: skip
        lines = [f"{at:%H:%M:%S.%f} row {key}: {rest}" for at, *rest in rows]
        return "\n".join(sorted(self.log + lines))

    def _name(self, n: int) -> str:
        return f"api-{self.seed}-{n}"

    def _unburied(self) -> list[int]:
        """Those that must end and have not."""
        gone = [sim.server.epoch for sim in self.sims if not sim.lives]
        rows = self.conn.execute(
            "select epoch from recovery.server where ended is null and epoch = any(%s)", (gone,)
        )
        return [row[0] for row in rows]

    def _watched(self) -> None:
        """Waits for a sweep after this moment: sweepers that starve look asleep, and hold death back."""
        now = value(self.conn, "select recovery._now()")
        wait_for(
            lambda: value(self.conn, "select swept >= %s from recovery.observation", now),
            30,
            what="a sweep",
        )

    def _tick(self) -> None:
        step = self.dice.uniform(0.3, 1.5)
        self.conn.execute(
            "update recovery.clock set shift = shift + make_interval(secs => %s)", (step,)
        )
        for sim in self.sims:
            if sim.lives:
                self._beat(sim)
            elif sim.paused and not sim.dead:
                sim.paused -= 1
                if not sim.paused:
                    self._resume(sim)

    def _beat(self, sim: Sim) -> None:
        if sim.keeper is None or sim.keeper.closed or sim.keeper.broken:
            sim.keeper = self.connect()
        send = partial(calls.run, sim.keeper)
        try:
            sim.server._beat(send, every=LEASE / 3)
        except recovery.ConnectionFailed:  # its backend was terminated
            sim.keeper = self.connect()
            sim.server._beat(partial(calls.run, sim.keeper), every=LEASE / 3)

    def _act(self) -> None:
        living = [sim for sim in self.sims if sim.lives]
        what = self.dice.choices(
            ("kill", "kill most", "pause", "boot", "again", "terminate", "shutdown", "heir", "evict", "sleep"),
            (5, 1, 5, 2, 5, 4, 2, 2, 1, 1),
        )[0]  # fmt: skip
        if what in ("boot", "again") or not living:
            n = self.dice.randrange(8) if what == "boot" else None
            name = self._name(n) if n is not None else self.dice.choice(self.sims).server.name
            self._note("boot", name)
            self.boot(name)
            return
        sim = self.dice.choice(living)
        self._note(what, sim)
        if what == "kill":
            self._kill(sim)
        elif what == "kill most":
            for other in self.dice.sample(living, max(1, len(living) - 1)):
                self._kill(other)
        elif what == "pause":
            self._doom(sim, self.now(), ended=False)
            sim.going.clear()
            with sim.idle:  # what it was just doing is done
                sim.paused = self.dice.randint(2, 25)
        elif what == "terminate":
            assert sim.keeper is not None
            pid = sim.keeper.info.backend_pid
            self.conn.execute("select pg_terminate_backend(%s)", (pid,))
        elif what == "sleep":
            # Everything stands still, this database, too: nobody is dead for that.
            by = self.dice.choice(("1 minute", "8 hours"))
            self.conn.execute("update recovery.clock set shift = shift + %s::interval", (by,))
            for other in living:
                self._beat(other)
        elif what == "evict":
            self._doom(sim, self.now())
            calls.run(self.conn, calls.server.evict(str(sim.server.epoch)))
        else:
            heir = next((s for s in living if s is not sim), None) if what == "heir" else None
            self._leave(sim, heir)

    def _kill(self, sim: Sim) -> None:
        self._doom(sim, self.now())
        sim.over.set()
        sim.going.set()
        with sim.idle:
            sim.writer.close()
        if sim.keeper is not None:
            sim.keeper.close()

    def _leave(self, sim: Sim, heir: Sim | None) -> None:
        self._doom(sim, self.now())
        sim.over.set()
        with sim.idle:
            pass
        if heir is not None:
            sim.server.shutdown(heir.server)
            for key in sim.opened - sim.finished:
                heir.opened.add(key)
            sim.opened &= sim.finished
        else:
            sim.server.shutdown()

    def _doom(self, sim: Sim, since: datetime, ended: bool = True) -> None:
        if not sim.doomed or sim.doomed[-1][1] is not None:
            sim.doomed.append([since, None])
        sim.dead = sim.dead or ended

    def _resume(self, sim: Sim) -> None:
        sim.paused = 0
        if sim.dead:
            sim.going.set()
            return
        try:
            self._beat(sim)
        except recovery.EpochEnded:
            sim.dead = True  # it stays doomed, and must not be able to write
        else:
            sim.doomed[-1][1] = self.now()
        self._note("resumed" if sim.lives else "fenced", sim)
        sim.going.set()

    def _note(self, what: str, who: Sim | str) -> None:
        name = who if isinstance(who, str) else f"{who.server.name}/{who.server.epoch}"
        self.log.append(f"{self.now():%H:%M:%S.%f} {what} {name}")

    def _sweep(self, n: int, conn: Connection) -> None:
        while self._sweeping.is_set():
            try:
                calls.run(conn, calls.closing.sweep(f"sweeper {n}"))
            except Exception as error:
                self._errors.append(error)
                return


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_ONCE))
def test_p1_p2_histories(
    dsn: str, jobs: Connection, first: int, record_property: Callable[..., None]
) -> None:
    """0 rows of live servers closed, and no orphan left."""
    opened = closed = 0
    for seed in range(first, min(first + AT_ONCE, HISTORIES)):
        with ExitStack() as stack:
            history = History(dsn, jobs, seed, stack)
            history.run()
            counts: tuple[Any, ...] = history.check()
        opened, closed = opened + counts[0], closed + counts[1]
    assert closed > 0
    record_property("rows", (opened, closed))
