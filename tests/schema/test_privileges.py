"""Every object and every role: what each may do, compared with tests/golden/privileges.txt.

RECOVERY_GOLDEN=overwrite writes the file anew, for a reviewer to read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from schema import catalog

Connection = psycopg.Connection[Any]

GOLDEN = Path(__file__).parent.parent / "golden" / "privileges.txt"
SHARED = ("recovery_owner", "recovery_server", "recovery_listener", "recovery_runner")

HEADER = """\
# What every role may do with every object of our schemas: one object a line.
# Written by RECOVERY_GOLDEN=overwrite make test ARGS=tests/schema/test_privileges.py
# After the owner, who may do everything, each role with what it may do beyond public; * may be
# granted on. Memberships count: a runner may do what recovery_runner may.
# migrator is the superuser who installed, runner is that of its tables.
"""
TEAM = """\
# After select recovery.permit('team_a') and recovery.attach of its table app.job: the objects that
# are new, or with which team_a or team_a's runner may do something.
"""

OURS = str(catalog.OURS)
OBJECTS = f"""
select 'schema' as kind, n.nspname::text as name, n.oid, n.nspowner as owner
from pg_namespace n where n.nspname in {OURS}
union all
select case c.relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end,
       c.oid::regclass::text, c.oid, c.relowner
from pg_class c
where c.relkind in ('r', 'p', 'v', 'm', 'S')
  and (c.relnamespace::regnamespace::text in {OURS} or c.oid = to_regclass('app.job'))
union all
select 'routine', p.oid::regprocedure::text, p.oid, p.proowner
from pg_proc p where p.pronamespace::regnamespace::text in {OURS}
union all
select 'type', t.oid::regtype::text, t.oid, t.typowner
from pg_type t left join pg_class c on c.oid = t.typrelid
where t.typnamespace::regnamespace::text in {OURS}
  and t.typcategory <> 'A' and coalesce(c.relkind, 'c') = 'c'
order by 1, 2
"""

PRIVILEGES = {
    "schema": ("usage", "create"),
    "table": (
        "select",
        "insert",
        "update",
        "delete",
        "truncate",
        "references",
        "trigger",
        "maintain",
    ),
    "sequence": ("usage", "select", "update"),
    "routine": ("execute",),
    "type": ("usage",),
}
COLUMNS = ("select", "insert", "update", "references")


def may(conn: Connection, role: str, kind: str, oid: int) -> list[str]:
    """What a role may do with an object: `all`, `select`, or `select(a, b)` for some columns of it."""
    kind = "table" if kind == "view" else kind
    function = "function" if kind == "routine" else kind
    known = [p for p in PRIVILEGES[kind] if p != "maintain" or conn.info.server_version >= 170000]
    found = []
    for privilege in known:
        query = f"select has_{function}_privilege(%s::name, %s::oid, %s), has_{function}_privilege(%s::name, %s::oid, %s)"
        given = [role, oid, privilege, role, oid, f"{privilege} with grant option"]
        [(plain, option)] = conn.execute(query.encode(), given).fetchall()
        if plain:
            found.append(privilege + "*" * option)
        elif kind == "table" and privilege in COLUMNS:
            query = """
                select string_agg(a.attname, ', ' order by a.attnum) from pg_attribute a
                where a.attrelid = %s and a.attnum > 0 and not a.attisdropped
                  and has_column_privilege(%s::name, %s::oid, a.attnum, %s)
            """
            [(columns,)] = conn.execute(query.encode(), [oid, role, oid, privilege]).fetchall()
            if columns:
                found.append(f"{privilege}({columns})")
    for star in ("", "*"):
        if len(known) > 2 and found == [f"{privilege}{star}" for privilege in known]:
            return [f"all{star}"]
    return found


def lines(conn: Connection, labels: dict[str, str]) -> dict[str, tuple[str, set[str]]]:
    """Object -> its line and the roles in it. `labels` are role names and what they are called."""
    found: dict[str, tuple[str, set[str]]] = {}
    for role, label in labels.items():
        query = """
            select r.rolcanlogin, r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls,
                   array(select g.rolname::text from pg_auth_members m join pg_roles g on g.oid = m.roleid
                         where m.member = r.oid)
            from pg_roles r where r.rolname = %s
        """
        for login, more, groups in conn.execute(query.encode(), [role]):
            member = ", ".join(sorted({labels[group] for group in groups}))
            text = " | ".join(
                (
                    f"role {label}",
                    f"{'' if login else 'no '}login{', more' if more else ''}",
                    f"member of {member or 'nothing'}",
                )
            )
            found[f"role {label}"] = (text, {label})
    for kind, name, oid, owner in conn.execute(OBJECTS.encode()).fetchall():
        [(owner_name,)] = conn.execute("select pg_get_userbyid(%s)::text", [owner]).fetchall()
        public = may(conn, "public", kind, oid)
        parts = [f"public {', '.join(public)}"] if public else []
        roles = {labels[owner_name]}
        for role, label in labels.items():
            if role == owner_name or label == "migrator":
                continue
            more = [
                privilege for privilege in may(conn, role, kind, oid) if privilege not in public
            ]
            if more:
                parts.append(f"{label} {', '.join(more)}")
                roles.add(label)
        found[f"{kind} {name}"] = (
            " | ".join([f"{kind} {name}", f"owner {labels[owner_name]}", *parts]),
            roles,
        )
    return found


@pytest.fixture
def team(conn: Connection) -> Iterator[str]:
    """An ordinary owner's role, away again with its runner."""
    name = f"recovery_test_{os.getpid()}_team"
    conn.execute(f"create role {name} login".encode())
    yield name
    conn.execute("reset session authorization")
    for role in (name, f"recovery_runner_{name}"):
        conn.execute(f"drop owned by {role} cascade".encode())
    for role in (f"recovery_runner_{name}", name):
        conn.execute(f"drop role {role}".encode())


