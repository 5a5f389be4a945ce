"""The style of the schema, read from the catalog of a migrated database."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest

from recovery import _version

Connection = psycopg.Connection[Any]

OURS = "in ('recovery'::regnamespace, 'agent'::regnamespace)"
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
          and c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0 and not a.attisdropped
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


def test_nothing_is_for_public(conn: Connection) -> None:
    assert not names(
        conn,
        """
        select p.oid::regprocedure::text
        from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
        where p.pronamespace {ours} and g.grantee = 0
        union all
        select c.oid::regclass::text from pg_class c, aclexplode(c.relacl) g
        where c.relnamespace {ours} and g.grantee = 0
        union all
        select format('%s.%s', a.attrelid::regclass, a.attname)
        from pg_attribute a join pg_class c on c.oid = a.attrelid, aclexplode(a.attacl) g
        where c.relnamespace {ours} and g.grantee = 0
        union all
        select n.nspname from pg_namespace n, aclexplode(n.nspacl) g
        where n.oid {ours} and g.grantee = 0
        """,
    )


def test_the_schema_belongs_to_its_role(conn: Connection) -> None:
    """So that SECURITY DEFINER never means a superuser."""
    assert not names(
        conn,
        RELATIONS + " and c.relowner <> 'recovery_owner'::regrole"
        " and c.relnamespace = 'recovery'::regnamespace",
    )
    assert not names(
        conn,
        ROUTINES + " and p.proowner <> 'recovery_owner'::regrole"
        " and p.pronamespace = 'recovery'::regnamespace",
    )
    assert not names(
        conn, ROUTINES + " and p.prosecdef and p.proowner <> 'recovery_owner'::regrole"
    )
    [owner] = rows(
        conn,
        "select rolsuper, rolcanlogin, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication"
        " from pg_roles where rolname = 'recovery_owner'",
    )
    assert not any(owner)


#: A procedure that commits can have neither SET nor SECURITY DEFINER.
COMMITS = r"p.prokind = 'p' and p.prosrc ~* '\mcommit\M'"


def test_every_routine_pins_its_search_path(conn: Connection) -> None:
    found = rows(
        conn,
        f"select p.oid::regprocedure::text, p.proconfig, {COMMITS}, p.prosecdef"
        " from pg_proc p where p.pronamespace {ours}",
    )
    wrong = [
        name
        for name, config, commits, definer in found
        if (commits and (config or definer)) or (not commits and (config or [])[:1] != PATH)
    ]
    assert not wrong
    assert sum(commits for _, _, commits, _ in found) >= 3


def test_a_procedure_that_commits_qualifies_every_name(conn: Connection) -> None:
    """It runs with the caller's search_path, which may hold anything."""
    functions = set(names(conn, "select distinct proname::text from pg_proc"))
    relations = set(
        names(
            conn,
            "select distinct relname::text from pg_class"
            " where relnamespace {ours} or relnamespace = 'pg_catalog'::regnamespace",
        )
    )
    types = {"regclass", "regnamespace", "regprocedure", "oid", "name"}
    unqualified = []
    for routine, source in rows(
        conn,
        f"select p.oid::regprocedure::text, p.prosrc from pg_proc p where {COMMITS}"
        " and p.pronamespace {ours}",
    ):
        code = re.sub(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", " ", source, flags=re.DOTALL)
        for match in re.finditer(r"(?<![\w.\"])([a-z_]\w*)\s*\(", code):
            if match[1] in functions:
                unqualified.append(f"{routine}: {match[1]}(")
        for match in re.finditer(
            r"\b(?:from|join|into|update|call)\s+([a-z_]\w*)\b(?!\s*[.(])", code
        ):
            if match[1] in relations:
                unqualified.append(f"{routine}: {match[0]}")
        for match in re.finditer(r"::\s*([a-z_]\w*)\b(?!\.)", code):
            if match[1] in types | relations:
                unqualified.append(f"{routine}: {match[0]}")
    assert not unqualified


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
        number = re.fullmatch(r"recovery_(\d\d)_[a-z_]+", name)
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
    found = rows(
        conn,
        "select rolname, rolcanlogin, rolsuper from pg_roles where rolname ~ '^recovery_'"
        " order by 1",
    )
    assert found == [(f"recovery_{name}", False, False) for name in ("listener", "owner", "server")]


def test_the_version_is_the_one_of_the_code(conn: Connection) -> None:
    assert rows(conn, "select recovery.version()") == [(_version.SCHEMA,)]
