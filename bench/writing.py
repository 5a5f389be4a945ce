"""INSERT and five UPDATEs of a row, six commits, by pgbench: a watched table against a bare one."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import _setup
from bench._setup import Options
from recovery._postgres import Cluster

_TABLE = """
    create table public.job (id bigint generated always as identity primary key, status text not null,
        output text not null default '', error text, started_at timestamptz not null default now(),
        finished_at timestamptz)
"""
_ATTACH = """
    select recovery.attach('public.job', p_open => 'status = ''running''', p_close => jsonb_build_object(
        'status', '''failed''', 'error', 'c.message', 'finished_at', 'c.at'))
"""
#: Opened, four times streamed to, closed; each statement is a transaction.
_SCRIPT = r"""
insert into public.job (status) values ('running') returning id \gset
update public.job set output = output || repeat('x', 100) where id = :id;
update public.job set output = output || repeat('x', 100) where id = :id;
update public.job set output = output || repeat('x', 100) where id = :id;
update public.job set output = output || repeat('x', 100) where id = :id;
update public.job set status = 'completed', finished_at = now() where id = :id;
"""


@dataclass
class Contender:
    """A database, and the environment of its writers."""

    dsn: str
    epoch: int | None
    watched: bool
    tps: dict[int, list[float]] = field(default_factory=dict)


def run(options: Options) -> None:
    """Each way to flush, without and with a listener."""
    for flush in options.flush or ("off", "2ms"):
        with _setup.cluster(options, flush) as server, tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "script.sql"
            script.write_text(_SCRIPT)
            contenders = _contenders(options, server)
            for listening in (False, True):
                _compare(options, server, contenders, script, flush, listening)


def _contenders(options: Options, server: Cluster) -> dict[str, Contender]:
    dsn = server.create_database("bare")
    with _setup.connect(dsn) as conn:
        conn.execute(_TABLE)
    found = {"bare": Contender(dsn, None, watched=False)}
    for label, source in options.labels().items():
        dsn = server.create_database(f"job_{label}")
        _setup.install(dsn, source)
        with _setup.connect(dsn) as conn:
            conn.execute(_TABLE)
            conn.execute(_ATTACH.encode())
            row = conn.execute("call recovery.boot('bench', p_lease => '1 day')").fetchone()
            assert row is not None
        found[label] = Contender(dsn, int(row[0]), watched=True)
    return found


def _compare(
    options: Options,
    server: Cluster,
    contenders: dict[str, Contender],
    script: Path,
    flush: str,
    listening: bool,
) -> None:
    for contender in contenders.values():
        contender.tps = {clients: [] for clients in options.clients}
    for clients in options.clients:
        for number in range(options.rounds):
            # There and back again, so that none always runs first.
            for label in list(contenders)[:: -1 if number % 2 else 1]:
                contender = contenders[label]
                with _listener(contender if listening else None):
                    tps = _pgbench(options, server, contender, script, clients)
                contender.tps[clients].append(tps)
                _setup.say(f"  {label}, {clients} clients: {tps * 6:.0f} commits/s")
    bare, *rest = contenders
    rows = []
    for label in rest:
        for clients in options.clients:
            base, other = contenders[bare].tps[clients], contenders[label].tps[clients]
            ratios = [b / a for a, b in zip(base, other, strict=True)]
            rows.append([label, clients, f"{_setup.median(base) * 6:.0f}", f"{_setup.median(other) * 6:.0f}",
                         f"{_setup.median(ratios):.2f}", f"{min(ratios):.2f}-{max(ratios):.2f}"])  # fmt: skip
    note = f"flush {flush}, {'one listener' if listening else 'nobody listens'}"
    _setup.show(
        f"Writing, commits/s (PostgreSQL {server.major}, {note})",
        ["", "clients", "bare", "watched", "ratio", "rounds"],
        rows,
    )


@contextmanager
def _listener(contender: Contender | None) -> Iterator[None]:
    """Someone who listens while the writers write."""
    if contender is None:
        yield
        return
    stop = threading.Event()

    def listen(dsn: str) -> None:
        with _setup.connect(dsn) as conn:
            conn.execute("listen recovery")
            while not stop.is_set():
                for _ in conn.notifies(timeout=0.2):
                    pass

    thread = threading.Thread(target=listen, args=(contender.dsn,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _pgbench(
    options: Options, server: Cluster, contender: Contender, script: Path, clients: int
) -> float:
    """Scripts a second, on an empty table."""
    with _setup.connect(contender.dsn) as conn:
        conn.execute("truncate public.job" + (", recovery.event" if contender.watched else ""))
        conn.execute("checkpoint")
    environment = dict(os.environ)
    if contender.epoch is not None:
        environment["PGOPTIONS"] = f"-c recovery.server_epoch={contender.epoch}"
    command = [server.binaries.bin_dir / "pgbench", "-n", "-M", "prepared", "-f", script,
               "-c", clients, "-j", min(clients, 2), "-T", options.seconds, contender.dsn]  # fmt: skip
    done = subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    match = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode or match is None:
        raise RuntimeError(f"pgbench failed:\n{done.stdout}{done.stderr}")
    return float(match[1])
