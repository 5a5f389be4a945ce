"""The style of the schema, read from the catalog of a migrated database."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from recovery import _version
from tools.check_names import routines

Connection = psycopg.Connection[Any]

OURS = "in ('recovery'::regnamespace, 'recovery_private'::regnamespace, 'agent'::regnamespace)"
PATH = ["search_path=pg_catalog, pg_temp"]


def rows(conn: Connection, query: str) -> list[Any]:
    return conn.execute(query.replace("{ours}", OURS).encode()).fetchall()


def names(conn: Connection, query: str) -> list[str]:
    return [row[0] for row in rows(conn, query)]


#: The objects that a test is about; each must not be empty, or the test would prove nothing.
ROUTINES = "select p.oid::regprocedure::text from pg_proc p where p.pronamespace {ours}"
RELATIONS = """
    select c.oid::regclass::text from pg_class c
    where c.relnamespace {ours} and c.relname <> 'alembic_version'
"""
TRIGGERS = """
    select format('%s on %s', t.tgname, c.oid::regclass)
    from pg_trigger t join pg_class c on c.oid = t.tgrelid
    where c.relnamespace {ours} and not t.tgisinternal
"""


@pytest.mark.parametrize("query", [ROUTINES, RELATIONS, TRIGGERS])
def test_there_is_something_to_look_at(conn: Connection, query: str) -> None:
    assert len(names(conn, query)) >= 6


def test_every_object_has_a_comment(conn: Connection) -> None:
    assert not names(
        conn,
        ROUTINES + " and coalesce(obj_description(p.oid, 'pg_proc'), '') = ''",
    )
    # The sequence of an identity column is no object of its own.
    assert not names(
        conn,
        RELATIONS
        + """ and c.relkind in ('r', 'p', 'v', 'm', 'S')
              and coalesce(obj_description(c.oid, 'pg_class'), '') = ''
              and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass
                              and d.objid = c.oid and d.deptype = 'i' and c.relkind = 'S')""",
    )
    assert not names(
        conn,
        """
        select format('%s.%s', c.oid::regclass, a.attname)
        from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace {ours} and c.relname <> 'alembic_version'
          and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition and a.attnum > 0 and not a.attisdropped
          and coalesce(col_description(c.oid, a.attnum), '') = ''
        """,
    )
    assert not names(
        conn, TRIGGERS + " and coalesce(obj_description(t.oid, 'pg_trigger'), '') = ''"
    )
    assert not names(
        conn,
        """
        select nspname from pg_namespace n
        where n.oid {ours} and coalesce(obj_description(n.oid, 'pg_namespace'), '') = ''
        """,
    )


def test_nothing_is_for_public_but_what_tells_whom_to_ask(conn: Connection) -> None:
    found = names(
        conn,
        """
        select p.oid::regproc::text || ' ' || g.privilege_type
        from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
        where p.pronamespace {ours} and g.grantee = 0
        union all
        select format('%s %s', c.oid::regclass, g.privilege_type) from pg_class c, aclexplode(c.relacl) g
        where c.relnamespace {ours} and g.grantee = 0
        union all
        select format('%s.%s', a.attrelid::regclass, a.attname)
        from pg_attribute a join pg_class c on c.oid = a.attrelid, aclexplode(a.attacl) g
        where c.relnamespace {ours} and g.grantee = 0
        union all
        select format('%s %s', n.nspname, g.privilege_type) from pg_namespace n, aclexplode(n.nspacl) g
        where n.oid {ours} and g.grantee = 0
        order by 1
        """,
    )
    assert found == ["recovery USAGE", "recovery.attach EXECUTE"]


#: The roles of this database's runners.
RUNNERS = "select r.role from recovery.runner r"

#: Whom a routine of our two schemas must belong to: what executes code of a host's tables
#: belongs to their runner, all else to recovery_owner.
EXPECTED = """
    coalesce(
        (select r.role from recovery.runner r
         where p.pronamespace = 'recovery_private'::regnamespace and p.proname = 'run_' || r.id),
        (select r.role from recovery.runner r join recovery.watch w on w.runner = r.id
         where p.pronamespace = 'recovery'::regnamespace
           and p.proname ~ format('^watch_%s_(before_insert|before_update|before_delete|insert|update|delete|truncate)$', w.id)),
        'recovery_owner')
