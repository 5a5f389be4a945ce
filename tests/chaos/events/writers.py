"""Twenty writers who do at random what writers do, and write down what they have done.

    python writers.py DSN FOLDER SEED [COUNT [truncate]]

It ends at the end of its input. Journals: see verdict.py. Each transaction leaves its mark in
app.done, so that it can be known afterwards whether a COMMIT that was not answered took place.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import threading
import time
import uuid
from collections import deque
from pathlib import Path
from typing import Any

import psycopg

#: What the histories are about: a table whose closings are stored together, and a partitioned one
#: whose events carry the writer's mark; its rows move between the partitions.
SCHEMA = """
    create schema app;
    create table app.job (id bigint primary key, status text not null, step integer not null,
        mark text not null);
    create table app.task (id bigint, shard integer, status text not null, step integer not null,
        mark text not null, primary key (id, shard)) partition by list (shard);
    create table app.task_0 partition of app.task for values in (0);
    create table app.task_1 partition of app.task for values in (1);
    create table app.done (mark text primary key);
    create table app.inbox (n bigint generated always as identity, consumer text not null, line jsonb not null);
    insert into app.job select n, 'new', 0, '' from generate_series(1, 12) as n;
    insert into app.task select n, 0, 'new', 0, '' from generate_series(1, 12) as n;
    select recovery.attach('app.job', p_open => 'status = ''running''', p_close => '{"status": "''failed''"}');
    select recovery.attach('app.task', p_open => 'status = ''running''', p_close => '{"status": "''failed''"}',
        p_image => 'jsonb_build_object(''status'', r.status, ''mark'', r.mark)');
