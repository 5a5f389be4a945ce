"""10,000 orphans: our boot beside what Oban for Python does for them, `rescue_jobs`, by its own SQL and table.

Nothing of Oban is part of this project. Its package is read where it is installed, or from a folder into which it
was unpacked; Oban itself needs Python 3.12, its SQL does not:

    python -m pip download --no-deps --ignore-requires-python oban && unzip oban-*.whl -d oban
    python -m bench rescue --oban oban --major 16
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from bench import _setup
from bench._setup import Options
from bench.closing import Contender, compare
from recovery.cluster import Cluster

_ROWS = 10_000
#: As many finished jobs stand beside the orphans.
_FINISHED = 200_000
_FILL = """
    set session_replication_role = replica;
    truncate oban_jobs;
    insert into oban_jobs (state, worker, attempt, args, attempted_at, completed_at{column})
    select (case when n > {rows} then 'completed' else 'executing' end)::oban_job_state, 'Worker', 1,
           jsonb_build_object('id', n, 'text', md5(n::text)), now() - interval '1 day', now(){value}
    from generate_series(1, {rows} + {finished}) as n
    order by md5(n::text);
    reset session_replication_role
"""
#: What its statement does, but at once, for all that a dead server has left; and what most applications do with work
#: that broke off: every row gets the same values.
_ATTACH = {
    "the same values": """
    select recovery.attach('public.oban_jobs', p_open => 'state = ''executing''', p_close => jsonb_build_object(
        'state', 'case when r.attempt >= r.max_attempts then ''discarded'' else ''available'' end::public.oban_job_state',
        'discarded_at', 'case when r.attempt >= r.max_attempts then c.at at time zone ''utc'' else r.discarded_at end',
        'meta', 'case when r.attempt >= r.max_attempts then r.meta
                 else r.meta || jsonb_build_object(''rescued'', coalesce((r.meta ->> ''rescued'')::int, 0) + 1) end'))
""",
    "fixed values": """
    select recovery.attach('public.oban_jobs', p_open => 'state = ''executing''', p_close => jsonb_build_object(
        'state', '''available''', 'meta', '''{"rescued": 1}'''))
""",
}
_CHECK = "select count(*) from oban_jobs where state = 'available' and meta = '{\"rescued\": 1}'"
_BARE = """
    update oban_jobs set state = 'available', meta = meta || '{"rescued": 1}' where state = 'executing'
"""


def run(options: Options) -> None:
    """In turn, on one server."""
    queries = _queries(options.oban)
    if queries is None:
        _setup.say("rescue: Oban is not there. " + (__doc__ or "").split("\n\n", 1)[1])
        return
    for flush in options.flush or ("off",):
        with _setup.cluster(options, flush) as server:
            install = (queries / "install.sql").read_text()
            rescue = (queries / "rescue_jobs.sql").read_text()
            made = [
                _bare(server, install, "bare UPDATE", _BARE),
                _bare(
                    server, install, "Oban's rescue_jobs", rescue.replace("%(rescue_after)s", "300")
                ),
            ]
            for label, source in options.labels().items():
                for values, attach in _ATTACH.items():
                    made.append(_boot(server, install, f"{label}, {values}", source, attach))
            compare(
                f"{_ROWS} orphans beside {_FINISHED} finished jobs"
                f" (PostgreSQL {server.major}, flush {flush})",
                made,
                options,
            )


def _queries(folder: Path | None) -> Path | None:
    """Where its SQL stands."""
    if folder is not None:
        return next(folder.rglob("rescue_jobs.sql")).parent
    found = importlib.util.find_spec("oban")
    places = [] if found is None else list(found.submodule_search_locations or ())
    return Path(places[0]) / "queries" if places else None


def _fill(column: str = "", value: str = "") -> bytes:
    return _FILL.format(rows=_ROWS, finished=_FINISHED, column=column, value=value).encode()


def _bare(server: Cluster, install: str, label: str, statement: str) -> Contender:
    conn = _setup.connect(server.create_database("".join(filter(str.isalnum, label.lower()))))
    conn.execute(install.encode())

    def prepare() -> None:
        conn.execute(_fill())
        conn.execute("vacuum (analyze) oban_jobs")

    return Contender(label, conn, prepare, [statement], _CHECK, _ROWS)


def _boot(server: Cluster, install: str, label: str, source: Path, attach: str) -> Contender:
    dsn = server.create_database("".join(filter(str.isalnum, label.lower())))
    _setup.install(dsn, source)
    conn = _setup.connect(dsn)
    conn.execute(install.encode())
    conn.execute(attach.encode())

    def prepare() -> None:
        row = conn.execute("call recovery.boot('bench')").fetchone()
        assert row is not None
        conn.execute(_fill(", server_epoch", f", case when n <= {_ROWS} then {row[0]} end"))
        _setup.empty_events(conn)
        conn.execute("vacuum (analyze) oban_jobs, recovery.server")

    return Contender(
        f"boot, with events, {label}", conn, prepare, ["call recovery.boot('bench')"],
        f"select least(({_CHECK}), (select count(*) from recovery.event where kind = 'closed'))", _ROWS,
    )  # fmt: skip
