"""Events: what they cost writers beside listeners, how soon they come, how fast one catches up, and how they go."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any

import psutil
import psycopg

import recovery
from bench import _setup
from bench._setup import Options
from bench.writing import LIVES
from recovery.cluster import Cluster

_TABLE = """
    create table public.job (id bigint generated always as identity primary key, status text not null,
        error text, started_at timestamptz not null default now(), finished_at timestamptz)
"""
_ATTACH = """
    select recovery.attach('public.job', p_open => 'status = ''running''', p_events => '{events}', p_close =>
        jsonb_build_object('status', '''failed''', 'error', 'c.message', 'finished_at', 'c.at'))
"""
#: What is written without us: every commit wakes every listener.
_NOTIFY = """
    create function public.ring() returns trigger language plpgsql as $$
    begin
        perform pg_notify('recovery', new.id::text);
        return null;
    end $$;
    create trigger rings after insert or update on public.job for each row
        when (new.status <> 'queued') execute function public.ring()
"""
_WRITERS = 32
_LISTENERS = 50
#: Seconds; what one database does before the next one's turn.
_SLICE = 0.5
_HERE = Path(__file__).parents[1]

#: Connections that hear each wake-up, in a process of their own.
_LISTEN = """
import selectors, sys, psycopg
dsn, count = sys.argv[1], int(sys.argv[2])
found = selectors.DefaultSelector()
for _ in range(count):
    conn = psycopg.connect(dsn, autocommit=True)
    conn.execute("listen recovery")
    found.register(conn.fileno(), selectors.EVENT_READ, conn)
print("ready", flush=True)
while True:
    for key, _ in found.select():
        key.data.pgconn.consume_input()
        while key.data.pgconn.notifies():
            pass
"""
#: When each key was heard of: by a raw LISTEN whose payload it is, by a bus, by a named consumer.
_HEAR = {
    "raw LISTEN": """
with psycopg.connect(dsn, autocommit=True) as conn:
    conn.execute("listen raw")
    print("ready", flush=True)
    for notify in conn.notifies():
        hear(notify.payload)
""",
    "recovery.listen": """
with recovery.listen(dsn) as bus, bus.subscribe(kind="opened") as events:
    print("ready", flush=True)
    for event in events:
        hear(event.key)
""",
    "recovery.consume": """
with recovery.consume(dsn, "bench", kind="opened") as events:
    print("ready", flush=True)
    for event in events:
        hear(event.key)
""",
}
_HEARING = """
import json, sys, time, psycopg, recovery
dsn, count, heard = sys.argv[1], int(sys.argv[2]), {}
def hear(key):
    heard[key] = time.perf_counter()
    if len(heard) == count:
        print(json.dumps(heard), flush=True)
        sys.stdin.read()
        sys.exit()