"""
#: Rows that everybody changes.
HOT = range(1, 13)
TABLES = ("app.job", "app.task")
#: Nobody waits longer for a row.
SESSION = "set lock_timeout = '200ms'; set idle_in_transaction_session_timeout = '20s'"

Connection = psycopg.Connection[Any]
#: Watch, key, number of the step, state before, state after, mark.
Step = tuple[str, int, int, str | None, str | None, str]

over = threading.Event()
#: Rows that a server opens at once; more than a hundred closings take more than one record.
bulks = [3, 60, 250]
#: Whether rows move between the partitions. Not where these are truncated: a sweep looks then which
#: keys were told as open and are not there, and those that rows have left are among them.
moving = True
#: Epochs of servers that were not ended yet, as far as known.
epochs: list[int] = []


class Worker(threading.Thread):
    """One connection at a time, and a journal."""

    def __init__(self, dsn: str, folder: Path, dice: random.Random, name: str) -> None:
        super().__init__(daemon=True)
        self.dsn, self.dice, self.called = dsn, dice, name
        self._journal = os.open(
            folder / f"{name}-{os.getpid()}.jsonl", os.O_CREAT | os.O_APPEND | os.O_WRONLY
        )
        self.keys: deque[tuple[str, int]] = deque(maxlen=60)

    def run(self) -> None:
        while not over.is_set():
            with contextlib.suppress(psycopg.Error):
                with psycopg.connect(self.dsn, autocommit=True, connect_timeout=5) as conn:
                    conn.execute(SESSION)
                    while not over.is_set():
                        self.work(conn)
            over.wait(0.1)

    def work(self, conn: Connection) -> None:
        """One transaction, or what a subclass does."""
        over.wait(self.dice.random() * 0.03)
        self.transact(conn, self.dice.choices(("short", "long", "prepared"), (84, 6, 10))[0])

    def say(self, **what: Any) -> None:
        os.write(self._journal, (json.dumps(what) + "\n").encode())

    def transact(self, conn: Connection, how: str, epoch: int | None = None, bulk: int = 0) -> None:
        mark = f"{self.called}.{uuid.uuid4().hex[:10]}"
        steps: list[Step] = []
        level = self.dice.choices(("read committed", "repeatable read", "serializable"), (8, 1, 1))
        try:
            conn.execute(f"begin isolation level {level[0]}".encode())
            if epoch is None and epochs and self.dice.random() < 0.5:
                epoch = self.dice.choice(epochs)
            if epoch is not None:
                conn.execute("select set_config('recovery.server_epoch', %s, true)", (str(epoch),))
            if how == "prepared":
                conn.execute("set local recovery.notify = 'off'")
            conn.execute("insert into app.done values (%s)", (mark,))
            if bulk:
                self._bulk(conn, mark, steps, bulk)
            else:
                for _ in range(self.dice.randint(1, 5)):
                    self._perhaps(conn, mark, steps)
            if how == "long":
                over.wait(self.dice.uniform(0.3, 2.5))
        except psycopg.Error:
            conn.execute("rollback")  # raises if the connection is lost, and then it is rolled back
            return
        self.say(tx=mark, steps=steps, at=time.time())
        if self.dice.random() < 0.2 and not bulk:
            conn.execute("rollback")
            self.say(tx=mark, end="rolled back")
        elif how == "prepared":
            conn.execute(f"prepare transaction '{mark}'".encode())
            over.wait(self.dice.uniform(0, 2.5))
            finish(conn, mark, self.dice)
        else:
            try:
                conn.execute("commit")
            except (psycopg.errors.IntegrityError, psycopg.errors.SerializationFailure):
                self.say(tx=mark, end="rolled back")
                return
            self.say(tx=mark, end="committed")
        self.keys.extend((watch, key) for watch, key, *_ in steps[:5])

    def _perhaps(self, conn: Connection, mark: str, steps: list[Step]) -> None:
        """A step, some in a savepoint, half of which are rolled back."""
        if self.dice.random() < 0.75:
            self._step(conn, mark, steps)
            return
        count = len(steps)
        conn.execute("savepoint s")
        try:
            self._step(conn, mark, steps)
        except psycopg.Error:
            conn.execute("rollback to savepoint s")
            del steps[count:]
            return
        if self.dice.random() < 0.5:
            conn.execute("rollback to savepoint s")
            del steps[count:]
        else:
            conn.execute("release savepoint s")

    def _step(self, conn: Connection, mark: str, steps: list[Step]) -> None:
        what = self.dice.choices(("insert", "copy", "upsert", "change"), (20, 6, 10, 64))[0]
        table = self.dice.choice(TABLES)
        if what == "change":
            self._change(conn, mark, steps)
        elif what == "upsert":
            self._upsert(conn, table, mark, steps)
        else:
            self._open(conn, table, mark, steps, what, self.dice.choice((1, 2, 5, 20)))

    def _open(
        self, conn: Connection, table: str, mark: str, steps: list[Step], what: str, count: int
    ) -> None:
        rows = []
        for _ in range(count):
            key = uuid.uuid4().int >> 66
            state = self.dice.choice(("running", "running", "running", "new"))
            stamp = f"{mark}#{len(steps)}"
            steps.append((table, key, 1, None, state, stamp))
            rows.append((key, state, 1, stamp))
        columns = "(id, status, step, mark)"
        if table == "app.task":
            columns = "(id, status, step, mark, shard)"
            rows = [(*row, self.dice.randint(0, 1)) for row in rows]
        with conn.cursor() as cursor:
            if what == "copy":
                with cursor.copy(f"copy {table} {columns} from stdin".encode()) as copy:
                    for row in rows:
                        copy.write_row(row)
            else:
                values = ", ".join(["%s"] * len(rows[0]))
                cursor.executemany(
                    f"insert into {table} {columns} values ({values})".encode(), rows
                )

    def _bulk(self, conn: Connection, mark: str, steps: list[Step], count: int) -> None:
        """Work of a server that is going to die: its closings are told up to a hundred at a time."""
        keys = [uuid.uuid4().int >> 66 for _ in range(count)]
        stamp = f"{mark}#0"
        steps.extend(("app.job", key, 1, None, "running", stamp) for key in keys)
        conn.execute(
            "insert into app.job select k, 'running', 1, %s from unnest(%s::bigint[]) as k",
            (stamp, keys),
        )

    def _upsert(self, conn: Connection, table: str, mark: str, steps: list[Step]) -> None:
        """Makes the row, or closes it if it is open."""
        key = self.dice.choice(HOT) if self.dice.random() < 0.5 else uuid.uuid4().int >> 66
        stamp = f"{mark}#{len(steps)}"
        shard = ", shard" if table == "app.task" else ""
        row = conn.execute(
            f"insert into {table} as t (id, status, step, mark{shard})"
            f" values (%(key)s, 'running', 1, %(mark)s{', 0' if shard else ''})"
            f" on conflict (id{shard}) do update set status = 'done', step = t.step + 1, mark = %(mark)s"
            " where t.status = 'running' returning step".encode(),
            {"key": key, "mark": stamp},
        ).fetchone()
        if row is None:
            return
        if key in HOT:
            if row[0] == 1 and shard:
                # It has moved to the other partition: now there are two of that name.
                raise psycopg.DataError("a second row of that id")
            steps.append((table, key, row[0], "running", "done", stamp))
        else:
            steps.append((table, key, 1, None, "running", stamp))

    def _change(self, conn: Connection, mark: str, steps: list[Step]) -> None:
        if not self.keys or self.dice.random() < 0.25:
            table, key = self.dice.choice(TABLES), self.dice.choice(HOT)
        else:
            table, key = self.dice.choice(self.keys)
        row = conn.execute(
            f"select status, step from {table} where id = %s for update".encode(), (key,)
        ).fetchone()
        if row is None:
            return
        was, number = row
        now: str | None
        if was == "running":
            now = self.dice.choices(("done", "running", None), (6, 2, 1))[0]
        else:
            now = self.dice.choices(("running", was, None), (6, 2, 1))[0]
        stamp = f"{mark}#{len(steps)}"
        if now is None and key not in HOT:
            conn.execute(f"delete from {table} where id = %s".encode(), (key,))
        else:
            now = now or was
            moves = table == "app.task" and moving and self.dice.random() < 0.25
            move = ", shard = 1 - shard" if moves else ""
            conn.execute(
                f"update {table} set status = %s, step = step + 1, mark = %s{move} where id = %s".encode(),
                (now, stamp, key),
            )
        steps.append((table, key, number + 1, was, now, stamp))


class Server(Worker):
    """Boots, opens many rows, and is ended: by a shutdown, by the next boot of its name, or by none."""

    def work(self, conn: Connection) -> None:
        policy = self.dice.choice(("supersede", "replace"))
        try:
            row = conn.execute("call recovery.boot(%s, p_policy => %s, p_lease => '1 day')",
                               (self.called, policy)).fetchone()  # fmt: skip
            assert row is not None
            epoch = int(row[0])
            epochs.append(epoch)
            for _ in range(self.dice.randint(1, 3)):
                self.transact(
                    conn,
                    self.dice.choice(("short", "prepared")),
                    epoch,
                    self.dice.choice(bulks),
                )
                over.wait(self.dice.uniform(0, 0.4))
            if self.dice.random() < 0.6:
                conn.execute("call recovery.shutdown(%s)", (epoch,))
                epochs.remove(epoch)
            elif len(epochs) > 4:
                del epochs[0]
        except psycopg.OperationalError:
            raise
        except psycopg.Error:  # it waited for a lock, or was ended meanwhile
            over.wait(0.1)


class Truncater(Worker):
    """Empties a watched table, and makes the rows anew that everybody changes."""

    def work(self, conn: Connection) -> None:
        over.wait(self.dice.uniform(0.2, 1.0))
        table = self.dice.choice(TABLES)
        mark = f"{self.called}.{uuid.uuid4().hex[:10]}"
        steps: list[Step] = []
        level = self.dice.choice(("read committed", "repeatable read"))
        try:
            conn.execute(f"begin isolation level {level}".encode())
            conn.execute("set local lock_timeout = '3s'")
            # The lock comes before the first look: see test_truncate_of_what_it_does_not_see.
            conn.execute(f"lock table {table} in access exclusive mode".encode())
            conn.execute("insert into app.done values (%s)", (mark,))
            found = conn.execute(f"select id, status, step from {table}".encode()).fetchall()
            conn.execute(f"truncate {table}".encode())
            for key, was, number in found:
                stamp = f"{mark}#{len(steps)}"
                steps.append((table, key, number + 1, was, None, stamp))
                if key in HOT:
                    shard = ", 0" if table == "app.task" else ""
                    conn.execute(
                        f"insert into {table} values (%s{shard}, 'new', %s, %s)".encode(),
                        (key, number + 2, stamp),
                    )
                    steps.append((table, key, number + 2, None, "new", stamp))
        except psycopg.Error:
            conn.execute("rollback")
            return
        self.say(tx=mark, steps=steps, at=time.time())
        if self.dice.random() < 0.3:
            conn.execute("rollback")
            self.say(tx=mark, end="rolled back")
        else:
            conn.execute("commit")
            self.say(tx=mark, end="committed")


class Sweeper(Worker):
    """Sweeps, and ends prepared transactions that nobody ends."""

    def work(self, conn: Connection) -> None:
        with contextlib.suppress(psycopg.errors.InternalError, psycopg.errors.LockNotAvailable):
            conn.execute("call recovery.sweep('chaos')")
        finish_forgotten(conn, self.dice)
        over.wait(0.4)


def finish(conn: Connection, mark: str, dice: random.Random) -> None:
    """Ends a prepared transaction; nobody writes down how, for its mark tells."""
    how = "commit" if dice.random() < 0.75 else "rollback"
    with contextlib.suppress(
        psycopg.errors.UndefinedObject, psycopg.errors.ObjectNotInPrerequisiteState
    ):
        conn.execute(f"{how} prepared '{mark}'".encode())


def finish_forgotten(conn: Connection, dice: random.Random, seconds: float = 4) -> None:
    """Ends what was prepared so long ago that its writer must have lost its connection."""
    forgotten = conn.execute(
        "select gid from pg_prepared_xacts where database = current_database()"
        " and prepared < clock_timestamp() - make_interval(secs => %s)", (seconds,)
    ).fetchall()  # fmt: skip
    for (mark,) in forgotten:
        finish(conn, mark, dice)


def main() -> None:
    global moving
    dsn, folder, seed = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 20
    if count < 20:
        bulks[:] = [3, 3, 3, 110]
    moving = "truncate" not in sys.argv[5:]
    dice = random.Random(seed)
    workers: list[Worker] = [
        Worker(dsn, folder, random.Random(dice.random()), f"w{n}") for n in range(count)
    ]
    workers += [
        Server(dsn, folder, random.Random(dice.random()), f"s{n}") for n in range(1 + count // 20)
    ]
    if not moving:
        workers.append(Truncater(dsn, folder, random.Random(dice.random()), "truncater"))
    workers.append(Sweeper(dsn, folder, random.Random(dice.random()), "sweeper"))
    for worker in workers:
        worker.start()
    sys.stdin.read()
    over.set()
    until = time.monotonic() + 15
    for worker in workers:
        worker.join(max(0, until - time.monotonic()))


if __name__ == "__main__":
    main()
