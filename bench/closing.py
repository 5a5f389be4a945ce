"""Boot that closes orphans, with durable events, against the bare UPDATE of the same rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from bench import _setup
from bench._setup import Options
from recovery.cluster import Cluster

_TABLE = """
    drop table if exists public.job;
    create table public.job (id bigint primary key, status text not null, payload text not null,
        error text, finished_at timestamptz, server_epoch bigint)
"""
_FILL = """
    set session_replication_role = replica;
    insert into public.job (id, status, payload, server_epoch)
    select n, 'running', repeat(md5(n::text), 32), {epoch} from generate_series(1, {rows}) as n;
    reset session_replication_role
"""
_INDEX = "create index job_open on public.job (server_epoch, id) where (status = 'running')"
_ATTACH = """
    select recovery.attach('public.job', p_open => 'status = ''running''', p_close => jsonb_build_object(
        'status', '''failed''', 'error', 'c.message', 'finished_at', 'c.at'))
"""
_UPDATE = """
    update public.job as r set status = 'failed', error = c.message, finished_at = c.at
    from (values ('server restart', clock_timestamp())) as c (message, at)
    where r.server_epoch = {epoch} and r.status = 'running'
"""

# The same rows, in few groups or each in one of its own. Its statistics may be missing: after a restore, or at once after
# the first attach.
_GROUP_FILL = """
    set session_replication_role = replica;
    alter table public.job add column grp text;
    insert into public.job (id, grp, status, payload, server_epoch)
    select n, 'g' || n % {groups}, 'running', repeat(md5(n::text), 4), {epoch} from generate_series(1, {rows}) as n;
    insert into public.job (id, grp, status, payload, server_epoch)
    select -n, 'g' || n, 'running', '', e from unnest({others}::bigint[]) with ordinality as o (e, n);
    reset session_replication_role
"""
_GROUP_ATTACH = """
    select recovery.attach('public.job', p_group => 'grp', p_failed_topics => '{job.error}', p_idle_topics => '{job.idle}',
        p_open => 'status = ''running''', p_close => jsonb_build_object(
        'status', '''failed''', 'error', 'c.message', 'finished_at', 'c.at'))
"""

# Four tools that run and the message they belong to, in each of many sessions.
_AGENT_TABLES = """
    drop schema if exists agent cascade;
    create schema agent;
    create table agent.session (id text primary key, parent_id text, time_compacting bigint);
    create table agent.message (id text primary key, session_id text not null, time_created bigint not null,
        time_updated bigint not null, data jsonb not null, server_epoch bigint) with (fillfactor = 85);
    create index on agent.message (session_id, time_created, id collate "C");
    create table agent.part (id text primary key, message_id text not null, session_id text not null,
        time_created bigint not null, time_updated bigint not null, data jsonb not null, server_epoch bigint)
        with (fillfactor = 85);
    create index on agent.part (message_id, id collate "C");
    create index on agent.part (session_id);
    alter table agent.message add foreign key (session_id) references agent.session on delete cascade;
    alter table agent.part add foreign key (message_id) references agent.message on delete cascade
"""
_AGENT_INDEXES = """
    create index on agent.part (server_epoch, session_id, id) where ({part_open});
    create index on agent.message (server_epoch, session_id, id) where ({message_open})
"""
_AGENT_FILL = """
    set session_replication_role = replica;
    insert into agent.session (id{columns})
    select 'ses_' || lpad(s::text, 8, '0'){values} from generate_series(1, {sessions}) as s;
    insert into agent.message (id, session_id, time_created, time_updated, data, server_epoch)
    select 'msg_' || lpad(s::text, 8, '0'), 'ses_' || lpad(s::text, 8, '0'), 1700000000000 + s, 1700000000000 + s,
           jsonb_build_object('role', 'assistant', 'cost', 0, 'modelID', 'model', 'providerID', 'provider',
               'path', jsonb_build_object('cwd', '/home/user/project', 'root', '/home/user/project'),
               'tokens', jsonb_build_object('input', 1, 'output', 2, 'reasoning', 0),
               'time', jsonb_build_object('created', 1700000000000 + s)), {epoch}
    from generate_series(1, {sessions}) as s;
    insert into agent.part (id, message_id, session_id, time_created, time_updated, data, server_epoch)
    select 'prt_' || lpad(s::text, 8, '0') || p, 'msg_' || lpad(s::text, 8, '0'), 'ses_' || lpad(s::text, 8, '0'),
           1700000000000 + s + p, 1700000000000 + s + p,
           jsonb_build_object('type', 'tool', 'tool', 'bash', 'callID', 'call_' || md5(s::text || p),
               'state', jsonb_build_object('status', 'running', 'input', jsonb_build_object('command', 'make test'),
                   'metadata', jsonb_build_object('output', repeat(md5(s::text), 12)),
                   'time', jsonb_build_object('start', 1700000000000 + s))), {epoch}
    from generate_series(1, {sessions}) as s, generate_series(1, 4) as p;
    reset session_replication_role
