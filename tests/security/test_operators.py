"""Hostile names in front of the search_path of whoever boots, sweeps and shuts down."""

from __future__ import annotations

import psycopg
import pytest

from security.conftest import World
from security.stage import attach
from sql.jobs import boot, lapse, shutdown, sweep, value

PROCEDURES = ["boot", "sweep", "shutdown", "_close_epoch"]

#: A hostile twin of every built-in operator over the types that the procedures handle, the domain of
#: what they could mean by an unqualified name; and of `||` over text and bigint, which was one.
OPERATORS = """
do $do$
declare
    v_operator record;
begin
    for v_operator in
        select distinct on (o.oprname, o.oprleft, o.oprright) o.oprname, o.oprleft, o.oprright,
               pg_catalog.format_type(o.oprresult, null) as result,
               pg_catalog.format_type(o.oprleft, null) as l, pg_catalog.format_type(o.oprright, null) as r,
               p.proname as does, row_number() over () as n
        from pg_catalog.pg_operator as o join pg_catalog.pg_proc as p on p.oid = o.oprcode
        where o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace and o.oprkind = 'b'
          and o.oprleft = any(array['text', 'bigint', 'integer', 'jsonb', 'boolean', 'timestamptz', 'interval',
              'uuid', 'name', 'text[]', 'bigint[]', 'float8', 'numeric', 'oid']::pg_catalog.regtype[])
          and o.oprright = any(array['text', 'bigint', 'integer', 'jsonb', 'boolean', 'timestamptz', 'interval',
              'uuid', 'name', 'text[]', 'bigint[]', 'float8', 'numeric', 'oid', 'text[]']::pg_catalog.regtype[])
    loop
        execute pg_catalog.format($q$
            create function evil.op_%s(a %s, b %s) returns %s language plpgsql as $f$
            begin perform evil.called(%L); return pg_catalog.%I(a, b); end $f$;
            create operator evil.%s (leftarg = %s, rightarg = %s, function = evil.op_%s)$q$,
            v_operator.n, v_operator.l, v_operator.r, v_operator.result,
            v_operator.oprname || ' of ' || v_operator.l || ' and ' || v_operator.r, v_operator.does,
            v_operator.oprname, v_operator.l, v_operator.r, v_operator.n);
    end loop;
end $do$;
create function evil.join(a text, b bigint) returns text language plpgsql as
    $$ begin perform evil.called('||'); return pg_catalog.concat(a, b); end $$;
create operator evil.|| (leftarg = text, rightarg = bigint, function = evil.join);
create function public.join(a text, b bigint) returns text language plpgsql as
    $$ begin perform evil.called('public.||'); return pg_catalog.concat(a, b); end $$;
create operator public.|| (leftarg = text, rightarg = bigint, function = public.join);
"""

#: A hostile twin of every function that is named in the text of a procedure.
FUNCTIONS = r"""
do $do$
declare
    v_function record;
begin
    for v_function in
        select p.oid, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid) as arguments,
               pg_catalog.pg_get_function_result(p.oid) as result, p.proretset
        from pg_catalog.pg_proc as p
        where p.pronamespace in ('pg_catalog'::pg_catalog.regnamespace, 'recovery'::pg_catalog.regnamespace) and p.prokind = 'f'
          and p.provariadic = 0 and pg_catalog.pg_get_function_identity_arguments(p.oid) !~ 'any|internal|OUT'
          and exists (
              select from pg_catalog.pg_proc as r cross join lateral
                  pg_catalog.regexp_matches(r.prosrc, '\m([a-z_0-9]+)\s*\(', 'g') as m (name)
              where r.pronamespace = 'recovery'::pg_catalog.regnamespace and m.name[1] = p.proname
                and r.proconfig is null and r.prokind in ('p', 'f'))
    loop
        begin
            execute pg_catalog.format(
                'create function evil.%I(%s) returns %s language plpgsql as %L',
                v_function.proname, v_function.arguments, v_function.result,
                pg_catalog.format('begin perform evil.called(%L); return%s; end', v_function.proname,
                    case when v_function.result = 'void' or v_function.proretset then '' else ' null' end));
        exception when others then
            null;  -- what plpgsql cannot return
        end;
    end loop;
end $do$;
"""

CALLED = """
create schema evil;
create sequence evil.risen;
create table evil.call (name text);
create function evil.called(name text) returns void language plpgsql
    set search_path = pg_catalog, pg_temp as
    $$ begin perform pg_catalog.nextval('evil.risen'); insert into evil.call values (name); end $$;
"""


@pytest.fixture
def watched(plain: World) -> World:
    """A database with a watched table, and a schema evil that knows when it was called."""
    a = plain.teams()
    attach(a, "app.job", {"started": "timestamptz '2000-01-01 00:00+00'", "unowned": "1 hour"})
    plain.dba.execute("select recovery.supervise('app.job')")
    plain.dba.execute("select recovery.configure('tool_timeout', '1 hour')")
    plain.dba.execute(CALLED)
    return plain