"""


def test_the_schema_belongs_to_its_role(conn: Connection) -> None:
    """So that SECURITY DEFINER never means a superuser."""
    assert not names(
        conn,
        RELATIONS + " and c.relowner <> 'recovery_owner'::regrole"
        " and c.relnamespace <> 'agent'::regnamespace",
    )
    assert not names(
        conn,
        ROUTINES + f" and p.proowner <> {EXPECTED}::regrole"
        " and p.pronamespace <> 'agent'::regnamespace",
    )
    assert not names(
        conn,
        ROUTINES + " and p.prosecdef and p.pronamespace = 'agent'::regnamespace",
    )
    owned = "select nspname::text from pg_namespace where nspowner = 'recovery_owner'::regrole"
    assert sorted(names(conn, owned)) == ["recovery", "recovery_private"]
    owners = rows(
        conn,
        "select rolsuper, rolcanlogin, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication"
        f" from pg_roles where rolname = 'recovery_owner' or rolname in ({RUNNERS})",
    )
    assert len(owners) == 2
    assert not any(map(any, owners))


def test_the_private_schema_holds_the_functions_of_runners_alone(conn: Connection) -> None:
    """Nobody but recovery_owner can name them; each is called by it alone, and is its runner's."""
    assert names(
        conn,
        "select g.grantee::regrole || ' ' || g.privilege_type from pg_namespace n, aclexplode(n.nspacl) g"
        " where n.nspname = 'recovery_private' order by 1",
    ) == ["recovery_owner CREATE", "recovery_owner USAGE"]
    functions = rows(
        conn,
        """
        select p.proname::text, p.proowner::regrole::text, p.prosecdef, p.provolatile,
               array(select g.grantee::regrole::text from aclexplode(p.proacl) g order by 1)
        from pg_proc p where p.pronamespace = 'recovery_private'::regnamespace
        """,
    )
    runners = rows(conn, "select id, role::text from recovery.runner")
    assert functions == [
        (f"run_{id}", role, True, "v", ["recovery_owner", role]) for id, role in runners
    ]
    assert len(functions) == 1
    for catalog, column in (("pg_class", "relnamespace"), ("pg_type", "typnamespace")):
        assert not rows(
            conn, f"select from {catalog} where {column} = 'recovery_private'::regnamespace"
        )


def test_a_runner_is_who_it_should_be(conn: Connection) -> None:
    """A runner of a superuser's tables is not one itself."""
    member = "select r.rolname::text, g.rolname::text from pg_auth_members m join pg_roles r on r.oid = m.member join pg_roles g on g.oid = m.roleid"
    [(runner,)] = rows(conn, "select role from recovery.runner")
    found = rows(conn, f"{member} where r.rolname in ({RUNNERS}) order by 1, 2")
    assert found == [(runner, "recovery_runner")]


#: Procedures that commit can have neither SET nor SECURITY DEFINER; the settings of the
#: session are read and set; agent.object_of is to be inlined.
UNPINNED = {
    f"recovery.{name}"
    for name in (
        "boot",
        "_close_epoch",
        "_restore_settings",
        "_session_settings",
        "shutdown",
        "sweep",
    )
} | {"agent.interrupted", "agent.object_of", "agent.told"}


def test_every_routine_pins_its_search_path(conn: Connection) -> None:
    found = rows(
        conn,
        "select format('%s.%s', p.pronamespace::regnamespace, p.proname), p.proconfig, p.prosecdef,"
        r" p.prokind = 'p' and p.prosrc ~* '\mcommit\M'"
        " from pg_proc p where p.pronamespace {ours}",
    )
    wrong = [
        name
        for name, config, definer, commits in found
        if (name in UNPINNED and (config or definer))
        or (name not in UNPINNED and (commits or (config or [])[:1] != PATH))
    ]
    assert not wrong
    assert {name for name, *_ in found} >= UNPINNED


def test_a_routine_without_a_path_qualifies_every_name(conn: Connection) -> None:
    """It runs with the caller's search_path, which may hold anything."""
    definitions = names(
        conn,
        "select pg_get_functiondef(p.oid) || ';' from pg_proc p where p.pronamespace {ours}"
        " and not coalesce(p.proconfig[1] like 'search_path=%', false)",
    )
    # The types of parameters are the catalog's by now; sql/ is examined with them.
    found = [routine for text in definitions for routine in routines(text, header=False)]
    assert {routine.name for routine in found} == UNPINNED
    assert not [(routine.name, routine.findings) for routine in found if routine.findings]


def test_triggers_are_named_in_firing_order(conn: Connection) -> None:
    """PostgreSQL fires triggers of one event by name."""
    found = rows(
        conn,
        """
        select c.oid::regclass::text, t.tgname
        from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where c.relnamespace {ours} and not t.tgisinternal
        order by 1, t.tgname collate "C"
        """,
    )
    seen: dict[tuple[str, str], str] = {}
    for relation, name in found:
        number = re.fullmatch(r"((?:zz_)?recovery_\d\d)_[a-z_]+", name)
        assert number, f"{name} on {relation}"
        other = seen.setdefault((relation, number[1]), name)
        assert other == name, f"{other} and {name} on {relation}: which comes first?"
    assert found


def test_every_constraint_is_valid_and_every_index_is_usable(conn: Connection) -> None:
    assert not names(
        conn,
        "select k.conname from pg_constraint k where k.connamespace {ours} and not k.convalidated",
    )
    assert not names(
        conn,
        "select i.indexrelid::regclass::text from pg_index i join pg_class c"
        " on c.oid = i.indexrelid where c.relnamespace {ours} and not i.indisvalid",
    )


def test_every_expected_role_has_no_login(conn: Connection) -> None:
    """Other databases of the server may have runners of their own."""
    [me] = names(conn, "select current_user::text")
    found = rows(
        conn,
        "select rolname, rolcanlogin, rolsuper from pg_roles"
        " where rolname in ('recovery_owner', 'recovery_server', 'recovery_listener', 'recovery_runner')"
        f" or rolname in ({RUNNERS}) order by 1",
    )
    expected = ["listener", "owner", "runner", f"runner_{me}", "server"]
    assert found == [(f"recovery_{name}", False, False) for name in expected]


def test_the_version_is_the_one_of_the_code(conn: Connection) -> None:
    assert rows(conn, "select recovery.version()") == [(_version.SCHEMA,)]
