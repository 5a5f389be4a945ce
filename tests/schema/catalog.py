"""What a database holds besides its rows, in a form that can be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from tools import freeze

#: The schemas that we make.
OURS = ("recovery", "recovery_private", "agent")


def owner(role: str) -> str:
    return f"pg_get_userbyid({role})"


def name(relation: str) -> str:
    return f"{relation}::regclass::text"


def routine(oid: str) -> str:
    return f"{oid}::regprocedure::text"


def body(text: str) -> str:
    """A routine's text without the object ids that a trigger function of a watch asks about."""
    return f"regexp_replace({text}, $$_has_names\\('[0-9]+'::regclass, '(?:[^']|'')*'\\)$$, 'names', 'g')"


def type_name(oid: str) -> str:
    return f"{oid}::regtype::text"


def comment(oid: str, of: str) -> str:
    return f"obj_description({oid}, '{of}')"


def acl(privileges: str, kind: str, of: str) -> str:
    """Privileges, the default ones too, spelled out and sorted."""
    kind = f"""({kind})::"char" """ if " " in kind else f"'{kind}'"
    return f"""array(
        select format('%s %s by %s%s',
            case grantee when 0 then 'public' else {owner("grantee")} end, privilege_type,
            {owner("grantor")}, case when is_grantable then '*' else '' end)
        from aclexplode(coalesce({privileges}, acldefault({kind}, {of}))) order by 1)"""


def ours(schema: str) -> str:
    return f"""{schema} in (
        select oid from pg_namespace
        where nspname !~ '^pg_' and nspname <> 'information_schema')"""