"""
_AGENT_TRUNCATE = "truncate agent.session, agent.message, agent.part"


@dataclass
class Contender:
    """One way to close the rows: how to prepare them, and the statements that are timed."""

    label: str
    conn: psycopg.Connection[Any]
    prepare: Callable[[], None]
    statements: list[str]
    check: str
    wanted: int
    ms: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    wal: list[int] = field(default_factory=list)

    def round(self) -> None:
        """One measurement on fresh rows."""
        self.prepare()
        self.conn.execute("checkpoint")
        before, cpu = _setup.wal(self.conn), _setup.cpu_ms(self.conn)
        self.ms.append(sum(_setup.timed(self.conn, text)[0] for text in self.statements))
        self.cpu.append(_setup.cpu_ms(self.conn) - cpu)
        self.wal.append(_setup.wal(self.conn) - before)
        row = self.conn.execute(self.check.encode()).fetchone()
        assert row is not None
        if row[0] != self.wanted:
            raise AssertionError(f"{self.label}: {row[0]} closed instead of {self.wanted}")


def run(options: Options) -> None:
    """Both tables."""
    for flush in options.flush or ("off",):
        with _setup.cluster(options, flush) as server:
            note = f"PostgreSQL {server.major}, flush {flush}"
            compare(
                f"Closing {options.rows} rows of 1 KB ({note})", _generic(options, server), options
            )
            compare(f"Closing {options.rows // 5} sessions of 1 message and 4 tools ({note})",
                     _agent(options, server), options)  # fmt: skip
            for label, source in options.labels().items():
                compare(f"Closing {options.rows * 2 // 5} rows in groups, {label} ({note})",
                         _groups(options, server, label, source), options)  # fmt: skip


def compare(title: str, contenders: list[Contender], options: Options) -> None:
    """Measures them in turn, and prints each beside the first."""
    for number in range(options.rounds + 1):  # the first one warms up
        for contender in contenders:
            contender.round()
            if number == 0:
                contender.ms.clear()
                contender.cpu.clear()
                contender.wal.clear()
            else:
                _setup.say(f"  {contender.label}: {contender.ms[-1]:.0f} ms")
    bare = contenders[0]
    _setup.show(
        title,
        ["", "ms", "", "to bare", "CPU ms", "to bare", "WAL MB"],
        [
            [c.label, f"{_setup.median(c.ms):.0f}", _setup.spread(c.ms),
             f"{_setup.median(a / b for a, b in zip(c.ms, bare.ms, strict=True)):.2f}",
             f"{_setup.median(c.cpu):.0f}", f"{_setup.median(c.cpu) / _setup.median(bare.cpu):.2f}",
             f"{_setup.median(c.wal) / 1e6:.0f}"]
            for c in contenders
        ],
    )  # fmt: skip
    for contender in contenders:
        contender.conn.close()


def _boot(options: Options) -> str:
    return f"call recovery.boot('bench'{f', p_batch => {options.batch}' if options.batch else ''})"


def _epoch(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute("call recovery.boot('bench')").fetchone()
    assert row is not None
    conn.execute("vacuum (analyze) recovery.server")
    return int(row[0])


def _generic(options: Options, server: Cluster) -> list[Contender]:
    rows = options.rows
    check = "select count(*) from public.job where status = 'failed' and error = 'server restart'"
    made: list[Contender] = []
    for label, index in {"bare UPDATE": "", "bare UPDATE, with the index": _INDEX}.items():
        conn = _setup.connect(server.create_database(f"bare{len(made)}"))

        def prepare(conn: psycopg.Connection[Any] = conn, index: str = index) -> None:
            conn.execute(_TABLE)
            conn.execute(_FILL.format(epoch=1, rows=rows).encode())
            if index:
                conn.execute(index.encode())
            conn.execute("vacuum (analyze) public.job")

        made.append(Contender(label, conn, prepare, [_UPDATE.format(epoch=1)], check, rows))
    for label, source in options.labels().items():
        dsn = server.create_database(f"job_{label}")
        _setup.install(dsn, source)
        conn = _setup.connect(dsn)

        def prepare_watched(conn: psycopg.Connection[Any] = conn) -> None:
            conn.execute(
                "select recovery.detach(w.relation) from recovery.watch as w where w.name = 'public.job'"
            )
            epoch = _epoch(conn)
            conn.execute(_TABLE)
            conn.execute(_FILL.format(epoch=epoch, rows=rows).encode())
            conn.execute(_ATTACH.encode())
            _setup.empty_events(conn)
            conn.execute("vacuum (analyze) public.job")

        made.append(Contender(
            f"boot, {label}", conn, prepare_watched, [_boot(options)],
            f"select least(({check}), (select count(*) from recovery.event where kind = 'closed'))", rows,
        ))  # fmt: skip
    return made


def _groups(options: Options, server: Cluster, label: str, source: Path) -> list[Contender]:
    """Cost follows the rows: not the groups, the servers, or what the planner knows."""
    rows = options.rows * 2 // 5
    made: list[Contender] = []
    for name, groups, servers, known in (
        ("40 groups", 40, 0, True),
        ("a group for each row", rows, 0, True),
        ("the same, without statistics", rows, 0, False),
        ("the same, beside 50 servers", rows, 50, True),
    ):
        dsn = server.create_database(f"groups{len(made)}_{label}")
        _setup.install(dsn, source)
        conn = _setup.connect(dsn)
        others = [_boot_other(conn, number) for number in range(servers)]

        def prepare(conn: psycopg.Connection[Any] = conn, groups: int = groups, known: bool = known,
                    others: list[int] = others) -> None:  # fmt: skip
            conn.execute("select recovery.detach(w.relation) from recovery.watch as w")
            epoch = _epoch(conn)
            conn.execute(_TABLE)
            conn.execute(_GROUP_FILL.format(rows=rows, groups=groups, epoch=epoch,
                                            others=f"array{others}").encode())  # fmt: skip
            conn.execute(_GROUP_ATTACH.encode())
            _setup.empty_events(conn)
            conn.execute(f"vacuum {'(analyze)' if known else ''} public.job".encode())

        made.append(Contender(
            name, conn, prepare, [_boot(options)],
            "select count(*) from public.job where status = 'failed'", rows,
        ))  # fmt: skip
    return made


def _boot_other(conn: psycopg.Connection[Any], number: int) -> int:
    row = conn.execute(
        f"call recovery.boot('other{number}', p_lease => '1 day')".encode()
    ).fetchone()
    assert row is not None
    return int(row[0])


def _agent(options: Options, server: Cluster) -> list[Contender]:
    sessions = options.rows // 5
    check = """
        select count(*) from (
            select from agent.part where data -> 'state' ->> 'status' = 'error'
            union all select from agent.message where data -> 'error' ->> 'name' = 'MessageAbortedError') as x
    """
    conn = None
    watched: list[Contender] = []
    for label, source in options.labels().items():
        dsn = server.create_database(f"agent_{label}")
        _setup.install(dsn, source, agent_store=True)
        conn = _setup.connect(dsn)

        def prepare(conn: psycopg.Connection[Any] = conn) -> None:
            epoch = _epoch(conn)
            _setup.empty_events(conn)
            conn.execute("truncate agent.session, agent.message, agent.part cascade")
            conn.execute(_AGENT_FILL.format(columns=", time_created, time_updated", values=", 1, 1",
                                            epoch=epoch, sessions=sessions).encode())  # fmt: skip
            conn.execute("vacuum (analyze) agent.session, agent.message, agent.part")

        watched.append(Contender(
            f"boot, {label}", conn, prepare, [_boot(options)],
            f"select least(({check}), (select count(*) from recovery.event where kind = 'closed'))", sessions * 5,
        ))  # fmt: skip
    assert conn is not None
    # The bare statements set the same values by the same expressions: the watch has them, compiled.
    watches = {
        name: (open_, only, close)
        for name, open_, only, close in conn.execute(
            "select name, open, coalesce(only_if, 'true'), (select string_agg(format('%I = %s', key, value), ', ')"
            " from jsonb_each_text(close)) from recovery.watch"
        ).fetchall()
    }
    functions = conn.execute(
        "select string_agg(pg_get_functiondef(p.oid), ';') from pg_proc as p where pronamespace = 'agent'::regnamespace"
    ).fetchone()
    assert functions is not None
    statements = [
        f"update {name} as r set {watches[name][2]}"
        " from (values ('superseded', 'server restart', 'boot', clock_timestamp(),"
        " (date_part('epoch', clock_timestamp()) * 1000)::bigint, 1)) as c (reason, message, detector, at, ms, epoch)"
        f" where r.server_epoch = 1 and ({watches[name][0]}) and ({watches[name][1]})"
        for name in ("agent.part", "agent.message")
    ]
    made: list[Contender] = []
    for index in (False, True):
        conn = _setup.connect(server.create_database(f"bare_agent{len(made)}"))

        def prepare_bare(conn: psycopg.Connection[Any] = conn, index: bool = index) -> None:
            conn.execute(_AGENT_TABLES.encode())
            if index:
                conn.execute(_AGENT_INDEXES.format(
                    part_open=watches["agent.part"][0].replace("r.", ""),
                    message_open=watches["agent.message"][0].replace("r.", ""),
                ).encode())  # fmt: skip
            conn.execute(("set check_function_bodies = off;" + functions[0]).encode())
            conn.execute(
                _AGENT_FILL.format(columns="", values="", epoch=1, sessions=sessions).encode()
            )
            conn.execute("vacuum (analyze) agent.session, agent.message, agent.part")

        made.append(Contender(
            "bare UPDATEs" + (", with the indexes" if index else ""), conn, prepare_bare, statements, check, sessions * 5,
        ))  # fmt: skip
    return made + watched