@pytest.fixture
def hostile(watched: World) -> World:
    """The same with hostile operators, functions and views in it."""
    watched.dba.execute(OPERATORS)
    watched.dba.execute(FUNCTIONS)
    watched.dba.execute("create view evil.server as select 1; create view evil.watch as select 1")
    return watched


@pytest.mark.parametrize("path", ["evil, pg_catalog", "evil, public", "public, evil, pg_catalog"])
@pytest.mark.parametrize("caller", ["superuser", "server"])
def test_none_is_called(hostile: World, path: str, caller: str) -> None:
    dba = hostile.dba
    dba.execute(
        "grant usage on schema evil to public; grant all on all tables in schema evil to public; grant usage on sequence evil.risen to public"
    )
    conn = hostile.session(caller)
    conn.execute(f"set search_path = {path}")  # type: ignore
    hostile.orphan(1)
    booted = boot(conn)
    hostile.orphan(2)
    epoch = value(dba, "select max(epoch) from recovery.server")
    dba.execute("insert into app.job (id, status) values (4, 'running')")
    lapse(dba, epoch)
    sweep(conn)
    booted = boot(conn, "other")
    dba.execute(
        f"insert into app.job (id, status, server_epoch) values (3, 'running', {booted.epoch})"
    )  # type: ignore
    shutdown(conn, booted.epoch, token=booted.token)
    assert dba.execute("select distinct name from evil.call").fetchall() == []
    assert value(dba, "select is_called from evil.risen") is False
    assert dba.execute("select id from app.job where status = 'running'").fetchall() == []


#: Types that run code when something is put into them, by the name of one that the procedures use.
CATCHES = {
    "domain": "create domain {name} as pg_catalog.text check (evil.check(value))",
    "composite": "create domain evil.trap as pg_catalog.text check (evil.check(value));"
    "create type {name} as (family evil.trap, epoch bigint, reason evil.trap)",
}
CHECK = """
create function evil.check(pg_catalog.text) returns boolean language plpgsql as
    $$ begin perform evil.called('type'); return true; end $$;
grant usage on schema evil to public; grant all on all tables in schema evil to public;
grant usage on sequence evil.risen to public;
"""
#: As boot, sweep and shutdown loop over what they find.
LOOP = """
do $$ declare r record; begin
    for r in select 'x'::pg_catalog.text as family, 1::bigint as epoch, 'x'::pg_catalog.text as reason loop null; end loop;
end $$
"""


@pytest.mark.parametrize("caller", ["superuser", "server"])
@pytest.mark.parametrize(
    ("kind", "name"),
    [("composite", "record")]
    + [
        ("domain", name)
        for name in ("record", "text", "uuid", "jsonb", "timestamptz", "void", "name")
    ],
)
def test_no_type_is_looked_up(watched: World, kind: str, name: str, caller: str) -> None:
    dba = watched.dba
    dba.execute(CHECK)
    dba.execute(CATCHES[kind].replace("{name}", f'evil."{name}"'))  # type: ignore
    conn = watched.session(caller)
    conn.execute("set search_path = evil, pg_catalog")
    watched.orphan(1)
    booted = boot(conn)
    assert booted.closed == {"app.job": 1}
    lapse(dba, watched.orphan(2))
    assert sweep(conn)["closed"] == {"app.job": 1}
    booted = boot(conn)
    dba.execute(
        "insert into app.job (id, status, server_epoch) values (3, 'running', %s)", (booted.epoch,)
    )
    assert shutdown(conn, booted.epoch, token=booted.token)["closed"] == {"app.job": 1}
    assert value(dba, "select is_called from evil.risen") is False


@pytest.mark.parametrize("kind", CATCHES)
def test_a_hostile_record_would_catch_an_unqualified_one(watched: World, kind: str) -> None:
    """Else the test above could not fail."""
    watched.dba.execute(CHECK)
    watched.dba.execute(CATCHES[kind].replace("{name}", "evil.record"))  # type: ignore
    conn = watched.session()
    conn.execute("set search_path = evil, pg_catalog")
    try:
        conn.execute(LOOP)
    except psycopg.Error as error:
        print(error)  # a domain is no row
    assert value(watched.dba, "select is_called from evil.risen") is True


def test_they_would_be_called_if_a_name_stood_unqualified(hostile: World) -> None:
    """Else the test above could not fail."""
    conn = hostile.session()
    conn.execute("set search_path = evil, pg_catalog")
    conn.execute(
        "select 'a'::pg_catalog.text || 1::pg_catalog.int8, 1 < 2, 'a'::pg_catalog.text = 'b'::pg_catalog.text, _has_guards('x')"
    )
    names = {name for (name,) in hostile.dba.execute("select name from evil.call")}
    assert names == {"||", "< of integer and integer", "= of text and text", "_has_guards"}
