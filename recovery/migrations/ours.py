"""What we have put into a database, by its catalog: autogenerate says nothing about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

__all__ = ["Ours", "find"]

#: The column that says who owns a row.
OWNER = "server_epoch"

_SCHEMAS = ("recovery", "recovery_private")

# A table is watched if our triggers are on it, also as a leaf of a partitioned table, or if the
# owner column has our comment. An index is ours by its name, or as a part of such an index on a
# leaf. Schema agent is the store's if its comment says so; a host may have tables of its own in it.
# Only the catalog is read: it is open to every role.
_FIND = r"""
with recursive ours as (
    select pg_catalog.to_regprocedure('recovery.version()') is not null as installed,
           pg_catalog.to_regnamespace('recovery') as schema
),
watched as (
    select t.tgrelid as relation
    from pg_catalog.pg_trigger as t
    join pg_catalog.pg_proc as p on p.oid = t.tgfoid
    where p.pronamespace = (select o.schema from ours as o)
    union
    select a.attrelid
    from pg_catalog.pg_attribute as a
    join pg_catalog.pg_description as d
        on d.objoid = a.attrelid and d.objsubid = a.attnum
        and d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
    where a.attname = 'server_epoch' and d.description like 'pg-recovery: %'
),
indexes as (
    select i.indexrelid as relation
    from pg_catalog.pg_index as i
    join pg_catalog.pg_class as c on c.oid = i.indexrelid
    where i.indrelid in (select w.relation from watched as w)
      and c.relname ~ '^recovery_(open|started)_[0-9]+'
    union
    select h.inhrelid
    from pg_catalog.pg_inherits as h
    join indexes as i on i.relation = h.inhparent
),
named as (
    select 'watched' as what, w.relation from watched as w
    union all
    select 'index', i.relation from indexes as i
    union all
    select 'store', c.oid
    from pg_catalog.pg_class as c
    where c.relnamespace = pg_catalog.to_regnamespace('agent')
      and c.relname in ('session', 'message', 'part', 'hold', 'session_message', 'session_input')
      and c.relkind in ('r', 'p')
      and pg_catalog.obj_description(c.relnamespace, 'pg_namespace') like '%pg-recovery%'
      and (select o.installed from ours as o)
)
select n.what, s.nspname, c.relname
from named as n
join pg_catalog.pg_class as c on c.oid = n.relation
join pg_catalog.pg_namespace as s on s.oid = c.relnamespace
union all
select 'foreign', s.nspname, null
from pg_catalog.pg_namespace as s
where s.nspname in ('recovery', 'recovery_private')
  and not (select o.installed from ours as o)
  and exists (
      select from pg_catalog.pg_class as c
      where c.relnamespace = s.oid and c.relkind in ('r', 'p', 'v', 'm', 'f')
        and c.relname <> 'alembic_version')
"""

_Name = tuple[str, str]


@dataclass(frozen=True)
class Ours:
    """Names of what is ours, and the filters that leave it out."""

    default_schema: str
    schemas: frozenset[str]
    store: frozenset[_Name]
    watched: frozenset[_Name]
    indexes: frozenset[_Name]

    def name(self, schema: str | None, name: str) -> _Name:
        """Alembic says None for the default schema."""
        return schema or self.default_schema, name

    def is_table(self, schema: str | None, name: str) -> bool:
        """Whether a table is one of ours."""
        return schema in self.schemas or self.name(schema, name) in self.store

    def include_name(self, name: str | None, type_: str, parents: Mapping[str, str | None]) -> bool:
        """Alembic's filter of what is reflected."""
        if type_ == "schema":
            return name not in self.schemas
        if type_ == "table" and name is not None:
            return not self.is_table(parents.get("schema_name"), name)
        return True

    def include_object(
        self, item: Any, name: str | None, type_: str, reflected: bool, other: Any
    ) -> bool:
        """Alembic's filter of what is compared."""
        if type_ == "table":
            return not self.is_table(item.schema, item.name)
        if name is None or not reflected or other is not None:
            return True
        if type_ == "column":
            watched = self.name(item.table.schema, item.table.name) in self.watched
            return not (name == OWNER and watched)
        if type_ == "index":
            return self.name(item.table.schema, str(name)) not in self.indexes
        return True


def find(connection: sa.Connection) -> Ours:
    """Asks the catalog."""
    # In this order: the name of the schema that has the default may be any.
    default = str(connection.scalar(sa.text("select pg_catalog.current_schema()")) or "public")
    found: dict[str, set[_Name]] = {}
    for what, schema, name in connection.execute(sa.text(_FIND.replace(":", r"\:"))):
        found.setdefault(what, set()).add((schema, name or ""))
    foreign = {schema for schema, _ in found.get("foreign", ())}
    return Ours(
        default_schema=default,
        schemas=frozenset(_SCHEMAS) - foreign,
        store=frozenset(found.get("store", ())),
        watched=frozenset(found.get("watched", ())),
        indexes=frozenset(found.get("index", ())),
    )