"""


def run(options: Options) -> None:
    """Each on a fresh server; what waits for a COMMIT also with durable ones, as PostgreSQL is by default."""
    for name, part in PARTS.items():
        if not options.parts or name in options.parts:
            for flush in options.flush or (("disk", "off") if part in _COMMITTING else ("off",)):
                with _setup.cluster(options, flush) as server:
                    _setup.say(f"{name}, flush {flush}, load {os.getloadavg()[0]:.1f}")
                    part(options, server)


def writers(options: Options, server: Cluster) -> None:
    """Commits a second of 32 writers, 50 connections listening; and with nobody. The server's CPU for each."""
    made: dict[str, str] = {}
    epochs: dict[str, int] = {}
    for label, events in (
        ("bare table", ""),
        ("NOTIFY per commit", ""),
        ("events off", "closed"),
        ("events on", "all"),
    ):
        made[label] = dsn = server.create_database(label.replace(" ", "_").lower())
        with _setup.connect(dsn) as conn:
            if events:
                _setup.install(dsn, next(iter(options.labels().values())))
            conn.execute((_TABLE + (";" + _NOTIFY if label.startswith("NOTIFY") else "")).encode())
            if events:
                conn.execute(_ATTACH.format(events=events).encode())
                row = conn.execute("call recovery.boot('bench', p_lease => '1 day')").fetchone()
                assert row is not None
                epochs[label] = int(row[0])
    cells: dict[str, list[object]] = {label: [label] for label in made}
    for listeners in (0, _LISTENERS):
        found = _in_turn(options, server, made, epochs, listeners)
        base, _ = found["events off"]
        for label, (tps, cpu) in found.items():
            low, high = _interval(tps, base)
            cells[label] += [f"{sum(tps) / len(tps):.0f}", f"{sum(tps) / sum(base):.2f}", f"{low:.2f}-{high:.2f}",
                             f"{_setup.median(cpu):.0f}"]  # fmt: skip
    _setup.show(
        f"{_WRITERS} writers (claim), commits/s, to the same watch with events => 'closed' (PostgreSQL {server.major}, "
        f"fsync {server.settings['fsync']}, {_slices(options)} slices of {_SLICE} s)",
        ["", "nobody listens", "ratio", "95 %", "CPU µs",
         f"{_LISTENERS} listen", "ratio (wanted 0.80)", "95 %", "CPU µs"],
        list(cells.values()),
    )  # fmt: skip


def latency(options: Options, server: Cluster) -> None:
    """COMMIT sent until a subscriber has it, when nothing else happens; in turn with the raw one, 60 ms apart."""
    dsn = server.create_database("latency")
    _setup.install(dsn, next(iter(options.labels().values())))
    rows = []
    with _setup.connect(dsn) as conn:
        conn.execute(_TABLE)
        conn.execute(_ATTACH.format(events="all").encode())
        for label in list(_HEAR)[1:]:
            raw, ours = _latencies(conn, dsn, label, 100 * options.rounds)
            rows.append([label, *(cell for share in (0.5, 0.9, 0.99) for cell in (
                f"{_at(ours, share):.2f}", f"{_at(raw, share):.2f}",
                f"{_at(ours, share) / _at(raw, share):.2f}"))])  # fmt: skip
    _setup.show(
        f"COMMIT → subscriber, ms, idle (PostgreSQL {server.major}, fsync {server.settings['fsync']}, "
        f"{100 * options.rounds} of each)",
        ["", "p50", "raw LISTEN", "ratio (wanted 1.5)", "p90", "raw", "ratio", "p99", "raw", "ratio (wanted 3)"],
        rows,
    )  # fmt: skip


