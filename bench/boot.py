"""Boot that finds no orphans, in tables of different sizes."""

from __future__ import annotations

from pathlib import Path

from bench import _setup
from bench._setup import Options
from recovery.cluster import Cluster

_TABLE = """
    create table public.job (id bigint primary key, status text not null, payload text not null,
        error text, finished_at timestamptz, server_epoch bigint)
"""
_ATTACH = """
    select recovery.attach('public.job', p_open => 'status = ''running''', p_close => jsonb_build_object(
        'status', '''failed''', 'error', 'c.message', 'finished_at', 'c.at'))
"""
#: Rows of work in flight, owned by another server that lives.
_OPEN = 1000
_FILL = """
    insert into public.job (id, status, payload, server_epoch)
    select n, case when n % ({rows} / {open}) = 0 then 'running' else 'completed' end, repeat(md5(n::text), 4), {epoch}
    from generate_series(1, {rows}) as n
"""


def run(options: Options) -> None:
    """A first boot in a new session, and the later ones."""
    rows: list[list[object]] = []
    with _setup.cluster(options) as server:
        for label, source in options.labels().items():
            small: float | None = None
            for size in options.sizes:
                cold, warm, closed = _measure(server, source, size, options)
                small = small or warm
                _setup.say(f"  {label}, {size} rows: {warm:.2f} ms")
                rows.append(
                    [label, size, f"{cold:.2f}", f"{warm:.2f}", f"{warm / small:.2f}", closed]
                )
        _setup.show(
            f"Boot without orphans, {_OPEN} open rows of a live server (PostgreSQL {server.major})",
            ["", "rows", "first ms", "ms", "to smallest", "closed"],
            rows,
        )


def _measure(
    server: Cluster, source: Path, size: int, options: Options
) -> tuple[float, float, int]:
    dsn = server.create_database("boot")
    _setup.install(dsn, source)
    with _setup.connect(dsn) as conn:
        row = conn.execute("call recovery.boot('other', p_lease => '1 day')").fetchone()
        assert row is not None
        conn.execute(_TABLE)
        conn.execute(_FILL.format(rows=size, open=_OPEN, epoch=row[0]).encode())
        conn.execute(_ATTACH.encode())
        conn.execute("vacuum (analyze) public.job")
        conn.execute("checkpoint")
    first: list[float] = []
    later: list[float] = []
    closed = 0
    for _ in range(options.rounds):
        with _setup.connect(dsn) as conn:
            for number in range(20):
                _, row = _setup.timed(conn, "call recovery.boot('bench')")
                report = row[2]
                (later if number else first).append(float(report["ms"]))
                closed += sum(report["closed"].values())
    server.drop_database("boot")
    return _setup.median(first), _setup.median(later), closed
