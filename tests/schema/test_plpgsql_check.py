"""Every PL/pgSQL routine, examined by plpgsql_check where a server has that extension."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

#: Routines of our schemas, and for trigger functions each table that they are on.
ROUTINES = """
select p.oid::regprocedure::text as routine, p.oid, coalesce(t.tgrelid, 0) as relid
from pg_proc as p
left join (select distinct tgfoid, tgrelid from pg_trigger where not tgisinternal) as t
    on t.tgfoid = p.oid
where p.pronamespace in (select oid from pg_namespace where nspname in ('recovery', 'agent'))
  and p.prolang = (select oid from pg_language where lanname = 'plpgsql')
  and (p.prorettype <> 'trigger'::regtype or t.tgrelid is not null)
order by 1, 3
"""

#: Errors, and what nobody uses. Its "other" warnings object to each `jsonb := '{}'`.
CHECK = """
select lineno, level, sqlstate, message
from plpgsql_check_function_tb(%s, %s, other_warnings => false, extra_warnings => true)
where level in ('error', 'warning', 'warning extra')
"""

#: What it can't know, because it runs nothing.
UNKNOWABLE = (
    'schema "pg_temp" does not exist',  # a session has one after its first temporary object
    "is maybe unmodified",  # a column that `return query execute` fills
    "is not assigned yet",  # a record that a dynamic statement fills
)


def test_no_routine_has_findings(conn: psycopg.Connection[Any]) -> None:
    query = "select from pg_available_extensions where name = 'plpgsql_check'"
    if conn.execute(query).fetchone() is None:
        pytest.skip("this server has no plpgsql_check")
    conn.execute("create extension plpgsql_check")
    findings = [
        f"{routine}:{finding}"
        for routine, oid, relid in conn.execute(ROUTINES).fetchall()
        for finding in conn.execute(CHECK, [oid, relid]).fetchall()
        if not any(text in finding[3] for text in UNKNOWABLE)
    ]
    assert not findings, "\n".join(findings)
