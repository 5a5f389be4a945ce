"""The text of generated functions and statements, compared with tests/golden/generated.

RECOVERY_GOLDEN=overwrite writes the files anew, for a reviewer to read the difference: on the
newest major, and on the oldest, whose statements that close are others.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sql.jobs import Connection, attach

GOLDEN = Path(__file__).parents[2] / "golden" / "generated"
HEADER = """\
-- Generated from the watches of {title}. Written by
-- RECOVERY_GOLDEN=overwrite make test ARGS=tests/sql/watch/test_generated.py
"""

TABLES = """
    create schema app;
    create table app.job (
        id      bigint primary key,
        status  text not null,
        note    text,
        error   text,
        started timestamptz not null
    );
    create table app.session (id uuid primary key, parent uuid, state text);
    create table app.task (
        session  uuid,
        number   integer,
        status   text,
        data     jsonb,
        attempts integer not null default 0,
        created  timestamptz,
        primary key (session, number)
    ) partition by list (session);
"""


def plain(conn: Connection) -> str:
    """A table of jobs that stand alone; what an owner may close without, and what it may not yet."""
    attach(
        conn,
        started="started",
        only="note is distinct from 'kept'",
        unowned="1 day",
        launch_grace="10 seconds",
        topic="job.changed",
    )
    conn.execute("select recovery.supervise('app.job', p_timeout => $$interval '1 hour'$$)")
    return "app.job"


def grouped(conn: Connection) -> str:
    """Tasks of sessions: requeued, told by difference, partitioned; sessions have events of their own."""
    attach(
        conn,
        "app.task",
        open="status = 'running'",
        close="""{"status": "'failed'", "data": "data || '{\\"interrupted\\": true}'"}""",
        family="sessions",
        position=10,
        group="session",
        order="created, number",
        started="created",
        requeue="""{"status": "'queued'"}""",
        attempts="attempts",
        topic="task.changed",
    )
    attach(
        conn,
        "app.session",
        open="state = 'busy'",
        close="""{"state": "'idle'"}""",
        family="sessions",
        position=20,
        group="id",
        parent="parent",
        failed_topics=["session.failed"],
        idle_topics=["session.idle"],
    )
    conn.execute("""select recovery.supervise('app.task', p_kind => $$data ->> 'kind'$$,
        p_activity => $$(data ->> 'moved')::timestamptz$$, p_hold => $$data ? 'question'$$,
        p_child => $$(data ->> 'session')::uuid$$, p_cancel => 'group')""")
    conn.execute("select recovery.configure('tool_timeout', '10 minutes')")
    conn.execute("select recovery.configure('task_timeout', '1 hour', 'app.task')")
    return "sessions"


def agent(_: Connection) -> str:
    """The agent store, as its revision attaches it."""
    return "agent"


#: What a trigger function asks at its beginning; object ids differ from database to database.
NAMES = re.compile(r"_has_names\('\d+'::regclass, '((?:[^']|'')*)'\)")


def _names(match: re.Match[str]) -> str:
    uses = json.loads(match[1].replace("''", "'"))
    names = sorted(f"{kind} {name}" for kind, _, _, name in uses if kind != "system")
    return f"_has_names('<table>'::regclass, '{', '.join(names)}')"


def triggers(conn: Connection, family: str) -> Iterator[tuple[str, str]]:
    """What a family's watches have made: indexes, triggers and their functions."""
    query = """
        select w.name, 'index', pg_get_indexdef(i.indexrelid)
        from recovery.watch as w join pg_index as i on i.indrelid = w.relation
        join pg_class as c on c.oid = i.indexrelid
        where w.family = %(family)s and c.relname like 'recovery\\_%%'
        union all
        select w.name, 'trigger', pg_get_triggerdef(t.oid)
        from recovery.watch as w join pg_trigger as t on t.tgrelid = w.relation and not t.tgisinternal
        where w.family = %(family)s and t.tgname ~ 'recovery_'
        union all
        select w.name, split_part(p.proname, w.id || '_', 2), p.prosrc
        from recovery.watch as w join pg_proc as p
          on p.pronamespace = 'recovery'::regnamespace and p.proname ~ format('^watch_%%s_', w.id)
        where w.family = %(family)s
        order by 1, 2, 3
    """
    for watch, what, text in conn.execute(query, {"family": family}):
        yield f"{watch}: {what}", NAMES.sub(_names, text)


def statements(conn: Connection, family: str) -> Iterator[tuple[str, str]]:
    """What sweeps and the watchdog execute: the searches, and the statements that close."""
    forms = {
        "a batch": "'range'",
        "a batch with fuses, by the way round locks": "'range', 'epoch', 'without', true, true",
        "a batch, handed over": "'range', 'epoch', 'with', true, false, true",
        "a unit": "'row', 'any', 'without', true, true, false, (select min(name) from recovery.watch where family = %s)",
    }
    [(groups,)] = conn.execute(
        "select bool_or(group_by is not null) from recovery.watch where family = %s", [family]
    ).fetchall()
    for name, form in forms.items():
        call = form.replace("'range'", "'groups'") if groups else form
        given = [family] * (1 + call.count("%s"))
        query = f"select recovery._close_sql(%s, {call})"
        [(text,)] = conn.execute(query.encode(), given).fetchall()
        yield f"closes {name}", text
    due = """
        select w.name, recovery._due_sql(w) from recovery.watch as w
        where w.family = %s and w.supervised is not null order by w.position
    """
    for watch, text in conn.execute(due, [family]):
        yield f"{watch}: what is due", text


def compare(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("RECOVERY_GOLDEN") == "overwrite":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


WATCHED: dict[str, Callable[[Connection], str]] = {
    "plain": plain,
    "grouped": grouped,
    "agent": agent,
}


@pytest.mark.parametrize("name", WATCHED)
def test_generated_text_is_the_golden_one(conn: Connection, name: str) -> None:
    major = conn.info.server_version // 10000
    conn.execute("set search_path = ''")  # everything prints with its schema
    conn.execute(TABLES)
    family = WATCHED[name](conn)
    for kind, parts in (
        ("triggers", triggers(conn, family)),
        ("statements", statements(conn, family)),
    ):
        header = HEADER.format(title=family)
        text = "\n".join((header, *(f"-- {what}\n{sql};\n" for what, sql in parts)))
        # From PostgreSQL 18 on an update returns the old values itself.
        older = "_before_18" if kind == "statements" and major < 18 else ""
        compare(f"{name}_{kind}{older}.sql", text)
