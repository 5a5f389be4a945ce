"""What the benchmarks share: databases with one version of the SQL each, medians, tables."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import psutil
import psycopg

from recovery.cluster import Cluster
from recovery.schema.paths import sql_dir
from tools import freeze

#: Nothing but the measured statement should write: no checkpoint or vacuum comes between.
SETTINGS: Mapping[str, object] = {
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
    "min_wal_size": "2GB",
    "checkpoint_timeout": "1h",
    "full_page_writes": "on",
    "autovacuum": "off",
    "jit": "off",
    "max_connections": "400",
}


@dataclass(frozen=True)
class Options:
    """What the command line said."""

    major: int | None
    flush: tuple[str, ...]
    rounds: int
    rows: int
    seconds: int
    clients: tuple[int, ...]
    sizes: tuple[int, ...]
    batch: int | None
    versions: tuple[Path, ...]
    lives: tuple[str, ...]
    events: int
    parts: tuple[str, ...]
    oban: Path | None

    def labels(self) -> dict[str, Path]:
        """The versions of the SQL by name: the tree's own unless others were given."""
        return {path.name: path for path in self.versions or (sql_dir(),)}


#: How commits become durable: not at all; as this machine's disk does it, which other work disturbs;
#: or by a flush that always takes 2 ms, as slow disks and synchronous replicas do.
FLUSH: Mapping[str, Mapping[str, object]] = {
    "off": {"fsync": "off"},
    "disk": {"fsync": "on"},
    "2ms": {"fsync": "on", "commit_delay": 2000, "commit_siblings": 0},
}


@contextmanager
def cluster(options: Options, flush: str = "off") -> Iterator[Cluster]:
    """A server of its own."""
    with ExitStack() as stack:
        directory = None
        if flush == "2ms" and Path("/dev/shm").is_dir():  # where the real flush costs nothing
            directory = Path(stack.enter_context(TemporaryDirectory(dir="/dev/shm"))) / "pg"
            directory.parent.chmod(0o755)
        yield stack.enter_context(
            Cluster(options.major, directory, settings={**SETTINGS, **FLUSH[flush]})
        )


def install(dsn: str, source: Path, agent_store: bool = False) -> None:
    """Applies a desired state as it stands in a folder like sql/."""
    parts = freeze.PARTS if agent_store else freeze.PARTS[:1]
    texts = ["set local check_function_bodies = off"]
    texts += [path.read_text() for part in parts for path in freeze.ordered(source, part)]
    with psycopg.connect(dsn) as conn:
        conn.execute(";\n".join(texts).encode())


def connect(dsn: str) -> psycopg.Connection[Any]:
    """A connection in autocommit that sends statements as they stand."""
    return psycopg.connect(dsn, autocommit=True, prepare_threshold=None)


def events_table(conn: psycopg.Connection[Any]) -> str:
    """Where that version of the SQL stores its events."""
    row = conn.execute(
        "select coalesce(to_regclass('recovery.outbox'), 'recovery.event'::regclass)::text"
    ).fetchone()
    assert row is not None
    return str(row[0])


def empty_events(conn: psycopg.Connection[Any]) -> None:
    """Forgets all events."""
    conn.execute(f"truncate {events_table(conn)}".encode())


def timed(conn: psycopg.Connection[Any], statement: str) -> tuple[float, Any]:
    """Milliseconds that one statement took, and its first row if it has one."""
    start = perf_counter()
    cursor = conn.execute(statement.encode())
    row = cursor.fetchone() if cursor.description else None
    return (perf_counter() - start) * 1000, row


def cpu_ms(conn: psycopg.Connection[Any]) -> float:
    """Milliseconds of CPU that the server's process has used: other work hardly disturbs it."""
    times = psutil.Process(conn.info.backend_pid).cpu_times()
    return float(times.user + times.system) * 1000


def wal(conn: psycopg.Connection[Any]) -> int:
    """Bytes of WAL written so far."""
    row = conn.execute("select pg_current_wal_insert_lsn() - '0/0'").fetchone()
    assert row is not None
    return int(row[0])


def median(values: Iterable[float]) -> float:
    """The median."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """How far the rounds were apart, relative to their median."""
    return f"±{(max(values) - min(values)) / 2 / statistics.median(values):.0%}"


def say(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


def show(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table."""
    cells = [list(head)] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in cells) for n in range(len(head))]
    print(f"\n{title}")
    for row in cells:
        _, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join([row[0].ljust(widths[0]), *rest]))
    sys.stdout.flush()