# Only names and texts, no numbers, so that two databases can be compared.
_QUERIES = {
    "schemas": f"""
        select n.nspname, {owner("n.nspowner")}, {acl("n.nspacl", "n", "n.nspowner")},
               {comment("n.oid", "pg_namespace")}
        from pg_namespace n where {ours("n.oid")}
    """,
    "relations": f"""
        select {name("c.oid")}, c.relkind, {owner("c.relowner")}, c.relpersistence,
               {acl("c.relacl", "case c.relkind when 'S' then 's' else 'r' end", "c.relowner")},
               c.reloptions, c.relrowsecurity, c.relforcerowsecurity, c.relreplident,
               {comment("c.oid", "pg_class")},
               case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end
        from pg_class c where {ours("c.relnamespace")} and c.relkind not in ('i', 'I')
    """,
    "columns": f"""
        select {name("c.oid")}, row_number() over (partition by c.oid order by a.attnum), a.attname,
               format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated,
               pg_get_expr(d.adbin, d.adrelid), a.attstorage, a.attcompression, a.attstattarget,
               a.attoptions, l.collname, {acl("a.attacl", "c", "c.relowner")},
               col_description(c.oid, a.attnum)
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        left join pg_collation l on l.oid = a.attcollation
        where {ours("c.relnamespace")} and c.relkind not in ('i', 'I', 'S')
          and a.attnum > 0 and not a.attisdropped
    """,
    "constraints": f"""
        select {name("k.conrelid")}, k.conname, k.contype, pg_get_constraintdef(k.oid),
               k.convalidated, k.condeferrable, {comment("k.oid", "pg_constraint")}
        from pg_constraint k where {ours("k.connamespace")}
    """,
    "indexes": f"""
        select {name("i.indexrelid")}, pg_get_indexdef(i.indexrelid), i.indisvalid,
               i.indisclustered, i.indisreplident, {owner("c.relowner")},
               {comment("c.oid", "pg_class")}
        from pg_index i join pg_class c on c.oid = i.indexrelid where {ours("c.relnamespace")}
    """,
    "sequences": f"""
        select {name("c.oid")}, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
               s.seqcache, s.seqcycle,
               (select array_agg({name("d.refobjid")} || '.' || d.refobjsubid || d.deptype::text)
                from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass
                  and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i'))
        from pg_sequence s join pg_class c on c.oid = s.seqrelid where {ours("c.relnamespace")}
    """,
    "routines": f"""
        select {routine("p.oid")}, p.prokind, {owner("p.proowner")},
               {acl("p.proacl", "f", "p.proowner")},
               l.lanname, p.provolatile, p.prosecdef, p.proisstrict, p.proleakproof, p.proparallel,
               p.procost, p.prorows, p.proconfig, {body("p.prosrc")}, md5({body("p.prosrc")}),
               case when p.prokind <> 'a' then {body("pg_get_functiondef(p.oid)")} end,
               {comment("p.oid", "pg_proc")}
        from pg_proc p join pg_language l on l.oid = p.prolang where {ours("p.pronamespace")}
    """,
    "triggers": f"""
        select {name("t.tgrelid")}, t.tgname, t.tgenabled, pg_get_triggerdef(t.oid),
               {comment("t.oid", "pg_trigger")}
        from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where {ours("c.relnamespace")} and not t.tgisinternal
    """,
    "types": f"""
        select {type_name("t.oid")}, t.typtype, {owner("t.typowner")},
               {acl("t.typacl", "T", "t.typowner")},
               (select array_agg(e.enumlabel order by e.enumsortorder)
                from pg_enum e where e.enumtypid = t.oid),
               pg_get_expr(t.typdefaultbin, 0), {comment("t.oid", "pg_type")}
        from pg_type t where {ours("t.typnamespace")}
    """,
    "policies": f"select {name('polrelid')}, polname from pg_policy",
    "rules": f"""
        select {name("r.ev_class")}, r.rulename, pg_get_ruledef(r.oid)
        from pg_rewrite r join pg_class c on c.oid = r.ev_class where {ours("c.relnamespace")}
    """,
    "statistics": "select pg_get_statisticsobjdef(oid) from pg_statistic_ext",
    "database": f"""
        select (select array_agg(extname::text order by 1) from pg_extension),
               (select array_agg(evtname::text order by 1) from pg_event_trigger),
               (select array_agg(pubname::text order by 1) from pg_publication),
               (select array_agg(defaclobjtype::text || defaclacl::text order by 1)
                from pg_default_acl),
               (select array_agg(setconfig::text order by 1) from pg_db_role_setting s
                where s.setdatabase = d.oid),
               {acl("d.datacl", "d", "d.datdba")}
        from pg_database d where d.datname = current_database()
    """,
}


Catalog = dict[str, list[str]]


def catalog(dsn: str, *schemas: str) -> Catalog:
    """Kind of object -> one line for each; of the given schemas only, if any are given."""
    with psycopg.connect(dsn) as conn:
        return read(conn, *schemas)


def read(conn: psycopg.Connection[Any], *schemas: str) -> Catalog:
    """The same, inside a transaction of the caller."""
    conn.execute("set local search_path = ''")  # everything prints with its schema
    found: Catalog = {}
    for kind, query in _QUERIES.items():
        rows = sorted(repr(row) for row in conn.execute(query.encode()))
        rows = [row for row in rows if "alembic_version" not in row]
        if schemas:
            wanted = tuple(f"('{schema}{end}" for schema in schemas for end in (".", "'"))
            rows = [row for row in rows if row.startswith(wanted)]
        found[kind] = rows
    return found


def watches(dsn: str) -> list[dict[str, Any]]:
    """The registrations, without the time they were made at and object ids."""
    with psycopg.connect(dsn) as conn:
        query = (
            "select to_jsonb(w) - 'attached' - 'uses' - 'checked' from recovery.watch w order by id"
        )
        return [row[0] for row in conn.execute(query)]


def apply_desired(dsn: str, root: Path = freeze.ROOT) -> None:
    """Executes the files of sql/ as they are, without Alembic."""
    with psycopg.connect(dsn) as conn:
        conn.execute("set check_function_bodies = off")
        for part in freeze.PARTS:
            for path in freeze.ordered(root / "sql", part):
                conn.execute(path.read_bytes())
