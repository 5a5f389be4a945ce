"""Lives of a row, a commit each step, by pgbench: a watched table against a bare one."""

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
from recovery.cluster import Cluster

_TABLE = """
    create table public.job (id bigint generated always as identity primary key, status text not null,
        output text not null default '', error text, started_at timestamptz not null default now(),
        finished_at timestamptz)
"""
_ATTACH = """
    select recovery.attach('public.job', p_open => 'status = ''running''', p_events => '{events}', p_close =>
        jsonb_build_object('status', '''failed''', 'error', 'c.message', 'finished_at', 'c.at'))
"""
#: What one writes by hand for the same end: no roles, no images, no bell, READ COMMITTED only.
_BY_HAND = """
    alter table public.job add column server_epoch bigint
        default nullif(current_setting('recovery.server_epoch', true), '')::bigint;
    create index on public.job (server_epoch) where status = 'running';
    create table public.server (epoch bigint primary key, ended timestamptz);
    insert into public.server values (1, null);
    create table public.happened (id bigint generated always as identity primary key,
        at timestamptz not null default now(), what text not null, key text not null, epoch bigint, status text);
    create function public.note() returns trigger language plpgsql as $$
    begin
        perform pg_advisory_xact_lock_shared(new.server_epoch);
        perform from public.server where epoch = new.server_epoch and ended is null;
        if not found then
            raise exception 'epoch % has ended', new.server_epoch;
        end if;
        insert into public.happened (what, key, epoch, status)
        values (tg_table_name, new.id::text, new.server_epoch, new.status);
        return null;
    end $$;
    create trigger opens after insert on public.job for each row
        when (new.status = 'running') execute function public.note();
    create trigger closes after update on public.job for each row
        when (old.status is distinct from new.status) execute function public.note()
"""
_STREAM = "update public.job set output = output || repeat('x', 100) where id = :id;\n"
_FINISH = "update public.job set status = 'completed', finished_at = now() where id = :id;\n"
#: What happens to a row, from its beginning to its end; each statement is a transaction.
LIVES = {
    "stream": "insert into public.job (status) values ('running') returning id \\gset\n"
    + 4 * _STREAM + _FINISH,
    "claim": "insert into public.job (status) values ('queued') returning id \\gset\n"
    "update public.job set status = 'running', started_at = now()"
    " where id = :id and status = 'queued';\n" + _FINISH,
}  # fmt: skip


@dataclass
class Contender:
    """A database, the epoch of its writers, and the tables that fill up."""

    dsn: str
    epoch: int | None
    tables: str
    tps: dict[int, list[float]] = field(default_factory=dict)


def run(options: Options) -> None:
    """Each life and way to flush, without and with a listener."""
    for flush in options.flush or ("off", "2ms"):
        with _setup.cluster(options, flush) as server, tempfile.TemporaryDirectory() as folder:
            contenders = _contenders(options, server)
            for life in options.lives or LIVES:
                script = Path(folder) / f"{life}.sql"
                script.write_text(LIVES[life])
                for listening in (False, True):
                    _compare(options, server, contenders, script, flush, listening)


def _contenders(options: Options, server: Cluster) -> dict[str, Contender]:
    found = {}
    for label, epoch, extra, tables in (
        ("bare", None, "", "public.job"),
        ("by hand", 1, _BY_HAND, "public.job, public.happened"),
    ):
        dsn = server.create_database(label.replace(" ", "_"))
        with _setup.connect(dsn) as conn:
            conn.execute((_TABLE + ";" + extra).encode())
        found[label] = Contender(dsn, epoch, tables)
    for label, source in options.labels().items():
        for events, suffix in ("all", ""), ("closed", ", events closed"):
            dsn = server.create_database(f"job_{label}_{events}")
            _setup.install(dsn, source)
            with _setup.connect(dsn) as conn:
                conn.execute(_TABLE)
                conn.execute(_ATTACH.format(events=events).encode())
                row = conn.execute("call recovery.boot('bench', p_lease => '1 day')").fetchone()
                assert row is not None
                tables = f"public.job, {_setup.events_table(conn)}"
            found[label + suffix] = Contender(dsn, int(row[0]), tables)
    return found


def _compare(
    options: Options,
    server: Cluster,
    contenders: dict[str, Contender],
    script: Path,
    flush: str,
    listening: bool,
) -> None:
    commits = script.read_text().count(";\n") + script.read_text().count("\\gset\n")
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
                _setup.say(f"  {label}, {clients} clients: {tps * commits:.0f} commits/s")
    bare, *rest = contenders
    rows = []
    for label in rest:
        for clients in options.clients:
            base, other = contenders[bare].tps[clients], contenders[label].tps[clients]
            ratios = [b / a for a, b in zip(base, other, strict=True)]
            rows.append([label, clients, f"{_setup.median(base) * commits:.0f}", f"{_setup.median(other) * commits:.0f}",
                         f"{_setup.median(ratios):.2f}", f"{min(ratios):.2f}-{max(ratios):.2f}"])  # fmt: skip
    note = f"flush {flush}, {'one listener' if listening else 'nobody listens'}"
    _setup.show(
        f"Writing ({script.stem}), commits/s (PostgreSQL {server.major}, {note})",
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
        conn.execute(f"truncate {contender.tables}".encode())
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
