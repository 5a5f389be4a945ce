"""The frozen scripts are read by a search_path of their own, and leave that of the session alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from schema.catalog import OURS, catalog, watches
from tools import freeze

VERSIONS = freeze.ROOT / "alembic" / "versions"
UP = [f"{part.stem}.sql" for part in freeze.PARTS]
DOWN = [f"{part.stem}.down.sql" for part in reversed(freeze.PARTS)]

#: In front of pg_catalog: whoever calls one of these is caught.
HOSTILE = """
create schema evil;
create function evil.caught() returns void language plpgsql as $$ begin raise exception 'caught'; end $$;
create function evil.clock_timestamp() returns timestamptz language sql as $$ select evil.caught(); select null::timestamptz $$;
create function evil.format(text) returns text language sql as $$ select evil.caught(); select null::text $$;
create function evil.format(text, variadic "any") returns text language internal as 'text_concat_ws';
create function evil.gen_random_uuid() returns uuid language sql as $$ select evil.caught(); select null::uuid $$;
create function evil.same(text, text) returns boolean language sql as $$ select evil.caught(); select null::boolean $$;
create function evil.same(name, text) returns boolean language sql as $$ select evil.caught(); select null::boolean $$;
create function evil.same(oid, regclass) returns boolean language sql as $$ select evil.caught(); select null::boolean $$;
create function evil.more(interval, interval) returns boolean language sql as $$ select evil.caught(); select null::boolean $$;
create operator evil.= (leftarg = text, rightarg = text, function = evil.same);
create operator evil.= (leftarg = name, rightarg = text, function = evil.same);
create operator evil.= (leftarg = oid, rightarg = regclass, function = evil.same);
create operator evil.> (leftarg = interval, rightarg = interval, function = evil.more);
create type evil.record as (a integer);
create domain evil.text as pg_catalog.text check (value = 'caught');
create domain evil.jsonb as pg_catalog.jsonb;
create domain evil.timestamptz as pg_catalog.timestamptz;
"""

Connect = Callable[..., "psycopg.Connection[Any]"]


def text(name: str) -> str:
    return (VERSIONS / name).read_text(encoding="utf-8")


def run(conn: psycopg.Connection[Any], name: str) -> None:
    """Statement by statement, as the revisions do."""
    for statement in text(name).split(f"\n{freeze.MARK}\n"):
        conn.execute(statement.encode())


def path(conn: psycopg.Connection[Any]) -> str:
    [(found,)] = conn.execute("select pg_catalog.current_setting('search_path')").fetchall()
    return str(found)


def used(conn: psycopg.Connection[Any]) -> list[Any]:
    """What depends on an object of schema evil, besides those of that schema."""
    return conn.execute(
        """
        select d.classid::pg_catalog.regclass::pg_catalog.text, d.objid::pg_catalog.text, d.refobjid::pg_catalog.text
        from pg_catalog.pg_depend d
        where (d.refclassid, d.refobjid) in (
            select 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid from pg_catalog.pg_proc p where p.pronamespace = 'evil'::pg_catalog.regnamespace
            union all
            select 'pg_catalog.pg_operator'::pg_catalog.regclass, o.oid from pg_catalog.pg_operator o where o.oprnamespace = 'evil'::pg_catalog.regnamespace
            union all
            select 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid from pg_catalog.pg_type t where t.typnamespace = 'evil'::pg_catalog.regnamespace)
          and d.classid in ('pg_catalog.pg_attrdef'::pg_catalog.regclass, 'pg_catalog.pg_constraint'::pg_catalog.regclass,
                            'pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass)
          and d.deptype = 'n'
        """
    ).fetchall()


def test_a_hostile_path_of_the_migrator_changes_nothing(empty_dsn: str, dsn: str) -> None:
    hostile = 'evil, "$user", public, pg_catalog'
    with psycopg.connect(empty_dsn) as conn:
        conn.execute(HOSTILE)
        conn.commit()
        conn.execute(f"set local search_path = {hostile}".encode())
        for name in UP:
            run(conn, name)
            assert path(conn) == hostile
        conn.commit()
        # A local path was local.
        assert path(conn) == '"$user", public'
        assert used(conn) == []
        conn.rollback()
        conn.execute("set search_path = pg_catalog, evil")
        conn.execute("drop schema evil cascade")
    expected, found = catalog(dsn, *OURS), catalog(empty_dsn, *OURS)
    # The path of the host's writers stands in what attach generated: the migrator's, as always.
    [writers] = {watch["path"] for watch in watches(dsn)}
    [theirs] = {watch["path"] for watch in watches(empty_dsn)}
    assert theirs == f"evil, {writers}, pg_catalog"
    for kind in expected:
        there, here = (
            {re.sub(r"'[0-9a-f]{32}'", "", row.replace(theirs, writers)) for row in rows}
            for rows in (found[kind], expected[kind])
        )
        assert there == here, kind


@pytest.mark.parametrize("way", ["psql", "psql -1", "each statement", "one message"])
def test_a_script_runs_in_any_way(empty_dsn: str, dsn: str, way: str, connect: Connect) -> None:
    expected, before = catalog(dsn, *OURS), catalog(empty_dsn)
    for names in (UP, DOWN):
        if way.startswith("psql"):
            if (psql := shutil.which("psql")) is None:
                pytest.skip("no psql")
            command = [psql, "-X", "-q", "-o", os.devnull, "-v", "ON_ERROR_STOP=1", "-d", empty_dsn]
            for name in names:
                command += ["-f", str(VERSIONS / name)]
            env = {**os.environ, "PGOPTIONS": "-c client_min_messages=warning"}
            ask = "create table path as select current_setting('search_path')"
            command += [*way.split()[1:], "-c", ask]
            subprocess.run(command, check=True, env=env)
            with psycopg.connect(empty_dsn) as conn:
                [(left,)] = conn.execute("select * from path").fetchall()
                conn.execute("drop table path")
        else:
            with psycopg.connect(empty_dsn, autocommit=True) as conn:
                for name in names:
                    if way == "each statement":
                        run(conn, name)
                    else:
                        conn.execute(text(name).encode())
                left = path(conn)
        assert left == '"$user", public'
        if names is UP:
            assert catalog(empty_dsn, *OURS) == expected
            # Of the role that writes, not that of the script.
            assert {watch["path"] for watch in watches(empty_dsn)} == {
                watch["path"] for watch in watches(dsn)
            }
    assert catalog(empty_dsn) == before


def test_somebody_elses_schema_is_not_taken(empty_dsn: str) -> None:
    """Whoever may create schemas in the database could own ours, or have a function in it."""
    role = f"recovery_test_{os.getpid()}_stranger"
    with psycopg.connect(empty_dsn) as conn:
        conn.execute(f"create role {role}".encode())
        traps = (
            f"create schema recovery authorization {role}",
            "create schema recovery create function recovery._fail(text, text, text) returns void language sql as ''",
            "create schema recovery; create type recovery.task as (sql text)",
            "create schema recovery; create domain recovery.x as text",
            f"create schema recovery; alter default privileges in schema recovery grant execute on functions to {role}",
        )
        for trap in traps:
            trap = trap.replace(" create function", "; create function")
            with conn.transaction(force_rollback=True):
                conn.execute(trap.encode())
                with pytest.raises(psycopg.errors.DuplicateSchema, match="in use already"):
                    run(conn, UP[0])
        # Of the private one nothing is.
        for trap in (
            f"create schema recovery_private authorization {role}",
            "create schema recovery_private",
        ):
            with conn.transaction(force_rollback=True):
                conn.execute(trap.encode())
                with pytest.raises(
                    psycopg.errors.DuplicateSchema, match='"recovery_private" already exists'
                ):
                    run(conn, UP[0])
        # One that is empty and ours is taken.
        with conn.transaction(force_rollback=True):
            conn.execute("create schema recovery")
            run(conn, UP[0])
        conn.rollback()