def _latencies(
    conn: psycopg.Connection[Any], dsn: str, label: str, count: int
) -> tuple[list[float], list[float]]:
    """Of a raw LISTEN and of ours, in order of size."""
    raw = next(iter(_HEAR))
    with contextlib.ExitStack() as stack:
        hearing = {}
        for name in (raw, label):
            hearing[name] = process = subprocess.Popen(
                [sys.executable, "-c", _HEARING + _HEAR[name], dsn, str(count)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_HERE,
            )  # fmt: skip
            stack.callback(process.communicate)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        sent: dict[str, dict[str, float]] = {raw: {}, label: {}}
        for number in range(count):
            for name, times in sent.items():
                sleep(0.06)
                conn.execute("begin")
                status = "queued" if name == raw else "running"
                row = conn.execute(
                    "insert into public.job (status) values (%s) returning id", (status,)
                ).fetchone()
                assert row is not None
                if name == raw:
                    conn.execute("select pg_notify('raw', %s)", (str(row[0]),))
                times[str(row[0])] = perf_counter()
                conn.execute("commit")
            if number == 0:
                _setup.say(f"  {label}, load {os.getloadavg()[0]:.1f}")
        found = []
        for name, process in hearing.items():
            assert process.stdout is not None
            heard = json.loads(process.stdout.readline())
            found.append(sorted((at - sent[name][key]) * 1000 for key, at in heard.items()))
    return found[0], found[1]


def catch_up(options: Options, server: Cluster) -> None:
    """Events a second for those that were away while they were written.

    Reader and server take turns, so what both of them compute is the time on a machine that does nothing else.
    """
    rows = []
    for stored, per_record in (
        ("an event in a record", False),
        ("closings, a hundred in a record", True),
    ):
        dsn = _fill(server, options, per_record)
        for label, read in _READERS.items():
            took: list[float] = []
            own: list[float] = []
            other: list[float] = []
            for number in range(options.rounds):
                start, mine, theirs = perf_counter(), process_time(), _server_cpu(server)
                count = read(dsn, options.events, f"{label} {number}")
                took.append(perf_counter() - start)
                own.append(process_time() - mine)
                sleep(0.5)  # until the postmaster has counted what its children used
                other.append(_server_cpu(server) - theirs)
                if count < options.events:
                    raise AssertionError(f"{label}: {count} events instead of {options.events}")
            computed = _setup.median(own) + _setup.median(other)
            _setup.say(f"  {stored}, {label}: {options.events / _setup.median(took):.0f} events/s")
            rows.append([f"{label}, {stored}", f"{_setup.median(took):.2f}", _setup.spread(took),
                         f"{options.events / _setup.median(took):.0f}", f"{_setup.median(own):.2f}",
                         f"{_setup.median(other):.2f}", f"{options.events / computed:.0f}"])  # fmt: skip
        server.drop_database("events")
    _setup.show(
        f"Catching up with {options.events} events (PostgreSQL {server.major}, wanted 100000 events/s)",
        ["", "s", "", "events/s", "CPU s reader", "server", "events/CPU s"],
        rows,
    )


def retention(options: Options, server: Cluster) -> None:
    """The longest that a writer waited for a commit, before and while that many events are dropped."""
    quiet: list[float] = []
    dropping: list[float] = []
    took: list[float] = []
    for _ in range(options.rounds):
        dsn = _fill(server, options, False)
        with _setup.connect(dsn) as conn:
            conn.execute("update recovery.outbox set at = at - interval '30 days'")
            conn.execute("call recovery.sweep('bench')")  # the next partition begins
            conn.execute("insert into public.job (status) values ('queued')")
            row = conn.execute("call recovery.boot('bench', p_lease => '1 day')").fetchone()
            assert row is not None
            with _writing(options, server, dsn, int(row[0])) as read:
                sleep(options.seconds)
                before = perf_counter()
                quiet.append(read())
                start = perf_counter()
                conn.execute("select recovery._prune_old(true)")
                took.append(perf_counter() - start)
                sleep(max(0.5, options.seconds - (perf_counter() - before)))
                dropping.append(read())
            left = conn.execute(
                "select count(*) from recovery.event where at < now() - interval '20 days'"
            ).fetchone()
            assert left == (0,), left
        server.drop_database("events")
        _setup.say(
            f"  longest wait {quiet[-1]:.1f} ms before, {dropping[-1]:.1f} ms while events go"
        )
    _setup.show(
        f"{options.events} events dropped under 8 writers (PostgreSQL {server.major}, {options.rounds} rounds)",
        ["", "longest wait, ms (median)", "most", "the drop itself, ms"],
        [["before", f"{_setup.median(quiet):.1f}", f"{max(quiet):.1f}", ""],
         ["while they go", f"{_setup.median(dropping):.1f}", f"{max(dropping):.1f}",
          f"{_setup.median(took) * 1000:.0f}"]],
    )  # fmt: skip


def _server_cpu(server: Cluster) -> float:
    """Seconds of CPU that the server and all its processes have used, also those that are gone."""
    postmaster = psutil.Process(server.pid)
    used = 0.0
    for process in (postmaster, *postmaster.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used += times.user + times.system
            if process is postmaster:
                used += times.children_user + times.children_system
    return used


def _at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def _fill(server: Cluster, options: Options, per_record: bool) -> str:
    """A database in which that many events were written, by the triggers or by a boot that closes."""
    dsn = server.create_database("events")
    _setup.install(dsn, next(iter(options.labels().values())))
    with _setup.connect(dsn) as conn:
        conn.execute(_TABLE)
        if per_record:
            conn.execute(_ATTACH.format(events="closed").encode())
            row = conn.execute("call recovery.boot('dies')").fetchone()
            assert row is not None
            conn.execute("select set_config('recovery.server_epoch', %s, false)", (str(row[0]),))
        else:
            conn.execute(_ATTACH.format(events="all").encode())
        conn.execute(
            f"insert into public.job (status) select 'running' from generate_series(1, {options.events})".encode()
        )
        if per_record:
            conn.execute("call recovery.boot('dies', p_policy => 'replace')")
        conn.execute("vacuum (analyze) recovery.outbox")
        conn.execute("checkpoint")
    return dsn


def _consume(dsn: str, count: int, name: str) -> int:
    """As the loop in the documentation."""
    seen = 0
    with recovery.consume(dsn, name, after=0) as events:
        for _ in events:
            seen += 1
            if seen == count:
                break
    return seen


def _hear(dsn: str, count: int, name: str) -> int:
    listener = recovery.listen(dsn, after=0)
    with listener as bus, bus.subscribe(maxsize=count) as events:
        for _ in range(count):
            events.get(30)
    return count


def _fetch(dsn: str, count: int, name: str) -> int:
    seen = 0
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("select recovery.create_consumer(%s, 0)", (name,))
        while rows := conn.execute("select * from recovery.fetch(%s)", (name,)).fetchall():
            seen += len(rows)
            conn.execute("select recovery.acknowledge(%s)", (rows[-1][-1],))
    return seen


def _read(dsn: str, count: int, name: str) -> int:
    seen = last = 0
    with psycopg.connect(dsn, autocommit=True) as conn:
        while rows := conn.execute("select * from recovery.read(%s)", (last,)).fetchall():
            seen += len(rows)
            last = rows[-1][0]
    return seen


_READERS: dict[str, Callable[[str, int, str], int]] = {
    "recovery.consume": _consume,
    "recovery.listen": _hear,
    "SQL fetch": _fetch,
    "SQL read": _read,
}


@contextlib.contextmanager
def _listening(dsn: str, count: int) -> Iterator[None]:
    """Connections that listen, outside of the server and of this process."""
    if count == 0:
        yield
        return
    with subprocess.Popen(
        [sys.executable, "-c", _LISTEN, dsn, str(count)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def _writing(
    options: Options, server: Cluster, dsn: str, epoch: int
) -> Iterator[Callable[[], float]]:
    """Eight writers, a commit each; gives the longest wait in ms since it was asked last."""
    stop, lock, worst = threading.Event(), threading.Lock(), [0.0]

    def write() -> None:
        with _setup.connect(dsn) as conn:
            conn.execute("select set_config('recovery.server_epoch', %s, false)", (str(epoch),))
            while not stop.is_set():
                start = perf_counter()
                conn.execute("insert into public.job (status) values ('running')")
                took = (perf_counter() - start) * 1000
                with lock:
                    worst[0] = max(worst[0], took)

    def read() -> float:
        with lock:
            found, worst[0] = worst[0], 0.0
        return found

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        yield read
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _in_turn(
    options: Options, server: Cluster, made: dict[str, str], epochs: dict[str, int], listeners: int
) -> dict[str, tuple[list[float], list[float]]]:
    """Commits a second and their CPU in µs, of each database in each slice.

    All sessions of all databases are there from the beginning, warm; in each slice only one
    database's go on. So a machine whose speed changes slows each of them alike, and what a
    session does once, when it begins, is not counted. Whose sessions began last are some percent
    faster: half of the slices are with new sessions, begun in the other order.
    """
    found: dict[str, tuple[list[float], list[float]]] = {label: ([], []) for label in made}
    for order in (list(made), list(made)[::-1]):
        with _sessions(server, made, epochs, order, listeners) as (writing, asking):
            for number in range(_slices(options) // 2):
                for label in random.sample(list(made), len(made)):
                    commits, seconds, cpu = _slice(server, writing[label], asking[label])
                    if commits == 0 or writing[label].poll() is not None:
                        raise RuntimeError(f"{label}: pgbench does not write")
                    found[label][0].append(commits / seconds)
                    found[label][1].append(cpu / commits * 1e6)
                if number % 10 == 9:
                    _setup.say(
                        f"  {number + 1} slices, {listeners} listen: "
                        + ", ".join(
                            f"{label} {sum(tps) / len(tps):.0f}"
                            for label, (tps, _) in found.items()
                        )
                    )
    return found


@contextlib.contextmanager
def _sessions(
    server: Cluster,
    made: dict[str, str],
    epochs: dict[str, int],
    order: list[str],
    listeners: int,
) -> Iterator[tuple[dict[str, subprocess.Popen[str]], dict[str, psycopg.Connection[Any]]]]:
    """The writers of each database, warm and stopped, and a connection to ask it; begun in that order."""
    with contextlib.ExitStack() as stack:
        script = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "claim.sql"
        script.write_text(LIVES["claim"])
        writing: dict[str, subprocess.Popen[str]] = {}
        asking: dict[str, psycopg.Connection[Any]] = {}
        for label in order:
            stack.enter_context(_listening(made[label], listeners))
            asking[label] = stack.enter_context(_setup.connect(made[label]))
            writing[label] = stack.enter_context(
                _pgbench(server, made[label], script, epochs.get(label))
            )
            sleep(3)
            writing[label].send_signal(signal.SIGSTOP)
        yield writing, asking


def _slice(
    server: Cluster, writing: subprocess.Popen[str], asking: psycopg.Connection[Any]
) -> tuple[int, float, float]:
    """Lets these sessions go on for a slice: their commits, its seconds, the server's seconds of CPU."""
    claims, used, start = _claims(asking), _server_cpu(server), perf_counter()
    writing.send_signal(signal.SIGCONT)
    sleep(_SLICE)
    writing.send_signal(signal.SIGSTOP)
    took = perf_counter() - start
    sleep(0.02)  # until what was sent has ended
    return 3 * (_claims(asking) - claims), took, _server_cpu(server) - used


def _slices(options: Options) -> int:
    return max(2, round(options.rounds * options.seconds / _SLICE / 2) * 2)


def _claims(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute("select last_value from public.job_id_seq").fetchone()
    assert row is not None
    return int(row[0])


def _interval(ours: list[float], base: list[float]) -> tuple[float, float]:
    """Between which the ratio of the sums lies, with 95 %: a bootstrap over the slices."""
    ratios = []
    for _ in range(1000):
        drawn = random.choices(range(len(ours)), k=len(ours))
        ratios.append(sum(ours[n] for n in drawn) / sum(base[n] for n in drawn))
    ratios.sort()
    return ratios[24], ratios[974]


@contextlib.contextmanager
def _pgbench(
    server: Cluster, dsn: str, script: Path, epoch: int | None
) -> Iterator[subprocess.Popen[str]]:
    """Writers that go on until the end of the block."""
    environment = dict(os.environ)
    if epoch is not None:
        environment["PGOPTIONS"] = f"-c recovery.server_epoch={epoch}"
    command = [server.binaries.bin_dir / "pgbench", "-n", "-M", "prepared", "-f", script,
               "-c", _WRITERS, "-j", 2, "-T", 1_000_000, dsn]  # fmt: skip
    with subprocess.Popen(
        [str(part) for part in command],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


PARTS: dict[str, Callable[[Options, Cluster], None]] = {
    "writers": writers,
    "latency": latency,
    "catch-up": catch_up,
    "retention": retention,
}
_COMMITTING = (writers, latency)