def test_the_privileges_are_the_golden_ones(conn: Connection, team: str) -> None:
    conn.execute("set search_path = ''")  # everything prints with its schema
    [(me,)] = conn.execute("select current_user::text").fetchall()
    labels = {role: role for role in SHARED}
    labels |= {me: "migrator", f"recovery_runner_{me}": "runner"}
    before = lines(conn, labels)

    # To create an index an owner must be able to create in the schema of its table.
    conn.execute(f"create schema app authorization {team}".encode())
    conn.execute(
        "create table app.job (id bigint generated always as identity primary key, status text not null)"
    )
    conn.execute(f"alter table app.job owner to {team}".encode())
    conn.execute(b"select recovery.permit(%s)", [team])
    conn.execute(f"set session authorization {team}".encode())
    conn.execute(
        """select recovery.attach('app.job', $$status = 'running'$$, '{"status": "''failed''"}')"""
    )
    conn.execute("reset session authorization")
    ours = {team: "team_a", f"recovery_runner_{team}": "team_a's runner"}
    after = lines(conn, labels | ours)

    shown = [
        line
        for name, (line, roles) in after.items()
        if name not in before or roles & set(ours.values())
    ]
    text = "\n".join(
        (HEADER, *sorted(line for line, _ in before.values()), "", TEAM, *sorted(shown), "")
    )
    if os.environ.get("RECOVERY_GOLDEN") == "overwrite":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
    # So that the file is not just believed: what nobody but the owner may.
    for name in ("server", "outbox", "consumer"):
        rights = before[f"table recovery.{name}"][0]
        assert not any(word in rights for word in ("insert", "update", "delete", "token", "*"))
    # The functions of runners: who could name them could alter them (the runner), or run what it likes.
    private = after["schema recovery_private"][0]
    assert private == "schema recovery_private | owner recovery_owner"
    for name, whose in (("run_1", "runner"), ("run_2", "team_a's runner")):
        line = after[f"routine recovery_private.{name}(text,recovery.task,text)"][0]
        assert line.endswith(f" | owner {whose} | recovery_owner execute")
